"""What strangers install: the wheel holds what it must and nothing else, and works alone, without any extra."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SMOKE = Path(__file__).parent / "smoke.py"

pytestmark = pytest.mark.skipif(
    "TEST_PACKAGE" not in os.environ,
    reason="builds and installs from the package index: run `tox -e package` (it sets TEST_PACKAGE)",
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


def test_the_wheel_holds_the_package_its_types_its_data_and_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    for name in ("__init__.py", "py.typed", "data/common_passwords.txt.gz", "data/README.md", "pytest_plugin.py"):
        assert f"flask_accounts/{name}" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"flask_accounts"}
    sources = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src" / "flask_accounts").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == sources


def test_the_wheel_names_itself_and_asks_for_what_it_imports(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = message_from_string(archive.read(name).decode())

    assert metadata["Name"] == "flask-accounts-api"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    needed = {line.split(">=")[0] for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    assert {"flask", "flask-jwt-extended", "flask-sqlalchemy", "pydantic", "argon2-cffi"} <= needed


def test_the_sdist_holds_what_is_needed_to_build_and_to_test(built: Path) -> None:
    [path] = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "tox.ini", "tests/conftest.py"):
        assert name in names
    assert "src/flask_accounts/data/common_passwords.txt.gz" in names
    assert not [name for name in names if name.endswith((".db", ".env", ".pyc")) or "/instance/" in name]


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
