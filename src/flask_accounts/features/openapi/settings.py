"""Settings of the OpenAPI document."""

from __future__ import annotations

from typing import ClassVar

from ...core.settings import Settings


class OpenApiSettings(Settings):
    """Whether the contract is published."""

    prefix: ClassVar[str] = "openapi"

    enabled: bool = True
    """Serve `openapi.json` and `docs`. Off: both answer 404."""
    title: str = "Accounts API"
    """The document's title."""
