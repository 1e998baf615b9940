"""flask accounts create-user, create-admin, enable, disable."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from ...core.cli import as_json, ask_password, command, find_user, show
from ...core.runtime import Runtime
from ..roles.service import RoleService
from .service import UserService


def time(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """An option's time, in UTC."""
    try:
        return datetime.fromisoformat(value).astimezone(UTC) if value is not None else None
    except (ValueError, OverflowError):
        raise click.BadParameter("Give a time such as 2026-01-31T12:00:00Z.") from None


@command("create-user", help="Make an account.")
@click.argument("email")
@click.option("--username", help="A name to sign in with besides the address.")
@click.option("--password", help="Asked for, unseen, if left out. What is on a command line others can see.")
@click.option("--role", "roles", multiple=True, help="A role to grant; may be repeated.")
@as_json
def create_user(
    runtime: Runtime, email: str, username: str | None, password: str | None, roles: tuple[str, ...], as_json: bool
) -> None:
    """Make an account."""
    _create(runtime, email, username, password, roles, as_json=as_json)


@command("create-admin", help="Make an account that may do everything.")
@click.argument("email")
@click.option("--username", help="A name to sign in with besides the address.")
@click.option("--password", help="Asked for, unseen, if left out. What is on a command line others can see.")
@as_json
def create_admin(runtime: Runtime, email: str, username: str | None, password: str | None, as_json: bool) -> None:
    """Make an administrator."""
    _create(runtime, email, username, password, (runtime.get(RoleService).admin_role,), as_json=as_json)


@command("enable", help="Switch an account on again. USER is an address, a username or an id.")
@click.argument("user")
def enable(runtime: Runtime, user: str) -> None:
    """Switch an account on."""
    runtime.get(UserService).enable(find_user(runtime, user))
    click.echo(f"{user} is enabled.")


@command("disable", help="Switch an account off and end its sessions. USER is an address, a username or an id.")
@click.argument("user")
@click.option("--reason", help="For administrators.")
@click.option("--until", callback=time, help="From then on its owner may sign in again, such as 2026-01-31T12:00:00Z.")
def disable(runtime: Runtime, user: str, reason: str | None, until: datetime | None) -> None:
    """Switch an account off."""
    runtime.get(UserService).disable(find_user(runtime, user), reason=reason, until=until)
    click.echo(f"{user} is disabled" + (f" until {until:%Y-%m-%d %H:%M %Z}." if until else "."))


def _create(
    runtime: Runtime, email: str, username: str | None, password: str | None, roles: tuple[str, ...], *, as_json: bool
) -> None:
    user = runtime.get(UserService).create(email, ask_password(password), username=username)
    if roles:
        runtime.get(RoleService).grant(user, *roles)
    shown = runtime.show(user)
    if as_json:
        show(shown, as_json=True)
    else:
        click.echo(f"Made account {shown['id']} for {shown['email']}" + (f" with {', '.join(roles)}." if roles else "."))
