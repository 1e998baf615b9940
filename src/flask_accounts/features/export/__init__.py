"""Export: everything stored about an account as one JSON document (GDPR articles 15 and 20).

Each feature gives its part (`Feature.export`), and so does the host: `Accounts(db, exporters={"posts": ...})`.
"""

from __future__ import annotations

from typing import ClassVar

import click

from ...core.feature import Feature, Service
from ...core.http import Route
from .cli import export
from .routes import ROUTES
from .service import ExportService


class Export(Feature):
    """Everything stored about an account, for its owner."""

    name: ClassVar[str] = "export"
    services: ClassVar[tuple[type[Service], ...]] = (ExportService,)
    auth_routes: ClassVar[tuple[Route, ...]] = ROUTES
    commands: ClassVar[tuple[click.Command, ...]] = (export,)
