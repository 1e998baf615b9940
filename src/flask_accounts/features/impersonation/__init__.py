"""Impersonation: support sees the app as one of its users does, in a short session that is marked as what it is. Opt-in.

POST /users/{id}/impersonate       begins it, for a reason
POST /auth/logout                  ends it, as any session

The session is the account's, opened by the sign-in pipeline; its access token says who acts in the owner's place (`act`, RFC 8693), and
every request looks the actor up. What is for the owner alone is closed by the core, where a route's `Access` does not open it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...core.checkups import Checkup
from ...core.events import Key, Listener
from ...core.feature import Feature, Service
from ...core.gates import Acting
from ...core.http import Route
from ...core.runtime import Runtime
from ...core.settings import Settings
from .checkup import CHECKUPS
from .models import ImpersonationMixin
from .routes import USERS_ROUTES
from .service import PERMISSION, ImpersonationService
from .settings import ImpersonationSettings


class Impersonation(Feature):
    """Acting in a user's place, for support."""

    name: ClassVar[str] = "impersonation"
    requires: ClassVar[tuple[str, ...]] = ("roles",)
    settings: ClassVar[tuple[type[Settings], ...]] = (ImpersonationSettings,)
    tables: ClassVar[dict[type, str]] = {ImpersonationMixin: "accounts_impersonations"}
    services: ClassVar[tuple[type[Service], ...]] = (ImpersonationService,)
    users_routes: ClassVar[tuple[Route, ...]] = USERS_ROUTES
    permissions: ClassVar[dict[str, str]] = {PERMISSION: "Act in the place of people who may do no more than oneself."}
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS
    templates: ClassVar[bool] = True
    mail_samples: ClassVar[Mapping[str, Any]] = {"time": "2026-05-04 17:30 UTC"}

    def acting(self, runtime: Runtime) -> Acting:
        """Which sessions are used in their owners' place."""
        return runtime.get(ImpersonationService)

    def listeners(self, runtime: Runtime) -> Sequence[Listener]:
        """It ends with the session of whoever began it, and with what he may do."""
        return (runtime.get(ImpersonationService).hear,)

    def erase(self, runtime: Runtime, key: Key) -> None:
        """End what the account does in others' places, and forget what was done in its own."""
        runtime.get(ImpersonationService).erase(key)

    def export(self, runtime: Runtime, key: Key) -> Any:
        """Whether somebody acts in the account's place right now."""
        return runtime.get(ImpersonationService).export(key)

    def purge(self, runtime: Runtime) -> int:
        """Delete those whose time is over."""
        return runtime.get(ImpersonationService).purge()
