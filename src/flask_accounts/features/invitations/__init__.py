"""Invitations: somebody with the right to is asked in by mail, with roles, also where registration is closed."""

from __future__ import annotations

from typing import Any, ClassVar

import click

from ...core.events import Key
from ...core.feature import Feature, Service
from ...core.http import Route
from ...core.one_time import ONE_TIME_TABLE, OneTimeTokenMixin
from ...core.runtime import Runtime
from ...core.settings import Settings
from .cli import invitations
from .models import InvitationMixin
from .routes import AUTH_ROUTES, USERS_ROUTES
from .service import INVITE, InvitationService
from .settings import InvitationSettings


class Invitations(Feature):
    """Inviting people by mail, with roles."""

    name: ClassVar[str] = "invitations"
    requires: ClassVar[tuple[str, ...]] = ("users", "roles", "registration")
    settings: ClassVar[tuple[type[Settings], ...]] = (InvitationSettings,)
    tables: ClassVar[dict[type, str]] = {OneTimeTokenMixin: ONE_TIME_TABLE, InvitationMixin: "accounts_invitations"}
    services: ClassVar[tuple[type[Service], ...]] = (InvitationService,)
    auth_routes: ClassVar[tuple[Route, ...]] = AUTH_ROUTES
    users_routes: ClassVar[tuple[Route, ...]] = USERS_ROUTES
    permissions: ClassVar[dict[str, str]] = {
        "invitations:read": "See invitations and the invited addresses.",
        INVITE: "Invite people, with roles whose permissions one has, and withdraw invitations.",
    }
    commands: ClassVar[tuple[click.Command, ...]] = (invitations,)
    templates: ClassVar[bool] = True

    def erase(self, runtime: Runtime, key: Key) -> None:
        """Forget an account that is being deleted, as invited and as inviter."""
        runtime.get(InvitationService).erase(key)

    def export(self, runtime: Runtime, key: Key) -> Any:
        """What the account was invited by, and what it has sent."""
        return runtime.get(InvitationService).export(key)

    def purge(self, runtime: Runtime) -> int:
        """Delete invitations that have been over for long."""
        return runtime.get(InvitationService).purge()
