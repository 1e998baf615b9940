"""What lists of accounts cost at 1,000,000 accounts: pages at any depth, totals, beginnings, parts of names, filters.

    python benchmarks/lists.py sqlite
    python benchmarks/lists.py postgresql+psycopg://postgres@127.0.0.1/postgres
    python benchmarks/lists.py mariadb+pymysql://root@127.0.0.1/mysql

On a server it makes a database of its own, and drops it: on PostgreSQL one that sorts by a language's rules (ICU), as servers
usually do. SQLite is a file in a temporary folder. Times are those of the calls that the routes make, in milliseconds: the
statement, and the accounts made of its rows. *Computing* is processor time, our own and that of PostgreSQL's process (on the same
machine, Linux); what else the machine does disturbs it least. Arms take turns, so that what else the machine does falls on all alike. "Old" are
the statements of before there were indexes for them, in ratio to the new ones of the same round.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts
from flask_accounts.core.listing import SORTS, Members, UserQuery
from flask_accounts.core.users import UserStore
from flask_accounts.features.roles.models import UserRoleMixin
from flask_accounts.features.users.search_index import SearchIndex

PAGE = 20
CAP = 10_000
ROLES = {"root": 100_000, "editor": 500, "writer": 50, "member": 2}
"""Each of so many accounts has the role."""
BATCH = 20_000
START = datetime(2020, 1, 1, tzinfo=UTC)
Arm = Callable[[], Any]


@contextmanager
def database(url: str) -> Iterator[str]:
    """A database of our own, named by its URL."""
    if url == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / 'lists.db'}"
        return
    name, server = f"bench_lists_{os.getpid()}", sa.create_engine(url, isolation_level="AUTOCOMMIT")
    made = " TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'"
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}" + (made if server.dialect.name == "postgresql" else "")))
    try:
        yield server.url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            force = " WITH (FORCE)" if server.dialect.name == "postgresql" else ""
            connection.execute(sa.text(f"DROP DATABASE {name}{force}"))
        server.dispose()


def person(number: int, count: int) -> dict[str, Any]:
    """An account's row. In no order of name, ten of one time, a quarter without a username, one in a hundred switched off."""
    mixed = number * 7919 % (count + 3)
    name = "".join(chr(97 + mixed // 26**place % 26) for place in range(4)) + f".{number}"
    created = START + timedelta(minutes=number // 10)
    called = name if number % 4 else None
    return {
        "id": number, "email": f"{name}@example.com", "username": called, "username_normalized": called, "password_hash": None,
        "is_active": number % 100 > 0, "email_verified_at": None, "created_at": created, "updated_at": created + timedelta(seconds=mixed),
    }  # fmt: skip


def fill(db: SQLAlchemy, accounts: Accounts, count: int) -> None:
    """Make the accounts, and roles for some of them."""
    runtime = accounts.runtime
    for name in ROLES:
        accounts.roles.create(name)
    db.session.commit()
    granted = runtime.model(UserRoleMixin).__table__
    for first in range(1, count + 1, BATCH):
        numbers = range(first, min(first + BATCH, count + 1))
        rows = [
            {"user_id": number, "role_id": role, "granted_at": START}
            for number in numbers
            for role, each in enumerate(ROLES.values(), 1)
            if number % each == 0
        ]
        with db.engine.begin() as connection:
            connection.execute(sa.insert(runtime.users.table), [person(number, count) for number in numbers])
            if rows:
                connection.execute(sa.insert(granted), rows)
    analyze(db)


def analyze(db: SQLAlchemy) -> None:
    """Let the server count its rows; SQLite is left without, as it is unless somebody asks."""
    said = {"postgresql": "VACUUM ANALYZE", "sqlite": "SELECT 1"}.get(
        db.engine.dialect.name, "ANALYZE TABLE users, accounts_user_roles"
    )
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(said))


# The old ways, to compare with


def old_after(users: UserStore, query: UserQuery, position: tuple[Any, Any] | None) -> Any:
    """A page after `position` by a condition with OR, sorted by an expression where names are absent."""
    column = sa.func.coalesce(users.c["username_normalized"], "") if query.sort == "username" else users.c[query.sort]
    rows = sa.select(users.table).order_by(column, users.key_column).limit(PAGE + 1)
    if position is not None:
        value, key = position
        same = (
            users.key_column > key
            if query.sort == "id"
            else sa.or_(column > value, sa.and_(column == value, users.key_column > key))
        )
        rows = rows.where(same)
    return users.execute(rows).all()


def old_page(users: UserStore, query: UserQuery, offset: int) -> Any:
    """A page by its number: whole rows are read on the way."""
    return users.execute(sa.select(users.table).order_by(users.c[query.sort], users.key_column).offset(offset).limit(PAGE)).all()


def old_total(users: UserStore) -> Any:
    """The total beside each row."""
    return users.execute(sa.select(users.table, sa.func.count().over()).order_by(users.key_column).limit(PAGE)).all()


# Arms


def position_at(users: UserStore, query: UserQuery, part: float, count: int) -> tuple[Any, Any]:
    """Where the page begins that is so far into the list, or into those who have a username, a page before the end at the furthest."""
    column = users.c["username_normalized" if query.sort == "username" else query.sort]
    there = count - count // 4 if query.sort == "username" else count
    offset = min(int(there * part), there - PAGE - 1)
    order = column.desc() if query.descending else column
    value = users.execute(sa.select(column).where(column.is_not(None)).order_by(order).offset(offset).limit(1)).scalar_one()
    key = users.execute(sa.select(sa.func.min(users.key_column)).where(column == value)).scalar_one()
    return None if query.sort == "id" else value, key


def cursor_arms(users: UserStore, count: int) -> dict[str, tuple[Arm, Arm | None]]:
    """Pages by cursor, first, in the middle and last, in every order."""
    arms: dict[str, tuple[Arm, Arm | None]] = {}
    for sort in SORTS:
        for descending in (False, True):
            query = UserQuery(sort=sort, descending=descending)
            for where in ("first", "middle", "last"):
                position = None if where == "first" else position_at(users, query, 0.5 if where == "middle" else 1, count)
                arms[f"cursor, {'-' if descending else ''}{sort}, {where}"] = (
                    partial(users.after, query, position=position, limit=PAGE + 1),
                    None if descending else partial(old_after, users, query, position),
                )
    return arms


def filter_arms(users: UserStore, members: Callable[[str], Members]) -> dict[str, tuple[Arm, Arm | None]]:
    """First pages by cursor of what filters leave."""

    def first(**asked: Any) -> tuple[Arm, Arm | None]:
        return partial(users.after, UserQuery(**asked), position=None, limit=PAGE + 1), None

    arms = {}
    for role, each in ROLES.items():
        for sort in ("id", "created_at"):
            arms[f"role of 1 in {each}, by {sort}"] = first(members=members(role), sort=sort, descending=True)
    for sort in ("id", "created_at", "email"):
        arms[f"switched off, by {sort}"] = first(is_active=False, sort=sort)
        arms[f"active, by {sort}"] = first(is_active=True, sort=sort)
    month = {"created_after": START + timedelta(days=30), "created_before": START + timedelta(days=40)}
    for sort in ("created_at", "id", "email"):
        arms[f"made in ten days, by {sort}"] = first(**month, sort=sort)
    for text in ("a", "ab", "abc", "abcd"):
        arms[f"email starts with {text}, by it"] = first(email_starts_with=text, sort="email")
        arms[f"username starts with {text}, by it"] = first(username_starts_with=text, sort="username")
    arms["email starts with abc, by created_at"] = first(email_starts_with="abc", sort="created_at")
    return arms


def page_arms(users: UserStore, count: int) -> dict[str, tuple[Arm, Arm | None]]:
    """Numbered pages with totals, and by themselves."""
    query = UserQuery()

    def page(offset: int, cap: int | None) -> Arm:
        return partial(users.counted_page, query, offset=offset, limit=PAGE, cap=cap)

    arms = {
        "page 1, total capped": (page(0, CAP), partial(old_total, users)),
        "page 1, total exact": (page(0, None), partial(old_total, users)),
        "page 500, total capped": (page(499 * PAGE, CAP), None),
    }
    for sort in ("id", "created_at", "email", "username"):
        query = UserQuery(sort=sort)
        for offset in (10_000, count // 2, count - PAGE):
            old = None if sort == "username" else partial(old_page, users, query, offset)
            arms[f"rows from {offset:,} on, by {sort}, no total"] = partial(users.page, query, offset=offset, limit=PAGE), old
    return arms


def search_arms(users: UserStore) -> dict[str, tuple[Arm, Arm | None]]:
    """Parts of names and addresses."""
    return {
        f"search {text}, {what}": (partial(users.after, UserQuery(search=text), position=None, limit=PAGE + 1), None)
        for text, what in (
            (".777777", "found once"),
            ("bcd.", "found rarely"),
            ("example", "found everywhere"),
            ("nobody.at.all", "never"),
        )
    }


def measure(db: SQLAlchemy, arms: dict[str, tuple[Arm, Arm | None]], rounds: int, title: str) -> None:
    """Run the arms in turns and print medians with quartiles."""
    computing = processor_time(db)
    for new, _ in arms.values():
        new()
    clock: dict[str, list[float]] = {name: [] for name in arms}
    spent: dict[str, list[float]] = {name: [] for name in arms}
    ratios: dict[str, list[float]] = {name: [] for name in arms}
    gc.collect()
    for number in range(rounds):
        for name, (new, old) in arms.items():
            clock[name].append(taken(new, time.perf_counter))
            spent[name].append(taken(new, computing))
            if old is not None and number % 4 == 0:
                ratios[name].append(taken(old, computing) / spent[name][-1])
    print(f"\n{title}: milliseconds of computing, median (quartiles); by the clock; old to new, of computing")
    for name, times in spent.items():
        low, middle, high = (1000 * value for value in statistics.quantiles(times, n=4))
        told = f"  {name:48} {middle:8.2f} ({low:.2f} to {high:.2f})   {1000 * statistics.median(clock[name]):8.2f}"
        print(told + (f"   x {statistics.median(ratios[name]):.1f}" if ratios[name] else ""), flush=True)


def taken(act: Arm, clock: Callable[[], float]) -> float:
    """Seconds that `act` takes by `clock`."""
    began = clock()
    act()
    return clock() - began


def processor_time(db: SQLAlchemy) -> Callable[[], float]:
    """The processor's time of this process, SQLite's included; and of the session's process of a PostgreSQL on the same machine."""
    if db.engine.dialect.name != "postgresql":
        return time.process_time
    backend = Path(f"/proc/{db.session.execute(sa.text('SELECT pg_backend_pid()')).scalar_one()}/schedstat")
    return lambda: time.process_time() + int(backend.read_text().split()[0]) / 1e9


def trigrams(accounts: Accounts) -> None:
    """Make the index that serves parts of names, and say what it costs."""
    made: list[Any] = []
    took = taken(lambda: made.append(SearchIndex(accounts.runtime).create()), time.perf_counter)
    print(f"\nTrigram index: {made[0].bytes / 2**20:.0f} MiB, made in {took:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description="What lists of accounts cost.")
    parser.add_argument("url", help="sqlite, or a server's")
    parser.add_argument("--count", type=int, default=1_000_000, help="accounts")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--only", default="", help="arms whose name has this in it")
    asked = parser.parse_args()

    def run(arms: dict[str, tuple[Arm, Arm | None]], title: str) -> None:
        chosen = {name: arm for name, arm in arms.items() if asked.only in name}
        if chosen:
            measure(db, chosen, asked.rounds, title)

    with database(asked.url) as url:
        db, app = SQLAlchemy(), Flask("lists")
        accounts = Accounts(db)
        app.config.update(SQLALCHEMY_DATABASE_URI=url, SECRET_KEY="k" * 64)
        if not url.startswith("sqlite"):
            # One connection, so that one process of the server does it all; the one more makes the trigram index.
            app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 1, "max_overflow": 1}
        accounts.init_app(app)
        with app.app_context():
            db.create_all()
            took = taken(lambda: fill(db, accounts, asked.count), time.perf_counter)
            print(f"{asked.count:,} accounts made in {took:.0f} s on {db.engine.dialect.name}; load {os.getloadavg()[0]:.1f}")
            users = accounts.runtime.users
            run(cursor_arms(users, asked.count), "Cursor")
            run(filter_arms(users, accounts.roles.membership), "Filters, first page by cursor")
            run(page_arms(users, asked.count), "Numbered pages")
            run(search_arms(users), "Search, first page by cursor")
            if db.engine.dialect.name == "postgresql":
                db.session.remove()
                trigrams(accounts)
                run(search_arms(users), "Search with the trigram index, first page by cursor")
            print(f"load {os.getloadavg()[0]:.1f}")
            db.session.remove()
            db.engine.dispose()


if __name__ == "__main__":
    main()
