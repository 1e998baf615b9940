"""POST /register, and POST / of the users blueprint."""

from __future__ import annotations

from typing import Any

import pytest

from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer

REGISTER, USERS = "/api/auth/register", "/api/users"
ANN = {"email": "ann@example.com", "username": "Ann", "password": PASSWORD}
USER_FIELDS = {"id", "username", "email", "email_verified", "is_active", "roles", "created_at", "updated_at"}


def test_registering_answers_with_the_account_and_no_tokens(site: Site) -> None:
    answer = site.client.post(REGISTER, json={**ANN, "email": "ANN@Example.com"})

    assert answer.status_code == 201
    body = answer.get_json()
    assert body.keys() == {"user"}
    assert body["user"].keys() == USER_FIELDS
    assert (body["user"]["email"], body["user"]["username"]) == ("ann@example.com", "Ann")
    assert (body["user"]["is_active"], body["user"]["email_verified"], body["user"]["roles"]) == (True, False, [])
    assert site.login("ann@example.com").status_code == 200


def test_with_sign_in_registering_answers_with_tokens_too(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_REGISTRATION_SIGN_IN": True})

    answer = site.client.post(REGISTER, json=ANN)

    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.get_json()
    assert body.keys() == {"access_token", "refresh_token", "token_type", "expires_in", "refresh_expires_in", "user"}
    assert site.client.get("/api/auth/me", headers=bearer(body["access_token"])).get_json() == body["user"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"username": "other"}, "EMAIL_TAKEN"),
        ({"username": "other", "email": "ANN@EXAMPLE.COM"}, "EMAIL_TAKEN"),
        ({"email": "other@example.com"}, "USERNAME_TAKEN"),
        ({"email": "other@example.com", "username": "aNN"}, "USERNAME_TAKEN"),
    ],
)
@pytest.mark.parametrize("path", [REGISTER, USERS])
def test_what_is_taken_in_any_spelling_is_409(site: Site, path: str, change: dict[str, str], code: str) -> None:
    site.client.post(REGISTER, json=ANN)

    answer = site.client.post(path, json={**ANN, **change})

    assert (answer.status_code, answer.get_json()["code"]) == (409, code)


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"email": "nothing"}, "email", "email_invalid"),
        ({"email": "a" * 250 + "@example.com"}, "email", "string_too_long"),
        ({"username": "a"}, "username", "username_invalid"),
        ({"username": "ann@example.com"}, "username", "username_invalid"),
        ({"username": "аnn"}, "username", "username_invalid"),  # a Cyrillic letter among Latin ones
        ({"username": "a" * 65}, "username", "string_too_long"),
        ({"password": "seven 7"}, "password", "password_too_short"),
        ({"password": "password123"}, "password", "password_common"),
        ({"password": "ann.example"}, "password", "password_like_account"),
        ({"password": "x" * 257}, "password", "too_long"),
    ],
)
def test_unfit_input_is_refused_with_the_reason(site: Site, change: dict[str, str], field: str, code: str) -> None:
    answer = site.client.post(REGISTER, json={**ANN, **change})

    assert answer.status_code == 400
    assert [(problem["field"], problem["code"]) for problem in answer.get_json()["errors"]] == [(field, code)]


def test_a_username_may_be_left_out_unless_the_host_asks_for_it(make_site: MakeSite, site: Site) -> None:
    without = {"email": "ann@example.com", "password": PASSWORD}

    answer = site.client.post(REGISTER, json=without)

    assert answer.status_code == 201
    assert answer.get_json()["user"]["username"] is None


@pytest.mark.parametrize("username", [{}, {"username": None}])
def test_where_a_username_is_asked_for_none_is_refused(make_site: MakeSite, username: dict[str, None]) -> None:
    site = make_site(config={"ACCOUNTS_REGISTRATION_USERNAME_REQUIRED": True})

    answer = site.client.post(REGISTER, json={"email": "ann@example.com", "password": PASSWORD, **username})

    assert answer.status_code == 400
    assert answer.get_json()["errors"] == [{"field": "username", "code": "missing", "message": "Field required"}]


class TestClosed:
    @pytest.fixture
    def closed(self, make_site: MakeSite) -> Site:
        return make_site(config={"ACCOUNTS_REGISTRATION_OPEN": False})

    @pytest.mark.parametrize("path", [REGISTER, USERS])
    def test_nobody_registers(self, closed: Site, path: str) -> None:
        answer = closed.client.post(path, json=ANN)

        assert (answer.status_code, answer.get_json()["code"]) == (403, "REGISTRATION_CLOSED")

    def test_the_signed_in_lack_the_permission(self, closed: Site) -> None:
        answer = closed.client_for(closed.user()).post(USERS, json=ANN)

        assert (answer.status_code, answer.get_json()["code"]) == (403, "PERMISSION_DENIED")

    def test_an_administrator_still_makes_accounts(self, closed: Site) -> None:
        assert closed.client_for(closed.admin()).post(USERS, json=ANN).status_code == 201


class TestByAnAdministrator:
    def test_he_sets_roles_and_flags(self, site: Site) -> None:
        admin = site.client_for(site.user(roles=["admin", "editor"]))

        answer = admin.post(USERS, json={**ANN, "roles": ["editor"], "is_active": False, "email_verified": True})

        assert answer.status_code == 201
        body = answer.get_json()
        assert body.keys() == USER_FIELDS
        assert (body["roles"], body["is_active"], body["email_verified"]) == (["editor"], False, True)

    @pytest.mark.parametrize("member", [{"roles": ["admin"]}, {"is_active": True}, {"email_verified": True}])
    @pytest.mark.parametrize("signed_in", [False, True])
    def test_others_are_told_it_is_not_theirs_to_set(self, site: Site, member: dict[str, Any], signed_in: bool) -> None:
        site.admin()
        client = site.client_for(site.user()) if signed_in else site.client

        answer = client.post(USERS, json={**ANN, **member})

        assert answer.status_code == 400
        assert [(problem["field"], problem["code"]) for problem in answer.get_json()["errors"]] == [
            (next(iter(member)), "extra_forbidden")
        ]
        assert site.login("ann@example.com").status_code == 401

    def test_nobody_grants_more_than_he_holds_and_no_account_is_made(self, site: Site) -> None:
        site.admin()
        writer = site.client_for(site.user(permissions=["users:write"]))

        answer = writer.post(USERS, json={**ANN, "roles": ["admin"]})

        assert (answer.status_code, answer.get_json()["code"]) == (403, "PERMISSION_DENIED")
        assert site.login("ann@example.com").status_code == 401

    def test_an_unknown_role_is_refused_and_no_account_is_made(self, site: Site) -> None:
        admin = site.client_for(site.admin())

        answer = admin.post(USERS, json={**ANN, "roles": ["nothing"]})

        assert answer.get_json()["errors"][0]["code"] == "role_unknown"
        assert site.login("ann@example.com").status_code == 401

    def test_a_wrong_token_is_401_and_not_nobody(self, site: Site) -> None:
        assert site.client.post(USERS, json=ANN, headers=bearer("x.y.z")).status_code == 401
