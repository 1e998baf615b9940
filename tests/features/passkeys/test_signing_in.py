"""Making a passkey and signing in by it."""

from __future__ import annotations

from typing import Any

import pytest

from flask_accounts.core.events import FactorChanged, PasskeyRegistered, SignedIn
from tests.conftest import Site
from tests.features.mfa.tools import claims

from .authenticator import Authenticator
from .tools import ANN, PASSKEYS, add, begin_login, login, owner, sign_in, signed_in


@pytest.mark.parametrize("algorithm", [-8, -7, -257], ids=["EdDSA", "ES256", "RS256"])
def test_a_passkey_signs_in_by_itself_with_both_factors(site: Site, algorithm: int) -> None:
    ann = owner(site, device=Authenticator(algorithm=algorithm))

    answer = sign_in(site.client, ann.device)

    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.get_json()
    assert body["user"]["email"] == ANN
    assert claims(site, body["access_token"])["amr"] == ["pop", "user", "mfa"]


def test_the_first_passkey_comes_with_recovery_codes_and_is_told_of(site: Site) -> None:
    site.user(ANN, email_verified=True)
    browser = signed_in(site)

    with site.testing.recorded() as events:
        answer = add(browser, Authenticator())

    body = answer.get_json()
    assert answer.status_code == 201
    assert body["name"] == body["authenticator"] == "Apple Passwords"
    assert len(body["recovery_codes"]) == 10
    assert (body["synced"], body["backed_up"], body["signs_in"], body["last_used_at"]) == (True, True, True, None)
    assert [event.way for event in events if isinstance(event, PasskeyRegistered)] == ["owner"]
    assert [event.change for event in events if isinstance(event, FactorChanged)] == ["added"]
    assert "a passkey" in site.testing.outbox[-1].text
    listed = browser.get(PASSKEYS).get_json()["passkeys"]
    assert [passkey["id"] for passkey in listed] == [body["id"]]


def test_the_use_of_a_passkey_is_noted(site: Site) -> None:
    ann = owner(site)
    site.testing.clock.move(minutes=1)

    with site.testing.recorded() as events:
        sign_in(site.client, ann.device)

    assert [event.user_id for event in events if isinstance(event, SignedIn)] == [ann.user.id]
    [shown] = ann.browser.get(PASSKEYS).get_json()["passkeys"]
    assert shown["last_used_at"] > shown["created_at"]


def test_a_client_that_keeps_no_cookies_sends_the_request_token(site: Site) -> None:
    ann = owner(site)
    bare = site.app.test_client(use_cookies=False)
    begun = bare.post(f"{PASSKEYS}/login/options").get_json()

    answer = login(bare, ann.device.prove(begun["options"]), request_token=begun["request_token"])

    assert answer.status_code == 200, answer.text


def test_two_tabs_of_one_browser_do_not_disturb_each_other(site: Site) -> None:
    ann = owner(site)
    browser = site.client
    first, second = begin_login(browser), begin_login(browser)

    assert login(browser, ann.device.prove(first)).status_code == 200
    assert login(browser, ann.device.prove(second)).status_code == 200


def test_what_a_sign_in_costs(site: Site) -> None:
    ann = owner(site)
    browser = site.client
    sign_in(browser, ann.device)  # the device is known from now on

    site.statements.clear()
    options = begin_login(browser)
    asking = len(site.statements)
    credential = ann.device.prove(options)
    site.statements.clear()
    answer = login(browser, credential)

    assert answer.status_code == 200
    assert (asking, len(site.statements)) == (1, 8), "\n".join(site.statements)
