"""Resolvers: a host, or a feature of its own, says who is calling by a credential that accounts does not know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from flask import Flask, Request
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import (
    Feature,
    Principal,
    Runtime,
    current_accounts,
    current_principal,
    current_user,
    default_features,
    login_required,
)
from flask_accounts.core.errors import InvalidToken
from tests.conftest import MakeSite, Site

ANN = "ann@example.com"


def by_certificate(request: Request) -> Principal | None:
    """As behind a proxy that has checked a client's certificate."""
    name = request.environ.get("SSL_CLIENT_S_DN_CN")
    if name is None:
        return None
    user = current_accounts().users.by_email(name)
    if user is None:
        raise InvalidToken
    return Principal.of(user, kind="certificate")


def views(app: Flask, db: SQLAlchemy) -> None:
    @app.get("/who")
    @login_required
    def who() -> dict[str, Any]:
        return {"email": current_user.email, "kind": current_principal.kind, "in_person": current_principal.in_person}

    @app.get("/fresh")
    @login_required(fresh=True)
    def fresh() -> str:
        return "in"

    @app.get("/people")
    @login_required(kinds=["session", "certificate"])
    def people() -> str:
        return "in"


class Certificates(Feature):
    """Sign-in by certificate."""

    name: ClassVar[str] = "certificates"

    def resolvers(self, runtime: Runtime) -> Sequence[Any]:
        """By the client's certificate."""
        return (by_certificate,)


@pytest.fixture(params=["host", "feature"])
def site(request: pytest.FixtureRequest, make_site: MakeSite) -> Site:
    if request.param == "host":
        return make_site(resolvers=[by_certificate], views=views)
    return make_site(features=[*default_features(), Certificates()], views=views)


def certificate(name: str) -> dict[str, Any]:
    return {"environ_base": {"SSL_CLIENT_S_DN_CN": name}}


def test_the_caller_is_who_the_resolver_says(site: Site) -> None:
    site.user(ANN)

    answer = site.client.get("/who", **certificate(ANN))

    assert answer.get_json() == {"email": ANN, "kind": "certificate", "in_person": False}
    assert site.client.get("/people", **certificate(ANN)).status_code == 200
    assert site.client.get("/api/auth/me", **certificate(ANN)).get_json()["email"] == ANN


def test_where_it_finds_nothing_sessions_are_asked_as_ever(site: Site) -> None:
    ann = site.user(ANN)

    assert site.client.get("/who").get_json()["code"] == "TOKEN_MISSING"
    assert site.client_for(ann).get("/who").get_json()["kind"] == "session"


def test_what_it_refuses_is_refused_whatever_else_was_sent(site: Site) -> None:
    client = site.client_for(site.user(ANN))

    assert client.get("/who", **certificate("nobody@example.com")).get_json()["code"] == "INVALID_TOKEN"


@pytest.mark.requirement("ASVS 7.4.2")
def test_an_account_that_is_off_is_refused_whatever_the_resolver_says(site: Site) -> None:
    site.user(ANN, is_active=False)

    assert site.client.get("/who", **certificate(ANN)).get_json()["code"] == "TOKEN_REVOKED"


@pytest.mark.requirement("ASVS 7.5.1")
def test_an_unknown_kind_of_credential_is_nobody_in_person(site: Site) -> None:
    site.user(ANN)

    for path, method in (
        ("/fresh", "GET"), ("/api/auth/sessions", "GET"), ("/api/auth/me", "PATCH"), ("/api/auth/me", "DELETE"),
        ("/api/auth/password/change", "POST"),
    ):  # fmt: skip
        answer = site.client.open(path, method=method, json={} if method in ("PATCH", "POST") else None, **certificate(ANN))
        assert (answer.status_code, answer.get_json()["code"]) == (403, "CREDENTIAL_NOT_ALLOWED"), path


def test_a_principal_is_nobody_in_person_unless_that_is_said(site: Site) -> None:
    ann = site.user(ANN)
    with site.app.app_context():
        view = current_accounts().users.view(ann.id)
        assert view is not None

        assert not Principal(view.key, view, frozenset(), frozenset()).in_person


def test_what_it_does_is_told_with_its_kind(site: Site) -> None:
    site.user(ANN, permissions=["users:write"])
    other = site.user("bob@example.com")
    with site.testing.recorded() as events:
        answer = site.client.patch(f"/api/users/{other.id}", json={"username": "bobby"}, **certificate(ANN))
    assert answer.status_code == 200, answer.text

    assert [event.via for event in events] == ["certificate"]


@pytest.mark.parametrize("names", [{"kinds": "session"}, {"roles": "editor"}, {"permissions": "posts:read"}])
def test_one_name_in_place_of_a_list_is_a_mistake(names: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="a list of names"):
        login_required(**names)
