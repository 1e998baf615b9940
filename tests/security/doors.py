"""The three doors an access token opens: our own routes, `login_required`, and plain `@jwt_required()`."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import jwt_required
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import login_required
from tests.conftest import Site, bearer


def by_hand(site: Site) -> FlaskClient:
    """A client that sends the `Cookie` header it is given; one that keeps cookies would drop it."""
    return site.app.test_client(use_cookies=False)


DOORS = ("/api/auth/me", "/own", "/plain")


def host_views(app: Flask, db: SQLAlchemy) -> None:
    @app.get("/own")
    @login_required
    def own() -> str:
        return "in"

    @app.get("/plain")
    @jwt_required()  # type: ignore[untyped-decorator]  # Flask-JWT-Extended is not typed
    def plain() -> str:
        return "in"


def assert_refused(site: Site, token: str, *codes: str) -> None:
    """Every door answers 401 with `INVALID_TOKEN`, or one of `codes`, and the challenge of RFC 6750."""
    for door in DOORS:
        answer = site.client.get(door, headers=bearer(token))
        assert answer.status_code == 401, f"{door} let this in: {token[:200]}"
        assert answer.get_json()["code"] in (codes or ("INVALID_TOKEN",)), f"{door}: {answer.text}"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def assert_accepted(site: Site, token: str) -> None:
    for door in DOORS:
        assert site.client.get(door, headers=bearer(token)).status_code == 200, door
