"""Inviting, listing, sending again, withdrawing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from flask_accounts.core.events import Event, InvitationSent, InvitationWithdrawn
from flask_accounts.core.mail import MailRoom, MailSettings
from tests.conftest import MakeSite, Site
from tests.features.invitations.tools import (
    INVITATIONS,
    VOID,
    accept,
    code,
    invite,
    invited,
    look,
    make_role,
    statuses,
    token_in,
)


def test_an_invitation_is_answered_and_mailed_with_its_token_in_the_mail_alone(site: Site, boss: FlaskClient) -> None:
    make_role(site)
    now = site.testing.clock.now()

    answer = boss.post(INVITATIONS, json={"email": "Ann@Example.com", "roles": ["editor", "editor"]})

    assert answer.status_code == 201
    shown = answer.get_json()
    assert {name: shown[name] for name in ("email", "roles", "language", "status", "accepted_at", "accepted_user", "withdrawn_at")} == {
        "email": "ann@example.com", "roles": ["editor"], "language": None, "status": "open", "accepted_at": None,
        "accepted_user": None, "withdrawn_at": None,
    }  # fmt: skip
    assert shown["expires_at"] == (now + timedelta(days=7)).isoformat().replace("+00:00", "Z")
    assert boss.get(f"{INVITATIONS}/{shown['id']}").get_json() == shown
    [mail] = site.testing.outbox
    assert (mail.kind, mail.to) == ("invitation", "ann@example.com")
    assert token_in(mail) not in answer.text


def test_the_mail_leads_to_the_page_of_the_front_end_and_says_how_long_it_is_good(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_MAIL_BASE_URL": "https://app.example.com/account"})
    token = invited(site, site.client_for(site.admin()))

    mail = site.testing.outbox[-1]

    for text in (mail.text, mail.html or ""):
        assert f"https://app.example.com/account/accept-invitation#token={token}" in text
        assert "7 days" in text


def test_without_a_base_url_the_mail_holds_the_token_to_copy(site: Site, boss: FlaskClient) -> None:
    token = invited(site, boss)

    mail = site.testing.outbox[-1]

    assert "Copy this token" in mail.text
    assert token in (mail.html or "")
    assert "http" not in mail.text


@pytest.mark.parametrize(
    ("asked", "headers", "subject"),
    [
        (None, {}, "You are invited to host"),
        (None, {"Accept-Language": "de"}, "Einladung zu host"),
        ("fr-CA", {"Accept-Language": "de"}, "Invitation à host"),
        ("xx", {"Accept-Language": "de"}, "Einladung zu host"),
    ],
)
def test_the_mail_is_in_the_language_asked_for_else_in_that_of_the_request(
    site: Site, boss: FlaskClient, asked: str | None, headers: dict[str, str], subject: str
) -> None:
    boss.post(INVITATIONS, json={"email": "ann@example.com", "language": asked}, headers=headers)

    assert site.testing.outbox[-1].subject == subject


def test_a_short_lifetime_is_said_in_minutes(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_INVITATIONS_LIFETIME": timedelta(hours=24)})

    token = invited(site, site.client_for(site.admin()))

    assert "1440 minutes" in site.testing.outbox[-1].text
    site.testing.clock.move(hours=24)
    assert code(look(site, token)) == VOID


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        ({}, "email", "missing"),
        ({"email": "nothing"}, "email", "email_invalid"),
        ({"email": "ann@example.com", "roles": ["nobody"]}, "roles", "role_unknown"),
        ({"email": "ann@example.com", "roles": ["editor "]}, "roles", "role_unknown"),
        ({"email": "ann@example.com", "language": "d"}, "language", "string_pattern_mismatch"),
        ({"email": "ann@example.com", "trusted": True}, "trusted", "extra_forbidden"),
        ({"email": "ann@example.com", "expires_at": "2100-01-01T00:00:00Z"}, "expires_at", "extra_forbidden"),
        ({"email": "ann@example.com", "invited_by": 1}, "invited_by", "extra_forbidden"),
    ],
)
def test_an_unfit_invitation_is_refused_by_name(
    site: Site, boss: FlaskClient, body: dict[str, Any], field: str, problem: str
) -> None:
    make_role(site)

    answer = boss.post(INVITATIONS, json=body)

    assert code(answer) == (400, "VALIDATION_ERROR")
    assert [(found["field"], found["code"]) for found in answer.get_json()["errors"]] == [(field, problem)]
    assert site.testing.outbox == []


@pytest.mark.parametrize("email", ["ann@example.com", "ANN@example.com", "ａｎｎ@example.com"])
def test_whoever_has_an_account_is_not_invited(site: Site, boss: FlaskClient, email: str) -> None:
    site.user("ann@example.com")
    site.testing.outbox.clear()

    assert code(boss.post(INVITATIONS, json={"email": email})) == (409, "EMAIL_TAKEN")
    assert site.testing.outbox == []


@pytest.mark.parametrize("email", ["ann@example.com", "ANN@example.com"])
def test_an_address_has_one_open_invitation(site: Site, boss: FlaskClient, email: str) -> None:
    token = invited(site, boss)

    assert code(boss.post(INVITATIONS, json={"email": email})) == (409, "INVITATION_EXISTS")
    assert len(site.testing.outbox) == 1
    assert look(site, token).status_code == 200


@pytest.mark.requirement("OWASP-EV 5")
def test_a_look_alike_address_is_another_one(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url)
    boss = site.client_for(site.admin())

    tokens = [invited(site, boss, email) for email in ("rene@example.com", "rené@example.com")]

    assert [look(site, token).get_json()["email"] for token in tokens] == ["rene@example.com", "rené@example.com"]


@pytest.mark.parametrize("ending", ["expired", "withdrawn", "accepted and deleted"])
def test_once_it_is_over_the_address_is_invited_anew(site: Site, boss: FlaskClient, ending: str) -> None:
    found = invite(boss)
    old = token_in(site.testing.outbox[-1])
    if ending == "expired":
        site.testing.clock.move(days=7)
    elif ending == "withdrawn":
        boss.delete(f"{INVITATIONS}/{found['id']}")
    else:
        boss.delete(f"/api/users/{accept(site, old).get_json()['user']['id']}")
    boss = site.client_for(site.admin("other@example.com"))

    new = invited(site, boss)

    assert code(look(site, old)) == VOID
    assert look(site, new).status_code == 200
    shown = {status for email, status in statuses(boss) if email == "ann@example.com"}
    assert shown == {"open"} | ({ending} - {"accepted and deleted"})
    if ending == "expired":  # what was replaced is not woken up
        assert code(boss.post(f"{INVITATIONS}/{found['id']}/resend")) == (404, "NOT_FOUND")


def test_where_no_mail_can_be_sent_inviting_is_refused_in_a_way_of_its_own(site: Site, boss: FlaskClient) -> None:
    found = invite(boss)
    runtime = site.testing.runtime
    runtime.mail = MailRoom(None, runtime.events, site.app, MailSettings(background=False))

    for answer in (boss.post(INVITATIONS, json={"email": "ben@example.com"}), boss.post(f"{INVITATIONS}/{found['id']}/resend")):
        assert code(answer) == (503, "MAIL_UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) > 0
    assert statuses(boss) == [("ann@example.com", "open")]


# Lists


def test_the_list_is_newest_first_by_cursor_and_by_status(site: Site, boss: FlaskClient) -> None:
    make = [invite(boss, f"p{number}@example.com") for number in range(3)]
    token = token_in(site.testing.outbox[-1])
    boss.delete(f"{INVITATIONS}/{make[0]['id']}")
    accept(site, token)
    site.testing.clock.move(days=7)
    boss = site.client_for(site.admin("other@example.com"))
    for number in range(3, 7):
        invite(boss, f"p{number}@example.com")
        site.testing.clock.move(seconds=1)

    seen: list[tuple[str, str]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = boss.get(f"{INVITATIONS}?per_page=2&cursor={cursor}").get_json()
        seen += [(found["email"], found["status"]) for found in page["invitations"]]
        cursor = page["next_cursor"]

    assert seen[:4] == [(f"p{number}@example.com", "open") for number in (6, 5, 4, 3)]
    older = {("p2@example.com", "accepted"), ("p1@example.com", "expired"), ("p0@example.com", "withdrawn")}
    assert set(seen[4:]) == older
    for status in ("open", "accepted", "withdrawn", "expired"):
        assert set(statuses(boss, f"?status={status}")) == {pair for pair in seen if pair[1] == status}


def test_pages_are_in_order_on_every_database(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url)
    boss = site.client_for(site.admin())
    wanted: list[str] = []
    for number in range(12):
        wanted.insert(0, invite(boss, f"p{number}@example.com")["id"])
        site.testing.clock.move(milliseconds=1)

    first = boss.get(f"{INVITATIONS}?per_page=5").get_json()
    second = boss.get(f"{INVITATIONS}?per_page=100&cursor={first['next_cursor']}").get_json()

    assert [found["id"] for found in first["invitations"] + second["invitations"]] == wanted
    assert second["next_cursor"] is None


@pytest.mark.parametrize("cursor", ["x", "0" * 31, "0" * 33, "{" + "0" * 32 + "}", "AB" * 16])
def test_what_is_no_cursor_is_refused(boss: FlaskClient, cursor: str) -> None:
    answer = boss.get(INVITATIONS, query_string={"cursor": cursor})

    assert answer.get_json()["errors"][0]["code"] == "cursor_invalid"


@pytest.mark.parametrize("name", ["00000000-0000-7000-8000-000000000000", "nonsense", "1", "sessions"])
def test_an_invitation_that_is_not_there_is_not_found(boss: FlaskClient, name: str) -> None:
    for method, path in (("GET", name), ("DELETE", name), ("POST", f"{name}/resend")):
        assert code(boss.open(f"{INVITATIONS}/{path}", method=method)) == (404, "NOT_FOUND")


# Sending again


@pytest.mark.requirement("OWASP-FP 4")
def test_sent_again_it_has_a_new_token_and_its_time_anew_and_the_older_token_is_void(site: Site, boss: FlaskClient) -> None:
    found = invite(boss)
    old = token_in(site.testing.outbox[-1])
    site.testing.clock.move(minutes=10)

    answer = boss.post(f"{INVITATIONS}/{found['id']}/resend")

    assert answer.status_code == 200
    shown, new = answer.get_json(), token_in(site.testing.outbox[-1])
    assert (shown["id"], shown["created_at"]) == (found["id"], found["created_at"])
    assert shown["sent_at"] > found["sent_at"]
    assert shown["expires_at"] > found["expires_at"]
    assert code(look(site, old)) == code(accept(site, old)) == VOID
    assert accept(site, new).status_code == 201


def test_an_expired_one_is_sent_again(site: Site, boss: FlaskClient) -> None:
    found = invite(boss)
    site.testing.clock.move(days=8)
    boss = site.client_for(site.admin("other@example.com"))
    assert statuses(boss) == [("ann@example.com", "expired")]

    boss.post(f"{INVITATIONS}/{found['id']}/resend")

    assert statuses(boss) == [("ann@example.com", "open")]
    assert accept(site, token_in(site.testing.outbox[-1])).status_code == 201


def test_one_that_is_withdrawn_or_accepted_is_not_sent_again_and_not_withdrawn(site: Site, boss: FlaskClient) -> None:
    withdrawn, accepted = invite(boss), invite(boss, "ben@example.com")
    accept(site, token_in(site.testing.outbox[-1]))
    boss.delete(f"{INVITATIONS}/{withdrawn['id']}")
    site.testing.outbox.clear()

    assert boss.delete(f"{INVITATIONS}/{withdrawn['id']}").status_code == 404
    assert boss.delete(f"{INVITATIONS}/{accepted['id']}").status_code == 404
    assert boss.post(f"{INVITATIONS}/{withdrawn['id']}/resend").status_code == 404
    assert code(boss.post(f"{INVITATIONS}/{accepted['id']}/resend")) == (409, "EMAIL_TAKEN")
    assert site.testing.outbox == []


@pytest.mark.requirement("OWASP-FP 7")
def test_mail_to_one_address_is_limited_however_it_comes_about(make_site: MakeSite) -> None:
    site = make_site(limits=True, config={"ACCOUNTS_LIMITS_EXTRA": {"invite.account": "3/hour"}})
    boss = site.client_for(site.admin())
    site.testing.outbox.clear()

    found = invite(boss)
    answers = [boss.post(f"{INVITATIONS}/{found['id']}/resend") for _ in range(2)]
    boss.delete(f"{INVITATIONS}/{found['id']}")
    answers += [boss.post(INVITATIONS, json={"email": "ANN@example.com"})]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert len(site.testing.outbox) == 3
    invite(boss, "ben@example.com")


# Withdrawing


def test_withdrawn_its_token_is_void_at_once(site: Site, boss: FlaskClient) -> None:
    found = invite(boss)
    token = token_in(site.testing.outbox[-1])

    answer = boss.delete(f"{INVITATIONS}/{found['id']}")

    assert (answer.status_code, answer.data) == (204, b"")
    assert code(look(site, token)) == code(accept(site, token)) == VOID
    assert statuses(boss) == [("ann@example.com", "withdrawn")]


# Host code and events


def test_host_code_invites_with_any_role_and_may_hand_the_link_over_itself(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_MAIL_BASE_URL": "https://app.example.com"})
    with site.app.app_context():
        site.accounts.roles.create("front page", permissions=["*"])
        sent = site.accounts.invitations.invite("ann@example.com", roles=["front page", "admin"], mail=False)
        site.db.session.commit()

    assert sent.link == f"https://app.example.com/accept-invitation#token={sent.token}"
    assert sent.token not in repr(sent)
    assert site.testing.outbox == []
    assert (sent.invitation.trusted, sent.invitation.invited_by) == (True, None)
    assert accept(site, sent.token).get_json()["user"]["roles"] == ["admin", "front page"]


def test_events_tell_of_it_and_hold_no_address(site: Site, boss: FlaskClient) -> None:
    make_role(site)
    with site.testing.recorded() as events:
        found = invite(boss, roles=["editor"])
        boss.post(f"{INVITATIONS}/{found['id']}/resend")
        boss.delete(f"{INVITATIONS}/{found['id']}")

    told: list[Event] = [event for event in events if event.name.startswith("invitation.")]
    assert [event.name for event in told] == ["invitation.sent", "invitation.sent", "invitation.withdrawn"]
    sent, again, withdrawn = told
    assert isinstance(sent, InvitationSent)
    assert isinstance(again, InvitationSent)
    assert isinstance(withdrawn, InvitationWithdrawn)
    assert (sent.again, again.again, sent.roles) == (False, True, ("editor",))
    assert all(str(event.invitation_id) == found["id"] for event in (sent, again, withdrawn))
    assert all(event.actor_id == found["invited_by"] and event.user_id is None for event in told)
    assert "ann@example.com" not in str(told)
