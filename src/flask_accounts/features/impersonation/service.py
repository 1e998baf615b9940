"""Who may act in whose place, and what ends it.

The row of a running one says by which session of the actor's own it was begun. That session is read with every request of it, and with it
the actor's account and permissions: whatever ends or weakens them ends it at once, told or not. The listener ends it for good as well, so
that lists and the audit log are true.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic_core import to_jsonable_python

from ...core.errors import (
    ImpersonationRefused,
    NotWhileImpersonating,
    PermissionDenied,
    ReauthenticationRequired,
    ValidationError,
)
from ...core.events import (
    Client,
    Event,
    ImpersonationEnded,
    ImpersonationStarted,
    Key,
    RoleDeleted,
    RoleSaved,
    RolesChanged,
    SessionEnded,
)
from ...core.feature import Service
from ...core.gates import Actor, LoginAttempt
from ...core.identity import Principal
from ...core.login import LoginPipeline, SignIn
from ...core.runtime import Runtime
from ...core.sessions import SessionState
from ...core.users import UserView
from ..roles.service import RoleService
from .models import MAX_REASON, ImpersonationMixin
from .settings import ImpersonationSettings

PERMISSION = "users:impersonate"
GONE = "actor_gone"
"""Why a session ends in which nobody acts any more."""


@dataclass(frozen=True)
class Running:
    """Somebody acts in another's place."""

    session_id: UUID
    user_id: Key
    actor_id: Key
    actor_session_id: UUID
    reason: str
    started_at: datetime
    expires_at: datetime


class ImpersonationService(Service):
    """Begins and ends impersonation, and is the core's `Acting`. `user` is an object of the user class, a view or a key. Nothing here commits
    but a refusal that is remembered.
    """

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._settings = runtime.setting(ImpersonationSettings)
        self._table: sa.Table = runtime.model(ImpersonationMixin).__table__

    # What the core asks

    def actor_session(self, session_id: sa.ColumnElement[UUID]) -> sa.ColumnElement[Any]:
        """As `Acting.actor_session`."""
        c = self._table.c
        return sa.select(c.actor_session_id).where(c.id == session_id).scalar_subquery()

    def may(self, actor: UserView, user: UserView) -> bool:
        """As `Acting.may`: by what both may do at this moment."""
        return self._allowed(actor) and not self._administers(user) and _covers(actor, user.permissions)

    def opened(self, actor: Actor, user: UserView, session: SessionState, client: Client) -> None:
        """As `Acting.opened`; the one before of the same session of the actor's ends."""
        runtime, now = self.runtime, self.runtime.clock.now()
        for earlier in self._running(self._table.c.actor_session_id == actor.session_id):
            self._end(earlier, actor_id=actor.user_id, client=client, now=now)
        values = {
            "id": session.id, "user_id": user.key, "actor_id": actor.user_id, "actor_session_id": actor.session_id, "reason": actor.reason,
            "started_at": now, "expires_at": session.expires_at,
        }  # fmt: skip
        runtime.users.execute(sa.insert(self._table).values(values))
        runtime.events.emit(
            ImpersonationStarted(
                user_id=user.key, actor_id=actor.user_id, client=client, at=now, session_id=session.id, reason=actor.reason,
                until=session.expires_at,
            )
        )  # fmt: skip
        if self._settings.notice and runtime.mail.available:
            # Neither who nor why: what support writes to itself is not for everybody's eyes.
            runtime.write("impersonated", user, time=f"{now:%Y-%m-%d %H:%M} UTC", minutes=_minutes(session.expires_at - now))

    # For views and hosts

    def start(self, actor: Principal, user: Any, reason: str, *, client: Client | None = None) -> SignIn:
        """Open a session in which `actor`, who is signed in, acts in the place of `user`: the gates of every sign-in, and a token that cannot
        be refreshed.

        Raises `ValidationError` without a reason, `ReauthenticationRequired` for an actor without a session, `PermissionDenied` for who
        may not, or would gain a permission by it, `ImpersonationRefused` for oneself, an administrator, a program's account, and where a gate
        asks for more than the actor has shown, `AccountDisabled`, and what other gates raise.
        """
        runtime, reason = self.runtime, reason.strip()
        if not reason or len(reason) > MAX_REASON or not reason.isprintable():
            raise ValidationError.one("reason", "reason_missing", "Say why, in one line of at most 255 characters.")
        if actor.session_id is None:
            raise ReauthenticationRequired
        view = user if isinstance(user, UserView) else runtime.users.named(str(runtime.users.key_of(user)))
        self._check(actor, view)
        attempt = LoginAttempt(
            view.key, actor.amr, client or Client(), authenticated_at=actor.auth_time,
            session_until=runtime.clock.now() + self._settings.lifetime, actor=Actor(actor.user_id, actor.session_id, reason),
        )  # fmt: skip
        return runtime.get(LoginPipeline).finish(attempt)

    def running(self, user: Any = None) -> list[Running]:
        """Those that run, or those in the place of `user`, oldest first."""
        c, fits = self._table.c, [self._table.c.expires_at > self.runtime.clock.now()]
        if user is not None:
            fits.append(c.user_id == self.runtime.users.key_of(user))
        return self._running(*fits)

    def end(self, user: Any, *, actor_id: Key | None = None, client: Client | None = None) -> int:
        """End whatever is done in the place of `user`; returns how many there were."""
        running = self.running(user)
        for each in running:
            self._end(each, actor_id=actor_id, client=client, reason="revoked", now=self.runtime.clock.now())
        return len(running)

    def _check(self, actor: Principal, view: UserView) -> None:
        roles = self.runtime.get(RoleService)
        if actor.actor is not None:
            raise NotWhileImpersonating
        if not actor.can(PERMISSION):
            raise PermissionDenied
        if view.key == actor.user_id:
            raise ImpersonationRefused("This is your own account.")
        if self._administers(view):
            raise ImpersonationRefused("Whoever administers accounts is not impersonated.")
        roles.may_act_on(actor, view)
        roles.may_grant(set(view.roles) - set(self._settings.harmless_roles), actor)

    def _allowed(self, actor: UserView) -> bool:
        return _covers(actor, (PERMISSION,))

    def _administers(self, user: UserView) -> bool:
        """Whether the account has power over accounts: the administrators' role, or a permission that accounts themselves ask for."""
        runtime = self.runtime
        return runtime.get(RoleService).admin_role in user.roles or not user.permissions.isdisjoint({"*", *runtime.permissions})

    # Ending

    def hear(self, event: Event) -> None:
        """End what rests on something that is over."""
        c = self._table.c
        if isinstance(event, SessionEnded):
            for each in self._running(sa.or_(c.id == event.session_id, c.actor_session_id == event.session_id)):
                if each.session_id == event.session_id:
                    self._forget(each, event)
                else:
                    self._end(each, actor_id=event.actor_id, client=event.client, now=self.runtime.clock.now())
        elif isinstance(event, RolesChanged) and event.user_id is not None:
            self._review(self._running(sa.or_(c.user_id == event.user_id, c.actor_id == event.user_id)), event)
        elif isinstance(event, RoleSaved | RoleDeleted):
            self._review(self.running(), event)

    def _review(self, running: Iterable[Running], event: Event) -> None:
        users = self.runtime.users
        for each in running:
            actor, user = users.view(each.actor_id), users.view(each.user_id)
            if actor is None or user is None or not self.may(actor, user):
                self._end(each, actor_id=event.actor_id, client=event.client, now=self.runtime.clock.now())

    def _end(self, each: Running, *, actor_id: Key | None, client: Client | None, now: datetime, reason: str = GONE) -> None:
        runtime = self.runtime
        told = SessionEnded(
            user_id=each.user_id, actor_id=actor_id, client=client, at=now, session_id=each.session_id, reason=reason
        )
        if runtime.sessions.end(each.session_id, reason=reason, now=now):
            runtime.events.emit(told)  # which comes back to `hear`
        else:
            self._forget(each, told)

    def _forget(self, each: Running, event: SessionEnded) -> None:
        self._delete(self._table.c.id == each.session_id)
        self.runtime.events.emit(
            ImpersonationEnded(
                user_id=each.user_id, actor_id=each.actor_id, client=event.client, at=event.at, session_id=each.session_id,
                reason=event.reason,
            )
        )  # fmt: skip

    def erase(self, key: Key) -> None:
        """End what an account that is being deleted does in others' places, and forget what was done in its own."""
        c, now = self._table.c, self.runtime.clock.now()
        for each in self._running(c.actor_id == key):
            self._end(each, actor_id=None, client=None, now=now)
        self._delete(sa.or_(c.user_id == key, c.actor_id == key))

    def export(self, key: Key) -> list[dict[str, Any]] | None:  # JSON values
        """When somebody began to act in the account's place, and until when he may; None where nobody does."""
        running = self.running(key)
        exported: list[dict[str, Any]] = to_jsonable_python(
            [{"session_id": each.session_id, "started_at": each.started_at, "expires_at": each.expires_at} for each in running]
        )
        return exported or None

    def purge(self) -> int:
        """Delete those whose time is over; returns how many."""
        return self._delete(self._table.c.expires_at <= self.runtime.clock.now())

    def _running(self, *fits: sa.ColumnElement[bool]) -> list[Running]:
        c = self._table.c
        columns = [c.id.label("session_id"), *(c[name] for name in Running.__dataclass_fields__ if name != "session_id")]
        rows = self.runtime.users.execute(sa.select(*columns).where(*fits).order_by(c.id)).mappings()
        return [Running(**row) for row in rows]

    def _delete(self, fits: sa.ColumnElement[bool]) -> int:
        return self.runtime.users.execute(sa.delete(self._table).where(fits)).rowcount


def _covers(actor: UserView, permissions: Iterable[str]) -> bool:
    return "*" in actor.permissions or set(permissions) <= actor.permissions


def _minutes(span: timedelta) -> int:
    return max(1, int(span.total_seconds() // 60))
