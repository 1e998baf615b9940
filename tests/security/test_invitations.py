"""Attacks on invitations: getting in uninvited, taking an invitation over, and getting more rights by one than its inviter has."""

from __future__ import annotations

import json
from functools import partial
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_accounts.core.errors import PermissionDenied
from flask_accounts.core.identity import Principal
from flask_accounts.features.invitations.models import InvitationMixin
from tests.conftest import MakeSite, Site
from tests.features.invitations.conftest import boss as boss
from tests.features.invitations.conftest import helper as helper
from tests.features.invitations.tools import (
    INVITATIONS,
    NEW,
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
from tests.security.counting import CountingHasher
from tests.security.test_mass_assignment import ALL, stored

CLOSED = {"ACCOUNTS_REGISTRATION_OPEN": False}


def shape(answer: TestResponse) -> tuple[int, Any, list[tuple[str, str]]]:
    """Everything a client can compare."""
    return answer.status_code, answer.get_json(), sorted(answer.headers.items())


# Getting in uninvited


@pytest.mark.requirement("ASVS 6.4.1", "ASVS 11.5.1")
def test_a_guessed_token_opens_nothing(site: Site, boss: FlaskClient) -> None:
    token = invited(site, boss)
    before = stored(site)

    for guess in ("", "x", "x" * 43, token[:-1], token + "x", token.swapcase(), f" {token}", f"{token}\n", "%", "' OR 1=1 --", "*"):
        for answer in (look(site, guess), accept(site, guess)):
            assert code(answer) == VOID, guess
    for odd in (None, 1, True, [token], {"token": token}, "x" * 129):
        body = {"token": odd, "password": NEW}
        assert code(site.client.post("/api/auth/invitations/accept", json=body)) == (400, "VALIDATION_ERROR")

    assert stored(site) == before
    assert len(token) == 43  # 256 bits


@pytest.mark.requirement("ASVS 6.5.1", "OWASP-FP 4")
def test_a_replayed_token_makes_no_second_account(site: Site, boss: FlaskClient) -> None:
    token = invited(site, boss)
    first = accept(site, token)
    boss.delete(f"/api/users/{first.get_json()['user']['id']}")

    assert code(look(site, token)) == code(accept(site, token)) == VOID


@pytest.mark.requirement("ASVS 6.5.1")
def test_a_token_that_was_left_over_opens_nothing_once_its_invitation_is_over(site: Site, boss: FlaskClient) -> None:
    token = invited(site, boss)
    with site.app.app_context():
        now = site.testing.clock.now()
        site.db.session.execute(sa.update(site.testing.runtime.model(InvitationMixin)).values(open=None, withdrawn_at=now))
        site.db.session.commit()

    assert code(look(site, token)) == code(accept(site, token)) == VOID


@pytest.mark.requirement("ASVS 6.5.5")
def test_an_expired_token_is_refused(site: Site, boss: FlaskClient) -> None:
    token = invited(site, boss)

    site.testing.clock.move(days=6, hours=23)
    assert look(site, token).status_code == 200
    site.testing.clock.move(hours=1)

    assert code(look(site, token)) == code(accept(site, token)) == VOID


@pytest.mark.requirement("ASVS 6.6.2", "RFC8725 3.12")
def test_a_token_of_another_purpose_is_no_invitation_and_an_invitation_opens_nothing_else(site: Site, boss: FlaskClient) -> None:
    invitation = invited(site, boss)
    site.user("ben@example.com")
    verification = token_in(site.testing.outbox[-1])
    site.client.post("/api/auth/password/forgot", json={"email": "ben@example.com"})
    reset = token_in(site.testing.outbox[-1])

    for foreign in (verification, reset, boss.environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer ")):
        assert accept(site, foreign).status_code == 400
    for path, body in (
        ("email/verify", {"token": invitation}),
        ("password/reset", {"token": invitation, "new_password": NEW}),
        ("refresh", {"refresh_token": invitation}),
        ("challenge", {"challenge_token": invitation, "method": "password_change", "new_password": NEW}),
    ):
        assert site.client.post(f"/api/auth/{path}", json=body).status_code in (400, 401), path
    assert accept(site, invitation).status_code == 201


@pytest.mark.requirement("ASVS 6.6.2")
@pytest.mark.parametrize("member", ["email", "address", "id", "invitation", "user_id", "to"])
def test_an_invitation_makes_no_account_for_another_address(site: Site, boss: FlaskClient, member: str) -> None:
    token = invited(site, boss)
    other = invite(boss, "ben@example.com")
    value = other["id"] if member in ("id", "invitation") else "eve@example.com"

    answer = accept(site, token, **{member: value})

    assert answer.get_json()["errors"][0]["field"] == member
    assert answer.get_json()["errors"][0]["code"] == "extra_forbidden"
    assert accept(site, token).get_json()["user"]["email"] == "ann@example.com"
    assert ("ben@example.com", "open") in statuses(boss)


@pytest.mark.requirement("ASVS 14.2.1", "ASVS 3.5.3")
def test_a_link_scanner_uses_nothing_up(site: Site, boss: FlaskClient) -> None:
    token = invited(site, boss)

    for path in ("look", "accept"):
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            assert site.client.open(f"/api/auth/invitations/{path}?token={token}", method=method).status_code == 405
    assert code(site.client.post(f"/api/auth/invitations/look?token={token}", json={})) == (400, "VALIDATION_ERROR")

    assert accept(site, token).status_code == 201


@pytest.mark.requirement("OWASP-FP 3", "ASVS 12.2.1")
@pytest.mark.parametrize("base", [None, "https://app.example.com"])
def test_a_forged_host_header_does_not_turn_the_link_elsewhere(make_site: MakeSite, base: str | None) -> None:
    site = make_site(config={"ACCOUNTS_MAIL_BASE_URL": base})
    boss = site.client_for(site.admin())

    boss.post(INVITATIONS, json={"email": "ann@example.com"}, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})

    mail = site.testing.outbox[-1]
    assert mail.kind == "invitation"
    assert "evil" not in mail.text + (mail.html or "")


@pytest.mark.requirement("ASVS 6.4.6", "ASVS 15.3.1")
def test_the_inviter_never_sees_what_would_let_him_in_as_the_invited(site: Site, boss: FlaskClient) -> None:
    found = invite(boss)
    tokens = [token_in(site.testing.outbox[-1])]
    answers = [boss.post(f"{INVITATIONS}/{found['id']}/resend")]
    tokens.append(token_in(site.testing.outbox[-1]))
    answers += [boss.get(INVITATIONS), boss.get(f"{INVITATIONS}/{found['id']}"), boss.get("/api/users/events")]

    for answer in answers:
        assert answer.status_code == 200
        assert not any(token in answer.text for token in tokens)


@pytest.mark.requirement("ASVS 16.2.5", "ASVS 13.3.1")
def test_the_token_is_neither_stored_nor_logged(site: Site, boss: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(0), site.testing.recorded() as events:
        token = invited(site, boss)
        look(site, token)
        accept(site, token, "short")
        accept(site, token)

    dump = json.dumps(stored(site), default=str)
    assert token not in dump + caplog.text + str(events)


# Who is invited does not show to strangers


@pytest.mark.requirement("ASVS 6.3.8")
def test_strangers_cannot_tell_void_tokens_apart(site: Site, boss: FlaskClient) -> None:
    kinds: dict[str, str] = {"guessed": "x" * 43, "used": invited(site, boss, "used@example.com")}
    accept(site, kinds["used"])
    withdrawn = invite(boss, "withdrawn@example.com")
    kinds["withdrawn"] = token_in(site.testing.outbox[-1])
    boss.delete(f"{INVITATIONS}/{withdrawn['id']}")
    again = invite(boss, "again@example.com")
    kinds["replaced"] = token_in(site.testing.outbox[-1])
    boss.post(f"{INVITATIONS}/{again['id']}/resend")

    counting = CountingHasher(site)
    for act in (look, accept):
        seen = []
        for token in kinds.values():
            site.statements.clear()
            seen.append((shape(act(site, token)), counting.taken(), len(site.statements)))
        assert all(each == seen[0] for each in seen), dict(zip(kinds, seen, strict=True))
        assert seen[0][0][:1] == (400,)


@pytest.mark.requirement("ASVS 6.3.8")
def test_an_open_invitation_does_not_show_at_the_other_doors(site: Site, boss: FlaskClient) -> None:
    invited(site, boss)
    site.testing.outbox.clear()
    doors: list[tuple[str, dict[str, str]]] = [
        ("login", {"password": "x"}), ("password/forgot", {}), ("email/verify/resend", {}), ("register", {"password": NEW}),
    ]  # fmt: skip

    for path, body in doors:
        seen = []
        for email in ("ann@example.com", "bob@example.com"):
            site.statements.clear()
            answer = site.client.post(f"/api/auth/{path}", json={"email": email, **body})
            told = dict(answer.get_json().get("user") or answer.get_json())
            told.pop("id", None), told.pop("email", None)
            seen.append((answer.status_code, told, len(site.statements)))
        assert seen[0] == seen[1], path
    assert site.client.get(INVITATIONS).status_code == 401


@pytest.mark.requirement("ASVS 8.2.1")
def test_only_who_has_the_permission_sees_sends_and_withdraws(site: Site, boss: FlaskClient) -> None:
    found = invite(boss)
    path = f"{INVITATIONS}/{found['id']}"
    calls: list[tuple[str, str, Any]] = [
        ("GET", INVITATIONS, None), ("GET", path, None), ("POST", INVITATIONS, {"email": "eve@example.com"}),
        ("POST", f"{path}/resend", None), ("DELETE", path, None),
    ]  # fmt: skip
    for permissions in ([], ["users:read", "users:write", "roles:read", "roles:write"]):
        client = site.client_for(site.user(permissions=permissions))
        for method, url, body in calls:
            assert code(client.open(url, method=method, json=body)) == (403, "PERMISSION_DENIED")
    reader = site.client_for(site.user(permissions=["invitations:read"]))

    assert [reader.open(url, method=method, json=body).status_code for method, url, body in calls] == [200, 200, 403, 403, 403]
    assert statuses(boss) == [("ann@example.com", "open")]


@pytest.mark.requirement("ASVS 6.3.1", "ASVS 6.3.4")
def test_guessing_tokens_is_limited_by_address(make_site: MakeSite) -> None:
    site = make_site(limits=True, config={"ACCOUNTS_LIMITS_EXTRA": {"invitation.address": "4/minute"}})

    answers = [act(site, "x" * 43) for act in (look, accept) * 3]

    assert [answer.status_code for answer in answers] == [400, 400, 400, 400, 429, 429]


# More rights than the inviter has


@pytest.mark.requirement("ASVS 15.3.3")
def test_who_accepts_chooses_no_roles_and_sets_nothing_else_of_the_account(site: Site, boss: FlaskClient) -> None:
    make_role(site)
    token = invited(site, boss, roles=["editor"])
    before = stored(site)

    for extra in [{name: value} for name, value in ALL.items() if name != "token"] + [{**ALL, "token": token}]:
        answer = accept(site, **{"token": token, **extra})
        assert code(answer) == (400, "VALIDATION_ERROR"), extra
        assert {problem["field"] for problem in answer.get_json()["errors"]} <= set(extra)

    assert stored(site) == before
    assert accept(site, token).get_json()["user"]["roles"] == ["editor"]


@pytest.mark.requirement("ASVS 8.2.1")
def test_nobody_invites_with_roles_beyond_his_own(site: Site, helper: Any) -> None:
    make_role(site, "reader", permissions=["users:read"])
    make_role(site, "writer", permissions=["users:read", "users:write"])
    make_role(site, "badge", permissions=[])
    site.admin()
    site.testing.outbox.clear()
    client = site.client_for(helper)

    for roles in (["writer"], ["admin"], ["badge"], ["reader", "admin"]):
        assert code(client.post(INVITATIONS, json={"email": "ann@example.com", "roles": roles})) == (403, "PERMISSION_DENIED")

    assert site.testing.outbox == []
    assert accept(site, invited(site, client, roles=["reader"])).get_json()["user"]["roles"] == ["reader"]


@pytest.mark.requirement("ASVS 8.2.1")
def test_host_code_that_names_an_actor_lets_nobody_do_more_than_the_routes_do(site: Site, boss: FlaskClient) -> None:
    found = invite(boss)
    with site.app.app_context():
        service, view = site.accounts.invitations, site.testing.runtime.users.view(site.user(permissions=["users:read"]).id)
        assert view is not None
        actor = Principal(view.key, view, frozenset(view.roles), view.permissions)
        for act in (
            partial(service.invite, "eve@example.com"), partial(service.resend, UUID(found["id"])), partial(service.withdraw, UUID(found["id"])),
        ):  # fmt: skip
            with pytest.raises(PermissionDenied):
                act(actor=actor)


@pytest.mark.requirement("ASVS 8.2.1")
def test_nobody_sends_an_invitation_again_with_roles_beyond_his_own(site: Site, boss: FlaskClient, helper: Any) -> None:
    make_role(site, "writer", permissions=["users:write"])
    found = invite(boss, roles=["writer"])
    token = token_in(site.testing.outbox[-1])

    assert code(site.client_for(helper).post(f"{INVITATIONS}/{found['id']}/resend")) == (403, "PERMISSION_DENIED")
    assert accept(site, token).get_json()["user"]["roles"] == ["writer"]


def _demote(site: Site, boss: FlaskClient, helper: Any) -> None:
    assert boss.put(f"/api/users/{helper.id}/roles", json={"roles": []}).status_code == 200


def _disable(site: Site, boss: FlaskClient, helper: Any) -> None:
    assert boss.post(f"/api/users/{helper.id}/disable").status_code == 200


def _delete(site: Site, boss: FlaskClient, helper: Any) -> None:
    assert boss.delete(f"/api/users/{helper.id}").status_code == 204


@pytest.mark.requirement("ASVS 8.3.2")
@pytest.mark.parametrize("lose", [_demote, _disable, _delete], ids=["demoted", "disabled", "deleted"])
def test_an_invitation_of_somebody_who_may_not_invite_any_more_lets_nobody_in(
    site: Site, boss: FlaskClient, helper: Any, lose: Any
) -> None:
    make_role(site)
    client = site.client_for(helper)
    tokens = [invited(site, client, roles=["editor"]), invited(site, client, "ben@example.com")]

    lose(site, boss, helper)

    for token in tokens:
        assert code(look(site, token)) == code(accept(site, token)) == VOID
    assert site.login("ann@example.com", NEW).status_code == 401


@pytest.mark.requirement("ASVS 8.3.2")
def test_roles_that_the_inviter_could_not_grant_any_more_are_left_out(site: Site, boss: FlaskClient, helper: Any) -> None:
    make_role(site, "reader", permissions=["users:read"])
    make_role(site, "grown", permissions=["invitations:read"])
    token = invited(site, site.client_for(helper), roles=["reader", "grown"])
    boss.patch("/api/users/roles/grown", json={"permissions": ["*"]})

    assert accept(site, token).get_json()["user"]["roles"] == ["reader"]


@pytest.mark.requirement("ASVS 8.3.2")
def test_sent_again_by_somebody_else_it_is_his(site: Site, boss: FlaskClient, helper: Any) -> None:
    make_role(site)
    found = invite(site.client_for(helper), roles=["editor"])
    _demote(site, boss, helper)

    shown = boss.post(f"{INVITATIONS}/{found['id']}/resend").get_json()

    assert shown["invited_by"] == boss.get("/api/auth/me").get_json()["id"]
    assert accept(site, token_in(site.testing.outbox[-1])).get_json()["user"]["roles"] == ["editor"]


@pytest.mark.requirement("ASVS 8.2.1")
def test_a_row_without_inviter_is_not_taken_for_one_of_host_code(site: Site, helper: Any) -> None:
    """A raw DELETE of the inviter's account sets the column to NULL."""
    make_role(site)
    token = invited(site, site.client_for(helper), roles=["editor"])
    with site.app.app_context():
        site.db.session.execute(sa.text("UPDATE accounts_invitations SET invited_by = NULL"))
        site.db.session.commit()

    assert code(accept(site, token)) == VOID


@pytest.mark.requirement("ASVS 1.3.11")
@pytest.mark.parametrize(
    "email", ["ann@example.com\r\nBcc: eve@example.com", "ann@example.com,eve@example.com", "Ann <ann@example.com>"]
)
def test_an_address_makes_no_header_and_no_second_recipient(site: Site, boss: FlaskClient, email: str) -> None:
    assert code(boss.post(INVITATIONS, json={"email": email})) == (400, "VALIDATION_ERROR")
    assert site.testing.outbox == []
