"""Seals and verification: what was removed from the log, or altered in it, is found.

The chains alone show what is missing between two events. A seal writes down how far each chain has
come, so that a chain cut off at its end, or gone as a whole, is missed too. Purging leaves a seal that
says where each chain now begins. Seals hang together as a chain of their own; the receipt of the newest
one, kept elsewhere, tells even whether somebody put an older copy of the whole database in place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from ...core.errors import ConcurrentChange
from ...core.events import UserDeleted
from ...core.feature import Service
from ...core.runtime import Runtime
from .chain import START, canonical, floor_of, id_of, salted, signed_text
from .models import EventMixin, SealMixin
from .service import CHUNK, LATE, AuditService
from .settings import AuditSettings

FIRST = id_of(0)


@dataclass(frozen=True)
class Place:
    """An event's place in its chain."""

    number: int
    mac: bytes
    id: UUID


@dataclass(frozen=True)
class Seal:
    """A seal: `heads` says how far chains had come, `starts` (after a purge) what came before their first event."""

    number: int
    at: datetime
    mac: bytes
    previous: bytes
    begins: UUID | None
    """Events of lower ids were purged; None where this seal is of no purge."""
    heads: Mapping[UUID, Place]
    starts: Mapping[UUID, Place]

    @property
    def receipt(self) -> str:
        """What to keep elsewhere."""
        return f"{self.number}:{self.mac.hex()}"


@dataclass(frozen=True)
class Finding:
    """Something wrong: a stable `code`, and a sentence."""

    code: str
    text: str
    event_id: UUID | None = None
    chain: UUID | None = None


@dataclass
class Report:
    """What a verification found."""

    events: int = 0
    chains: int = 0
    seals: int = 0
    receipt: str | None = None
    findings: list[Finding] = field(default_factory=list)


class SealService(Service):
    """Seals the audit log, verifies it, and purges what is past its retention."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._events: sa.Table = runtime.model(EventMixin).__table__
        self._seals: sa.Table = runtime.model(SealMixin).__table__

    # Sealing

    def seal(self) -> Seal:
        """Write down how far every chain has come since the seals before. `ConcurrentChange` if somebody else seals right now."""
        now = self.runtime.clock.now()
        known: dict[UUID, Place] = {}
        last: Seal | None = None
        # A transaction may commit events whose ids are older than the last seal, but not by more than this.
        for last in self._read(since=now - 2 * LATE):
            known |= last.heads
        last = last or self._last()
        start = floor_of(last.at - LATE) if last else FIRST
        heads = {chain: place for chain, place in self._heads(start).items() if _further(place, known.get(chain))}
        return self._write(last, now, heads=heads)

    def purge(self) -> int:
        """Delete the events past their retention, leaving a seal that says where each chain now begins; returns how many."""
        days = self.runtime.setting(AuditSettings).retention_days
        now = self.runtime.clock.now()
        if not days:
            return 0
        begins = floor_of(now - timedelta(days=days))
        gone = self._heads(FIRST, before=begins)
        if not gone:
            return 0
        heads: dict[UUID, Place] = {}
        starts: dict[UUID, Place] = {}
        last: Seal | None = None
        for last in self._read():
            heads |= last.heads
            starts |= last.starts
        # What earlier seals say stays said, be the events still there or not: a purge must not cover up what somebody removed.
        for chain, place in self._heads(begins).items():
            if _further(place, heads.get(chain)):
                heads[chain] = place
        heads = {chain: place for chain, place in heads.items() if place.id >= begins}
        starts = {chain: place for chain, place in (starts | gone).items() if chain in heads}
        made = self._write(last, now, heads=heads, starts=starts, begins=begins)
        self._execute(sa.delete(self._seals).where(self._seals.c.number < made.number))
        deleted: int = self._execute(sa.delete(self._events).where(self._events.c.id < begins)).rowcount
        return deleted

    def _heads(self, start: UUID, *, before: UUID | None = None) -> dict[UUID, Place]:
        """The last event of each chain, among those from `start` on."""
        events = self._events
        within = [events.c.id >= start] if before is None else [events.c.id >= start, events.c.id < before]
        top = (
            sa.select(events.c.chain, sa.func.max(events.c.number).label("number"))
            .where(*within)
            .group_by(events.c.chain)
            .subquery("top")
        )
        found = (
            sa.select(events.c.chain, events.c.number, events.c.mac, events.c.id)
            .join(top, sa.and_(top.c.chain == events.c.chain, top.c.number == events.c.number))
            .where(*within)
        )
        return {row.chain: Place(row.number, row.mac, row.id) for row in self._execute(found)}

    def _write(
        self,
        last: Seal | None,
        now: datetime,
        *,
        heads: Mapping[UUID, Place],
        starts: Mapping[UUID, Place] | None = None,
        begins: UUID | None = None,
    ) -> Seal:
        number, previous = (last.number + 1, last.mac) if last else (1, START)
        body = json.dumps(
            {
                "previous": previous.hex(),
                "begins": begins and str(begins),
                "heads": _packed(heads),
                "starts": _packed(starts or {}),
            },
            separators=(",", ":"),
        )
        mac = self._keyring.sign(_sealed_text(number, now, body))
        try:
            self._execute(sa.insert(self._seals).values(number=number, at=now, body=body, mac=mac))
        except IntegrityError:
            self.runtime.db.session.rollback()
            raise ConcurrentChange("Somebody else is sealing at this moment.") from None
        return Seal(number, now, mac, previous, begins, heads, starts or {})

    def _read(self, *, since: datetime | None = None) -> Iterator[Seal]:
        statement = sa.select(self._seals).order_by(self._seals.c.number)
        if since is not None:
            statement = statement.where(self._seals.c.at >= since)
        for row in self._execute(statement).mappings().all():
            yield _seal(row)

    def _last(self) -> Seal | None:
        row = self._execute(sa.select(self._seals).order_by(self._seals.c.number.desc()).limit(1)).mappings().first()
        return _seal(row) if row else None

    # Verifying

    def verify(self, *, receipt: str | None = None) -> Report:
        """Look at every event and seal. What was altered, removed, put in, or emptied without a deletion is in the report."""
        report = Report()
        state = self._state(report, receipt)
        check = _Check(self._keyring.signed, state)
        start = FIRST
        while True:
            # Page by page, so that no transaction stays open and nobody waits.
            rows = self._execute(
                sa.select(self._events).where(self._events.c.id >= start).order_by(self._events.c.id).limit(CHUNK)
            ).mappings().all()  # fmt: skip
            for row in rows:
                check.event(row)
            self.runtime.db.session.rollback()
            if len(rows) < CHUNK:
                break
            start = UUID(int=rows[-1]["id"].int + 1)
        report.events, report.chains = check.events, len(check.places)
        check.close()
        # What committed, or was purged, behind the page just read looks like a gap: those chains are looked at again, each at once.
        doubtful = {finding.chain for finding in check.findings if finding.chain is not None}
        report.findings += [finding for finding in check.findings if finding.chain is None]
        if doubtful:
            again = _Check(self._keyring.signed, self._state(Report(), None))
            for chain in sorted(doubtful):
                statement = sa.select(self._events).where(self._events.c.chain == chain).order_by(self._events.c.number)
                for row in self._execute(statement).mappings():
                    again.event(row)
            again.close(only=doubtful)
            report.findings += [finding for finding in again.findings if finding.chain in doubtful]
        report.findings += self._unlawful(check.erased)
        self.runtime.db.session.rollback()
        return report

    def _state(self, report: Report, receipt: str | None) -> _State:
        """What the seals say, and whether they hang together."""
        state = _State()
        expected = _receipt(receipt)
        found_receipt = expected is None
        last: Seal | None = None
        for row in self._execute(sa.select(self._seals).order_by(self._seals.c.number)).mappings().all():
            report.seals += 1
            name = f"Seal {row['number']}"
            if not self._keyring.signed(_sealed_text(row["number"], row["at"], row["body"]), row["mac"]):
                report.findings.append(Finding("seal_altered", f"{name} was altered, or made with another key."))
                last = None
                continue
            seal = _seal(row)
            if last is None and report.seals == 1 and seal.number != 1 and seal.begins is None:
                report.findings.append(Finding("seal_removed", f"The seals before number {seal.number} are gone."))
            if last is not None and seal.previous != last.mac:
                report.findings.append(Finding("seal_removed", f"There is a gap before seal {seal.number}."))
            if expected == (seal.number, seal.mac):
                found_receipt = True
            elif expected is not None and report.seals == 1 and expected[0] < seal.number and seal.begins is not None:
                found_receipt = True  # purged since; the seals hang together from there on
            state.heads |= seal.heads
            state.starts |= seal.starts
            if seal.begins is not None:
                state.begins = seal.begins
            last = seal
        report.receipt = last.receipt if last else None
        if not found_receipt:
            report.findings.append(
                Finding("receipt_unknown", "The seal of the receipt is gone: the log was replaced, or cut off at its end.")
            )
        return state

    def _unlawful(self, erased: Mapping[str, UUID]) -> Iterable[Finding]:
        """Events whose personal data is gone though no later event says that the account was deleted."""
        events = self._events
        for owner, event_id in erased.items():
            deletion = (
                sa.select(events.c.id)
                .where(events.c.name == UserDeleted.name, events.c.subject == owner, events.c.id > event_id)
                .limit(1)
            )
            if self._execute(deletion).first() is None:
                yield Finding(
                    "emptied", f"Address or personal details of account {owner} were removed, but it was not deleted.", event_id
                )

    @property
    def _keyring(self) -> Any:
        return self.runtime.get(AuditService).keyring

    def _execute(self, statement: sa.Executable) -> sa.CursorResult[Any]:
        return self.runtime.users.execute(statement)


@dataclass
class _State:
    """What the seals say: how far chains had come, what came before their first event, and where the log begins."""

    heads: dict[UUID, Place] = field(default_factory=dict)
    starts: dict[UUID, Place] = field(default_factory=dict)
    begins: UUID = FIRST


class _Check:
    """Follows the chains through the events as they come, in the order of each chain."""

    def __init__(self, signed: Any, state: _State) -> None:
        self._signed = signed
        self._state = state
        self.places: dict[UUID, Place] = {}
        self.findings: list[Finding] = []
        self.erased: dict[str, UUID] = {}
        """Whose data is gone, and the last event it is gone from."""
        self.events = 0

    def event(self, row: sa.RowMapping) -> None:
        """The next event."""
        self.events += 1
        event_id, chain, number = row["id"], row["chain"], row["number"]
        before = self.places.get(chain)
        if before is None and number > 1:
            start = self._state.starts.get(chain)
            if start is not None and start.number == number - 1:
                before = start
        if number == (before.number + 1 if before else 1):
            if not self._signed(signed_text(row, before.mac if before else START), row["mac"]):
                self._found("altered", f"Event {event_id} was altered, or is not from this application.", row)
        else:
            count = f"{before.number} and {number}" if before else f"the beginning and {number}"
            self._found("removed", f"Events between number {count} of chain {chain} are gone.", row)
        head = self._state.heads.get(chain)
        if head is not None and head.number == number and head.mac != row["mac"]:
            self._found("altered", f"Event {event_id} is not the one that was sealed.", row)
        self.places[chain] = Place(number, row["mac"], event_id)
        self._parts(row)

    def _parts(self, row: sa.RowMapping) -> None:
        parts = (
            ("client", (row["address"], row["user_agent"]), row["actor"] or row["subject"]),
            ("personal", (row["personal"],), row["subject"]),
        )
        for name, values, owner in parts:
            salt, digest = row[f"{name}_salt"], row[f"{name}_digest"]
            empty = all(value is None for value in values)
            if digest is not None and salt is None and empty:
                if owner is None:
                    self.findings.append(Finding("emptied", f"Event {row['id']} lost its {name} part.", row["id"]))
                else:
                    self.erased[owner] = max(row["id"], self.erased.get(owner, FIRST))
            elif (digest is None and not empty) or (digest is not None and (salt is None or salted(salt, *values) != digest)):
                self.findings.append(Finding("altered", f"Event {row['id']}: its {name} part was altered.", row["id"]))

    def close(self, only: set[UUID] | None = None) -> None:
        """After the last event: what the seals know of and did not come."""
        for chain, head in self._state.heads.items():
            if only is not None and chain not in only:
                continue
            place = self.places.get(chain)
            if (place is None or place.number < head.number) and head.id >= self._state.begins:
                came = place.number if place else 0
                text = f"Events {came + 1} to {head.number} of chain {chain} were sealed and are gone."
                self.findings.append(Finding("removed", text, head.id, chain))

    def _found(self, code: str, text: str, row: sa.RowMapping) -> None:
        self.findings.append(Finding(code, text, row["id"], row["chain"]))


def _further(place: Place, known: Place | None) -> bool:
    return known is None or place.number > known.number


def _packed(places: Mapping[UUID, Place]) -> dict[str, list[Any]]:
    return {str(chain): [place.number, place.mac.hex(), str(place.id)] for chain, place in places.items()}


def _unpacked(packed: Mapping[str, Any]) -> dict[UUID, Place]:
    return {UUID(chain): Place(number, bytes.fromhex(mac), UUID(event)) for chain, (number, mac, event) in packed.items()}


def _seal(row: sa.RowMapping) -> Seal:
    body = json.loads(row["body"])
    begins = body["begins"]
    return Seal(
        number=row["number"], at=row["at"], mac=row["mac"], previous=bytes.fromhex(body["previous"]),
        begins=UUID(begins) if begins else None, heads=_unpacked(body["heads"]), starts=_unpacked(body["starts"]),
    )  # fmt: skip


def _sealed_text(number: int, at: datetime, body: str) -> bytes:
    return canonical(("seal", number, at.astimezone(UTC).isoformat(timespec="microseconds"), body))


def _receipt(text: str | None) -> tuple[int, bytes] | None:
    if text is None:
        return None
    number, _, mac = text.partition(":")
    return int(number), bytes.fromhex(mac)
