"""A column of a table that holds what is sealed: by which secrets, and sealed anew under the one that seals now.

For features that keep secrets by `core/at_rest.py`; what they seal and how rows are called is theirs to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from .at_rest import Unreadable, Vault
from .users import UserStore

BATCH = 500
"""Rows that are read at a time."""


@dataclass(frozen=True)
class SealedColumn:
    """`sealed`, of the table whose key is `key`; `about` names a row to the vault."""

    users: UserStore
    key: sa.Column[Any]
    sealed: sa.Column[Any]
    vault: Vault
    about: Callable[[Any], str]

    @property
    def name(self) -> str:
        """The table's."""
        return str(self.sealed.table.name)

    def seals(self) -> tuple[int, int, int]:
        """Of how many rows the seal is of the secret that seals now, of an older one, and of one that is not known any more."""
        current = older = unknown = 0
        for key, sealed in self._rows():
            if self._plain(key, sealed) is None:
                unknown += 1
            elif self.vault.is_current(sealed):
                current += 1
            else:
                older += 1
        return current, older, unknown

    def reseal(self) -> int:
        """Seal every row anew that an older secret has sealed; returns how many. Those that do not open stay. Does not commit."""
        done = 0
        for key, sealed in self._rows():
            plain = None if self.vault.is_current(sealed) else self._plain(key, sealed)
            if plain is None:
                continue
            # One that has changed meanwhile is sealed anew already.
            same = sa.update(self.key.table).where(self.key == key, self.sealed == sealed)
            done += self.users.execute(same.values({self.sealed: self.vault.seal(plain, self.about(key))})).rowcount
        return done

    def _plain(self, key: Any, sealed: str) -> bytes | None:
        try:
            return self.vault.open(sealed, self.about(key))
        except Unreadable:
            return None

    def _rows(self) -> Iterator[tuple[Any, str]]:
        last: Any = None
        while True:
            beyond = sa.true() if last is None else self.key > last
            rows = self.users.execute(sa.select(self.key, self.sealed).where(beyond).order_by(self.key).limit(BATCH)).all()
            yield from ((key, sealed) for key, sealed in rows)
            if len(rows) < BATCH:
                return
            last = rows[-1][0]
