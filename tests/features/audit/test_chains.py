"""Chains are borrowed by transactions: never shared, never continued from where the database may not be."""

from __future__ import annotations

import os
import threading
from collections import Counter
from typing import Any

import pytest
from pydantic import SecretStr

from flask_accounts import ConfigurationError
from flask_accounts.features.audit import seals
from flask_accounts.features.audit.models import EventMixin
from flask_accounts.features.audit.seals import SealService
from tests.conftest import MakeSite, Site
from tests.features.audit.tools import codes, restart, rows, seal, service, verify


def test_one_writer_goes_on_with_one_chain(site: Site) -> None:
    for _ in range(5):
        site.user()

    assert [row["number"] for row in rows(site)] == [1, 2, 3, 4, 5]
    assert len({row["chain"] for row in rows(site)}) == 1
    assert codes(site) == []


def test_a_chain_ends_where_a_transaction_was_rolled_back(site: Site) -> None:
    site.user()
    with site.app.app_context():
        site.accounts.users.create("lost@example.com")
        site.db.session.rollback()

    site.user()

    assert [row["number"] for row in rows(site)] == [1, 1]
    assert codes(site) == []


def test_a_commit_that_fails_ends_the_chain_since_nobody_knows_what_became_of_it(site: Site) -> None:
    import sqlalchemy as sa

    site.user()
    with site.app.app_context():

        def fail(session: Any) -> None:
            raise ConnectionError

        site.accounts.users.create("lost@example.com")
        sa.event.listen(site.db.session, "before_commit", fail)
        with pytest.raises(ConnectionError):
            site.db.session.commit()
        sa.event.remove(site.db.session, "before_commit", fail)
        site.db.session.rollback()

    site.user()

    assert len({row["chain"] for row in rows(site)}) == 2
    assert codes(site) == []


def test_savepoints_rolled_back_and_kept_leave_no_gap(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url)

    with site.app.app_context():
        users, session = site.accounts.users, site.db.session
        users.create("a@example.com")
        lost = session.begin_nested()
        users.create("lost@example.com")
        lost.rollback()
        users.create("b@example.com")
        with session.begin_nested():
            users.create("c@example.com")
            inner = session.begin_nested()
            users.create("lost2@example.com")
            inner.rollback()
            users.create("d@example.com")
        users.create("e@example.com")
        session.commit()
        users.create("f@example.com")
        session.commit()

    assert [row["name"] for row in rows(site)] == ["user.registered"] * 6
    assert codes(site) == []


def test_threads_that_write_at_once_do_not_wait_or_deadlock_and_every_chain_is_whole(
    make_site: MakeSite, every_database_url: str
) -> None:
    site = make_site(url=every_database_url)
    threads, each = 8, 6
    people = [site.user(f"person{number}@example.com") for number in range(threads)]
    ready, failed = threading.Barrier(threads), []

    def work(number: int) -> None:
        try:
            ready.wait(30)
            for turn in range(each):
                answer = site.login(people[number].email, *(["wrong password"] if turn % 2 else []))
                assert answer.status_code == (401 if turn % 2 else 200), answer.text
        except BaseException as error:
            failed.append(error)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert failed == []
    counted = Counter(row["name"] for row in rows(site))
    assert (counted["session.opened"], counted["session.refused"]) == (threads * each // 2, threads * each // 2)
    report = verify(site)
    assert report.findings == []
    assert report.chains <= threads


def test_two_transactions_at_once_have_a_chain_each(make_site: MakeSite, every_database_url: str) -> None:
    if every_database_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer at a time")
    site = make_site(url=every_database_url)
    with site.app.app_context():
        site.accounts.users.create("a@example.com")
        worker = threading.Thread(target=lambda: site.user("b@example.com"))
        worker.start()
        worker.join(20)
        assert not worker.is_alive(), "the second writer waited for the first"
        site.db.session.commit()

    assert [row["number"] for row in rows(site)] == [1, 1]
    assert codes(site) == []


def test_a_forked_process_does_not_go_on_with_its_parents_chains(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.user()

    monkeypatch.setattr(os, "getpid", lambda: -1)
    site.user()

    assert [row["number"] for row in rows(site)] == [1, 1]


def test_a_chain_that_lay_idle_or_whose_clock_went_back_is_not_used_again(site: Site) -> None:
    site.user()
    site.testing.clock.move(hours=2)
    site.user()
    site.testing.clock.move(hours=-1)
    site.user()

    assert len({row["chain"] for row in rows(site)}) == 3
    assert codes(site) == []


def test_events_that_commit_behind_the_page_just_verified_are_no_finding(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verification reads page by page; what it misses of a living chain it looks at again."""
    monkeypatch.setattr(seals, "CHUNK", 2)
    for _ in range(4):
        site.user()
    late = rows(site)[1]
    events = site.testing.runtime.model(EventMixin).__table__
    with site.app.app_context():
        site.db.session.execute(events.delete().where(events.c.id == late["id"]))
        site.db.session.commit()
        sealer = site.testing.runtime.get(SealService)
        execute, pages = sealer._execute, []

        def spy(statement: Any) -> Any:
            if "LIMIT" in str(statement) and "accounts_events" in str(statement):
                pages.append(statement)
                if len(pages) == 2:  # the page behind has been read
                    execute(events.insert().values(late))
                    site.db.session.commit()
            return execute(statement)

        monkeypatch.setattr(sealer, "_execute", spy)
        assert sealer.verify().findings == []
    assert len(pages) >= 2


def test_seals_hold_only_what_is_new(site: Site) -> None:
    site.user()
    seal(site)
    seal(site)
    restart(site)
    site.user()
    seal(site)

    with site.app.app_context():
        made = list(site.testing.runtime.get(SealService)._read())
    assert [len(found.heads) for found in made] == [1, 0, 1]


def test_events_verify_after_the_key_was_rotated_and_not_without_the_old_one(make_site: MakeSite, database_url: str) -> None:
    old, new = "old-" * 10, "new-" * 10
    site = make_site(config={"ACCOUNTS_AUDIT_CHAIN_KEY": old})
    site.user()
    seal(site)
    keyring = service(site).keyring

    keyring._keys = ()
    keyring._settings = keyring._settings.model_copy(update={"chain_key": SecretStr(new), "previous_keys": (SecretStr(old),)})
    site.user()
    assert codes(site) == []

    keyring._keys = ()
    keyring._settings = keyring._settings.model_copy(update={"previous_keys": ()})
    assert codes(site) == ["seal_altered", "altered"]


@pytest.mark.parametrize("name", ["CHAIN_KEY", "PREVIOUS_KEYS"])
def test_a_key_that_is_too_short_is_refused_at_start_and_not_repeated(make_site: MakeSite, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"ACCOUNTS_AUDIT_{name}.*32") as raised:
        make_site(config={f"ACCOUNTS_AUDIT_{name}": ["too-short"] if name == "PREVIOUS_KEYS" else "too-short"})

    assert "too-short" not in str(raised.value)
