"""Passkeys where one factor was shown already: sign-ins that wait, proofs of presence, and sign-ins that must have one first."""

from __future__ import annotations

import pytest

from tests.conftest import MakeSite, Site, bearer
from tests.features.mfa.tools import claims

from .authenticator import Authenticator
from .tools import (
    ANN,
    AUTH,
    PASSKEYS,
    add,
    answered,
    asked,
    begin_challenge,
    options_of,
    owner,
    problem,
    sign_in,
    signed_in,
    with_token,
)


def test_a_password_is_followed_by_the_passkey(site: Site) -> None:
    ann = owner(site)
    waiting = site.login(ANN)

    assert (waiting.status_code, waiting.get_json()["challenges"]) == (401, ["passkey", "recovery_code"])
    token = waiting.get_json()["challenge_token"]
    options = begin_challenge(site, token)
    answer = answered(site, token, "passkey", credential=ann.device.prove(options))

    assert answer.status_code == 200, answer.text
    assert claims(site, answer.get_json()["access_token"])["amr"] == ["pwd", "pop", "user", "mfa"]
    assert len(options["allowCredentials"]) == 1


def test_a_passkey_proves_presence_in_its_session(site: Site) -> None:
    ann = owner(site)
    browser = with_token(site, sign_in(site.client, ann.device).get_json()["access_token"])
    site.testing.clock.move(minutes=16)
    site.testing.clock.move(seconds=-70)  # the token is good for a while yet
    assert browser.post(f"{AUTH}/reauthenticate", json={"method": "passkey"}).status_code == 400

    options = options_of(browser.post(f"{AUTH}/reauthenticate/passkey"))
    answer = browser.post(f"{AUTH}/reauthenticate", json={"method": "passkey", "credential": ann.device.prove(options)})

    assert answer.status_code == 200, answer.text
    fresh = bearer(answer.get_json()["access_token"])
    assert browser.post(f"{PASSKEYS}/options", headers=fresh).status_code == 200


def test_who_must_have_a_second_factor_makes_a_passkey_in_the_sign_in(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_MFA_REQUIRED": "all"})
    site.user(ANN, email_verified=True)
    waiting = site.login(ANN).get_json()
    assert "passkey_enrolment" in waiting["challenges"]
    token, device = waiting["challenge_token"], Authenticator()

    begun = site.client.post(f"{AUTH}/challenge/passkey", json={"challenge_token": token}).get_json()
    answer = answered(site, token, begun["method"], credential=device.make(begun["options"]))

    assert answer.status_code == 200, answer.text
    assert claims(site, answer.get_json()["access_token"])["amr"] == ["pwd", "pop", "user", "mfa"]
    assert len(answer.get_json()["recovery_codes"]) == 10
    assert sign_in(site.client, device).status_code == 200


def test_a_sign_in_that_asks_for_something_else_gets_no_options(site: Site) -> None:
    from tests.features.mfa.tools import enrolled

    enrolled(site)

    answer = site.client.post(f"{AUTH}/challenge/passkey", json={"challenge_token": asked(site)})

    assert problem(answer) == (401, "CHALLENGE_INVALID")


def test_a_key_without_a_pin_is_taken_where_the_app_says_so_and_is_a_second_factor_alone(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_PASSKEYS_SECURITY_KEYS": True})
    ann = owner(site, device=Authenticator(verifies=False, synced=False, counts=True))
    assert ann.passkey["signs_in"] is False

    token = asked(site)
    answer = answered(site, token, "passkey", credential=ann.device.prove(begin_challenge(site, token)))

    assert answer.status_code == 200, answer.text
    assert problem(sign_in(site.client, ann.device)) == (401, "INVALID_CREDENTIALS")


def test_an_unproved_address_gets_no_passkey_beside_its_password(site: Site) -> None:
    site.user(ANN)

    answer = signed_in(site).post(f"{PASSKEYS}/options")

    assert problem(answer) == (403, "EMAIL_NOT_VERIFIED")


@pytest.mark.parametrize("method", ["passkey", "passkey_enrolment"])
def test_an_answer_without_a_credential_is_a_mistake_of_form(make_site: MakeSite, method: str) -> None:
    site = make_site(config={"ACCOUNTS_MFA_REQUIRED": "all"} if method == "passkey_enrolment" else {})
    if method == "passkey":
        owner(site)
    else:
        site.user(ANN, email_verified=True)
    token = site.login(ANN).get_json()["challenge_token"]

    assert problem(answered(site, token, method)) == (400, "missing")


def test_further_passkeys_end_no_sessions_and_bring_no_more_codes(site: Site) -> None:
    ann = owner(site)
    elsewhere = with_token(site, sign_in(site.client, ann.device).get_json()["access_token"])

    answer = add(ann.browser, Authenticator(), name="Phone")

    assert answer.status_code == 201
    assert "recovery_codes" not in answer.get_json()
    assert elsewhere.get(f"{AUTH}/me").status_code == 200
