"""Sessions: refreshing, signing out, seeing and ending them."""

from __future__ import annotations

from typing import ClassVar

import click

from ...core.feature import Feature, Service
from ...core.http import Route
from .cli import sessions
from .routes import ROUTES, USERS_ROUTES
from .service import SessionService


class Sessions(Feature):
    """Own sessions for everybody, other people's for administrators."""

    name: ClassVar[str] = "sessions"
    services: ClassVar[tuple[type[Service], ...]] = (SessionService,)
    auth_routes: ClassVar[tuple[Route, ...]] = ROUTES
    users_routes: ClassVar[tuple[Route, ...]] = USERS_ROUTES
    commands: ClassVar[tuple[click.Command, ...]] = (sessions,)
