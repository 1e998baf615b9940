"""Sign-in by a mailed link or code, from the browser that asked for it. Opt-in, since it is one more way in.

POST /magic-link         a link and a code go to the account's address
POST /magic-link/login   either of them opens a session, through the same gates as a password
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...core.checkups import Checkup
from ...core.events import EmailChanged, Event, Key, Listener, PasswordChanged, UserDisabled
from ...core.feature import Feature, Service
from ...core.http import Route
from ...core.one_time import ONE_TIME_TABLE, OneTimeTokenMixin
from ...core.runtime import Runtime
from ...core.settings import Settings
from .checkup import CHECKUPS
from .routes import ROUTES
from .service import MagicLinkService
from .settings import MagicLinkSettings


class MagicLink(Feature):
    """Sign-in by mail."""

    name: ClassVar[str] = "magic_link"
    requires: ClassVar[tuple[str, ...]] = ("password",)
    settings: ClassVar[tuple[type[Settings], ...]] = (MagicLinkSettings,)
    services: ClassVar[tuple[type[Service], ...]] = (MagicLinkService,)
    auth_routes: ClassVar[tuple[Route, ...]] = ROUTES
    tables: ClassVar[dict[type, str]] = {OneTimeTokenMixin: ONE_TIME_TABLE}
    templates: ClassVar[bool] = True
    mail_samples: ClassVar[Mapping[str, Any]] = {"asked": "Firefox on Linux, 192.0.2.7, 2026-01-31 12:00 UTC", "bound": True}
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS

    def is_way_in(self, runtime: Runtime, key: Key) -> bool:
        """Every account has an address; it takes mail to use it."""
        return runtime.mail.available

    def listeners(self, runtime: Runtime) -> Sequence[Listener]:
        """What was mailed is void once the password or the address has changed, or the account is off."""

        def listen(event: Event) -> None:
            if isinstance(event, PasswordChanged | EmailChanged | UserDisabled) and event.user_id is not None:
                runtime.get(MagicLinkService).void(event.user_id)

        return (listen,)
