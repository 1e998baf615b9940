"""Sessions: refreshing, signing out, seeing and ending them."""

from __future__ import annotations

from typing import ClassVar

from ...core.feature import Feature
from .cli import sessions
from .routes import ROUTES, USERS_ROUTES
from .service import SessionService


class Sessions(Feature):
    """Own sessions for everybody, other people's for administrators."""

    name = "sessions"
    services = (SessionService,)
    auth_routes = ROUTES
    users_routes = USERS_ROUTES
    commands: ClassVar = (sessions,)
