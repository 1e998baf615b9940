"""Signing keys: key pairs that follow one another, and the public halves for whoever verifies our tokens.

Opt-in: who verifies tokens nowhere else needs none of it.

GET /jwks.json            the public keys
flask accounts keys       list, generate, rotate, retire

Keys are kept in the configuration, in a folder or in the database (`ACCOUNTS_SIGNING_SOURCE`). With the default, `config`, and nothing
more, tokens are signed as they are without this feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import click

from ...core.checkups import Checkup
from ...core.feature import Feature, Service
from ...core.http import Route
from ...core.keys import KeySource
from ...core.runtime import Runtime
from ...core.sealed_columns import SealedColumn
from ...core.settings import Settings
from .checkup import CHECKUPS
from .cli import keys
from .models import SigningKeyMixin
from .routes import ROUTES
from .service import SigningKeyService
from .settings import SigningKeySettings


class SigningKeys(Feature):
    """Key pairs that sign tokens, their rotation, and their public halves for other services."""

    name: ClassVar[str] = "signing_keys"
    settings: ClassVar[tuple[type[Settings], ...]] = (SigningKeySettings,)
    tables: ClassVar[dict[type, str]] = {SigningKeyMixin: "accounts_signing_keys"}
    services: ClassVar[tuple[type[Service], ...]] = (SigningKeyService,)
    auth_routes: ClassVar[tuple[Route, ...]] = ROUTES
    commands: ClassVar[tuple[click.Command, ...]] = (keys,)
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS

    def key_source(self, runtime: Runtime) -> KeySource | None:
        """The folder, the table, or the keys of the configuration."""
        return runtime.get(SigningKeyService).source

    def sealed(self, runtime: Runtime) -> Sequence[SealedColumn]:
        """The private keys, where the database holds them."""
        sealed = runtime.get(SigningKeyService).sealed()
        return () if sealed is None else (sealed,)

    def purge(self, runtime: Runtime) -> int:
        """Delete the keys that verify nothing any more."""
        return runtime.get(SigningKeyService).purge()
