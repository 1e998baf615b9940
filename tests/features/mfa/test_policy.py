"""Who must have a second factor, and what becomes of who has none."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from flask_accounts import Accounts, ConfigurationError, default_features
from flask_accounts.core.errors import ChallengeRequired
from flask_accounts.core.feature import Feature
from flask_accounts.core.gates import ChallengeMethod, Gate, LoginAttempt
from flask_accounts.core.runtime import Runtime
from flask_accounts.core.users import UserView
from flask_accounts.features.mfa import Mfa
from tests.conftest import KEY, MakeSite, Site, bearer
from tests.features.mfa.tools import ANN, AUTH, answered, code_of, confirm, enrolled, phone_of, signed_in, with_token

ALL = {"ACCOUNTS_MFA_REQUIRED": "all"}


def must_enrol(site: Site, email: str = ANN) -> str:
    answer = site.login(email)
    assert code_of(answer) == (401, "MFA_ENROLMENT_REQUIRED"), answer.text
    assert answer.get_json()["challenges"] == ["totp_enrolment"]
    token: str = answer.get_json()["challenge_token"]
    return token


def begin(site: Site, token: str) -> TestResponse:
    return site.client.post(f"{AUTH}/challenge/totp", json={"challenge_token": token})


def test_without_a_time_of_grace_the_sign_in_waits_until_a_factor_is_set_up(make_site: MakeSite) -> None:
    site = make_site(config=ALL)
    site.user(ANN, email_verified=True)
    token = must_enrol(site)

    phone = phone_of(site, begin(site, token))
    wrong = answered(site, token, "totp_enrolment", code=phone.wrong())
    answer = answered(site, token, "totp_enrolment", code=phone.code())

    assert (wrong.status_code, wrong.get_json()["errors"][0]["code"]) == (400, "code_wrong")
    assert answer.status_code == 200, answer.text
    browser = with_token(site, answer.get_json()["access_token"])
    shown = browser.get(f"{AUTH}/mfa").get_json()
    assert (shown["enabled"], shown["required"], shown["enrol_by"]) == (True, True, None)
    codes = answer.get_json()["recovery_codes"]
    assert len(set(codes)) == shown["recovery_codes"] == 10
    waiting = site.login(ANN).get_json()["challenge_token"]
    back = answered(site, waiting, "recovery_code", code=codes[0])
    assert back.status_code == 200
    assert "recovery_codes" not in back.get_json()
    assert browser.post(f"{AUTH}/mfa/recovery-codes").status_code == 201
    assert code_of(site.login(ANN)) == (401, "MFA_REQUIRED")


class Terms(Feature):
    """Asks for one more step after a second factor is there."""

    name = "terms"

    def gates(self, runtime: Runtime) -> tuple[Gate, ...]:
        def ask(attempt: LoginAttempt, user: UserView) -> None:
            if attempt.multi_factor and "terms" not in attempt.answered:
                raise ChallengeRequired(["terms"])

        return (ask,)

    def challenge_methods(self, runtime: Runtime) -> dict[str, ChallengeMethod]:
        return {"terms": lambda attempt, user, answer: attempt}


def test_recovery_codes_are_shown_also_where_the_sign_in_asks_for_more_afterwards_and_are_kept_nowhere(make_site: MakeSite) -> None:
    site = make_site(config=ALL, features=[*default_features(), Terms()])
    site.user(ANN, email_verified=True)
    token = must_enrol(site)
    phone = phone_of(site, begin(site, token))

    more = answered(site, token, "totp_enrolment", code=phone.code()).get_json()

    assert (more["code"], len(more["recovery_codes"])) == ("CHALLENGE_REQUIRED", 10)
    with site.app.app_context():
        kept = site.db.session.execute(sa.text("select data from accounts_one_time_tokens")).scalars().all()
    assert not [code for code in more["recovery_codes"] for data in kept if code in data]
    done = answered(site, more["challenge_token"], "terms")
    assert done.status_code == 200
    assert "recovery_codes" not in done.get_json()


def test_it_is_asked_of_roles(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_MFA_REQUIRED": ["admin", "editor"]})
    site.user(ANN, roles=["editor"], email_verified=True)
    site.user("bob@example.com", roles=["reader"])

    must_enrol(site)
    assert site.login("bob@example.com").status_code == 200
    assert signed_in(site, "bob@example.com").get(f"{AUTH}/mfa").get_json()["required"] is False


def test_a_host_has_a_rule_of_its_own(make_site: MakeSite) -> None:
    features = [
        Mfa(required=lambda user: user.email.endswith("@bank.example")) if feature.name == "mfa" else feature
        for feature in default_features()
    ]
    site = make_site(features=features)
    site.user("ann@bank.example", email_verified=True)
    site.user("bob@example.com")

    must_enrol(site, "ann@bank.example")
    assert site.login("bob@example.com").status_code == 200


def test_the_time_of_grace_begins_with_the_first_sign_in_and_sessions_end_with_it(make_site: MakeSite) -> None:
    site = make_site(config=ALL | {"ACCOUNTS_MFA_GRACE": timedelta(days=7)})
    site.user(ANN, email_verified=True)
    site.testing.clock.move(days=30)
    start = site.testing.clock.now()

    tokens = site.tokens(ANN)
    shown = with_token(site, tokens["access_token"]).get(f"{AUTH}/mfa").get_json()
    assert datetime.fromisoformat(shown["enrol_by"]) == start + timedelta(days=7)
    assert tokens["refresh_expires_in"] == 7 * 24 * 3600
    site.testing.clock.move(days=6, hours=23, minutes=59)
    last = site.tokens(ANN)
    assert (last["expires_in"], last["refresh_expires_in"]) == (60, 60)
    site.testing.clock.move(minutes=1)

    assert site.client.post(f"{AUTH}/refresh", json={"refresh_token": last["refresh_token"]}).status_code == 401
    assert site.client.get(f"{AUTH}/me", headers=bearer(last["access_token"])).status_code == 401
    must_enrol(site)


def test_who_sets_one_up_in_time_is_not_stopped(make_site: MakeSite) -> None:
    site = make_site(config=ALL | {"ACCOUNTS_MFA_GRACE": timedelta(days=7)})
    ann = enrolled(site)
    site.testing.clock.move(days=8)

    assert answered(site, site.login(ANN).get_json()["challenge_token"], code=ann.phone.next()).status_code == 200


def test_a_time_of_grace_that_was_shortened_is_short_for_everybody(make_site: MakeSite, database_url: str) -> None:
    site = make_site(config=ALL | {"ACCOUNTS_MFA_GRACE": timedelta(days=7)})
    site.user(ANN, email_verified=True)
    site.tokens(ANN)

    must_enrol(make_site(url=database_url, config=ALL))


def refreshed(site: Site, tokens: dict[str, Any]) -> TestResponse:
    return site.client.post(f"{AUTH}/refresh", json={"refresh_token": tokens["refresh_token"]})


@pytest.mark.requirement("ASVS 6.3.3")
def test_a_session_from_before_the_demand_ends_with_its_next_refresh(make_site: MakeSite, database_url: str) -> None:
    before = make_site()
    ann = before.user(ANN, email_verified=True)
    tokens = before.tokens(ANN)
    site = make_site(url=database_url, config=ALL)
    with site.testing.recorded() as events:
        answer = refreshed(site, tokens)

    assert code_of(answer) == (401, "TOKEN_REVOKED")
    assert [(event.name, event.user_id, vars(event)["reason"]) for event in events] == [("session.ended", ann.id, "refused")]
    assert site.client.get(f"{AUTH}/me", headers=bearer(tokens["access_token"])).status_code == 401
    must_enrol(site)


@pytest.mark.requirement("ASVS 6.3.3")
def test_with_a_time_of_grace_it_goes_on_until_that_is_over(make_site: MakeSite, database_url: str) -> None:
    before = make_site()
    before.user(ANN, email_verified=True)
    tokens = before.tokens(ANN)
    site = make_site(url=database_url, config=ALL | {"ACCOUNTS_MFA_GRACE": timedelta(days=7)})

    first = refreshed(site, tokens).get_json()
    assert first["refresh_expires_in"] == 7 * 24 * 3600, "the time begins, and the session ends with it"
    shown = with_token(site, first["access_token"]).get(f"{AUTH}/mfa").get_json()
    assert datetime.fromisoformat(shown["enrol_by"]) == site.testing.clock.now() + timedelta(days=7)
    site.testing.clock.move(days=6)
    second = refreshed(site, first).get_json()
    assert second["refresh_expires_in"] == 24 * 3600, "a further refresh does not make it longer"
    site.testing.clock.move(days=1)
    assert refreshed(site, second).status_code == 401
    must_enrol(site)


@pytest.mark.requirement("ASVS 6.3.3")
def test_whoever_is_given_a_role_that_must_have_one_is_held_to_it_too(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_MFA_REQUIRED": ["admin"]})
    bob = site.user("bob@example.com")
    tokens = refreshed(site, site.tokens("bob@example.com")).get_json()
    with site.app.app_context():
        site.accounts.roles.grant(bob, "admin")
        site.db.session.commit()

    assert code_of(refreshed(site, tokens)) == (401, "TOKEN_REVOKED")


def test_a_demand_costs_who_is_not_concerned_no_statement_at_a_refresh(make_site: MakeSite, tmp_path: Path) -> None:
    counts = []
    for name, config in (("plain", {}), ("demanding", {"ACCOUNTS_MFA_REQUIRED": ["admin"]})):
        site = make_site(url=f"sqlite:///{tmp_path / name}.db", config=config)
        site.user(ANN)
        tokens = site.tokens(ANN)
        site.statements.clear()
        assert refreshed(site, tokens).status_code == 200
        counts.append(len(site.statements))
        site.statements.clear()
        site.client.get(f"{AUTH}/me", headers=bearer(tokens["access_token"]))
        assert len(site.statements) == 1

    assert counts[0] == counts[1]


def test_sessions_by_two_factors_and_on_remembered_devices_go_on(make_site: MakeSite) -> None:
    site = make_site(config=ALL | {"ACCOUNTS_MFA_GRACE": timedelta(days=7), "ACCOUNTS_MFA_REMEMBER_FOR": timedelta(days=30)})
    ann = enrolled(site)
    site.testing.clock.move(days=8)
    token = site.login(ANN).get_json()["challenge_token"]
    both = answered(site, token, code=ann.phone.next())
    assert refreshed(site, both.get_json()).status_code == 200

    secret = with_token(site, both.get_json()["access_token"]).post(f"{AUTH}/mfa/devices").get_json()["device_token"]
    remembered = site.login(ANN, headers={"X-Device-Token": secret})
    assert remembered.status_code == 200
    assert refreshed(site, remembered.get_json()).status_code == 200


@pytest.mark.requirement("ASVS 2.3.1")
def test_the_enrolment_belongs_to_the_sign_in_that_began_it(make_site: MakeSite) -> None:
    site = make_site(config=ALL)
    site.user(ANN, email_verified=True)
    mine, other = must_enrol(site), must_enrol(site)
    phone = phone_of(site, begin(site, mine))

    assert answered(site, other, "totp_enrolment", code=phone.code()).get_json()["errors"][0]["code"] == "enrolment_missing"
    assert answered(site, mine, "totp_enrolment", code=phone.code()).status_code == 200
    assert code_of(answered(site, other, "totp_enrolment", code=phone.next())) == (400, "VALIDATION_ERROR")


def test_a_sign_in_that_waits_for_a_code_enrols_nothing(site: Site) -> None:
    enrolled(site)
    token = site.login(ANN).get_json()["challenge_token"]

    assert code_of(begin(site, token)) == (401, "CHALLENGE_INVALID")
    assert code_of(begin(site, "nonsense")) == (401, "CHALLENGE_INVALID")
    assert code_of(answered(site, token, "totp_enrolment", code="123456")) == (400, "VALIDATION_ERROR")


def test_an_unproved_address_is_proved_first(make_site: MakeSite) -> None:
    site = make_site(config=ALL)
    site.user(ANN)

    assert code_of(begin(site, must_enrol(site))) == (403, "EMAIL_NOT_VERIFIED")


def test_the_last_factor_of_who_must_have_one_stays_but_may_be_replaced(make_site: MakeSite) -> None:
    site = make_site(config=ALL | {"ACCOUNTS_MFA_GRACE": timedelta(days=7)})
    ann = enrolled(site)

    assert code_of(ann.browser.delete(f"{AUTH}/mfa/totp")) == (409, "FACTOR_NEEDED")
    phone = phone_of(site, ann.browser.post(f"{AUTH}/mfa/totp"))
    assert confirm(ann.browser, phone.code()).status_code == 200


def test_registering_with_sign_in_enrols_too(make_site: MakeSite) -> None:
    site = make_site(config=ALL | {"ACCOUNTS_REGISTRATION_SIGN_IN": True, "ACCOUNTS_MFA_VERIFIED_EMAIL": False})
    body: dict[str, Any] = {"email": ANN, "password": "seven brown foxes"}

    answer = site.client.post(f"{AUTH}/register", json=body)

    assert code_of(answer) == (401, "MFA_ENROLMENT_REQUIRED")
    phone = phone_of(site, begin(site, answer.get_json()["challenge_token"]))
    done = answered(site, answer.get_json()["challenge_token"], "totp_enrolment", code=phone.code())
    assert done.status_code == 200


def test_a_demand_that_nothing_can_meet_is_refused_at_start() -> None:
    app = Flask("host")
    app.config.update(SECRET_KEY=KEY, SQLALCHEMY_DATABASE_URI="sqlite://", **ALL)
    features = [feature for feature in default_features() if feature.name != "totp"]

    with pytest.raises(ConfigurationError, match=r"add Totp\(\)"):
        Accounts(SQLAlchemy(), app, features=features)


def test_a_role_is_given_in_a_list() -> None:
    app = Flask("host")
    app.config.update(SECRET_KEY=KEY, SQLALCHEMY_DATABASE_URI="sqlite://", ACCOUNTS_MFA_REQUIRED="admin")

    with pytest.raises(ConfigurationError, match="ACCOUNTS_MFA_REQUIRED"):
        Accounts(SQLAlchemy(), app)
