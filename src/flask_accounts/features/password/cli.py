"""flask accounts set-password."""

from __future__ import annotations

import click

from ...core.cli import ask_password, command, find_user
from ...core.runtime import Runtime
from .service import PasswordService


@command("set-password", help="Set an account's password and end its sessions. USER is an address, a username or an id.")
@click.argument("user")
@click.option("--password", help="Asked for, unseen, if left out. What is on a command line others can see.")
def set_password(runtime: Runtime, user: str, password: str | None) -> None:
    """Set a password."""
    found = find_user(runtime, user)
    runtime.get(PasswordService).set(found, ask_password(password))
    click.echo(f"{user} has a new password; all sessions have ended.")
