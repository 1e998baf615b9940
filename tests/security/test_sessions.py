"""Sessions live and die on the server: fixation, logout, disabling, password changes, step-up, lists (ASVS V7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer

from .doors import by_hand
from .forging import claims_of

Pair = dict[str, Any]
GOOD = "vexing-quartz-lamp 7"


@pytest.fixture
def pair(site: Site) -> Pair:
    site.user("ann@example.com")
    return site.tokens("ann@example.com")


def assert_dead(site: Site, *pairs: Pair) -> None:
    for pair in pairs:
        me = site.client.get("/api/auth/me", headers=bearer(pair["access_token"]))
        renewal = site.client.post("/api/auth/refresh", json={"refresh_token": pair["refresh_token"]})
        assert [(a.status_code, a.get_json()["code"]) for a in (me, renewal)] == [(401, "TOKEN_REVOKED")] * 2


def assert_alive(site: Site, pair: Pair) -> None:
    assert site.client.get("/api/auth/me", headers=bearer(pair["access_token"])).status_code == 200
    assert site.client.post("/api/auth/refresh", json={"refresh_token": pair["refresh_token"]}).status_code == 200


def session_ids(site: Site) -> set[UUID]:
    with site.app.app_context():
        return set(site.db.session.execute(sa.select(site.testing.runtime.sessions.model.id)).scalars())


@pytest.mark.requirement("ASVS 7.1.2")
def test_one_session_too_many_ends_the_oldest(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_SESSIONS_MAX_PER_USER": 2})
    site.user("ann@example.com")
    pairs = []
    for _ in range(3):
        site.testing.clock.move(seconds=1)
        pairs.append(site.tokens("ann@example.com"))
    oldest, middle, newest = pairs

    assert_dead(site, oldest)
    assert_alive(site, middle)
    assert_alive(site, newest)


@pytest.mark.requirement("ASVS 7.2.1", "ASVS 16.5.3")
def test_a_right_token_without_its_row_is_worth_nothing(site: Site, pair: Pair) -> None:
    with site.app.app_context():
        site.db.session.execute(sa.delete(site.testing.runtime.sessions.model))
        site.db.session.commit()

    assert_dead(site, pair)


@pytest.mark.requirement("ASVS 7.2.3")
def test_a_session_id_is_a_name_and_no_key(site: Site, pair: Pair) -> None:
    """Ids are shown in lists; the credential is the signed token, under a key of at least 256 bits."""
    sid = claims_of(pair["access_token"])["sid"]

    for headers in (
        bearer(sid),
        {"Cookie": f"session={sid}; __Host-access_token={sid}"},
        {"X-Session-Id": sid},
        {"Authorization": sid},
    ):
        assert by_hand(site).get("/api/auth/me", headers=headers).status_code == 401


@pytest.mark.requirement("ASVS 7.2.4")
def test_no_id_that_the_client_brings_becomes_a_session(make_site: MakeSite) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["headers", "cookies"]})
    site.user("ann@example.com")
    planted = str(uuid4())
    headers = {
        "Cookie": f"session={planted}; sid={planted}; __Host-access_token={planted}; csrf_access_token={planted}",
        "X-Session-Id": planted, "X-CSRF-TOKEN": planted, "Authorization": f"Bearer {planted}",
    }  # fmt: skip

    answer = by_hand(site).post("/api/auth/login", json={"email": "ann@example.com", "password": PASSWORD}, headers=headers)
    body = site.client.post("/api/auth/login", json={"email": "ann@example.com", "password": PASSWORD, "sid": planted})

    assert answer.status_code == 200
    assert body.status_code == 400
    assert UUID(planted) not in session_ids(site)
    assert planted not in str([claims_of(answer.get_json()["access_token"]), *answer.headers.getlist("Set-Cookie")])


@pytest.mark.requirement("ASVS 7.2.4")
def test_each_sign_in_makes_a_session_of_its_own_and_leaves_the_others(site: Site, pair: Pair) -> None:
    again = site.client.post(
        "/api/auth/login", json={"email": "ann@example.com", "password": PASSWORD}, headers=bearer(pair["access_token"])
    ).get_json()

    assert claims_of(again["access_token"])["sid"] != claims_of(pair["access_token"])["sid"]
    assert_alive(site, pair)


Logout = Callable[[FlaskClient, Pair], TestResponse]


@pytest.mark.requirement("ASVS 7.4.1", "RFC7009 2.2")
@pytest.mark.parametrize(
    "logout",
    [
        lambda client, pair: client.delete("/api/auth/logout", headers=bearer(pair["access_token"])),
        lambda client, pair: client.post("/api/auth/logout", headers=bearer(pair["access_token"])),
        lambda client, pair: client.delete("/api/auth/logout", headers=bearer(pair["refresh_token"])),
        lambda client, pair: client.post("/api/auth/logout", headers=bearer(pair["refresh_token"])),
        lambda client, pair: client.post("/api/auth/logout", json={"refresh_token": pair["refresh_token"]}),
        lambda client, pair: client.post(
            "/api/auth/logout", json={"refresh_token": pair["refresh_token"]}, headers=bearer(pair["access_token"])
        ),
    ],
    ids=["access, DELETE", "access, POST", "refresh, DELETE", "refresh, POST", "refresh in the body", "both"],
)
def test_after_logout_with_either_token_both_are_dead_and_a_second_logout_is_no_error(
    site: Site, pair: Pair, logout: Logout
) -> None:
    elsewhere = site.tokens("ann@example.com")

    first, second = logout(site.client, pair), logout(site.client, pair)

    assert (first.status_code, first.get_json()) == (200, {"message": "Token revoked"})
    assert second.status_code == 200
    assert_dead(site, pair)
    assert_alive(site, elsewhere)


@pytest.mark.requirement("ASVS 7.4.1")
def test_logout_kills_every_generation_handed_out(site: Site, pair: Pair) -> None:
    second = site.client.post("/api/auth/refresh", json={"refresh_token": pair["refresh_token"]}).get_json()
    site.client.delete("/api/auth/logout", headers=bearer(pair["access_token"]))

    assert_dead(site, pair, second)


@pytest.mark.requirement("ASVS 7.4.1")
def test_who_logs_out_with_an_expired_access_token_still_can_with_the_refresh_token(site: Site, pair: Pair) -> None:
    site.testing.clock.move(minutes=20)

    answer = site.client.post("/api/auth/logout", headers=bearer(pair["refresh_token"]))

    assert answer.status_code == 200
    assert session_ids(site)  # the row stays, ended
    assert site.client.post("/api/auth/refresh", json={"refresh_token": pair["refresh_token"]}).status_code == 401


@pytest.mark.requirement("ASVS 7.4.2")
def test_disabling_kills_every_session_at_once_and_enabling_revives_none(site: Site, pair: Pair) -> None:
    second, admin = site.tokens("ann@example.com"), site.client_for(site.admin())

    admin.post("/api/users/1/disable")
    assert_dead(site, pair, second)
    admin.post("/api/users/1/enable")

    assert_dead(site, pair, second)
    assert site.login("ann@example.com").status_code == 200


@pytest.mark.requirement("ASVS 7.4.2")
@pytest.mark.parametrize("flag", [False])
def test_switching_the_flag_behind_our_back_is_enough(site: Site, pair: Pair, flag: bool) -> None:
    """A host's own admin page that only writes the column must stop the very next request, too."""
    with site.app.app_context():
        site.db.session.execute(sa.update(site.accounts.User).values(is_active=flag))
        site.db.session.commit()

    assert_dead(site, pair)


@pytest.mark.requirement("ASVS 7.4.2", "ASVS 14.2.7")
def test_deleting_an_account_kills_its_sessions_and_a_newcomer_of_that_name_inherits_none(site: Site, pair: Pair) -> None:
    assert site.client.delete("/api/auth/me", headers=bearer(pair["access_token"])).status_code == 204
    assert_dead(site, pair)

    site.user("ann@example.com")

    assert_dead(site, pair)
    assert session_ids(site) == set()


@pytest.mark.requirement("ASVS 7.4.3")
def test_a_password_change_ends_every_other_session_and_keeps_this_one(site: Site, pair: Pair) -> None:
    others = [site.tokens("ann@example.com") for _ in range(2)]

    body = {"current_password": PASSWORD, "new_password": GOOD}
    site.client.post("/api/auth/password/change", json=body, headers=bearer(pair["access_token"]))

    assert_dead(site, *others)
    assert_alive(site, pair)


@pytest.mark.requirement("ASVS 7.4.3")
def test_a_password_set_by_host_code_or_a_command_ends_every_session(site: Site, pair: Pair) -> None:
    with site.app.app_context():
        site.accounts.passwords.set(1, GOOD)
        site.db.session.commit()

    assert_dead(site, pair)


@pytest.mark.requirement("ASVS 7.4.5")
def test_an_administrator_ends_all_sessions_of_an_account(site: Site, pair: Pair) -> None:
    second = site.tokens("ann@example.com")

    assert site.client_for(site.admin()).delete("/api/users/1/sessions").status_code == 204

    assert_dead(site, pair, second)


@pytest.mark.requirement("ASVS 7.5.2", "ASVS 10.4.9")
def test_people_see_their_sessions_without_token_material_and_end_one(site: Site, pair: Pair) -> None:
    other, access = site.tokens("ann@example.com"), bearer(pair["access_token"])
    listed = site.client.get("/api/auth/sessions", headers=access)

    for token in (pair["access_token"], pair["refresh_token"], other["access_token"], other["refresh_token"]):
        assert claims_of(token)["jti"] not in listed.text
    assert "eyJ" not in listed.text
    assert [each["current"] for each in listed.get_json()["sessions"]].count(True) == 1

    site.client.delete(f"/api/auth/sessions/{claims_of(other['access_token'])['sid']}", headers=access)

    assert_dead(site, other)
    assert_alive(site, pair)


@pytest.mark.requirement("ASVS 7.5.2", "ASVS 8.2.2")
def test_nobody_ends_or_finds_out_another_persons_session(site: Site, pair: Pair) -> None:
    bob = site.client_for(site.user("bob@example.com"))

    theirs = bob.delete(f"/api/auth/sessions/{claims_of(pair['access_token'])['sid']}")
    missing = bob.delete(f"/api/auth/sessions/{uuid4()}")
    bob.delete("/api/auth/sessions")

    assert (theirs.status_code, theirs.get_json()) == (404, missing.get_json())
    assert_alive(site, pair)


@pytest.mark.requirement("ASVS 7.6.2", "ASVS 3.5.3")
def test_no_get_opens_a_session(site: Site) -> None:
    site.user("ann@example.com")
    for path in ("login", "refresh", "reauthenticate", "register", "logout"):
        for method in ("get", "head", "options"):
            query = f"?email=ann@example.com&password={PASSWORD}"
            assert not getattr(site.client, method)(f"/api/auth/{path}{query}").headers.getlist("Set-Cookie")

    assert session_ids(site) == set()
