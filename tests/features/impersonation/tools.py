"""Support, and acting in people's places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from flask_jwt_extended import jwt_required
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from flask_accounts import Feature, current_accounts, current_principal, current_user, default_features, events, login_required
from flask_accounts.features.api_keys import ApiKeys
from flask_accounts.features.impersonation import Impersonation
from tests.conftest import MakeSite, Site, bearer

AUTH, ME, LOGOUT = "/api/auth", "/api/auth/me", "/api/auth/logout"
ANN, SUPPORT = "ann@example.com", "support@example.com"
PERMISSIONS = ["users:impersonate", "posts:write"]


def host_views(app: Flask, db: SQLAlchemy) -> None:
    """What a host guards in each way there is."""

    @app.route("/who", methods=["GET", "POST"])
    @login_required
    def who() -> dict[str, Any]:
        me = current_principal
        return {"email": current_user.email, "actor": me.actor, "in_person": me.in_person, "kind": me.kind, "amr": list(me.amr)}

    @app.post("/plain")
    @jwt_required()  # type: ignore[untyped-decorator]  # Flask-JWT-Extended is not typed
    def plain() -> str:
        return "in"

    @app.post("/plain-fresh")
    @jwt_required(fresh=True)  # type: ignore[untyped-decorator]  # Flask-JWT-Extended is not typed
    def plain_fresh() -> str:
        return "in"

    @app.post("/fresh")
    @login_required(fresh=True)
    def fresh() -> str:
        return "in"

    @app.post("/owner")
    @login_required(impersonated=False)
    def owner() -> str:
        return "in"

    @app.post("/rename")
    @login_required
    def rename() -> str:
        """As host code does it that thinks of nobody: no actor at all, then the caller, then about somebody else."""
        runtime, me = current_accounts(), current_principal
        g.ids = (None, me.user_id)
        for actor in g.ids:
            runtime.events.emit(events.UserUpdated(user_id=me.user_id, actor_id=actor, fields=("nickname",)))
        runtime.events.emit(events.UserUpdated(user_id=10**6, actor_id=me.user_id, fields=("nickname",)))
        runtime.commit()
        return "in"


@pytest.fixture
def make_site(make_site: MakeSite) -> MakeSite:
    """As ever, with impersonation, API keys and a host's views."""

    def make(
        *, config: dict[str, Any] | None = None, features: Sequence[Feature] = (), without: bool = False, **kwargs: Any
    ) -> Site:
        config = {"ACCOUNTS_ROLES_PERMISSIONS": ["posts:read", "posts:write"]} | (config or {})
        used = [*default_features(), *([] if without else [ApiKeys(), Impersonation()]), *features]
        return make_site(features=used, config=config, **{"views": host_views} | kwargs)

    return make


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


def support(site: Site, email: str = SUPPORT, permissions: Sequence[str] = PERMISSIONS, **kwargs: Any) -> Any:
    """Somebody who may act in people's places."""
    return site.user(email, permissions=permissions, **kwargs)


def impersonate(client: FlaskClient, user: Any, reason: str = "ticket 4711") -> TestResponse:
    return client.post(f"/api/users/{user if isinstance(user, int | str) else user.id}/impersonate", json={"reason": reason})


def acting(site: Site, client: FlaskClient, user: Any) -> FlaskClient:
    """A client that acts in the place of `user`, begun by `client`."""
    answer = impersonate(client, user)
    assert answer.status_code == 200, answer.text
    found = site.app.test_client()
    found.environ_base["HTTP_AUTHORIZATION"] = bearer(answer.get_json()["access_token"])["Authorization"]
    return found


def code_of(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["code"]


def refused(client: FlaskClient) -> bool:
    """Whether the session of `client` is over, at our door and at the host's."""
    answers = [client.get(ME), client.get("/who"), client.post("/who"), client.post("/plain")]
    over = {answer.status_code for answer in answers}
    assert over in ({401}, {200}), over
    if over == {401}:
        assert {answer.get_json()["code"] for answer in answers} == {"TOKEN_REVOKED"}
    return over == {401}
