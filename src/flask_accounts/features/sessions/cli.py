"""flask accounts sessions list and revoke."""

from __future__ import annotations

from uuid import UUID

import click

from ...core.cli import as_json, command, counted, find_user, show
from ...core.devices import device_name
from ...core.runtime import Runtime
from .service import SessionService


@command("list", help="An account's live sessions. USER is an address, a username or an id.")
@click.argument("user")
@as_json
def list_command(runtime: Runtime, user: str, as_json: bool) -> None:
    """Print an account's live sessions."""
    data = [
        {
            "id": str(session.id),
            "device": device_name(session.user_agent),
            "ip_address": session.ip_address,
            "created_at": session.created_at.isoformat(timespec="seconds"),
            "last_used_at": session.last_used_at.isoformat(timespec="seconds"),
        }
        for session in runtime.get(SessionService).live(find_user(runtime, user))
    ]
    show(data, as_json=as_json, columns=("id", "device", "ip_address", "created_at", "last_used_at"))


@command("revoke", help="End one session of an account, or without SESSION_ID all of them.")
@click.argument("user")
@click.argument("session_id", type=click.UUID, required=False)
def revoke_command(runtime: Runtime, user: str, session_id: UUID | None) -> None:
    """End sessions."""
    found = find_user(runtime, user)
    if session_id is not None:
        runtime.get(SessionService).revoke(found, session_id)
        click.echo("Ended 1 session.")
    else:
        click.echo(f"Ended {counted(runtime.get(SessionService).revoke_all(found), 'session')}.")


sessions: click.Group = click.Group("sessions", commands=[list_command, revoke_command], help="See and end sessions.")
