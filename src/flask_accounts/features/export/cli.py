"""flask accounts export."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from ...core.cli import command, find_user
from ...core.runtime import Runtime
from .service import ExportService


@command("export", help="Print everything stored about an account as JSON. USER is an address, a username or an id.")
@click.argument("user")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file, for its owner's eyes only.")
def export(runtime: Runtime, user: str, output: Path | None) -> None:
    """Hand out what is stored about an account."""
    text = json.dumps(runtime.get(ExportService).make(find_user(runtime, user)), indent=2)
    if output is None:
        click.echo(text)
        return
    try:
        with open(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text + "\n")
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from None
    click.echo(f"Wrote {output}.")
