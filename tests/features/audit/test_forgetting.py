"""Erasure and retention take what the law wants gone, and the rest still verifies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flask_accounts.core.events import Client, SignInFailed
from tests.conftest import MakeSite, Site
from tests.features.audit.tools import SEALS, change, codes, purge, restart, rows, seal, service, table

HERE: dict[str, Any] = {"headers": {"User-Agent": "Firefox/1"}, "environ_base": {"REMOTE_ADDR": "203.0.113.9"}}


def test_deleting_an_account_takes_what_is_personal_out_of_its_events_and_leaves_the_rest(
    make_site: MakeSite, every_database_url: str
) -> None:
    site = make_site(url=every_database_url)
    ann = site.user("ann@example.com")
    site.login("ann@example.com", "not the password", **HERE)
    client = site.client_for(ann)
    client.get("/api/users/events", **HERE)
    before = [(row["id"], row["at"], row["name"], row["subject"], row["mac"]) for row in rows(site)]

    assert client.delete("/api/auth/me", **HERE).status_code == 204

    of_ann = [row for row in rows(site) if row["subject"] == str(ann.id)]
    assert [row["name"] for row in of_ann][-1] == "user.deleted"
    for row in of_ann:
        assert (row["address"], row["user_agent"], row["personal"]) == (None, None, None)
        assert (row["client_salt"], row["personal_salt"]) == (None, None)
    assert [(row["id"], row["at"], row["name"], row["subject"], row["mac"]) for row in rows(site)][:-1] == before
    assert "ann@" not in str(rows(site))
    assert "203.0.113" not in str(rows(site))
    assert codes(site) == []


def test_what_an_administrator_did_keeps_his_address_and_loses_the_accounts_data(site: Site) -> None:
    admin = site.client_for(site.admin())
    made = admin.post("/api/users/", json={"email": "ann@example.com", "password": "seven brown foxes"}, **HERE).get_json()

    admin.delete(f"/api/users/{made['id']}", **HERE)

    registered, deleted = rows(site, "user.registered")[-1], rows(site, "user.deleted")[-1]
    assert (registered["address"], registered["personal"]) == ("203.0.113.9", None)
    assert deleted["address"] == "203.0.113.9"
    assert codes(site) == []


def test_deleting_an_administrator_leaves_the_data_of_those_he_dealt_with(site: Site) -> None:
    site.admin("other@example.com")
    admin = site.admin()
    site.client_for(admin).post("/api/users/", json={"email": "ann@example.com", "password": "seven brown foxes"}, **HERE)

    with site.app.app_context():
        site.accounts.users.delete(admin.id)
        site.db.session.commit()

    row = rows(site, "user.registered")[-1]
    assert row["address"] is None
    assert "ann@example.com" in row["personal"]
    assert codes(site) == []


def test_a_failed_sign_in_that_commits_while_its_account_is_deleted_is_erased_by_the_next_purge(site: Site) -> None:
    ann = site.user("ann@example.com")
    audit = service(site)
    with site.app.app_context():
        now = site.testing.clock.now()
        audit.record(SignInFailed(user_id=ann.id, client=Client("203.0.113.9"), at=now, reason="X", login="ann@example.com"))
        late = site.db.session.execute(table(site).select().order_by(table(site).c.id.desc())).mappings().first()
        assert late
        values = dict(late)
        site.db.session.rollback()
        site.accounts.users.delete(ann.id)
        site.db.session.commit()
    change(site, table(site).insert().values(values))

    purge(site)

    row = next(row for row in rows(site) if row["id"] == values["id"])
    assert (row["address"], row["personal"]) == (None, None)


def test_what_is_typed_as_the_name_of_no_account_is_kept_as_a_tag_only(site: Site) -> None:
    for typed in ("my secret passphrase", "My Secret Passphrase", "something else"):
        site.client.post("/api/auth/login", json={"username": typed, "password": "x"})

    tags = [row["details"] for row in rows(site, "session.refused")]
    assert "passphrase" not in str(rows(site))
    assert tags[0] == tags[1] != tags[2]


def test_a_host_may_keep_what_is_typed(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_AUDIT_RECORD_UNKNOWN_LOGINS": True})

    site.login("nobody@example.com")

    assert "nobody@example.com" in rows(site)[-1]["personal"]


# Retention


def test_purge_deletes_what_is_past_its_retention_and_the_rest_verifies(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url, config={"ACCOUNTS_AUDIT_RETENTION_DAYS": 30})
    site.user("ann@example.com")
    for _ in range(60):
        site.login("ann@example.com", "not the password")
        site.testing.clock.move(minutes=30)  # one chain: it never lies idle for long
    seal(site)
    site.testing.clock.move(days=29, hours=12)
    site.login("ann@example.com")
    start = site.testing.clock.now()

    for _ in range(2):
        purge(site)
        assert codes(site) == []

    left = rows(site)
    assert 0 < len(left) < 60
    assert all(start - row["at"] <= timedelta(days=30) for row in left)
    assert left[0]["number"] > 1  # cut in the middle of a chain
    site.testing.clock.move(days=1)
    purge(site)
    assert [row["name"] for row in rows(site)] == ["session.opened"]
    site.testing.clock.move(days=365)
    purge(site)
    assert rows(site) == []
    assert codes(site) == []


def test_nothing_is_purged_where_events_are_kept_for_good(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_AUDIT_RETENTION_DAYS": 0})
    site.user("ann@example.com")
    site.testing.clock.move(days=10_000)

    purge(site)

    assert len(rows(site)) == 1


def test_purging_does_not_cover_up_what_was_removed_before(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_AUDIT_RETENTION_DAYS": 30})
    site.user("old@example.com")
    site.testing.clock.move(days=29)
    site.user("ann@example.com")
    seal(site)
    restart(site)
    events = table(site)
    change(site, events.delete().where(events.c.id == rows(site)[-1]["id"]))
    assert codes(site) == ["removed"]

    site.testing.clock.move(days=2)
    purge(site)

    assert len(rows(site)) == 0
    assert codes(site) == ["removed"]


def test_purging_merges_the_seals_and_an_old_receipt_still_serves(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_AUDIT_RETENTION_DAYS": 30})
    site.user("ann@example.com")
    old = seal(site)
    site.testing.clock.move(days=31)
    site.user("bob@example.com")
    seal(site)

    purge(site)

    assert [row["number"] for row in _seals(site)] == [3]
    assert codes(site, receipt=old) == []
    assert codes(site, receipt="9:" + "00" * 32) == ["receipt_unknown"]


@pytest.mark.parametrize("days", [-1, 0.5, "x"])
def test_a_retention_that_makes_no_sense_is_refused_at_start(make_site: MakeSite, days: Any) -> None:
    from flask_accounts import ConfigurationError

    with pytest.raises(ConfigurationError, match="ACCOUNTS_AUDIT_RETENTION_DAYS"):
        make_site(config={"ACCOUNTS_AUDIT_RETENTION_DAYS": days})


def _seals(site: Site) -> list[Any]:
    seals = table(site, SEALS)
    with site.app.app_context():
        return list(site.db.session.execute(seals.select().order_by(seals.c.number)).mappings())
