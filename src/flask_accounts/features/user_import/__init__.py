"""Import: accounts of another system, with their password hashes, by a command that can be interrupted and gone on with."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import click
import sqlalchemy as sa

from ...core.feature import Feature, Service
from ...core.runtime import Runtime
from .cli import import_users
from .models import ImportMixin
from .service import ImportService

KEPT = timedelta(days=30)
"""How long it is known how far an import has come."""


class UserImport(Feature):
    """Accounts of other systems, brought in by a command."""

    name: ClassVar[str] = "user_import"
    requires: ClassVar[tuple[str, ...]] = ("users", "roles")
    tables: ClassVar[dict[type, str]] = {ImportMixin: "accounts_imports"}
    services: ClassVar[tuple[type[Service], ...]] = (ImportService,)
    commands: ClassVar[tuple[click.Command, ...]] = (import_users,)

    def purge(self, runtime: Runtime) -> int:
        """Forget imports that nobody has gone on with for a month."""
        table = runtime.model(ImportMixin).__table__
        old = sa.delete(table).where(table.c.updated_at < runtime.clock.now() - KEPT)
        return int(runtime.users.execute(old).rowcount)
