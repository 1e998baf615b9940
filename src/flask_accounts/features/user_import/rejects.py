"""Where refused rows are written down."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Protocol

from .rows import Row


class Rejects(Protocol):
    """Where refused rows are written, so that a place in it can be gone back to."""

    def go_to(self, place: int) -> None:
        """Forget what was written after `place`."""
        ...

    def write(self, rows: Iterable[Row]) -> int:
        """Write rows durably, and return the place after them."""
        ...


class RejectsFile:
    """Refused rows as CSV: line, address, codes and sentences. Never a hash, nor another value of the row. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")

    def go_to(self, place: int) -> None:
        """As `Rejects.go_to`."""
        place = min(place, self._file.seek(0, os.SEEK_END))  # somebody may have moved the file away meanwhile
        self._file.seek(place)
        self._file.truncate()
        if place == 0:
            self._file.write(_csv_line("line", "email", "codes", "problems"))

    def write(self, rows: Iterable[Row]) -> int:
        """As `Rejects.write`."""
        for row in rows:
            codes = " ".join(dict.fromkeys(problem.code for problem in row.problems))
            said = " ".join(f"{problem.field}: {problem.message}" if problem.field else problem.message for problem in row.problems)
            self._file.write(_csv_line(str(row.line), row.email or "", codes, said))
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def __enter__(self) -> RejectsFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


def _csv_line(*cells: str) -> bytes:
    quoted = ",".join('"' + "".join(char for char in cell if char.isprintable())[:500].replace('"', '""') + '"' for cell in cells)
    return (quoted + "\n").encode("utf-8", "replace")
