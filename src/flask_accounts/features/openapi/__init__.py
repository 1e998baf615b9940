"""The contract as OpenAPI 3.1, and a page to try it that asks no other host for anything."""

from __future__ import annotations

from ...core.feature import Feature
from .routes import ROUTES
from .settings import OpenApiSettings


class OpenApi(Feature):
    """GET /openapi.json and GET /docs."""

    name = "openapi"
    settings = (OpenApiSettings,)
    auth_routes = ROUTES
