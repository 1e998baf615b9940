"""Where is counted: a table of the accounts' database, this process's memory, or a store of the library `limits`.

All count fixed windows that begin with the first hit. Counting comes in groups: if a counter of one
group is full, the next groups are not counted, so that a caller who is refused by its own address
does not use up the count of somebody's account.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import limits.errors
import limits.storage
import sqlalchemy as sa

from ...core.errors import ConfigurationError
from ...core.upserts import insert_into, on_conflict


class StoreFailure(Exception):
    """The store did not answer."""


@dataclass(frozen=True)
class Counter:
    """One window to count in: `most` hits in `seconds`."""

    key: str
    most: int
    seconds: int


@dataclass(frozen=True)
class Count:
    """Where a counter stands with this hit: how many there were, and in how many seconds the window is over."""

    hits: int
    resets_in: float


class Store(Protocol):
    """Counts atomically over all who share it."""

    def count(self, groups: Sequence[Sequence[Counter]], now: int) -> list[list[Count]]:
        """Count one hit in each group up to the first that is full. `now` in milliseconds. Raises `StoreFailure`."""
        ...


def full(counters: Sequence[Counter], counts: Sequence[Count]) -> bool:
    """Whether one of the counters is over its limit."""
    return any(count.hits > counter.most for counter, count in zip(counters, counts, strict=True))


def _in_turn(groups: Sequence[Sequence[Counter]], one: Callable[[Sequence[Counter]], list[Count]]) -> list[list[Count]]:
    found: list[list[Count]] = []
    for group in groups:
        found.append(one(group))
        if full(group, found[-1]):
            break
    return found


class Table:
    """Counts in a table beside the accounts: one upsert per group; on MySQL one per counter."""

    def __init__(self, table: sa.Table) -> None:
        self._table = table
        self._upserts: dict[str, sa.Executable] = {}

    def count(self, connection: sa.Connection, groups: Sequence[Sequence[Counter]], now: int) -> list[list[Count]]:
        """As `Store.count`, in the transaction of `connection`."""
        return _in_turn(groups, lambda group: self._hit(connection, group, now))

    def _hit(self, connection: sa.Connection, group: Sequence[Counter], now: int) -> list[Count]:
        # In order of their keys, so that two who hit the same rows do not wait for each other crosswise.
        rows = [
            {"key": counter.key, "hits": 1, "resets_at": now + counter.seconds * 1000, "moment": now}
            for counter in sorted(group, key=lambda counter: counter.key)
        ]
        upsert = self._upsert(connection.dialect)
        if connection.dialect.insert_returning:
            found = connection.execute(upsert, rows).all()
        else:
            for row in rows:  # drivers of MySQL take no parameters behind the VALUES of many rows
                connection.execute(upsert, row)
            table = self._table
            counted = sa.select(table.c.key, table.c.hits, table.c.resets_at).where(table.c.key.in_([row["key"] for row in rows]))
            found = connection.execute(counted).all()  # the rows are locked by the upserts: what is read is what this hit made
        by_key = {key: Count(hits, (resets_at - now) / 1000) for key, hits, resets_at in found}
        return [by_key[counter.key] for counter in group]

    def _upsert(self, dialect: sa.Dialect) -> Any:
        """A hit in each row; built once, since building it costs more than executing it."""
        if dialect.name not in self._upserts:
            table = self._table
            insert = insert_into(dialect, table)
            given = insert.inserted if hasattr(insert, "inserted") else insert.excluded
            over = table.c.resets_at <= sa.bindparam("moment", 0, sa.BigInteger)  # the 0 says that it is one for all rows
            upsert = on_conflict(
                insert,
                table,
                [
                    ("hits", sa.case((over, 1), else_=table.c.hits + 1)),
                    ("resets_at", sa.case((over, given.resets_at), else_=table.c.resets_at)),
                ],
            )
            told = (table.c.key, table.c.hits, table.c.resets_at)
            self._upserts[dialect.name] = upsert.returning(*told) if dialect.insert_returning else upsert
        return self._upserts[dialect.name]


class MemoryStore:
    """Counts in this process. Of use where there is one process only, and in tests."""

    ROOM = 100_000
    """Windows kept before those that are over are swept out."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def count(self, groups: Sequence[Sequence[Counter]], now: int) -> list[list[Count]]:
        """As `Store.count`."""
        with self._lock:
            if len(self._windows) >= self.ROOM:
                self._windows = {key: window for key, window in self._windows.items() if window[1] > now}
            return _in_turn(groups, lambda group: [self._hit(counter, now) for counter in group])

    def _hit(self, counter: Counter, now: int) -> Count:
        hits, resets_at = self._windows.get(counter.key, (0, 0))
        if resets_at <= now:
            hits, resets_at = 0, now + counter.seconds * 1000
        self._windows[counter.key] = (hits + 1, resets_at)
        return Count(hits + 1, (resets_at - now) / 1000)


class RemoteStore:
    """Counts in Redis, Valkey, memcached or another store of the library `limits`. The store's own clock counts."""

    PATIENCE = 0.5
    """Seconds to wait for the store: a dead one must not hold up sign-ins."""

    def __init__(self, url: str) -> None:
        options: dict[str, Any] = {"wrap_exceptions": True}
        scheme = url.partition(":")[0]
        if scheme.startswith(("redis", "valkey", "async+redis")):
            options |= {"socket_timeout": self.PATIENCE, "socket_connect_timeout": self.PATIENCE}
        elif scheme == "memcached":
            options |= {"timeout": self.PATIENCE, "connect_timeout": self.PATIENCE}
        try:
            storage = limits.storage.storage_from_string(url, **options)
        except limits.errors.ConfigurationError as error:
            raise ConfigurationError(
                f"ACCOUNTS_LIMITS_STORAGE: the store {scheme}:// cannot be used. Is its client installed (pip install 'limits[{scheme}]')?"
            ) from error
        if not isinstance(storage, limits.storage.Storage):
            raise ConfigurationError(f"ACCOUNTS_LIMITS_STORAGE: {scheme}:// is not a store for synchronous code.")
        self._storage = storage

    def count(self, groups: Sequence[Sequence[Counter]], now: int) -> list[list[Count]]:
        """As `Store.count`."""
        try:
            return _in_turn(groups, lambda group: [self._hit(counter, now) for counter in group])
        except limits.errors.StorageError as error:
            raise StoreFailure from error

    def answers(self) -> bool:
        """Whether the store is there."""
        try:
            return bool(self._storage.check())
        except limits.errors.StorageError:
            return False

    def _hit(self, counter: Counter, now: int) -> Count:
        key = f"flask-accounts:{counter.key}"
        hits = self._storage.incr(key, counter.seconds)
        # Asking for the end of the window costs another journey, so only who is refused is told it exactly.
        if hits <= counter.most:
            return Count(hits, counter.seconds)
        return Count(hits, max(0.0, self._storage.get_expiry(key) - time.time()))


def open_store(storage: str) -> Store | None:
    """The store that the setting names, None for the database; `ConfigurationError` if there is none such."""
    if storage == "database":
        return None
    if storage == "memory":
        return MemoryStore()
    if "://" not in storage:
        raise ConfigurationError("ACCOUNTS_LIMITS_STORAGE is 'database', 'memory' or a URL such as redis://host:6379/0.")
    return RemoteStore(storage)
