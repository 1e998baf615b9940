"""How tokens travel: the Authorization header parsed strictly, nothing in URLs, only the configured transport (RFC 6750)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import EnvironBuilder, TestResponse

from flask_accounts import current_user, login_required
from flask_accounts.testing import PASSWORD
from tests.conftest import KEY, MakeSite, Site, bearer

from .doors import assert_accepted, assert_refused, by_hand, host_views
from .forging import bent, claims_of

Pair = dict[str, Any]


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(views=host_views)


@pytest.fixture
def pair(site: Site) -> Pair:
    site.user("ann@example.com")
    return site.tokens("ann@example.com")


@pytest.mark.requirement("RFC6750 2.1")
def test_odd_authorization_headers(site: Site, pair: Pair) -> None:
    token = pair["access_token"]

    for value in (
        "", " ", "Bearer", "Bearer ", "Bearer  ", token, f"Bearer: {token}", f"Bearer={token}", f"Bearer,{token}", f"Token {token}",
        f"Basic {token}", f"Bearer {token} {token}", f"Bearer {token},{token}", f"Bearer {token}, Bearer {token}",
        f"Bearer Bearer {token}", f"Bearer\t{token}", f'Bearer "{token}"', f"Bearer <{token}>", f"xBearer {token}", f"{token} Bearer",
        f"Bearer {token}; x", f"Bearer é{token}", "Bearer \xff\xfe", "Bearer null", "Bearer undefined", "Bearer true", "Bearer {}",
        f"Basic x, Bearer {token}",
    ):  # fmt: skip
        answer = site.client.get("/api/auth/me", headers={"Authorization": value})
        assert answer.status_code == 401, repr(value)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        if "," in value:
            assert answer.get_json()["code"] == "INVALID_TOKEN", f"{value!r} is no request without credentials"


@pytest.mark.requirement("RFC6750 2.1")
def test_the_scheme_compares_without_case(site: Site, pair: Pair) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert site.client.get("/api/auth/me", headers={"Authorization": f"{scheme} {pair['access_token']}"}).status_code == 200


@pytest.mark.requirement("RFC6750 3")
def test_a_refusal_names_the_scheme_and_an_error_only_where_a_token_was_sent(site: Site, pair: Pair) -> None:
    for door in ("/api/auth/me", "/own", "/plain"):
        nothing, junk = site.client.get(door), site.client.get(door, headers=bearer("x.y.z"))

        assert (nothing.status_code, nothing.get_json()["code"]) == (401, "TOKEN_MISSING")
        assert nothing.headers["WWW-Authenticate"].startswith("Bearer")
        assert "error=" not in nothing.headers["WWW-Authenticate"]
        assert (junk.status_code, junk.get_json()["code"]) == (401, "INVALID_TOKEN")
        assert 'error="invalid_token"' in junk.headers["WWW-Authenticate"]
        assert {nothing.content_type, junk.content_type} == {"application/problem+json"}


@pytest.mark.requirement("RFC6750 2.3", "ASVS 14.2.1")
def test_no_token_in_a_url_or_a_form_is_taken(site: Site, pair: Pair) -> None:
    token = pair["access_token"]

    for name in ("access_token", "token", "jwt", "bearer", "api_key", "Authorization", "refresh_token"):
        for door in ("/api/auth/me", "/own", "/plain"):
            assert site.client.get(f"{door}?{name}={token}").status_code == 401
        refreshing = site.client.post(f"/api/auth/refresh?{name}={pair['refresh_token']}")
        assert refreshing.status_code == 401
    assert site.client.post("/api/auth/logout", data={"access_token": token}).status_code in (401, 415)
    assert site.client.get("/api/auth/me", headers=bearer(token)).status_code == 200


@pytest.mark.requirement("OWASP-SM 1")
def test_cookies_are_not_looked_at_in_header_mode(site: Site, pair: Pair) -> None:
    for name in ("__Host-access_token", "access_token_cookie", "access_token", "session", "__Host-refresh_token"):
        cookies = {"Cookie": f"{name}={pair['access_token']}"}
        for door in ("/api/auth/me", "/own", "/plain"):
            assert by_hand(site).get(door, headers=cookies).status_code == 401
        assert by_hand(site).post("/api/auth/refresh", headers={"Cookie": f"{name}={pair['refresh_token']}"}).status_code == 401
    assert not site.login("ann@example.com", headers={"X-Token-Transport": "cookies"}).headers.getlist("Set-Cookie")


@pytest.mark.requirement("OWASP-SM 1", "ASVS 3.3.4")
def test_headers_and_bodies_are_not_looked_at_in_cookie_mode(make_site: MakeSite) -> None:
    site = make_site(views=host_views, config={"JWT_TOKEN_LOCATION": ["cookies"]})
    ann = site.user("ann@example.com")
    tokens = site.testing.sign_in(ann).tokens

    for door in ("/api/auth/me", "/own", "/plain"):
        assert site.client.get(door, headers=bearer(tokens.access_token)).status_code == 401
    for sent in ({"headers": bearer(tokens.refresh_token)}, {"json": {"refresh_token": tokens.refresh_token}}):
        assert site.client.post("/api/auth/refresh", **sent).status_code == 401
    assert "eyJ" not in site.login("ann@example.com", headers={"X-Token-Transport": "headers"}).text


def story(site: Site, transport: str) -> list[TestResponse]:
    """A whole life of a session by one transport, as a client of it would live it."""
    client, sent = site.app.test_client(), {"X-Token-Transport": transport}
    pair: Pair = {}

    def headers(kind: str) -> dict[str, str]:
        if transport == "headers":
            return bearer(pair[f"{kind}_token"])
        cookie = client.get_cookie(f"csrf_{kind}_token")
        assert cookie
        return {"X-CSRF-TOKEN": cookie.value}

    def keep(answer: TestResponse) -> TestResponse:
        pair.update(answer.get_json())
        return answer

    new = {"current_password": PASSWORD, "new_password": "vexing-quartz-lamp 7"}
    return [
        keep(client.post("/api/auth/login", json={"email": "ann@example.com", "password": PASSWORD}, headers=sent)),
        client.get("/api/auth/me", headers=headers("access")),
        keep(client.post("/api/auth/refresh", headers=headers("refresh"))),
        keep(client.post("/api/auth/reauthenticate", json={"password": PASSWORD}, headers=headers("access"))),
        client.patch("/api/auth/me", json={"username": f"by_{transport}"}, headers=headers("access")),
        client.get("/api/auth/sessions", headers=headers("access")),
        client.post("/api/auth/password/change", json=new, headers=headers("access")),
        client.delete("/api/auth/sessions", headers=headers("access")),
        client.delete("/api/auth/logout", headers=headers("access")),
        client.get("/api/auth/me", headers=bearer(pair["access_token"]) if transport == "headers" else {}),
    ]


@pytest.mark.requirement("R-REL 2")
@pytest.mark.parametrize("transport", ["headers", "cookies"])
@pytest.mark.parametrize("both", [True, False], ids=["both allowed", "only this one"])
def test_the_happy_path_in_both_transports(make_site: MakeSite, transport: str, both: bool) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["headers", "cookies"] if both else [transport]})
    site.user("ann@example.com")

    answers = story(site, transport)

    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 200, 200, 204, 204, 200, 401]


@pytest.mark.requirement("ASVS 8.2.2", "ASVS 9.2.3")
def test_apps_behind_one_another_do_not_take_over_each_others_caller(make_site: MakeSite, tmp_path: Path) -> None:
    """A front app that hands what it does not know to the next one, with the same environ: user 1 here is not user 1 there."""
    front = make_site(views=asking, url=f"sqlite:///{tmp_path / 'front.db'}")
    back = make_site(views=asking, url=f"sqlite:///{tmp_path / 'back.db'}", config={"SECRET_KEY": OLD})
    front.user("attacker@example.com")
    back.admin("administrator@example.com")
    token = front.tokens("attacker@example.com")["access_token"]
    environ = EnvironBuilder("/asks", headers=list(bearer(token).items())).get_environ()

    with front.app.request_context(environ):
        assert front.app.full_dispatch_request().get_data(as_text=True) == "attacker@example.com"
    with back.app.request_context(environ):
        assert back.app.full_dispatch_request().status_code == 401


def asking(app: Flask, db: SQLAlchemy) -> None:
    @app.get("/asks")
    @login_required
    def asks() -> str:
        return str(current_user.email)


OLD = "the-key-of-last-year-which-is-long-enough-0123456789abcdefghijklmnopq"
OLDER = "the-key-of-the-year-before-also-long-enough-0123456789abcdefghijklmno"


@pytest.mark.requirement("ASVS 11.2.2")
def test_during_a_key_rotation_old_tokens_verify_and_new_ones_carry_the_new_key(make_site: MakeSite, database_url: str) -> None:
    before = make_site(config={"JWT_SECRET_KEY": OLD}, views=host_views)
    before.user("ann@example.com")
    pair = before.tokens("ann@example.com")
    after = make_site(config={"JWT_SECRET_KEY": KEY, "ACCOUNTS_TOKENS_PREVIOUS_KEYS": [OLDER, OLD]}, views=host_views)

    assert_accepted(after, pair["access_token"])
    renewed = after.client.post("/api/auth/refresh", json={"refresh_token": pair["refresh_token"]}).get_json()
    assert_accepted(after, renewed["access_token"])
    # Only the new key signs: whoever learns an old one cannot pass for this app where it is retired.
    assert_refused(before, renewed["access_token"])
    assert bent(renewed["access_token"], key=KEY).count(".") == 2
    assert claims_of(renewed["access_token"])["sid"] == claims_of(pair["access_token"])["sid"]


@pytest.mark.requirement("ASVS 11.2.2")
def test_a_key_that_is_not_listed_any_more_does_not_verify(make_site: MakeSite) -> None:
    before = make_site(config={"JWT_SECRET_KEY": OLD})
    before.user("ann@example.com")
    pair = before.tokens("ann@example.com")

    assert_refused(make_site(config={"ACCOUNTS_TOKENS_PREVIOUS_KEYS": [OLDER]}, views=host_views), pair["access_token"])


@pytest.mark.requirement("ASVS 9.2.1")
def test_leeway_is_the_hosts_choice_and_nothing_by_default(make_site: MakeSite) -> None:
    strict, lenient = make_site(), make_site(config={"JWT_DECODE_LEEWAY": 30, "JWT_ACCESS_TOKEN_EXPIRES": timedelta(minutes=5)})
    strict.user("ann@example.com")
    token = lenient.tokens("ann@example.com")["access_token"]
    strict.testing.clock = lenient.testing.clock
    strict.testing.runtime.clock = lenient.testing.clock
    lenient.testing.clock.move(minutes=5, seconds=10)

    assert strict.client.get("/api/auth/me", headers=bearer(token)).status_code == 401
    assert lenient.client.get("/api/auth/me", headers=bearer(token)).status_code == 200
