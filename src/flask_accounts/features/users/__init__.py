"""Accounts: the own one at /me, everybody's at /users for administrators."""

from __future__ import annotations

from typing import ClassVar

from ...core.feature import Feature
from .cli import create_admin, create_user, disable, enable
from .routes import AUTH_ROUTES, USERS_ROUTES
from .service import UserService
from .settings import UserSettings


class Users(Feature):
    """Own account and user administration."""

    name = "users"
    requires = ("roles",)
    settings = (UserSettings,)
    services = (UserService,)
    auth_routes = AUTH_ROUTES
    users_routes = USERS_ROUTES
    permissions: ClassVar = {
        "users:read": "See every account and its sessions.",
        "users:write": "Create, change, disable and delete accounts of no more power than one's own, and end their sessions.",
    }
    commands: ClassVar = (create_user, create_admin, enable, disable)
