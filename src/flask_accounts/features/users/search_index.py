"""The index that serves `search` on PostgreSQL: trigrams of usernames and addresses, by the extension `pg_trgm`.

No model declares it: whether there is one is a matter of each database, and not of the code. It is made and dropped without holding up
whoever writes (`CREATE INDEX CONCURRENTLY`), which is not possible in a migration's transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from ...core.models import index_name
from ...core.runtime import Runtime

SUFFIX = "search"
"""What the index's name ends with."""
STATE = sa.text("""
    SELECT indexes.indisvalid AS valid, pg_relation_size(indexes.indexrelid) AS bytes
    FROM pg_index AS indexes JOIN pg_class AS names ON names.oid = indexes.indexrelid
    WHERE indexes.indrelid = to_regclass(:users) AND names.relname = :index
""")
SCHEMA = sa.text("SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'pg_trgm'")
REFUSED = {
    "0A000": "This PostgreSQL does not have the extension pg_trgm. It comes with the contributed modules (postgresql-contrib).",
    "58P01": "This PostgreSQL does not have the extension pg_trgm. It comes with the contributed modules (postgresql-contrib).",
    "42501": (
        "The database user may not do this. Making the index takes the owner of the user table, and before that once, of whoever may "
        "create extensions: CREATE EXTENSION pg_trgm."
    ),
}
"""What to do, by the error's SQLSTATE."""


class NoSearchIndex(Exception):
    """The index cannot be here, or the database user may not make it. The message says what to do about it."""


@dataclass(frozen=True)
class State:
    """The index as it is; not `valid`: it was begun and not finished, so that it costs and serves nothing."""

    name: str
    valid: bool
    bytes: int


class SearchIndex:
    """Makes, drops and looks at the index of the user table. `NoSearchIndex` where that cannot be."""

    def __init__(self, runtime: Runtime) -> None:
        users = runtime.users
        self._engine = runtime.db.session.get_bind(**users.bind).engine
        if self._engine.dialect.name != "postgresql":
            raise NoSearchIndex(
                f"The search index is one of PostgreSQL's (pg_trgm); this database is {self._engine.dialect.name}. Search by "
                "beginnings is served by an index on every database: username_starts_with, email_starts_with."
            )
        quoting = self._engine.dialect.identifier_preparer
        self.name: str = index_name(users.table, SUFFIX)
        """What the index is called."""
        self._table = quoting.format_table(users.table)
        self._columns = [quoting.quote(users.c[name].name) for name in ("username_normalized", "email")]
        schema = users.table.schema
        self._qualified = (f"{quoting.quote_schema(schema)}." if schema else "") + quoting.quote(self.name)

    def state(self) -> State | None:
        """The index, or None."""
        with self._connected() as connection:
            return self._state(connection)

    def create(self) -> State:
        """Make the index, anew if it is not valid; nothing happens if it is there. Takes as long as reading the table a few times."""
        with self._connected() as connection:
            found = self._state(connection)
            if found is not None and found.valid:
                return found
            if found is not None:
                connection.execute(sa.text(f"DROP INDEX CONCURRENTLY IF EXISTS {self._qualified}"))
            if connection.execute(SCHEMA).first() is None:
                connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
            # The extension's schema need not be in the search path.
            schema = self._engine.dialect.identifier_preparer.quote(connection.execute(SCHEMA).scalar_one())
            columns = ", ".join(f"{column} {schema}.gin_trgm_ops" for column in self._columns)
            name = self._engine.dialect.identifier_preparer.quote(self.name)
            connection.execute(sa.text(f"CREATE INDEX CONCURRENTLY {name} ON {self._table} USING gin ({columns})"))
            made = self._state(connection)
            assert made is not None  # noqa: S101  # or the statement before would have failed
            return made

    def drop(self) -> bool:
        """Drop the index; False if there was none."""
        with self._connected() as connection:
            there = self._state(connection) is not None
            if there:
                connection.execute(sa.text(f"DROP INDEX CONCURRENTLY IF EXISTS {self._qualified}"))
            return there

    def _state(self, connection: sa.Connection) -> State | None:
        row = connection.execute(STATE, {"users": self._table, "index": self.name}).first()
        return State(self.name, row.valid, row.bytes) if row is not None else None

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        """A connection outside any transaction, which CONCURRENTLY asks for."""
        try:
            with self._engine.connect() as connection:
                yield connection.execution_options(isolation_level="AUTOCOMMIT")
        except sa.exc.DBAPIError as error:
            said = REFUSED.get(getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or "")
            if said is None:
                raise
            raise NoSearchIndex(f"{said} PostgreSQL says: {str(error.orig).partition(chr(10))[0]}") from None
