"""Nobody sets by adding a key what is not his to set: one by one, together, nested and dotted, at every door that writes."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from flask_accounts.testing import PASSWORD
from tests.conftest import Site

pytestmark = pytest.mark.requirement("ASVS 15.3.3")

PRIVILEGED: dict[str, Any] = {
    "id": 1, "user_id": 1, "role": "admin", "roles": ["admin"], "permissions": ["*"], "is_admin": True, "is_staff": True, "is_superuser": True,
    "admin": True, "is_active": False, "active": False, "email_verified": True, "email_verified_at": "2026-01-01T00:00:00Z",
    "password_hash": "test$x$y", "hash": "x", "username_normalized": "admin", "created_at": "2000-01-01T00:00:00Z",
    "updated_at": "2000-01-01T00:00:00Z", "sessions": [], "generation": 9, "totp_secret": "x", "token": "x", "__class__": "x", "_sa_instance_state": {},
}  # fmt: skip
NESTED: dict[str, Any] = {
    "user": {"role": "admin"}, "user.role": "admin", "user[role]": "admin", "$set": {"is_active": False}, "__proto__": {"admin": True},
    "constructor": {"prototype": {"admin": True}}, "attributes": {"roles": ["admin"]}, "roles[]": "admin", "roles.0": "admin",
}  # fmt: skip
ALL = PRIVILEGED | NESTED


def stored(site: Site) -> list[dict[str, Any]]:
    """Every row of every table."""
    with site.app.app_context():
        return [
            {"table": table.name, **row}
            for table in site.db.metadata.sorted_tables
            for row in site.db.session.execute(sa.select(table)).mappings()
        ]


@pytest.mark.parametrize("path", ["/api/auth/register", "/api/users"])
def test_registration_takes_no_privileged_member(site: Site, path: str) -> None:
    site.admin()
    before = stored(site)
    body = {"email": "ann@example.com", "password": PASSWORD}

    for extra in [{name: value} for name, value in ALL.items()] + [ALL]:
        answer = site.client.post(path, json=body | extra)
        assert answer.status_code == 400, extra
        assert {problem["code"] for problem in answer.get_json()["errors"]} <= {"extra_forbidden"}
        assert {problem["field"] for problem in answer.get_json()["errors"]} <= set(extra)

    assert stored(site) == before


def test_a_person_changes_no_privileged_member_of_the_own_account(site: Site) -> None:
    site.admin()
    ann = site.user("ann@example.com", username="ann")
    client = site.client_for(ann)
    before = stored(site)

    for extra in [{name: value} for name, value in ALL.items()] + [ALL]:
        for method, path in (("PATCH", "/api/auth/me"), ("PATCH", f"/api/users/{ann.id}"), ("PUT", f"/api/users/{ann.id}")):
            body = {"email": "other@example.com", "username": "other"} | extra
            assert client.open(path, method=method, json=body).status_code == 400, (method, path, extra)

    assert stored(site) == before


@pytest.mark.requirement("ASVS 6.4.6")
def test_an_administrator_neither_sets_a_password_nor_what_only_the_system_sets(site: Site) -> None:
    boss, ann = site.client_for(site.admin()), site.user("ann@example.com")
    before = stored(site)

    for name in ALL.keys() - {"is_active", "email_verified"} | {"password"}:
        answer = boss.patch(f"/api/users/{ann.id}", json={name: ALL.get(name, "chosen by the admin")})
        assert answer.status_code == 400, name

    assert stored(site) == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/auth/login", {"email": "ann@example.com", "password": PASSWORD}),
        ("/api/auth/refresh", {}),
        ("/api/auth/logout", {}),
        ("/api/auth/reauthenticate", {"password": PASSWORD}),
        ("/api/auth/password/change", {"current_password": PASSWORD, "new_password": "another passphrase"}),
        ("/api/users/roles", {"name": "editor"}),
        ("/api/users/{id}/disable", {}),
    ],
)
def test_no_other_body_takes_more_than_it_names(site: Site, path: str, body: dict[str, Any]) -> None:
    ann, boss = site.user("ann@example.com"), site.client_for(site.admin())
    before = stored(site)

    for name in ("id", "user_id", "role", "sid", "session_id", "amr", "fresh", "expires_in", "remember", "created_at"):
        answer = boss.post(path.format(id=ann.id), json=body | {name: "1"})
        assert answer.status_code == 400, name
        assert answer.get_json()["errors"] == [
            {"field": name, "code": "extra_forbidden", "message": "Extra inputs are not permitted"}
        ]

    assert stored(site) == before


@pytest.mark.requirement("ASVS 7.2.4")
def test_a_client_cannot_choose_the_id_of_its_session(site: Site) -> None:
    site.user("ann@example.com")
    planted = "00000000-0000-7000-8000-00000000dead"
    client = site.client
    client.set_cookie("session", planted)
    client.set_cookie("sid", planted)

    client.post(
        f"/api/auth/login?sid={planted}", json={"email": "ann@example.com", "password": PASSWORD}, headers={"X-Session-Id": planted}
    )

    assert not any(planted in str(value).lower() for row in stored(site) for value in row.values())


@pytest.mark.requirement("ASVS 15.3.1")
def test_no_answer_holds_a_hash_or_an_internal_column(site: Site) -> None:
    ann, boss = site.user("ann@example.com", username="ann"), site.client_for(site.admin())
    client = site.client_for(ann)

    answers = [
        site.client.post("/api/auth/register", json={"email": "new@example.com", "password": PASSWORD}), site.login("ann@example.com"),
        client.get("/api/auth/me"), client.patch("/api/auth/me", json={"username": "anna"}), client.get("/api/auth/sessions"),
        boss.get("/api/users"), boss.get("/api/users?cursor="), boss.get(f"/api/users/{ann.id}"), boss.get(f"/api/users/{ann.id}/sessions"),
        boss.post(f"/api/users/{ann.id}/disable"), boss.post("/api/users", json={"email": "b@example.com", "password": PASSWORD}),
    ]  # fmt: skip

    for answer in answers:
        assert answer.status_code < 300
        for secret in ("password", "hash", ann.password_hash, "normalized", "generation", "_sa_"):
            assert secret not in answer.text
