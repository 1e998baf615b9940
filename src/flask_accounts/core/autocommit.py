"""Reads of one statement that need no transaction of their own, such as the one that authenticates every request.

A transaction for them would cost a round trip to begin it and one to end it, and on PostgreSQL what the driver had prepared is
forgotten with each rollback. So while no transaction is open the statement gets a connection for itself, in autocommit where that
spares something, and gives it back at once: it sees what is committed at that moment, and nobody holds one connection while waiting
for another. Where a transaction is open, the host has bound its sessions to a connection, or listens to what they do, the session
is asked as usual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Session, sessionmaker

from .direct import AUTOCOMMIT, DirectRead, Row


class Reader:
    """Reads for the sessions of one `db`; `bind` are the bind arguments by which they find the user class's database."""

    def __init__(self, db: SQLAlchemy, bind: Mapping[str, Any]) -> None:
        self._db = db
        self._bind = bind
        self._sample: tuple[object, dict[str, Any], Session] | None = None

    def fetch_all(self, read: DirectRead, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """The rows of `read`."""
        statement = read.statement
        scoped = self._db.session
        session = scoped() if scoped.registry.has() else self._sample_of(scoped.session_factory)
        engine = None if session.in_transaction() or _is_watched(session) else session.get_bind(**self._bind, clause=statement)
        if not isinstance(engine, sa.Engine):
            return scoped.execute(statement, parameters, bind_arguments=dict(self._bind)).mappings().all()
        rows = read.fetch_all(engine, parameters)
        if rows is not None:
            return rows
        with engine.connect() as connection:
            if engine.dialect.name in AUTOCOMMIT:
                connection.execution_options(isolation_level="AUTOCOMMIT")
            return connection.execute(statement, parameters).mappings().all()

    def _sample_of(self, factory: sessionmaker[Any]) -> Session:
        """A session like those that `factory` makes, to ask what one would do. Making one for each request would cost as much as
        half the query. It begins nothing and holds nothing.
        """
        if self._sample is None or self._sample[0] is not factory or self._sample[1] != factory.kw:
            self._sample = (factory, dict(factory.kw), factory())
        return self._sample[2]


def _is_watched(session: Session) -> bool:
    """Whether the host does something of its own when a session begins or executes, as for row-level security by `SET LOCAL`."""
    return bool(session.dispatch.after_begin or session.dispatch.do_orm_execute)
