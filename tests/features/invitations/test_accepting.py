"""Accepting: the account of an invitation, once, as registration would make it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from pydantic import field_validator, model_validator
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.test import TestResponse

from flask_accounts import RegisterSchema, UserMixin, UserSchema
from flask_accounts.core.errors import FieldProblem, OneTimeTokenInvalid, UsernameTaken
from flask_accounts.core.events import EmailVerified, InvitationAccepted, RolesChanged
from flask_accounts.core.policies import PasswordContext
from flask_accounts.features.invitations.models import InvitationMixin
from tests.conftest import MakeSite, Site, bearer
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


def test_a_look_tells_whom_the_token_invites_and_uses_nothing_up(site: Site, boss: FlaskClient) -> None:
    token = invited(site, boss)

    for _ in range(3):
        answer = look(site, token)
        assert answer.status_code == 200
        assert answer.get_json().keys() == {"email", "expires_at"}
        assert answer.get_json()["email"] == "ann@example.com"
        assert answer.headers["Cache-Control"] == "no-store"
    assert accept(site, token).status_code == 201


def test_the_account_has_the_invited_address_verified_and_the_roles(site: Site, boss: FlaskClient) -> None:
    make_role(site)
    found = invite(boss, roles=["editor"])

    answer = accept(site, token_in(site.testing.outbox[-1]), username="ann")

    assert answer.status_code == 201
    assert answer.get_json().keys() == {"user"}
    user = answer.get_json()["user"]
    assert {name: user[name] for name in ("email", "username", "email_verified", "is_active", "roles")} == {
        "email": "ann@example.com", "username": "ann", "email_verified": True, "is_active": True, "roles": ["editor"],
    }  # fmt: skip
    assert site.login("ann@example.com", NEW).status_code == 200
    shown = boss.get(f"{INVITATIONS}/{found['id']}").get_json()
    assert (shown["status"], shown["accepted_user"]) == ("accepted", user["id"])


@pytest.mark.parametrize("signs_in", [False, True])
def test_the_answer_is_that_of_registration_by_itself(make_site: MakeSite, signs_in: bool) -> None:
    site = make_site(config={"ACCOUNTS_REGISTRATION_SIGN_IN": signs_in})
    boss = site.client_for(site.admin())

    invitation = accept(site, invited(site, boss))
    registration = site.client.post("/api/auth/register", json={"email": "ben@example.com", "password": NEW})

    assert invitation.status_code == registration.status_code == 201
    assert invitation.get_json().keys() == registration.get_json().keys()
    if signs_in:
        token = invitation.get_json()["access_token"]
        assert site.client.get("/api/auth/me", headers=bearer(token)).get_json()["email"] == "ann@example.com"


@pytest.mark.requirement("R-REL 2")
def test_in_cookie_mode_signing_in_sets_cookies(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_REGISTRATION_SIGN_IN": True, "JWT_TOKEN_LOCATION": ["cookies"]})
    with site.app.app_context():
        sent = site.accounts.invitations.invite("ann@example.com")
        site.db.session.commit()

    answer = accept(site, sent.token)

    assert answer.status_code == 201
    assert "access_token" not in answer.get_json()
    assert any("access_token" in cookie for cookie in answer.headers.getlist("Set-Cookie"))


@pytest.mark.parametrize("mode", ["off", "optional", "required"])
def test_it_works_where_registration_is_closed_and_however_addresses_are_verified(make_site: MakeSite, mode: str) -> None:
    site = make_site(config={"ACCOUNTS_REGISTRATION_OPEN": False, "ACCOUNTS_EMAIL_VERIFICATION_MODE": mode})
    with site.app.app_context():
        site.accounts.invitations.invite("ann@example.com")
        site.db.session.commit()

    assert site.client.post("/api/auth/register", json={"email": "ben@example.com", "password": NEW}).status_code == 403
    assert accept(site, token_in(site.testing.outbox[-1])).status_code == 201
    assert site.login("ann@example.com", NEW).status_code == 200
    assert [mail.kind for mail in site.testing.outbox if mail.to == "ann@example.com"] == ["invitation"]


# What does not use it up


@pytest.mark.requirement("OWASP-FP 4")
def test_what_is_refused_does_not_use_the_token_up(site: Site, boss: FlaskClient) -> None:
    site.user("ben@example.com", username="ben")
    token = invited(site, boss)

    for password in ("short", "password1", "ann@example.com"):
        assert code(accept(site, token, password)) == (400, "VALIDATION_ERROR")
    assert code(accept(site, token, username="BEN")) == (409, "USERNAME_TAKEN")
    assert code(accept(site, token, username="?")) == (400, "VALIDATION_ERROR")
    assert code(accept(site, token, nothing="known")) == (400, "VALIDATION_ERROR")

    assert statuses(boss) == [("ann@example.com", "open")]
    assert accept(site, token, username="ann").status_code == 201


def test_what_a_slow_check_refuses_does_not_use_it_up_either_and_is_asked_once(site: Site, boss: FlaskClient) -> None:
    asked: list[str] = []

    def check(password: str, context: PasswordContext) -> FieldProblem | None:
        asked.append(password)
        return FieldProblem("password", "password_breached", "Known.") if len(asked) == 1 else None

    site.testing.runtime.slow_password_checks = (check,)
    token = invited(site, boss)

    assert code(accept(site, token)) == (400, "VALIDATION_ERROR")
    assert accept(site, token).status_code == 201
    assert asked == [NEW, NEW]


def test_host_code_that_goes_on_after_a_refusal_keeps_nothing_of_it(site: Site) -> None:
    site.user("ben@example.com", username="ben")
    with site.app.app_context():
        sent = site.accounts.invitations.invite("ann@example.com")
        site.db.session.commit()
        with pytest.raises(UsernameTaken):
            site.accounts.invitations.accept(sent.token, NEW, username="ben")
        site.db.session.commit()
        with pytest.raises(OneTimeTokenInvalid):
            site.accounts.invitations.accept("x" * 43, NEW)
        site.db.session.commit()

    assert accept(site, sent.token, username="ann").status_code == 201


@pytest.mark.requirement("ASVS 15.4.2")
def test_host_code_that_goes_on_after_it_lost_a_race_keeps_no_account(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with site.app.app_context():
        sent = site.accounts.invitations.invite("ann@example.com")
        site.db.session.commit()
        with monkeypatch.context() as patched:
            patched.setattr(site.accounts.invitations, "_close", lambda *args, **kwargs: False)
            with pytest.raises(OneTimeTokenInvalid):
                site.accounts.invitations.accept(sent.token, NEW)
        site.db.session.commit()

    assert site.login("ann@example.com", NEW).status_code == 401
    assert accept(site, sent.token).status_code == 201


def test_an_account_may_be_made_without_a_password(site: Site) -> None:
    """By host code whose people sign in in another way."""
    with site.app.app_context():
        sent = site.accounts.invitations.invite("ann@example.com")
        user: Any = site.accounts.invitations.accept(sent.token, None, username="ann")
        site.db.session.commit()
        assert (user.email, user.username, user.password_hash, user.email_verified) == ("ann@example.com", "ann", None, True)


@pytest.mark.requirement("ASVS 6.3.8")
def test_an_address_that_came_to_an_account_otherwise_is_said_to_be_taken_and_gets_no_roles(site: Site, boss: FlaskClient) -> None:
    make_role(site)
    token = invited(site, boss, roles=["editor"])
    site.client.post("/api/auth/register", json={"email": "ann@example.com", "password": NEW})
    proof = token_in(site.testing.outbox[-1])

    assert code(accept(site, token)) == (409, "EMAIL_TAKEN")
    assert site.client.post("/api/auth/email/verify", json={"token": proof}).status_code == 204

    assert code(accept(site, token)) == (409, "EMAIL_TAKEN")
    assert site.login("ann@example.com", NEW).get_json()["user"]["roles"] == []
    assert statuses(boss) == [("ann@example.com", "open")]


# The host's own registration


class Shown(UserSchema):
    company: str
    born: date | None


def with_own_fields(db: SQLAlchemy) -> dict[str, Any]:
    class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "people"
        company: Mapped[str] = mapped_column(sa.String(50), nullable=False)
        born: Mapped[date | None] = mapped_column(sa.Date, nullable=True)

    class Register(RegisterSchema):
        """A new person."""

        company: str
        born: date | None = None

        @field_validator("company")
        @classmethod
        def _known(cls, value: str) -> str:
            if value == "Acme":
                raise ValueError("We do not work for them.")
            return value.strip()

        @model_validator(mode="after")
        def _of_the_house(self) -> Register:
            if not self.email.endswith("@example.com"):
                raise ValueError("Only people of the house.")
            return self

    return {"user_model": Person, "schemas": {RegisterSchema: Register, UserSchema: Shown}}


def test_the_hosts_own_fields_and_rules_are_those_of_registration(make_site: MakeSite) -> None:
    site = make_site(setup=with_own_fields)
    with site.app.app_context():
        tokens = [site.accounts.invitations.invite(email).token for email in ("ann@example.com", "eve@elsewhere.example")]
        site.db.session.commit()

    missing, unfit, unknown = (
        accept(site, tokens[0]), accept(site, tokens[0], company="Acme", born=5), accept(site, tokens[0], company="x", salary=1),
    )  # fmt: skip
    done = accept(site, tokens[0], company=" Blog ", born="1990-02-03")
    outside = accept(site, tokens[1], company="Blog")

    problems = [{(p["field"], p["code"]) for p in answer.get_json()["errors"]} for answer in (missing, unfit, unknown)]
    assert problems[0] == {("company", "missing")}
    assert problems[1] == {("company", "value_error"), ("born", "date_type")}
    assert problems[2] == {("salary", "extra_forbidden")}
    assert (done.get_json()["user"]["company"], done.get_json()["user"]["born"]) == ("Blog", "1990-02-03")
    assert outside.get_json()["errors"][0]["message"] == "Only people of the house."


def test_the_document_asks_for_the_hosts_fields_and_no_address(make_site: MakeSite) -> None:
    site = make_site(setup=with_own_fields, config={"ACCOUNTS_REGISTRATION_USERNAME_REQUIRED": True})

    document = site.client.get("/api/auth/openapi.json").get_json()

    body = document["paths"]["/api/auth/invitations/accept"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert schema["properties"].keys() == {"token", "username", "password", "company", "born"}
    assert set(schema["required"]) == {"token", "username", "password", "company"}
    assert schema["additionalProperties"] is False
    assert schema["properties"]["username"]["type"] == "string"
    assert code(accept(site, "x", company="Blog")) == VOID


def test_a_required_username_is_required_here_too(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_REGISTRATION_USERNAME_REQUIRED": True})
    token = invited(site, site.client_for(site.admin()))

    assert accept(site, token).get_json()["errors"][0] == {"field": "username", "code": "missing", "message": "Field required"}
    assert accept(site, token, username="ann").status_code == 201


# Roles, as they are when it is accepted


def test_a_role_that_was_deleted_meanwhile_is_left_out(site: Site, boss: FlaskClient) -> None:
    make_role(site)
    make_role(site, "writer")
    token = invited(site, boss, roles=["editor", "writer"])
    boss.delete("/api/users/roles/editor")

    assert accept(site, token).get_json()["user"]["roles"] == ["writer"]


def test_sent_again_a_deleted_role_is_left_out_for_good(site: Site, boss: FlaskClient) -> None:
    make_role(site)
    found = invite(boss, roles=["editor"])
    boss.delete("/api/users/roles/editor")

    assert boss.post(f"{INVITATIONS}/{found['id']}/resend").get_json()["roles"] == []
    make_role(site)
    assert accept(site, token_in(site.testing.outbox[-1])).get_json()["user"]["roles"] == []


def test_roles_that_a_hosts_own_service_gives_to_everybody_stay(make_site: MakeSite) -> None:
    from flask_accounts.features.roles.service import RoleService
    from flask_accounts.features.users.service import UserService

    class Welcoming(UserService):
        def create(self, *args: Any, **kwargs: Any) -> UserMixin:
            user = super().create(*args, **kwargs)
            self.runtime.get(RoleService).grant(user, "member")
            return user

    site = make_site(services={UserService: Welcoming})
    make_role(site, "member", permissions=[])
    make_role(site)
    with site.app.app_context():
        sent = site.accounts.invitations.invite("ann@example.com", roles=["editor"])
        site.db.session.commit()

    assert accept(site, sent.token).get_json()["user"]["roles"] == ["editor", "member"]


# Events


def test_events_say_who_gave_which_roles(site: Site, boss: FlaskClient) -> None:
    make_role(site)
    found = invite(boss, roles=["editor"])
    token = token_in(site.testing.outbox[-1])

    with site.testing.recorded() as events:
        key = accept(site, token).get_json()["user"]["id"]

    assert [event.name for event in events] == ["user.registered", "email.verified", "roles.changed", "invitation.accepted"]
    [verified] = [event for event in events if isinstance(event, EmailVerified)]
    [changed] = [event for event in events if isinstance(event, RolesChanged)]
    [accepted] = [event for event in events if isinstance(event, InvitationAccepted)]
    assert (verified.user_id, verified.actor_id) == (key, key)
    assert (changed.actor_id, changed.granted, changed.client and changed.client.address) == (
        found["invited_by"],
        ("editor",),
        None,
    )
    assert (accepted.user_id, accepted.actor_id, accepted.roles) == (key, key, ("editor",))
    assert token not in str(events)


# Cost and races


def test_a_token_that_is_not_good_costs_no_hash(site: Site) -> None:
    counting = CountingHasher(site)

    assert code(accept(site, "x" * 43)) == VOID
    assert counting.taken() == []


def at_once(acts: list[Callable[[], TestResponse]]) -> list[TestResponse]:
    barrier = threading.Barrier(len(acts), timeout=20)

    def run(act: Callable[[], TestResponse]) -> TestResponse:
        barrier.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(run, act) for act in acts]]


class Meeting:
    """A hasher in which `parties` new passwords meet: none goes on before every thread has looked at its token."""

    def __init__(self, site: Site, parties: int) -> None:
        self._inner = site.testing.runtime.hasher.inner
        self._barrier = threading.Barrier(parties, timeout=20)

    def hash(self, password: str) -> str:
        self._barrier.wait()
        return self._inner.hash(password)

    def verify(self, password: str, encoded: str) -> bool:
        return self._inner.verify(password, encoded)

    def needs_rehash(self, encoded: str) -> bool:
        return False


@pytest.fixture
def racing(make_site: MakeSite, every_database_url: str) -> Site:
    return make_site(url=every_database_url, config={"ACCOUNTS_PASSWORD_MAX_CONCURRENT_HASHES": 64})


@pytest.mark.requirement("ASVS 15.4.2")
def test_of_many_who_accept_at_once_one_gets_the_account(racing: Site) -> None:
    site = racing
    make_role(site)
    with site.app.app_context():
        sent = site.accounts.invitations.invite("ann@example.com", roles=["editor"])
        site.db.session.commit()
    inner = site.testing.runtime.hasher.inner
    site.testing.runtime.hasher.inner = Meeting(site, 6)

    answers = at_once([partial(accept, site, sent.token, f"{NEW} {n}", username=f"ann{n}") for n in range(6)])

    site.testing.runtime.hasher.inner = inner
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    winner = next(n for n, answer in enumerate(answers) if answer.status_code == 201)
    assert [site.login("ann@example.com", f"{NEW} {n}").status_code for n in range(6)] == [
        200 if n == winner else 401 for n in range(6)
    ]
    assert code(accept(site, sent.token)) == VOID


@pytest.mark.requirement("ASVS 15.4.2")
@pytest.mark.parametrize("other", ["withdrawn", "sent again"])
def test_what_was_withdrawn_or_sent_again_while_a_password_was_hashed_makes_no_account(racing: Site, other: str) -> None:
    site = racing
    with site.app.app_context():
        sent = site.accounts.invitations.invite("ann@example.com", mail=False)
        site.db.session.commit()
    boss = site.client_for(site.admin())
    inner = site.testing.runtime.hasher.inner

    class Meanwhile(Meeting):
        def hash(self, password: str) -> str:
            with ThreadPoolExecutor(1) as pool:
                path = f"{INVITATIONS}/{sent.invitation.id}"
                act = (lambda: boss.delete(path)) if other == "withdrawn" else (lambda: boss.post(f"{path}/resend"))
                assert pool.submit(act).result().status_code < 300
            return inner.hash(password)

    site.testing.runtime.hasher.inner = Meanwhile(site, 1)
    answer = accept(site, sent.token)
    site.testing.runtime.hasher.inner = inner

    assert code(answer) == VOID
    assert site.login("ann@example.com", NEW).status_code == 401
    assert statuses(boss) == [("ann@example.com", "withdrawn" if other == "withdrawn" else "open")]


@pytest.mark.requirement("ASVS 15.4.2")
def test_of_many_who_invite_one_address_at_once_one_does(racing: Site) -> None:
    site = racing
    client = site.client_for(site.admin())
    headers = {"Authorization": client.environ_base["HTTP_AUTHORIZATION"]}
    site.testing.outbox.clear()

    answers = at_once([lambda: site.client.post(INVITATIONS, json={"email": "ann@example.com"}, headers=headers) for _ in range(6)])

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    assert {answer.get_json()["code"] for answer in answers if answer.status_code == 409} == {"INVITATION_EXISTS"}
    assert len(site.testing.outbox) == 1
    with site.app.app_context():
        table = site.testing.runtime.model(InvitationMixin).__table__
        assert site.db.session.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 1
