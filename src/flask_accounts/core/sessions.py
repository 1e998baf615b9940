"""Sessions: one row per sign-in, the root of every token.

Access and refresh tokens carry the row's id; the row holds a rotation counter (`generation`). A
refresh is one compare-and-swap UPDATE. No table grows with token use, and no token lies at rest.

The lock order is: the user's row first, then session rows. Opening a session holds a lock on the user's
row, so disabling, deleting or a password change waits for it, or makes it fail.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from pydantic import Field, SecretStr
from pydantic_core import to_jsonable_python
from sqlalchemy.orm import Mapped, mapped_column

from .direct import DirectRead, Row
from .events import Client, Key
from .models import OwnedByUser, UtcDateTime, uuid7, uuid_type
from .settings import Settings
from .upserts import insert_into, on_conflict
from .users import ACCOUNT, UserStore, UserView


class SessionSettings(Settings):
    """How long sessions live. The idle lifetime is Flask-JWT-Extended's `JWT_REFRESH_TOKEN_EXPIRES`."""

    prefix: ClassVar[str] = "sessions"

    absolute_lifetime: timedelta = Field(default=timedelta(days=30), gt=timedelta(0))
    """Longest life of a session, however much it is used (ASVS 7.3.2). Seconds, an ISO 8601 duration or a timedelta."""
    grace_window: timedelta = Field(default=timedelta(seconds=10), ge=timedelta(0))
    """How long a refresh token that was just used still gets the current pair again (two tabs, a lost answer); 0 turns it off."""
    fresh_for: timedelta = Field(default=timedelta(minutes=15), ge=timedelta(0))
    """How long after signing in or reauthenticating a session passes where recent authentication is asked for."""
    max_per_user: int = Field(default=50, ge=1)
    """Most sessions one account has at once; opening one more ends the oldest (ASVS 7.1.2)."""
    cache: SecretStr = SecretStr("")
    """Where it is kept for some seconds that a session is good, so that reading requests do not ask the database: nowhere if empty;
    `memory` for each process by itself; or a Redis URL, by which all processes hear of a revocation at once. What that trades:
    see the page on performance."""
    cache_for: timedelta = Field(default=timedelta(seconds=5), gt=timedelta(0), le=timedelta(minutes=1))
    """How long at most, and so how late a revocation can be seen where nobody tells of it."""


class SessionMixin(OwnedByUser):
    """The table of sessions."""

    id: Mapped[UUID] = mapped_column(uuid_type(), primary_key=True, sort_order=-10)
    generation: Mapped[int] = mapped_column(sa.Integer, nullable=False, default=0)
    rotated_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    authenticated_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    last_used_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    idle_expires_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    end_reason: Mapped[str | None] = mapped_column(sa.String(32), nullable=True)
    amr: Mapped[str] = mapped_column(sa.String(64), nullable=False)
    ip_address: Mapped[str | None] = mapped_column(sa.String(45), nullable=True)
    user_agent: Mapped[str | None] = mapped_column(sa.String(255), nullable=True)


class RevokedTokenMixin:
    """Tokens that host code minted without a session and then revoked; rows go when the token would have expired."""

    jti: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False, index=True)


@dataclass(frozen=True)
class SessionStanding:
    """What authenticating a request needs of a session's row."""

    generation: int
    idle_expires_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    amr: tuple[str, ...]
    actor_session_id: UUID | None = None
    """By which session of somebody else's it is used, where somebody acts in the owner's place."""

    @property
    def acr(self) -> str:
        """How strongly the person was authenticated: `aal2` by more than one factor, else `aal1`."""
        return "aal2" if "mfa" in self.amr else "aal1"

    def is_live(self, now: datetime) -> bool:
        """Neither ended nor past its idle or absolute lifetime."""
        return self.ended_at is None and now < self.idle_expires_at and now < self.expires_at


@dataclass(frozen=True, kw_only=True)
class SessionState(SessionStanding):
    """One session's row."""

    id: UUID
    user_id: Key
    rotated_at: datetime | None
    created_at: datetime
    authenticated_at: datetime
    last_used_at: datetime
    ip_address: str | None = None
    user_agent: str | None = None


class Rotation(enum.Enum):
    """What became of a refresh."""

    ROTATED = "rotated"
    """The next generation was made."""
    REPEATED = "repeated"
    """The token was used a moment ago; the current generation is handed out again."""
    REUSED = "reused"
    """An older generation came back: the session has been ended."""
    DEAD = "dead"
    """There is no such live session, or its account is disabled."""


_ACTOR = "actor_session_id"
_COLUMNS = tuple(name for name in SessionState.__dataclass_fields__ if name != _ACTOR)
_STANDING = tuple(name for name in SessionStanding.__dataclass_fields__ if name != _ACTOR)


class SessionStore:
    """Opens, reads, rotates and ends sessions. Takes the time from its callers."""

    def __init__(
        self, users: UserStore, model: type[Any], revoked: type[Any], settings: SessionSettings, idle_lifetime: timedelta
    ) -> None:
        self._users = users
        self.model = model
        self._table: sa.Table = model.__table__
        self._revoked: sa.Table = revoked.__table__
        self._settings = settings
        self._idle_lifetime = idle_lifetime
        # Statements of every request, sign-in and refresh are built once: building one costs more than executing it.
        self._beside: tuple[sa.Label[Any], ...] = ()
        self._standing_by_id, self._by_id = DirectRead(self._select_by_id(_STANDING)), self._select_by_id(_COLUMNS)
        self._opening = self._insert()
        self._opening_by_password = self._insert(users.c["password_hash"] == sa.bindparam("verified_hash"))
        self._opening_bare, self._opening_bare_by_password = self._opening, self._opening_by_password
        self._rotation = self._update()

    def _select_by_id(self, columns: Sequence[str]) -> sa.Select[Any]:
        users, table = self._users, self._table
        own = [*(table.c[name].label(f"s_{name}") for name in columns), *self._beside]
        source = table.join(users.table, users.key_column == table.c.user_id)
        return (
            sa.select(*own, *users.columns())
            .select_from(users.joined(source, users.key_column))
            .where(table.c.id == sa.bindparam("session_id", type_=uuid_type()))
        )

    @property
    def idle_lifetime(self) -> timedelta:
        """How long a session lives without being used, if its absolute lifetime leaves that."""
        return self._idle_lifetime

    def standing(self, session_id: UUID) -> tuple[SessionStanding, UserView] | None:
        """How the session and its account stand right now, in one statement without a transaction; None if there is no such session."""
        rows = self._users.fetch_all(self._standing_by_id, {"session_id": session_id})
        return (SessionStanding(**_values(rows[0], _STANDING)), self._users.read(rows)) if rows else None

    def find(self, session_id: UUID) -> tuple[SessionState, UserView] | None:
        """The session with its account, roles and permissions, in one statement; None if there is none."""
        rows = self._users.execute(self._by_id, {"session_id": session_id}).mappings().all()
        return (_state(rows[0]), self._users.read(rows)) if rows else None

    def live_count(self) -> sa.ColumnElement[int]:
        """About how many live sessions the account has, as a column for another select; who signs in meanwhile may be missing.

        The parameter `moment` is the present.
        """
        moment = sa.bindparam("moment", type_=UtcDateTime)
        counted = sa.select(sa.func.count()).select_from(self._table).where(self._live(sa.bindparam(ACCOUNT), moment))
        return counted.scalar_subquery().label("live_sessions")

    def stands(self, session_id: UUID) -> sa.ColumnElement[bool]:
        """Whether what the session began still counts, as a column for another select: it lives, or its owner signed out of it.

        One that was ended for a reason takes along what it left behind.
        """
        table = self._table
        left = sa.or_(table.c.ended_at.is_(None), table.c.end_reason == "logout")
        return sa.exists(sa.select(table.c.id).where(table.c.id == session_id, left)).label("session_stands")

    def is_open(self, session_id: UUID) -> sa.ColumnElement[bool]:
        """Whether the session has not been ended, as a column or a condition of another statement."""
        return sa.exists(sa.select(self._table.c.id).where(self._table.c.id == session_id, self._table.c.ended_at.is_(None)))

    def open(
        self,
        key: Key,
        *,
        client: Client,
        amr: Sequence[str],
        now: datetime,
        verified_hash: str | None = None,
        authenticated_at: datetime | None = None,
        until: datetime | None = None,
        bare: bool = False,
    ) -> SessionState | None:
        """A new session for the account; None if it is not active any more, or `verified_hash` no longer its password's.

        `authenticated_at`: when the person proved presence in full, if not now; `until`: when it ends at the latest, if before its time.
        `bare`: by one factor, so none is opened for an account that has another by now.
        The id is always made here; nothing a client sends can choose it (ASVS 7.2.4). The INSERT selects
        from the account's row, so that check and act are one also on SQLite, which has no row locks.
        """
        expires_at = now + self._settings.absolute_lifetime
        if until is not None:
            expires_at = min(expires_at, until)
        state = SessionState(
            id=uuid7(now), user_id=key, generation=0, rotated_at=None, created_at=now,
            authenticated_at=now if authenticated_at is None else authenticated_at,
            last_used_at=now, idle_expires_at=min(now + self._idle_lifetime, expires_at), expires_at=expires_at,
            ended_at=None, amr=tuple(amr), ip_address=_cut(client.address, 45), user_agent=_cut(client.user_agent, 255),
        )  # fmt: skip
        values = {f"new_{name}": getattr(state, name) for name in _COLUMNS} | {"new_amr": " ".join(state.amr), ACCOUNT: key}
        if verified_hash is None:
            inserted = self._users.execute(self._opening_bare if bare else self._opening, values)
        else:
            opening = self._opening_bare_by_password if bare else self._opening_by_password
            inserted = self._users.execute(opening, {**values, "verified_hash": verified_hash})
        return state if inserted.rowcount else None

    def heed_factors(self, since: Sequence[sa.ColumnElement[Any]]) -> None:
        """Have no session opened by one factor for an account that has a second one: the columns say since when. At start only.

        The statement that locks the account has told the gates, but where it had to wait for who sets a factor up, what it read
        beside the account is from before (PostgreSQL's statement, MariaDB's transaction). The INSERT reads anew.
        """
        none = [column.is_(None) for column in since]
        self._opening_bare = self._insert(*none)
        self._opening_bare_by_password = self._insert(self._users.c["password_hash"] == sa.bindparam("verified_hash"), *none)

    def heed_actors(self, actor_session: Callable[[sa.ColumnElement[UUID]], sa.ColumnElement[Any]]) -> None:
        """Read with each session by whose own it is used, where somebody acts in the owner's place: a column, and no statement. At start only."""
        self._beside = (actor_session(self._table.c.id).label(f"s_{_ACTOR}"),)
        self._standing_by_id, self._by_id = DirectRead(self._select_by_id(_STANDING)), self._select_by_id(_COLUMNS)

    def _insert(self, *fit: sa.ColumnElement[bool]) -> sa.Insert:
        """A session for an account, if that is active and `fit`."""
        users, table = self._users, self._table
        row = sa.select(*(sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in _COLUMNS))
        row = row.where(users.key_column == sa.bindparam(ACCOUNT), users.c["is_active"].is_(True), *fit)
        insert = sa.insert(table).from_select(list(_COLUMNS), row)
        return insert.execution_options(preserve_rowcount=True)  # psycopg would have forgotten it by the time it is asked

    def rotate(self, session_id: UUID, generation: int, now: datetime) -> tuple[Rotation, SessionState | None, UserView | None]:
        """Exchange `generation` for the next one: a compare-and-swap, then one read; two statements in all.

        The UPDATE comes first on purpose: it sees the newest row also where a read would have fixed an
        older snapshot (MariaDB's repeatable read).
        """
        known = {"session": session_id, "old": generation, "new": generation + 1, "moment": now, "idle": now + self._idle_lifetime}
        swapped = self._users.execute(self._rotation, known).rowcount
        found = self.find(session_id)
        if found is None:
            return Rotation.DEAD, None, None
        state, user = found
        if not user.is_active:
            return Rotation.DEAD, state, user
        if swapped:
            return Rotation.ROTATED, state, user
        if not state.is_live(now):
            return Rotation.DEAD, state, user
        just_now = state.rotated_at is not None and now - state.rotated_at < self._settings.grace_window
        if generation == state.generation - 1 and just_now:
            return Rotation.REPEATED, state, user
        self.end(session_id, reason="reuse", now=now)
        return Rotation.REUSED, state, user

    def _update(self) -> sa.Update:
        """The compare-and-swap of a rotation."""
        table = self._table
        moment, idle = sa.bindparam("moment", type_=UtcDateTime), sa.bindparam("idle", type_=UtcDateTime)
        return (
            sa.update(table)
            .where(
                table.c.id == sa.bindparam("session"), table.c.generation == sa.bindparam("old"), table.c.ended_at.is_(None),
                table.c.idle_expires_at > moment, table.c.expires_at > moment,
            )
            .values(
                generation=sa.bindparam("new"), rotated_at=moment, last_used_at=moment,
                idle_expires_at=sa.case((table.c.expires_at < idle, table.c.expires_at), else_=idle),
            )
        )  # fmt: skip

    def confirm(self, session_id: UUID, now: datetime, *, amr: Sequence[str] | None = None) -> None:
        """Note that the person behind the session proved presence at `now`; `amr`: by which methods in all."""
        values: dict[str, Any] = {"authenticated_at": now} | ({} if amr is None else {"amr": " ".join(amr)})
        self._users.execute(sa.update(self._table).where(self._table.c.id == session_id).values(values))

    def shorten(self, session: SessionState, until: datetime) -> SessionState:
        """Have a session end at `until` at the latest; returns it as it is then."""
        table, idle = self._table, min(session.idle_expires_at, until)
        later = sa.update(table).where(table.c.id == session.id, table.c.expires_at > until)
        self._users.execute(later.values(expires_at=until, idle_expires_at=idle))
        return replace(session, expires_at=until, idle_expires_at=idle)

    def end(self, session_id: UUID, *, reason: str, now: datetime, key: Key | None = None) -> bool:
        """End one session (of the account `key`, if given); False when there was none to end."""
        condition = [self._table.c.id == session_id, self._table.c.ended_at.is_(None)]
        if key is not None:
            condition.append(self._table.c.user_id == key)
        statement = sa.update(self._table).where(*condition).values(ended_at=now, end_reason=reason)
        return bool(self._users.execute(statement).rowcount)

    def end_all(self, key: Key, *, reason: str, now: datetime, except_for: UUID | None = None) -> list[UUID]:
        """End every live session of the account but `except_for`; returns the ended ones' ids."""
        ids = self._users.execute(sa.select(self._table.c.id).where(self._live(key, now)).with_for_update()).scalars()
        ended = [session_id for session_id in ids if session_id != except_for]
        # By account and not by the ids just read: a session that slipped in between must die too.
        condition = [self._table.c.user_id == key, self._table.c.ended_at.is_(None)]
        if except_for is not None:
            condition.append(self._table.c.id != except_for)
        self._users.execute(sa.update(self._table).where(*condition).values(ended_at=now, end_reason=reason))
        return ended

    def end_oldest(self, key: Key, *, newest: UUID, keep: int, now: datetime) -> list[UUID]:
        """End the account's oldest live sessions so that `keep` are left, `newest` among them.

        Exact, given that the caller holds the account's row.
        """
        table = self._table
        by_age = (
            sa.select(table.c.id)
            .where(self._live(key, now), table.c.id != newest)
            .order_by(table.c.created_at.desc(), table.c.id.desc())
        )
        surplus = by_age.offset(keep - 1).limit(1000)
        ending = sa.update(table).where(table.c.ended_at.is_(None)).values(ended_at=now, end_reason="limit")
        if self._users.dialect.update_returning:
            return list(self._users.execute(ending.where(table.c.id.in_(surplus)).returning(table.c.id)).scalars())
        # MariaDB: a locking read, since a plain one would count in an older snapshot.
        ids = list(self._users.execute(surplus.with_for_update()).scalars())
        if ids:
            self._users.execute(ending.where(table.c.id.in_(ids)))
        return ids

    def live(self, key: Key, now: datetime) -> list[SessionState]:
        """The account's live sessions, last used first."""
        own = [self._table.c[name].label(f"s_{name}") for name in _COLUMNS]
        statement = (
            sa.select(*own, *self._beside)
            .where(self._live(key, now))
            .order_by(self._table.c.last_used_at.desc(), self._table.c.id.desc())
        )
        return [_state(row) for row in self._users.execute(statement).mappings()]

    def export(self, key: Key) -> list[dict[str, Any]]:  # JSON values
        """What the rows of the account's sessions say, those that have ended too."""
        shown = (
            "id", "created_at", "authenticated_at", "last_used_at", "idle_expires_at", "expires_at", "ended_at", "end_reason", "amr",
            "ip_address", "user_agent",
        )  # fmt: skip
        columns = [self._table.c[name] for name in shown]
        rows = self._users.execute(sa.select(*columns).where(self._table.c.user_id == key).order_by(self._table.c.id)).mappings()
        exported: list[dict[str, Any]] = to_jsonable_python([{**row, "amr": row["amr"].split()} for row in rows])
        return exported

    def delete_all(self, key: Key) -> None:
        """Remove every session row of the account (it is being deleted)."""
        self._users.execute(sa.delete(self._table).where(self._table.c.user_id == key))

    def revoke_token(self, jti: str, expires_at: datetime) -> None:
        """Revoke one token that has no session; twice is no error (RFC 7009 section 2.2), also at the same moment."""
        insert = on_conflict(insert_into(self._users.dialect, self._revoked), self._revoked, [])
        self._users.execute(insert.values(jti=jti, expires_at=expires_at))

    def is_token_revoked(self, jti: str) -> bool:
        """Whether a token without a session was revoked."""
        return self._users.execute(sa.select(self._revoked.c.jti).where(self._revoked.c.jti == jti)).first() is not None

    def purge(self, now: datetime) -> int:
        """Delete the rows of sessions and revoked tokens whose time is over; returns how many."""
        over = sa.or_(self._table.c.expires_at <= now, self._table.c.idle_expires_at <= now, self._table.c.ended_at.is_not(None))
        gone = self._users.execute(sa.delete(self._table).where(over)).rowcount
        gone += self._users.execute(sa.delete(self._revoked).where(self._revoked.c.expires_at <= now)).rowcount
        return gone

    def _live(self, key: Key | sa.BindParameter[Any], now: datetime | sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
        table = self._table
        return sa.and_(table.c.user_id == key, table.c.ended_at.is_(None), table.c.idle_expires_at > now, table.c.expires_at > now)


def _state(row: sa.RowMapping) -> SessionState:
    return SessionState(**_values(row, _COLUMNS))


def _values(row: Row, columns: Sequence[str]) -> dict[str, Any]:
    return {name: row[f"s_{name}"] for name in columns} | {"amr": tuple(row["s_amr"].split()), _ACTOR: row.get(f"s_{_ACTOR}")}


def _cut(text: str | None, length: int) -> str | None:
    if text is None:
        return None
    # What a database cannot hold, or a log should not show, is left out (ASVS 16.4.1).
    return "".join(char for char in text if char.isprintable())[:length]
