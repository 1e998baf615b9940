"""Accounts with passkeys, and the ceremonies step by step, so that a test can change any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import Site
from tests.features.mfa.tools import ANN, AUTH, answered, asked, code_of, signed_in, with_token

from .authenticator import Authenticator, Json

PASSKEYS = f"{AUTH}/passkeys"


@dataclass
class Owner:
    """Somebody with a passkey, and a browser that is signed in."""

    user: Any
    device: Authenticator
    passkey: Json
    browser: FlaskClient


def options_of(answer: TestResponse) -> Json:
    assert answer.status_code == 200, answer.text
    options: Json = answer.get_json()["options"]
    return options


def begin(browser: FlaskClient) -> Json:
    """The options to make a passkey."""
    return options_of(browser.post(f"{PASSKEYS}/options"))


def add(browser: FlaskClient, device: Authenticator, *, name: str | None = None, **bent: Any) -> TestResponse:
    """Make a passkey for whoever is signed in in `browser`."""
    body = {"credential": device.make(begin(browser), **bent)} | ({"name": name} if name else {})
    return browser.post(PASSKEYS, json=body)


def owner(site: Site, email: str = ANN, device: Authenticator | None = None, **kwargs: Any) -> Owner:
    """An account with a passkey."""
    user = site.user(email, **{"email_verified": True} | kwargs)
    browser, device = signed_in(site, email), device or Authenticator()
    answer = add(browser, device)
    assert answer.status_code == 201, answer.text
    site.testing.outbox.clear()
    return Owner(user, device, answer.get_json(), browser)


def begin_login(browser: FlaskClient) -> Json:
    """The options to sign in."""
    return options_of(browser.post(f"{PASSKEYS}/login/options"))


def login(browser: FlaskClient, credential: Json, **body: Any) -> TestResponse:
    return browser.post(f"{PASSKEYS}/login", json={"credential": credential, **body})


def sign_in(browser: FlaskClient, device: Authenticator, **bent: Any) -> TestResponse:
    """Sign in by a passkey alone."""
    return login(browser, device.prove(begin_login(browser), **bent))


def begin_challenge(site: Site, token: str) -> Json:
    """The options of a sign-in that waits."""
    return options_of(site.client.post(f"{AUTH}/challenge/passkey", json={"challenge_token": token}))


def register(browser: FlaskClient, device: Authenticator, email: str = ANN, **fields: Any) -> TestResponse:
    """Make an account by a passkey."""
    given = {"email": email, **fields}
    options = options_of(browser.post(f"{PASSKEYS}/register/options", json=given))
    return browser.post(f"{PASSKEYS}/register", json={**given, "credential": device.make(options)})


def problem(answer: TestResponse) -> tuple[int, str]:
    """The status, and what is wrong: the code of the first field problem, or that of the whole."""
    body = answer.get_json()
    return answer.status_code, (body.get("errors") or [{}])[0].get("code") or body["code"]


__all__ = ["ANN", "AUTH", "answered", "asked", "code_of", "signed_in", "with_token"]
