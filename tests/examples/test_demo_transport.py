"""How the demo is reached: token cookies with CSRF, other origins, and the headers it sends."""

from __future__ import annotations

from http.cookies import Morsel, SimpleCookie
from typing import Any

import pytest
from examples.demo.models import Post
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_accounts.testing import PASSWORD

from .conftest import Demo

HTTPS = "https://blog.example"
POST = {"title": "A title", "body": "A text."}


def cookies(answer: TestResponse) -> dict[str, Morsel[str]]:
    found: dict[str, Morsel[str]] = {}
    for line in answer.headers.getlist("Set-Cookie"):
        found.update(SimpleCookie(line))
    return found


def browser(demo: Demo, user: Any) -> tuple[FlaskClient, str]:
    """A client signed in by cookie, and its CSRF token."""
    client = demo.client()
    client.environ_base["wsgi.url_scheme"] = "https"
    answer = client.post("/api/auth/login", json={"email": user.email, "password": PASSWORD})
    return client, cookies(answer)["csrf_access_token"].value


@pytest.mark.requirement("ASVS 3.3.1")
def test_tokens_are_in_cookies_that_no_script_and_no_sibling_host_reaches(demo: Demo) -> None:
    ann = demo.person("ann")

    answer = demo.client().post("/api/auth/login", json={"email": ann.email, "password": PASSWORD})

    found = cookies(answer)
    assert set(found) == {"__Host-access_token", "__Host-refresh_token", "csrf_access_token", "csrf_refresh_token"}
    for name, morsel in found.items():
        assert morsel["secure"]
        assert morsel["samesite"] == "Lax"
        assert (morsel["path"], morsel["domain"]) == ("/", "")
        assert bool(morsel["httponly"]) == name.startswith("__Host-")
    assert "access_token" not in answer.get_json()
    assert "refresh_token" not in answer.get_json()


@pytest.mark.requirement("ASVS 3.5.1")
@pytest.mark.parametrize("header", [{}, {"X-CSRF-TOKEN": "guessed"}])
def test_a_forged_post_with_the_victims_cookies_writes_nothing(demo: Demo, header: dict[str, str]) -> None:
    client, token = browser(demo, demo.person("ann"))

    forged = client.post("/api/posts", json=POST, headers=header)
    changed = client.patch("/api/auth/me", json={"display_name": "Owned"}, headers=header)
    genuine = client.post("/api/posts", json=POST, headers={"X-CSRF-TOKEN": token})

    assert (forged.status_code, forged.get_json()["code"]) == (403, "CSRF_FAILED")
    assert changed.status_code == 403
    assert genuine.status_code == 201
    assert demo.count(Post) == 1


def test_a_cookie_session_refreshes_and_signs_out(demo: Demo) -> None:
    ann = demo.person("ann")
    client = demo.client()
    first = cookies(client.post("/api/auth/login", json={"email": ann.email, "password": PASSWORD}))
    demo.testing.clock.move(minutes=16)

    expired = client.get("/api/auth/me")
    refreshed = client.post("/api/auth/refresh", headers={"X-CSRF-TOKEN": first["csrf_refresh_token"].value})
    me = client.get("/api/auth/me")
    gone = client.post("/api/auth/logout", headers={"X-CSRF-TOKEN": cookies(refreshed)["csrf_access_token"].value})

    assert expired.get_json()["code"] == "TOKEN_EXPIRED"
    assert (refreshed.status_code, me.status_code, gone.status_code) == (200, 200, 200)
    assert "refresh_token" not in refreshed.get_json()
    assert all(morsel.value == "" for morsel in cookies(gone).values())
    assert client.get("/api/auth/me").get_json()["code"] == "TOKEN_MISSING"


def test_deleting_an_account_asks_for_a_recent_sign_in(demo: Demo) -> None:
    ann = demo.person("ann")
    client = demo.client()
    first = cookies(client.post("/api/auth/login", json={"email": ann.email, "password": PASSWORD}))
    demo.testing.clock.move(minutes=16)
    second = cookies(client.post("/api/auth/refresh", headers={"X-CSRF-TOKEN": first["csrf_refresh_token"].value}))
    token = {"X-CSRF-TOKEN": second["csrf_access_token"].value}

    early = client.delete("/api/auth/me", headers=token)
    wrong = client.post("/api/auth/reauthenticate", json={"password": "wrong password"}, headers=token)
    proved = client.post("/api/auth/reauthenticate", json={"password": PASSWORD}, headers=token)
    deleted = client.delete("/api/auth/me", headers={"X-CSRF-TOKEN": cookies(proved)["csrf_access_token"].value})

    assert (early.status_code, early.get_json()["code"]) == (401, "REAUTHENTICATION_REQUIRED")
    assert (wrong.status_code, wrong.get_json()["code"]) == (401, "INVALID_CREDENTIALS")
    assert proved.status_code == 200
    assert "access_token" not in proved.get_json()
    assert deleted.status_code == 204


@pytest.mark.requirement("ASVS 14.3.1")
@pytest.mark.parametrize("path", ["/api/auth/me", "/api/users/{id}"])
def test_deleting_an_account_clears_its_cookies(demo: Demo, path: str) -> None:
    ann = demo.person("ann")
    client, token = browser(demo, ann)

    answer = client.delete(path.format(id=ann.id), headers={"X-CSRF-TOKEN": token})

    assert answer.status_code == 204
    assert {name: morsel.value for name, morsel in cookies(answer).items()}["__Host-refresh_token"] == ""


def test_clients_of_other_kinds_ask_for_tokens_in_the_body(demo: Demo) -> None:
    ann = demo.person("ann")
    client = demo.client()

    answer = client.post(
        "/api/auth/login", json={"email": ann.email, "password": PASSWORD}, headers={"X-Token-Transport": "headers"}
    )
    bearer = {"Authorization": f"Bearer {answer.get_json()['access_token']}"}

    assert "Set-Cookie" not in answer.headers
    assert demo.client().post("/api/posts", json=POST, headers=bearer).status_code == 201


# Other origins


def test_a_friendly_origin_reads_without_cookies(demo: Demo) -> None:
    answer = demo.client().get("/api/posts", headers={"Origin": "https://friend.example"})
    asked = demo.client().options(
        "/api/auth/login",
        headers={
            "Origin": "https://friend.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type, x-token-transport",
        },
    )

    assert answer.headers["Access-Control-Allow-Origin"] == "https://friend.example"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert set(asked.headers["Access-Control-Allow-Headers"].split(", ")) == {"content-type", "x-token-transport"}


@pytest.mark.requirement("ASVS 3.4.2")
@pytest.mark.parametrize("origin", ["https://evil.example", "https://friend.example.evil.example", "null"])
def test_a_strange_origin_is_told_nothing(demo: Demo, origin: str) -> None:
    answer = demo.client().get("/api/posts", headers={"Origin": origin})

    assert "Access-Control-Allow-Origin" not in answer.headers


def test_pages_are_not_shared_with_other_origins(demo: Demo) -> None:
    assert (
        "Access-Control-Allow-Origin"
        not in demo.client().get("/", headers={"Origin": "https://friend.example"}, buffered=True).headers
    )


# What the page is served with


@pytest.mark.requirement("ASVS 3.4.3")
def test_the_page_has_a_strict_policy_and_names_no_other_host(demo: Demo) -> None:
    client = demo.client()

    page = client.get("/", buffered=True)
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
    paths = [page.text] + [
        client.get(f"/static/{name}", buffered=True).text for name in ("style.css", "js/app.js", "js/api.js", "js/dom.js")
    ]

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert not any("http://" in text or "https://" in text or "innerHTML" in text for text in paths)


def test_the_docs_page_keeps_its_own_policy(demo: Demo) -> None:
    policy = demo.client().get("/api/auth/docs").headers["Content-Security-Policy"]

    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "trusted-types" not in policy
