"""How far an import has come: the row that is written in the same transaction as its accounts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from ...core.runtime import Runtime
from .models import ImportMixin
from .plan import ImportReport


class ImportInterrupted(Exception):
    """An import of this file has come to row `rows` and did not end."""

    def __init__(self, rows: int) -> None:
        super().__init__(rows)
        self.rows = rows


class ImportFailed(Exception):
    """The database takes the rows of a batch one by one, and not together; the text is its own."""


class ImportOvertaken(Exception):
    """Another process goes on with the same import."""


@dataclass(frozen=True)
class Begun:
    """Where an import goes on: its counts so far, its place in the file of refused rows, and whether it is done."""

    report: ImportReport
    rejects: int = 0
    finished: bool = False


class Journal:
    """How far the import has come, as its table says."""

    def __init__(self, runtime: Runtime, digest: str, *, dry_run: bool) -> None:
        self.digest: str = digest
        """Which import it is: of the file, and of how it is read."""
        self._runtime, self._dry_run = runtime, dry_run
        self._table: sa.Table = runtime.model(ImportMixin).__table__

    def begin(self, *, resume: bool, restart: bool) -> Begun:
        """Where to go on. A new import is noted at once: of two that begin the same, the first to commit a batch goes on alone."""
        if self._dry_run:
            return Begun(ImportReport())
        table, now = self._table, self._runtime.clock.now()
        row = self._execute(sa.select(table).where(table.c.id == self.digest)).mappings().first()
        if row is not None and resume:
            said = json.loads(row["report"])
            rejects = said.pop("rejects")
            return Begun(ImportReport(**said), rejects, row["finished_at"] is not None)
        if row is not None and row["finished_at"] is None and row["rows"] and not restart:
            self._runtime.db.session.rollback()
            raise ImportInterrupted(row["rows"])
        self._execute(sa.delete(table).where(table.c.id == self.digest))
        values = {"id": self.digest, "rows": 0, "report": _told(ImportReport(), 0), "started_at": now, "updated_at": now}
        try:
            self._execute(sa.insert(table).values(values))
        except IntegrityError:
            self._runtime.db.session.rollback()
            raise ImportOvertaken from None
        self._runtime.commit()
        return Begun(ImportReport())

    def advance(self, report: ImportReport, before: int, *, rejects: int) -> None:
        """Note the batch after row `before`; `ImportOvertaken` if that is not where the import is any more."""
        values = {"rows": report.rows, "report": _told(report, rejects), "updated_at": self._runtime.clock.now()}
        self._swap(before, values)

    def finish(self, report: ImportReport) -> None:
        """Note that there are no more rows."""
        if self._dry_run:
            return
        now = self._runtime.clock.now()
        row = self._execute(sa.select(self._table.c.report).where(self._table.c.id == self.digest)).first()
        rejects = json.loads(row[0])["rejects"] if row else 0
        self._swap(report.rows, {"report": _told(report, rejects), "updated_at": now, "finished_at": now})
        self._runtime.commit()

    def _swap(self, rows: int, values: Mapping[str, Any]) -> None:
        table = self._table
        statement = sa.update(table).where(table.c.id == self.digest, table.c.rows == rows, table.c.finished_at.is_(None))
        if not self._execute(statement.values(dict(values))).rowcount:
            self._runtime.db.session.rollback()
            raise ImportOvertaken

    def _execute(self, statement: sa.Executable) -> sa.CursorResult[Any]:
        return self._runtime.users.execute(statement)


def _told(report: ImportReport, rejects: int) -> str:
    return json.dumps(asdict(report) | {"first": [], "rejects": rejects})
