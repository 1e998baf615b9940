"""Change of the e-mail address: the new one proves itself first, the old one is told and can undo.

POST /email/change           a token goes to the new address, a word of warning to the old one
POST /email/change/confirm   the address is changed; the old one gets a token that undoes it
POST /email/change/undo      the old address is back, every session ends, and the password has to be set anew
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ...core.checkups import Checkup
from ...core.events import Key, Listener
from ...core.feature import Feature, Service
from ...core.http import Route
from ...core.one_time import ONE_TIME_TABLE, OneTimeTokenMixin
from ...core.runtime import Runtime
from ...core.settings import Settings
from .checkup import CHECKUPS
from .routes import ROUTES
from .service import EmailChangeService
from .settings import EmailChangeSettings


class EmailChange(Feature):
    """Changes of address that are proved by the new one and can be undone by the old one."""

    name: ClassVar[str] = "email_change"
    requires: ClassVar[tuple[str, ...]] = ("password", "users", "password_reset")
    settings: ClassVar[tuple[type[Settings], ...]] = (EmailChangeSettings,)
    services: ClassVar[tuple[type[Service], ...]] = (EmailChangeService,)
    auth_routes: ClassVar[tuple[Route, ...]] = ROUTES
    tables: ClassVar[dict[type, str]] = {OneTimeTokenMixin: ONE_TIME_TABLE}
    templates: ClassVar[bool] = True
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS

    def email_change_needs_proof(self, runtime: Runtime) -> bool:
        """Owners do not change their address in any other way, unless the app says so."""
        return not runtime.setting(EmailChangeSettings).direct

    def listeners(self, runtime: Runtime) -> Sequence[Listener]:
        """A changed address is told to the old one, whatever way it was changed; what calls a change off is heard of."""
        return (runtime.get(EmailChangeService).hear,)

    def export(self, runtime: Runtime, key: Key) -> Any:
        """The addresses that wait for their proof, and those that can still undo."""
        return runtime.get(EmailChangeService).export(key)
