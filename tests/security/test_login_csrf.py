"""Login CSRF: another site cannot sign a visitor in as somebody else, who would then see what the visitor does (ASVS 3.5.1, 3.5.2).

A page of another site can send forms, images and "simple" requests with the browser's cookies. A JSON body needs a preflight, which no
route answers. So every route that could set token cookies has to insist on JSON, and on nothing a form could send.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.contract import token_of

EVIL = {
    "Origin": "https://evil.example",
    "Referer": "https://evil.example/",
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Mode": "no-cors",
}
SIMPLE = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "text/plain; application/json")
"""What a page may send to another site without asking first (Fetch standard, CORS-safelisted)."""
OWN = {"email": "mallory@example.com", "password": PASSWORD}

pytestmark = pytest.mark.requirement("ASVS 3.5.1", "ASVS 3.5.2")


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["cookies", "headers"], "ACCOUNTS_REGISTRATION_SIGN_IN": True})
    site.user("mallory@example.com")
    return site


def doors(site: Site) -> dict[str, dict[str, Any]]:
    """Every route that opens a session for who is not signed in, with a body that would do."""
    admin = site.client_for(site.admin())
    admin.post("/api/users/invitations", json={"email": "bait@example.com"})
    invitation = token_of(site.testing.outbox[-1].text)
    refresh = site.client.post("/api/auth/login", json=OWN, headers={"X-Token-Transport": "headers"}).get_json()["refresh_token"]
    return {
        "login": OWN,
        "register": {"email": "new@example.com", "password": PASSWORD},
        "refresh": {"refresh_token": refresh},
        "invitations/accept": {"token": invitation, "password": PASSWORD},
        "challenge": {"challenge_token": "x" * 43, "method": "password_change", "new_password": PASSWORD},
    }


def sets_no_cookie(answer: TestResponse) -> bool:
    """Those that expire a cookie aside."""
    return all("Max-Age=0" in line or "Expires=Thu, 01 Jan 1970" in line for line in answer.headers.getlist("Set-Cookie"))


@pytest.mark.parametrize("content_type", SIMPLE)
def test_login_csrf_by_a_form_of_another_site_is_refused_at_every_door(site: Site, content_type: str) -> None:
    for door, body in doors(site).items():
        # A form field named like the beginning of the JSON and with the rest as its value gives a body that is JSON.
        answer = site.app.test_client().post(f"/api/auth/{door}", data=json.dumps(body), content_type=content_type, headers=EVIL)

        assert answer.status_code == 415, f"{door}: {answer.status_code}"
        assert sets_no_cookie(answer), door


def test_the_doors_are_all_that_hand_tokens_to_who_has_none(site: Site) -> None:
    """So that a new way in is added to the list above."""
    document = site.client.get("/api/auth/openapi.json").get_json()
    handing = {
        path.removeprefix("/api/auth/")
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if not operation["security"] or {} in operation["security"]
        if any(
            word in json.dumps(operation["responses"].get(status, {}))
            for status in ("200", "201")
            for word in ("TokenResponse", "Registered")
        )
    }

    # What the users blueprint makes signs nobody in.
    assert handing - {"/api/users"} == set(doors(site))


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.evil.example"])
def test_login_csrf_by_a_script_of_another_site_ends_at_the_preflight(site: Site, origin: str) -> None:
    asking = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for door in doors(site):
        answer = site.client.options(f"/api/auth/{door}", headers=asking)

        assert not [name for name in answer.headers.keys() if name.lower().startswith("access-control-")], door  # noqa: SIM118  # headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_login_csrf_by_an_image_or_a_link_signs_nobody_in(site: Site, method: str) -> None:
    for door, body in doors(site).items():
        answer = site.app.test_client().open(f"/api/auth/{door}", method=method, query_string=body, headers=EVIL)

        assert answer.status_code == 405, door
        assert sets_no_cookie(answer), door


def test_login_csrf_by_a_planted_refresh_cookie_needs_the_csrf_header_too(site: Site) -> None:
    """A sibling domain can plant a cookie; it cannot send the header that has to match."""
    refresh = doors(site)["refresh"]["refresh_token"]
    victim = site.app.test_client()
    for name in ("refresh_token", "refresh_token_cookie", "__Host-refresh_token"):
        victim.set_cookie(name, refresh)

    answer = victim.post("/api/auth/refresh", headers=EVIL)

    assert (answer.status_code, answer.get_json()["code"]) == (403, "CSRF_FAILED")
    assert sets_no_cookie(answer)


def test_a_signed_in_visitor_is_not_turned_into_somebody_else(site: Site) -> None:
    site.user("ann@example.com")
    victim = site.app.test_client()
    victim.environ_base["wsgi.url_scheme"] = "https"
    assert victim.post("/api/auth/login", json=OWN | {"email": "ann@example.com"}).status_code == 200

    for content_type in SIMPLE:
        victim.post("/api/auth/login", data=json.dumps(OWN), content_type=content_type, headers=EVIL)

    assert victim.get("/api/auth/me").get_json()["email"] == "ann@example.com"


def test_a_visitor_is_not_signed_out_by_another_site(site: Site) -> None:
    site.user("ann@example.com")
    victim = site.app.test_client()
    victim.environ_base["wsgi.url_scheme"] = "https"
    victim.post("/api/auth/login", json=OWN | {"email": "ann@example.com"})

    for method in ("GET", "POST"):
        for content_type in SIMPLE:
            assert victim.open("/api/auth/logout", method=method, content_type=content_type, headers=EVIL).status_code in (
                403,
                405,
                415,
            )

    assert victim.get("/api/auth/me").status_code == 200


def test_a_token_in_the_header_needs_no_csrf_defence_and_sets_no_cookie(site: Site) -> None:
    answer = site.client.post("/api/auth/login", json=OWN, headers={"X-Token-Transport": "headers"})

    assert sets_no_cookie(answer)
    assert site.client.delete("/api/auth/sessions", headers=bearer(answer.get_json()["access_token"])).status_code == 204
