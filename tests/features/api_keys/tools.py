"""Making keys and using them, as programs do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from flask import Flask
from flask_jwt_extended import jwt_required
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from flask_accounts import (
    Feature,
    current_principal,
    current_user,
    default_features,
    login_required,
    permissions_required,
    roles_required,
)
from flask_accounts.features.api_keys import ApiKeys
from flask_accounts.features.api_keys.service import ApiKeyService
from tests.conftest import MakeSite, Site

KEYS, ME = "/api/auth/api-keys", "/api/auth/me"
ANN = "ann@example.com"


def host_views(app: Flask, db: SQLAlchemy) -> None:
    """What a host guards in each way there is."""

    @app.route("/who", methods=["GET", "POST"])
    @login_required
    def who() -> dict[str, Any]:
        return {"email": current_user.email, "kind": current_principal.kind, "permissions": sorted(current_principal.permissions)}

    @app.get("/read")
    @permissions_required("posts:read")
    def read() -> str:
        return "in"

    @app.get("/write")
    @permissions_required("posts:write")
    def write() -> str:
        return "in"

    @app.get("/edit")
    @roles_required("editor")
    def edit() -> str:
        return "in"

    @app.get("/fresh")
    @login_required(fresh=True)
    def fresh() -> str:
        return "in"

    @app.get("/session")
    @login_required(kinds=["session"])
    def session() -> str:
        return "in"

    @app.get("/program")
    @login_required(kinds=["api_key"])
    def program() -> str:
        return "in"

    @app.get("/plain")
    @jwt_required()  # type: ignore[untyped-decorator]  # Flask-JWT-Extended is not typed
    def plain() -> str:
        return "in"


@pytest.fixture
def make_site(make_site: MakeSite) -> MakeSite:
    """As ever, with API keys, a host's views, and its permissions `posts:read` and `posts:write`."""

    def make(*, config: dict[str, Any] | None = None, features: Sequence[Feature] = (), **kwargs: Any) -> Site:
        config = {"ACCOUNTS_ROLES_PERMISSIONS": ["posts:read", "posts:write"]} | (config or {})
        return make_site(features=[*default_features(), ApiKeys(), *features], config=config, **{"views": host_views} | kwargs)

    return make


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


def ask(site: Site, user: Any, name: str = "deploy", /, **body: Any) -> TestResponse:
    """The answer to its owner's asking for a key."""
    return site.client_for(user).post(KEYS, json={"name": name, **body})


def key_of(site: Site, user: Any, *scopes: str, **body: Any) -> str:
    """A new key of an account."""
    answer = ask(site, user, scopes=list(scopes), **body)
    assert answer.status_code == 201, answer.text
    key: str = answer.get_json()["key"]
    return key


def by_host(site: Site, user: Any, *scopes: str, **values: Any) -> str:
    """The same by host code."""
    with site.app.app_context():
        made = site.testing.runtime.get(ApiKeyService).create(user, "deploy", scopes=scopes, **values)
        site.db.session.commit()
    return made.secret


def header(key: str) -> dict[str, str]:
    return {"X-API-Key": key}


def use(site: Site, key: str, path: str = ME, method: str = "GET", **kwargs: Any) -> TestResponse:
    """A request by the key, its answer taken to the end, as a server does."""
    answer = site.client.open(path, method=method, headers=header(key), **kwargs)
    answer.close()
    return answer


def code_of(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["code"]
