"""Roles and permissions: who may do what, effective with the very next request."""

from __future__ import annotations

from typing import Any, ClassVar

import click

from ...core.checkups import Checkup
from ...core.events import Key
from ...core.feature import Feature, Service
from ...core.http import Route
from ...core.runtime import Runtime
from ...core.settings import Settings
from .checkup import CHECKUPS
from .cli import roles
from .models import RoleGrants, RoleMixin, UserRoleMixin
from .routes import ROUTES
from .service import RoleService
from .settings import RoleSettings


class Roles(Feature):
    """Roles with permissions, granted to accounts."""

    name: ClassVar[str] = "roles"
    settings: ClassVar[tuple[type[Settings], ...]] = (RoleSettings,)
    tables: ClassVar[dict[type, str]] = {RoleMixin: "accounts_roles", UserRoleMixin: "accounts_user_roles"}
    services: ClassVar[tuple[type[Service], ...]] = (RoleService,)
    users_routes: ClassVar[tuple[Route, ...]] = ROUTES
    permissions: ClassVar[dict[str, str]] = {
        "roles:read": "See roles and their permissions.",
        "roles:write": "Create, change and delete roles, and grant those whose permissions one has.",
    }
    commands: ClassVar[tuple[click.Command, ...]] = (roles,)
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS

    def grants(self) -> RoleGrants:
        """Roles are read with the account, at no statement of their own."""
        return RoleGrants(self.models[RoleMixin], self.models[UserRoleMixin])

    def export(self, runtime: Runtime, key: Key) -> Any:
        """The account's roles."""
        return runtime.get(RoleService).export(key) or None

    def erase(self, runtime: Runtime, key: Key) -> None:
        """Take every role from an account that is being deleted."""
        runtime.get(RoleService).erase(key)
