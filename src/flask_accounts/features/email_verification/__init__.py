"""E-mail verification: by link or by code; and registration that does not tell which addresses are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...core.checkups import Checkup
from ...core.events import Event, Listener
from ...core.feature import Feature, Service
from ...core.gates import Gate
from ...core.http import Route
from ...core.one_time import ONE_TIME_TABLE, OneTimeTokenMixin
from ...core.runtime import Runtime
from ...core.settings import Settings
from .checkup import CHECKUPS
from .gate import verified_gate
from .routes import ROUTES, USERS_ROUTES
from .service import EmailVerificationService
from .settings import EmailVerificationSettings


class EmailVerification(Feature):
    """Proof that an account's address is its owner's."""

    name: ClassVar[str] = "email_verification"
    requires: ClassVar[tuple[str, ...]] = ("users", "roles")
    settings: ClassVar[tuple[type[Settings], ...]] = (EmailVerificationSettings,)
    services: ClassVar[tuple[type[Service], ...]] = (EmailVerificationService,)
    auth_routes: ClassVar[tuple[Route, ...]] = ROUTES
    users_routes: ClassVar[tuple[Route, ...]] = USERS_ROUTES
    tables: ClassVar[dict[type, str]] = {OneTimeTokenMixin: ONE_TIME_TABLE}
    templates: ClassVar[bool] = True
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS

    def gates(self, runtime: Runtime) -> Sequence[Gate]:
        """Where verification is required, no unverified account gets a session."""
        return (verified_gate,) if runtime.setting(EmailVerificationSettings).mode == "required" else ()

    def conceals_accounts(self, runtime: Runtime) -> bool:
        """Where verification is required, registration answers known and new addresses alike."""
        return runtime.setting(EmailVerificationSettings).mode == "required"

    def listeners(self, runtime: Runtime) -> Sequence[Listener]:
        """A new or changed address is asked to prove itself."""

        def listen(event: Event) -> None:
            runtime.get(EmailVerificationService).hear(event)

        return (listen,)
