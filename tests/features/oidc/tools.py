"""A browser's way to a provider and back, step by step, so that a test can change any of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_accounts import default_features
from flask_accounts.features.oidc import Oidc, Provider
from tests.conftest import MakeSite, Site

from .provider import CLIENT, SECRET, Idp, serving

BASE, FRONT = "https://api.example.com/api/auth", "https://app.example.com/signed-in"
TOKEN, IDENTITIES, PRESENCE = "/api/auth/oidc/token", "/api/auth/identities", "/api/auth/oidc/reauthenticate"
ANN = "ann@example.com"


def oidc_config(*names: str) -> dict[str, Any]:
    config: dict[str, Any] = {"ACCOUNTS_OIDC_BASE_URL": BASE, "ACCOUNTS_OIDC_FRONT_END_URL": FRONT}
    for name in names:
        config |= {f"ACCOUNTS_OIDC_{name.upper()}_CLIENT_ID": CLIENT, f"ACCOUNTS_OIDC_{name.upper()}_CLIENT_SECRET": SECRET}
    return config


@pytest.fixture
def idp() -> Iterator[Idp]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with serving() as found:
        yield found


@pytest.fixture
def other() -> Iterator[Idp]:
    """A second provider."""
    with serving() as found:
        yield found


@pytest.fixture
def make_site(make_site: MakeSite, idp: Idp) -> MakeSite:
    """As ever, with the provider `idp`, and more `providers` if the test names some."""

    def make(*, config: Mapping[str, Any] | None = None, providers: Any = (), features: Any = (), **kwargs: Any) -> Site:
        named = {provider.name for provider in providers}
        given = [*([] if "idp" in named else [Provider("idp", idp.issuer)]), *providers]
        settings = oidc_config(*(provider.name for provider in given)) | dict(config or {})
        site = make_site(features=[*default_features(), Oidc(given), *features], config=settings, **kwargs)
        idp.now = lambda: site.testing.clock.now()
        site.testing.outbox.clear()
        return site

    return make


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


def begin(browser: FlaskClient, name: str = "idp", *, link: bool = False) -> str:
    """Where the provider sends people."""
    answer = browser.post(f"/api/auth/oidc/{name}/{'link' if link else 'login'}")
    assert answer.status_code == 200, answer.text
    url: str = answer.get_json()["authorization_url"]
    return url


def begin_step_up(browser: FlaskClient, name: str = "idp") -> TestResponse:
    return browser.post(f"/api/auth/oidc/{name}/reauthenticate")


def just_now(idp: Idp, *, before: int = 0) -> int:
    """A provider's `auth_time` of some seconds ago."""
    return int(idp.now().timestamp()) - before


def told_after_step_up(browser: FlaskClient, idp: Idp, name: str = "idp", **claims: Any) -> dict[str, str]:
    """What the front end is given once the person has signed in at the provider anew."""
    begun = begin_step_up(browser, name)
    assert begun.status_code == 200, begun.text
    claims = {"auth_time": just_now(idp), **claims}
    return come_back(browser, idp.approve(begun.get_json()["authorization_url"], **claims), name)


def step_up(browser: FlaskClient, idp: Idp, name: str = "idp", **claims: Any) -> TestResponse:
    """All of it."""
    return browser.post(PRESENCE, json={"code": told_after_step_up(browser, idp, name, **claims)["code"]})


def come_back(browser: FlaskClient, answer: Mapping[str, str], name: str = "idp", **kwargs: Any) -> dict[str, str]:
    """What the front end is given: `code`, or `error`."""
    response = browser.get(f"/api/auth/oidc/{name}/callback", query_string=dict(answer), **kwargs)
    assert response.status_code == 303, response.text
    where = response.headers["Location"]
    assert where.startswith(f"{FRONT}?"), where
    return {key: values[0] for key, values in parse_qs(urlsplit(where).query).items()}


def arrive(browser: FlaskClient, idp: Idp, name: str = "idp", *, link: bool = False, **claims: Any) -> str:
    """The code that the front end gets once the person has agreed."""
    told = come_back(browser, idp.approve(begin(browser, name, link=link), **claims), name)
    assert "error" not in told, told
    return told["code"]


def exchange(browser: FlaskClient, code: str, **fields: Any) -> TestResponse:
    return browser.post(TOKEN, json={"code": code, **fields})


def sign_in(browser: FlaskClient, idp: Idp, name: str = "idp", **claims: Any) -> TestResponse:
    """All of it."""
    return exchange(browser, arrive(browser, idp, name, **claims))


def jar(browser: FlaskClient) -> dict[Any, Any]:
    """The browser's cookies, to be looked at, kept, or given to another."""
    cookies = browser._cookies
    assert cookies is not None
    return cookies


def outcome(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json().get("code", "")


def link(browser: FlaskClient, idp: Idp, name: str = "idp", **claims: Any) -> TestResponse:
    """Link an identity to whoever is signed in in `browser`."""
    return browser.post(IDENTITIES, json={"code": arrive(browser, idp, name, link=True, **claims)})
