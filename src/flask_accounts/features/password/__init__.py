"""Passwords: signing in with one, changing it, and proving presence with it."""

from __future__ import annotations

from typing import ClassVar

from ...core.feature import Feature
from .cli import set_password
from .routes import ROUTES
from .service import PasswordService


class Password(Feature):
    """Sign-in by e-mail address or username and password."""

    name = "password"
    services = (PasswordService,)
    auth_routes = ROUTES
    commands: ClassVar = (set_password,)
