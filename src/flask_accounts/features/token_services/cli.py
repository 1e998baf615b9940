"""flask accounts client-secret."""

from __future__ import annotations

import click

from ...core.cli import as_json, command, show
from ...core.runtime import Runtime
from .service import digest_of, new_secret


@command(
    "client-secret", help="Make a secret for another service, and its digest for ACCOUNTS_TOKEN_SERVICES_CLIENTS. Stores nothing."
)
@as_json
def client_secret_command(runtime: Runtime, as_json: bool) -> None:
    """Make a client secret."""
    secret = new_secret()
    made = {"secret": secret, "digest": f"sha256:{digest_of(secret)}"}
    if as_json:
        show(made, as_json=True)
        return
    click.echo(f"For the service, shown only now:       {made['secret']}")
    click.echo(f"For ACCOUNTS_TOKEN_SERVICES_CLIENTS:   {made['digest']}")


COMMANDS: tuple[click.Command, ...] = (client_secret_command,)
