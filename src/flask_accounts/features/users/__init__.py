"""Accounts: the own one at /me, everybody's at /users for administrators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import click

from ...core.checkups import Checkup
from ...core.events import Key
from ...core.feature import Feature, Service
from ...core.gates import Fact, Restore
from ...core.http import Route
from ...core.runtime import Runtime
from ...core.settings import Settings
from .checkup import CHECKUPS
from .cli import create_admin, create_user, disable, enable, search_index
from .leaving import LeavingService
from .models import DeletionMixin, SuspensionMixin
from .routes import AUTH_ROUTES, USERS_ROUTES
from .service import UserService
from .settings import DeletionSettings, SuspensionSettings, UserSettings
from .standing import StandingService


class Users(Feature):
    """Own account and user administration."""

    name: ClassVar[str] = "users"
    requires: ClassVar[tuple[str, ...]] = ("roles",)
    settings: ClassVar[tuple[type[Settings], ...]] = (UserSettings, DeletionSettings, SuspensionSettings)
    services: ClassVar[tuple[type[Service], ...]] = (StandingService, UserService, LeavingService)
    tables: ClassVar[dict[type, str]] = {SuspensionMixin: "accounts_suspensions", DeletionMixin: "accounts_deletions"}
    auth_routes: ClassVar[tuple[Route, ...]] = AUTH_ROUTES
    users_routes: ClassVar[tuple[Route, ...]] = USERS_ROUTES
    permissions: ClassVar[dict[str, str]] = {
        "users:read": "See every account and its sessions.",
        "users:write": "Create, change, disable and delete accounts of no more power than one's own, and end their sessions.",
    }
    commands: ClassVar[tuple[click.Command, ...]] = (create_user, create_admin, enable, disable, search_index)
    templates: ClassVar[bool] = True
    mail_samples: ClassVar[Mapping[str, Any]] = {"day": "2030-01-31"}
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS

    def sign_in_facts(self, runtime: Runtime) -> Mapping[str, Fact]:
        """What keeps the account from being used."""
        return runtime.get(StandingService).facts()

    def restores(self, runtime: Runtime) -> Sequence[Restore]:
        """Signing in brings an account back that its owner has deleted, or whose suspension is over."""
        return (runtime.get(StandingService).returning,)

    def erase(self, runtime: Runtime, key: Key) -> None:
        """Forget an account that is being deleted."""
        runtime.get(StandingService).erase(key)

    def export(self, runtime: Runtime, key: Key) -> Any:
        """What keeps the account from being used."""
        return runtime.get(StandingService).export(key)

    def purge(self, runtime: Runtime) -> int:
        """Switch on the accounts whose suspension is over, and erase those whose time of grace is."""
        return runtime.get(StandingService).end_suspensions() + runtime.get(LeavingService).purge()
