"""What the events of a session's life say: whose it is, who did it, whence and when. Whoever looks into a theft has nothing else."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

import pytest

from flask_accounts import Client
from flask_accounts.core.events import Event
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.features.mfa.tools import ANN, asked, enrolled
from tests.security.forging import claims_of

HERE = Client("203.0.113.9", "Firefox/1")
THERE = Client("198.51.100.7", "curl/8.0")

pytestmark = pytest.mark.requirement("ASVS 16.3.1")


def post(site: Site, path: str, token: str | None = None, *, client: Client = HERE, **body: Any) -> Any:
    headers = {"User-Agent": client.user_agent or ""} | (bearer(token) if token else {})
    where = {"REMOTE_ADDR": client.address or ""}
    return site.client.post(f"/api/auth/{path}", json=body or None, headers=headers, environ_base=where)


def said(event: Event) -> tuple[str, dict[str, Any]]:
    """The event's name, and what it says."""
    values = {each.name: getattr(event, each.name) for each in dataclasses.fields(event)}
    return event.name, {name: value for name, value in values.items() if value is not None}


def session_of(tokens: dict[str, Any]) -> UUID:
    return UUID(claims_of(tokens["access_token"])["sid"])


def one_after_another(site: Site, number: int) -> list[dict[str, Any]]:
    """Sign-ins a second apart: which is the oldest is left to chance where they share a moment."""
    found = []
    for _ in range(number):
        found.append(post(site, "login", email=ANN, password=PASSWORD).get_json())
        site.testing.clock.move(seconds=1)
    return found


def test_a_session_from_its_beginning_to_its_end(site: Site) -> None:
    ann = site.user(ANN)
    with site.testing.recorded() as events:
        tokens = post(site, "login", email=ANN, password=PASSWORD).get_json()
        tokens = post(site, "refresh", tokens["refresh_token"]).get_json()
        post(site, "reauthenticate", tokens["access_token"], password=PASSWORD)
        post(site, "logout", tokens["access_token"])
        post(site, "logout", tokens["access_token"])

    act = {
        "user_id": ann.id, "actor_id": ann.id, "client": HERE, "at": site.testing.clock.now(), "session_id": session_of(tokens),
    }  # fmt: skip
    assert [said(event) for event in events] == [
        ("session.opened", act | {"amr": ("pwd",)}),
        ("session.refreshed", act),
        ("session.reauthenticated", act | {"method": "password"}),
        ("session.ended", act | {"reason": "logout"}),
    ]


@pytest.mark.requirement("ASVS 16.3.3")
def test_reuse_is_told_with_where_the_copy_came_from_and_once(site: Site) -> None:
    ann = site.user(ANN)
    stolen = post(site, "login", email=ANN, password=PASSWORD).get_json()
    post(site, "refresh", stolen["refresh_token"])
    site.testing.clock.move(seconds=11)

    with site.testing.recorded() as events:
        for _ in range(2):
            post(site, "refresh", stolen["refresh_token"], client=THERE)

    act = {"user_id": ann.id, "client": THERE, "at": site.testing.clock.now(), "session_id": session_of(stolen)}
    assert [said(event) for event in events] == [("session.reuse_detected", act), ("session.ended", act | {"reason": "reuse"})]


def test_a_refresh_after_logout_and_a_repeat_are_no_reuse(site: Site) -> None:
    """Else every second tab is an alarm, and nobody heeds the real one."""
    site.user(ANN)
    tokens = post(site, "login", email=ANN, password=PASSWORD).get_json()
    newest = post(site, "refresh", tokens["refresh_token"]).get_json()

    with site.testing.recorded() as events:
        assert post(site, "refresh", tokens["refresh_token"]).status_code == 200
        post(site, "logout", newest["access_token"])
        site.testing.clock.move(seconds=11)
        for each in (tokens, newest):
            assert post(site, "refresh", each["refresh_token"]).status_code == 401

    assert [event.name for event in events] == ["session.ended"]


def test_ending_all_others_tells_of_each_and_not_of_what_stays_or_is_somebody_elses(site: Site) -> None:
    ann = site.user(ANN)
    here, *others, left = one_after_another(site, 4)
    post(site, "logout", left["access_token"])
    site.client_for(site.user("ben@example.com"))

    with site.testing.recorded() as events:
        site.client.delete("/api/auth/sessions", headers=bearer(here["access_token"]))

    assert {said(event)[1]["session_id"] for event in events} == {session_of(other) for other in others}
    assert [(event.user_id, said(event)[1]["reason"]) for event in events] == [(ann.id, "revoked")] * 2


def test_the_row_of_a_session_says_when_and_why_it_ended(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_SESSIONS_MAX_PER_USER": 4})
    ann = site.user(ANN)
    by_limit, left, revoked, reused = one_after_another(site, 4)
    now = site.testing.clock.now()
    post(site, "login", email=ANN, password=PASSWORD)
    post(site, "refresh", reused["refresh_token"])
    post(site, "logout", left["access_token"])
    site.client.delete(f"/api/auth/sessions/{session_of(revoked)}", headers=bearer(reused["access_token"]))
    site.testing.clock.move(seconds=11)
    post(site, "refresh", reused["refresh_token"])

    with site.app.app_context():
        rows = site.testing.runtime.sessions.export(ann.id)
    ended = {UUID(row["id"]): (row["end_reason"], row["ended_at"]) for row in rows if row["ended_at"]}
    then, later = (moment.isoformat().replace("+00:00", "Z") for moment in (now, site.testing.clock.now()))
    assert ended == {
        session_of(by_limit): ("limit", then),
        session_of(left): ("logout", then),
        session_of(revoked): ("revoked", then),
        session_of(reused): ("reuse", later),
    }


def test_the_oldest_session_that_makes_room_is_told_as_such(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_SESSIONS_MAX_PER_USER": 2})
    ann = site.user(ANN)
    oldest, _ = one_after_another(site, 2)

    with site.testing.recorded() as events:
        post(site, "login", email=ANN, password=PASSWORD)

    ended = {"user_id": ann.id, "at": site.testing.clock.now(), "session_id": session_of(oldest), "reason": "limit"}
    assert [said(event) for event in events if event.name == "session.ended"] == [("session.ended", ended)]


def test_a_sign_in_that_waits_and_the_wrong_answers_to_it(site: Site) -> None:
    ann = enrolled(site)
    wrong = ann.phone.wrong()
    site.testing.runtime.factor_counts = ()  # the count per account would stop it as soon

    with site.testing.recorded() as events:
        token = post(site, "login", email=ANN, password=PASSWORD).get_json()["challenge_token"]
        for _ in range(5):
            post(site, "challenge", client=THERE, challenge_token=token, method="totp", code=wrong)

    now = site.testing.clock.now()
    there = {"user_id": ann.user.id, "client": THERE, "at": now}
    refused = ("session.refused", there | {"reason": "INVALID_CREDENTIALS"})
    assert [said(event) for event in events] == [
        ("session.challenged", {"user_id": ann.user.id, "client": HERE, "at": now, "challenges": ("totp", "recovery_code")}),
        *[refused] * 4,
        ("session.second_factor_failed", there | {"factor": "totp"}),
        refused,
    ]


def test_what_is_refused_after_a_right_credential(site: Site) -> None:
    ann = enrolled(site)
    token = asked(site)
    with site.app.app_context():
        site.accounts.users.disable(ann.user.id)
        site.db.session.commit()

    with site.testing.recorded() as events:
        post(site, "login", email=ANN, password=PASSWORD)
        post(site, "challenge", challenge_token=token, method="totp", code=ann.phone.next())

    told = [said(event) for event in events]
    assert [name for name, _ in told] == ["session.refused"] * 2
    for _, values in told:
        assert (values["user_id"], values["client"], values["reason"]) == (ann.user.id, HERE, "ACCOUNT_DISABLED")


def test_a_sign_in_that_was_overtaken_is_told_of_its_account(site: Site) -> None:
    """Here by a second factor, which the statement that locks the account did not see yet."""
    ann = enrolled(site)
    facts_in = site.testing.runtime.facts_in
    missed = {"factor_totp": None, "factor_recovery_code": None}
    site.testing.runtime.facts_in = lambda row: facts_in(row) | missed  # type: ignore[method-assign]  # a double

    with site.testing.recorded() as events:
        post(site, "login", email=ANN, password=PASSWORD)

    (name, values), *rest = (said(event) for event in events)
    assert (name, rest) == ("session.refused", [])
    assert (values["user_id"], values["client"], values["reason"]) == (ann.user.id, HERE, "INVALID_CREDENTIALS")


@pytest.mark.requirement("ASVS 16.4.1")
def test_of_an_address_and_a_browsers_name_what_fits_is_kept_and_what_breaks_lines_is_not(site: Site) -> None:
    ann = site.user(ANN)
    longest = "0000:0000:0000:0000:0000:ffff:255.255.255.255"
    with site.app.app_context():
        sessions, now = site.testing.runtime.sessions, site.testing.clock.now()
        for agent, kept in (("x" * 255, "x" * 255), ("x" * 256, "x" * 255), ("a\r\nb\x00\x1b[31m\u202ec", "ab[31mc"), (None, None)):
            opened = sessions.open(ann.id, client=Client(longest, agent), amr=("pwd",), now=now)
            assert opened is not None
            assert (opened.ip_address, opened.user_agent) == (longest, kept)
        over = sessions.open(ann.id, client=Client(longest + "6", None), amr=("pwd",), now=now)

    assert over is not None
    assert over.ip_address == longest
