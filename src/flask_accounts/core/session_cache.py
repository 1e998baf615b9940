"""What authenticating a request found out, kept for some seconds for those who ask for it; off by default.

It only ever lets in: whoever it would refuse is looked up in the database, and whoever writes, refreshes or steps up always is. It is
dropped after the commit of whatever changes the account or its sessions: in the process that did it at once; in others at once too
if they share marks in Redis, and otherwise once the seconds are over. A change that nobody here hears of (SQL written by hand, another
program, an UPDATE without an object) is seen once the seconds are over.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol
from uuid import UUID

import sqlalchemy as sa
from flask import current_app, has_app_context
from sqlalchemy.orm import object_session

from .errors import ConfigurationError
from .events import Event, EventBus, RoleDeleted, RoleSaved
from .sessions import SessionStanding, SessionStore
from .users import UserView

logger: logging.Logger = logging.getLogger("flask_accounts.session_cache")

MOST = 10_000
"""Accounts that are kept at most; when there would be more it begins anew."""
PATIENCE = 0.2
"""Seconds to wait for Redis: a dead one must not hold up requests."""
PAUSE = timedelta(seconds=5)
"""How long a Redis that failed is not asked again."""

Found = tuple[SessionStanding, UserView]
Marked = tuple[Any, ...]  # what the marks hold: compared, never looked into


class Marks(Protocol):
    """Where processes tell each other that something has changed."""

    def read(self, names: Sequence[str]) -> Marked:
        """What the marks of `names` are now."""
        ...

    def change(self, name: str) -> None:
        """Make the mark of `name` another one than it was, for twice as long as anything is kept."""
        ...


class MarksUnavailable(Exception):
    """The marks cannot be read or changed now."""


class RedisMarks:
    """Marks in Redis: a random word for each account that changed a moment ago."""

    def __init__(self, url: str, keep: timedelta) -> None:
        try:
            import redis
        except ImportError:
            raise ConfigurationError(
                "ACCOUNTS_SESSIONS_CACHE names Redis, whose client is not installed: pip install 'flask-accounts-api[redis]'."
            ) from None
        self._errors = (redis.RedisError, OSError)
        self._redis = redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
        self._keep = max(1, int(keep.total_seconds() * 2 + 1))

    def read(self, names: Sequence[str]) -> Marked:
        """As `Marks.read`."""
        try:
            return tuple(self._redis.mget([_mark(name) for name in names]))
        except self._errors as error:
            raise MarksUnavailable from error

    def change(self, name: str) -> None:
        """As `Marks.change`."""
        try:
            self._redis.set(_mark(name), secrets.token_hex(8), ex=self._keep)
        except self._errors as error:
            raise MarksUnavailable from error


def _mark(name: str) -> str:
    return f"flask-accounts:changed:{name}"


EVERYBODY = "*"
"""The name of the mark that concerns all accounts; no key is called so."""


@dataclass(frozen=True)
class _Kept:
    found: Found
    read_at: datetime
    marks: Marked


class SessionCache:
    """Answers as `SessionStore.standing` does, and remembers for `seconds` what it said."""

    def __init__(self, sessions: SessionStore, seconds: timedelta, marks: Marks | None = None) -> None:
        self._sessions = sessions
        self._seconds = seconds
        self._marks = marks
        self._asleep_until: datetime | None = None
        self._lock = threading.Lock()
        self._kept: dict[str, dict[UUID, _Kept]] = {}
        self._changes = 0

    def standing(self, session_id: UUID, subject: str, now: datetime) -> Found | None:
        """How the session of the account `subject` stands; what is kept is only given out for one that lives."""
        kept = self._kept.get(subject, {}).get(session_id)
        changes = self._changes
        try:
            marks = self._read_marks(subject, now)
        except MarksUnavailable:
            return self._sessions.standing(session_id)
        if kept and kept.marks == marks and timedelta(0) <= now - kept.read_at < self._seconds and kept.found[0].is_live(now):
            session, user = kept.found
            return session, user.apart()
        found = self._sessions.standing(session_id)
        if found and str(found[1].key) == subject and found[0].is_live(now) and found[1].is_active:
            self._keep(subject, session_id, _Kept((found[0], found[1].apart()), now, marks), changes)
        return found

    def forget(self, subject: str) -> None:
        """Drop what is kept of an account, or of `EVERYBODY`, here and wherever the marks are read."""
        with self._lock:
            self._changes += 1  # what another thread has read meanwhile may be older than the change
            if subject == EVERYBODY:
                self._kept.clear()
            else:
                self._kept.pop(subject, None)
        if self._marks:
            try:
                self._marks.change(subject)
            except MarksUnavailable as error:
                logger.error(
                    "Other processes see a change of an account up to %s later: Redis is away.", self._seconds, exc_info=error
                )

    def _read_marks(self, subject: str, now: datetime) -> Marked:
        if self._marks is None:
            return ()
        if self._asleep_until and now < self._asleep_until:
            raise MarksUnavailable
        try:
            return self._marks.read([subject, EVERYBODY])
        except MarksUnavailable:
            self._asleep_until = now + PAUSE
            logger.exception("Redis is away: sessions are looked up in the database.")
            raise

    def _keep(self, subject: str, session_id: UUID, kept: _Kept, changes: int) -> None:
        with self._lock:
            if changes != self._changes:
                return
            if len(self._kept) >= MOST:
                self._kept.clear()
            own = self._kept.get(subject, {})
            live = {key: other for key, other in own.items() if kept.read_at - other.read_at < self._seconds}
            self._kept[subject] = live | {session_id: kept}


def open_cache(place: str, seconds: timedelta, sessions: SessionStore) -> SessionCache | None:
    """The cache that the setting names, None for none; `ConfigurationError` if there is none such."""
    if not place:
        return None
    if place == "memory":
        return SessionCache(sessions, seconds)
    if place.startswith(("redis://", "rediss://", "unix://")):
        return SessionCache(sessions, seconds, RedisMarks(place, seconds))
    raise ConfigurationError("ACCOUNTS_SESSIONS_CACHE is empty, 'memory' or a URL such as redis://host:6379/0.")


def keep_true(cache: SessionCache, runtime_events: EventBus, model: type[Any]) -> None:
    """Have `cache` forget an account after the commit of what happened to it: told by an event, or done to an object of the user class."""

    def told(event: Event) -> None:
        if isinstance(event, RoleSaved | RoleDeleted):
            runtime_events.after_commit(partial(cache.forget, EVERYBODY))
        elif event.user_id is not None:
            runtime_events.after_commit(partial(cache.forget, str(event.user_id)))

    runtime_events.listen(told)
    for name in ("after_update", "after_delete"):
        if not sa.event.contains(model, name, _changed):  # the class may serve several apps
            sa.event.listen(model, name, _changed)


def _changed(mapper: object, connection: sa.Connection, user: Any) -> None:  # an object of the host's class
    runtime = current_app.extensions.get("accounts") if has_app_context() else None
    if runtime is None or runtime.session_cache is None:
        return
    forget = partial(runtime.session_cache.forget, str(runtime.users.key_of(user)))
    if object_session(user) is runtime.db.session():
        runtime.events.after_commit(forget)
    else:
        forget()  # in a session of the host's own, whose commit nobody here hears of
