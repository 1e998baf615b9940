"""Guessing passwords: it is stopped by account and by address, and cannot be used to lock the owner out."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from flask_accounts import Client
from flask_accounts.features.lockout.service import LockoutService
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.opted_in import make_site as make_site
from tests.security.counting import CountingHasher

WRONG = "not the password at all"
HOME = "192.0.2.7"
ELSEWHERE = "198.51.100.23"
NO_FLOOD_STOP = {"ACCOUNTS_LIMITS_ENABLED": False}
"""The lockout alone, so that what stops a guess is what the test is about."""


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(limits=True, config=NO_FLOOD_STOP)


def guess(
    site: Site, login: str = "ann@example.com", password: str = WRONG, *, address: str = ELSEWHERE, **kwargs: Any
) -> TestResponse:
    body = {"email" if "@" in login else "username": login, "password": password}
    return site.client.post("/api/auth/login", json=body, environ_base={"REMOTE_ADDR": address}, **kwargs)


def guesses(number: int, act: Callable[[], TestResponse]) -> list[int]:
    return [act().status_code for _ in range(number)]


def addresses() -> Iterator[str]:
    return (f"203.0.{block}.{host}" for block in itertools.count() for host in range(1, 255))


def wait_of(answer: TestResponse) -> timedelta:
    return timedelta(seconds=int(answer.headers["Retry-After"]))


@pytest.mark.requirement("ASVS 6.1.1")
def test_hammering_during_a_wait_does_not_prolong_it_and_the_owner_gets_in_at_its_end(site: Site) -> None:
    site.user("ann@example.com")
    assert guesses(5, lambda: guess(site)) == [401] * 5
    locked = guess(site)

    for _ in range(30):
        site.testing.clock.move(seconds=0.9)
        assert guess(site).status_code == 429
    site.testing.clock.move(wait_of(locked) - timedelta(seconds=27))

    assert guess(site, password=PASSWORD).status_code == 200


@pytest.mark.requirement("ASVS 6.1.1")
def test_a_botnet_that_guesses_leaves_the_owners_places_and_sessions_alone(site: Site) -> None:
    site.user("ann@example.com")
    tokens = guess(site, password=PASSWORD, address=HOME).get_json()
    botnet = addresses()

    stopped = [guess(site, address=next(botnet)).status_code for _ in range(60)]

    assert stopped == [401] * 20 + [429] * 40
    assert guess(site, password=PASSWORD, address=next(botnet)).status_code == 429
    assert guess(site, password=PASSWORD, address=HOME).status_code == 200
    assert site.client.get("/api/auth/me", headers=bearer(tokens["access_token"])).status_code == 200
    assert site.client.post("/api/auth/refresh", headers=bearer(tokens["refresh_token"])).status_code == 200


@pytest.mark.requirement("ASVS 6.1.1")
def test_who_shares_the_owners_address_cannot_use_up_its_own_counter_for_others(site: Site) -> None:
    """An office: one colleague's wrong passwords fill the address; those who sign in there as always still do."""
    site.user("ann@example.com")
    assert guess(site, password=PASSWORD, address=HOME).status_code == 200

    filled = [guess(site, f"stranger{number}@example.com", address=HOME).status_code for number in range(51)]

    assert filled == [401] * 50 + [429]
    assert guess(site, password=PASSWORD, address=HOME).status_code == 200


@pytest.mark.requirement("ASVS 6.1.1")
def test_a_place_is_known_for_thirty_days_after_the_last_sign_in(site: Site) -> None:
    site.user("ann@example.com")
    assert guess(site, password=PASSWORD, address=HOME).status_code == 200

    def at_home_under_attack() -> int:
        botnet = addresses()
        while guess(site, address=next(botnet)).status_code == 401:
            pass
        return guess(site, password=PASSWORD, address=HOME).status_code

    site.testing.clock.move(days=29)
    assert at_home_under_attack() == 200
    site.testing.clock.move(days=31)
    assert at_home_under_attack() == 429


@pytest.mark.requirement("ASVS 6.3.1")
def test_one_address_cannot_try_a_list_of_stolen_passwords(site: Site) -> None:
    hasher = CountingHasher(site)

    statuses = [guess(site, f"person{number}@example.com").status_code for number in range(80)]

    assert statuses == [401] * 50 + [429] * 30
    assert hasher.taken().count("verify") == 50


@pytest.mark.requirement("ASVS 6.3.1")
def test_an_attacker_who_walks_through_an_ipv6_network_stays_one_client(site: Site) -> None:
    site.user("ann@example.com")

    statuses = [guess(site, address=f"2001:db8:1:2:{number:x}::{number:x}").status_code for number in range(1, 9)]

    assert statuses == [401] * 5 + [429] * 3
    assert guess(site, address="2001:db8:1:3::1").status_code == 401


@pytest.mark.requirement("ASVS 6.3.1")
def test_signing_in_to_an_own_account_between_guesses_does_not_clear_the_address(site: Site) -> None:
    site.user("mallory@example.com")
    assert guess(site, "mallory@example.com", PASSWORD).status_code == 200

    statuses = []
    for number in range(60):
        statuses.append(guess(site, f"person{number}@example.com").status_code)
        assert guess(site, "mallory@example.com", PASSWORD).status_code == 200

    assert statuses == [401] * 50 + [429] * 10


@pytest.mark.requirement("ASVS 6.3.1")
def test_a_new_account_of_the_attackers_own_gives_no_guess_back(site: Site) -> None:
    """A first sign-in from an address is charged to the address; it gives back its own share and no more."""
    for number in range(10):
        site.user(f"own{number}@example.com")

    statuses = []
    for number in range(60):
        statuses.append(guess(site, f"person{number}@example.com").status_code)
        if number % 6 == 0 and statuses[-1] == 401 and number < 48:
            assert guess(site, f"own{number // 6}@example.com", PASSWORD).status_code == 200

    assert statuses == [401] * 50 + [429] * 10


@pytest.mark.requirement("ASVS 6.3.1")
@pytest.mark.parametrize("known", [True, False], ids=["account", "no such account"])
def test_spellings_of_one_address_share_a_counter(site: Site, *, known: bool) -> None:
    if known:
        site.user("ann@example.com")
    spelled = ["ann@example.com", "ANN@example.com", " Ann@Example.COM ", "ａｎｎ@example.com", "aNN@EXAMPLE.com"]

    assert [guess(site, spelling).status_code for spelling in spelled] == [401] * 5

    assert guess(site, "Ann@example.com").status_code == 429


@pytest.mark.requirement("ASVS 6.3.1")
@pytest.mark.parametrize(("everywhere", "most"), [(False, 5), (True, 20)], ids=["one address", "many addresses"])
def test_guesses_at_the_same_moment_are_all_counted(
    make_site: MakeSite, every_database_url: str, *, everywhere: bool, most: int
) -> None:
    """CVE-2019-5421: what is checked first and counted later lets a crowd through."""
    site = make_site(url=every_database_url, limits=True, config={**NO_FLOOD_STOP, "ACCOUNTS_PASSWORD_MAX_CONCURRENT_HASHES": 64})
    site.user("ann@example.com")
    hasher = CountingHasher(site)
    barrier = threading.Barrier(30, timeout=30)

    def run(number: int) -> int:
        barrier.wait()
        return guess(site, address=f"203.0.113.{number}" if everywhere else ELSEWHERE).status_code

    with ThreadPoolExecutor(30) as pool:
        statuses = list(pool.map(run, range(30)))

    assert sorted(statuses) == [401] * most + [429] * (30 - most)
    assert hasher.taken().count("verify") == most


@pytest.mark.requirement("NIST 3.2.2")
def test_at_most_100_guesses_a_day_reach_the_hash_and_the_owner_gets_in(site: Site) -> None:
    """The attacker has all addresses there are and sits in the owner's café besides; it waits out every wait."""
    cafe = "192.0.2.99"
    site.user("ann@example.com")
    for place in (HOME, cafe):
        assert guess(site, password=PASSWORD, address=place).status_code == 200
    hasher = CountingHasher(site)
    botnet, spent = addresses(), timedelta()

    while spent < timedelta(hours=24):
        waits = []
        while (answer := guess(site, address=next(botnet))).status_code == 401:
            pass
        waits.append(wait_of(answer))
        while (answer := guess(site, address=cafe)).status_code == 401:
            pass
        waits.append(wait_of(answer))
        site.testing.clock.move(min(waits))
        spent += min(waits)
    reached = hasher.taken().count("verify")

    assert 60 < reached <= 100
    assert guess(site, password=PASSWORD, address=HOME).status_code == 200


@pytest.mark.requirement("RFC6585 4")
def test_the_answer_says_how_long_to_wait_and_the_wait_is_exact(site: Site) -> None:
    site.user("ann@example.com")
    guesses(5, lambda: guess(site))

    answer = guess(site)

    assert answer.status_code == 429
    assert answer.mimetype == "application/problem+json"
    assert answer.get_json()["code"] == "RATE_LIMITED"
    assert answer.headers["Retry-After"] == "30"
    site.testing.clock.move(seconds=29)
    assert guess(site).status_code == 429
    site.testing.clock.move(seconds=1)
    assert guess(site).status_code == 401


def test_each_further_wrong_password_doubles_the_wait_up_to_an_hour(site: Site) -> None:
    site.user("ann@example.com")
    guesses(4, lambda: guess(site))

    waits = []
    for _ in range(9):
        assert guess(site).status_code == 401
        waits.append(int(guess(site).headers["Retry-After"]))
        site.testing.clock.move(seconds=waits[-1])

    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_a_right_password_makes_earlier_wrong_ones_forgotten(site: Site) -> None:
    site.user("ann@example.com")

    for _ in range(4):
        assert guesses(4, lambda: guess(site)) == [401] * 4
        assert guess(site, password=PASSWORD).status_code == 200


def test_a_right_password_during_a_wait_is_refused_unread(site: Site) -> None:
    site.user("ann@example.com")
    guesses(5, lambda: guess(site))
    hasher = CountingHasher(site)

    assert guess(site, password=PASSWORD).status_code == 429

    assert hasher.taken() == []


@pytest.mark.requirement("ASVS 6.3.4")
def test_every_door_that_checks_a_password_shares_the_counters(site: Site) -> None:
    site.user("ann@example.com", username="ann")
    token = guess(site, password=PASSWORD, address=HOME).get_json()["access_token"]

    def reauthenticate() -> TestResponse:
        return site.client.post(
            "/api/auth/reauthenticate", json={"password": WRONG}, headers=bearer(token), environ_base={"REMOTE_ADDR": HOME}
        )

    def change() -> TestResponse:
        body = {"current_password": WRONG, "new_password": "a new and different passphrase"}
        return site.client.post("/api/auth/password/change", json=body, headers=bearer(token), environ_base={"REMOTE_ADDR": HOME})

    doors: list[Callable[[], TestResponse]] = [
        reauthenticate, change, lambda: guess(site, address=HOME), lambda: guess(site, "Ann", address=HOME), reauthenticate,
    ]  # fmt: skip
    assert [door().status_code for door in doors] == [401] * 5

    assert {door().status_code for door in doors} == {429}


@pytest.mark.requirement("ASVS 6.3.8")
def test_the_waits_are_the_same_whether_the_account_is_there_disabled_or_not(site: Site) -> None:
    site.user("ann@example.com")
    site.user("gone@example.com", is_active=False)

    def sequence(login: str, network: int) -> list[Any]:
        seen: list[Any] = []
        for number in range(30):
            answer = guess(site, login, address=f"203.0.{network}.{number // 6}")
            headers = {name: value for name, value in answer.headers if name != "Date"}
            seen.append((answer.status_code, headers, answer.get_json()))
        return seen

    there, disabled, unknown = sequence("ann@example.com", 1), sequence("gone@example.com", 2), sequence("no@example.com", 3)

    assert there == unknown
    assert there == disabled
    assert {status for status, *_ in there} == {401, 429}


@pytest.mark.requirement("ASVS 6.3.8")
def test_the_same_statements_count_a_guess_whether_the_account_is_there_or_not(site: Site) -> None:
    site.user("ann@example.com")

    def statements(login: str, address: str) -> list[str]:
        site.statements.clear()
        guess(site, login, address=address)
        return list(site.statements)

    assert statements("ann@example.com", "203.0.113.1") == statements("no@example.com", "203.0.113.2")


@pytest.mark.requirement("ASVS 15.3.4")
@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP"]
)
def test_no_header_makes_a_new_client_of_an_attacker(site: Site, header: str) -> None:
    site.user("ann@example.com")

    statuses = [
        guess(site, headers={header: f"for=203.0.113.{n}" if header == "Forwarded" else f"203.0.113.{n}"}).status_code
        for n in range(7)
    ]

    assert statuses == [401] * 5 + [429] * 2


@pytest.mark.requirement("ASVS 16.3.3")
def test_a_lock_is_told_once_however_often_the_attacker_knocks(site: Site) -> None:
    ann = site.user("ann@example.com")

    with site.testing.recorded() as events:
        guesses(25, lambda: guess(site))

    told = [event for event in events if event.name == "access.limited"]
    assert [(event.user_id, event.action, event.scope) for event in told] == [(ann.id, "login", "lockout.pair")]  # type: ignore[attr-defined]


def test_a_right_password_that_a_gate_stops_is_no_wrong_one(site: Site) -> None:
    site.user("gone@example.com", is_active=False)

    assert guesses(12, lambda: guess(site, "gone@example.com", PASSWORD)) == [403] * 12


@pytest.mark.requirement("ASVS 6.1.1")
def test_who_has_proved_to_be_the_owner_is_let_in_while_strangers_go_on(site: Site) -> None:
    """What a password reset does: it clears the count, and the owner's present network is a known one."""
    ann = site.user("ann@example.com")
    botnet = addresses()
    guesses(30, lambda: guess(site, address=next(botnet)))
    assert guess(site, password=PASSWORD, address=HOME).status_code == 429

    with site.app.app_context():
        site.testing.runtime.get(LockoutService).clear(ann, client=Client(HOME), known=True)
        site.testing.runtime.commit()
    guesses(30, lambda: guess(site, address=next(botnet)))

    assert guess(site, password=PASSWORD, address=HOME).status_code == 200
