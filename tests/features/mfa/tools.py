"""Accounts with an authenticator app, and signing in with two factors."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_accounts.features.totp.algorithm import hotp, step_at
from flask_accounts.testing import PASSWORD
from tests.conftest import Site, bearer

AUTH = "/api/auth"
ANN = "ann@example.com"


@dataclass
class Phone:
    """An authenticator app: knows a secret, and the time."""

    site: Site
    secret: bytes

    def code(self, later: int = 0) -> str:
        """The code of this moment, or of some steps later."""
        return hotp(self.secret, step_at(self.site.testing.clock.now()) + later)

    def next(self) -> str:
        """The code of the next step, at its time."""
        self.site.testing.clock.move(seconds=30)
        return self.code()

    def wrong(self) -> str:
        """A code that is none of this time."""
        near = {self.code(later) for later in range(-2, 3)}
        return next(code for code in (f"{number:06}" for number in range(10)) if code not in near)


@dataclass
class Owner:
    """Somebody with two factors, and a browser that is signed in by both."""

    user: Any
    phone: Phone
    codes: list[str]
    browser: FlaskClient
    tokens: dict[str, Any] = field(repr=False, default_factory=dict)


def signed_in(site: Site, email: str = ANN, **kwargs: Any) -> FlaskClient:
    """A browser signed in by the password."""
    answer = site.login(email, **kwargs)
    assert answer.status_code == 200, answer.text
    return with_token(site, answer.get_json()["access_token"])


def with_token(site: Site, token: str) -> FlaskClient:
    client = site.client
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def begin(browser: FlaskClient, site: Site) -> Phone:
    """A phone that has read the QR code."""
    answer = browser.post(f"{AUTH}/mfa/totp")
    assert answer.status_code == 200, answer.text
    return phone_of(site, answer)


def phone_of(site: Site, answer: TestResponse) -> Phone:
    return Phone(site, base64.b32decode(answer.get_json()["secret"]))


def confirm(browser: FlaskClient, code: str) -> TestResponse:
    return browser.post(f"{AUTH}/mfa/totp/confirm", json={"code": code})


def enrolled(site: Site, email: str = ANN, **kwargs: Any) -> Owner:
    """An account with an authenticator app."""
    user = site.user(email, **{"email_verified": True} | kwargs)
    browser = signed_in(site, email)
    phone = begin(browser, site)
    answer = confirm(browser, phone.code())
    assert answer.status_code == 200, answer.text
    site.testing.outbox.clear()
    return Owner(user, phone, answer.get_json()["recovery_codes"], browser)


@pytest.fixture
def ann(site: Site) -> Owner:
    """Ann, who has one, on the site of default settings."""
    return enrolled(site)


def asked(site: Site, email: str = ANN, password: str = PASSWORD, **kwargs: Any) -> str:
    """The token of a sign-in that waits for a second factor."""
    answer = site.login(email, password, **kwargs)
    assert (answer.status_code, answer.get_json()["code"]) == (401, "MFA_REQUIRED"), answer.text
    token: str = answer.get_json()["challenge_token"]
    return token


def answered(site: Site, token: str, method: str = "totp", **body: Any) -> TestResponse:
    return site.client.post(f"{AUTH}/challenge", json={"challenge_token": token, "method": method, **body})


def sign_in(site: Site, owner: Owner, **kwargs: Any) -> FlaskClient:
    """A browser signed in by both factors."""
    answer = answered(site, asked(site, owner.user.email, **kwargs), code=owner.phone.next())
    assert answer.status_code == 200, answer.text
    return with_token(site, answer.get_json()["access_token"])


def code_of(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["code"]


def claims(site: Site, token: str) -> dict[str, Any]:
    import jwt

    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


__all__ = ["ANN", "AUTH", "Owner", "Phone", "bearer"]
