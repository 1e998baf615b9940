"""flask accounts events: list, follow, seal and verify."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import click

from ...core.cli import as_json, command, find_user, show
from ...core.errors import NotFound
from ...core.events import Key
from ...core.runtime import Runtime
from .chain import floor_of
from .seals import SealService
from .service import AuditService, EventQuery, Record

COLUMNS = ("at", "event", "outcome", "subject", "actor", "address", "details")
OVERLAP = timedelta(minutes=1)
"""How far back each look goes: a transaction may commit later than one that began after it."""


def pause() -> None:
    """Wait until the next look of `--follow`."""
    time.sleep(1)


def follow(runtime: Runtime, query: EventQuery, wait: Callable[[], None]) -> Iterator[Record]:
    """Every event that commits from now on, in the order it comes to be seen, until `wait` raises."""
    service = runtime.get(AuditService)
    now = runtime.clock.now()
    seen: dict[UUID, datetime] = {record.id: record.at for record in service.since(query, floor_of(now - OVERLAP))}
    while True:
        wait()
        runtime.db.session.rollback()  # a new transaction, which sees what has committed meanwhile
        now = runtime.clock.now()
        for record in service.since(query, floor_of(now - OVERLAP)):
            if record.id not in seen:
                seen[record.id] = record.at
                yield record
        seen = {event_id: at for event_id, at in seen.items() if at > now - 2 * OVERLAP}


@command("list", help="What happened, newest last. This is what `events` does without a command.")
@click.option("--event", "names", multiple=True, help="Only events of this name; may be repeated.")
@click.option("--outcome", type=click.Choice(["success", "failure"]))
@click.option("--user", help="Only events about this account: an address, a username or an id.")
@click.option("--actor", help="Only what this account did: an address, a username or an id.")
@click.option("--after", type=click.DateTime(), help="Only events of this time (UTC) or later.")
@click.option("--before", type=click.DateTime(), help="Only events before this time (UTC).")
@click.option("--limit", type=click.IntRange(0, 10_000), default=50, show_default=True)
@click.option("--follow", "following", is_flag=True, help="Go on with what happens, until interrupted.")
@as_json
def list_command(
    runtime: Runtime, names: tuple[str, ...], outcome: str | None, user: str | None, actor: str | None,
    after: datetime | None, before: datetime | None, limit: int, following: bool, as_json: bool,
) -> None:  # fmt: skip
    """Print events."""
    query = EventQuery(
        names, outcome, subject=_key(runtime, user), actor=_key(runtime, actor),
        after=after and after.replace(tzinfo=UTC), before=before and before.replace(tzinfo=UTC),
    )  # fmt: skip
    records = list(reversed(runtime.get(AuditService).page(query, limit=limit))) if limit else []
    if not following:
        show([_shown(record, as_json=as_json) for record in records], as_json=as_json, columns=COLUMNS)
        return
    for record in records:
        click.echo(_line(record, as_json=as_json))
    try:
        for record in follow(runtime, query, lambda: pause()):
            click.echo(_line(record, as_json=as_json))
            sys.stdout.flush()
    except KeyboardInterrupt:
        pass


@command("verify", help="Find events that were altered or removed; exits with 1 if there are any.")
@click.option("--receipt", help="What `events seal` printed once: also find a log that was cut off or replaced since.")
@as_json
def verify_command(runtime: Runtime, receipt: str | None, as_json: bool) -> None:
    """Verify the log."""
    try:
        report = runtime.get(SealService).verify(receipt=receipt)
    except ValueError:
        raise click.BadParameter("Not a receipt of `events seal`.", param_hint="--receipt") from None
    if as_json:
        show(asdict(report) | {"ok": not report.findings}, as_json=True)
    else:
        for finding in report.findings:
            click.echo(f"{finding.code}: {finding.text}")
        count = f"{report.events} events in {report.chains} chains, {report.seals} seals"
        click.echo(f"{count}: {len(report.findings)} findings." if report.findings else f"{count}: nothing altered or removed.")
    if report.findings:
        raise click.exceptions.Exit(1)


@command("seal", help="Write down how far the log has come, and print a receipt to keep elsewhere.")
@as_json
def seal_command(runtime: Runtime, as_json: bool) -> None:
    """Seal the log."""
    seal = runtime.get(SealService).seal()
    if as_json:
        show({"seal": seal.number, "at": seal.at.isoformat(), "receipt": seal.receipt}, as_json=True)
    else:
        click.echo(seal.receipt)


class _Events(click.Group):
    """A group that lists where no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` in front of options."""
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


events: click.Group = _Events(
    "events", commands=[list_command, verify_command, seal_command],
    help="See what happened, and verify that nothing of it was altered. Lists if no command is named.",
)  # fmt: skip


def _key(runtime: Runtime, login: str | None) -> Key | None:
    """The key of an account; of a deleted one, whose events are there still, its id will do."""
    if login is None:
        return None
    try:
        return runtime.users.key_of(find_user(runtime, login))
    except NotFound:
        key = runtime.users.parse_key(login)
        if key is None:
            raise
        return key


def _shown(record: Record, *, as_json: bool) -> dict[str, Any]:
    details: Any = {**record.details, **record.personal}
    return {
        "id": str(record.id), "at": record.at.isoformat(timespec="milliseconds"), "event": record.event, "outcome": record.outcome,
        "subject": record.subject, "actor": record.actor, "session": record.session_id and str(record.session_id),
        "address": record.address, "user_agent": record.user_agent,
        "details": details if as_json else " ".join(f"{name}={json.dumps(value)}" for name, value in details.items()),
    }  # fmt: skip


def _line(record: Record, *, as_json: bool) -> str:
    shown = _shown(record, as_json=as_json)
    if as_json:
        return json.dumps(shown)
    return "  ".join(str(shown[name]) for name in COLUMNS if shown[name] not in (None, ""))
