"""examples/ci/github.yml: a workflow that a forge takes, that may do little, and that runs what tox has."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from .checkers import tool

ROOT = Path(__file__).parents[2]
FILE = ROOT / "examples" / "ci" / "github.yml"
TEXT = FILE.read_text(encoding="utf-8")
TOX = (ROOT / "tox.ini").read_text(encoding="utf-8")


def jobs() -> dict[str, str]:
    """The text of each job."""
    parts = re.split(r"^  (\w+):\n", TEXT.partition("\njobs:\n")[2], flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_it_is_a_workflow() -> None:
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it() -> None:
    used = re.findall(r"uses: (.*)", TEXT)

    assert len(used) > 8
    assert [line for line in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []
    assert len({re.sub(r"@.*", "", line) for line in used}) == len(set(used)), "one version of each action"


def test_jobs_may_read_the_code_and_the_one_that_publishes_has_an_identity_and_runs_no_code() -> None:
    assert re.findall(r"^permissions:\n((?:  .*\n)+)", TEXT, re.MULTILINE) == ["  contents: read\n"]
    assert [name for name, job in jobs().items() if "permissions:" in job] == ["publish"]
    publish = jobs()["publish"]
    assert re.findall(r"^      ([\w-]+): write", publish, re.MULTILINE) == ["id-token"]
    assert "run:" not in publish
    assert "checkout" not in publish
    assert TEXT.count("actions/checkout@") == TEXT.count("persist-credentials: false")


def test_no_step_puts_what_others_may_write_into_a_shell() -> None:
    assert [line for line in re.findall(r"run: (.*)", TEXT) if "${{" in line] == []


def test_its_environments_are_those_of_tox() -> None:
    known = set(re.findall(r"^\[testenv:([\w-]+)\]", TOX, re.MULTILINE))
    env_list = re.findall(r"[\w-]+", re.search(r"^env_list = (.*)$", TOX, re.MULTILINE)[1])  # type: ignore[index]
    listed = set(re.findall(r"[\w-]+", re.search(r"environment: \[(.*)\]", TEXT)[1]))  # type: ignore[index]
    databases = set(re.findall(r"\w+", re.search(r"database: \[(.*)\]", TEXT)[1]))  # type: ignore[index]
    pythons = re.findall(r"\d\.\d+", re.search(r"python: \[(.*)\]", TEXT)[1])  # type: ignore[index]

    # `package` is the suite against the wheel, which every run of tox is; `comparison` measures other people's libraries.
    assert listed | databases | {"package", "comparison"} == known
    assert [f"py{version.replace('.', '')}" for version in pythons] == [name for name in env_list if name.startswith("py")]
