"""Every event is a row of its own transaction, read newest first by those who may."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flask_accounts import UserMixin
from flask_accounts.core.events import Client, PasswordChanged, event_types
from flask_accounts.features.audit.service import EventQuery
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.features.audit.tools import change, rows, service, table


def test_a_sign_in_leaves_who_when_whence_and_how(site: Site) -> None:
    ann = site.user("ann@example.com")

    site.login("ann@example.com", headers={"User-Agent": "Firefox/1"}, environ_base={"REMOTE_ADDR": "203.0.113.9"})

    row = rows(site)[-1]
    assert (row["name"], row["outcome"]) == ("session.opened", "success")
    assert (row["subject"], row["actor"]) == (str(ann.id), str(ann.id))
    assert (row["address"], row["user_agent"]) == ("203.0.113.9", "Firefox/1")
    assert row["at"] == site.testing.clock.now()
    assert row["session_id"] is not None
    assert json.loads(row["details"]) == {"amr": ["pwd"]}


def test_every_event_of_the_suite_becomes_a_row_on_every_database(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url)
    ann, admin = site.user("ann@example.com"), site.admin()
    chief = site.client_for(admin)

    with site.testing.recorded() as events:
        client = site.client_for(ann)
        client.get("/api/users/events")
        client.post("/api/auth/password/change", json={"current_password": PASSWORD, "new_password": "nine purple newts"})
        client.patch("/api/auth/me", json={"username": "ann"})
        chief.post(f"/api/users/{ann.id}/disable", json={"reason": "left"})
        chief.post(f"/api/users/{ann.id}/enable")
        chief.delete(f"/api/users/{ann.id}")

    assert len(events) >= 8
    assert [row["name"] for row in rows(site)][-len(events) :] == [event.name for event in events]


def test_what_is_rolled_back_leaves_no_row(site: Site) -> None:
    before = len(rows(site))

    with site.app.app_context():
        site.accounts.users.create("ann@example.com")
        site.db.session.rollback()

    assert len(rows(site)) == before


def test_an_act_in_a_request_has_its_caller_and_client_also_where_host_code_names_none(site: Site) -> None:
    admin = site.admin()

    site.client_for(admin).post(
        "/api/users/roles",
        json={"name": "editor"},
        headers={"User-Agent": "Firefox/1"},
        environ_base={"REMOTE_ADDR": "203.0.113.9"},
    )

    row = rows(site, "role.saved")[-1]
    assert (row["actor"], row["address"], row["user_agent"]) == (str(admin.id), "203.0.113.9", "Firefox/1")
    assert row["session_id"] == rows(site, "session.opened")[-1]["session_id"]


def test_a_key_of_the_hosts_own_type_is_kept_as_text(make_site: MakeSite) -> None:
    site = make_site(user_key="uuid7")
    ann = site.user("ann@example.com")

    answer = site.client_for(ann).get("/api/auth/me/events")

    assert rows(site)[0]["subject"] == str(ann.id)
    assert [event["event"] for event in answer.get_json()["events"]] == ["session.opened", "user.registered"]


# Cost


def test_a_sign_in_costs_one_insert_more_and_a_refresh_nothing(site: Site) -> None:
    site.user("ann@example.com")
    tokens = site.tokens("ann@example.com")  # the first of an app may read more

    site.statements.clear()
    tokens = site.tokens("ann@example.com")
    assert len(site.statements) == 4
    assert [text for text in site.statements if "accounts_events" in text] == [site.statements[-1]]
    assert site.statements[-1].startswith("INSERT")

    site.statements.clear()
    site.client.post("/api/auth/refresh", headers=bearer(tokens["refresh_token"]))
    assert len(site.statements) == 2

    site.statements.clear()
    site.client.get("/api/auth/me", headers=bearer(tokens["access_token"]))
    assert len(site.statements) == 1


def test_refreshes_have_rows_where_that_is_asked_for(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_AUDIT_RECORD_REFRESHES": True})
    site.user("ann@example.com")
    tokens = site.tokens("ann@example.com")

    site.client.post("/api/auth/refresh", headers=bearer(tokens["refresh_token"]))

    assert rows(site)[-1]["name"] == "session.refreshed"


def test_a_page_costs_one_statement_at_any_depth(site: Site) -> None:
    admin = site.client_for(site.admin())
    cursor = ""

    for _ in range(3):
        site.statements.clear()
        body = admin.get(f"/api/users/events?per_page=1&cursor={cursor}").get_json()
        cursor = body["next_cursor"]

        assert len(site.statements) == 2  # who is calling, and the page
        assert "count(" not in site.statements[-1].lower()
    assert "accounts_events.id <" in site.statements[-1]  # by key, not by an offset


# Lists


def test_pages_come_newest_first_and_hold_every_event_once(site: Site) -> None:
    for _ in range(5):
        site.user()
    admin = site.client_for(site.admin())
    found: list[Any] = []
    cursor: str | None = ""

    while cursor is not None:
        body = admin.get(f"/api/users/events?per_page=2&cursor={cursor}").get_json()
        assert len(body["events"]) <= 2
        found += body["events"]
        cursor = body["next_cursor"]

    assert [event["id"] for event in found] == [str(row["id"]) for row in reversed(rows(site))]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("event=session.refused", ["session.refused"]),
        ("event=session.refused,user.registered", ["session.refused", "user.registered"]),
        ("outcome=failure", ["session.refused"]),
        ("outcome=success", ["session.opened", "user.registered"]),
        ("event=no.such", []),
    ],
)
def test_own_events_are_narrowed_by_name_and_outcome(site: Site, query: str, names: list[str]) -> None:
    ann = site.user("ann@example.com")
    site.login("ann@example.com", "not the password")

    events = site.client_for(ann).get(f"/api/auth/me/events?{query}").get_json()["events"]

    assert [event["event"] for event in events] == names


def test_events_are_narrowed_by_time_the_start_included(site: Site) -> None:
    ann = site.user("ann@example.com")
    site.testing.clock.move(hours=1)
    start = site.testing.clock.now()
    site.login("ann@example.com")
    site.testing.clock.move(hours=1)
    end = site.testing.clock.now()
    client = site.client_for(ann)

    def names(**query: str) -> list[str]:
        return [event["event"] for event in client.get("/api/auth/me/events", query_string=query).get_json()["events"]]

    assert names(after=start.isoformat(), before=end.isoformat()) == ["session.opened"]
    assert names(before=start.isoformat()) == ["user.registered"]
    assert names(after=(end + timedelta(microseconds=1)).isoformat()) == []


def test_administrators_narrow_by_actor(site: Site) -> None:
    ann, admin = site.user("ann@example.com"), site.admin()
    site.login("ann@example.com")
    client = site.client_for(admin)

    of_ann = client.get(f"/api/users/events?actor={ann.id}").get_json()["events"]

    assert {event["actor_id"] for event in of_ann} == {str(ann.id)}
    assert client.get("/api/users/events?actor=x%20y").status_code == 400


@pytest.mark.parametrize(
    "query",
    ["per_page=0", "per_page=101", "per_page=x", "cursor=x", "cursor=AAAA", "event=", "event=A%20B", "event=" + ",".join(["a"] * 21),
     "outcome=maybe", "after=yesterday", "before=2026-01-01", "page=1", "actor="],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_refused(site: Site, query: str) -> None:
    answer = site.client_for(site.admin()).get(f"/api/users/events?{query}")

    assert answer.status_code == 400
    assert answer.get_json()["code"] == "VALIDATION_ERROR"


def test_a_time_at_the_end_of_the_calendar_is_no_fault(site: Site) -> None:
    client = site.client_for(site.admin())

    for at in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59"):
        assert client.get(f"/api/users/events?after={at}").status_code in (200, 400)
        assert client.get(f"/api/users/events?before={at}").status_code in (200, 400)


def test_the_events_of_one_account_are_there_also_when_it_is_gone(site: Site) -> None:
    ann, admin = site.user("ann@example.com"), site.client_for(site.admin())
    site.user("bob@example.com")
    admin.delete(f"/api/users/{ann.id}")

    answer = admin.get(f"/api/users/{ann.id}/events")

    assert [event["event"] for event in answer.get_json()["events"]] == ["user.deleted", "user.registered"]
    assert admin.get("/api/users/no-key/events").status_code == 404


def test_a_new_account_that_is_given_an_old_key_does_not_see_its_predecessors_events(site: Site) -> None:
    ann = site.user("ann@example.com")
    site.testing.clock.move(minutes=1)
    bob = site.user("bob@example.com")
    events = table(site)
    change(site, events.update().where(events.c.subject == str(ann.id)).values(subject=str(bob.id)))

    own = site.client_for(bob).get("/api/auth/me/events").get_json()["events"]
    admins = site.client_for(site.admin()).get(f"/api/users/{bob.id}/events").get_json()["events"]

    assert [event["event"] for event in own] == ["session.opened", "user.registered"]
    assert {event["id"] for event in admins} == {event["id"] for event in own}


def test_ids_rise_while_the_clock_stands_still_and_follow_it_when_it_is_set_back(site: Site) -> None:
    ticks = service(site)._ticks
    now = datetime(2026, 1, 1, tzinfo=UTC)

    same = [ticks.next(now) for _ in range(3)]
    assert same == sorted(set(same))
    assert ticks.next(now - timedelta(seconds=5)) == same[-1] + 1
    assert ticks.next(now - timedelta(days=1)) < same[0]


def test_details_keep_plain_data_only_and_nothing_named_like_a_secret(site: Site) -> None:
    from flask_accounts.features.audit.record import details_of

    kinds = {kind.name: kind for kind in event_types()}
    assert not [kind.name for kind in kinds.values() if set(kind.lasting) - set(kind.__dataclass_fields__)]

    found = details_of(kinds["session.refused"](reason="X", login="a\r\nb\x1b[31m\u2028c"))  # type: ignore[call-arg]
    assert found.lasting == {"reason": "X"}
    assert found.personal == {"login": "ab[31mc"}


def test_host_code_without_a_request_is_nobody_known(site: Site) -> None:
    ann = site.user("ann@example.com")

    with site.app.app_context():
        site.testing.runtime.events.emit(PasswordChanged(user_id=ann.id, client=Client("192.0.2.1")))
        site.db.session.commit()
        found = service(site).page(EventQuery(("password.changed",)), limit=5)

    assert [(record.subject, record.actor, record.address) for record in found] == [(str(ann.id), None, "192.0.2.1")]


def test_without_the_feature_there_is_neither_table_nor_route(make_site: MakeSite) -> None:
    from flask_accounts.extension import default_features

    site = make_site(features=[feature for feature in default_features() if feature.name != "audit"])

    assert not [name for name in site.db.metadata.tables if "event" in name]
    assert site.client_for(site.admin()).get("/api/auth/me/events").status_code == 404


def test_a_user_class_with_a_text_key_works(make_site: MakeSite) -> None:
    import sqlalchemy as sa
    from flask_sqlalchemy import SQLAlchemy
    from sqlalchemy.orm import mapped_column

    def setup(db: SQLAlchemy) -> dict[str, Any]:
        class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
            __tablename__ = "people"
            id = mapped_column(sa.String(36), primary_key=True, default=lambda: str(uuid.uuid4()))

        return {"user_model": Person}

    site = make_site(setup=setup)
    ann = site.user("ann@example.com")

    events = site.client_for(ann).get("/api/auth/me/events").get_json()["events"]

    assert [event["event"] for event in events] == ["session.opened", "user.registered"]
