"""Open redirects: no answer and no mail leads where a request says (RFC 9700 section 4.11, ASVS 3.7.2)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from werkzeug.test import TestResponse

from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer

NAMES = (
    "next",
    "redirect",
    "redirect_to",
    "redirect_uri",
    "redirect_url",
    "return_to",
    "return_url",
    "returnUrl",
    "url",
    "goto",
    "continue",
)
TARGETS = (
    "https://trespasser.example", "http://trespasser.example", "//trespasser.example", "///trespasser.example", "////trespasser.example/%2f..", "\\\\trespasser.example",
    "\\/trespasser.example", "/\\trespasser.example", "/\\/trespasser.example", "\\\\\\trespasser.example", "https:trespasser.example", "https:/trespasser.example",
    "https:///trespasser.example", "HTTPS://TRESPASSER.EXAMPLE", " https://trespasser.example", "\thttps://trespasser.example", "ht\ntps://trespasser.example",
    "%68ttps://trespasser.example", "%2f%2ftrespasser.example", "/%2ftrespasser.example", "/%5ctrespasser.example", "/%09/trespasser.example", "/\t/trespasser.example",
    "https://app.example.com@trespasser.example", "https://app.example.com.trespasser.example", "https://trespasser.example#app.example.com",
    "https://trespasser.example?app.example.com", "https://trespasser.example\\@app.example.com", "javascript:alert(1)", "JaVaScRiPt:alert(1)",
    "data:text/html,trespasser", "vbscript:trespasser", "//trespasser%E3%80%82example", "https://trespasser。example", "//[::ffff:198.51.100.1]", ".trespasser.example",
    "/..//trespasser.example",
)  # fmt: skip
BASE = "https://app.example.com/account"

pytestmark = pytest.mark.requirement("RFC9700 4.11", "ASVS 3.7.2")


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    site = make_site(config={"ACCOUNTS_MAIL_BASE_URL": BASE, "JWT_TOKEN_LOCATION": ["headers", "cookies"]})
    site.user("ann@example.com", email_verified=True)
    site.user("bob@example.com")
    return site


def flows(site: Site, **kwargs: Any) -> list[TestResponse]:
    """Each flow that ends in a page somewhere else in other systems, or in a mail here."""
    client = site.client
    tokens = site.testing.sign_in(1).tokens.access_token
    return [
        client.post("/api/auth/login", json={"email": "ann@example.com", "password": PASSWORD}, **kwargs),
        client.post("/api/auth/login", json={"email": "ann@example.com", "password": "wrong"}, **kwargs),
        client.post("/api/auth/register", json={"email": "ann@example.com", "password": PASSWORD}, **kwargs),
        client.post("/api/auth/password/forgot", json={"email": "ann@example.com"}, **kwargs),
        client.post("/api/auth/unlock/request", json={"email": "ann@example.com"}, **kwargs),
        client.post("/api/auth/email/verify/resend", json={"email": "bob@example.com"}, **kwargs),
        client.post("/api/auth/email/change", json={"email": "new@example.com"}, **_with(kwargs, bearer(tokens))),
        client.post("/api/auth/logout", **_with(kwargs, bearer(tokens))),
        client.get("/api/auth/docs", **kwargs),
        client.get("/api/auth/nowhere", **kwargs),
    ]


def _with(kwargs: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    return kwargs | {"headers": {**kwargs.get("headers", {}), **headers}}


def assert_leads_nowhere(site: Site, answers: list[TestResponse]) -> None:
    # The name is long enough that no random token holds it by chance.
    for answer in answers:
        assert not 300 <= answer.status_code < 400, answer.request.path
        assert not {"Location", "Refresh", "Content-Location", "Link"} & set(answer.headers.keys())
        assert "trespasser" not in answer.text.lower(), answer.request.path
    for mail in site.testing.outbox:
        assert "trespasser" not in (mail.text + (mail.html or "")).lower()
        for link in re.findall(r"https?://[^\s\"<]+", mail.text + (mail.html or "")):
            assert link.startswith((f"{BASE}/", "http://www.w3.org/")), link


@pytest.mark.parametrize("target", TARGETS)
def test_open_redirect_by_a_parameter_leads_nowhere(site: Site, target: str) -> None:
    assert_leads_nowhere(site, flows(site, query_string=dict.fromkeys(NAMES, target)))


@pytest.mark.parametrize("name", NAMES)
def test_open_redirect_by_a_member_of_the_body_is_refused_by_name(site: Site, name: str) -> None:
    for path, body in (
        ("login", {"email": "ann@example.com", "password": PASSWORD}),
        ("register", {"email": "new@example.com", "password": PASSWORD}),
        ("password/forgot", {"email": "ann@example.com"}),
        ("unlock/request", {"email": "ann@example.com"}),
        ("email/verify/resend", {"email": "bob@example.com"}),
    ):
        answer = site.client.post(f"/api/auth/{path}", json=body | {name: "https://trespasser.example"})

        assert answer.status_code == 400, path
        assert [problem["field"] for problem in answer.get_json()["errors"]] == [name]


@pytest.mark.parametrize(
    "path",
    [
        "//trespasser.example/..",
        "//trespasser.example/api/auth/docs",
        "/api/users//trespasser.example",
        "/api/auth/docs//trespasser.example",
    ],
)
def test_open_redirect_by_the_path_itself_leads_nowhere(site: Site, path: str) -> None:
    answer = site.client.get(path)

    assert "trespasser.example" not in answer.headers.get("Location", "").partition("?")[0].partition("/api/")[0]


def test_where_a_slash_is_added_the_redirect_stays_on_this_host(site: Site) -> None:
    """The framework's own redirect for a missing slash must not be built on a header either."""
    answer = site.client.get(
        "/api/users", headers={"X-Forwarded-Host": "trespasser.example", "Forwarded": "host=trespasser.example"}
    )

    assert "trespasser" not in answer.headers.get("Location", "")
