"""flask accounts roles list, create, grant and revoke."""

from __future__ import annotations

import click

from ...core.cli import as_json, command, find_user, show
from ...core.runtime import Runtime
from .service import RoleService


@command("list", help="Every role and its permissions.")
@as_json
def list_command(runtime: Runtime, as_json: bool) -> None:
    """Print every role."""
    data = [
        {"role": role.name, "permissions": list(role.permissions), "description": role.description}
        for role in runtime.get(RoleService).all()
    ]
    show(data, as_json=as_json, columns=("role", "permissions", "description"))


@command("create", help="Make a role.")
@click.argument("role")
@click.option("--permission", "permissions", multiple=True, help="A permission it gives; may be repeated.")
@click.option("--description", default="")
def create_command(runtime: Runtime, role: str, permissions: tuple[str, ...], description: str) -> None:
    """Make a role."""
    runtime.get(RoleService).create(role, permissions=permissions, description=description)
    click.echo(f"Made role {role}.")


@command("grant", help="Give an account a role. USER is an address, a username or an id.")
@click.argument("user")
@click.argument("role")
def grant_command(runtime: Runtime, user: str, role: str) -> None:
    """Grant a role."""
    runtime.get(RoleService).grant(find_user(runtime, user), role)
    click.echo(f"{user} has {role}.")


@command("revoke", help="Take a role from an account. USER is an address, a username or an id.")
@click.argument("user")
@click.argument("role")
def revoke_command(runtime: Runtime, user: str, role: str) -> None:
    """Revoke a role."""
    runtime.get(RoleService).revoke(find_user(runtime, user), role)
    click.echo(f"{user} no longer has {role}.")


roles: click.Group = click.Group(
    "roles", commands=[list_command, create_command, grant_command, revoke_command], help="See, make, grant and revoke roles."
)
