"""The public face and the tables are what was checked in: a change of either is made on purpose, and the changelog tells of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tools.schema_changes import digest, problems, tables

ROOT = Path(__file__).parent.parent.parent

FIRST = """# Changelog

## [1.0.0] - 2026-01-01

### Migration

- New tables:
  - `users` (schema aaaaaaaa), unless you bring your own class
  - `accounts_roles` (schema bbbbbbbb)

### Added

- Everything.
"""
NOW = {"users": "aaaaaaaa", "accounts_roles": "bbbbbbbb"}
CHANGED = NOW | {"users": "cccccccc"}


def released(section: str) -> str:
    """The changelog with one more entry on top."""
    return FIRST.replace("## [1.0.0]", f"## Unreleased\n\n{section}\n\n## [1.0.0]")


def test_the_public_face_and_the_tables_are_those_of_the_snapshots_and_the_changelog_tells_of_every_table() -> None:
    """In a process of its own: errors that other tests define would be error codes of the package."""
    pytest.importorskip(
        "zxcvbn_rs_py", reason="the snapshot lists the features that need zxcvbn too: the extra `zxcvbn` is not installed"
    )

    done = subprocess.run(
        [sys.executable, "tools/make_snapshots.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, "\n" + done.stdout + done.stderr


def test_the_digest_of_a_table_follows_its_definition() -> None:
    """Every definition on file has the digest that stands over it, so none is changed by hand."""
    text = (ROOT / "tests" / "snapshots" / "schema.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- table (\S+) \(schema (\w+)\)\n\n", text, flags=re.MULTILINE)[1:]
    found = {name: (said, digest(body.rstrip("\n"))) for name, said, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True)}

    assert len(found) == len(tables(text)) > 10
    assert {name: said for name, (said, now) in found.items() if said != now} == {}
    assert digest("CREATE TABLE a (b INTEGER);") != digest("CREATE TABLE a (b INTEGER NOT NULL);")


def test_a_changelog_that_tells_of_every_table_as_it_is_has_no_problem() -> None:
    assert problems(NOW, FIRST) == []


def test_a_changed_table_is_missed_in_the_changelog_until_it_is_named_as_it_is_now() -> None:
    [problem] = problems(CHANGED, FIRST)

    assert "`users` (schema cccccccc)" in problem
    assert "Migration" in problem
    assert problems(CHANGED, released("### Migration\n\n- `users` (schema cccccccc): `op.create_index(...)`")) == []


def test_a_table_that_changes_twice_before_a_release_is_missed_again() -> None:
    once = released("### Migration\n\n- `users` (schema cccccccc): `op.create_index(...)`")

    [problem] = problems(NOW | {"users": "dddddddd"}, once)

    assert "`users` (schema dddddddd)" in problem


def test_a_change_that_is_named_anywhere_but_under_migration_does_not_count() -> None:
    assert problems(CHANGED, released("### Added\n\n- `users` (schema cccccccc): `op.create_index(...)`"))


def test_a_change_of_a_table_that_an_earlier_release_had_needs_its_migration() -> None:
    [problem] = problems(CHANGED, released("### Migration\n\n- `users` (schema cccccccc) has an index more."))

    assert "op." in problem


def test_a_new_table_needs_no_operations_but_its_name() -> None:
    new = NOW | {"accounts_keys": "eeeeeeee"}

    assert len(problems(new, FIRST)) == 1
    assert problems(new, released("### Migration\n\n- New: `accounts_keys` (schema eeeeeeee).")) == []


def test_a_table_that_is_gone_is_missed_until_the_changelog_says_so() -> None:
    left = {"users": "aaaaaaaa"}

    [problem] = problems(left, FIRST)

    assert "`accounts_roles` (schema removed)" in problem
    assert problems(left, released("### Migration\n\n- `accounts_roles` (schema removed): `op.drop_table(...)`.")) == []
