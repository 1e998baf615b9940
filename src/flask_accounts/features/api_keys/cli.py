"""flask accounts api-keys list, create and revoke; flask accounts service-accounts create and list."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

import click

from ...core.cli import as_json, command, counted, find_user, show, time
from ...core.runtime import Runtime
from .service import ApiKeyService
from .service_accounts import ServiceAccountService


@command("list", help="An account's API keys. USER is an address, a username or an id.")
@click.argument("user")
@as_json
def list_keys(runtime: Runtime, user: str, as_json: bool) -> None:
    """Print an account's keys."""
    data = [
        {
            "id": str(key.id), "name": key.name, "hint": key.hint, "scopes": list(key.scopes), "networks": list(key.networks),
            "limit": key.limit, "created_at": _said(key.created_at), "expires_at": _said(key.expires_at),
            "last_used_at": _said(key.last_used_at), "last_used_ip": key.last_used_ip,
        }
        for key in runtime.get(ApiKeyService).of(find_user(runtime, user))
    ]  # fmt: skip
    show(data, as_json=as_json, columns=("id", "name", "hint", "scopes", "expires_at", "last_used_at"))


@command(
    "create",
    help="Make an API key for the account of a program, and print it: it is shown this once. ACCOUNT is its name or an id. People "
    "make their own keys.",
)
@click.argument("account")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, help="A permission that the account has, or role:NAME; may be repeated.")
@click.option("--expires", callback=time, help="When it stops working, such as 2026-01-31T12:00:00Z.")
@click.option("--endless", is_flag=True, help="It never expires, where the settings allow that.")
@click.option("--network", "networks", multiple=True, help="An address or a network it may be used from; may be repeated.")
@click.option("--limit", help="How often it may be used, such as 100/minute.")
def create_key(
    runtime: Runtime, account: str, name: str, scopes: tuple[str, ...], expires: datetime | None, endless: bool,
    networks: tuple[str, ...], limit: str | None,
) -> None:  # fmt: skip
    """Make a key."""
    found = find_user(runtime, account)
    if not runtime.get(ServiceAccountService).is_one(found):
        raise click.ClickException(f"{account} is no account of a program: flask accounts service-accounts create NAME makes one.")
    made = runtime.get(ApiKeyService).create(
        found, name, scopes=scopes, expires_at=expires, endless=endless, networks=networks, limit=limit
    )
    click.echo(made.secret)


@command("revoke", help="End one API key of an account, or without KEY_ID all of them. USER is an address, a username or an id.")
@click.argument("user")
@click.argument("key_id", type=click.UUID, required=False)
def revoke_key(runtime: Runtime, user: str, key_id: UUID | None) -> None:
    """End keys."""
    found = find_user(runtime, user)
    if key_id is not None:
        runtime.get(ApiKeyService).revoke(found, key_id)
        click.echo("Revoked 1 key.")
    else:
        click.echo(f"Revoked {counted(runtime.get(ApiKeyService).revoke_all(found), 'key')}.")


@command("create", help="Make an account that a program uses by API keys and nobody signs in to.")
@click.argument("name")
@click.option("--description", default="", help="What it is for.")
@click.option("--role", "roles", multiple=True, help="A role to grant; may be repeated.")
def create_account(runtime: Runtime, name: str, description: str, roles: tuple[str, ...]) -> None:
    """Make an account of a program."""
    view = runtime.get(ServiceAccountService).create(name, description=description, roles=roles)
    click.echo(f"Made the account {view.username} ({view.key}).")


@command("list", help="The accounts that programs use.")
@as_json
def list_accounts(runtime: Runtime, as_json: bool) -> None:
    """Print the accounts of programs."""
    data = [
        asdict(account) | {"id": str(account.id), "created_at": _said(account.created_at)}
        for account in runtime.get(ServiceAccountService).all()
    ]
    show(data, as_json=as_json, columns=("id", "name", "description", "is_active", "created_at"))


def _said(time: datetime | None) -> str | None:
    return time.isoformat(timespec="seconds") if time is not None else None


api_keys: click.Group = click.Group("api-keys", commands=[list_keys, create_key, revoke_key], help="See, make and revoke API keys.")
service_accounts: click.Group = click.Group(
    "service-accounts", commands=[create_account, list_accounts], help="Make and see accounts that programs use."
)
