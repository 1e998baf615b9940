"""Tokens for other services: they ask whether one is good at this moment, and have one revoked. Opt-in: it opens doors to other machines.

POST /introspect   RFC 7662
POST /revoke       RFC 7009

Who verifies tokens by our public keys (`SigningKeys`) sees neither ended sessions nor disabled accounts until the token expires; who asks
here does. Services prove themselves by HTTP Basic, with names and secrets of `ACCOUNTS_TOKEN_SERVICES_CLIENTS`.
"""

from __future__ import annotations

from typing import ClassVar

import click

from ...core.checkups import Checkup
from ...core.feature import Feature, Service
from ...core.http import Route
from ...core.settings import Settings
from .checkup import CHECKUPS
from .cli import COMMANDS
from .routes import ROUTES
from .service import TokenServicesService
from .settings import TokenServiceSettings


class TokenServices(Feature):
    """Introspection and revocation of tokens by other services."""

    name: ClassVar[str] = "token_services"
    settings: ClassVar[tuple[type[Settings], ...]] = (TokenServiceSettings,)
    services: ClassVar[tuple[type[Service], ...]] = (TokenServicesService,)
    auth_routes: ClassVar[tuple[Route, ...]] = ROUTES
    commands: ClassVar[tuple[click.Command, ...]] = COMMANDS
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS
