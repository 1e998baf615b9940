"""An owner's deletion of the account: at once, or after a time in which signing in brings it back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...core.errors import NotFound
from ...core.events import Client, Key, SessionEnded, UserDeletionRequested
from ...core.feature import Service
from ...core.users import UserView
from ..roles.service import RoleService
from .service import UserService
from .settings import DeletionSettings
from .standing import StandingService


class LeavingService(Service):
    """Accounts whose owners leave; `user` is an object of the user class, a view or a key."""

    @property
    def settings(self) -> DeletionSettings:
        """How long an account can be brought back."""
        return self.runtime.setting(DeletionSettings)

    def leave(self, user: Any, *, client: Client | None = None) -> datetime | None:
        """Delete an account for its owner. Returns when it will be erased; None: it is, there is no time of grace.

        Its sessions end at once, and nobody uses it any more; signing in brings it back until it is erased. Its owner is told by
        mail. `NotFound`, `LastAdministrator`. Does not commit.
        """
        runtime, grace = self.runtime, self.settings.grace
        view = user if isinstance(user, UserView) else runtime.users.view(runtime.users.key_of(user))
        if view is None:
            raise NotFound
        if not grace:
            self._tell("account_erased", view, client)
            runtime.get(UserService).delete(view, actor_id=view.key, client=client)
            return None
        runtime.get(RoleService).keep_an_administrator(view)
        if runtime.users.locked(view.key) is None:
            raise NotFound
        now = runtime.clock.now()
        erase_at = now + grace
        runtime.users.set_active(view.key, value=False, now=now)
        runtime.get(StandingService).note_deletion(view.key, now=now, erase_at=erase_at)
        ended = runtime.sessions.end_all(view.key, reason="deleted", now=now)
        who: dict[str, Any] = {"user_id": view.key, "actor_id": view.key, "client": client, "at": now}
        runtime.events.emit(UserDeletionRequested(**who, erase_at=erase_at))
        for session_id in ended:
            runtime.events.emit(SessionEnded(**who, session_id=session_id, reason="deleted"))
        self._tell("account_deleted", view, client, day=f"{erase_at:%Y-%m-%d}")
        return erase_at

    def purge(self) -> int:
        """Erase the accounts whose time is over, each in a transaction of its own; returns how many."""
        return self.runtime.get(StandingService).erase_due(self._erase)

    def _erase(self, key: Key) -> bool:
        runtime, standing = self.runtime, self.runtime.get(StandingService)
        found = runtime.users.locked(key)
        if found is None:
            return False
        view, _ = found
        if not standing.take_deletion(key, runtime.clock.now()):
            if view.is_active:
                standing.forget_deletion(key)  # switched on by other means than ours
            return False
        self._tell("account_erased", view, None)
        runtime.get(UserService).delete(view)
        return True

    def _tell(self, name: str, view: UserView, client: Client | None, **context: Any) -> None:
        if self.settings.notice and self.runtime.mail.available:
            self.runtime.write(name, view, client=client, **context)
