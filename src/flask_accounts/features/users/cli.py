"""flask accounts create-user, create-admin, enable, disable, search-index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime

import click

from ...core.cli import as_json, ask_password, command, find_user, show, time
from ...core.runtime import Runtime
from ..roles.service import RoleService
from .search_index import NoSearchIndex, SearchIndex, State
from .service import UserService


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


@command("create", help="Make the index, without holding up whoever writes. Makes the extension pg_trgm if it is missing.")
def create_index(runtime: Runtime) -> None:
    """Make the index."""
    with _index(runtime) as index:
        click.echo(_described(index.create()))


@command("drop", help="Drop the index.")
def drop_index(runtime: Runtime) -> None:
    """Drop the index."""
    with _index(runtime) as index:
        click.echo(f"Dropped {index.name}." if index.drop() else "There is no search index.")


@command("show", help="Whether there is the index, and how large it is.")
@as_json
def show_index(runtime: Runtime, as_json: bool) -> None:
    """Look at the index."""
    with _index(runtime) as index:
        state = index.state()
    if as_json:
        show(None if state is None else asdict(state), as_json=True)
    else:
        click.echo("There is no search index." if state is None else _described(state))


search_index: click.Group = click.Group(
    "search-index", commands=[create_index, drop_index, show_index],
    help="The index for searching parts of usernames and addresses, on PostgreSQL.",
)  # fmt: skip


@contextmanager
def _index(runtime: Runtime) -> Iterator[SearchIndex]:
    try:
        yield SearchIndex(runtime)
    except NoSearchIndex as error:
        raise click.ClickException(str(error)) from None


def _described(state: State) -> str:
    size = f"{state.bytes / 2**20:.1f} MiB"
    if state.valid:
        return f"{state.name} serves searches ({size})."
    return f"{state.name} was begun and not finished ({size}); it serves nothing. Run create again, or drop it."


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
