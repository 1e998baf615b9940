"""flask accounts events: list, follow, seal, verify."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import Result

from flask_accounts.features.audit import cli
from tests.conftest import Site
from tests.features.audit.tools import change, restart, rows, table


def run(site: Site, *arguments: str) -> Result:
    return site.app.test_cli_runner().invoke(args=["accounts", *arguments])


def test_events_lists_oldest_first_and_narrows(site: Site) -> None:
    ann = site.user("ann@example.com", username="ann")
    site.login("ann@example.com", "not the password")
    site.admin()

    assert run(site, "events").output.splitlines()[0].split() == [
        "AT",
        "EVENT",
        "OUTCOME",
        "SUBJECT",
        "ACTOR",
        "ADDRESS",
        "DETAILS",
    ]
    listed = json.loads(run(site, "events", "--user", "ann", "--json").output)
    assert [event["event"] for event in listed] == ["user.registered", "session.refused"]
    assert listed[0]["details"] == {"email": "ann@example.com"}
    assert len(json.loads(run(site, "events", "--outcome", "failure", "--json").output)) == 1
    assert len(json.loads(run(site, "events", "list", "--event", "roles.changed", "--json").output)) == 1
    assert len(json.loads(run(site, "events", "--limit", "2", "--json").output)) == 2
    assert json.loads(run(site, "events", "--actor", str(ann.id), "--json").output) == []
    assert json.loads(run(site, "events", "--after", "2999-01-01", "--json").output) == []
    assert run(site, "events", "--user", "no such one").exit_code == 1


def test_events_of_a_deleted_account_are_listed_by_its_id(site: Site) -> None:
    ann = site.user("ann@example.com")
    with site.app.app_context():
        site.accounts.users.delete(ann.id)
        site.db.session.commit()

    listed = json.loads(run(site, "events", "--user", str(ann.id), "--json").output)

    assert [event["event"] for event in listed] == ["user.registered", "user.deleted"]


def test_follow_prints_what_commits_also_late_and_each_once_until_interrupted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.user("before@example.com")
    late: list[dict[str, Any]] = []

    def first() -> None:
        site.user("one@example.com")
        site.user("late@example.com")
        site.user("two@example.com")
        late.append(rows(site)[-2])
        change(site, table(site).delete().where(table(site).c.id == late[0]["id"]))

    def second() -> None:
        site.testing.clock.move(seconds=30)
        change(site, table(site).insert().values(late[0]))

    def third() -> None:
        pass

    def fourth() -> None:
        raise KeyboardInterrupt

    waits = iter([first, second, third, fourth])
    monkeypatch.setattr(cli, "pause", lambda: next(waits)())

    result = run(site, "events", "--follow", "--limit", "0", "--json")

    assert result.exit_code == 0
    printed = [json.loads(line)["details"]["email"] for line in result.output.splitlines()]
    assert printed == ["one@example.com", "two@example.com", "late@example.com"]


def test_verify_says_what_is_wrong_and_fails(site: Site) -> None:
    for _ in range(3):
        site.user()
    assert run(site, "events", "verify").output == "3 events in 1 chains, 0 seals: nothing altered or removed.\n"

    change(site, table(site).delete().where(table(site).c.id == rows(site)[1]["id"]))
    result = run(site, "events", "verify")

    assert result.exit_code == 1
    assert result.output.startswith("removed: Events between number 1 and 3 of chain ")
    told = json.loads(run(site, "events", "verify", "--json").output)
    assert (told["ok"], [finding["code"] for finding in told["findings"]]) == (False, ["removed"])


def test_seal_prints_a_receipt_that_verify_takes(site: Site) -> None:
    site.user()
    receipt = run(site, "events", "seal").output.strip()
    told = json.loads(run(site, "events", "seal", "--json").output)

    assert receipt.startswith("1:")
    assert told["seal"] == 2
    assert run(site, "events", "verify", "--receipt", receipt).exit_code == 0
    assert run(site, "events", "verify", "--receipt", "3:" + "00" * 32).exit_code == 1
    assert run(site, "events", "verify", "--receipt", "x").exit_code == 2


def test_purge_seals_and_counts(site: Site) -> None:
    site.user(email_verified=True)
    site.testing.clock.move(days=400)
    restart(site)

    assert run(site, "purge").output == "Deleted 1 row.\n"
    assert run(site, "events", "verify").exit_code == 0
