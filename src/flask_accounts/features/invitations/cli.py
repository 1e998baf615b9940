"""flask accounts invitations invite, list and withdraw."""

from __future__ import annotations

from typing import cast, get_args
from uuid import UUID

import click

from ...core.cli import as_json, command, show
from ...core.runtime import Runtime
from .service import InvitationService, Status


@command("invite", help="Invite EMAIL to make an account.")
@click.argument("email")
@click.option("--role", "roles", multiple=True, help="A role the account will have; may be repeated.")
@click.option("--language", help="Of the mail, such as de.")
@click.option("--print", "printed", is_flag=True, help="Print the link (or the token, without a base URL) and send no mail.")
def invite_command(runtime: Runtime, email: str, roles: tuple[str, ...], language: str | None, printed: bool) -> None:
    """Invite somebody."""
    sent = runtime.get(InvitationService).invite(email, roles=roles, language=language, mail=not printed)
    if printed:
        click.echo(sent.link or sent.token)
    else:
        given = f" with {', '.join(sent.invitation.roles)}" if sent.invitation.roles else ""
        click.echo(f"Invited {sent.invitation.email}{given}.")


@command("list", help="Invitations, newest first.")
@click.option("--status", type=click.Choice(get_args(Status)), help="Only those.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many.")
@as_json
def list_command(runtime: Runtime, status: str | None, limit: int, as_json: bool) -> None:
    """Print invitations."""
    data = [
        {
            "id": str(found.id), "email": found.email, "roles": list(found.roles), "status": found.status,
            "invited_by": None if found.invited_by is None else str(found.invited_by),
            "sent_at": found.sent_at.isoformat(timespec="seconds"), "expires_at": found.expires_at.isoformat(timespec="seconds"),
        }
        for found in runtime.get(InvitationService).list(cast("Status | None", status), limit=limit)
    ]  # fmt: skip
    show(data, as_json=as_json, columns=("email", "roles", "status", "expires_at", "id"))


@command("withdraw", help="Take an invitation back. INVITATION is the invited address or an id.")
@click.argument("invitation")
def withdraw_command(runtime: Runtime, invitation: str) -> None:
    """Withdraw an invitation."""
    service = runtime.get(InvitationService)
    found = service.find(invitation) if "@" in invitation else service.get(_id(invitation))
    service.withdraw(found.id)
    click.echo(f"The invitation of {found.email} is withdrawn.")


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise click.BadParameter("neither an address nor an id", param_hint="INVITATION") from None


invitations: click.Group = click.Group(
    "invitations", commands=[invite_command, list_command, withdraw_command], help="Invite people, see and withdraw invitations."
)
