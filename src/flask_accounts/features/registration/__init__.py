"""Registration: anybody makes an account, where the host leaves that open; administrators make them for others."""

from __future__ import annotations

from typing import ClassVar

from ...core.checkups import Checkup
from ...core.feature import Feature, Service
from ...core.http import Route
from ...core.settings import Settings
from .checkup import CHECKUPS
from .routes import AUTH_ROUTES, USERS_ROUTES
from .service import RegistrationService
from .settings import RegistrationSettings


class Registration(Feature):
    """Sign-up."""

    name: ClassVar[str] = "registration"
    requires: ClassVar[tuple[str, ...]] = ("users", "roles")
    settings: ClassVar[tuple[type[Settings], ...]] = (RegistrationSettings,)
    services: ClassVar[tuple[type[Service], ...]] = (RegistrationService,)
    auth_routes: ClassVar[tuple[Route, ...]] = AUTH_ROUTES
    users_routes: ClassVar[tuple[Route, ...]] = USERS_ROUTES
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS
