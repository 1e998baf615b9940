"""Password reset: a mailed single-use token lets the owner set a new password."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...core.checkups import Checkup
from ...core.events import EmailChanged, Event, Listener, PasswordChanged, UserDisabled
from ...core.feature import Feature, Service
from ...core.http import Route
from ...core.one_time import ONE_TIME_TABLE, OneTimeTokenMixin
from ...core.runtime import Runtime
from ...core.settings import Settings
from .checkup import CHECKUPS
from .routes import ROUTES, USERS_ROUTES
from .service import PURPOSE, PasswordResetService
from .settings import PasswordResetSettings


class PasswordReset(Feature):
    """Recovery of an account whose password is forgotten."""

    name: ClassVar[str] = "password_reset"
    requires: ClassVar[tuple[str, ...]] = ("password", "users", "roles")
    settings: ClassVar[tuple[type[Settings], ...]] = (PasswordResetSettings,)
    services: ClassVar[tuple[type[Service], ...]] = (PasswordResetService,)
    auth_routes: ClassVar[tuple[Route, ...]] = ROUTES
    users_routes: ClassVar[tuple[Route, ...]] = USERS_ROUTES
    tables: ClassVar[dict[type, str]] = {OneTimeTokenMixin: ONE_TIME_TABLE}
    templates: ClassVar[bool] = True
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS

    def listeners(self, runtime: Runtime) -> Sequence[Listener]:
        """Outstanding tokens are void once the password or the address has changed, or the account is off."""

        def listen(event: Event) -> None:
            if isinstance(event, PasswordChanged | EmailChanged | UserDisabled) and event.user_id is not None:
                runtime.one_time.void(PURPOSE, user_id=event.user_id)

        return (listen,)
