"""Rows out of a CSV file or JSON lines, one at a time: whatever a line holds, it comes out as a row or as a row with a problem.

A file may be longer than memory, a line too. Lines are counted from 1, as editors do. A stray quote costs its own line only:
what seems to belong to the row is looked at again by itself.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

from ...core.errors import FieldProblem

MAX_ROW = 131_072
"""Longest row, in bytes."""
MAX_LINES = 1_000
"""Most lines that one row may go over."""
MAX_COLUMNS = 1_000

WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class SourceError(ValueError):
    """The file as a whole cannot be read, for the reason its text says."""


@dataclass(frozen=True)
class SourceRow:
    """One row: its values by the names that the file gives, or what is wrong with it."""

    line: int
    values: dict[str, Any] | None = None
    problem: FieldProblem | None = None


@dataclass(frozen=True)
class _Line:
    number: int
    content: bytes
    whole: bool = True


class _Lines:
    """The lines of a file, none longer than `MAX_ROW` in memory, which can be given back."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._number = 0
        self._back: deque[_Line] = deque()
        self.position = 0
        """Bytes read so far."""

    def next(self) -> _Line | None:
        if self._back:
            return self._back.popleft()
        content = self._file.readline(MAX_ROW + 1)
        if not content:
            return None
        self.position += len(content)
        self._number += 1
        if self._number == 1:
            if content.startswith(WIDE_MARKS):
                raise SourceError("The file is in UTF-16. Save it in UTF-8.")
            content = content.removeprefix(codecs.BOM_UTF8)
        whole = len(content) <= MAX_ROW
        rest = content
        while not rest.endswith(b"\n"):
            rest = self._file.readline(MAX_ROW)
            if not rest:
                break
            self.position += len(rest)
            whole = False
        return _Line(self._number, content if whole else b"", whole)

    def give_back(self, lines: list[_Line]) -> None:
        self._back.extendleft(reversed(lines))


class Source:
    """The rows of `file`. `format` is `csv` or `jsonl`; `encoding` one in which a line feed is a byte of its own."""

    def __init__(self, file: BinaryIO, *, format: str, encoding: str = "utf-8", delimiter: str = ",") -> None:
        self._lines = _Lines(file)
        self._encoding, self._delimiter = encoding, delimiter
        self._csv = format == "csv"
        self.columns: tuple[str, ...] | None = self._header() if self._csv else None
        """The names that the first line of a CSV file gives; None where each row names its own."""

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._lines.position

    def __iter__(self) -> Iterator[SourceRow]:
        while line := self._lines.next():
            if not line.whole:
                yield _bad(line, "row_too_long", f"The row has more than {MAX_ROW} bytes.")
                continue
            try:
                text = line.content.decode(self._encoding)
            except UnicodeDecodeError:
                yield _bad(line, "encoding_invalid", f"The row is not in {self._encoding.upper()}.")
                continue
            if text.strip():
                yield self._record(line, text) if self._csv else self._object(line, text)

    # CSV

    def _header(self) -> tuple[str, ...]:
        line = self._lines.next()
        if line is None:
            raise SourceError("The file is empty.")
        try:
            names = next(csv.reader([line.content.decode(self._encoding)], delimiter=self._delimiter, strict=True), [])
        except (UnicodeDecodeError, csv.Error):
            raise SourceError(f"The first line is no list of column names in {self._encoding.upper()}.") from None
        names = [name.strip() for name in names]
        if not line.whole or len(names) > MAX_COLUMNS or not all(names):
            raise SourceError("The first line must name the columns, each by at least one character.")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise SourceError(f"The first line names {', '.join(twice)} twice.")
        return tuple(names)

    def _record(self, line: _Line, text: str) -> SourceRow:
        columns = self.columns or ()
        texts, further, size = [text], list[_Line](), len(text)
        while True:
            try:
                cells = next(csv.reader(texts, delimiter=self._delimiter, strict=True), [])
                break
            except csv.Error as error:
                # An open quote: the row may go on, as far as the line with the next one.
                closed = "unexpected end" not in str(error)
                while not closed and size <= MAX_ROW and len(texts) < MAX_LINES and (more := self._lines.next()):
                    further.append(more)
                    texts.append(more.content.decode(self._encoding, "replace"))
                    size += len(more.content)
                    if b'"' in more.content or not more.whole:
                        break
                else:
                    self._lines.give_back(further)
                    return _bad(line, "csv_malformed", "The row is no well-formed CSV: look at its quotes.")
        if len(cells) != len(columns) or any("\ufffd" in more for more in texts[1:]) or not all(more.whole for more in further):
            self._lines.give_back(further)
            return _bad(line, "columns_wrong", f"The row has {len(cells)} columns and not {len(columns)}.")
        return SourceRow(line.number, {name: cell if cell != "" else None for name, cell in zip(columns, cells, strict=True)})

    # JSON lines

    def _object(self, line: _Line, text: str) -> SourceRow:
        try:
            found = json.loads(text, parse_constant=_no_number)
        except (ValueError, RecursionError):
            if line.number == 1 and text.strip() in ("{", "["):
                raise _one_document() from None
            return _bad(line, "json_malformed", "The row is no JSON.")
        if line.number == 1 and (isinstance(found, list) or (isinstance(found, dict) and isinstance(found.get("users"), list))):
            raise _one_document()
        if not isinstance(found, dict) or len(found) > MAX_COLUMNS:
            return _bad(line, "json_malformed", "The row is no JSON object.")
        return SourceRow(line.number, found)


def format_of(name: str, beginning: bytes) -> str:
    """`csv` or `jsonl`, by a file's name or, if that does not tell, its first bytes."""
    lowered = name.lower()
    if lowered.endswith((".jsonl", ".ndjson", ".json")):
        return "jsonl"
    if lowered.endswith((".csv", ".tsv", ".txt")):
        return "csv"
    return "jsonl" if beginning.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"[") else "csv"


def _bad(line: _Line, code: str, message: str) -> SourceRow:
    return SourceRow(line.number, problem=FieldProblem("", code, message))


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


def _one_document() -> SourceError:
    return SourceError(
        "The file is one JSON document, and should have one object a line. With jq: jq -c '.users[]' (or '.[]') before > after.jsonl"
    )
