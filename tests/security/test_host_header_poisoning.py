"""Host-header poisoning: no link in a mail and no answer is built on what a request says its host is (OWASP-FP 3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site

BASE = "https://app.example.com/account"
EVIL = "evil.example"
HEADERS: dict[str, dict[str, str]] = {
    "Host": {"Host": EVIL}, "Host with a port": {"Host": f"app.example.com:80@{EVIL}"}, "Host, below the real one": {"Host": f"app.example.com.{EVIL}"},
    "X-Forwarded-Host": {"X-Forwarded-Host": EVIL}, "X-Forwarded-Server": {"X-Forwarded-Server": EVIL}, "X-Host": {"X-Host": EVIL},
    "X-HTTP-Host-Override": {"X-HTTP-Host-Override": EVIL}, "X-Original-Host": {"X-Original-Host": EVIL}, "X-Rewrite-URL": {"X-Rewrite-URL": f"https://{EVIL}/"},
    "Forwarded": {"Forwarded": f"for=192.0.2.1;host={EVIL};proto=http"}, "Origin": {"Origin": f"https://{EVIL}"},
    "Referer": {"Referer": f"https://{EVIL}/"}, "X-Forwarded-Prefix": {"X-Forwarded-Prefix": f"//{EVIL}"},
    "X-Forwarded-Proto": {"X-Forwarded-Proto": "http", "X-Forwarded-Host": EVIL},
}  # fmt: skip
Act = Callable[[FlaskClient, FlaskClient, dict[str, Any]], Any]
MAILS: dict[str, Act] = {
    "verify_email": lambda anybody, ann, how: anybody.post(
        "/api/auth/email/verify/resend", json={"email": "bob@example.com"}, **how
    ),
    "reset_password": lambda anybody, ann, how: anybody.post("/api/auth/password/forgot", json={"email": "ann@example.com"}, **how),
    "unlock": lambda anybody, ann, how: anybody.post("/api/auth/unlock/request", json={"email": "ann@example.com"}, **how),
    "change_email": lambda anybody, ann, how: ann.post("/api/auth/email/change", json={"email": "new@example.com"}, **how),
    "invitation": lambda anybody, ann, how: ann.post("/api/users/invitations", json={"email": "guest@example.com"}, **how),
}
"""Every mail that carries a link with a token, and how it is asked for."""
NOTICES: dict[str, Act] = {
    "new_device": lambda anybody, ann, how: anybody.post(
        "/api/auth/login",
        json={"email": "ann@example.com", "password": PASSWORD},
        environ_base={"REMOTE_ADDR": "198.51.100.7"},
        **how,
    ),
    "password_changed": lambda anybody, ann, how: ann.post(
        "/api/auth/password/change", json={"current_password": PASSWORD, "new_password": "a rather different horse"}, **how
    ),
}
"""Mails that lead to the page for a new password, without a token."""


@pytest.fixture
def make(make_site: MakeSite) -> Callable[..., Site]:
    def make(**config: Any) -> Site:
        site = make_site(config=config)
        site.user("ann@example.com", email_verified=True, roles=["admin"])
        site.user("bob@example.com")
        site.testing.outbox.clear()
        return site

    return make


@pytest.mark.requirement("OWASP-FP 3", "ASVS 12.2.1")
@pytest.mark.parametrize("header", HEADERS)
def test_host_header_poisoning_moves_no_link_in_any_mail(make: Callable[..., Site], header: str) -> None:
    site = make(ACCOUNTS_MAIL_BASE_URL=BASE)
    ann = site.client_for(1)

    for name, act in MAILS.items():
        act(site.client, ann, {"headers": HEADERS[header]})
        mail = next(mail for mail in reversed(site.testing.outbox) if mail.kind == name)
        links = re.findall(r"https?://[^\s\"<]+token=[^\s\"<]+", mail.text + (mail.html or ""))

        assert links, name
        assert all(link.startswith(f"{BASE}/") for link in links), (name, links)
        assert EVIL not in mail.text + (mail.html or ""), name


@pytest.mark.requirement("OWASP-FP 3")
@pytest.mark.parametrize("header", HEADERS)
def test_host_header_poisoning_moves_no_link_in_any_notice(make: Callable[..., Site], header: str) -> None:
    site = make(ACCOUNTS_MAIL_BASE_URL=BASE)
    ann = site.client_for(1)

    for name, act in NOTICES.items():
        act(site.client, ann, {"headers": HEADERS[header]})
        mail = next(mail for mail in reversed(site.testing.outbox) if mail.kind == name)

        assert set(re.findall(r"https?://[^\s\"<]+", mail.text + (mail.html or ""))) == {f"{BASE}/forgot-password"}, name


@pytest.mark.requirement("OWASP-FP 3")
@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host"])
def test_without_a_base_url_a_mail_has_a_bare_token_and_no_link_on_the_requests_host(
    make: Callable[..., Site], header: str
) -> None:
    site = make()
    ann = site.client_for(1)

    for name, act in MAILS.items():
        act(site.client, ann, {"headers": HEADERS[header]})
        mail = next(mail for mail in reversed(site.testing.outbox) if mail.kind == name)

        assert EVIL not in mail.text + (mail.html or ""), name
        assert "token=" not in mail.text, name


@pytest.mark.requirement("OWASP-FP 3")
def test_the_list_of_mails_with_links_is_complete(make: Callable[..., Site]) -> None:
    """So that a new mail is added to the list above. Some go out by themselves: to an old address, where registration does not tell, and notices."""
    site = make(ACCOUNTS_MAIL_BASE_URL=BASE)
    letters = site.testing.runtime.letters

    linking = {name for name in letters.names() if "#token=" in letters.sample(name).text}

    assert linking == set(MAILS) | {"email_changed"} | set(NOTICES) | {
        "token_reused",
        "factor_changed",
        "recovery_code_used",
        "second_factor_failed",
    }


@pytest.mark.requirement("OWASP-FP 3", "ASVS 4.1.3")
@pytest.mark.parametrize("header", HEADERS)
def test_host_header_poisoning_reaches_no_answer(make: Callable[..., Site], header: str) -> None:
    site = make(ACCOUNTS_MAIL_BASE_URL=BASE)
    client = site.client_for(1)

    for method, path in (
        ("GET", "/api/auth/me"), ("GET", "/api/auth/openapi.json"), ("GET", "/api/auth/docs"), ("GET", "/api/users/?per_page=1"),
        ("GET", "/api/auth/nowhere"), ("POST", "/api/auth/login"), ("PUT", "/api/auth/me"),
    ):  # fmt: skip
        answer = client.open(path, method=method, headers=HEADERS[header], json={} if method == "POST" else None)

        assert EVIL not in answer.text, path
        assert EVIL not in str(answer.headers), path
