"""Accounts: the own one at /me, everybody's at /users for administrators."""

from __future__ import annotations

from typing import ClassVar

import click

from ...core.feature import Feature, Service
from ...core.http import Route
from ...core.settings import Settings
from .cli import create_admin, create_user, disable, enable
from .routes import AUTH_ROUTES, USERS_ROUTES
from .service import UserService
from .settings import UserSettings


class Users(Feature):
    """Own account and user administration."""

    name: ClassVar[str] = "users"
    requires: ClassVar[tuple[str, ...]] = ("roles",)
    settings: ClassVar[tuple[type[Settings], ...]] = (UserSettings,)
    services: ClassVar[tuple[type[Service], ...]] = (UserService,)
    auth_routes: ClassVar[tuple[Route, ...]] = AUTH_ROUTES
    users_routes: ClassVar[tuple[Route, ...]] = USERS_ROUTES
    permissions: ClassVar[dict[str, str]] = {
        "users:read": "See every account and its sessions.",
        "users:write": "Create, change, disable and delete accounts of no more power than one's own, and end their sessions.",
    }
    commands: ClassVar[tuple[click.Command, ...]] = (create_user, create_admin, enable, disable)
