"""Inserting what somebody else may be inserting at the same moment, in the database's own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from .errors import ConfigurationError

Upsert = postgresql.Insert | sqlite.Insert | mysql.Insert


def insert_or_leave(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`, leaving alone those whose key is there."""
    connection.execute(on_conflict(insert_into(connection.dialect, table), table, []), list(rows))


def insert_into(dialect: sa.Dialect, table: sa.Table) -> Upsert:
    """An INSERT in the database's own dialect, which has an upsert."""
    kinds: dict[str, Callable[[sa.Table], Upsert]] = {
        "postgresql": postgresql.insert,
        "sqlite": sqlite.insert,
        "mysql": mysql.insert,
        "mariadb": mysql.insert,
    }
    try:
        insert = kinds[dialect.name]
    except KeyError:
        raise ConfigurationError(
            f"A database of the kind {dialect.name!r} is not supported here: use SQLite, PostgreSQL, MySQL or MariaDB, or have what "
            "counts there count elsewhere, by its settings, or leave it out."
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
