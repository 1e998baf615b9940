"""Signing in with providers that others have made, as processes of their own: oidc-provider-mock (Python) and oidc-provider (Node.js, certified).

The second needs Node.js 20 and npm's registry (or its cache); without them its tests are skipped and say so.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.cookiejar
import importlib.util
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import pytest

from flask_accounts import default_features
from flask_accounts.features.oidc import Oidc, Provider
from tests import conftest
from tests.conftest import MakeSite, Site
from tests.features.mfa.tools import claims

from .tools import BASE, PRESENCE, begin, begin_step_up, come_back, exchange, oidc_config, outcome

NPM = Path(__file__).parent / "npm"
UNREACHABLE = re.compile(r"ENOTFOUND|ENOTCACHED|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|network")
REDIRECT = f"{BASE}/oidc/idp/callback"
make_site = conftest.make_site


@contextmanager
def process(ready: str, *command: str, **kwargs: Any) -> Iterator[None]:
    """A program that runs until the block ends, from the moment on that it says it is ready."""
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs)
    assert running.stdout
    reader: threading.Thread | None = None
    try:
        said = []
        for line in running.stdout:
            said.append(line)
            if ready in line:
                break
        else:
            pytest.fail("".join(said))
        # What it says later is read too: it would wait for that otherwise, once the pipe is full.
        reader = threading.Thread(target=running.stdout.read)
        reader.start()
        yield
    finally:
        running.terminate()
        running.wait()
        if reader is not None:
            reader.join()
        running.stdout.close()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def mock(port: int) -> Iterator[None]:
    claims = '{"sub": "ann", "email": "ann@example.com", "email_verified": true}'
    with process(
        "Uvicorn running", sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), "--user-claims", claims
    ):
        yield


@contextmanager
def npm(port: int) -> Iterator[None]:
    with process("listening", "node", "provider.mjs", str(port), "the-app", "a secret: of the app & its own", REDIRECT, cwd=NPM):
        yield


def packages() -> None:
    """What the lock file says, installed once."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("Node.js and npm are not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < 20:
        pytest.skip(f"Node.js {version} is older than 20")
    lock, stamp = NPM / "package-lock.json", NPM / "node_modules" / ".installed-by-tests"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        command = ["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund"]
        installed = subprocess.run(command, cwd=NPM, capture_output=True, text=True, check=False, timeout=300)
        if installed.returncode and UNREACHABLE.search(installed.stderr):
            pytest.skip(f"npm's registry cannot be reached: {installed.stderr.strip().splitlines()[0]}")
        assert installed.returncode == 0, installed.stdout + installed.stderr
        stamp.write_text(wanted)


class Back(Exception):
    """The provider has sent the browser to the app."""

    def __init__(self, answer: dict[str, str]) -> None:
        self.answer = answer


class ToTheApp(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if newurl.startswith(REDIRECT):
            fp.close()
            raise Back(dict(parse_qsl(urlsplit(newurl).query)))
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def person(url: str, fill: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """Go through the provider's pages as a browser does; `fill` answers the form of each. What the app is sent."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), ToTheApp)
    form: bytes | None = None
    try:
        for _ in range(6):
            with browser.open(url, form, timeout=20) as page:
                text, where = page.read().decode(), page.url
            action = re.search(r'<form[^>]* action="([^"]+)"', text)
            url, form = urljoin(where, action[1] if action else where), urlencode(fill(text)).encode()
    except Back as back:
        return back.answer
    raise AssertionError(f"the provider's pages lead nowhere: {text}")


def at_mock(page: str) -> dict[str, str]:
    return {"sub": "ann"}


def at_npm(page: str) -> dict[str, str]:
    return {"prompt": "login", "login": "ann@example.com", "password": "any"} if 'name="login"' in page else {"prompt": "consent"}


@pytest.fixture(params=["mock", "npm"])
def real(request: pytest.FixtureRequest) -> tuple[Callable[[int], Any], Callable[[str], dict[str, str]]]:
    """A provider to start on a port, and who answers its pages."""
    if request.param == "npm":
        packages()
        return npm, at_npm
    if importlib.util.find_spec("oidc_provider_mock") is None:
        pytest.skip("oidc-provider-mock is not installed")
    return mock, at_mock


def build(make_site: MakeSite, port: int) -> Site:
    config = oidc_config("idp")
    return make_site(features=[*default_features(), Oidc([Provider("idp", f"http://127.0.0.1:{port}")])], config=config)


def test_people_sign_in_and_come_again_after_its_keys_have_changed(make_site: MakeSite, real: Any) -> None:
    start, fill = real
    port = free_port()
    site = build(make_site, port)
    browser = site.client
    with start(port):
        answer = person(begin(browser), fill)
        told = come_back(browser, answer)
        first = exchange(browser, told["code"]).get_json()["user"]
        assert (first["email"], first["email_verified"]) == ("ann@example.com", True)
        assert come_back(browser, answer)["error"] in ("OTHER_BROWSER", "ONE_TIME_TOKEN_INVALID"), "a replay"
        stale = person(begin(site.client), fill)
        mine = person(begin(browser), fill)
        if fill is at_npm:  # the other one knows no PKCE, but the nonce says so too
            assert come_back(browser, {**mine, "code": stale["code"]})["error"] == "IDENTITY_REFUSED"
        else:
            assert come_back(browser, {**mine, "code": stale["code"]})["error"] == "IDENTITY_INVALID"

    site.testing.clock.move(seconds=31)
    again = site.client
    begun = begin(again)  # the metadata is known: it is away when the person is back
    with start(port):
        answer = person(begun, fill)
        told = come_back(again, answer)
        assert exchange(again, told["code"]).get_json()["user"]["id"] == first["id"]
        gone = person(begin(again), fill)

    assert come_back(again, gone)["error"] == "PROVIDER_UNAVAILABLE"
    site.testing.clock.move(hours=2)
    assert outcome(site.client.post("/api/auth/oidc/idp/login")) == (503, "PROVIDER_UNAVAILABLE")


def test_a_real_provider_has_the_person_sign_in_anew_for_a_proof_of_presence(make_site: MakeSite, real: Any) -> None:
    start, fill = real
    port = free_port()
    site = build(make_site, port)
    browser = site.client
    with start(port):
        body = exchange(browser, come_back(browser, person(begin(browser), fill))["code"]).get_json()
        browser.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {body['access_token']}"

        told = come_back(browser, person(begin_step_up(browser).get_json()["authorization_url"], fill))

    answer = browser.post(PRESENCE, json={"code": told["code"]})
    assert answer.status_code == 200, answer.text
    assert claims(site, answer.get_json()["access_token"])["auth_time"] == pytest.approx(time.time(), abs=60)


def test_a_real_provider_refreshes_the_tokens_that_are_kept(make_site: MakeSite, real: Any) -> None:
    start, fill = real
    port = free_port()
    scopes = ("openid", "email", "offline_access")
    provider = Provider("idp", f"http://127.0.0.1:{port}", store_tokens=True, scopes=scopes, asks={"prompt": "consent"})
    site = make_site(features=[*default_features(), Oidc([provider])], config=oidc_config("idp"))
    browser = site.client
    with start(port):
        exchange(browser, come_back(browser, person(begin(browser), fill))["code"])
        with site.app.app_context():
            (identity,) = site.accounts.identities.of(site.accounts.users.find(email="ann@example.com"))
            given = [site.accounts.identities.access_token(identity)]
            for _ in range(2):
                given.append(site.accounts.identities.access_token(identity, refused=given[-1].access_token))

    assert len({each.access_token for each in given}) == 3
    assert all({"openid", "email"} <= set(each.scopes) <= set(scopes) and each.expires_at for each in given)
