"""Asking for a mail and signing in by it, as a browser does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_accounts import Feature, default_features
from flask_accounts.features.magic_link import MagicLink
from tests.conftest import MakeSite, Site

BASE = "https://app.example.com/account"
ANN = "ann@example.com"
ASK, LOGIN = "/api/auth/magic-link", "/api/auth/magic-link/login"
COOKIE = "__Host-magic_link"


@pytest.fixture
def make_site(make_site: MakeSite) -> MakeSite:
    """As ever, with the sign-in by mail, and with Ann, whose address is proved."""

    def make(*, config: dict[str, Any] | None = None, features: Sequence[Feature] = (), **kwargs: Any) -> Site:
        features = [*default_features(), MagicLink(), *features]
        site = make_site(features=features, config={"ACCOUNTS_MAIL_BASE_URL": BASE} | (config or {}), **kwargs)
        with site.app.app_context():
            there = site.testing.runtime.users.by_email(ANN)
        if there is None:  # a second site of the same database
            site.user(ANN, email_verified=True)
        site.testing.outbox.clear()
        return site

    return make


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """One of those."""
    return make_site()


def ask(browser: FlaskClient, email: str = ANN, **kwargs: Any) -> TestResponse:
    answer = browser.post(ASK, json={"email": email}, **kwargs)
    assert answer.status_code == 202, answer.text
    return answer


def token_in(site: Site) -> str:
    """The link's token in the last mail."""
    found = re.search(r"#token=([\w-]{43})", site.testing.outbox[-1].text)
    assert found
    return found[1]


def code_in(site: Site) -> str:
    """The code in the last mail."""
    found = re.search(r"code: (\d+)$", site.testing.outbox[-1].text, re.MULTILINE)
    assert found, site.testing.outbox[-1].text
    return found[1]


def mailed(site: Site, browser: FlaskClient, email: str = ANN) -> str:
    """The token of the link that `browser` asked for."""
    ask(browser, email)
    return token_in(site)


def mailed_code(site: Site, browser: FlaskClient, email: str = ANN) -> str:
    ask(browser, email)
    return code_in(site)


def open_link(browser: FlaskClient, token: str, **kwargs: Any) -> TestResponse:
    return browser.post(LOGIN, json={"token": token}, **kwargs)


def type_code(browser: FlaskClient, code: str, email: str = ANN, **kwargs: Any) -> TestResponse:
    return browser.post(LOGIN, json={"email": email, "code": code}, **kwargs)


def refused(answer: TestResponse, code: str = "ONE_TIME_TOKEN_INVALID") -> bool:
    return (answer.status_code, answer.get_json()["code"]) == (400, code)
