"""flask accounts reset-mfa."""

from __future__ import annotations

import click

from ...core.cli import command, find_user
from ...core.runtime import Runtime
from .service import MfaService


@command(
    "reset-mfa", help="Take every second factor from an account and end its sessions. USER is an address, a username or an id."
)
@click.argument("user")
def reset_mfa(runtime: Runtime, user: str) -> None:
    """Let somebody in again who has lost the second factor."""
    found = runtime.get(MfaService).reset(find_user(runtime, user))
    click.echo(f"{user} has no second factor any more; all sessions have ended." if found else f"{user} had no second factor.")
