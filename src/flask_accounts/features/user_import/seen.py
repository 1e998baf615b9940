"""Which addresses, names and keys a file has had so far: exact for any number of rows, in bounded memory.

SQLite keeps them in a database of its own that is gone with the process, and moves to a temporary file what is too much for its cache.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from types import TracebackType


class Seen:
    """Use it as a context manager."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("CREATE TABLE seen (kind TEXT, value TEXT, line INTEGER, PRIMARY KEY (kind, value)) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def claim(self, values: Mapping[str, str], line: int) -> dict[str, int]:
        """Take `values` (by their kind) for the row at `line`; if any was taken before, take none and return at which line."""
        found = {}
        for kind, value in values.items():
            row = self._database.execute("SELECT line FROM seen WHERE kind = ? AND value = ?", (kind, value)).fetchone()
            if row is not None:
                found[kind] = row[0]
        if not found:
            self._database.executemany("INSERT INTO seen VALUES (?, ?, ?)", [(kind, value, line) for kind, value in values.items()])
        return found

    def __enter__(self) -> Seen:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._database.close()
