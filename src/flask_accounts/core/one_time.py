"""One-time tokens and codes: hashed at rest, bound to a purpose, an account and an address, single use, expiring.

The purpose is part of every look-up, so that a token made for one thing opens nothing else. Consuming
is a DELETE whose row count decides, so of two uses at once one wins. A new token of a purpose voids
the account's older ones. Nothing here is ever consumed by reading.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_jsonable_python
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from .events import Key
from .models import UtcDateTime, exact, owner_key
from .policies import MAX_EMAIL, email_form
from .users import UserStore

CODE_DIGITS = 8
"""Digits of a code: 26 bits (ASVS 6.5.4 asks for 20), with `MAX_ATTEMPTS` guesses."""
MAX_ATTEMPTS = 5
ONE_TIME_TABLE = "accounts_one_time_tokens"
"""The table, shared by the features that use it."""


class OneTimeTokenMixin:
    """The table of outstanding tokens; a row is gone once used, voided or purged."""

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, sort_order=-10)

    @declared_attr
    def user_id(cls) -> Mapped[Any]:  # noqa: N805  # SQLAlchemy calls it with the class
        """The account it is for; none for somebody who has no account yet."""
        return mapped_column(sa.ForeignKey(owner_key(cls), ondelete="CASCADE"), nullable=True)

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  # SQLAlchemy calls it with the class
        return (sa.UniqueConstraint("user_id", "id"),)  # and no index, for the reason in `OwnedByUser`

    purpose: Mapped[str] = mapped_column(sa.String(32), nullable=False)
    address: Mapped[str | None] = mapped_column(exact(MAX_EMAIL), nullable=True, index=True)
    token_hash: Mapped[str] = mapped_column(sa.String(64), nullable=False, unique=True)
    code_hash: Mapped[str | None] = mapped_column(sa.String(64), nullable=True)
    attempts: Mapped[int] = mapped_column(sa.Integer, nullable=False, default=0)
    data: Mapped[str] = mapped_column(sa.Text, nullable=False, default="{}")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False, index=True)


@dataclass(frozen=True)
class OneTime:
    """What a token stands for."""

    purpose: str
    user_id: Key | None
    address: str | None
    data: Mapping[str, Any]
    created_at: datetime
    expires_at: datetime
    id: int
    """Higher than those of the account's older tokens."""
    attempts: int = 0
    """Guesses that have been counted."""


@dataclass(frozen=True)
class Issued:
    """A new token, to be sent and not kept: `token` has 256 bits, `code` is for typing (None if none was asked for)."""

    token: str = field(repr=False)
    code: str | None = field(repr=False)
    expires_at: datetime


class OneTimeStore:
    """Issues and consumes one-time tokens. `key` keeps codes from being guessed out of a stolen database."""

    def __init__(self, users: UserStore, model: type[Any], key: bytes) -> None:
        self._users = users
        self._table: sa.Table = model.__table__
        self._key = key

    def issue(
        self,
        purpose: str,
        *,
        user_id: Key | None,
        address: str | None,
        lifetime: timedelta,
        now: datetime,
        code: bool = False,
        digits: int = CODE_DIGITS,
        data: Mapping[str, Any] | None = None,
        void_older: bool = True,
    ) -> Issued:
        """A new token; older ones of this purpose for the account (or, without one, the address) are void unless told otherwise.

        With `code`, also a code of so many `digits`.
        """
        if void_older:
            self.void(purpose, user_id=user_id, address=address)
        token = secrets.token_urlsafe(32)
        number = f"{secrets.randbelow(10**digits):0{digits}}" if code else None
        values = {
            "purpose": purpose, "user_id": user_id, "address": _form(address),
            "token_hash": _hash(token), "code_hash": None if number is None else self._code_hash(purpose, number),
            "attempts": 0, "data": json.dumps(dict(data or {})), "created_at": now, "expires_at": now + lifetime,
        }  # fmt: skip
        self._users.execute(sa.insert(self._table).values(values))
        return Issued(token, number, now + lifetime)

    def peek(self, purpose: str, token: str, now: datetime) -> OneTime | None:
        """What `token` stands for, without using it up; None if it is not good."""
        row = self._row(purpose, self._table.c.token_hash == _hash(token), now)
        return _one_time(row) if row else None

    def consume(self, purpose: str, token: str, now: datetime) -> OneTime | None:
        """What `token` stands for, using it up; None if it is not good, or somebody was faster."""
        found = self.peek(purpose, token, now)
        return found if found and self.take(found) else None

    def take(self, found: OneTime) -> bool:
        """Use up what was peeked at; False if somebody was faster."""
        return bool(self._users.execute(sa.delete(self._table).where(self._table.c.id == found.id)).rowcount)

    def consume_code(self, purpose: str, address: str, code: str, now: datetime) -> OneTime | None:
        """The same by the code sent to `address`. A wrong guess is counted: the caller must commit before it refuses."""
        found = self.peek_code_sent(purpose, address, code, now)
        return found if found and self.take(found) else None

    def peek_code_sent(
        self, purpose: str, address: str, code: str, now: datetime, *, may: Callable[[OneTime], bool] | None = None
    ) -> OneTime | None:
        """The same without using it up. Who `may` not guess at it, whatever the code, is not counted either."""
        return self._guess(purpose, self._table.c.address == _form(address), code, now, may)

    def peek_code(self, purpose: str, user_id: Key, code: str, now: datetime) -> OneTime | None:
        """What the code of an account's newest token stands for, without using it up. A wrong guess is counted: see `consume_code`."""
        return self._guess(purpose, self._table.c.user_id == user_id, code, now)

    def _guess(
        self,
        purpose: str,
        whose: sa.ColumnElement[bool],
        code: str,
        now: datetime,
        may: Callable[[OneTime], bool] | None = None,
    ) -> OneTime | None:
        row = self._row(purpose, sa.and_(whose, self._table.c.code_hash.is_not(None)), now)
        if row is None or (may is not None and not may(_one_time(row))):
            return None
        counted = self.count_guess(_one_time(row))  # before it is compared
        right = hmac.compare_digest(row["code_hash"], self._code_hash(purpose, code))
        return _one_time(row) if counted and right else None

    def count_guess(self, found: OneTime) -> bool:
        """Count one guess at something that a token stands for; False if there were `MAX_ATTEMPTS` already.

        By a conditional UPDATE, so that parallel guesses all count. If the guess is wrong the caller must commit before it refuses.
        """
        table = self._table
        counting = sa.update(table).where(table.c.id == found.id, table.c.attempts < MAX_ATTEMPTS)
        return bool(self._users.execute(counting.values(attempts=table.c.attempts + 1)).rowcount)

    def void(self, purpose: str, *, user_id: Key | None, address: str | None = None) -> None:
        """Make every outstanding token of this purpose worthless, for the account or, without one, the address."""
        table = self._table
        whose = (
            table.c.user_id == user_id
            if user_id is not None
            else sa.and_(table.c.user_id.is_(None), table.c.address == _form(address))
        )
        # Looked for before they are deleted: a DELETE that finds nothing would lock MariaDB's index where others want to insert.
        old = list(self._users.execute(sa.select(table.c.id).where(table.c.purpose == purpose, whose)).scalars())
        if old:
            self._users.execute(sa.delete(table).where(table.c.id.in_(old)))

    def void_newer(self, found: OneTime) -> None:
        """Make the account's tokens of the same purpose that are newer than `found` worthless."""
        # Not looked for first, as above: what was issued since this transaction's snapshot (MariaDB) must go too.
        table = self._table
        newer = sa.and_(table.c.purpose == found.purpose, table.c.user_id == found.user_id, table.c.id > found.id)
        self._users.execute(sa.delete(table).where(newer))

    def outstanding(self, purpose: str, user_id: Key, now: datetime) -> list[OneTime]:
        """The account's tokens of this purpose that are still good, oldest first."""
        table = self._table
        good = sa.and_(table.c.purpose == purpose, table.c.user_id == user_id, table.c.expires_at > now)
        return [_one_time(row) for row in self._users.execute(sa.select(table).where(good).order_by(table.c.id)).mappings()]

    def export(self, user_id: Key) -> list[dict[str, Any]]:  # JSON values
        """What waits for the account to use it: for which purpose, sent where, how long; nothing by which it could be used."""
        table = self._table
        columns = (table.c.purpose, table.c.address, table.c.created_at, table.c.expires_at, table.c.attempts)
        statement = sa.select(*columns).where(table.c.user_id == user_id).order_by(table.c.id)
        exported: list[dict[str, Any]] = to_jsonable_python([dict(row) for row in self._users.execute(statement).mappings()])
        return exported

    def delete_all(self, user_id: Key) -> None:
        """Remove every token of the account."""
        self._users.execute(sa.delete(self._table).where(self._table.c.user_id == user_id))

    def purge(self, now: datetime) -> int:
        """Delete the rows whose time is over; returns how many."""
        return self._users.execute(sa.delete(self._table).where(self._table.c.expires_at <= now)).rowcount

    def _row(self, purpose: str, condition: sa.ColumnElement[bool], now: datetime) -> sa.RowMapping | None:
        table = self._table
        statement = sa.select(table).where(table.c.purpose == purpose, condition, table.c.expires_at > now)
        return self._users.execute(statement.order_by(table.c.id.desc()).limit(1)).mappings().first()

    def _code_hash(self, purpose: str, code: str) -> str:
        return hmac.new(self._key, f"{purpose}:{code}".encode(), hashlib.sha256).hexdigest()


def _hash(token: str) -> str:
    # 256 random bits need no salt and no slow hash.
    return hashlib.sha256(token.encode()).hexdigest()


def _form(address: str | None) -> str | None:
    # Cut, because what somebody typed may grow by becoming canonical, and nobody has an address as long as that.
    return None if address is None else email_form(address)[:MAX_EMAIL]


def _one_time(row: sa.RowMapping) -> OneTime:
    data = json.loads(row["data"])
    return OneTime(
        row["purpose"], row["user_id"], row["address"], data, row["created_at"], row["expires_at"], row["id"], row["attempts"]
    )
