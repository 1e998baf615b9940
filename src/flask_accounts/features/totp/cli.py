"""flask accounts reseal-totp."""

from __future__ import annotations

import click

from ...core.cli import command, counted
from ...core.runtime import Runtime
from .service import TotpService


@command(
    "reseal-totp", help="Seal the secrets of authenticator apps with the first of ACCOUNTS_AT_REST_KEYS, so that older ones may go."
)
def reseal_totp(runtime: Runtime) -> None:
    """Seal secrets anew."""
    sealed = runtime.get(TotpService).sealed
    done = sealed.reseal()
    unknown = sealed.seals()[2]
    click.echo(f"Sealed {counted(done, 'secret')} anew." + (f" {counted(unknown, 'secret')} did not open." if unknown else ""))
