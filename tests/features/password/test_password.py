"""POST /login, /reauthenticate, /password/change."""

from __future__ import annotations

from typing import Any

import pytest

from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer

NEW = "a rather different horse"
LOGIN, CHANGE, AGAIN = "/api/auth/login", "/api/auth/password/change", "/api/auth/reauthenticate"
USER_FIELDS = {"id", "username", "email", "email_verified", "is_active", "roles", "created_at", "updated_at"}


class TestLogin:
    def test_the_token_response_is_exactly_that_of_the_contract(self, site: Site) -> None:
        ann = site.user("ann@example.com", username="ann", roles=["editor"])

        body = site.tokens("ann@example.com")

        assert body.keys() == {"access_token", "refresh_token", "token_type", "expires_in", "refresh_expires_in", "user"}
        assert body["token_type"] == "Bearer"
        assert (body["expires_in"], body["refresh_expires_in"]) == (15 * 60, 14 * 24 * 3600)
        assert body["user"].keys() == USER_FIELDS
        assert (body["user"]["id"], body["user"]["email"], body["user"]["roles"]) == (ann.id, "ann@example.com", ["editor"])
        assert body["user"]["created_at"].endswith("Z")

    @pytest.mark.parametrize(
        "who",
        [{"email": "ann@example.com"}, {"email": " ANN@Example.COM "}, {"username": "Ann"}, {"username": "ANN"},
         {"email": "ann@example.com", "username": None}],
    )  # fmt: skip
    def test_an_address_or_a_username_in_any_spelling_will_do(self, site: Site, who: dict[str, Any]) -> None:
        site.user("ann@example.com", username="Ann")

        assert site.client.post(LOGIN, json={**who, "password": PASSWORD}).status_code == 200

    @pytest.mark.parametrize("who", [{}, {"email": "a@example.com", "username": "ann"}, {"email": None, "username": None}])
    def test_exactly_one_name_is_given(self, site: Site, who: dict[str, Any]) -> None:
        answer = site.client.post(LOGIN, json={**who, "password": PASSWORD})

        assert answer.status_code == 400
        assert answer.get_json()["errors"][0]["code"] == "one_of"

    def test_an_unknown_account_and_a_wrong_password_get_the_same_answer(self, site: Site) -> None:
        site.user("ann@example.com")

        unknown, wrong = site.login("nobody@example.com"), site.login("ann@example.com", "wrong")

        assert unknown.status_code == wrong.status_code == 401
        assert unknown.data == wrong.data
        assert unknown.get_json()["code"] == "INVALID_CREDENTIALS"
        assert unknown.headers["WWW-Authenticate"] == 'Bearer realm="accounts"'

    def test_that_an_account_is_disabled_is_said_only_after_the_right_password(self, site: Site) -> None:
        site.user("ann@example.com", is_active=False)

        right, wrong = site.login("ann@example.com"), site.login("ann@example.com", "wrong")

        assert (right.status_code, right.get_json()["code"]) == (403, "ACCOUNT_DISABLED")
        assert (wrong.status_code, wrong.get_json()["code"]) == (401, "INVALID_CREDENTIALS")

    def test_an_account_without_a_password_has_no_password_that_is_right(self, site: Site) -> None:
        site.user("ann@example.com", password=None)

        for password in ("", "None", PASSWORD):
            assert site.login("ann@example.com", password).status_code == 401

    def test_a_password_is_taken_exactly_as_it_was_typed(self, site: Site) -> None:
        site.user("ann@example.com", password=" Päss wörter 🐎 ")

        assert site.login("ann@example.com", " Päss wörter 🐎 ").status_code == 200
        assert site.login("ann@example.com", "Päss wörter 🐎").status_code == 401

    def test_a_password_over_the_limit_is_refused_before_it_is_hashed(self, site: Site) -> None:
        site.user("ann@example.com")

        assert site.login("ann@example.com", "x" * 257).status_code == 400


class TestReauthenticate:
    def test_the_new_tokens_pass_where_the_old_ones_are_too_stale(self, site: Site) -> None:
        site.user("ann@example.com")
        tokens = site.tokens("ann@example.com")
        site.testing.clock.move(minutes=14)
        refreshed = site.client.post("/api/auth/refresh", headers=bearer(tokens["refresh_token"])).get_json()
        site.testing.clock.move(minutes=14)
        stale = site.client.delete("/api/auth/me", headers=bearer(refreshed["access_token"]))

        fresh = site.client.post(AGAIN, json={"password": PASSWORD}, headers=bearer(refreshed["access_token"]))

        assert (stale.status_code, stale.get_json()["code"]) == (401, "REAUTHENTICATION_REQUIRED")
        assert "insufficient_user_authentication" in stale.headers["WWW-Authenticate"]
        assert fresh.status_code == 200
        assert site.client.delete("/api/auth/me", headers=bearer(fresh.get_json()["access_token"])).status_code == 204

    def test_a_wrong_password_gets_nothing_and_ends_nothing(self, site: Site) -> None:
        client = site.client_for(site.user())

        answer = client.post(AGAIN, json={"password": "wrong"})

        assert (answer.status_code, answer.get_json()["code"]) == (401, "INVALID_CREDENTIALS")
        assert client.get("/api/auth/me").status_code == 200

    def test_it_asks_for_a_sign_in(self, site: Site) -> None:
        assert site.client.post(AGAIN, json={"password": PASSWORD}).get_json()["code"] == "TOKEN_MISSING"


class TestChange:
    def test_the_new_password_signs_in_and_the_old_one_does_not(self, site: Site) -> None:
        client = site.client_for(site.user("ann@example.com"))

        answer = client.post(CHANGE, json={"current_password": PASSWORD, "new_password": NEW})

        assert (answer.status_code, answer.data) == (204, b"")
        assert site.login("ann@example.com", NEW).status_code == 200
        assert site.login("ann@example.com").status_code == 401

    def test_other_sessions_end_with_the_very_next_request_and_this_one_stays(self, site: Site) -> None:
        ann = site.user("ann@example.com")
        this, other, refresh = site.client_for(ann), site.client_for(ann), site.tokens("ann@example.com")["refresh_token"]

        this.post(CHANGE, json={"current_password": PASSWORD, "new_password": NEW})

        assert this.get("/api/auth/me").status_code == 200
        assert other.get("/api/auth/me").get_json()["code"] == "TOKEN_REVOKED"
        assert site.client.post("/api/auth/refresh", headers=bearer(refresh)).get_json()["code"] == "TOKEN_REVOKED"

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({"current_password": "wrong", "new_password": NEW}, 401, "INVALID_CREDENTIALS"),
            ({"current_password": PASSWORD, "new_password": "short"}, 400, "password_too_short"),
            ({"current_password": PASSWORD, "new_password": "password1"}, 400, "password_common"),
            ({"current_password": PASSWORD, "new_password": PASSWORD}, 400, "password_unchanged"),
            ({"current_password": PASSWORD, "new_password": "ann@example"}, 400, "password_like_account"),
            ({"current_password": PASSWORD, "new_password": "x" * 257}, 400, "too_long"),
            ({"current_password": PASSWORD}, 400, "missing"),
        ],
    )
    def test_what_is_wrong_with_it_is_said_and_nothing_changes(self, site: Site, body: Any, status: int, code: str) -> None:
        client = site.client_for(site.user("ann@example.com"))

        answer = client.post(CHANGE, json=body)

        assert answer.status_code == status
        found = answer.get_json()
        assert code in (found["code"], *(problem["code"] for problem in found.get("errors", ())))
        assert site.login("ann@example.com").status_code == 200

    def test_eight_characters_of_any_kind_are_enough(self, site: Site) -> None:
        client = site.client_for(site.user())

        assert client.post(CHANGE, json={"current_password": PASSWORD, "new_password": "ünïcødé 8"}).status_code == 204

    def test_the_least_length_is_a_setting(self, make_site: MakeSite) -> None:
        site = make_site(config={"ACCOUNTS_PASSWORD_MIN_LENGTH": 15})
        client = site.client_for(site.user())

        answer = client.post(CHANGE, json={"current_password": PASSWORD, "new_password": "fourteen chars"})

        assert answer.get_json()["errors"][0]["code"] == "password_too_short"
