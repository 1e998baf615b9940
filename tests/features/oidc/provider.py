"""An identity provider on the loopback that does what a test tells it to: sign with other keys, lie, answer junk, or not at all.

Its answers are those of OpenID Connect Core and RFC 7636; where nothing else is said it is a good one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from flask import Flask, Response, request
from werkzeug.serving import make_server

CLIENT, SECRET = "the-app", "a secret: of the app & its own"


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """A key for all tests: making one takes long."""
    return rsa.generate_private_key(65537, 2048)


@cache
def key_of(algorithm: str, name: str = "first") -> Any:
    """A private key that fits an algorithm."""
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm.startswith("ES"):
        curve = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}[algorithm]
        return ec.generate_private_key(curve)
    return rsa_key(name)


def public_jwk(key: Any, kid: str | None, **members: Any) -> dict[str, Any]:
    for kind in (jwt.algorithms.RSAAlgorithm, jwt.algorithms.ECAlgorithm, jwt.algorithms.OKPAlgorithm):
        try:
            made = json.loads(kind.to_jwk(key.public_key()))
        except (AttributeError, TypeError, jwt.PyJWTError):
            continue
        return {**made, "use": "sig", **({"kid": kid} if kid else {}), **members}
    raise AssertionError("not a key")


@dataclass
class Idp:
    """The provider. `claims` are of whoever signs in next; `forge` may put another token in the place of a good one."""

    app: Flask
    issuer: str = ""
    algorithm: str = "RS256"
    kid: str | None = "first"
    key: Any = field(default_factory=lambda: rsa_key("first"))
    published: list[dict[str, Any]] = field(default_factory=list)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    forge: Callable[[dict[str, Any]], str] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] | None = None
    instead: dict[str, Callable[[], Any]] = field(default_factory=dict)
    """By path: what is answered in place of what is right."""
    asked: Counter[str] = field(default_factory=Counter)
    forms: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    wait: threading.Event = field(default_factory=threading.Event)
    """What a slow answer waits for; set when the test is over."""
    names_itself: bool = True
    refresh_token: str | None = None
    """The one that is good; a sign-in at a provider that `gives_tokens` makes the first."""
    gives_tokens: bool = False
    rotates: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)

    def publish(self) -> None:
        """Have the present key, and no other, in the JWKS."""
        self.published = [public_jwk(self.key, self.kid, alg=self.algorithm)]

    def rotate(self, name: str) -> None:
        """Sign with another key, which is in the JWKS beside the old ones."""
        self.kid, self.key, self.algorithm = name, rsa_key(name), "RS256"
        self.published = [*self.published, public_jwk(self.key, name)]

    def approve(self, url: str, **claims: Any) -> dict[str, str]:
        """What the browser is sent back with, once the person at `url` has agreed."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT
        assert query["code_challenge_method"] == "S256"
        assert len(query["code_challenge"]) == 43
        code = secrets.token_urlsafe(24)
        self.codes[code] = {**query, "claims": json.dumps({**self.claims, **claims})}
        answer = {"code": code, "state": query["state"]}
        return {**answer, "iss": self.issuer} if self.names_itself else answer

    def id_token(self, claims: Mapping[str, Any]) -> str:
        headers = {**({"kid": self.kid} if self.kid else {}), **self.header}
        return jwt.api_jws.encode(json.dumps(dict(claims)).encode(), self.key, self.algorithm, headers)  # whatever they are


def build() -> Idp:
    app = Flask("provider")
    idp = Idp(app)

    @app.before_request
    def count() -> Any:
        idp.asked[request.path] += 1
        if instead := idp.instead.get(request.path):
            return instead()
        return None

    @app.get("/.well-known/openid-configuration")
    def metadata() -> Any:
        found = {
            "issuer": idp.issuer, "authorization_endpoint": f"{idp.issuer}/authorize", "token_endpoint": f"{idp.issuer}/token",
            "jwks_uri": f"{idp.issuer}/jwks", "userinfo_endpoint": f"{idp.issuer}/userinfo",
            "authorization_response_iss_parameter_supported": idp.names_itself, **idp.metadata,
        }  # fmt: skip
        return {name: value for name, value in found.items() if value is not None}

    @app.get("/jwks")
    def jwks() -> Any:
        return {"keys": idp.published}

    @app.post("/token")
    def token() -> Any:
        form = request.form.to_dict()
        idp.forms.append(form)
        if form["grant_type"] == "refresh_token":
            return refreshed(form["refresh_token"])
        pair = request.authorization
        client = (
            (unquote(pair.username or ""), unquote(pair.password or ""))
            if pair
            else (form.get("client_id"), form.get("client_secret"))
        )
        if client != (CLIENT, SECRET):
            return {"error": "invalid_client"}, 401
        asked = idp.codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if asked is None or asked["redirect_uri"] != form["redirect_uri"] or asked["code_challenge"] != challenge:
            return {"error": "invalid_grant"}, 400
        access, now = secrets.token_urlsafe(24), int(idp.now().timestamp())
        half = hashlib.sha256(access.encode()).digest()[:16]
        claims = {
            "iss": idp.issuer, "sub": "person-1", "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked.get("nonce"),
            "email": "ann@example.com", "email_verified": True,
            **json.loads(asked["claims"]),
        }  # fmt: skip
        if idp.algorithm.endswith("256"):
            claims.setdefault("at_hash", base64.urlsafe_b64encode(half).rstrip(b"=").decode())
        claims = {name: value for name, value in claims.items() if value is not None}
        made = (idp.forge or idp.id_token)(claims)
        more: dict[str, Any] = {}
        if idp.gives_tokens:
            idp.refresh_token = secrets.token_urlsafe(24)
            more = {"refresh_token": idp.refresh_token, "expires_in": 3600, "scope": "openid email calendar"}
        return {"access_token": access, "token_type": "Bearer", "id_token": made, **more, **idp.tokens}

    def refreshed(given: str) -> Any:
        """A refresh token is good once; a second use ends all of its family (RFC 9700 section 4.14.2)."""
        with idp.lock:
            if given != idp.refresh_token or idp.refresh_token is None:
                idp.refresh_token = None
                return {"error": "invalid_grant"}, 400
            idp.refresh_token = secrets.token_urlsafe(24)
            return {
                "access_token": secrets.token_urlsafe(24), "token_type": "Bearer", "expires_in": 3600,
                **({"refresh_token": idp.refresh_token} if idp.rotates else {}),
            }  # fmt: skip

    @app.get("/userinfo")
    def userinfo() -> Any:
        if idp.userinfo is None:
            return Response("nothing", 404)
        return idp.userinfo

    return idp


@contextmanager
def serving() -> Iterator[Idp]:
    """A provider on a port of its own."""
    idp = build()
    server = make_server("127.0.0.1", 0, idp.app, threaded=True)
    idp.issuer = f"http://127.0.0.1:{server.port}"
    idp.publish()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield idp
    finally:
        idp.wait.set()
        server.shutdown()
        thread.join()
        server.server_close()
