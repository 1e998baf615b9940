"""Signing in with two factors, and what an account of one costs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import events, login_required
from flask_accounts.core.errors import MfaRequired
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.features.mfa.tools import ANN, AUTH, Owner, answered, asked, code_of, enrolled, sign_in, signed_in, with_token

NEW = "a rather different horse"


@pytest.mark.requirement("ASVS 6.3.3")
def test_a_right_password_yields_a_challenge_and_no_token(site: Site, ann: Owner) -> None:
    with site.testing.recorded() as told:
        answer = site.login(ANN)

    body = answer.get_json()
    assert code_of(answer) == (401, "MFA_REQUIRED")
    assert body["challenges"] == ["totp", "recovery_code"]
    assert body["expires_in"] == 600
    assert "Set-Cookie" not in answer.headers
    assert not {"access_token", "refresh_token", "user"} & set(body)
    assert [type(event) for event in told] == [events.SignInChallenged]


def test_the_code_finishes_the_sign_in(site: Site, ann: Owner) -> None:
    answer = answered(site, asked(site), code=ann.phone.next())

    assert answer.status_code == 200
    browser = with_token(site, answer.get_json()["access_token"])
    assert browser.get(f"{AUTH}/me").get_json()["email"] == ANN


def test_a_wrong_password_is_told_nothing_of_the_factor(site: Site, ann: Owner) -> None:
    assert site.login(ANN, "wrong").get_json() == site.login("nobody@example.com", "wrong").get_json()


def test_a_wrong_code_does_not_use_the_challenge_up_and_is_noted(site: Site, ann: Owner) -> None:
    token = asked(site)

    with site.testing.recorded() as told:
        wrong = answered(site, token, code=ann.phone.wrong())

    assert code_of(wrong) == (401, "INVALID_CREDENTIALS")
    assert [(type(event), event.user_id) for event in told] == [(events.SignInFailed, ann.user.id)]
    assert answered(site, token, code=ann.phone.next()).status_code == 200


def test_host_code_opens_no_session_past_the_factor(site: Site, ann: Owner) -> None:
    with site.app.app_context():
        with pytest.raises(MfaRequired):
            site.accounts.sessions.open(ann.user.id)
        opened = site.accounts.sessions.open(ann.user.id, amr=("host", "mfa"))  # its own two factors

    assert opened.session.acr == "aal2"


def test_a_missing_code_is_said(site: Site, ann: Owner) -> None:
    answer = answered(site, asked(site))

    assert answer.status_code == 400
    assert answer.get_json()["errors"] == [{"field": "code", "code": "missing", "message": "Field required"}]


def test_a_sign_in_without_factors_costs_not_a_statement_more(site: Site) -> None:
    site.user(ANN)
    site.tokens(ANN)  # a first sign-in notes the device
    site.statements.clear()

    assert site.login(ANN).status_code == 200
    assert len([text for text in site.statements if not text.startswith("INSERT INTO accounts_events")]) == 3


def test_what_two_factors_cost(site: Site, ann: Owner) -> None:
    """Asking: credentials, account, the sign-in that waits. Answering: that and its password, a guess counted, account, secret, the step
    used, wrong answers forgotten, the wait over, account, session, device.
    """
    sign_in(site, ann)
    site.statements.clear()

    token = asked(site)
    first = len([text for text in site.statements if not text.startswith("INSERT INTO accounts_events")])
    site.statements.clear()
    answered(site, token, code=ann.phone.next())
    second = [text for text in site.statements if not text.startswith("INSERT INTO accounts_events")]

    assert first == 3
    assert len(second) == 10, "\n".join(second)


# Step-up


def test_an_account_without_factors_proves_presence_by_its_password(site: Site) -> None:
    site.user(ANN)
    browser = signed_in(site)

    with site.testing.recorded() as told:
        assert browser.post(f"{AUTH}/reauthenticate", json={"password": PASSWORD}).status_code == 200
    assert [event.method for event in told if isinstance(event, events.Reauthenticated)] == ["password"]
    assert browser.post(f"{AUTH}/reauthenticate", json={"method": "password"}).status_code == 400
    wrong = browser.post(f"{AUTH}/reauthenticate", json={"method": "nothing", "code": "1"})
    assert wrong.get_json()["errors"][0]["code"] == "method_unknown"


@pytest.mark.parametrize("method", ["totp", "recovery_code"])
def test_any_factor_of_the_account_proves_presence(site: Site, ann: Owner, method: str) -> None:
    code = ann.phone.next() if method == "totp" else ann.codes[0]
    site.testing.clock.move(minutes=14)
    code = ann.phone.code() if method == "totp" else code

    answer = ann.browser.post(f"{AUTH}/reauthenticate", json={"method": method, "code": code})

    assert answer.status_code == 200, answer.text
    site.testing.clock.move(minutes=14)
    browser = with_token(site, answer.get_json()["access_token"])
    assert browser.get(f"{AUTH}/me/export").status_code == 200


@pytest.mark.requirement("ASVS 10.3.4", "ASVS 7.5.3")
def test_a_wrong_code_proves_nothing(site: Site, ann: Owner) -> None:
    answer = ann.browser.post(f"{AUTH}/reauthenticate", json={"method": "totp", "code": ann.phone.wrong()})

    assert code_of(answer) == (401, "INVALID_CREDENTIALS")


def views(app: Flask, db: SQLAlchemy) -> None:
    @app.get("/vault")
    @login_required(amr=["mfa"])
    def vault() -> str:
        return "open"

    @app.get("/app-only")
    @login_required(fresh=timedelta(minutes=5), amr=["otp"])
    def app_only() -> str:
        return "open"


def test_a_view_asks_for_methods_and_how_recent_they_are(make_site: MakeSite) -> None:
    site = make_site(views=views)
    site.user("bob@example.com")
    ann = enrolled(site)
    weak = signed_in(site, "bob@example.com")

    refused = weak.get("/vault")
    assert code_of(refused) == (401, "REAUTHENTICATION_REQUIRED")
    assert refused.get_json()["amr"] == ["mfa"]
    assert "insufficient_user_authentication" in refused.headers["WWW-Authenticate"]

    strong = sign_in(site, ann)
    assert (strong.get("/vault").text, strong.get("/app-only").text) == ("open", "open")
    by_recovery = answered(site, asked(site), "recovery_code", code=ann.codes[0]).get_json()["access_token"]
    assert site.client.get("/vault", headers=bearer(by_recovery)).status_code == 200
    assert site.client.get("/app-only", headers=bearer(by_recovery)).status_code == 401
    site.testing.clock.move(minutes=6)
    assert (strong.get("/vault").status_code, strong.get("/app-only").status_code) == (200, 401)


def test_methods_are_a_list() -> None:
    with pytest.raises(TypeError, match="amr"):
        login_required(amr="mfa")  # type: ignore[call-overload]


def test_a_changed_password_asks_an_account_of_two_factors_for_recent_authentication(site: Site, ann: Owner) -> None:
    change: dict[str, Any] = {"current_password": PASSWORD, "new_password": NEW}
    token = answered(site, asked(site), code=ann.phone.next()).get_json()["refresh_token"]
    site.testing.clock.move(minutes=16)
    renewed = site.client.post(f"{AUTH}/refresh", json={"refresh_token": token}).get_json()["access_token"]

    refused = site.client.post(f"{AUTH}/password/change", json=change, headers=bearer(renewed))
    assert code_of(refused) == (401, "REAUTHENTICATION_REQUIRED")
    proof = {"method": "totp", "code": ann.phone.next()}
    fresh = site.client.post(f"{AUTH}/reauthenticate", json=proof, headers=bearer(renewed)).get_json()["access_token"]
    assert site.client.post(f"{AUTH}/password/change", json=change, headers=bearer(fresh)).status_code == 204
