"""flask accounts unlock."""

from __future__ import annotations

import click

from ...core.cli import command, find_user
from ...core.runtime import Runtime
from .service import LockoutService


@command("unlock", help="Forget the wrong passwords tried on an account. USER is an address, a username or an id.")
@click.argument("user")
def unlock(runtime: Runtime, user: str) -> None:
    """Let an account's owner try again at once."""
    runtime.get(LockoutService).clear(find_user(runtime, user))
    click.echo(f"{user} may try again.")
