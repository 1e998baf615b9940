"""Another service that takes access tokens of the accounts, with plain PyJWT: it has neither their database nor any secret that signs.

    pip install flask 'pyjwt[crypto]'
    export ISSUER=https://accounts.example AUDIENCE=https://orders.example
    export JWKS_URL=https://accounts.example/api/auth/jwks.json
    export INTROSPECT_URL=https://accounts.example/api/auth/introspect CLIENT_ID=orders CLIENT_SECRET=...
    flask --app service run --port 5001

GET /orders            the token is verified here, by the public keys: no call per request, and a sign-out is seen when the token expires
POST /orders/refund    asks the accounts whether the token is good right now: one call, and nothing is missed
"""

import base64
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

import jwt
from flask import Flask, Response, jsonify, request

ALGORITHMS = frozenset({"EdDSA", "ES256", "RS256"})
"""What a key of the accounts may be for. Never an HS algorithm beside these: a public key would pass for the secret."""
TYPES = ("at+jwt", "application/at+jwt")
"""RFC 9068 section 4. Without the type, a refresh token would pass for an access token."""
REQUIRED = ["iss", "aud", "sub", "client_id", "iat", "exp", "jti"]
LEEWAY = 10
"""Seconds by which the clocks may differ."""


class Refused(Exception):
    """The token is not good; says no more."""


class Verifier:
    """Verifies access tokens by the issuer's public keys, which it keeps for five minutes and asks for again when an unknown one comes."""

    def __init__(self, jwks_url: str, *, issuer: str, audience: str) -> None:
        self._keys = jwt.PyJWKClient(jwks_url, lifespan=300, timeout=5)
        self._issuer, self._audience = issuer, audience

    def claims(self, token: str) -> dict[str, Any]:
        """What a good token says; `Refused`."""
        try:
            header = jwt.get_unverified_header(token)
            if str(header.get("typ", "")).lower() not in TYPES or not isinstance(header.get("kid"), str):
                raise Refused
            # The key decides on the algorithm, not the token.
            key = self._keys.get_signing_key(header["kid"])
            if key.algorithm_name not in ALGORITHMS:
                raise Refused
            return jwt.decode(
                token, key, algorithms=[key.algorithm_name], issuer=self._issuer, audience=self._audience, leeway=LEEWAY,
                options={"require": REQUIRED},
            )  # fmt: skip
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise Refused from error


class Introspection:
    """Asks the accounts about a token (RFC 7662)."""

    def __init__(self, url: str, client_id: str, client_secret: str) -> None:
        self._url = url
        self._basic = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()

    def claims(self, token: str) -> dict[str, Any]:
        """What a good token says; `Refused`, also where nobody answers: what cannot be asked is not allowed."""
        asked = urllib.request.Request(  # noqa: S310  # the URL is this service's own configuration
            self._url,
            urllib.parse.urlencode({"token": token}).encode(),
            {"Authorization": f"Basic {self._basic}", "Content-Type": "application/x-www-form-urlencoded"},
        )
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310  # as above
                found: dict[str, Any] = json.load(answer)
        except (urllib.error.URLError, ValueError) as error:
            raise Refused from error
        if found.get("active") is not True:
            raise Refused
        return found


def create_app() -> Flask:
    """The service, configured by its environment."""
    environ = os.environ
    verifier = Verifier(environ["JWKS_URL"], issuer=environ["ISSUER"], audience=environ["AUDIENCE"])
    introspection = Introspection(environ["INTROSPECT_URL"], environ["CLIENT_ID"], environ["CLIENT_SECRET"])
    app = Flask(__name__)

    @app.errorhandler(Refused)
    def refused(error: Refused) -> Response:
        response = jsonify(error="invalid_token")
        response.status_code = 401
        response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
        return response

    def caller(claims: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or len(token) > 8192:
            raise Refused
        return claims(token)

    @app.get("/orders")
    def orders() -> dict[str, Any]:
        return {"orders_of": caller(verifier.claims)["sub"]}

    @app.post("/orders/refund")
    def refund() -> dict[str, Any]:
        claims = caller(introspection.claims)
        return {"refunded_by": claims["sub"], "roles": claims["roles"]}

    return app
