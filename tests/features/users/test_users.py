"""The own account, and the users blueprint: who sees and changes whom."""

from __future__ import annotations

from typing import Any

import pytest

from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer

USER_FIELDS = {"id", "username", "email", "email_verified", "is_active", "roles", "created_at", "updated_at"}
PUBLIC_FIELDS = {"id", "username", "created_at"}
DIRECT = {"ACCOUNTS_EMAIL_CHANGE_DIRECT": True}


class TestMe:
    def test_it_is_the_user_fields_and_nothing_else(self, site: Site) -> None:
        ann = site.user("ann@example.com", username="Ann")

        body = site.client_for(ann).get("/api/auth/me").get_json()

        assert body.keys() == USER_FIELDS
        assert (body["id"], body["email"], body["username"], body["is_active"]) == (ann.id, "ann@example.com", "Ann", True)

    def test_patch_changes_the_given_members_only(self, site: Site) -> None:
        client = site.client_for(site.user("ann@example.com", username="ann"))

        assert client.patch("/api/auth/me", json={}).get_json()["username"] == "ann"
        assert client.patch("/api/auth/me", json={"username": "anna"}).get_json()["username"] == "anna"
        assert client.patch("/api/auth/me", json={"username": None}).get_json()["username"] is None
        assert client.get("/api/auth/me").get_json()["email"] == "ann@example.com"

    def test_a_change_moves_updated_at_and_no_change_does_not(self, site: Site) -> None:
        client = site.client_for(site.user("ann@example.com", username="ann"))
        before = client.get("/api/auth/me").get_json()["updated_at"]
        site.testing.clock.move(minutes=1)

        same = client.patch("/api/auth/me", json={"username": "ann"}).get_json()["updated_at"]
        changed = client.patch("/api/auth/me", json={"username": "anna"}).get_json()["updated_at"]

        assert same == before < changed

    def test_where_an_address_may_be_changed_here_the_new_one_counts_as_unproved(self, make_site: MakeSite) -> None:
        site = make_site(config=DIRECT)
        client = site.client_for(site.user("ann@example.com", email_verified=True))

        body = client.patch("/api/auth/me", json={"email": "New@Example.com"}).get_json()

        assert (body["email"], body["email_verified"]) == ("new@example.com", False)

    @pytest.mark.parametrize(
        ("body", "code"), [({"email": "ben@example.com"}, "EMAIL_TAKEN"), ({"username": "BEN"}, "USERNAME_TAKEN")]
    )
    def test_what_another_has_is_409(self, make_site: MakeSite, body: dict[str, str], code: str) -> None:
        site = make_site(config=DIRECT)
        site.user("ben@example.com", username="ben")

        answer = site.client_for(site.user()).patch("/api/auth/me", json=body)

        assert (answer.status_code, answer.get_json()["code"]) == (409, code)

    @pytest.mark.parametrize(
        ("method", "path", "body"), [("PATCH", "/api/auth/me", {"email": "new@example.com"}), ("DELETE", "/api/auth/me", None)]
    )
    def test_a_new_address_and_deletion_ask_for_recent_authentication(
        self, make_site: MakeSite, method: str, path: str, body: Any
    ) -> None:
        site = make_site(config=DIRECT)
        site.user("ann@example.com")
        tokens = site.tokens("ann@example.com")
        site.testing.clock.move(minutes=15, seconds=1)
        late = site.client.post("/api/auth/refresh", headers=bearer(tokens["refresh_token"])).get_json()["access_token"]

        answer = site.client.open(path, method=method, json=body, headers=bearer(late))

        assert (answer.status_code, answer.get_json()["code"]) == (401, "REAUTHENTICATION_REQUIRED")

    def test_a_deleted_account_is_gone_with_the_very_next_request(self, site: Site) -> None:
        client = site.client_for(site.user("ann@example.com"))

        answer = client.delete("/api/auth/me")

        assert (answer.status_code, answer.data) == (204, b"")
        assert client.get("/api/auth/me").get_json()["code"] == "TOKEN_REVOKED"
        assert site.login("ann@example.com").status_code == 401
        assert site.client.post("/api/auth/register", json={"email": "ann@example.com", "password": PASSWORD}).status_code == 201


class TestOne:
    def test_oneself_and_an_administrator_see_an_account(self, site: Site) -> None:
        ann = site.user("ann@example.com")

        bodies = [client.get(f"/api/users/{ann.id}").get_json() for client in (site.client_for(ann), site.client_for(site.admin()))]

        assert bodies[0] == bodies[1]
        assert bodies[0].keys() == USER_FIELDS

    @pytest.mark.requirement("ASVS 8.2.2")
    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
    def test_a_stranger_cannot_tell_an_account_from_none(self, site: Site, method: str) -> None:
        ann, stranger = site.user("ann@example.com"), site.client_for(site.user("ben@example.com"))
        body = {"email": "x@example.com", "username": "xx"}

        there, nowhere = (stranger.open(f"/api/users/{key}", method=method, json=body) for key in (ann.id, 999))

        assert there.status_code == nowhere.status_code == 404
        assert there.data == nowhere.data

    @pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
    @pytest.mark.parametrize("key", ["0", "-1", "01", "1.0", "+1", "x", "99999999999999999999", "1%00", "%F0%9F%90%8E"])
    def test_what_is_no_key_is_not_found(self, site: Site, key: str, method: str) -> None:
        admin = site.client_for(site.admin())

        assert admin.open(f"/api/users/{key}", method=method, json={"username": "new"}).status_code == 404

    def test_put_wants_every_member_and_patch_the_given_ones(self, site: Site) -> None:
        ann = site.user("ann@example.com", username="ann")
        admin = site.client_for(site.admin())

        part = admin.put(f"/api/users/{ann.id}", json={"username": "anna"})
        whole = admin.put(f"/api/users/{ann.id}", json={"username": "anna", "email": "anna@example.com"})

        assert part.status_code == 400
        assert [(problem["field"], problem["code"]) for problem in part.get_json()["errors"]] == [("email", "missing")]
        assert (whole.status_code, whole.get_json()["email"]) == (200, "anna@example.com")

    def test_an_administrator_sets_flags_and_the_owner_does_not(self, site: Site) -> None:
        ann = site.user("ann@example.com")
        url = f"/api/users/{ann.id}"

        own = site.client_for(ann).patch(url, json={"email_verified": True, "is_active": False, "username": "ann"})
        admins = site.client_for(site.admin()).patch(url, json={"email_verified": True})

        assert own.status_code == 400
        assert [(problem["field"], problem["code"]) for problem in own.get_json()["errors"]] == [
            ("email_verified", "extra_forbidden"),
            ("is_active", "extra_forbidden"),
        ]
        assert admins.get_json()["email_verified"] is True

    @pytest.mark.parametrize("body", [{"email": None}, {"is_active": None}, {"id": 7}, {"roles": []}, {"password": PASSWORD}])
    def test_null_and_unknown_members_are_refused(self, site: Site, body: dict[str, Any]) -> None:
        ann, admin = site.user(), site.client_for(site.admin())

        answer = admin.patch(f"/api/users/{ann.id}", json=body)

        assert answer.status_code == 400
        assert [problem["field"] for problem in answer.get_json()["errors"]] == list(body)

    def test_an_administrator_deletes_an_account(self, site: Site) -> None:
        ann, admin = site.user("ann@example.com"), site.client_for(site.admin())
        theirs = site.client_for(ann)

        assert admin.delete(f"/api/users/{ann.id}").status_code == 204
        assert admin.get(f"/api/users/{ann.id}").status_code == 404
        assert theirs.get("/api/auth/me").status_code == 401

    def test_users_read_sees_and_does_not_touch(self, site: Site) -> None:
        ann = site.user("ann@example.com")
        reader = site.client_for(site.user(permissions=["users:read"]))

        assert reader.get(f"/api/users/{ann.id}").status_code == 200
        assert reader.patch(f"/api/users/{ann.id}", json={"username": "new"}).status_code == 404
        assert reader.post(f"/api/users/{ann.id}/disable").status_code == 403


class TestDisable:
    def test_the_very_next_request_is_refused_and_enabling_brings_no_session_back(self, site: Site) -> None:
        ann, admin = site.user("ann@example.com"), site.client_for(site.admin())
        theirs, refresh = site.client_for(ann), site.tokens("ann@example.com")["refresh_token"]

        disabled = admin.post(f"/api/users/{ann.id}/disable", json={"reason": "spam"})

        assert (disabled.status_code, disabled.get_json()["is_active"]) == (200, False)
        assert theirs.get("/api/auth/me").get_json()["code"] == "TOKEN_REVOKED"
        assert site.client.post("/api/auth/refresh", headers=bearer(refresh)).status_code == 401
        assert site.login("ann@example.com").get_json()["code"] == "ACCOUNT_DISABLED"
        assert admin.post(f"/api/users/{ann.id}/enable").get_json()["is_active"] is True
        assert theirs.get("/api/auth/me").status_code == 401
        assert site.login("ann@example.com").status_code == 200

    def test_is_active_in_a_patch_does_the_same(self, site: Site) -> None:
        ann, admin = site.user("ann@example.com"), site.client_for(site.admin())
        theirs = site.client_for(ann)

        assert admin.patch(f"/api/users/{ann.id}", json={"is_active": False}).get_json()["is_active"] is False
        assert theirs.get("/api/auth/me").status_code == 401

    @pytest.mark.parametrize("path", ["disable", "enable"])
    def test_twice_is_no_error_and_a_body_may_be_left_out(self, site: Site, path: str) -> None:
        ann, admin = site.user(), site.client_for(site.admin())

        assert [admin.post(f"/api/users/{ann.id}/{path}").status_code for _ in range(2)] == [200, 200]

    def test_nobody_has_no_permission(self, site: Site) -> None:
        ann = site.user()

        assert site.client.post(f"/api/users/{ann.id}/disable").status_code == 401
        assert site.client_for(ann).post(f"/api/users/{ann.id}/disable").status_code == 403


class TestLastAdministrator:
    """Nobody would be left who could let anybody in again."""

    ACTS: tuple[tuple[str, str, Any], ...] = (
        ("DELETE", "/api/auth/me", None),
        ("DELETE", "/api/users/{id}", None),
        ("POST", "/api/users/{id}/disable", None),
        ("PATCH", "/api/users/{id}", {"is_active": False}),
        ("PUT", "/api/users/{id}", {"email": "admin@example.com", "username": None, "is_active": False}),
        ("PUT", "/api/users/{id}/roles", {"roles": []}),
    )

    @pytest.mark.parametrize(("method", "path", "body"), ACTS)
    def test_the_last_one_stays(self, site: Site, method: str, path: str, body: Any) -> None:
        root = site.admin()
        site.testing.make_user(roles=["admin"], is_active=False)  # one who cannot sign in does not count
        admin = site.client_for(root)

        answer = admin.open(path.format(id=root.id), method=method, json=body)

        assert (answer.status_code, answer.get_json()["code"]) == (409, "LAST_ADMINISTRATOR")
        assert admin.get("/api/auth/me").get_json()["roles"] == ["admin"]

    @pytest.mark.parametrize(("method", "path", "body"), ACTS)
    def test_one_of_two_may_go(self, site: Site, method: str, path: str, body: Any) -> None:
        root = site.admin()
        site.user("other@example.com", roles=["admin"])

        answer = site.client_for(root).open(path.format(id=root.id), method=method, json=body)

        assert answer.status_code in (200, 204)


def test_a_directory_for_the_signed_in_shows_public_fields_of_active_accounts(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_USERS_DIRECTORY": "authenticated"})
    ann = site.client_for(site.user("ann@example.com", username="ann"))
    site.user("gone@example.com", is_active=False)

    pages, cursor = ann.get("/api/users").get_json(), ann.get("/api/users?cursor=").get_json()

    assert pages["total"] == 1
    assert all(user.keys() == PUBLIC_FIELDS for user in pages["users"] + cursor["users"])
    assert pages["users"] == cursor["users"]
    assert site.client.get("/api/users").status_code == 401


@pytest.mark.parametrize("query", ["role=admin", "is_active=false", "sort=email", "sort=-updated_at"])
def test_the_directory_is_not_searched_by_what_is_not_public(make_site: MakeSite, query: str) -> None:
    site = make_site(config={"ACCOUNTS_USERS_DIRECTORY": "authenticated"})

    assert site.client_for(site.user()).get(f"/api/users?{query}").status_code == 403


@pytest.mark.requirement("ASVS 8.2.3")
def test_the_directory_does_not_find_people_by_their_address(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_USERS_DIRECTORY": "authenticated"})
    site.user("secret@example.com", username="somebody")
    ann = site.client_for(site.user("ann@example.com", username="ann"))

    assert ann.get("/api/users?search=secret").get_json()["users"] == []
    assert len(ann.get("/api/users?search=someb").get_json()["users"]) == 1


def test_with_a_directory_for_administrators_others_are_forbidden(site: Site) -> None:
    answer = site.client_for(site.user()).get("/api/users")

    assert (answer.status_code, answer.get_json()["code"]) == (403, "PERMISSION_DENIED")
