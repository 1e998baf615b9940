"""Every code block of README and docs runs as printed; every link leads somewhere; no page is stale."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flask_accounts import default_features, opt_in_features
from flask_accounts.core.schemas import TokenResponse
from flask_accounts.features.registration.schemas import RegisteredSchema
from tests.docs.pages import ROOT, Page, blocks, commands, page_paths, runs, shell_environment
from tests.docs.warm import warm_flask

PAGES = page_paths()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where pages run: an empty folder, from which they import; what they leave open or imported goes afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    there = set(sys.modules)
    opened: list[Any] = []

    def remember(connection: Any, record: object) -> None:  # whatever the driver's connection is
        opened.append(connection)

    sa.event.listen(sa.Pool, "connect", remember)
    yield tmp_path
    sa.event.remove(sa.Pool, "connect", remember)
    for connection in opened:  # pages leave theirs to the end of the process, as readers do
        connection.close()
    for name in set(sys.modules) - there:
        # A page's own modules would be taken for those of the next page.
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture(scope="module")
def flask_command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """Where pages find a `flask` that need not import everything each time."""
    if not hasattr(os, "fork"):
        yield None
        return
    with warm_flask(tmp_path_factory.mktemp("warm"), shell_environment()) as folder:
        yield folder


@pytest.mark.parametrize("pages", runs(), ids=lambda pages: str(pages[0].relative_to(ROOT)))
def test_every_block_of_the_page_runs_as_printed(pages: list[Path], folder: Path, request: pytest.FixtureRequest) -> None:
    languages = {block.language for path in pages for block in blocks(path)}
    if "console" in languages and not (shutil.which("bash") and shutil.which("curl")):
        pytest.skip("the page types commands, and there is no bash or no curl here")
    flask_command = request.getfixturevalue("flask_command") if "console" in languages else None
    for path in pages:
        with contextlib.closing(Page(path, folder, flask_command)) as page:
            for block in blocks(path):
                page.run(block)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        goal = (path.parent / file).resolve() if file else path
        assert goal.exists(), f"{path.name}: {target}"
        if anchor:
            assert anchor in _anchors(goal), f"{path.name}: {target}"


def test_every_page_is_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    left = [ROOT / "README.md"]
    while left:
        path = left.pop()
        if path in seen or path.suffix != ".md" or not path.exists():
            continue
        seen.add(path)
        targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
        left += [(path.parent / target).resolve() for target in targets if "://" not in target]

    assert sorted(path.name for path in (ROOT / "docs").rglob("*.md") if path.resolve() not in seen) == []


@pytest.mark.requirement("ASVS 8.1.1")
def test_the_reference_pages_say_what_the_code_does() -> None:
    # In a process of its own: other tests declare errors, events and settings that are not the package's.
    done = subprocess.run(
        [sys.executable, "tools/make_reference.py", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.requirement("ASVS 6.1.3")
def test_the_authentication_pathways_are_those_that_the_routes_offer() -> None:
    text = (ROOT / "docs" / "explanation" / "security.md").read_text(encoding="utf-8")
    section = text.partition("## Ways in")[2].partition("\n## ")[0]
    features = [*default_features(), *opt_in_features()]
    ways = {
        route.path
        for feature in features
        for route in feature.auth_routes
        if {TokenResponse, RegisteredSchema} & set(route.answers.values())
    }

    # A reset signs nobody in, but who can do it can sign in then.
    assert ways | {"/password/reset"} == set(re.findall(r"^\| `POST (/[\w/-]+)`", section, re.MULTILINE))


@pytest.mark.requirement("ASVS 7.1.1")
def test_the_page_on_sessions_states_the_lifetimes_that_are_in_force() -> None:
    stated, settings = _table("explanation/sessions-and-rotation.md"), _table("reference/settings.md")

    for key in ("ABSOLUTE_LIFETIME", "GRACE_WINDOW", "FRESH_FOR"):
        _, default, _ = settings[f"ACCOUNTS_SESSIONS_{key}"]
        assert stated[f"ACCOUNTS_SESSIONS_{key}"][0] == default
    assert stated["JWT_REFRESH_TOKEN_EXPIRES"][0] == settings["JWT_REFRESH_TOKEN_EXPIRES"][0]


@pytest.mark.requirement("ASVS 7.1.2")
def test_the_page_on_sessions_states_how_many_an_account_may_have() -> None:
    stated, settings = _table("explanation/sessions-and-rotation.md"), _table("reference/settings.md")
    _, most, _ = settings["ACCOUNTS_SESSIONS_MAX_PER_USER"]

    assert stated["ACCOUNTS_SESSIONS_MAX_PER_USER"][0] == f"{most} sessions"


@pytest.mark.parametrize(("end", "name"), [("pytest -n auto", "README_TESTS"), ("-m examples.demo", "README_DEMO")])
def test_the_ci_script_runs_the_command_of_the_readme(end: str, name: str) -> None:
    pages = [block.text for block in blocks(ROOT / "README.md") if block.language == "console"]
    found = [command for text in pages for command, _ in commands(text) if command.endswith(end)]

    assert len(found) == 1
    assert f"{name}='{found[0]}'\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_runner_notices_output_that_is_not_as_printed(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("```console\n$ echo one\ntwo\n```\n")
    page = Page(ROOT / "README.md", tmp_path)
    [block] = blocks(path)

    with contextlib.closing(page), pytest.raises(AssertionError, match="prints"):
        page.run(block)


def test_the_runner_notices_a_command_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("```console\n$ false\n```\n")
    page = Page(ROOT / "README.md", tmp_path)
    [block] = blocks(path)

    with contextlib.closing(page), pytest.raises(AssertionError, match="failed"):
        page.run(block)


def _table(page: str) -> dict[str, list[str]]:
    """The rows of a page's tables that begin with a key: its further cells, without code marks."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", text, flags=re.MULTILINE)
    return {key: [cell.strip().replace("`", "") for cell in re.split(r"(?<!\\)\|", cells)] for key, cells in rows}


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
