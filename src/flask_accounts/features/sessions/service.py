"""Sessions as host code, commands and views work with them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ...core.errors import NotFound
from ...core.events import Client, Key, SessionEnded
from ...core.feature import Service
from ...core.gates import LoginAttempt
from ...core.login import LoginPipeline, SignIn
from ...core.sessions import SessionState


class SessionService(Service):
    """Open, list and end sessions of an account; `user` is an object of the user class, or a key."""

    def open(self, user: Any, *, amr: tuple[str, ...] = ("host",), client: Client | None = None) -> SignIn:
        """Sign an account in by host code (its own credential was checked): the gates, a session, tokens.

        Returns user, session and tokens; raises `AccountDisabled`, or what another gate raises.
        """
        key = self.runtime.users.key_of(user)
        return self.runtime.get(LoginPipeline).finish(LoginAttempt(key, amr, client or Client()))

    def live(self, user: Any) -> list[SessionState]:
        """The account's live sessions, last used first."""
        return self.runtime.sessions.live(self.runtime.users.key_of(user), self.runtime.clock.now())

    def revoke(self, user: Any, session_id: UUID, *, actor_id: Key | None = None, client: Client | None = None) -> None:
        """End one session of the account; `NotFound` if it has no such live session."""
        key, now = self.runtime.users.key_of(user), self.runtime.clock.now()
        if not self.runtime.sessions.end(session_id, reason="revoked", now=now, key=key):
            raise NotFound
        self._tell(key, [session_id], actor_id, client, now)

    def revoke_all(
        self, user: Any, *, except_for: UUID | None = None, actor_id: Key | None = None, client: Client | None = None
    ) -> int:
        """End every session of the account but `except_for`; returns how many were live."""
        key, now = self.runtime.users.key_of(user), self.runtime.clock.now()
        ended = self.runtime.sessions.end_all(key, reason="revoked", now=now, except_for=except_for)
        self._tell(key, ended, actor_id, client, now)
        return len(ended)

    def revoke_token(self, claims: Mapping[str, Any]) -> None:
        """Revoke a token by its claims: its session, or for a token without one, the token alone (by `jti`)."""
        now = self.runtime.clock.now()
        if "sid" in claims:
            self.runtime.sessions.end(UUID(claims["sid"]), reason="revoked", now=now)
        else:
            self.runtime.sessions.revoke_token(claims["jti"], datetime.fromtimestamp(claims["exp"], UTC))

    def _tell(self, key: Key, ended: list[UUID], actor_id: Key | None, client: Client | None, now: datetime) -> None:
        for session_id in ended:
            self.runtime.events.emit(
                SessionEnded(user_id=key, actor_id=actor_id, client=client, at=now, session_id=session_id, reason="revoked")
            )
