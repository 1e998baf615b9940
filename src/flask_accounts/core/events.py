"""What happens, as data: one dataclass per event, each with a blinker signal.

`EventBus.emit` tells listeners inside the transaction at once (they may write rows) and keeps the
event until the transaction commits; then its signal is sent, with the Flask app as sender and the
event as `event=`. What is rolled back never happened, and no signal tells of it. Receivers may use
the database: they run after the transaction has ended, in a new one that they commit themselves (what
they leave uncommitted is rolled back). They may be `async`. The error of one is logged and stops nobody.

    from flask_accounts import events

    @events.UserRegistered.signal.connect
    def welcome(app, event):
        print(event.user_id, event.email)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

import blinker
import sqlalchemy.event
from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Session, SessionTransaction

logger: logging.Logger = logging.getLogger("flask_accounts.events")

Key = int | str | UUID
"""A user's primary key."""

_PENDING = "flask_accounts.pending_events"
_COMMITTED = "flask_accounts.committed_events"
_MARKS = "flask_accounts.savepoint_marks"


@dataclass(frozen=True)
class Client:
    """Where a request came from: the address (as Flask's `request.remote_addr`) and the user agent."""

    address: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events.

    `user_id` is the account it is about, `actor_id` who did it (None: nobody signed in, a command or
    host code), `client` where from. No event carries a password, token, code or hash.
    """

    signal: ClassVar[blinker.Signal]
    name: ClassVar[str]

    user_id: Key | None = None
    actor_id: Key | None = None
    client: Client | None = field(default=None, repr=False)
    at: datetime | None = None

    def __init_subclass__(cls, *, name: str, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = name
        cls.signal = blinker.Signal(cls.__doc__)


@dataclass(frozen=True, kw_only=True)
class UserRegistered(Event, name="user.registered"):
    """An account came to be, by registration, an administrator, a command or host code."""

    email: str


@dataclass(frozen=True, kw_only=True)
class UserUpdated(Event, name="user.updated"):
    """Fields of an account were changed; `fields` are their names, without values."""

    fields: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class UserDeleted(Event, name="user.deleted"):
    """An account and everything stored about it is gone."""


@dataclass(frozen=True, kw_only=True)
class UserDisabled(Event, name="user.disabled"):
    """An account was switched off; its sessions have ended."""

    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class UserEnabled(Event, name="user.enabled"):
    """An account was switched on again."""


@dataclass(frozen=True, kw_only=True)
class PasswordChanged(Event, name="password.changed"):
    """An account has a new password."""


@dataclass(frozen=True, kw_only=True)
class SignedIn(Event, name="session.opened"):
    """A sign-in was finished; `amr` are the methods used (RFC 8176)."""

    session_id: UUID
    amr: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SignInFailed(Event, name="session.refused"):
    """A sign-in was refused: `reason` is the error code, `login` what was typed as e-mail or username."""

    reason: str
    login: str | None = None


@dataclass(frozen=True, kw_only=True)
class Reauthenticated(Event, name="session.reauthenticated"):
    """A signed-in person proved presence again."""

    session_id: UUID


@dataclass(frozen=True, kw_only=True)
class SessionRefreshed(Event, name="session.refreshed"):
    """A refresh token was exchanged for the next generation."""

    session_id: UUID


@dataclass(frozen=True, kw_only=True)
class SessionEnded(Event, name="session.ended"):
    """A session is over; `reason` is one of `logout`, `revoked`, `password_changed`, `reuse`, `limit`, `disabled`."""

    session_id: UUID
    reason: str


@dataclass(frozen=True, kw_only=True)
class RefreshTokenReused(Event, name="session.reuse_detected"):
    """A refresh token of an older generation came back: somebody else holds a copy. The session was ended."""

    session_id: UUID


@dataclass(frozen=True, kw_only=True)
class AccessRefused(Event, name="access.refused"):
    """A signed-in caller tried what it has no permission for, or failed the CSRF check."""

    reason: str
    path: str | None = None


@dataclass(frozen=True, kw_only=True)
class RolesChanged(Event, name="roles.changed"):
    """An account's roles were changed; the tuples hold role names."""

    granted: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RoleSaved(Event, name="role.saved"):
    """A role was created or changed."""

    role: str
    permissions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RoleDeleted(Event, name="role.deleted"):
    """A role was deleted, and with it every grant of it."""

    role: str


Listener = Callable[[Event], None]
"""Called inside the transaction; what it writes is committed with the event, and its error fails the request."""


def event_types() -> Iterator[type[Event]]:
    """Every event there is, for the reference page."""
    return iter(Event.__subclasses__())


class EventBus:
    """Hands events to listeners in the transaction and, after commit, to their signals."""

    def __init__(self, db: SQLAlchemy, listeners: Sequence[Listener] = ()) -> None:
        self._db = db
        self._listeners = listeners  # not a copy: features add theirs while the app is set up

    def emit(self, event: Event) -> None:
        """Tell in-transaction listeners now, signal receivers once the transaction has committed."""
        for listener in self._listeners:
            listener(event)
        self._keep(event)

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run `action` once the transaction has committed; never if it is rolled back."""
        self._keep(action)

    def _keep(self, item: Event | Callable[[], None]) -> None:
        session = self._db.session()
        if not session.in_transaction():
            session.begin()  # so that a rollback has something to roll back, also before the first statement
        session.info.setdefault(_PENDING, []).append(item)


def install(db: SQLAlchemy) -> None:
    """Hang delivery on `db`'s sessions. Once per `db`; `Accounts` does it.

    Delivery waits for the *end* of the outermost transaction, not for `after_commit`, because inside
    that hook a session may not emit SQL and receivers usually want to.
    """

    @sqlalchemy.event.listens_for(db.session, "after_transaction_create")
    def created(session: Session, transaction: SessionTransaction) -> None:
        if transaction.nested:  # a savepoint: remember where its events begin
            session.info.setdefault(_MARKS, {})[transaction] = len(session.info.get(_PENDING, ()))

    @sqlalchemy.event.listens_for(db.session, "after_commit")
    def committed(session: Session) -> None:
        if not session.in_nested_transaction():
            session.info.setdefault(_COMMITTED, []).extend(session.info.pop(_PENDING, ()))

    @sqlalchemy.event.listens_for(db.session, "after_soft_rollback")
    def rolled_back(session: Session, transaction: SessionTransaction) -> None:
        # A failed flush rolls back a transaction of its own; what counts is the savepoint around it.
        marks: dict[SessionTransaction, int] = session.info.get(_MARKS, {})
        around: SessionTransaction | None = transaction
        while around is not None and around not in marks:
            around = around.parent
        del session.info.get(_PENDING, [])[marks[around] if around else 0 :]

    @sqlalchemy.event.listens_for(db.session, "after_transaction_end")
    def ended(session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            session.info.pop(_MARKS, None)
            session.info.pop(_PENDING, None)  # neither committed nor rolled back: the session was closed
            for item in session.info.pop(_COMMITTED, ()):
                for action in _actions(item):
                    _carry_out(action, item, session)


def _actions(item: Event | Callable[[], Any]) -> list[Callable[[], Any]]:
    """What is to be done about `item`: one call for each receiver, so that one's mistake is not another's loss."""
    if not isinstance(item, Event):
        return [item]
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # the proxy's own method
    return [partial(_send, app, receiver, item) for receiver in item.signal.receivers_for(app)]


def _send(app: Flask, receiver: Callable[..., Any], event: Event) -> None:
    app.ensure_sync(receiver)(app, event=event)


def _carry_out(action: Callable[[], Any], item: Event | Callable[[], Any], session: Session) -> None:
    try:
        action()
    except Exception:
        # The transaction has committed: a receiver's mistake must not turn the answer into an error.
        logger.exception("A receiver of %s failed.", getattr(item, "name", item))
    finally:
        if session.in_transaction():  # what a receiver has not committed is not left for others to commit
            session.rollback()
