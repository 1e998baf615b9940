"""What `GET /me` costs by the algorithm that signs the tokens, and by API key.

    python benchmarks/algorithms.py [--url URL ...] [--rounds 100]

A folder's SQLite file if no URL is given. All contenders run interleaved in one process, through the WSGI interface. For each of HS256,
EdDSA, ES256 and RS256 (2048 bits):

    jwt_required     Flask-JWT-Extended alone, without a database: it verifies the signature each time
    GET /me          ours: a signature that was right is remembered, all else is looked at each time
    first sight      ours with `ACCOUNTS_TOKENS_VERIFIED_CACHE_SIZE = 0`: what the first request of a token pays

and `API key`, which is looked up and not verified. Ratios are to `GET /me` by HS256; with `--base "jwt_required HS256"` to
Flask-JWT-Extended's own. Below them stands what it costs to sign a pair of tokens, which each sign-in and each refresh does, by both.
"""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from flask import Flask, Response, jsonify
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token, get_jwt_identity, jwt_required
from flask_sqlalchemy import SQLAlchemy
from own_account import KEY, Call, caller, measured, report, urls

from flask_accounts import Accounts, default_features
from flask_accounts.core.runtime import current_accounts
from flask_accounts.core.sessions import SessionState
from flask_accounts.core.tokens import Tokens
from flask_accounts.features.api_keys import ApiKeys
from flask_accounts.features.api_keys.service import ApiKeyService

MAKERS = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
}
BASE = "GET /me HS256"


def signing() -> dict[str, dict[str, Any]]:
    """Flask-JWT-Extended's configuration for each algorithm."""
    found: dict[str, dict[str, Any]] = {"HS256": {"JWT_ALGORITHM": "HS256", "JWT_SECRET_KEY": KEY}}
    for name, make in MAKERS.items():
        private = make()
        found[name] = {
            "JWT_ALGORITHM": name,
            "JWT_PRIVATE_KEY": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            "JWT_PUBLIC_KEY": private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        }
    return found


def ours(url: str, keys: dict[str, Any], *, remembered: bool) -> tuple[Flask, Accounts]:
    """An app with accounts; all of them share the database."""
    app = Flask("ours")
    app.config.update(SQLALCHEMY_DATABASE_URI=url, SECRET_KEY=KEY, **keys)
    if not remembered:
        app.config["ACCOUNTS_TOKENS_VERIFIED_CACHE_SIZE"] = 0
    return app, Accounts(SQLAlchemy(), app, features=[*default_features(), ApiKeys()])


def token_only(keys: dict[str, Any], body: dict[str, Any]) -> tuple[Call, Call]:
    """The same body behind Flask-JWT-Extended alone, and the signing of a pair of tokens."""
    app = Flask("token_only")
    app.config.update(keys)
    JWTManager(app)

    @app.get("/token")
    @jwt_required()
    def token() -> Response:
        get_jwt_identity()
        return jsonify(body)

    context = app.app_context()

    def sign() -> None:
        with context:
            create_access_token("1")
            create_refresh_token("1")

    with app.app_context():
        return caller(app, "/token", create_access_token("1", expires_delta=timedelta(hours=1))), sign


def signer(app: Flask, session: SessionState) -> Call:
    """The signing of a pair of tokens by accounts."""
    context = app.app_context()

    def sign() -> None:
        with context:
            current_accounts().get(Tokens).issue(session)

    return sign


def contenders(url: str) -> tuple[dict[str, Call], dict[str, Call], Call]:
    """All that is compared by requests, and all that signs, by name; and what drops the tables again."""
    calls: dict[str, Call] = {}
    signs: dict[str, Call] = {}
    body: dict[str, Any] = {}
    ann: Any = None
    for name, keys in signing().items():
        app, accounts = ours(url, keys, remembered=True)
        with app.app_context():
            if ann is None:
                accounts.db.drop_all()
                accounts.db.create_all()
                ann = accounts.users.create("ann@example.com", "seven brown foxes").id
                accounts.roles.grant(ann, "admin")
                accounts.db.session.commit()
                body = accounts.users.get(ann).to_dict()
                secret = current_accounts().get(ApiKeyService).create(ann, "benchmark", scopes=["*"]).secret
                accounts.db.session.commit()
                calls["API key"] = caller(app, "/api/auth/me", secret)
            opened = accounts.sessions.open(ann)
            token = opened.tokens.access_token
            accounts.db.session.commit()
        calls[f"jwt_required {name}"], signs[f"theirs {name}"] = token_only(keys, body)
        signs[f"ours {name}"] = signer(app, opened.session)
        calls[f"GET /me {name}"] = caller(app, "/api/auth/me", token)
        calls[f"first sight {name}"] = caller(ours(url, keys, remembered=False)[0], "/api/auth/me", token)

    def drop() -> None:
        with app.app_context():
            accounts.db.drop_all()

    return calls, signs, drop


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--url", action="append")
    options.add_argument("--rounds", type=int, default=100)
    options.add_argument("--base", default=BASE)
    given = options.parse_args()
    for url in urls(given.url):
        print(sa.make_url(url).get_backend_name())
        calls, signs, drop = contenders(url)
        report(*measured(calls, given.rounds), base=given.base)
        print("signing a pair")
        report(*measured(signs, min(given.rounds, 20)), base="theirs HS256")
        drop()


if __name__ == "__main__":
    main()
