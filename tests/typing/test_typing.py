"""The types that hosts see: right code passes mypy strict, wrong code is reported, and pyright knows every public type."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MARK = re.compile(r"# error: ([a-z, -]+)$")


def mypy(file: Path) -> list[tuple[int, str]]:
    """The errors of a strict run: line and code."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed here; the typing environment runs this")
    command = [
        sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-pretty", "--no-error-summary", "--show-error-codes",
        "--cache-dir", str(ROOT / ".mypy_cache"), str(file),
    ]  # fmt: skip
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode in (0, 1), result.stdout + result.stderr
    found = [re.match(r".*?:(\d+): error: .*\[([a-z-]+)\]$", line) for line in result.stdout.splitlines() if ": error: " in line]
    assert all(found), result.stdout
    return [(int(match[1]), match[2]) for match in found if match]


def test_what_the_docs_tell_hosts_to_write_passes_mypy_strict() -> None:
    assert mypy(HERE / "right.py") == []


def test_what_hosts_get_wrong_is_reported_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "wrong.py"
    file.write_text((HERE / "wrong.py.txt").read_text())
    lines = file.read_text().splitlines()
    marked = [(number, match[1].split(", ")) for number, line in enumerate(lines, 1) if (match := MARK.search(line))]
    expected = [(number, code) for number, codes in marked for code in codes]
    assert len(expected) >= 15

    assert sorted(mypy(file)) == expected


def test_pyright_knows_every_public_type() -> None:
    if shutil.which("pyright") is None:
        pytest.skip("pyright is not installed here; the typing environment runs this")
    command = ["pyright", "--verifytypes", "flask_accounts", "--ignoreexternal", "--outputjson"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    report = json.loads(result.stdout)["typeCompleteness"]

    unknown = [symbol["name"] for symbol in report["symbols"] if symbol["isExported"] and not symbol["isTypeKnown"]]
    assert unknown == []
    assert report["completenessScore"] == 1
