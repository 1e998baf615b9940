"""The demo as it is started, with an identity provider that others have made (oidc-provider-mock), in a real browser."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import chromium
from tests.features.oidc.test_real_providers import free_port, process

from .visits import Visit, expect

__all__ = ["chromium"]

ROOT = Path(__file__).parents[2]
PEOPLE = (
    '{"sub": "jonas", "email": "jonas.weil@work.example", "email_verified": true}',
    '{"sub": "nora", "email": "nora@work.example", "email_verified": true}',
    '{"sub": "eve", "email": "mira@example.com", "email_verified": false}',
)


@pytest.fixture
def blog(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Where the blog is, and where the provider is."""
    blog, provider = free_port(), free_port()
    issuer = f"http://127.0.0.1:{provider}"
    people = [part for person in PEOPLE for part in ("--user-claims", person)]
    environment = os.environ | {
        "DEMO_INSTANCE": str(tmp_path / "instance"), "DEMO_ENVIRONMENT": "development", "DEMO_OIDC_ISSUER": issuer,
        "DEMO_OIDC_CLIENT_ID": "the-blog", "DEMO_OIDC_CLIENT_SECRET": "a secret of the blog's", "DEMO_OIDC_LABEL": "Example Inc.",
        "DATABASE_URL": "", "ACCOUNTS_MAIL_BASE_URL": "", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    with (
        process("Uvicorn running", sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(provider), *people),
        process(
            "Running on", sys.executable, "-W", "ignore", "-m", "examples.demo", "--port", str(blog), cwd=ROOT, env=environment
        ),
    ):
        yield f"http://localhost:{blog}", issuer


def refusing(here: Visit, path: str, status: int, body: dict[str, str]) -> None:
    """Answer the next POST of the page to `path` in the server's place."""

    answered: list[str] = []

    def answer(route: Any) -> None:
        if route.request.method != "POST" or answered:
            route.continue_()
            return
        answered.append(route.request.url)
        route.fulfill(status=status, json=body)

    here.page.route(path, answer)


def test_an_identity_is_linked_signs_in_brings_somebody_new_and_is_unlinked(chromium: Any, blog: Any, tmp_path: Path) -> None:
    url, issuer = blog
    logins = re.findall(r'"(\w+)": "([\w-]+)"', (tmp_path / "instance" / "demo_logins.json").read_text())
    password = dict(logins)["jonas"]

    def visit() -> Visit:
        context = chromium.new_context()
        context.set_default_timeout(15_000)
        return Visit(context.new_page(), url, other=issuer)

    def agree(here: Visit, who: str) -> None:
        here.page.get_by_role("button", name=who, exact=True).click()

    here = visit()
    here.sign_in("jonas", password)

    # Said no there, nothing has changed; then it is linked, under another address than the account's.
    here.go("/security")
    here.press("Link Example Inc.")
    here.press("Deny")  # this provider forgets to say (RFC 6749 section 4.1.2.1) to which request that answers
    here.heading("Nothing has changed")
    here.page.goto(f"{url}/signed-in?error=IDENTITY_REFUSED&provider=sso")
    here.heading("Nothing has changed")
    expect(here.page.get_by_role("alert")).to_have_text("You said no there, or it was refused.")
    assert here.page.url == f"{url}/#/signed-in"
    here.follow("Back to “Security”")
    here.press("Link Example Inc.")
    agree(here, "jonas")
    here.says("You can sign in with Example Inc. from now on, as jonas.weil@work.example.")
    linked = here.page.get_by_role("list", name="Linked identities").get_by_role("listitem")
    expect(linked).to_contain_text("Example Inc. jonas.weil@work.example")

    # It signs in, to where its owner was going; the code is not in the address bar.
    there = visit()
    there.go("/write")
    there.heading("Sign in")
    there.press("Continue with Example Inc.")
    agree(there, "jonas")
    there.says("Welcome back, Jonas Weil.")
    there.heading("Write a post")
    assert "code" not in there.page.url
    there.page.reload()
    there.heading("Write a post")

    # Somebody new is asked for what registration asks for, and has an account with a proved address.
    new = visit()
    new.go("/sign-in")
    new.press("Continue with Example Inc.")
    agree(new, "nora")
    new.heading("Nearly there")
    new.fill(username="jonas")
    new.press("Join")
    expect(new.page.locator("[data-field=username] .problem")).to_have_text("This username is taken.")
    new.fill(username="nora", display_name="Nora Lind")
    new.press("Join")
    new.says("Welcome, Nora Lind.")
    expect(new.page.locator(".banner")).to_have_count(0)

    # An address that the provider has not verified opens nobody's account.
    eve = visit()
    eve.go("/sign-in")
    eve.press("Continue with Example Inc.")
    agree(eve, "eve")
    eve.heading("Not signed in")
    expect(eve.page.get_by_role("alert")).to_contain_text("Nobody here is known by this identity")

    # Whoever has no password confirms presence at the provider, and goes on where they were. (The refusal is this test's: no time has passed.)
    new.go("/security")
    refusing(new, "**/api/auth/api-keys", 401, {"code": "REAUTHENTICATION_REQUIRED"})
    new.press("New key")
    new.page.get_by_label("Name").fill("Backup")
    new.press("Make key")
    new.press("Confirm with Example Inc.")
    agree(new, "nora")
    new.says("You have confirmed that it is you. Please do it once more now.")
    new.heading("Security")

    # Unlinked, it is nobody's.
    here.press("Unlink jonas.weil@work.example")
    here.press("Unlink")
    here.says("Example Inc. is unlinked.")
    expect(linked).to_have_count(0)
    for each in (here, there, new, eve):
        each.page.context.close()
        assert each.complaints == []
