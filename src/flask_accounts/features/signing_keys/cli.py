"""flask accounts keys: list, generate, rotate, retire."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any, get_args

import click

from ...core.cli import as_json, command, show
from ...core.keys import new_key, private_pem
from ...core.runtime import Runtime
from .service import KeyState, SigningKeyService
from .settings import Algorithm

COLUMNS = ("kid", "algorithm", "state", "created_at", "signs_from", "verifies_until")


@command("list", help="Every key, and where it is in its life: next, scheduled, signing, retiring, retired.")
@as_json
def list_command(runtime: Runtime, as_json: bool) -> None:
    """Print the keys."""
    _show(runtime.get(SigningKeyService).states(), as_json=as_json)


@command(
    "generate", help="Make a key. In a folder or the database it is published and waits; else it is printed in PEM, for the config."
)
@click.option("--algorithm", type=click.Choice(get_args(Algorithm)), help="Default: ACCOUNTS_SIGNING_ALGORITHM.")
@click.option("--output", type=click.Path(dir_okay=False), help="Where the config holds the keys: write the new one to this file.")
@as_json
def generate_command(runtime: Runtime, algorithm: str | None, output: str | None, as_json: bool) -> None:
    """Make a key."""
    service = runtime.get(SigningKeyService)
    if service.store is not None:
        if output:
            raise click.BadParameter("The keys are kept in a folder or the database.", param_hint="--output")
        _show([service.generate(algorithm)], as_json=as_json)
        return
    key = new_key(algorithm or service.settings.algorithm)
    pem = private_pem(key)
    if output is None:
        click.echo(pem, nl=False)
    else:
        try:
            with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
                opened.write(pem)
        except FileExistsError:
            raise click.BadParameter("There is such a file.", param_hint="--output") from None
    click.echo(f"{key.kid} ({key.algorithms[0]}): put it into ACCOUNTS_SIGNING_KEYS, last.", err=True)


@command("rotate", help="Have the next key sign, once it has been published for long enough; makes one if there is none.")
@click.option("--now", "hurry", is_flag=True, help="At once: others may refuse its tokens until they ask for the keys again.")
@as_json
def rotate_command(runtime: Runtime, hurry: bool, as_json: bool) -> None:
    """Rotate."""
    _show(runtime.get(SigningKeyService).rotate(hurry=hurry), as_json=as_json)


@command(
    "retire",
    help="Have a key verify nothing any more: every token that it has signed is refused.",
    context_settings={"ignore_unknown_options": True},  # of 64 keys the name of one begins with a dash
)
@click.argument("kid")
def retire_command(runtime: Runtime, kid: str) -> None:
    """Retire a key."""
    runtime.get(SigningKeyService).retire(kid)
    click.echo(f"{kid} verifies nothing any more.")


keys: click.Group = click.Group(
    "keys",
    commands=[list_command, generate_command, rotate_command, retire_command],
    help="The keys that sign tokens: publish, rotate, retire.",
)


def _show(states: list[KeyState], *, as_json: bool) -> None:
    show([_row(state) for state in states], as_json=as_json, columns=COLUMNS)


def _row(state: KeyState) -> dict[str, Any]:  # JSON values
    moments = ("created_at", "signs_from", "verifies_until")
    row = asdict(state)
    return row | {name: row[name] and row[name].isoformat(timespec="seconds") for name in moments}
