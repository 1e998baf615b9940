"""What keeps an account from being used, and what brings it back.

An account is used while it `is_active`. Why it is not, if that is known, is said by a row of its own. Whoever changes either holds the
account's row, and what decides is always one conditional statement: of a purge and a sign-in at the same moment one wins.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_jsonable_python

from ...core.errors import AccountDisabled
from ...core.events import Client, Key, UserDeletionCancelled, UserEnabled
from ...core.feature import Service
from ...core.gates import Fact, LoginAttempt
from ...core.runtime import Runtime
from ...core.users import ACCOUNT, UserView
from .models import DeletionMixin, SuspensionMixin
from .settings import SuspensionSettings

logger: logging.Logger = logging.getLogger("flask_accounts.purge")

BATCH = 100
"""Accounts that a purge looks up at a time."""


@dataclass(frozen=True)
class Suspension:
    """Why an account was switched off, since when and until when; None: until somebody switches it on."""

    reason: str | None
    until: datetime | None
    disabled_at: datetime


@dataclass(frozen=True)
class Deletion:
    """When an owner deleted the account, and when it is erased."""

    requested_at: datetime
    erase_at: datetime


class StandingService(Service):
    """Suspensions, and deletions that wait. Nothing here commits but `one_by_one`."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._suspensions: sa.Table = runtime.model(SuspensionMixin).__table__
        self._deletions: sa.Table = runtime.model(DeletionMixin).__table__

    # Signing in

    def facts(self) -> Mapping[str, Fact]:
        """What keeps the account from being used, read with the account when a sign-in finishes."""
        suspensions, deletions = self._suspensions, self._deletions

        def fact(column: sa.Column[Any]) -> Fact:
            return Fact(sa.select(column).where(column.table.c.user_id == sa.bindparam(ACCOUNT)).scalar_subquery())

        return {
            "disabled_at": fact(suspensions.c.disabled_at), "disabled_until": fact(suspensions.c.until),
            "erase_at": fact(deletions.c.erase_at),
        }  # fmt: skip

    def returning(self, attempt: LoginAttempt, user: UserView) -> Callable[[], None] | None:
        """What brings the account back, if its owner signs in; raises `AccountDisabled` while it is suspended."""
        suspended, until = attempt.facts["disabled_at"] is not None, attempt.facts["disabled_until"]
        if suspended and (until is None or until > self.runtime.clock.now()):
            raise AccountDisabled(**self._told(user.key, until))
        if not suspended and attempt.facts["erase_at"] is None:
            return None
        return lambda: self._return(user.key, attempt.client)

    def _told(self, key: Key, until: datetime | None) -> dict[str, Any]:
        """What the owner is told of a suspension, after a right credential."""
        settings = self.runtime.setting(SuspensionSettings)
        told = {"until": to_jsonable_python(until)} if until is not None and settings.tell_until else {}
        found = self.suspension(key) if settings.tell_reason else None
        return told | ({"reason": found.reason} if found is not None and found.reason is not None else {})

    def _return(self, key: Key, client: Client) -> None:
        if self._switch_on(key, self._suspended(key) | self._to_be_erased(key)):
            now = self.runtime.clock.now()
            if self.forget_deletion(key):
                self.runtime.events.emit(UserDeletionCancelled(user_id=key, actor_id=key, client=client, at=now))
            if self.lift(key):
                self.runtime.events.emit(UserEnabled(user_id=key, client=client, at=now))

    def _switch_on(self, key: Key, condition: sa.ColumnElement[bool]) -> bool:
        """Switch the account on if `condition` holds and no suspension stands; False if not.

        What was read before may be older than the lock on the account: this one statement decides.
        """
        now = self.runtime.clock.now()
        return self.runtime.users.set_active(key, value=True, now=now, where=[condition, ~self._suspended(key, still=now)])

    def _suspended(self, key: Key, *, still: datetime | None = None) -> sa.ColumnElement[bool]:
        c = self._suspensions.c
        lasting = [] if still is None else [sa.or_(c.until.is_(None), c.until > still)]
        return sa.exists().where(c.user_id == key, *lasting)

    def _to_be_erased(self, key: Key) -> sa.ColumnElement[bool]:
        return sa.exists().where(self._deletions.c.user_id == key)

    # Suspensions

    def suspension(self, key: Key) -> Suspension | None:
        """The account's suspension, unless it is over."""
        found = self._kept(key)
        over = found is not None and found.until is not None and found.until <= self.runtime.clock.now()
        return None if over else found

    def _kept(self, key: Key) -> Suspension | None:
        c = self._suspensions.c
        row = self._execute(sa.select(c.reason, c.until, c.disabled_at).where(c.user_id == key)).first()
        return Suspension(row.reason, row.until, row.disabled_at) if row is not None else None

    def suspend(self, key: Key, *, reason: str | None, until: datetime | None) -> bool:
        """Remember why the account is off, and until when; False if that is known already. The caller holds the account's row."""
        found = self._kept(key)
        if found is not None:
            if (found.reason, found.until) == (reason, until):
                return False
            self.lift(key)
        values = {"user_id": key, "reason": reason, "until": until, "disabled_at": self.runtime.clock.now()}
        self._execute(sa.insert(self._suspensions).values(values))
        return True

    def lift(self, key: Key) -> bool:
        """Forget the account's suspension; False if there was none."""
        return bool(self._execute(sa.delete(self._suspensions).where(self._suspensions.c.user_id == key)).rowcount)

    def end_suspensions(self) -> int:
        """Switch on the accounts whose suspension is over, but for those that are to be erased; returns how many."""
        c = self._suspensions.c
        return self.one_by_one(c.until, c.user_id, self._end_suspension)

    def _end_suspension(self, key: Key) -> bool:
        if self._switch_on(key, self._suspended(key) & ~self._to_be_erased(key)):
            self.lift(key)
            self.runtime.events.emit(UserEnabled(user_id=key, at=self.runtime.clock.now()))
            return True
        c, now = self._suspensions.c, self.runtime.clock.now()
        return bool(self._execute(sa.delete(self._suspensions).where(c.user_id == key, c.until <= now)).rowcount)

    # Deletions

    def note_deletion(self, key: Key, *, now: datetime, erase_at: datetime) -> None:
        """Remember that the account is to be erased."""
        self.forget_deletion(key)
        self._execute(sa.insert(self._deletions).values(user_id=key, requested_at=now, erase_at=erase_at))

    def forget_deletion(self, key: Key) -> bool:
        """Call the erasure off; False if none was to be, or somebody was faster."""
        return bool(self._execute(sa.delete(self._deletions).where(self._deletions.c.user_id == key)).rowcount)

    def deletion(self, key: Key) -> Deletion | None:
        """Since when the account is to be erased, and when."""
        c = self._deletions.c
        row = self._execute(sa.select(c.requested_at, c.erase_at).where(c.user_id == key)).first()
        return Deletion(row.requested_at, row.erase_at) if row is not None else None

    def erase_due(self, erase: Callable[[Key], bool]) -> int:
        """Have `erase` done to the accounts whose time is over; returns how many."""
        return self.one_by_one(self._deletions.c.erase_at, self._deletions.c.user_id, erase)

    def take_deletion(self, key: Key, now: datetime) -> bool:
        """Begin to erase the account; False if it is back, or not to be erased yet."""
        users, c = self.runtime.users, self._deletions.c
        off = sa.exists().where(users.key_column == key, users.c["is_active"].is_(False))
        return bool(self._execute(sa.delete(self._deletions).where(c.user_id == key, c.erase_at <= now, off)).rowcount)

    # The life of accounts and rows

    def erase(self, key: Key) -> None:
        """Forget an account that is being deleted."""
        self.forget_deletion(key)
        self.lift(key)

    def export(self, key: Key) -> dict[str, Any] | None:  # JSON values
        """What keeps the account from being used; None if nothing does. The reason only where the owner may know it."""
        suspension, deletion = self.suspension(key), self.deletion(key)
        found: dict[str, Any] = {}
        if suspension is not None:
            told = self.runtime.setting(SuspensionSettings).tell_reason
            found["suspension"] = asdict(suspension if told else replace(suspension, reason=None))
        if deletion is not None:
            found["deletion"] = asdict(deletion)
        exported: dict[str, Any] = to_jsonable_python(found)
        return exported or None

    def one_by_one(self, due: sa.Column[Any], key: sa.Column[Any], act: Callable[[Key], bool]) -> int:
        """Do `act` to every account whose time in the column `due` is over, the longest due first; returns for how many it was True.

        Each is a transaction of its own. One that fails is logged, stops no other, and its turn comes again the next time.
        """
        runtime = self.runtime
        runtime.commit()
        now, done = runtime.clock.now(), 0
        beyond: sa.ColumnElement[bool] = sa.true()
        while batch := self._execute(sa.select(due, key).where(due <= now, beyond).order_by(due, key).limit(BATCH)).all():
            runtime.commit()
            for row in batch:
                user_id = row.user_id
                try:
                    done += act(user_id)
                    runtime.commit()
                except Exception:
                    runtime.db.session.rollback()
                    logger.exception("The account %s could not be dealt with.", user_id)
            last: Any = batch[-1]
            beyond = sa.or_(due > last[0], sa.and_(due == last[0], key > last[1]))
        return done

    def _execute(self, statement: sa.Executable) -> sa.CursorResult[Any]:
        return self.runtime.users.execute(statement)
