"""Role administration, and PUT /{id}/roles: nobody gives what he does not hold."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import MakeSite, Site

ROLES = "/api/users/roles"


@pytest.fixture
def admin(site: Site) -> FlaskClient:
    return site.client_for(site.admin())


def test_the_list_has_every_role_and_every_permission_there_is(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_ROLES_PERMISSIONS": ["posts:publish"]})
    admin = site.client_for(site.admin())

    body = admin.get(ROLES).get_json()

    assert body["roles"] == [{"name": "admin", "description": "Administers accounts.", "permissions": ["*"]}]
    assert set(body["permissions"]) == {
        "*",
        "users:read",
        "users:write",
        "roles:read",
        "roles:write",
        "invitations:read",
        "invitations:write",
        "audit:read",
        "posts:publish",
    }


def test_a_role_is_made_changed_and_deleted(admin: FlaskClient) -> None:
    made = admin.post(ROLES, json={"name": "helper", "permissions": ["users:read", "users:read"]})
    changed = admin.patch(f"{ROLES}/helper", json={"description": "Helps."})
    emptied = admin.patch(f"{ROLES}/helper", json={"permissions": []})
    deleted = admin.delete(f"{ROLES}/helper")

    assert (made.status_code, made.get_json()) == (
        201, {"name": "helper", "description": "", "permissions": ["users:read"]},
    )  # fmt: skip
    assert changed.get_json() == {"name": "helper", "description": "Helps.", "permissions": ["users:read"]}
    assert emptied.get_json() == {"name": "helper", "description": "Helps.", "permissions": []}
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert admin.delete(f"{ROLES}/helper").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "Helper"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a" * 65}, "name"),
        ({"name": "two words"}, "name"),
        ({"name": "new\n"}, "name"),
        ({"name": "x", "permissions": ["nothing:known"]}, "permissions"),
        ({"name": "x", "description": "x" * 256}, "description"),
        ({"name": "x", "id": 5}, "id"),
        ({}, "name"),
    ],
)
def test_unfit_roles_are_refused(admin: FlaskClient, body: dict[str, Any], field: str) -> None:
    answer = admin.post(ROLES, json=body)

    assert answer.status_code == 400
    assert [problem["field"] for problem in answer.get_json()["errors"]] == [field]


def test_a_name_that_is_there_is_409(admin: FlaskClient) -> None:
    admin.post(ROLES, json={"name": "helper"})

    answer = admin.post(ROLES, json={"name": "helper"})

    assert (answer.status_code, answer.get_json()["code"]) == (409, "ROLE_EXISTS")


def test_the_administrators_role_can_be_neither_deleted_nor_weakened(admin: FlaskClient) -> None:
    answers = [admin.delete(f"{ROLES}/admin"), admin.patch(f"{ROLES}/admin", json={"permissions": []})]

    assert [(answer.status_code, answer.get_json()["code"]) for answer in answers] == [(409, "ROLE_PROTECTED")] * 2


@pytest.mark.parametrize("name", ["nobody", "Admin", "x" * 300, "%00"])
def test_an_unknown_role_is_not_found(admin: FlaskClient, name: str) -> None:
    assert admin.patch(f"{ROLES}/{name}", json={"description": "x"}).status_code == 404
    assert admin.delete(f"{ROLES}/{name}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", ROLES, None),
        ("POST", ROLES, {"name": "x"}),
        ("PATCH", f"{ROLES}/admin", {"description": "x"}),
        ("DELETE", f"{ROLES}/admin", None),
        ("PUT", "/api/users/1/roles", {"roles": ["admin"]}),
    ],
)
def test_without_the_permission_it_is_403_and_without_a_token_401(site: Site, method: str, path: str, body: Any) -> None:
    site.admin()
    person = site.client_for(site.user())

    assert person.open(path, method=method, json=body).status_code == 403
    assert site.client.open(path, method=method, json=body).status_code == 401


def test_setting_roles_replaces_them_and_works_with_the_very_next_request(site: Site, admin: FlaskClient) -> None:
    ann = site.user("ann@example.com", roles=["old"])
    person = site.client_for(ann)
    admin.post(ROLES, json={"name": "reader", "permissions": ["users:read"]})
    before = person.get("/api/users").status_code

    answer = admin.put(f"/api/users/{ann.id}/roles", json={"roles": ["reader", "reader"]})

    assert (answer.status_code, answer.get_json()["roles"]) == (200, ["reader"])
    assert (before, person.get("/api/users").status_code) == (403, 200)
    assert admin.put(f"/api/users/{ann.id}/roles", json={"roles": []}).get_json()["roles"] == []
    assert person.get("/api/users").status_code == 403


def test_a_deleted_role_is_lost_by_all_who_had_it(site: Site, admin: FlaskClient) -> None:
    person = site.client_for(site.user(roles=["helper"]))

    admin.delete(f"{ROLES}/helper")

    assert person.get("/api/auth/me").get_json()["roles"] == []


@pytest.mark.parametrize("roles", [["nobody"], ["admin", "nobody"]])
def test_an_unknown_role_is_granted_to_nobody(site: Site, admin: FlaskClient, roles: list[str]) -> None:
    ann = site.user()

    answer = admin.put(f"/api/users/{ann.id}/roles", json={"roles": roles})

    assert answer.status_code == 400
    assert answer.get_json()["errors"] == [{"field": "roles", "code": "role_unknown", "message": "There is no role 'nobody'."}]


class TestPrivilegeEscalation:
    """A holder of `roles:write` who is no administrator."""

    @pytest.fixture
    def schemer(self, site: Site) -> FlaskClient:
        site.admin()
        self.me = site.user(permissions=["roles:write", "roles:read", "users:write"])
        return site.client_for(self.me)

    @pytest.mark.requirement("ASVS 8.2.1")
    def test_granting_himself_the_administrators_role(self, schemer: FlaskClient) -> None:
        own = schemer.get("/api/auth/me").get_json()["roles"]

        assert schemer.put(f"/api/users/{self.me.id}/roles", json={"roles": [*own, "admin"]}).status_code == 403

    @pytest.mark.requirement("ASVS 8.2.1")
    @pytest.mark.parametrize("permission", ["*", "users:read"])
    def test_making_a_role_of_permissions_he_lacks(self, schemer: FlaskClient, permission: str) -> None:
        assert schemer.post(ROLES, json={"name": "mighty", "permissions": [permission]}).status_code == 403

    @pytest.mark.requirement("ASVS 8.2.1")
    def test_adding_a_permission_he_lacks_to_a_role_he_has(self, schemer: FlaskClient) -> None:
        (own,) = schemer.get("/api/auth/me").get_json()["roles"]

        assert schemer.patch(f"{ROLES}/{own}", json={"permissions": ["users:read"]}).status_code == 403

    @pytest.mark.requirement("ASVS 8.2.1")
    def test_taking_over_an_account_of_more_power(self, site: Site, schemer: FlaskClient) -> None:
        boss = site.user(roles=["admin"])

        assert schemer.patch(f"/api/users/{boss.id}", json={"email": "mine@example.com"}).status_code == 403
        assert schemer.put(f"/api/users/{boss.id}/roles", json={"roles": []}).status_code == 403
        assert schemer.delete(f"/api/users/{boss.id}").status_code == 403


@pytest.mark.requirement("ASVS 8.2.1")
def test_making_a_role_that_would_pass_for_the_administrators(site: Site) -> None:
    schemer = site.client_for(site.user(permissions=["roles:write"]))

    answer = schemer.post(ROLES, json={"name": "admin", "permissions": []})

    assert (answer.status_code, answer.get_json()["code"]) == (409, "ROLE_PROTECTED")
