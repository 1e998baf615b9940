"""POST /refresh, /logout; GET, DELETE /sessions; an administrator's view of them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from flask_accounts import Client
from flask_accounts.core.devices import device_name
from tests.conftest import MakeSite, Site, bearer

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def refresh(site: Site, token: str) -> TestResponse:
    return site.client.post("/api/auth/refresh", headers=bearer(token))


@pytest.fixture
def ann(site: Site) -> Any:
    return site.user("ann@example.com")


class TestRefresh:
    def test_it_gives_the_next_pair_and_the_account(self, site: Site, ann: Any) -> None:
        tokens = site.tokens("ann@example.com")

        answer = refresh(site, tokens["refresh_token"])

        assert answer.status_code == 200
        body = answer.get_json()
        assert body.keys() == tokens.keys()
        assert body["refresh_token"] != tokens["refresh_token"]
        assert site.client.get("/api/auth/me", headers=bearer(body["access_token"])).get_json() == body["user"]

    def test_the_body_may_carry_the_token(self, site: Site, ann: Any) -> None:
        token = site.tokens("ann@example.com")["refresh_token"]

        assert site.client.post("/api/auth/refresh", json={"refresh_token": token}).status_code == 200

    def test_the_body_goes_before_an_expired_access_token_in_the_header(self, site: Site, ann: Any) -> None:
        """As clients do that put the access token into every request."""
        tokens = site.tokens("ann@example.com")
        site.testing.clock.move(minutes=20)
        expired = bearer(tokens["access_token"])

        refreshed = site.client.post("/api/auth/refresh", json={"refresh_token": tokens["refresh_token"]}, headers=expired)
        left = site.client.post("/api/auth/logout", json={"refresh_token": refreshed.get_json()["refresh_token"]}, headers=expired)

        assert (refreshed.status_code, left.status_code) == (200, 200)

    @pytest.mark.parametrize(("seconds", "status"), [(0, 200), (9, 200), (10, 401), (3600, 401)])
    def test_a_used_token_gets_the_same_generation_within_the_grace_window_only(
        self, site: Site, ann: Any, seconds: int, status: int
    ) -> None:
        token = site.tokens("ann@example.com")["refresh_token"]
        current = refresh(site, token).get_json()["refresh_token"]
        site.testing.clock.move(seconds=seconds)

        answer = refresh(site, token)

        assert answer.status_code == status
        # Outside the window it is reuse: the whole session has ended, the current token with it.
        assert refresh(site, current).status_code == status

    def test_without_a_grace_window_the_second_use_ends_the_session(self, make_site: MakeSite) -> None:
        site = make_site(config={"ACCOUNTS_SESSIONS_GRACE_WINDOW": 0})
        site.user("ann@example.com")
        tokens = site.tokens("ann@example.com")
        refresh(site, tokens["refresh_token"])

        answer = refresh(site, tokens["refresh_token"])

        assert (answer.status_code, answer.get_json()["code"]) == (401, "TOKEN_REVOKED")
        assert site.client.get("/api/auth/me", headers=bearer(tokens["access_token"])).status_code == 401

    def test_an_unused_session_dies_after_its_idle_lifetime(self, site: Site, ann: Any) -> None:
        token = site.tokens("ann@example.com")["refresh_token"]
        site.testing.clock.move(days=13, hours=23)
        token = refresh(site, token).get_json()["refresh_token"]
        site.testing.clock.move(days=14)

        answer = refresh(site, token)

        assert (answer.status_code, answer.get_json()["code"]) == (401, "TOKEN_EXPIRED")

    def test_a_session_in_use_dies_after_its_absolute_lifetime(self, site: Site, ann: Any) -> None:
        tokens = site.tokens("ann@example.com")
        for _ in range(3):
            site.testing.clock.move(days=9)
            tokens = refresh(site, tokens["refresh_token"]).get_json()

        assert tokens["refresh_expires_in"] == 3 * 24 * 3600
        site.testing.clock.move(days=3)
        assert refresh(site, tokens["refresh_token"]).get_json()["code"] == "TOKEN_EXPIRED"

    def test_near_the_end_the_access_token_does_not_outlive_the_session(self, make_site: MakeSite) -> None:
        site = make_site(config={"ACCOUNTS_SESSIONS_ABSOLUTE_LIFETIME": 600})
        site.user("ann@example.com")

        assert site.tokens("ann@example.com")["expires_in"] == 600

    @pytest.mark.parametrize(("sent", "code"), [({}, "TOKEN_MISSING"), ({"refresh_token": "x.y.z"}, "INVALID_TOKEN")])
    def test_without_a_good_token_it_is_401(self, site: Site, sent: dict[str, str], code: str) -> None:
        answer = site.client.post("/api/auth/refresh", json=sent)

        assert (answer.status_code, answer.get_json()["code"]) == (401, code)

    def test_an_access_token_refreshes_nothing(self, site: Site, ann: Any) -> None:
        assert refresh(site, site.tokens("ann@example.com")["access_token"]).get_json()["code"] == "WRONG_TOKEN_TYPE"


class TestLogout:
    @pytest.mark.parametrize("method", ["POST", "DELETE"])
    @pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
    def test_either_token_ends_the_session_and_both_die_at_once(self, site: Site, ann: Any, method: str, kind: str) -> None:
        tokens = site.tokens("ann@example.com")

        answer = site.client.open("/api/auth/logout", method=method, headers=bearer(tokens[kind]))

        assert (answer.status_code, answer.get_json()) == (200, {"message": "Token revoked"})
        assert site.client.get("/api/auth/me", headers=bearer(tokens["access_token"])).get_json()["code"] == "TOKEN_REVOKED"
        assert refresh(site, tokens["refresh_token"]).get_json()["code"] == "TOKEN_REVOKED"

    def test_other_sessions_live_on(self, site: Site, ann: Any) -> None:
        one, other = site.client_for(ann), site.client_for(ann)

        one.post("/api/auth/logout")

        assert other.get("/api/auth/me").status_code == 200

    def test_signing_out_twice_is_no_error(self, site: Site, ann: Any) -> None:
        client = site.client_for(ann)

        assert [client.post("/api/auth/logout").status_code for _ in range(2)] == [200, 200]

    def test_without_a_token_it_is_401(self, site: Site) -> None:
        assert site.client.post("/api/auth/logout").get_json()["code"] == "TOKEN_MISSING"


class TestOwnSessions:
    def test_a_session_is_shown_with_its_device_and_no_token_material(self, site: Site, ann: Any) -> None:
        tokens = site.login("ann@example.com", headers={"User-Agent": FIREFOX}).get_json()

        body = site.client.get("/api/auth/sessions", headers=bearer(tokens["access_token"])).get_json()

        (shown,) = body["sessions"]
        assert body.keys() == {"sessions"}
        assert shown.keys() == {
            "id", "device", "ip_address", "user_agent", "created_at", "last_used_at", "expires_at", "current",
            "impersonated",
        }  # fmt: skip
        assert (shown["device"], shown["ip_address"], shown["current"]) == ("Firefox on Linux", "127.0.0.1", True)

    def test_only_own_live_ones_are_listed_the_last_used_first(self, site: Site, ann: Any) -> None:
        site.client_for(site.user("ben@example.com"))
        first = site.tokens("ann@example.com")
        site.testing.clock.move(minutes=1)
        gone = site.client_for(ann)
        gone.post("/api/auth/logout")
        here = site.client_for(ann)
        site.testing.clock.move(minutes=1)
        refresh(site, first["refresh_token"])

        sessions = here.get("/api/auth/sessions").get_json()["sessions"]

        assert [session["current"] for session in sessions] == [False, True]

    def test_ending_one_ends_its_tokens_at_once(self, site: Site, ann: Any) -> None:
        here, there = site.client_for(ann), site.client_for(ann)
        sessions = here.get("/api/auth/sessions").get_json()["sessions"]
        other = next(session["id"] for session in sessions if not session["current"])

        answer = here.delete(f"/api/auth/sessions/{other}")

        assert answer.status_code == 204
        assert there.get("/api/auth/me").status_code == 401
        assert here.get("/api/auth/me").status_code == 200

    def test_ending_all_others_leaves_this_one(self, site: Site, ann: Any) -> None:
        here, *others = (site.client_for(ann) for _ in range(3))

        assert here.delete("/api/auth/sessions").status_code == 204
        assert [client.get("/api/auth/me").status_code for client in (here, *others)] == [200, 401, 401]

    @pytest.mark.requirement("ASVS 8.2.2")
    def test_somebody_elses_session_is_not_found(self, site: Site, ann: Any) -> None:
        theirs = site.client_for(ann)
        session = theirs.get("/api/auth/sessions").get_json()["sessions"][0]["id"]
        stranger = site.client_for(site.user("ben@example.com"))

        answers = [stranger.delete(f"/api/auth/sessions/{name}") for name in (session, uuid4(), "nonsense", "1")]

        assert {(answer.status_code, answer.get_json()["code"]) for answer in answers} == {(404, "NOT_FOUND")}
        assert theirs.get("/api/auth/me").status_code == 200

    def test_one_more_than_the_limit_ends_the_oldest(self, make_site: MakeSite) -> None:
        site = make_site(config={"ACCOUNTS_SESSIONS_MAX_PER_USER": 2})
        ann = site.user("ann@example.com")
        clients = []
        for _ in range(3):
            clients.append(site.client_for(ann))
            site.testing.clock.move(seconds=1)

        assert [client.get("/api/auth/me").status_code for client in clients] == [401, 200, 200]


class TestAdministration:
    def test_an_administrator_sees_and_ends_somebodys_sessions(self, site: Site, ann: Any) -> None:
        theirs, admin = site.client_for(ann), site.client_for(site.admin())

        shown = admin.get(f"/api/users/{ann.id}/sessions").get_json()["sessions"]
        ended = admin.delete(f"/api/users/{ann.id}/sessions")

        assert [session["current"] for session in shown] == [False]
        assert ended.status_code == 204
        assert theirs.get("/api/auth/me").status_code == 401

    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    def test_others_are_forbidden_also_for_themselves(self, site: Site, ann: Any, method: str) -> None:
        answer = site.client_for(ann).open(f"/api/users/{ann.id}/sessions", method=method)

        assert (answer.status_code, answer.get_json()["code"]) == (403, "PERMISSION_DENIED")

    @pytest.mark.parametrize("key", ["0", "999", "x", "1 "])
    def test_an_unknown_account_is_not_found(self, site: Site, key: str) -> None:
        admin = site.client_for(site.admin())

        assert admin.get(f"/api/users/{key}/sessions").status_code == 404


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/120.0 Safari/537.36 Edg/120.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0) AppleWebKit/605 Version/17.0 Safari/605", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Mobile Safari/604", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.0", "curl"),
        ("<script>alert(1)</script>", "Unknown device"),
        ("", "Unknown device"),
        (None, "Unknown device"),
    ],
)
def test_a_device_has_a_name_a_person_knows(user_agent: str | None, name: str) -> None:
    assert device_name(user_agent) == name


def test_no_session_opens_for_a_password_that_is_not_the_accounts_any_more(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url)
    ann = site.user("ann@example.com")
    with site.app.app_context():
        sessions, now = site.testing.runtime.sessions, site.testing.clock.now()
        assert sessions.open(ann.id, client=Client(), amr=("pwd",), now=now, verified_hash="an older one") is None
        assert sessions.open(ann.id, client=Client(), amr=("pwd",), now=now, verified_hash=ann.password_hash) is not None
