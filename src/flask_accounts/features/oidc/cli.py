"""flask accounts reseal-provider-tokens."""

from __future__ import annotations

import click

from ...core.cli import command, counted
from ...core.runtime import Runtime
from .provider_tokens import ProviderTokens


@command(
    "reseal-provider-tokens",
    help="Seal the tokens of identity providers with the first of ACCOUNTS_AT_REST_KEYS, so that older ones may go.",
)
def reseal_provider_tokens(runtime: Runtime) -> None:
    """Seal tokens anew."""
    sealed = runtime.get(ProviderTokens).sealed
    done = sealed.reseal()
    unknown = sealed.seals()[2]
    click.echo(f"Sealed {counted(done, 'grant')} anew." + (f" {counted(unknown, 'grant')} did not open." if unknown else ""))
