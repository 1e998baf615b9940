"""Refresh tokens: rotation, reuse, the grace window, lifetimes, and nothing at rest (ASVS V10.4, RFC 9700 section 4.14.2).

The grace window as settled for this project: every use of the immediate predecessor within it gets the
current generation again; any older generation, or a predecessor that comes later, ends the session.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from flask_accounts.core.events import RefreshTokenReused, SessionEnded
from tests.conftest import MakeSite, Site, bearer

from .forging import bent, claims_of

Pair = dict[str, Any]


@pytest.fixture
def pair(site: Site) -> Pair:
    site.user("ann@example.com")
    return site.tokens("ann@example.com")


def refresh(site: Site, token: str) -> TestResponse:
    return site.client.post("/api/auth/refresh", json={"refresh_token": token})


def refreshed(site: Site, token: str) -> Pair:
    answer = refresh(site, token)
    assert answer.status_code == 200, answer.text
    body: Pair = answer.get_json()
    return body


def is_dead(site: Site, pair: Pair) -> bool:
    access = site.client.get("/api/auth/me", headers=bearer(pair["access_token"])).status_code
    renewal = refresh(site, pair["refresh_token"]).status_code
    assert access == renewal
    return access == 401


def past_grace(site: Site) -> None:
    site.testing.clock.move(seconds=11)


@pytest.mark.requirement("RFC9700 4.14.2", "ASVS 10.4.5")
def test_every_refresh_gives_two_new_tokens_of_the_same_session(site: Site, pair: Pair) -> None:
    generations = [pair]
    for _ in range(3):
        past_grace(site)
        generations.append(refreshed(site, generations[-1]["refresh_token"]))

    for name in ("access_token", "refresh_token"):
        assert len({each[name] for each in generations}) == 4
    assert len({claims_of(each["refresh_token"])["sid"] for each in generations}) == 1
    assert [claims_of(each["refresh_token"])["gen"] for each in generations] == [0, 1, 2, 3]


@pytest.mark.requirement("ASVS 10.4.5", "RFC9700 4.14.2", "ASVS 16.3.3")
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_stolen_older_refresh_token_ends_the_session_and_no_other(site: Site, pair: Pair, steps: int) -> None:
    elsewhere = site.tokens("ann@example.com")
    newest = pair
    for _ in range(steps):
        newest = refreshed(site, newest["refresh_token"])
    past_grace(site)

    with site.testing.recorded() as events:
        replay = refresh(site, pair["refresh_token"])

    assert (replay.status_code, replay.get_json()["code"]) == (401, "TOKEN_REVOKED")
    assert is_dead(site, newest)
    assert not is_dead(site, elsewhere)
    assert [event.reason for event in events if isinstance(event, SessionEnded)] == ["reuse"]
    assert len([event for event in events if isinstance(event, RefreshTokenReused)]) == 1


@pytest.mark.requirement("RFC9700 4.14.2")
def test_within_grace_each_use_of_the_predecessor_gets_the_current_generation_and_no_branch(site: Site, pair: Pair) -> None:
    first = refreshed(site, pair["refresh_token"])
    again = [refreshed(site, pair["refresh_token"]) for _ in range(3)]

    assert {claims_of(each["refresh_token"])["gen"] for each in (first, *again)} == {1}
    for each in (first, *again):
        assert site.client.get("/api/auth/me", headers=bearer(each["access_token"])).status_code == 200


@pytest.mark.requirement("RFC9700 4.14.2")
def test_grace_is_for_the_immediate_predecessor_only(site: Site, pair: Pair) -> None:
    """Two rotations in a row leave the first token two generations behind: that is theft, however quick."""
    newest = refreshed(site, refreshed(site, pair["refresh_token"])["refresh_token"])

    assert refresh(site, pair["refresh_token"]).status_code == 401
    assert is_dead(site, newest)


@pytest.mark.requirement("RFC9700 4.14.2")
@pytest.mark.parametrize(("seconds", "status"), [(9.9, 200), (10, 401), (11, 401)])
def test_grace_ends_when_it_should_and_repeats_do_not_prolong_it(site: Site, pair: Pair, seconds: float, status: int) -> None:
    refreshed(site, pair["refresh_token"])
    site.testing.clock.move(seconds=5)
    refreshed(site, pair["refresh_token"])

    site.testing.clock.move(seconds=seconds - 5)

    assert refresh(site, pair["refresh_token"]).status_code == status


@pytest.mark.requirement("RFC9700 4.14.2")
def test_without_grace_each_refresh_token_works_exactly_once(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_SESSIONS_GRACE_WINDOW": timedelta(0)})
    site.user("ann@example.com")
    pair = site.tokens("ann@example.com")
    newest = refreshed(site, pair["refresh_token"])

    assert refresh(site, pair["refresh_token"]).status_code == 401
    assert is_dead(site, newest)


@pytest.mark.requirement("RFC9700 4.14.2", "ASVS 7.4.1")
def test_a_repeat_within_grace_does_not_revive_what_was_ended_meanwhile(site: Site, pair: Pair) -> None:
    newest = refreshed(site, pair["refresh_token"])
    site.client.delete("/api/auth/logout", headers=bearer(newest["access_token"]))

    assert refresh(site, pair["refresh_token"]).status_code == 401


@pytest.mark.requirement("RFC9700 4.14.2")
def test_a_repeat_does_not_prolong_the_session(site: Site, pair: Pair) -> None:
    first = refreshed(site, pair["refresh_token"])
    site.testing.clock.move(seconds=9)
    repeated = refreshed(site, pair["refresh_token"])

    assert claims_of(repeated["refresh_token"])["exp"] == claims_of(first["refresh_token"])["exp"]


@pytest.mark.requirement("ASVS 10.4.5")
def test_after_reauthentication_the_refresh_token_of_before_is_no_way_around_rotation(site: Site, pair: Pair) -> None:
    answer = site.client.post(
        "/api/auth/reauthenticate", json={"password": "correct horse battery staple"}, headers=bearer(pair["access_token"])
    )
    newest = refreshed(site, answer.get_json()["refresh_token"])
    past_grace(site)

    assert refresh(site, pair["refresh_token"]).status_code == 401
    assert is_dead(site, newest)


@pytest.mark.requirement("ASVS 7.3.1")
def test_a_session_that_is_not_used_dies(make_site: MakeSite) -> None:
    site = make_site(config={"JWT_REFRESH_TOKEN_EXPIRES": timedelta(hours=1)})
    site.user("ann@example.com")
    used, unused = site.tokens("ann@example.com"), site.tokens("ann@example.com")
    site.testing.clock.move(minutes=40)
    used = refreshed(site, used["refresh_token"])
    site.testing.clock.move(minutes=40)

    assert refresh(site, unused["refresh_token"]).get_json()["code"] == "TOKEN_EXPIRED"
    assert refresh(site, used["refresh_token"]).status_code == 200


@pytest.mark.requirement("ASVS 7.3.1", "ASVS 7.2.1")
def test_the_idle_lifetime_is_the_servers_not_the_tokens(make_site: MakeSite) -> None:
    """With the key in hand, a later `exp` in the token still wins nothing: the row decides."""
    site = make_site(config={"JWT_REFRESH_TOKEN_EXPIRES": timedelta(hours=1)})
    site.user("ann@example.com")
    pair = site.tokens("ann@example.com")
    site.testing.clock.move(minutes=61)
    longer = {"exp": claims_of(pair["refresh_token"])["exp"] + 86_400}

    assert refresh(site, bent(pair["refresh_token"], **longer)).status_code == 401
    assert site.client.get("/api/auth/me", headers=bearer(bent(pair["access_token"], **longer))).status_code == 401


@pytest.mark.requirement("ASVS 7.3.2", "ASVS 10.4.8")
def test_no_chain_of_refreshes_outlives_the_absolute_lifetime(site: Site, pair: Pair) -> None:
    end = claims_of(pair["access_token"])["iat"] + 30 * 86_400
    for _ in range(5):
        site.testing.clock.move(days=5)
        pair = refreshed(site, pair["refresh_token"])
        assert claims_of(pair["refresh_token"])["exp"] <= end
    site.testing.clock.move(days=4, hours=23, minutes=55)
    pair = refreshed(site, pair["refresh_token"])
    assert claims_of(pair["access_token"])["exp"] <= end
    assert pair["expires_in"] <= 300

    site.testing.clock.move(minutes=5)

    assert is_dead(site, pair)


@pytest.mark.requirement("ASVS 10.4.8")
def test_reauthentication_does_not_prolong_the_absolute_lifetime(site: Site, pair: Pair) -> None:
    end = claims_of(pair["access_token"])["iat"] + 30 * 86_400
    site.testing.clock.move(minutes=10)

    site.client.post(
        "/api/auth/reauthenticate", json={"password": "correct horse battery staple"}, headers=bearer(pair["access_token"])
    )

    with site.app.app_context():
        expiry = site.testing.runtime.sessions.live(1, site.testing.clock.now())[0].expires_at
    assert int(expiry.timestamp()) == end


@pytest.mark.requirement("RFC9700 4.14.2", "ASVS 13.3.1")
def test_a_stolen_database_holds_no_token_and_no_password(site: Site, pair: Pair) -> None:
    second = refreshed(site, pair["refresh_token"])
    with site.app.app_context():
        dump = " ".join(
            str(value)
            for table in site.db.metadata.sorted_tables
            for row in site.db.session.execute(sa.select(table))
            for value in row
        )

    assert "ann@example.com" in dump
    for each in (pair, second):
        for token in (each["access_token"], each["refresh_token"]):
            assert token not in dump
            assert not [part for part in token.split(".") if part in dump]
            assert claims_of(token)["jti"] not in dump
    assert "correct horse" not in dump


@pytest.mark.requirement("RFC9700 4.14.2")
def test_no_row_is_added_by_refreshing(site: Site, pair: Pair) -> None:
    def rows() -> int:
        with site.app.app_context():
            return sum(len(site.db.session.execute(sa.select(table)).all()) for table in site.db.metadata.sorted_tables)

    before = rows()
    for _ in range(5):
        pair = refreshed(site, pair["refresh_token"])

    assert rows() == before


@pytest.mark.requirement("RFC9700 4.14.2", "ASVS 10.4.5")
def test_a_generation_from_the_future_is_a_forgery_and_ends_the_session(site: Site, pair: Pair) -> None:
    assert refresh(site, bent(pair["refresh_token"], gen=7)).status_code == 401
    assert is_dead(site, pair)


@pytest.mark.requirement("ASVS 10.4.5", "ASVS 7.4.2")
def test_refreshing_another_persons_session_with_ones_own_name_changes_nothing(site: Site, pair: Pair) -> None:
    site.user("bob@example.com")
    own = site.tokens("bob@example.com")

    answer = refresh(site, bent(own["refresh_token"], sid=claims_of(pair["refresh_token"])["sid"]))

    assert answer.status_code == 401
    past_grace(site)
    assert not is_dead(site, pair)
