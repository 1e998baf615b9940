"""A real browser makes passkeys and signs in with them, by the very script of the documentation (Chromium's virtual authenticator)."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from werkzeug.serving import make_server

from tests.browser import chromium as chromium
from tests.conftest import MakeSite, Site

GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "passkeys.md"
PAGE = '<!doctype html><title>Sign in</title><input name="email" autocomplete="username webauthn"><script type="module" src="/passkeys.js"></script>'
AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True,
    "automaticPresenceSimulation": True,
}  # fmt: skip


def _views(app: Flask, db: SQLAlchemy) -> None:
    script = re.search(r"```javascript\n(// passkeys\.js\n.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert script is not None
    app.add_url_rule("/", "page", lambda: PAGE)
    app.add_url_rule("/passkeys.js", "script", lambda: (script[1], {"Content-Type": "text/javascript"}))


@pytest.fixture
def served(make_site: MakeSite) -> Iterator[tuple[Site, str]]:
    site = make_site(views=_views)
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield site, f"http://localhost:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(chromium: Any, served: tuple[Site, str]) -> Iterator[Any]:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(served[1])
    session = context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    yield page
    context.close()


def _call(page: Any, script: str, argument: Any = None) -> Any:
    return page.evaluate(f'async (given) => {{ const passkeys = await import("/passkeys.js"); return {script}; }}', argument)


def test_the_script_of_the_guide_works_in_a_browser(page: Any) -> None:
    # An account by a passkey, and a sign-in by a button.
    made = _call(page, 'passkeys.register({ email: "ann@example.com" })')
    assert made["user"]["email"] == "ann@example.com"
    assert _call(page, "passkeys.signIn()")["user"]["email"] == "ann@example.com"

    # By autofill: it waits, and the virtual authenticator's owner chooses at once.
    if _call(page, "PublicKeyCredential.isConditionalMediationAvailable()"):
        signed_in = _call(page, 'passkeys.signIn({ mediation: "conditional" })')
        assert signed_in["user"]["email"] == "ann@example.com"
    else:
        pytest.skip("this browser has no autofill of passkeys; the rest was tried")


def test_a_second_factor_and_presence_by_the_script_of_the_guide(served: tuple[Site, str], page: Any) -> None:
    site = served[0]
    site.user("bob@example.com", email_verified=True)

    token = site.tokens("bob@example.com")["access_token"]
    assert len(_call(page, "passkeys.addPasskey(given)", token)["recovery_codes"]) == 10
    waiting = site.login("bob@example.com").get_json()["challenge_token"]
    signed_in = _call(page, "passkeys.answerChallenge(given)", waiting)
    assert _call(page, "passkeys.confirmPresence(given)", signed_in["access_token"])["access_token"]
