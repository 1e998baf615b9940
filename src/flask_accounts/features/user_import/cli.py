"""flask accounts import-users."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, cast

import click

from ...core.cli import as_json, command, counted, show
from ...core.runtime import Runtime
from .journal import ImportFailed, ImportInterrupted, ImportOvertaken
from .plan import ImportPlan, ImportReport, digest_of
from .rejects import RejectsFile
from .service import ImportService
from .source import Source, SourceError, format_of
from .systems import HASHES, SYSTEMS

MAX_BATCH = 10_000
REFUSED, MISUSED = 1, 2
"""Exit statuses: some rows were refused; nothing was done, since the command cannot be meant."""


@command(
    "import-users",
    help="Make accounts of the rows of FILE (CSV or JSON lines; - is standard input), with the password hashes that they have. "
    "Exits with 0 if every row went in, 1 if some were refused, 2 if nothing was done.",
)
@click.argument("file", type=click.File("rb"))
@click.option(
    "--from", "system", type=click.Choice(list(SYSTEMS)), default="accounts", show_default=True, help="Where the file is from."
)
@click.option("--map", "maps", multiple=True, help="OURS=THEIRS[,OURS=THEIRS]: which column is which; =THEIRS leaves one out.")
@click.option("--set", "constants", multiple=True, help="OURS=VALUE for every row without one, such as email_verified=true.")
@click.option("--hashes", type=click.Choice(HASHES), help="What password hashes are of; by default what --from says.")
@click.option("--format", type=click.Choice(["auto", "csv", "jsonl"]), default="auto", show_default=True)
@click.option("--encoding", type=click.Choice(["utf-8", "latin-1", "cp1252"]), default="utf-8", show_default=True)
@click.option("--delimiter", default=",", show_default=True, help="Of CSV: one character, or tab.")
@click.option("--keep-ids", is_flag=True, help="Keep the keys that accounts have.")
@click.option("--create-roles", is_flag=True, help="Make roles that are not there yet, without permissions.")
@click.option("--ignore-unknown", is_flag=True, help="Leave columns out that are not known here.")
@click.option(
    "--on-conflict", type=click.Choice(["refuse", "skip"]), default="refuse", show_default=True,
    help="What becomes of a row whose address, username or key an account has.",
)  # fmt: skip
@click.option(
    "--rejects", type=click.Path(dir_okay=False, path_type=Path), help="Write refused rows there: line, address, reasons."
)
@click.option("--batch-size", type=click.IntRange(1, MAX_BATCH), default=1000, show_default=True, help="Rows of one transaction.")
@click.option("--dry-run", is_flag=True, help="Do everything, and take it back.")
@click.option("--resume", is_flag=True, help="Go on where an import of this file stopped.")
@click.option("--restart", is_flag=True, help="Begin anew where an import of this file stopped.")
@as_json
def import_users(
    runtime: Runtime, file: BinaryIO, system: str, maps: tuple[str, ...], constants: tuple[str, ...], hashes: str | None, format: str,
    encoding: str, delimiter: str, keep_ids: bool, create_roles: bool, ignore_unknown: bool, on_conflict: str, rejects: Path | None,
    batch_size: int, dry_run: bool, resume: bool, restart: bool, as_json: bool,
) -> None:  # fmt: skip
    """Import accounts."""
    if resume and (restart or dry_run):
        raise click.UsageError("--resume goes with neither --restart nor --dry-run.")
    plan = ImportPlan(
        system=system, columns={theirs: ours for given in maps for ours, theirs in _pairs(given, "--map")},
        constants=dict(pair for given in constants for pair in _pairs(given, "--set", several=False)),
        hashes=hashes, on_conflict=on_conflict, keep_ids=keep_ids, create_roles=create_roles, ignore_unknown=ignore_unknown,
        dry_run=dry_run, batch_size=batch_size,
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        whole = _seekable(file, stack)
        kind = format_of(getattr(file, "name", ""), whole.read(64)) if format == "auto" else format
        reading = {"format": kind, "encoding": encoding, "delimiter": _delimiter(delimiter)}
        whole.seek(0)
        digest = digest_of(whole, plan, reading)
        size = whole.tell()
        whole.seek(0)
        try:
            report = runtime.get(ImportService).run(
                Source(whole, **reading), plan, digest=digest, resume=resume, restart=restart,
                rejects=stack.enter_context(RejectsFile(rejects)) if rejects else None, progress=stack.enter_context(progress_bar(size)),
            )  # fmt: skip
        except SourceError as error:
            raise click.UsageError(str(error)) from None
        except ImportInterrupted as error:
            raise click.UsageError(
                f"An import of this file stopped after {counted(error.rows, 'row')}. Go on with --resume, or begin anew with --restart."
            ) from None
        except ImportFailed as error:
            raise click.ClickException(f"The database does not take a batch of rows: {error}") from None
        except ImportOvertaken:
            raise click.ClickException("Another process goes on with this import.") from None
        except KeyboardInterrupt:
            runtime.db.session.rollback()
            raise click.ClickException("Interrupted. --resume goes on where it stopped.") from None
    if as_json:
        show(asdict(report), as_json=True)
    else:
        _say(report, dry_run=dry_run, rejects=rejects)
    if report.refused:
        raise click.exceptions.Exit(REFUSED)


def _pairs(given: str, option: str, *, several: bool = True) -> Iterator[tuple[str, str]]:
    for pair in given.split(",") if several else [given]:
        ours, sign, theirs = pair.strip().partition("=")
        if not sign or not theirs or (option == "--set" and not ours):
            raise click.BadParameter("Give OURS=THEIRS." if option == "--map" else "Give OURS=VALUE.", param_hint=option)
        yield ours.strip(), theirs.strip()


def _delimiter(given: str) -> str:
    character = "\t" if given in ("tab", "\\t") else given
    if len(character) != 1 or character in '"\r\n\0' or not character.isascii():
        raise click.BadParameter("Give one character, or tab.", param_hint="--delimiter")
    return character


def _seekable(file: BinaryIO, stack: contextlib.ExitStack) -> BinaryIO:
    """The file itself, or a copy of what comes through a pipe, which is gone with the process: it is read twice."""
    if file.seekable():
        return file
    copy = cast("BinaryIO", stack.enter_context(tempfile.TemporaryFile()))  # noqa: SIM115  # the caller's stack closes it
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return copy


@contextlib.contextmanager
def progress_bar(size: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, by bytes read; nothing anywhere else."""
    if not sys.stderr.isatty():
        yield lambda position: None
        return
    with click.progressbar(length=size, label="Importing", file=sys.stderr) as bar:
        yield lambda position: bar.update(position - bar.pos)


def _say(report: ImportReport, *, dry_run: bool, rejects: Path | None) -> None:
    done = "Would import" if dry_run else "Imported"
    further = [f"{count} {what}" for count, what in ((report.skipped, "skipped"), (report.refused, "refused")) if count]
    click.echo(f"{done} {report.imported} of {counted(report.rows, 'row')}" + "".join(f", {said}" for said in further) + ".")
    for what, found in (("Refused", report.reasons), ("Password hashes", report.hashes), ("Roles", report.roles)):
        if found:
            click.echo(f"{what}: " + ", ".join(f"{name} {count}" for name, count in sorted(found.items())))
    if report.without_password:
        click.echo(f"Without a password, to be reset: {report.without_password}")
    if report.ignored:
        click.echo(f"Left out: {', '.join(_printable(name) for name in report.ignored)}")
    for refusal in report.first:
        click.echo(f"Line {refusal['line']}: " + " ".join(_problem(problem) for problem in refusal["problems"]))
    if rejects and report.refused:
        click.echo(f"{rejects} has every refused row.")


def _problem(problem: dict[str, Any]) -> str:
    return f"{_printable(problem['field'])}: {problem['message']}" if problem["field"] else str(problem["message"])


def _printable(text: str) -> str:
    return "".join(char for char in text if char.isprintable())
