"""Registration by a passkey: what is asked for, who may, and what it ends in."""

from __future__ import annotations

from typing import Any

from flask_sqlalchemy import SQLAlchemy

from flask_accounts.core.events import PasskeyRegistered, UserRegistered
from tests.conftest import MakeSite, Site
from tests.features.mfa.tools import claims

from .authenticator import Authenticator
from .tools import ANN, AUTH, PASSKEYS, problem, register, sign_in


def test_an_account_is_made_whose_only_credential_is_the_passkey(site: Site) -> None:
    device = Authenticator()

    with site.testing.recorded() as events:
        answer = register(site.client, device, username="ann")

    assert answer.status_code == 201, answer.text
    assert (answer.get_json()["user"]["email"], answer.get_json()["user"]["username"]) == (ANN, "ann")
    assert [type(event) for event in events if isinstance(event, UserRegistered | PasskeyRegistered)] == [
        UserRegistered,
        PasskeyRegistered,
    ]
    assert [mail.kind for mail in site.testing.outbox] == ["verify_email"]
    assert sign_in(site.client, device).get_json()["user"]["email"] == ANN
    assert problem(site.login(ANN)) == (401, "INVALID_CREDENTIALS")


def test_registering_signs_in_where_the_app_says_so(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_REGISTRATION_SIGN_IN": True, "ACCOUNTS_MFA_REQUIRED": "all"})

    answer = register(site.client, Authenticator())

    assert answer.status_code == 201, answer.text
    assert claims(site, answer.get_json()["access_token"])["amr"] == ["pop", "user", "mfa"]


def test_closed_registration_is_closed_to_passkeys_too(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_REGISTRATION_OPEN": False})

    assert problem(site.client.post(f"{PASSKEYS}/register/options", json={"email": ANN})) == (403, "REGISTRATION_CLOSED")


def test_what_registration_asks_for_is_asked_before_a_passkey_is_made(make_site: MakeSite) -> None:
    from flask_accounts import UserMixin
    from flask_accounts.features.registration.schemas import RegisterSchema

    def setup(db: SQLAlchemy) -> dict[str, Any]:
        class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
            __tablename__ = "people"
            nickname = db.Column(db.String(20), nullable=False)

        class WithNickname(RegisterSchema):
            nickname: str

        return {"user_model": Person, "schemas": {RegisterSchema: WithNickname}}

    site = make_site(setup=setup, config={"ACCOUNTS_REGISTRATION_USERNAME_REQUIRED": True})
    answer = site.client.post(f"{PASSKEYS}/register/options", json={"email": "nobody", "password": "x"})
    assert answer.status_code == 400

    answer = site.client.post(f"{PASSKEYS}/register/options", json={"email": "nobody"})
    assert {problem["field"] for problem in answer.get_json()["errors"]} == {"email", "username", "nickname"}

    assert register(site.client, Authenticator(), username="ann", nickname="Ann").status_code == 201
    with site.app.app_context():
        assert site.accounts.users.find(email=ANN).nickname == "Ann"  # type: ignore[attr-defined]


def test_a_taken_address_or_name_is_told_before_a_passkey_is_made_where_registration_tells(site: Site) -> None:
    site.user(ANN, username="ann")
    begin = f"{PASSKEYS}/register/options"

    assert problem(site.client.post(begin, json={"email": ANN})) == (409, "EMAIL_TAKEN")
    assert problem(site.client.post(begin, json={"email": "b@example.com", "username": "Ann"})) == (409, "USERNAME_TAKEN")


def test_the_address_must_be_proved_first_where_that_is_required(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_EMAIL_VERIFICATION_MODE": "required"})
    device = Authenticator()

    assert register(site.client, device).status_code == 202
    assert problem(sign_in(site.client, device)) == (403, "EMAIL_NOT_VERIFIED")
    with site.app.app_context():
        user = site.accounts.users.find(email=ANN)
        site.accounts.users.update(user, {"email_verified": True})
        site.db.session.commit()
    assert sign_in(site.client, device).status_code == 200


def test_a_known_address_is_answered_alike_and_its_owner_is_told(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_EMAIL_VERIFICATION_MODE": "required"})
    site.user(ANN, email_verified=True)
    site.testing.outbox.clear()
    device = Authenticator()

    known, new = register(site.client, device), register(site.client, Authenticator(), "bob@example.com")

    assert (known.status_code, known.get_json()) == (new.status_code, new.get_json())
    assert [(mail.kind, mail.to) for mail in site.testing.outbox] == [("account_exists", ANN), ("verify_email", "bob@example.com")]
    assert problem(sign_in(site.client, device)) == (401, "INVALID_CREDENTIALS")
    assert site.client.post(f"{AUTH}/login", json={"email": ANN, "password": "x"}).status_code == 401
