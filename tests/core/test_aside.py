"""Transactions beside the request's: begun anew where they must be, undone where they fail, and one for all counts of an entry."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from flask_accounts import Client
from flask_accounts.core.aside import ROUNDS, Overtaken
from flask_accounts.core.errors import TooManyRequests
from flask_accounts.core.gates import Counted, Entry
from flask_accounts.features.limits.models import LimitMixin
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site

ENTRY = Entry("login", Client("192.0.2.7"), account="ann@example.com")


@pytest.fixture
def site(make_site: MakeSite, every_database_url: str) -> Site:
    return make_site(url=every_database_url, limits=True)


def note(site: Site, connection: sa.Connection, key: str) -> None:
    table = site.testing.runtime.model(LimitMixin).__table__
    connection.execute(sa.insert(table).values(key=key, hits=1, resets_at=0))


def noted(site: Site) -> list[str]:
    return list(site.db.session.execute(sa.select(site.testing.runtime.model(LimitMixin).key)).scalars())


def test_work_that_others_overtake_begins_anew_and_leaves_nothing_of_its_earlier_tries(site: Site) -> None:
    tries = []

    def work(connection: sa.Connection) -> str:
        tries.append(1)
        note(site, connection, f"try {len(tries)}")
        if len(tries) < 3:
            raise Overtaken
        return "done"

    with site.app.app_context():
        assert site.testing.runtime.aside.run(work) == "done"
        assert noted(site) == ["try 3"]


def test_who_is_overtaken_again_and_again_is_asked_to_come_back(site: Site) -> None:
    tries = []

    def overtaken(connection: sa.Connection) -> Counted:
        tries.append(1)
        raise Overtaken

    runtime = site.testing.runtime
    runtime.entry_counts = (lambda entry: overtaken,)

    with site.app.app_context(), pytest.raises(TooManyRequests) as refused:
        runtime.enter(ENTRY)

    assert len(tries) == ROUNDS
    assert refused.value.headers["Retry-After"] == "1"


def test_what_is_full_keeps_the_counts_before_it_and_makes_none_after_it(site: Site) -> None:
    runtime = site.testing.runtime

    def counting(key: str, *, full: bool = False) -> None:
        def work(connection: sa.Connection) -> Counted:
            note(site, connection, key)
            return Counted(refuse if full else lambda: None, full=full)

        runtime.entry_counts += (lambda entry: work,)

    def refuse() -> None:
        raise TooManyRequests(7)

    runtime.entry_counts = ()
    counting("first")
    counting("second", full=True)
    counting("third")

    with site.app.app_context():
        with pytest.raises(TooManyRequests):
            runtime.enter(ENTRY)
        assert sorted(noted(site)) == ["first", "second"]


def test_a_sign_in_at_a_known_place_costs_one_transaction_beside_the_requests_own(site: Site) -> None:
    site.user("ann@example.com")
    assert site.login("ann@example.com").status_code == 200
    ended: list[str] = []
    with site.app.app_context():
        sa.event.listen(site.db.engine, "commit", lambda connection: ended.append("commit"))

    assert site.login("ann@example.com", PASSWORD).status_code == 200

    assert ended == ["commit"] * 2


def test_on_postgresql_only_counts_do_not_wait_for_the_disk(make_site: MakeSite, server_urls: Callable[[str], str]) -> None:
    waiting = {"connect_args": {"options": "-c synchronous_commit=on"}}  # whatever the server's own default is
    site = make_site(url=server_urls("postgresql"), config={"SQLALCHEMY_ENGINE_OPTIONS": waiting})
    with site.app.app_context():
        show = sa.text("SHOW synchronous_commit")

        assert site.testing.runtime.aside.run(lambda connection: connection.scalar(show)) == "off"
        assert site.db.session.scalar(show) == "on"
