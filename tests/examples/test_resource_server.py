"""examples/resource_server against a live app: services with plain PyJWT and with jose verify by our public keys, and ask where it matters.

The one in Node.js is skipped, saying so, without Node.js 20 or npm's registry.
"""

from __future__ import annotations

import base64
import importlib.util
import inspect
import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask, request
from werkzeug.serving import make_server

from flask_accounts import default_features
from flask_accounts.features.signing_keys import SigningKeys
from flask_accounts.features.signing_keys.service import SigningKeyService
from flask_accounts.features.token_services import TokenServices
from flask_accounts.testing import PASSWORD, AccountsTesting, MovableClock
from tests.conftest import MakeSite, Site
from tests.pairs import ENCODINGS, pair
from tests.security.forging import claims_of, encode, header_of, sign

from .npm import packages_once

EXAMPLE = Path(__file__).parents[2] / "examples" / "resource_server"
ISSUER, AUDIENCE = "https://accounts.example", "https://orders.example"
SECRET = "Vd8t5YxWqk2hZrJ0uM7nTgB4cLpX1sAeO9fQyK3iRw6"
REFUSED = (401, {"error": "invalid_token"})


@dataclass
class Live:
    """The accounts on the loopback, begun two hours ago, so that time can pass without the services' clocks being wrong."""

    site: Site
    url: str
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def environ(self) -> dict[str, str]:
        return {
            "ISSUER": ISSUER, "AUDIENCE": AUDIENCE, "JWKS_URL": f"{self.url}/api/auth/jwks.json",
            "INTROSPECT_URL": f"{self.url}/api/auth/introspect", "CLIENT_ID": "orders", "CLIENT_SECRET": SECRET,
        }  # fmt: skip

    def tokens(self) -> dict[str, Any]:
        return self.site.tokens("ann@example.com", PASSWORD)

    @property
    def keys(self) -> SigningKeyService:
        return self.site.testing.runtime.get(SigningKeyService)

    def rotate(self, *, hurry: bool = False) -> None:
        with self.site.app.app_context():
            self.keys.rotate(hurry=hurry)
            self.site.db.session.commit()


@pytest.fixture
def live(make_site: MakeSite) -> Iterator[Live]:
    site = make_site(
        features=[*default_features(), SigningKeys(), TokenServices()],
        config={
            "ACCOUNTS_SIGNING_SOURCE": "database", "ACCOUNTS_TOKENS_PROFILE": "at+jwt", "ACCOUNTS_TOKENS_CLIENT_ID": "shop",
            "JWT_ENCODE_ISSUER": ISSUER, "JWT_ENCODE_AUDIENCE": AUDIENCE, "JWT_ACCESS_TOKEN_EXPIRES": timedelta(hours=4),
            "ACCOUNTS_TOKEN_SERVICES_CLIENTS": {"orders": SECRET},
        },
    )  # fmt: skip
    site.testing = AccountsTesting(site.app, clock=MovableClock(datetime.now(UTC) - timedelta(hours=2)))
    with site.app.app_context():
        site.testing.runtime.get(SigningKeyService).generate()
        site.db.session.commit()
    site.user("ann@example.com", roles=["editor"])
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    found = Live(site, f"http://127.0.0.1:{server.port}")

    @site.app.before_request
    def count() -> None:
        found.asked[request.path] += 1

    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


Answer = tuple[int, dict[str, Any]]


@dataclass
class Service:
    """One of the two, and how it is asked."""

    send: Callable[[str, str, str | None], Answer]
    later: Callable[[], None]
    """Lets it ask for unknown keys again."""
    cools_down: bool = True
    """It does not ask for the keys again for each unknown one."""

    def orders(self, token: str | None) -> Answer:
        return self.send("GET", "/orders", token)

    def refund(self, token: str | None) -> Answer:
        return self.send("POST", "/orders/refund", token)


def in_python(live: Live, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    for name, value in live.environ.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("resource_server", EXAMPLE / "service.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    app: Flask = module.create_app()
    app.testing = True
    real, moved = time.monotonic, 0.0

    def later() -> None:
        nonlocal moved
        moved += 31

    monkeypatch.setattr(time, "monotonic", lambda: real() + moved)

    def send(method: str, path: str, token: str | None) -> Answer:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        answer = app.test_client().open(path, method=method, headers=headers)
        return answer.status_code, answer.get_json()

    yield Service(send, later, "cooldown_duration" in inspect.signature(jwt.PyJWKClient).parameters)


def in_node(live: Live, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    packages_once(EXAMPLE)

    def begin(cooldown: str) -> tuple[subprocess.Popen[str], str]:
        environ = os.environ | live.environ | {"PORT": "0", "KEYS_COOLDOWN": cooldown}
        begun = subprocess.Popen(["node", "service.mjs"], cwd=EXAMPLE, env=environ, stdout=subprocess.PIPE, text=True)
        assert begun.stdout is not None
        line = begun.stdout.readline()
        assert line.startswith("Listening on "), line
        return begun, line.rpartition(" ")[2].strip()

    process, port = begin("30000")

    def end() -> None:
        process.terminate()
        process.wait(10)
        if process.stdout:
            process.stdout.close()

    def later() -> None:
        nonlocal process, port
        end()
        process, port = begin("0")

    def send(method: str, path: str, token: str | None) -> Answer:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, headers=headers)
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310  # the loopback
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    try:
        yield Service(send, later)
    finally:
        end()


@pytest.fixture(params=[in_python, in_node], ids=["PyJWT", "jose"])
def service(request: pytest.FixtureRequest, live: Live, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    yield from request.param(live, monkeypatch)


def test_it_knows_callers_by_our_public_keys_without_asking_for_each(live: Live, service: Service) -> None:
    for _ in range(5):
        assert service.orders(live.tokens()["access_token"]) == (200, {"orders_of": "1"})
    assert live.asked["/api/auth/jwks.json"] == 1
    assert live.asked["/api/auth/introspect"] == 0
    assert service.orders(None) == REFUSED


@pytest.mark.requirement("ASVS 11.2.2")
def test_nobody_is_refused_while_keys_rotate(live: Live, service: Service) -> None:
    """Published first, then signing: the service hears of the new key in time, and tokens of the old one are good to their end."""
    clock = live.site.testing.clock
    old = live.tokens()["access_token"]
    assert service.orders(old)[0] == 200

    live.rotate()
    still_old = live.tokens()["access_token"]
    assert header_of(still_old)["kid"] == header_of(old)["kid"]
    clock.move(hours=1)
    service.later()
    new = live.tokens()["access_token"]

    assert header_of(new)["kid"] != header_of(old)["kid"]
    assert [service.orders(token)[0] for token in (old, still_old, new)] == [200, 200, 200]
    assert live.asked["/api/auth/jwks.json"] <= 3


@pytest.mark.requirement("ASVS 11.2.2")
def test_a_key_that_was_stolen_is_gone_once_the_service_asks_again(live: Live, service: Service) -> None:
    old = live.tokens()["access_token"]
    live.rotate(hurry=True)
    with live.site.app.app_context():
        live.keys.retire(header_of(old)["kid"])
        live.site.db.session.commit()

    service.later()

    assert service.orders(live.tokens()["access_token"])[0] == 200
    assert service.orders(old) == REFUSED


@pytest.mark.requirement("RFC8725 2.1", "RFC9068 4", "ASVS 9.2.3")
def test_it_refuses_what_is_forged_and_what_is_for_somebody_else(live: Live, service: Service) -> None:
    tokens = live.tokens()
    good = tokens["access_token"]
    assert service.orders(good)[0] == 200
    with live.site.app.app_context():
        ring = live.site.testing.runtime.key_ring()
    assert ring is not None
    key = ring.signing
    assert key is not None
    head, body, signature = good.split(".")
    attacker = pair("EdDSA", 1)

    def signed(by: Any = key, header: dict[str, Any] | None = None, **changes: Any) -> str:
        claims = {name: value for name, value in (claims_of(good) | changes).items() if value is not None}
        return jwt.encode(claims, by.private, algorithm="EdDSA", headers={"typ": "at+jwt", "kid": key.kid} | (header or {}))

    assert service.orders(signed())[0] == 200
    now = int(time.time())
    bad = {
        "a refresh token": tokens["refresh_token"], "another type": signed(header={"typ": "JWT"}), "no type": signed(header={"typ": None}),
        "another audience": signed(aud="https://mail.example"), "a longer audience": signed(aud=AUDIENCE + ".evil"), "no audience": signed(aud=None),
        "another issuer": signed(iss="https://evil.example"), "no issuer": signed(iss=None), "over": signed(exp=now - 60),
        "no end": signed(exp=None), "not yet": signed(nbf=now + 600), "no subject": signed(sub=None), "no client": signed(client_id=None),
        "somebody else's key": signed(by=attacker), "a key that it brings": signed(by=attacker, header={"jwk": attacker.jwk}),
        "a key that nobody has": signed(by=attacker, header={"kid": attacker.kid}), "no signature": f"{head}.{body}.",
        "another body": f"{head}.{encode(claims_of(good) | {'sub': '2'})}.{signature}",
        "none": f"{encode({'alg': 'none', 'typ': 'at+jwt', 'kid': key.kid})}.{body}.", "junk": "x.y.z", "empty": "",
    }  # fmt: skip
    for said, token in bad.items():
        assert service.orders(token) == REFUSED, said
    for said, write in ENCODINGS.items():
        encoded = write(key)
        if encoded is not None:
            forged = sign({"alg": "HS256", "typ": "at+jwt", "kid": key.kid}, claims_of(good), key=encoded.encode("latin-1"))
            assert service.orders(forged) == REFUSED, said


def test_made_up_keys_do_not_have_ours_asked_for_each_time(live: Live, service: Service) -> None:
    if not service.cools_down:
        pytest.skip("this version of PyJWT asks each time")
    good = live.tokens()["access_token"]
    service.orders(good)
    for number in range(1, 20):
        kid = base64.urlsafe_b64encode(bytes([number] * 32)).rstrip(b"=").decode()
        forged = jwt.encode(claims_of(good), pair("EdDSA", 1).private, algorithm="EdDSA", headers={"typ": "at+jwt", "kid": kid})
        assert service.orders(forged) == REFUSED

    assert live.asked["/api/auth/jwks.json"] <= 2


@pytest.mark.requirement("RFC7662 2.2", "ASVS 7.4.1")
def test_where_it_matters_it_asks_and_hears_of_a_sign_out_at_once(live: Live, service: Service) -> None:
    token = live.tokens()["access_token"]
    assert service.refund(token) == (200, {"refunded_by": "1", "roles": ["editor"]})

    live.site.client.post("/api/auth/logout", headers={"Authorization": f"Bearer {token}"})

    assert service.refund(token) == REFUSED
    assert service.orders(token)[0] == 200  # until it expires: that is what the guide says of it
    assert service.refund(live.tokens()["refresh_token"]) == REFUSED
    assert service.refund(None) == REFUSED


def test_a_disabled_account_is_refused_at_once_where_it_asks(live: Live, service: Service) -> None:
    token = live.tokens()["access_token"]
    assert service.refund(token)[0] == 200
    with live.site.app.app_context():
        live.site.accounts.users.disable(1)
        live.site.db.session.commit()

    assert service.refund(token) == REFUSED


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_other_algorithms_are_verified_alike(live: Live, service: Service, algorithm: str) -> None:
    with live.site.app.app_context():
        live.keys.generate(algorithm)
        live.site.db.session.commit()
    live.rotate(hurry=True)
    token = live.tokens()["access_token"]

    assert header_of(token)["alg"] == algorithm
    assert service.orders(token)[0] == 200


def test_the_lock_file_names_no_host_but_npms_own() -> None:
    lock = json.loads((EXAMPLE / "package-lock.json").read_text())

    found = [package["resolved"] for package in lock["packages"].values() if "resolved" in package]
    assert [url for url in found if not url.startswith("https://registry.npmjs.org/")] == []
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
