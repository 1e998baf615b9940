"""What strangers install: the wheel holds what it must and nothing else, and works alone, without any extra."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest
from tools.check_tag import problems, version

ROOT = Path(__file__).parent.parent.parent
SMOKE = Path(__file__).parent / "smoke.py"

pytestmark = pytest.mark.skipif(
    "TEST_PACKAGE" not in os.environ,
    reason="builds and installs from the package index: run `tox -e release` (it sets TEST_PACKAGE)",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was made of it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    [found] = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_string(archive.read(name).decode())


def tracked(*folders: str) -> set[str]:
    """What is under version control, by its path in the checkout."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout of the repository, so nothing says which files belong to it")
    return set(run("git", "ls-files", "--", *folders).splitlines())


def test_the_wheel_holds_the_package_its_types_its_data_and_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    for name in ("__init__.py", "py.typed", "data/common_passwords.txt.gz", "data/README.md", "pytest_plugin.py"):
        assert f"flask_accounts/{name}" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"flask_accounts"}


def test_the_wheel_holds_every_file_of_the_package_under_version_control_and_no_other(wheel: Path) -> None:
    """Templates, catalogues and lists of words come along; caches, databases and tests do not."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("flask_accounts/")}

    assert names == {name.removeprefix("src/") for name in tracked("src/flask_accounts")}
    assert {Path(name).suffix for name in names} >= {".py", ".typed", ".gz", ".mo", ".po", ".txt", ".html"}


def test_the_wheel_names_itself_and_asks_for_what_it_imports(metadata: Message) -> None:
    assert metadata["Name"] == "flask-accounts-api"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    needed = {line.split(">=")[0] for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    assert {"flask", "flask-jwt-extended", "flask-sqlalchemy", "pydantic", "argon2-cffi"} <= needed


def test_the_metadata_name_every_interpreter_that_tox_tests(metadata: Message) -> None:
    tested = re.findall(r"\bpy3(\d+)\b", re.search(r"^env_list = (.*)$", (ROOT / "tox.ini").read_text(), re.MULTILINE)[1])  # type: ignore[index]

    classifiers = metadata.get_all("Classifier", [])

    assert len(tested) >= 4
    assert {line for line in classifiers if re.search(r":: 3\.\d+$", line)} == {
        f"Programming Language :: Python :: 3.{minor}" for minor in tested
    }
    assert "Typing :: Typed" in classifiers


def test_the_page_on_the_index_renders_and_no_link_of_it_leads_nowhere(built: Path, metadata: Message) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", *(str(path) for path in built.iterdir()))

    page = str(metadata.get_payload())
    links = re.findall(r"\]\(([^)]+)\)", page)

    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "Accounts(db).init_app(app)" in page
    assert "pip install flask-accounts-api" in page
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_no_address_of_the_project_is_made_up(metadata: Message) -> None:
    """It has no home yet. Who gives it one adds `[project.urls]` and replaces this test by what must stand there."""
    assert metadata.get_all("Project-URL", []) == []


def test_the_wheel_has_the_version_of_the_changelogs_newest_entry(metadata: Message) -> None:
    assert metadata["Version"] == version()
    assert problems(metadata["Version"], (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")) == []


def test_a_tag_on_this_commit_is_the_version_of_a_changelog_with_a_day() -> None:
    tracked("tox.ini")
    tags = [tag for tag in run("git", "tag", "--points-at", "HEAD").split() if re.match(r"v\d", tag)]
    if not tags:
        pytest.skip("this commit has no tag of a release")

    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert [problem for tag in tags for problem in problems(version(), changelog, tag)] == []


def test_the_same_source_makes_the_same_bytes(built: Path, tmp_path: Path) -> None:
    """Whoever unpacks the sdist elsewhere, later, and builds, gets what was published, to the byte."""
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    [unpacked] = tmp_path.iterdir()
    for path in unpacked.rglob("*.py"):
        os.utime(path, (1_000_000_000, 1_000_000_000))

    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path / "again"), str(unpacked))

    first, second = ({path.name: digest(path) for path in folder.iterdir()} for folder in (built, tmp_path / "again"))
    assert first == second
    assert len(first) == 2


def test_the_sdist_holds_what_is_needed_to_build_and_to_test(built: Path) -> None:
    [path] = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "tox.ini", "tests/conftest.py"):
        assert name in names
    assert "src/flask_accounts/data/common_passwords.txt.gz" in names
    assert names - {"", "PKG-INFO"} <= tracked() | {str(Path(name).parent) for name in tracked()}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_wheel_alone_registers_signs_in_and_shows_the_account(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
    run(str(python), "-m", "pip", "check")

    # -I: neither this checkout nor the environment's own packages are seen.
    printed = run(str(python), "-I", "-W", "error", str(SMOKE), cwd=tmp_path)

    assert printed.splitlines() == [
        "201 ann@example.com",
        "200 Bearer",
        "200 ann@example.com",
        "200 Token revoked",
        "401 TOKEN_REVOKED",
    ]


def run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
