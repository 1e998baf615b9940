"""One-time tokens: single use, bound to purpose, account and address, hashed at rest, guarded against guessing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from flask_accounts.core.one_time import CODE_DIGITS, MAX_ATTEMPTS, Issued, OneTime, OneTimeStore
from tests.conftest import MakeSite, Site
from tests.opted_in import make_site as make_site
from tests.opted_in import site as site

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


@pytest.mark.requirement("ASVS 6.5.4")
def test_a_code_is_drawn_from_all_numbers_of_its_digits(
    store: OneTimeStore, ann: int, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A smaller range would make a code of as many digits that a few guesses find."""
    ranges: list[int] = []

    def draw(below: int) -> int:
        ranges.append(below)
        return 7

    monkeypatch.setattr("flask_accounts.core.one_time.secrets.randbelow", draw)

    assert right_code(issue(store, ann, now)) == "0" * (CODE_DIGITS - 1) + "7"
    assert ranges == [10**CODE_DIGITS]


def test_a_code_that_was_not_asked_for_is_not_made(site: Site, store: OneTimeStore, ann: int, now: datetime) -> None:
    issued = store.issue("verify", user_id=ann, address=ADDRESS, lifetime=HOUR, now=now)

    assert issued.code is None
    assert site.db.session.execute(sa.text("SELECT code_hash FROM accounts_one_time_tokens")).scalars().all() == [None]


def test_what_a_token_stands_for_is_what_it_was_issued_for(store: OneTimeStore, ann: int, now: datetime) -> None:
    issued = store.issue("verify", user_id=ann, address=ADDRESS, lifetime=HOUR, now=now, data={"next": "/posts"})

    found = store.peek("verify", issued.token, now)

    assert found is not None
    assert (found.purpose, found.user_id, found.address, found.data) == ("verify", ann, ADDRESS, {"next": "/posts"})
    assert (found.created_at, found.expires_at) == (now, now + HOUR)
    assert issued.expires_at == now + HOUR


@pytest.mark.requirement("ASVS 15.4.2")
def test_whoever_looked_in_time_but_took_too_late_gets_nothing(
    store: OneTimeStore, ann: int, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two requests look at a token before either takes it: the row count decides, not the look."""
    issued = issue(store, ann, now)
    looked = store.peek("verify", issued.token, now)
    assert looked is not None
    assert store.take(looked)
    assert not store.take(looked)

    monkeypatch.setattr(store, "peek", lambda *args: looked)
    monkeypatch.setattr(store, "peek_code_sent", lambda *args: looked)

    assert store.consume("verify", issued.token, now) is None
    assert store.consume_code("verify", ADDRESS, right_code(issued), now) is None


@pytest.mark.requirement("ASVS 6.6.3")
def test_the_last_try_at_a_code_still_counts_and_guesses_at_one_account_take_none_from_another(
    site: Site, store: OneTimeStore, ann: int, now: datetime
) -> None:
    bob = site.user("bob@example.com").id
    of_ann = issue(store, ann, now)
    of_bob = store.issue("verify", user_id=bob, address="bob@example.com", lifetime=HOUR, now=now, code=True)
    for _ in range(MAX_ATTEMPTS - 1):
        assert store.consume_code("verify", ADDRESS, "wrong", now) is None

    assert store.consume_code("verify", ADDRESS, right_code(of_ann), now)
    assert store.peek_code("verify", bob, right_code(of_bob), now)


def test_who_may_not_guess_is_refused_the_right_code_and_is_not_counted(store: OneTimeStore, ann: int, now: datetime) -> None:
    issued = issue(store, ann, now)
    asked: list[tuple[object, str]] = []

    def nobody(found: OneTime) -> bool:
        asked.append((found.user_id, found.purpose))
        return False

    for _ in range(MAX_ATTEMPTS + 1):
        assert store.peek_code_sent("verify", ADDRESS, right_code(issued), now, may=nobody) is None

    assert asked == [(ann, "verify")] * (MAX_ATTEMPTS + 1)
    assert store.peek_code_sent("verify", ADDRESS, right_code(issued), now, may=lambda found: True)


@pytest.mark.requirement("OWASP-FP 4")
def test_a_strangers_new_token_voids_his_older_one_and_nobody_elses(store: OneTimeStore, ann: int, now: datetime) -> None:
    """By the address, since there is no account; an account's token sent to the same address is another matter."""

    def of_stranger(address: str) -> Issued:
        return store.issue("verify", user_id=None, address=address, lifetime=HOUR, now=now)

    of_ann = issue(store, ann, now)
    old, other = of_stranger(ADDRESS), of_stranger("zoe@example.com")

    new = of_stranger(f" {ADDRESS.upper()}")

    assert store.peek("verify", old.token, now) is None
    assert [store.peek("verify", issued.token, now) is not None for issued in (new, other, of_ann)] == [True, True, True]


def test_of_several_codes_of_an_account_the_newest_counts(store: OneTimeStore, ann: int, now: datetime) -> None:
    old, new = (
        store.issue("verify", user_id=ann, address=ADDRESS, lifetime=HOUR, now=now, code=True, void_older=False) for _ in range(2)
    )

    assert store.peek_code("verify", ann, right_code(old), now) is None
    assert store.peek_code("verify", ann, right_code(new), now)


def test_what_is_newer_than_a_token_is_voided_and_what_is_older_or_for_something_else_stays(
    site: Site, store: OneTimeStore, ann: int, now: datetime
) -> None:
    bob = site.user("bob@example.com").id

    def issued(purpose: str, user: int) -> str:
        return store.issue(purpose, user_id=user, address=None, lifetime=HOUR, now=now, void_older=False).token

    old, this, newer = (issued("undo", ann) for _ in range(3))
    others = [("verify", issued("verify", ann)), ("undo", issued("undo", bob))]
    found = store.peek("undo", this, now)
    assert found is not None

    store.void_newer(found)

    assert store.peek("undo", newer, now) is None
    assert store.peek("undo", old, now)
    assert store.peek("undo", this, now)
    assert all(store.peek(purpose, token, now) for purpose, token in others)
    assert [each.id for each in store.outstanding("undo", ann, now)] == sorted([found.id, found.id - 1])
    assert store.outstanding("undo", ann, now + HOUR) == []


def test_deleting_an_accounts_tokens_leaves_the_others(site: Site, store: OneTimeStore, ann: int, now: datetime) -> None:
    bob = site.user("bob@example.com").id
    of_ann = issue(store, ann, now)
    of_bob = store.issue("verify", user_id=bob, address="bob@example.com", lifetime=HOUR, now=now)

    store.delete_all(ann)

    assert store.peek("verify", of_ann.token, now) is None
    assert store.peek("verify", of_bob.token, now)
