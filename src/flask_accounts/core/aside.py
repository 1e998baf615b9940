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

import os
import weakref
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from .faults import is_overtaken
from .forks import in_child
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
        self._begin()
        in_child(self, Aside._begin)

    def _begin(self) -> None:
        """No second engines: at the start, and in a forked child, whose parent keeps its own."""
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
            try:
                with engine.begin() as connection:
                    return _unhurried(connection, work)
            except DBAPIError as error:
                if not is_overtaken(error):
                    raise
        with engine.begin() as connection:
            return _unhurried(connection, work)

    def _second(self, engine: sa.Engine) -> sa.Engine:
        """An engine on the same database with a pool of its own."""
        if engine not in self._seconds:
            second = sa.Engine(engine.pool.recreate(), engine.dialect, engine.url, execution_options=engine.get_execution_options())
            # Weakly, since the listener lives as long as the engine it is the key of.
            held, process = weakref.ref(second), os.getpid()
            # What a forked child disposes of is not its parent's to lose: closing a connection would end it for both.
            sa.event.listen(engine, "engine_disposed", lambda _: _dispose(held()) if os.getpid() == process else None)
            self._seconds[engine] = second
        return self._seconds[engine]


def _unhurried(connection: sa.Connection, work: Callable[[sa.Connection], ResultT]) -> ResultT:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
    return work(connection)


def _dispose(engine: sa.Engine | None) -> None:
    if engine is not None:
        engine.dispose()


def _must_join(session: Session, engine: sa.Engine, users: UserStore) -> bool:
    if engine.dialect.name != "sqlite" or not session.in_transaction():
        return False
    if isinstance(engine.pool, StaticPool | SingletonThreadPool):
        return True
    driver = session.connection(bind_arguments=users.bind).connection.dbapi_connection
    return bool(driver is not None and driver.in_transaction)
