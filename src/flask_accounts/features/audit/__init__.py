"""The audit log: every event as a row in its own transaction, in chains that show what was removed or altered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import click

from ...core.checkups import Checkup
from ...core.events import Key, Listener
from ...core.feature import Feature, Service
from ...core.http import Route
from ...core.runtime import Runtime
from ...core.settings import Settings
from .checkup import CHECKUPS
from .cli import events
from .export import exported
from .models import EventMixin, SealMixin
from .routes import AUTH_ROUTES, USERS_ROUTES
from .seals import SealService
from .service import AuditService
from .settings import AuditSettings


class Audit(Feature):
    """A log of everything that happens, in which tampering shows."""

    name: ClassVar[str] = "audit"
    settings: ClassVar[tuple[type[Settings], ...]] = (AuditSettings,)
    tables: ClassVar[dict[type, str]] = {EventMixin: "accounts_events", SealMixin: "accounts_event_seals"}
    services: ClassVar[tuple[type[Service], ...]] = (AuditService, SealService)
    auth_routes: ClassVar[tuple[Route, ...]] = AUTH_ROUTES
    users_routes: ClassVar[tuple[Route, ...]] = USERS_ROUTES
    permissions: ClassVar[dict[str, str]] = {"audit:read": "See what happened to every account, with addresses and user agents."}
    commands: ClassVar[tuple[click.Command, ...]] = (events,)
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS

    def listeners(self, runtime: Runtime) -> Sequence[Listener]:
        """Every event is written down."""
        return (runtime.get(AuditService).record,)

    def export(self, runtime: Runtime, key: Key) -> Any:
        """What happened to the account, and what it did."""
        return exported(runtime, key)

    def erase(self, runtime: Runtime, key: Key) -> None:
        """Empty the personal parts of an account's events; the events stay."""
        runtime.get(AuditService).erase(key)

    def purge(self, runtime: Runtime) -> int:
        """Delete the events past their retention."""
        runtime.get(AuditService).erase_late()
        return runtime.get(SealService).purge()
