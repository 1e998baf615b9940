"""Short transactions of their own beside the request's: for counters that must stand whatever becomes of the request.

A count that shared the request's transaction would be undone when the request is refused, and its row
would stay locked while a password is hashed. So counting takes a connection of its own, commits at once,
and is tried again where the database asks for that (a deadlock, a serialisation failure). On PostgreSQL it does not wait until
the commit is on the disk: after a power failure the counts of the last moments are lost, and nothing else.

Two dangers are avoided here. A thread that holds one connection of a pool and waits for a second can
deadlock the whole pool: where the request's session holds one already, the second comes from another
pool. And on SQLite a second writer would wait for the request's own transaction for ever: there, once
the request has begun to write (or the database is in memory and has but one connection), the work joins
the request's transaction.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from .errors import ConfigurationError
from .users import UserStore

ResultT = TypeVar("ResultT")

TRIES = 5
"""How often a transaction is begun anew before its error is raised."""
ROUNDS = 100
"""How often one whose work others overtake is begun anew. Each overtaking brings the others nearer to their limit, so few are needed."""


class Overtaken(Exception):
    """Raised by work that somebody else was faster than, so that it has to begin anew."""


class Aside:
    """Runs work in transactions of its own, on the bind that the user class lives on."""

    def __init__(self, users: UserStore) -> None:
        self._users = users
        self._seconds: weakref.WeakKeyDictionary[sa.Engine, sa.Engine] = weakref.WeakKeyDictionary()

    def run(self, work: Callable[[sa.Connection], ResultT]) -> ResultT:
        """The result of `work`, committed; if it raises, nothing of it stands. It may be called more than once.

        Work that raises `Overtaken` is begun anew; if that does not end, the exception is the caller's.
        """
        for _ in range(ROUNDS - 1):
            try:
                return self._once(work)
            except Overtaken:
                continue
        return self._once(work)

    def _once(self, work: Callable[[sa.Connection], ResultT]) -> ResultT:
        session = self._users.db.session()
        bind = session.get_bind(**self._users.bind)
        if not isinstance(bind, sa.Engine) or _must_join(session, bind, self._users):
            return work(session.connection(bind_arguments=self._users.bind))
        engine = self._second(bind) if session.in_transaction() else bind
        for _ in range(TRIES - 1):
            begun = False
            try:
                with engine.begin() as connection:
                    begun = True
                    return _unhurried(connection, work)
            except OperationalError as error:  # what drivers raise for deadlocks, and for a server that is away
                if not begun or error.connection_invalidated:
                    raise
        with engine.begin() as connection:
            return _unhurried(connection, work)

    def _second(self, engine: sa.Engine) -> sa.Engine:
        """An engine on the same database with a pool of its own."""
        if engine not in self._seconds:
            second = sa.Engine(engine.pool.recreate(), engine.dialect, engine.url, execution_options=engine.get_execution_options())
            # Weakly, since the listener lives as long as the engine it is the key of.
            held = weakref.ref(second)
            sa.event.listen(engine, "engine_disposed", lambda _: _dispose(held()))
            self._seconds[engine] = second
        return self._seconds[engine]


def _unhurried(connection: sa.Connection, work: Callable[[sa.Connection], ResultT]) -> ResultT:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
    return work(connection)


def _dispose(engine: sa.Engine | None) -> None:
    if engine is not None:
        engine.dispose()


Upsert = postgresql.Insert | sqlite.Insert | mysql.Insert


def insert_or_leave(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`, leaving alone those whose key is there."""
    connection.execute(on_conflict(insert_into(connection, table), table, []), list(rows))


def insert_into(connection: sa.Connection, table: sa.Table) -> Upsert:
    """An INSERT in the database's own dialect, which has an upsert. Hand the rows to `execute`: so the statement is compiled once
    for any number of them.
    """
    kinds: dict[str, Callable[[sa.Table], Upsert]] = {
        "postgresql": postgresql.insert,
        "sqlite": sqlite.insert,
        "mysql": mysql.insert,
        "mariadb": mysql.insert,
    }
    try:
        insert = kinds[connection.dialect.name]
    except KeyError:
        raise ConfigurationError(
            f"Counting in a database of the kind {connection.dialect.name!r} is not supported: set ACCOUNTS_LIMITS_STORAGE to a "
            "redis:// URL or 'memory', and leave the feature Lockout out."
        ) from None
    return insert(table)


def on_conflict(insert: Upsert, table: sa.Table, changes: Sequence[tuple[str, Any]]) -> Upsert:
    """`insert`, making `changes` to a row whose key is there. MySQL makes them in this order, each seeing those before it."""
    if isinstance(insert, mysql.Insert):
        first = next(iter(table.primary_key))
        return insert.on_duplicate_key_update(list(changes) or [(first.name, first)])
    key = list(table.primary_key)
    if not changes:
        return insert.on_conflict_do_nothing(index_elements=key)
    return insert.on_conflict_do_update(index_elements=key, set_=dict(changes))


def _must_join(session: Session, engine: sa.Engine, users: UserStore) -> bool:
    if engine.dialect.name != "sqlite" or not session.in_transaction():
        return False
    if isinstance(engine.pool, StaticPool | SingletonThreadPool):
        return True
    driver = session.connection(bind_arguments=users.bind).connection.dbapi_connection
    return bool(driver is not None and driver.in_transaction)
