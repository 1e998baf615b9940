"""Sign-ins of more than one step: the policy asked at sign-in, and gates of a host's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from flask_accounts import Accounts, ConfigurationError, Feature, LoginAttempt, default_features, events
from flask_accounts.core.errors import ChallengeRequired, InvalidCredentials
from flask_accounts.core.gates import Answer, ChallengeMethod, Gate
from flask_accounts.core.runtime import Runtime
from flask_accounts.core.users import UserView
from flask_accounts.testing import PASSWORD
from tests.conftest import KEY, MakeSite, Site, bearer

NEW = "a rather different horse"


@pytest.fixture
def strict(make_site: MakeSite) -> Site:
    """A site whose policy has become stricter than Ann's password."""
    site = make_site(config={"ACCOUNTS_PASSWORD_CHECK_AT_SIGN_IN": True})
    site.user("ann@example.com", password="short enough")
    runtime = site.testing.runtime
    site.user("bob@example.com")
    runtime.password_checks = (*runtime.password_checks, _longer)
    return site


def _longer(password: str, context: Any) -> Any:
    from flask_accounts.core.errors import FieldProblem

    return FieldProblem("password", "password_too_short", "Use at least 20 characters.") if len(password) < 20 else None


def challenge(site: Site, token: str, **body: Any) -> TestResponse:
    return site.client.post("/api/auth/challenge", json={"challenge_token": token, **body})


def asked(site: Site) -> dict[str, Any]:
    answer = site.login("ann@example.com", "short enough")
    assert answer.status_code == 401, answer.text
    body: dict[str, Any] = answer.get_json()
    return body


def test_a_password_that_the_policy_refuses_by_now_opens_no_session_but_a_challenge(strict: Site) -> None:
    with strict.testing.recorded() as told:
        body = asked(strict)

    assert body["code"] == "PASSWORD_CHANGE_REQUIRED"
    assert body["challenges"] == ["password_change"]
    assert body["errors"][0]["code"] == "password_too_short"
    assert body["expires_in"] == 600
    assert "access_token" not in body
    assert [type(event) for event in told] == [events.SignInChallenged]


def test_a_password_that_is_still_good_signs_in(strict: Site) -> None:
    assert strict.login("bob@example.com").status_code == 200


def test_the_policy_is_not_asked_at_sign_in_by_default(make_site: MakeSite) -> None:
    site = make_site()
    site.user("ann@example.com")
    site.testing.runtime.password_checks = (lambda password, context: pytest.fail("asked"),)

    assert site.login("ann@example.com").status_code == 200


def test_a_new_password_answers_the_challenge_and_finishes_the_sign_in(strict: Site) -> None:
    token = asked(strict)["challenge_token"]

    answer = challenge(strict, token, method="password_change", new_password=NEW)

    assert answer.status_code == 200, answer.text
    assert strict.client.get("/api/auth/me", headers=bearer(answer.get_json()["access_token"])).status_code == 200
    assert strict.login("ann@example.com", NEW).status_code == 200
    assert strict.login("ann@example.com", "short enough").status_code == 401


def test_a_challenge_token_is_good_once(strict: Site) -> None:
    token = asked(strict)["challenge_token"]
    challenge(strict, token, method="password_change", new_password=NEW)

    answer = challenge(strict, token, method="password_change", new_password="another long horse of course")

    assert (answer.status_code, answer.get_json()["code"]) == (401, "CHALLENGE_INVALID")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"method": "password_change", "new_password": "too short"}, ("new_password", "password_too_short")),
        ({"method": "password_change", "new_password": "short enough"}, ("new_password", "password_unchanged")),
        ({"method": "password_change"}, ("new_password", "missing")),
        ({"method": "totp", "code": "123456"}, ("method", "method_unknown")),
    ],
)
def test_a_wrong_answer_does_not_use_the_challenge_up(strict: Site, body: dict[str, str], problem: tuple[str, str]) -> None:
    token = asked(strict)["challenge_token"]

    answer = challenge(strict, token, **body)

    assert answer.status_code == 400, answer.text
    assert (answer.get_json()["errors"][0]["field"], answer.get_json()["errors"][0]["code"]) == problem
    assert challenge(strict, token, method="password_change", new_password=NEW).status_code == 200


def test_a_challenge_expires(strict: Site) -> None:
    token = asked(strict)["challenge_token"]
    strict.testing.clock.move(minutes=10)

    assert challenge(strict, token, method="password_change", new_password=NEW).get_json()["code"] == "CHALLENGE_INVALID"


def test_a_challenge_dies_with_the_password_it_was_made_for(strict: Site) -> None:
    token = asked(strict)["challenge_token"]
    with strict.app.app_context():
        strict.accounts.passwords.set(strict.accounts.users.find(email="ann@example.com"), NEW)
        strict.db.session.commit()

    assert challenge(strict, token, method="password_change", new_password=NEW + "!").get_json()["code"] == "CHALLENGE_INVALID"


def test_a_second_sign_in_does_not_void_the_challenge_of_the_first(strict: Site) -> None:
    first = asked(strict)["challenge_token"]
    asked(strict)

    assert challenge(strict, first, method="password_change", new_password=NEW).status_code == 200


@pytest.mark.requirement("ASVS 9.2.2")
def test_a_challenge_token_opens_nothing_else(strict: Site) -> None:
    token = asked(strict)["challenge_token"]

    assert strict.client.get("/api/auth/me", headers=bearer(token)).status_code == 401
    assert strict.client.post("/api/auth/refresh", headers=bearer(token)).status_code == 401
    reset = strict.client.post("/api/auth/password/reset", json={"token": token, "new_password": NEW})
    assert reset.status_code == 400


def test_asking_at_sign_in_needs_a_way_to_answer() -> None:
    from flask import Flask

    app = Flask("host")
    app.config.update(SECRET_KEY=KEY, SQLALCHEMY_DATABASE_URI="sqlite://", ACCOUNTS_PASSWORD_CHECK_AT_SIGN_IN=True)
    features = [feature for feature in default_features() if feature.name not in ("challenges", "mfa", "totp")]

    with pytest.raises(ConfigurationError, match="needs the feature Challenges"):
        Accounts(SQLAlchemy(), app, features=features)


class Pin(Feature):
    """A second step of a host's own."""

    name = "pin"

    def gates(self, runtime: Runtime) -> tuple[Gate, ...]:
        def ask(attempt: LoginAttempt, user: UserView) -> None:
            if "pin" not in attempt.answered:
                raise ChallengeRequired(["pin"])

        return (ask,)

    def challenge_methods(self, runtime: Runtime) -> dict[str, ChallengeMethod]:
        def check(attempt: LoginAttempt, user: UserView, answer: Answer) -> LoginAttempt:
            if answer.code != "1234":
                raise InvalidCredentials
            return replace(attempt, amr=(*attempt.amr, "pin"))

        return {"pin": check}


@pytest.mark.requirement("ASVS 6.3.3")
@pytest.mark.requirement("ASVS 2.3.1")
def test_a_hosts_own_second_step_stands_before_every_way_in(make_site: MakeSite) -> None:
    site = make_site(features=[*default_features(), Pin()])
    ann = site.user("ann@example.com")

    first = site.login("ann@example.com", PASSWORD)
    assert (first.status_code, first.get_json()["code"]) == (401, "CHALLENGE_REQUIRED")
    assert "Set-Cookie" not in first.headers
    token = first.get_json()["challenge_token"]
    assert challenge(site, token, method="pin", code="0000").get_json()["code"] == "INVALID_CREDENTIALS"
    second = challenge(site, token, method="pin", code="1234")

    assert second.status_code == 200, second.text
    shown = site.client.get("/api/auth/sessions", headers=bearer(second.get_json()["access_token"]))
    assert shown.status_code == 200
    with site.app.app_context(), pytest.raises(ChallengeRequired):
        site.accounts.sessions.open(ann.id)
