"""The contract as OpenAPI 3.1, and a page to try it that asks no other host for anything."""

from __future__ import annotations

from typing import ClassVar

from ...core.checkups import Checkup
from ...core.feature import Feature
from ...core.http import Route
from ...core.settings import Settings
from .checkup import CHECKUPS
from .routes import ROUTES
from .settings import OpenApiSettings


class OpenApi(Feature):
    """GET /openapi.json and GET /docs."""

    name: ClassVar[str] = "openapi"
    settings: ClassVar[tuple[type[Settings], ...]] = (OpenApiSettings,)
    auth_routes: ClassVar[tuple[Route, ...]] = ROUTES
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS
