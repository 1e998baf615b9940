"""Passwords: signing in with one, changing it, and proving presence with it."""

from __future__ import annotations

from typing import ClassVar

import click

from ...core.feature import Feature, Service
from ...core.http import Route
from .cli import set_password
from .routes import ROUTES
from .service import PasswordService


class Password(Feature):
    """Sign-in by e-mail address or username and password."""

    name: ClassVar[str] = "password"
    services: ClassVar[tuple[type[Service], ...]] = (PasswordService,)
    auth_routes: ClassVar[tuple[Route, ...]] = ROUTES
    commands: ClassVar[tuple[click.Command, ...]] = (set_password,)
