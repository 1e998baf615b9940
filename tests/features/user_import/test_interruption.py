"""An import that is killed goes on where it stopped, whenever that was: every row is dealt with once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flask_accounts.core.passwords import Argon2Hasher
from flask_accounts.features.user_import.journal import Journal
from tests.conftest import KEY, MakeSite, Site
from tests.features.user_import.conftest import Import, accounts, hashing, told
from tests.security.test_legacy_hashes import MADE

PROGRAM = """
import os, signal, sys
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_accounts import Accounts
from flask_accounts.core.runtime import Runtime

url, key, when, *arguments = sys.argv[1:]
app, db = Flask("host"), SQLAlchemy()
app.config.update(SQLALCHEMY_DATABASE_URI=url, SECRET_KEY=key)
Accounts(db, app)
commits, commit = [], Runtime.commit

def dying(runtime):
    commits.append(None)
    if len(commits) == 4 and when == "before":  # the first notes that the import begins
        os.kill(os.getpid(), signal.SIGKILL)
    commit(runtime)
    if len(commits) == 4 and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)

Runtime.commit = dying
app.cli.main(args=["accounts", "import-users", *arguments], obj=__import__("flask").cli.ScriptInfo(create_app=lambda: app))
"""


def people(number: int) -> list[dict[str, Any]]:
    """Rows of which every seventh is refused."""
    return [{"email": f"p{index}@example.com" if index % 7 else f"bad {index}", "roles": "reader"} for index in range(number)]


@pytest.mark.parametrize(("when", "after"), [("before", 40), ("after", 60)])
def test_an_import_that_is_killed_ends_as_if_it_had_not_been(
    make_site: MakeSite, database_url: str, tmp_path: Path, load: Import, when: str, after: int
) -> None:
    site = make_site()
    path, rejects = tmp_path / "people.jsonl", tmp_path / "rejects.csv"
    path.write_text("".join(json.dumps(row) + "\n" for row in people(130)), encoding="utf-8")
    options = [str(path), "--batch-size", "20", "--create-roles", "--rejects", str(rejects), "--json"]

    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM, database_url, KEY, when, *options], capture_output=True, text=True, check=False,
        env=os.environ, cwd=tmp_path,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    there = {row[0] for row in accounts(site, "email")}
    run = site.app.test_cli_runner().invoke
    asked = run(args=["accounts", "import-users", *options])
    done = run(args=["accounts", "import-users", *options, "--resume"])
    again = run(args=["accounts", "import-users", *options, "--resume"])

    assert there == {row["email"] for row in people(after) if row["email"].startswith("p")}
    assert (asked.exit_code, f"stopped after {after} rows" in asked.output) == (2, True)
    report = told(done)
    assert (report["rows"], report["refused"], report["imported"], report["roles"]) == (130, 19, 111, {"reader": 111})
    assert {row[0] for row in accounts(site, "email")} == {row["email"] for row in people(130) if row["email"].startswith("p")}
    assert told(again) | {"first": []} == report | {"first": []}
    lines = [line.split(",")[0] for line in rejects.read_text(encoding="utf-8").splitlines()[1:]]
    assert lines == [f'"{index + 1}"' for index in range(130) if index % 7 == 0]
    verified = run(args=["accounts", "events", "verify"])
    assert (verified.exit_code, "nothing altered" in verified.output) == (0, True)


def test_rows_repeated_across_the_interruption_are_found(site: Site, load: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"email": "ann@example.com"}, {"email": "bob@example.com"}, {"email": "ANN@example.com"}]
    _interrupt(monkeypatch, site, load, rows)

    report = told(load(rows, "--batch-size", "1", "--json", "--resume"))

    assert [problem["code"] for refusal in report["first"] for problem in refusal["problems"]] == ["email_repeated"]
    assert (report["rows"], report["imported"]) == (3, 2)


def test_begun_anew_it_finds_its_own_rows_taken(site: Site, load: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"email": "ann@example.com"}, {"email": "bob@example.com"}]
    _interrupt(monkeypatch, site, load, rows)

    report = told(load(rows, "--batch-size", "1", "--json", "--restart"))

    assert (report["imported"], report["reasons"]) == (1, {"email_taken": 1})


def test_another_file_or_other_options_are_another_import(site: Site, load: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"email": "ann@example.com"}, {"email": "bob@example.com"}]
    _interrupt(monkeypatch, site, load, rows)

    assert told(load([*rows, {"email": "c@example.com"}], "--json"))["rows"] == 3
    assert told(load(rows, "--json", "--on-conflict", "skip"))["skipped"] == 2
    assert load(rows, "--batch-size", "7").exit_code == 2  # the size of batches makes no other import of it


def test_two_processes_that_go_on_with_the_same_import_do_not_both(
    site: Site, load: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"email": f"p{number}@example.com"} for number in range(4)]
    _interrupt(monkeypatch, site, load, rows)
    begin = Journal.begin

    def overtaken(journal: Journal, **how: bool) -> Any:
        begun = begin(journal, **how)
        monkeypatch.setattr(Journal, "begin", begin)
        assert told(load(rows, "--batch-size", "1", "--json", "--resume"))["imported"] == 4
        return begun

    monkeypatch.setattr(Journal, "begin", overtaken)
    done = load(rows, "--batch-size", "1", "--resume")

    assert (done.exit_code, "Another process goes on with this import." in done.output) == (1, True)
    assert len(accounts(site, "email")) == 4


def test_an_import_that_stopped_before_its_first_batch_just_begins(
    make_site: MakeSite, load: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = hashing(make_site(), Argon2Hasher(memory_cost=64, time_cost=1))
    rows = [{"email": "ann@example.com", "password": made["hash"]} for made in MADE["hashes"]["Flask-Security-Too"]["vectors"][:1]]
    assert load(rows, "--from", "flask-security", on=site).exit_code == 2  # no salt is set

    hashing(site)

    assert told(load(rows, "--from", "flask-security", "--json", on=site))["imported"] == 1


def test_an_interruption_by_hand_says_how_to_go_on(site: Site, load: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    done = _interrupt(monkeypatch, site, load, [{"email": "ann@example.com"}, {"email": "bob@example.com"}])

    assert (done.exit_code, "--resume goes on where it stopped" in done.output) == (1, True)


def test_how_far_an_import_has_come_is_forgotten_after_a_month(site: Site, load: Import) -> None:
    load([{"email": "ann@example.com"}])
    purge = ["accounts", "purge", "--json"]

    assert json.loads(site.app.test_cli_runner().invoke(args=purge).output) == {"deleted": 0}
    site.testing.clock.move(days=31)
    assert json.loads(site.app.test_cli_runner().invoke(args=purge).output) == {"deleted": 1}


def _interrupt(monkeypatch: pytest.MonkeyPatch, site: Site, load: Import, rows: list[dict[str, Any]]) -> Any:
    """Import the first row, and no more."""
    advance = Journal.advance
    seen: list[None] = []

    def interrupted(journal: Journal, *args: Any, **kwargs: Any) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(None)
        advance(journal, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "advance", interrupted)
        done = load(rows, "--batch-size", "1")
    assert len(accounts(site, "email")) == 1
    return done
