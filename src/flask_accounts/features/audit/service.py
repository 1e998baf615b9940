"""The audit log: written by every event in its transaction, read newest first, erased and purged by law."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from ...core.events import Client, Event, Key, SessionRefreshed, SignInFailed, UserDeleted
from ...core.feature import Service
from ...core.identity import Principal, origin
from ...core.runtime import Runtime
from ...core.users import UserView
from . import log
from .chain import Chains, Keyring, Ticks, floor_of, id_of, new_salt, salted, signed_text
from .models import EventMixin
from .record import details_of, dump, printable
from .settings import AuditSettings

CHUNK = 1000
"""Rows that are read, or erased, at a time."""
LATE = timedelta(days=2)
"""Longer than any transaction: what it wrote before an account was deleted is there by then."""
DRIFT = timedelta(seconds=11)
"""More than an id's time differs from its event's, see `Ticks`."""


@dataclass(frozen=True)
class Record:
    """One event as it was written."""

    id: UUID
    at: datetime
    event: str
    outcome: str
    subject: str | None
    actor: str | None
    session_id: UUID | None
    address: str | None
    user_agent: str | None
    details: Mapping[str, Any]
    """What holds no personal data."""
    personal: Mapping[str, Any] = field(repr=False)
    """What does; empty once the account is gone."""


@dataclass(frozen=True)
class EventQuery:
    """Which events to list."""

    names: Sequence[str] = ()
    outcome: str | None = None
    subject: Key | None = None
    actor: Key | None = None
    after: datetime | None = None
    before: datetime | None = None


class AuditService(Service):
    """Writes and reads the audit log. Nothing here commits."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._settings = runtime.setting(AuditSettings)
        self._table: sa.Table = runtime.model(EventMixin).__table__
        self._insert = sa.insert(self._table)
        self._ticks = Ticks()
        self._chains = Chains(runtime)
        self.keyring: Keyring = Keyring(runtime)

    # Writing

    def record(self, event: Event) -> None:
        """Write a row of `event`, by one INSERT in the current transaction, and a log line once that has committed."""
        row, fields = self._row(event)
        if not isinstance(event, SessionRefreshed) or self._settings.record_refreshes:
            tick = self._ticks.next(row["at"])
            chain = self._chains.borrow(tick)
            row |= {"id": id_of(tick, _random62()), "chain": chain.id, "number": chain.number + 1}
            row["mac"] = self.keyring.sign(signed_text(row, chain.mac))
            self.runtime.users.execute(self._insert, row)
            chain.number, chain.mac, chain.tick = row["number"], row["mac"], tick
        self.runtime.events.after_commit(partial(log.write, fields))

    def _row(self, event: Event) -> tuple[dict[str, Any], dict[str, Any]]:
        """The row without its place in a chain, and the fields of the log line."""
        here = origin()
        caller = here.principal if here else None
        client = event.client or (here.client if here else None) or Client()
        actor = event.actor_id if event.actor_id is not None else (_acting(caller) if caller else None)
        if isinstance(event, UserDeleted) and event.user_id == actor:
            client = Client()  # the person who is just being forgotten
        session_id = getattr(event, "session_id", None) or (caller.session_id if caller else None)
        found = details_of(event)
        lasting, personal = dict(found.lasting), dict(found.personal)
        if isinstance(event, SignInFailed) and event.user_id is None and not self._settings.record_unknown_logins:
            typed = personal.pop("login", None)
            if typed is not None:
                lasting["login_tag"] = self.keyring.sign(b"login " + typed.encode()).hex()[:16]
        address, user_agent = printable(client.address, 45), printable(client.user_agent, 255)
        at = (event.at or self.runtime.clock.now()).astimezone(UTC)
        row: dict[str, Any] = {
            "at": at, "name": event.name, "outcome": "failure" if event.failure else "success",
            "subject": _text(event.user_id), "actor": _text(actor), "session_id": session_id, "details": dump(lasting),
            "address": address, "user_agent": user_agent, "client_salt": None, "client_digest": None,
            "personal": None, "personal_salt": None, "personal_digest": None,
        }  # fmt: skip
        if address is not None or user_agent is not None:
            row["client_salt"] = salt = new_salt()
            row["client_digest"] = salted(salt, address, user_agent)
        if personal:
            row["personal"], row["personal_salt"] = dump(personal), (salt := new_salt())
            row["personal_digest"] = salted(salt, row["personal"])
        fields = {
            "event": event.name, "outcome": row["outcome"], "subject": row["subject"], "actor": row["actor"],
            "session": session_id and str(session_id), "address": address, "user_agent": user_agent,
            "at": at.isoformat(), "details": lasting | personal,
        }  # fmt: skip
        return row, fields

    # Reading

    def page(self, query: EventQuery, *, beyond: UUID | None = None, limit: int) -> list[Record]:
        """`limit` events, newest first, from the one after `beyond` on; at the same cost however far."""
        statement = self._select(query).order_by(self._table.c.id.desc()).limit(limit)
        if beyond is not None:
            statement = statement.where(self._table.c.id < beyond)
        return [_record(row) for row in self._execute(statement).mappings()]

    def since(self, query: EventQuery, start: UUID) -> Iterator[Record]:
        """Every event from the id `start` on, oldest first."""
        while True:
            statement = self._select(query).where(self._table.c.id >= start).order_by(self._table.c.id).limit(CHUNK)
            rows = self._execute(statement).mappings().all()
            yield from (_record(row) for row in rows)
            if len(rows) < CHUNK:
                return
            start = UUID(int=rows[-1]["id"].int + 1)

    def of(self, user: Any, *, actor: bool = False, limit: int | None = None) -> tuple[list[Record], bool]:
        """The newest events about an account (with `actor`: what it caused about others, or about nothing), and whether these are all."""
        view = user if isinstance(user, UserView) else self.runtime.users.view(self.runtime.users.key_of(user))
        if view is None:
            return [], True
        # As everywhere: what is older than the account is not its own, since some databases give a key out again.
        query = EventQuery(after=view.created_at, actor=view.key) if actor else EventQuery(after=view.created_at, subject=view.key)
        statement = self._select(query).order_by(self._table.c.id.desc())
        if actor:
            statement = statement.where(sa.or_(self._table.c.subject.is_(None), self._table.c.subject != str(view.key)))
        rows = self._execute(statement if limit is None else statement.limit(limit + 1)).mappings().all()
        return [_record(row) for row in rows[:limit]], limit is None or len(rows) <= limit

    def _select(self, query: EventQuery) -> sa.Select[Any]:
        columns = self._table.c
        statement = sa.select(self._table)
        for column, value in ((columns.subject, query.subject), (columns.actor, query.actor)):
            if value is not None:
                statement = statement.where(column == str(value))
        if query.names:
            statement = statement.where(columns.name.in_(query.names))
        if query.outcome is not None:
            statement = statement.where(columns.outcome == query.outcome)
        # The ids first, since they are what the index has; then the exact time.
        if query.after is not None:
            statement = statement.where(columns.id >= _shifted(query.after, -DRIFT), columns.at >= query.after)
        if query.before is not None:
            statement = statement.where(columns.id < _shifted(query.before, DRIFT), columns.at < query.before)
        return statement

    # Forgetting

    def erase(self, key: Key, *, until: UUID | None = None) -> None:
        """Empty what is personal in the events of an account that is being deleted; what happened, and when, stays.

        Of events about the account: the personal details. Of events it caused, or that nobody known
        caused: address and user agent. An administrator's own remain in what he did to the account.
        """
        table, text = self._table, str(key)
        own_client = sa.or_(table.c.actor == text, sa.and_(table.c.actor.is_(None), table.c.subject == text))
        ids: set[UUID] = set()
        for column in (table.c.subject, table.c.actor):  # one index each
            statement = sa.select(table.c.id).where(
                column == text, sa.or_(table.c.client_salt.is_not(None), table.c.personal_salt.is_not(None))
            )
            ids.update(self._execute(statement if until is None else statement.where(table.c.id < until)).scalars())
        ordered = sorted(ids)
        for start in range(0, len(ordered), CHUNK):
            here = table.c.id.in_(ordered[start : start + CHUNK])
            # Locked in the order of their ids: two deletions that concern each other must not wait for each other.
            self._execute(sa.select(table.c.id).where(here).order_by(table.c.id).with_for_update()).all()
            gone = {"address": None, "user_agent": None, "client_salt": None}
            self._execute(sa.update(table).where(here, own_client).values(gone))
            self._execute(sa.update(table).where(here, table.c.subject == text).values(personal=None, personal_salt=None))

    def erase_late(self) -> None:
        """Erase what was written while an account was being deleted, by requests that were under way."""
        columns = self._table.c
        deleted = sa.select(columns.id, columns.subject).where(
            columns.name == UserDeleted.name, columns.id >= floor_of(self.runtime.clock.now() - LATE)
        )
        for row in self._execute(deleted).all():
            self.erase(row.subject, until=row.id)

    def _execute(self, statement: sa.Executable) -> sa.CursorResult[Any]:
        return self.runtime.users.execute(statement)


def _acting(caller: Principal) -> Key:
    return caller.user_id if caller.actor is None else caller.actor


def _text(key: Key | None) -> str | None:
    return None if key is None else str(key)


def _shifted(at: datetime, span: timedelta) -> UUID:
    try:
        return floor_of(at + span)
    except OverflowError:
        return floor_of(at)


def _random62() -> int:
    return int.from_bytes(new_salt()[:8]) >> 2


def _record(row: sa.RowMapping) -> Record:
    return Record(
        id=row["id"], at=row["at"], event=row["name"], outcome=row["outcome"], subject=row["subject"], actor=row["actor"],
        session_id=row["session_id"], address=row["address"], user_agent=row["user_agent"],
        details=json.loads(row["details"]), personal=json.loads(row["personal"] or "{}"),
    )  # fmt: skip
