"""One-time tokens: single use, bound to purpose, account and address, hashed at rest, guarded against guessing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from flask_accounts.core.one_time import CODE_DIGITS, MAX_ATTEMPTS, Issued, OneTimeStore
from tests.conftest import MakeSite, Site
from tests.opted_in import make_site as make_site

HOUR = timedelta(hours=1)
ADDRESS = "ann@example.com"


@pytest.fixture
def store(site: Site) -> Iterator[OneTimeStore]:
    with site.app.app_context():
        yield site.testing.runtime.one_time


@pytest.fixture
def now(site: Site) -> datetime:
    return site.testing.clock.now()


@pytest.fixture
def ann(site: Site) -> int:
    key: int = site.user(ADDRESS, email_verified=True).id
    return key


def issue(store: OneTimeStore, ann: int | None, now: datetime, purpose: str = "verify", *, code: bool = True) -> Issued:
    return store.issue(purpose, user_id=ann, address=ADDRESS, lifetime=HOUR, now=now, code=code)


def right_code(issued: Issued) -> str:
    assert issued.code is not None
    return issued.code


@pytest.mark.requirement("ASVS 6.4.1")
def test_a_token_works_once(store: OneTimeStore, ann: int, now: datetime) -> None:
    issued = issue(store, ann, now)

    first, second = store.consume("verify", issued.token, now), store.consume("verify", issued.token, now)

    assert first is not None
    assert (first.user_id, first.address) == (ann, ADDRESS)
    assert second is None


@pytest.mark.requirement("RFC8725 3.12")
def test_a_token_of_one_purpose_opens_nothing_else(store: OneTimeStore, ann: int, now: datetime) -> None:
    issued = issue(store, ann, now, "magic_link")

    assert store.consume("verify", issued.token, now) is None
    assert store.consume_code("verify", ADDRESS, right_code(issued), now) is None
    assert store.consume("magic_link", issued.token, now) is not None


def test_peeking_does_not_use_a_token_up(store: OneTimeStore, ann: int, now: datetime) -> None:
    issued = issue(store, ann, now)

    assert store.peek("verify", issued.token, now)
    assert store.consume("verify", issued.token, now)


def test_a_token_expires(store: OneTimeStore, ann: int, now: datetime) -> None:
    issued = issue(store, ann, now)

    assert store.consume("verify", issued.token, now + HOUR) is None
    assert store.consume_code("verify", ADDRESS, right_code(issued), now + HOUR) is None


@pytest.mark.requirement("OWASP-FP 4")
def test_a_new_token_voids_the_older_one(store: OneTimeStore, ann: int, now: datetime) -> None:
    old = issue(store, ann, now)
    new = issue(store, ann, now)

    assert store.consume("verify", old.token, now) is None
    assert store.consume("verify", new.token, now) is not None


def test_another_accounts_token_is_not_voided(site: Site, store: OneTimeStore, ann: int, now: datetime) -> None:
    bob = site.user("bob@example.com").id
    of_bob = store.issue("verify", user_id=bob, address="bob@example.com", lifetime=HOUR, now=now)
    issue(store, ann, now)

    assert store.consume("verify", of_bob.token, now) is not None


@pytest.mark.requirement("ASVS 6.6.3")
def test_guessing_a_code_ends_after_a_few_tries(store: OneTimeStore, ann: int, now: datetime) -> None:
    issued = issue(store, ann, now)
    wrong = f"{(int(right_code(issued)) + 1) % 10**CODE_DIGITS:0{CODE_DIGITS}}"

    assert [store.consume_code("verify", ADDRESS, wrong, now) for _ in range(MAX_ATTEMPTS)] == [None] * MAX_ATTEMPTS

    assert store.consume_code("verify", ADDRESS, right_code(issued), now) is None
    assert store.consume("verify", issued.token, now), "the link still works: guesses at the code cannot void it"


def test_a_code_works_once_and_by_any_spelling_of_the_address(store: OneTimeStore, ann: int, now: datetime) -> None:
    issued = issue(store, ann, now)

    assert store.consume_code("verify", " Ann@EXAMPLE.com", right_code(issued), now)
    assert store.consume_code("verify", ADDRESS, right_code(issued), now) is None
    assert store.consume("verify", issued.token, now) is None


@pytest.mark.requirement("ASVS 11.5.1")
@pytest.mark.requirement("ASVS 6.4.1")
def test_a_stolen_database_holds_neither_token_nor_code(site: Site, store: OneTimeStore, ann: int, now: datetime) -> None:
    issued = issue(store, ann, now)

    dump = str([tuple(row) for row in site.db.session.execute(sa.text("SELECT * FROM accounts_one_time_tokens"))])

    assert len(issued.token) >= 43
    assert issued.token not in dump
    assert right_code(issued) not in dump


def test_deleting_the_account_and_purging_remove_tokens(site: Site, store: OneTimeStore, ann: int, now: datetime) -> None:
    issue(store, ann, now)
    site.db.session.commit()
    decoy = issue(store, None, now, "reset")

    assert store.purge(now + HOUR) == 2
    assert store.peek("reset", decoy.token, now) is None


@pytest.mark.requirement("ASVS 15.4.2")
def test_of_parallel_uses_of_one_token_one_wins(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url)
    ann = site.user(ADDRESS).id
    with site.app.app_context():
        issued = issue(site.testing.runtime.one_time, ann, site.testing.clock.now())
        site.db.session.commit()
    start, wins = threading.Barrier(8), []

    def use() -> None:
        with site.app.app_context():
            start.wait()
            if site.testing.runtime.one_time.consume("verify", issued.token, site.testing.clock.now()):
                site.db.session.commit()
                wins.append(1)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(wins) == 1


@pytest.mark.requirement("OWASP-EV 5")
def test_a_token_for_a_look_alike_address_voids_nothing_and_its_code_opens_nothing(
    make_site: MakeSite, every_database_url: str
) -> None:
    """MariaDB's default collations take `é` for `e`."""
    site = make_site(url=every_database_url)
    with site.app.app_context():
        store, now = site.testing.runtime.one_time, site.testing.clock.now()
        mine = store.issue("invite", user_id=None, address="rene@example.com", lifetime=HOUR, now=now)
        theirs = store.issue("invite", user_id=None, address="rené@example.com", lifetime=HOUR, now=now, code=True)

        assert store.peek("invite", mine.token, now) is not None
        assert store.consume_code("invite", "rene@example.com", right_code(theirs), now) is None
