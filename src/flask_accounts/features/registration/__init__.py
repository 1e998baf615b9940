"""Registration: anybody makes an account, where the host leaves that open; administrators make them for others."""

from __future__ import annotations

from ...core.feature import Feature
from .routes import AUTH_ROUTES, USERS_ROUTES
from .settings import RegistrationSettings


class Registration(Feature):
    """Sign-up."""

    name = "registration"
    requires = ("users", "roles")
    settings = (RegistrationSettings,)
    auth_routes = AUTH_ROUTES
    users_routes = USERS_ROUTES
