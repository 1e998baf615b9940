"""Imports accounts, batch by batch: each is one transaction that also says how far the import has come, so nothing comes twice.

A row is read, judged by what needs no database, and waits for its batch. A batch asks once what is taken, writes its accounts
by one INSERT, and is committed with its place in the file. Where the database refuses a batch, the rows to blame are found and
refused, and the others go in. Killed at whatever moment, an import goes on at the first row that no transaction has dealt with.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

from ...core.events import UsersImported
from ...core.feature import Service
from ...core.runtime import Runtime
from .batches import REFUSALS, BatchWriter, has_failed
from .journal import ImportFailed, Journal
from .plan import ImportPlan, ImportReport
from .rejects import Rejects
from .rows import Row, RowReader
from .seen import Seen
from .source import Source


class ImportService(Service):
    """Imports accounts from a file. Unlike other services it commits, once a batch."""

    def run(
        self,
        source: Source,
        plan: ImportPlan,
        *,
        digest: str,
        resume: bool = False,
        restart: bool = False,
        rejects: Rejects | None = None,
        progress: Callable[[int], None] = lambda position: None,
    ) -> ImportReport:
        """Import the rows of `source`, or with `plan.dry_run` do all of it but the commits.

        `digest` names the file and how it is read (`digest_of`): by it, `resume` finds where an interrupted import stopped;
        `restart` forgets that there was one. `progress` is told how many bytes are read. Raises `SourceError` for a file or a plan
        that cannot be meant, before anything is written; `ImportInterrupted` where neither `resume` nor `restart` says what to do;
        `ImportOvertaken`; `ImportFailed`, with what was committed until then.
        """
        return _Import(self.runtime, source, plan, digest, rejects, progress).run(resume=resume, restart=restart)


class _Import:
    """One run of one import."""

    def __init__(
        self,
        runtime: Runtime,
        source: Source,
        plan: ImportPlan,
        digest: str,
        rejects: Rejects | None,
        progress: Callable[[int], None],
    ) -> None:
        self._runtime, self._source, self._plan, self._rejects, self._progress = runtime, source, plan, rejects, progress
        self._journal = Journal(runtime, digest, dry_run=plan.dry_run)
        self._reader = RowReader(runtime, plan)
        self._writer = BatchWriter(runtime, plan)
        self._report = ImportReport()

    def run(self, *, resume: bool, restart: bool) -> ImportReport:
        if self._source.columns is not None:
            self._reader.check(self._source.columns)
        begun = self._journal.begin(resume=resume, restart=restart)
        self._report = begun.report
        if begun.finished:
            return self._report
        if self._rejects:
            self._rejects.go_to(begun.rejects)
        done = self._report.rows
        with Seen() as seen:
            rows = (self._reader.read(row, seen) for row in self._source)
            # Rows before the place are read again for the names they have taken, and nothing else.
            for batch in _batches(itertools.islice(rows, done, None), self._plan.batch_size):
                self._settle(batch)
                self._progress(self._source.position)
        self._report.ignored = sorted(self._reader.ignored)
        self._journal.finish(self._report)
        return self._report

    def _settle(self, batch: list[Row]) -> None:
        """Write a batch, and where the database refuses it, what is left of it without the rows to blame."""
        while True:
            tried = [replace(row, problems=list(row.problems)) for row in batch]
            try:
                self._writer.write(tried)
                break
            except REFUSALS as error:
                self._runtime.db.session.rollback()
                if has_failed(error):
                    raise
                if self._writer.conflicts(tried):  # somebody has registered meanwhile: asked again, the batch knows
                    continue
                blamed = self._writer.to_blame(tried)
                if not blamed:  # not as it came: that would show the rows' values, hashes too
                    raise ImportFailed(str(getattr(error, "orig", None) or type(error).__name__).partition("\n")[0]) from None
                for row in batch:
                    if row.line in blamed:
                        row.refuse("", "database_refused", "The database does not take this row: look at its columns of your own.")
        self._keep(tried)

    def _keep(self, batch: list[Row]) -> None:
        """Commit a batch with its place in the file, all or nothing."""
        report, plan = self._report, self._plan
        first = report.rows + 1
        report.count(batch)
        refused = [row for row in batch if row.problems]
        if plan.dry_run:
            self._runtime.db.session.rollback()
            if self._rejects:
                self._rejects.write(refused)
            return
        imported = [row for row in batch if row.fits]
        if imported:
            self._runtime.events.emit(
                UsersImported(
                    at=self._runtime.clock.now(), import_id=self._journal.digest[:16], first_row=first, last_row=report.rows,
                    imported=len(imported), refused=len(refused), roles=tuple(sorted({name for row in imported for name in row.roles})),
                )
            )  # fmt: skip
        self._journal.advance(report, first - 1, rejects=self._rejects.write(refused) if self._rejects else 0)
        self._runtime.commit()


def _batches(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    while batch := list(itertools.islice(rows, size)):
        yield batch
