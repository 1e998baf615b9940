"""Token cookies and the CSRF double submit (ASVS V3.3, V3.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import verify_jwt_in_request
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from flask_accounts.core import tokens as core_tokens
from flask_accounts.core.events import AccessRefused
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer

from .doors import by_hand, host_views

COOKIES = {"JWT_TOKEN_LOCATION": ["cookies"]}
ACCESS, REFRESH = "__Host-access_token", "__Host-refresh_token"
GOOD = "vexing-quartz-lamp 7"


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    site = make_site(config=COOKIES, views=host_views)
    site.user("ann@example.com")
    return site


@dataclass
class Browser:
    """A client that keeps cookies, signed in."""

    client: FlaskClient

    def csrf(self, kind: str = "access") -> dict[str, str]:
        cookie = self.client.get_cookie(f"csrf_{kind}_token")
        assert cookie
        return {"X-CSRF-TOKEN": cookie.value}

    def token(self, name: str) -> str:
        cookie = self.client.get_cookie(name)
        assert cookie
        return cookie.value


def browser(site: Site, email: str = "ann@example.com") -> Browser:
    client = site.app.test_client()
    assert client.post("/api/auth/login", json={"email": email, "password": PASSWORD}).status_code == 200
    return Browser(client)


def set_cookies(answer: TestResponse) -> dict[str, tuple[str, dict[str, str]]]:
    found = {}
    for line in answer.headers.getlist("Set-Cookie"):
        first, _, rest = line.partition(";")
        name, _, value = first.partition("=")
        parts = (part.strip().partition("=") for part in rest.split(";"))
        found[name] = (value, {key.lower(): option for key, _, option in parts})
    return found


def signing_answers(site: Site) -> list[TestResponse]:
    """Every answer that hands out tokens."""
    client = browser(site)
    login = site.login("ann@example.com")
    refresh = client.client.post("/api/auth/refresh", headers=client.csrf("refresh"))
    again = client.client.post("/api/auth/reauthenticate", json={"password": PASSWORD}, headers=client.csrf())
    return [login, refresh, again]


@pytest.mark.requirement("ASVS 3.3.1", "ASVS 3.3.3")
def test_token_cookies_are_secure_httponly_samesite_host_only_and_small(site: Site) -> None:
    for answer in signing_answers(site):
        cookies = set_cookies(answer)
        assert set(cookies) == {ACCESS, REFRESH, "csrf_access_token", "csrf_refresh_token"}
        for name, (value, options) in cookies.items():
            assert "secure" in options
            assert options["samesite"] in ("Lax", "Strict")
            assert "domain" not in options
            assert options["path"] == "/"
            assert len(name) + len(value) < 4096
            assert ("httponly" in options) == name.startswith("__Host-")


@pytest.mark.requirement("ASVS 3.3.3")
@pytest.mark.parametrize(
    "config",
    [{"JWT_COOKIE_SECURE": False}, {"JWT_COOKIE_DOMAIN": "example.com"}, {"JWT_ACCESS_COOKIE_PATH": "/api"}, {"JWT_REFRESH_COOKIE_PATH": "/api/auth"}],
    ids=str,
)  # fmt: skip
def test_no_cookie_is_called_host_that_browsers_would_refuse_under_that_name(make_site: MakeSite, config: dict[str, Any]) -> None:
    site = make_site(config=COOKIES | config)
    site.user("ann@example.com")

    for name, (_, options) in set_cookies(site.login("ann@example.com")).items():
        fits = "secure" in options and "domain" not in options and options["path"] == "/"
        assert fits or not name.startswith("__Host-")


@pytest.mark.requirement("ASVS 3.3.4", "ASVS 10.1.1")
def test_in_cookie_mode_no_body_carries_a_token(make_site: MakeSite, site: Site) -> None:
    for answer in signing_answers(site):
        assert answer.status_code == 200
        assert "eyJ" not in answer.text
        assert {"access_token", "refresh_token"}.isdisjoint(answer.get_json())


@pytest.mark.requirement("ASVS 3.3.4")
def test_registration_that_signs_in_sends_cookies_only(make_site: MakeSite) -> None:
    site = make_site(config=COOKIES | {"ACCOUNTS_REGISTRATION_SIGN_IN": True})

    answer = site.client.post("/api/auth/register", json={"email": "new@example.com", "password": GOOD})

    assert answer.status_code == 201
    assert "eyJ" not in answer.text
    assert ACCESS in set_cookies(answer)


@pytest.mark.requirement("ASVS 3.3.4")
def test_a_cookie_cannot_be_turned_into_a_readable_token(make_site: MakeSite) -> None:
    """Where both transports are allowed, injected script could ask for the body form: what came by cookie goes by cookie."""
    site = make_site(config={"JWT_TOKEN_LOCATION": ["headers", "cookies"]})
    site.user("ann@example.com")
    client = site.app.test_client()
    client.post(
        "/api/auth/login", json={"email": "ann@example.com", "password": PASSWORD}, headers={"X-Token-Transport": "cookies"}
    )
    person = Browser(client)

    refresh = client.post("/api/auth/refresh", headers=person.csrf("refresh") | {"X-Token-Transport": "headers"})
    again = client.post(
        "/api/auth/reauthenticate", json={"password": PASSWORD}, headers=person.csrf() | {"X-Token-Transport": "headers"}
    )

    for answer in (refresh, again):
        assert answer.status_code == 200
        assert "eyJ" not in answer.text


@pytest.mark.requirement("ASVS 3.3.4")
@pytest.mark.parametrize("location", [["cookies"], ["headers", "cookies"], ["cookies", "headers"]])
def test_nor_where_the_host_has_looked_at_it_with_flask_jwt_extended_before(make_site: MakeSite, location: list[str]) -> None:
    """Who calls is found out once a request: what a host's own `verify_jwt_in_request` found came by cookie all the same."""

    def views(app: Flask, db: SQLAlchemy) -> None:
        app.before_request(lambda: (verify_jwt_in_request(optional=True), None)[1])

    site = make_site(config={"JWT_TOKEN_LOCATION": location}, views=views)
    ann = site.user("ann@example.com")
    client = site.app.test_client()
    client.post(
        "/api/auth/login", json={"email": "ann@example.com", "password": PASSWORD}, headers={"X-Token-Transport": "cookies"}
    )

    again = client.post("/api/auth/reauthenticate", json={"password": PASSWORD}, headers=Browser(client).csrf())

    assert again.status_code == 200
    assert "eyJ" not in again.text
    if "headers" in location:
        token = site.testing.sign_in(ann).tokens.access_token
        in_header = site.client.post("/api/auth/reauthenticate", json={"password": PASSWORD}, headers=bearer(token))
        assert "access_token" in in_header.get_json()


def test_what_came_in_a_body_or_a_header_is_answered_in_the_body_also_where_cookies_are_the_default(make_site: MakeSite) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["cookies", "headers"]})
    ann = site.user("ann@example.com")
    refresh = "/api/auth/refresh"

    in_body = site.client.post(refresh, json={"refresh_token": site.testing.sign_in(ann).tokens.refresh_token})
    in_header = site.client.post(refresh, headers=bearer(site.testing.sign_in(ann).tokens.refresh_token))
    again = site.client.post(
        "/api/auth/reauthenticate",
        json={"password": PASSWORD},
        headers=bearer(site.testing.sign_in(ann).tokens.access_token),
    )

    for answer in (in_body, in_header, again):
        assert answer.status_code == 200
        assert {"access_token", "refresh_token"} <= answer.get_json().keys()
        assert not answer.headers.getlist("Set-Cookie")


UNSAFE: list[tuple[str, str, Any, str]] = [
    ("POST", "/api/auth/refresh", None, "refresh"),
    ("POST", "/api/auth/logout", None, "access"),
    ("DELETE", "/api/auth/logout", None, "access"),
    ("PATCH", "/api/auth/me", {"username": "changed"}, "access"),
    ("DELETE", "/api/auth/me", None, "access"),
    ("POST", "/api/auth/reauthenticate", {"password": PASSWORD}, "access"),
    ("POST", "/api/auth/password/change", {"current_password": PASSWORD, "new_password": GOOD}, "access"),
    ("DELETE", "/api/auth/sessions", None, "access"),
    ("PATCH", "/api/users/1", {"username": "changed"}, "access"),
    ("DELETE", "/api/users/1", None, "access"),
    ("POST", "/api/users/", {"email": "planted@example.com", "password": GOOD}, "access"),
]


@pytest.mark.requirement("ASVS 3.5.1", "ASVS 16.3.3")
@pytest.mark.parametrize(("method", "path", "body", "kind"), UNSAFE, ids=lambda value: str(value) if isinstance(value, str) else "")
def test_no_unsafe_request_by_cookie_without_the_right_csrf_header(
    site: Site, method: str, path: str, body: Any, kind: str
) -> None:
    person, other = browser(site), browser(site)
    wrong: list[dict[str, str]] = [
        {}, {"X-CSRF-TOKEN": ""}, {"X-CSRF-TOKEN": "x"}, {"X-CSRF-TOKEN": "null"}, {"X-CSRF-TOKEN": "é"}, other.csrf(kind),
        person.csrf("access" if kind == "refresh" else "refresh"), {"X-CSRF": person.csrf(kind)["X-CSRF-TOKEN"]},
        {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}, {"Authorization": "Bearer x.y.z"}, {"X-API-Key": "junk"},
        {"X-Requested-With": "XMLHttpRequest"}, {"X-HTTP-Method-Override": "GET"}, {"Origin": "http://localhost"},
    ]  # fmt: skip

    for headers in wrong:
        answer = person.client.open(path, method=method, json=body, headers=headers)
        assert (answer.status_code, answer.get_json()["code"]) == (403, "CSRF_FAILED"), f"{headers}: {answer.text}"
    in_query = person.client.open(f"{path}?csrf_token={person.csrf(kind)['X-CSRF-TOKEN']}", method=method, json=body)
    assert in_query.status_code == 403

    assert person.client.get("/api/auth/me").get_json()["username"] is None
    assert person.client.open(path, method=method, json=body, headers=person.csrf(kind)).status_code in (200, 201, 204)


@pytest.mark.requirement("ASVS 3.5.1")
def test_a_planted_csrf_cookie_opens_nothing(site: Site) -> None:
    """A sibling host can plant the readable cookie; the value is bound to the token, so planting both halves fails."""
    person = browser(site)
    person.client.set_cookie("csrf_access_token", "planted")

    answer = person.client.delete("/api/auth/me", headers={"X-CSRF-TOKEN": "planted"})

    assert answer.get_json()["code"] == "CSRF_FAILED"


@pytest.mark.requirement("ASVS 3.5.1")
def test_where_the_two_csrf_headers_have_different_names_one_does_not_stand_for_the_other(make_site: MakeSite) -> None:
    names = {"JWT_ACCESS_CSRF_HEADER_NAME": "X-Access", "JWT_REFRESH_CSRF_HEADER_NAME": "X-Refresh"}
    site = make_site(config=COOKIES | names)
    site.user("ann@example.com")
    person = browser(site)
    access, refresh = person.csrf()["X-CSRF-TOKEN"], person.csrf("refresh")["X-CSRF-TOKEN"]

    for path, wrong in (
        ("/api/auth/refresh", {"X-Access": refresh}),
        ("/api/auth/refresh", {"X-Access": access, "X-Refresh": access}),
        ("/api/auth/refresh", {"X-CSRF-TOKEN": refresh}),
        ("/api/auth/logout", {"X-Refresh": access}),
        ("/api/auth/logout", {"X-CSRF-TOKEN": access}),
    ):
        answer = person.client.post(path, headers=wrong)
        assert (answer.status_code, answer.get_json()["code"]) == (403, "CSRF_FAILED"), (path, wrong)
    assert person.client.post("/api/auth/refresh", headers={"X-Refresh": refresh}).status_code == 200
    assert person.client.post("/api/auth/logout", headers={"X-Access": person.csrf()["X-CSRF-TOKEN"]}).status_code == 200


@pytest.mark.requirement("ASVS 3.5.1")
def test_plain_host_views_are_protected_alike(make_site: MakeSite) -> None:
    from flask_jwt_extended import jwt_required

    from flask_accounts import login_required

    def views(app: Flask, db: SQLAlchemy) -> None:
        app.add_url_rule("/own", "own", login_required(lambda: "in"), methods=["POST"])
        app.add_url_rule("/plain", "plain", jwt_required()(lambda: "in"), methods=["POST"])

    site = make_site(config=COOKIES, views=views)
    site.user("ann@example.com")
    person, other = browser(site), browser(site)

    for path in ("/own", "/plain"):
        for headers in ({}, {"X-CSRF-TOKEN": "x"}, other.csrf(), person.csrf("refresh")):
            answer = person.client.post(path, headers=headers)
            assert (answer.status_code, answer.get_json()["code"]) == (403, "CSRF_FAILED"), (path, headers)
        assert person.client.post(path, headers=person.csrf()).status_code == 200


@pytest.mark.requirement("ASVS 16.3.3", "ASVS 3.5.1")
def test_a_failed_csrf_check_is_told(site: Site) -> None:
    person = browser(site)

    with site.testing.recorded() as events:
        person.client.delete("/api/auth/me")

    assert [(event.reason, event.path) for event in events if isinstance(event, AccessRefused)] == [("CSRF_FAILED", "/api/auth/me")]


@pytest.mark.requirement("ASVS 11.2.4")
def test_the_csrf_token_is_compared_in_constant_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    person, compared = browser(site), []

    def spy(one: str, other: str) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr(core_tokens, "same_secret", spy)
    answer = person.client.delete("/api/auth/logout", headers=person.csrf())

    assert answer.status_code == 403
    assert compared == [(person.csrf()["X-CSRF-TOKEN"],) * 2]


@pytest.mark.requirement("ASVS 3.3.1")
def test_the_two_cookies_are_not_interchangeable(site: Site) -> None:
    person = browser(site)
    access, refresh = person.token(ACCESS), person.token(REFRESH)

    as_access = by_hand(site).get("/api/auth/me", headers={"Cookie": f"{ACCESS}={refresh}"})
    as_refresh = by_hand(site).post("/api/auth/refresh", headers={"Cookie": f"{REFRESH}={access}", **person.csrf()})

    assert [a.get_json()["code"] for a in (as_access, as_refresh)] == ["WRONG_TOKEN_TYPE"] * 2


@pytest.mark.requirement("ASVS 14.3.1", "ASVS 7.4.1")
def test_logout_expires_every_cookie_and_copies_are_dead(site: Site) -> None:
    person = browser(site)
    copies, csrf = {name: person.token(name) for name in (ACCESS, REFRESH)}, person.csrf("refresh")

    answer = person.client.delete("/api/auth/logout", headers=person.csrf())

    cleared = set_cookies(answer)
    assert set(cleared) == {ACCESS, REFRESH, "csrf_access_token", "csrf_refresh_token"}
    for value, options in cleared.values():
        assert value == ""
        assert "1970" in options["expires"] or options.get("max-age") == "0"
        assert "secure" in options  # a browser ignores a `__Host-` cookie without it, also one that clears
    assert not person.client.get_cookie(ACCESS)
    cookies = "; ".join(f"{name}={value}" for name, value in copies.items())
    assert by_hand(site).get("/api/auth/me", headers={"Cookie": cookies}).get_json()["code"] == "TOKEN_REVOKED"
    assert by_hand(site).post("/api/auth/refresh", headers={"Cookie": cookies, **csrf}).get_json()["code"] == "TOKEN_REVOKED"


@pytest.mark.requirement("ASVS 14.3.1")
def test_an_expired_access_cookie_does_not_keep_a_person_from_logging_out(site: Site) -> None:
    person = browser(site)
    site.testing.clock.move(minutes=20)

    assert person.client.delete("/api/auth/logout").get_json()["code"] == "CSRF_FAILED"
    answer = person.client.delete("/api/auth/logout", headers=person.csrf("refresh"))

    assert answer.status_code == 200
    assert not person.client.get_cookie(REFRESH)


@pytest.mark.requirement("ASVS 14.3.1")
@pytest.mark.parametrize("path", ["/api/auth/refresh", "/api/auth/logout"])
def test_cookies_that_are_good_for_nothing_are_cleared_by_the_refusal(make_site: MakeSite, path: str) -> None:
    """A client whose key was changed meanwhile must not be kept out by its own leftovers."""
    site = make_site(config={"JWT_TOKEN_LOCATION": ["cookies"]})
    client = site.client
    for name in ("__Host-access_token", "__Host-refresh_token"):
        client.set_cookie(name, "no.token.any.more", secure=True)

    answer = client.post(path, json={})

    cleared = [line.partition("=")[0] for line in answer.headers.getlist("Set-Cookie") if "Expires=Thu, 01 Jan 1970" in line]
    assert answer.status_code == 401
    assert {"__Host-access_token", "__Host-refresh_token"} <= set(cleared)
