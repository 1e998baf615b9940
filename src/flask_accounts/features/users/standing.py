"""What keeps an account from being used, and what brings it back.

An account is used while it `is_active`. Why it is not, if that is known, is said by a row of its own. Whoever changes either holds the
account's row, and what decides is always one conditional statement: of a purge and a sign-in at the same moment one wins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_jsonable_python

from ...core.events import Client, Key, UserDeletionCancelled
from ...core.feature import Service
from ...core.gates import Fact, LoginAttempt
from ...core.runtime import Runtime
from ...core.users import UserView
from .models import DeletionMixin


class StandingService(Service):
    """Deletions that wait. Nothing here commits."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._deletions: sa.Table = runtime.model(DeletionMixin).__table__

    # Signing in

    def facts(self) -> Mapping[str, Fact]:
        """When the account is to be erased, read with the account when a sign-in finishes."""
        table = self._deletions
        return {
            "erase_at": lambda attempt: sa.select(table.c.erase_at).where(table.c.user_id == attempt.user_id).scalar_subquery(),
        }

    def returning(self, attempt: LoginAttempt, user: UserView) -> Callable[[], None] | None:
        """What brings the account back, if its owner signs in."""
        if attempt.facts["erase_at"] is None:
            return None
        return lambda: self._return(user.key, attempt.client)

    def _return(self, key: Key, client: Client) -> None:
        now = self.runtime.clock.now()
        # What was read of the row may be older than the lock on the account: this statement decides.
        waits = sa.exists().where(self._deletions.c.user_id == key)
        if self.runtime.users.set_active(key, value=True, now=now, where=[waits]) and self.forget_deletion(key):
            self.runtime.events.emit(UserDeletionCancelled(user_id=key, actor_id=key, client=client, at=now))

    # Deletions

    def note_deletion(self, key: Key, *, now: datetime, erase_at: datetime) -> None:
        """Remember that the account is to be erased."""
        self.forget_deletion(key)
        self._execute(sa.insert(self._deletions).values(user_id=key, requested_at=now, erase_at=erase_at))

    def forget_deletion(self, key: Key) -> bool:
        """Call the erasure off; False if none was to be, or somebody was faster."""
        return bool(self._execute(sa.delete(self._deletions).where(self._deletions.c.user_id == key)).rowcount)

    def due(self, now: datetime, *, beyond: tuple[datetime, Key] | None, limit: int) -> Sequence[tuple[datetime, Key]]:
        """`limit` accounts that are to be erased now, the longest due first, from the one after `beyond` on."""
        c = self._deletions.c
        statement = sa.select(c.erase_at, c.user_id).where(c.erase_at <= now).order_by(c.erase_at, c.user_id).limit(limit)
        if beyond is not None:
            statement = statement.where(sa.or_(c.erase_at > beyond[0], sa.and_(c.erase_at == beyond[0], c.user_id > beyond[1])))
        return [(row.erase_at, row.user_id) for row in self._execute(statement)]

    def take_deletion(self, key: Key, now: datetime) -> bool:
        """Begin to erase the account; False if it is back, or not to be erased yet."""
        users, c = self.runtime.users, self._deletions.c
        off = sa.exists().where(users.key_column == key, users.c["is_active"].is_(False))
        return bool(self._execute(sa.delete(self._deletions).where(c.user_id == key, c.erase_at <= now, off)).rowcount)

    # The life of accounts and rows

    def erase(self, key: Key) -> None:
        """Forget an account that is being deleted."""
        self.forget_deletion(key)

    def export(self, key: Key) -> dict[str, Any] | None:  # JSON values
        """Since when, and until when, the account waits to be erased; None if it does not."""
        c = self._deletions.c
        row = self._execute(sa.select(c.requested_at, c.erase_at).where(c.user_id == key)).mappings().first()
        exported: dict[str, Any] = to_jsonable_python({"deletion": dict(row)}) if row else {}
        return exported or None

    def _execute(self, statement: sa.Executable) -> sa.CursorResult[Any]:
        return self.runtime.users.execute(statement)
