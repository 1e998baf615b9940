"""One statement, run on the driver's own cursor: the read that authenticates every request.

Beside a lookup by primary key, what SQLAlchemy does around it costs several times the lookup. So this statement is compiled once for
an engine, and its rows go straight through the types' own processors: what comes out is what SQLAlchemy would give. Wherever
somebody watches or changes what an engine executes (listeners, logged statements, execution options), and with drivers that this
was not tried with, `fetch_all` says so and the caller asks SQLAlchemy itself, which it also does to have an error told its way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa

DRIVERS = frozenset({("sqlite", "pysqlite"), ("postgresql", "psycopg"), ("mysql", "pymysql"), ("mariadb", "pymysql")})
"""Dialects and drivers that this was tried with."""
AUTOCOMMIT = frozenset({"postgresql"})
"""Where autocommit spares round trips. SQLite begins nothing for a read; drivers of MariaDB send a statement to switch it."""
KEEPS_CURSORS = frozenset({"postgresql"})
"""Where a cursor is worth keeping for as long as its connection: psycopg's learns what it needs of a statement's columns at the first
execution, which is a fifth of what one costs."""
WATCHED = (
    "before_execute", "after_execute", "before_cursor_execute", "after_cursor_execute", "engine_connect", "begin", "rollback", "commit",
)  # fmt: skip
"""Events of an engine by which somebody may watch or change what it executes."""
WATCHED_BELOW = ("do_execute", "handle_error")
"""The same of a dialect."""

Row = Mapping[str, Any] | sa.RowMapping
"""Values by the labels of their columns."""
Processor = Callable[[Any], Any]


class DirectRead:
    """A SELECT of labelled columns. Its parameters are values of the types that it names for them."""

    def __init__(self, statement: sa.Select[Any]) -> None:
        self.statement = statement
        self._prepared: WeakKeyDictionary[sa.Engine, _Prepared] = WeakKeyDictionary()

    def fetch_all(self, engine: sa.Engine, parameters: Mapping[str, Any]) -> Sequence[Row] | None:
        """The rows, as committed at this moment; None where SQLAlchemy itself has to be asked."""
        if is_watched(engine):
            return None
        prepared = self._prepared.get(engine)
        if prepared is None:
            prepared = self._prepared[engine] = _Prepared(self.statement, engine.dialect)
        dialect = engine.dialect
        try:
            pooled = engine.raw_connection()
        except dialect.loaded_dbapi.Error:
            return None  # no database: the pool's error is the driver's own, SQLAlchemy's says what that means
        try:
            connection: Any = pooled.dbapi_connection
            if dialect.name not in AUTOCOMMIT or connection.autocommit:
                return prepared.fetch_all(pooled, parameters)
            connection.autocommit = True  # psycopg's own switch: the dialect's would set the level of isolation too, twice
            try:
                return prepared.fetch_all(pooled, parameters)
            finally:
                connection.autocommit = False
        except dialect.loaded_dbapi.Error:
            pooled.invalidate()  # it may be broken; SQLAlchemy takes another one, and tells what is wrong if that fails too
            return None
        finally:
            pooled.close()


def is_watched(engine: sa.Engine) -> bool:
    """Whether somebody must see, or may change, what the engine executes, or its driver was not tried here."""
    dialect: Any = engine.dialect
    if (dialect.name, dialect.driver) not in DRIVERS or engine.get_execution_options():
        return True
    if any(getattr(engine.dispatch, name) for name in WATCHED) or any(getattr(dialect.dispatch, name) for name in WATCHED_BELOW):
        return True
    return engine.logger.isEnabledFor(logging.INFO)


class _Prepared:
    """The statement in the words of one dialect, and how values go in and come out."""

    def __init__(self, statement: sa.Select[Any], dialect: sa.Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self._dialect = dialect
        self._text: str = compiled.string
        self._names: Sequence[str] | None = compiled.positiontup if compiled.positional else None
        self._fixed = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        self._into = {name: _of(bind.type, dialect).bind_processor(dialect) for name, bind in compiled.binds.items()}
        self._labels = [str(column.key) for column in statement.selected_columns]
        self._types = [column.type for column in statement.selected_columns]
        self._out_of: list[tuple[int, Processor]] | None = None
        self._keeps_cursors = dialect.name in KEEPS_CURSORS

    def fetch_all(self, pooled: sa.PoolProxiedConnection, parameters: Mapping[str, Any]) -> list[Row]:
        given = {
            name: into(value) if (into := self._into[name]) else value for name, value in {**self._fixed, **parameters}.items()
        }
        cursor: Any = pooled.info.get(self)
        if cursor is None:
            cursor = pooled.cursor()
            if self._keeps_cursors:
                pooled.info[self] = cursor
        try:
            cursor.execute(self._text, given if self._names is None else tuple(given[name] for name in self._names))
            rows = cursor.fetchall()
            if self._out_of is None:
                self._out_of = self._processors(cursor.description)
        finally:
            if not self._keeps_cursors:
                cursor.close()
        return [self._read(row, self._out_of) for row in rows]

    def _read(self, row: Sequence[Any], processors: list[tuple[int, Processor]]) -> Row:
        values = list(row)
        for place, process in processors:
            values[place] = process(values[place])
        return dict(zip(self._labels, values, strict=True))

    def _processors(self, description: Sequence[Sequence[Any]]) -> list[tuple[int, Processor]]:
        """Of the columns that need one; a type may ask what the driver calls it, which the first answer tells."""
        found = (
            (place, _of(kind, self._dialect).result_processor(self._dialect, description[place][1]))
            for place, kind in enumerate(self._types)
        )
        return [(place, process) for place, process in found if process]


def _of(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
    return kind.dialect_impl(dialect)
