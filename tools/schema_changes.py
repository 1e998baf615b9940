"""A changed table is a changelog entry with its migration: what `tests/snapshots/schema.sql` and CHANGELOG.md must say of each other.

Every table has a digest of its definition on all databases, in the snapshot and behind its name in a "Migration" section
of the changelog: `` `accounts_roles` (schema 0a1b2c3d) ``. The newest mention of a table is how it is now. A changed table has
another digest, so an entry is missing until somebody writes it; an entry for a table that an earlier release had must show what to
run, as the operations of Alembic (`op.`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

TABLE = re.compile(r"^-- table (\S+) \(schema ([0-9a-f]{8})\)$", re.MULTILINE)
MENTION = re.compile(r"`(\w+)`\s+\(schema ([0-9a-f]{8})\)")
REMOVED = re.compile(r"`(\w+)`\s+\(schema removed\)")


@dataclass(frozen=True)
class Entry:
    """What the changelog says of a table."""

    table: str
    digest: str | None
    """None where the table is said to be removed."""
    text: str
    release: str


def digest(definition: str) -> str:
    """What stands for a table's definition."""
    return hashlib.sha256(definition.encode()).hexdigest()[:8]


def tables(snapshot: str) -> dict[str, str]:
    """The digest of every table of the snapshot."""
    return dict(TABLE.findall(snapshot))


def problems(snapshot: Mapping[str, str], changelog: str) -> list[str]:
    """What the changelog does not say of the tables of the snapshot, as sentences that tell what to write."""
    entries = list(_entries(changelog))
    newest: dict[str, Entry] = {}
    for entry in entries:
        newest.setdefault(entry.table, entry)
    found = []
    for table, now in snapshot.items():
        said = newest.get(table)
        if said is None or said.digest != now:
            found.append(
                f"The table {table} {'has changed' if said else 'is new'}. Say so in CHANGELOG.md, in the section Migration of the coming release, "
                f"with the operations that bring the change: `{table}` (schema {now})"
            )
        elif "op." not in said.text and any(e.table == table and e.release != said.release and e.digest for e in entries):
            found.append(
                f"CHANGELOG.md {said.release} says that the table {table} has changed, but not how to change it: name the operations "
                f'of Alembic, such as `op.add_column("{table}", ...)`.'
            )
    found += [
        f"The table {table} is gone. Say so in CHANGELOG.md, in the section Migration of the coming release: `{table}` (schema removed)"
        for table, said in newest.items()
        if said.digest and table not in snapshot
    ]
    return found


def _entries(changelog: str) -> Iterator[Entry]:
    """What stands under the headings "Migration", newest first."""
    for release, section in _parts(changelog, "## "):
        for title, body in _parts(section, "### "):
            if title == "Migration":
                for item in re.split(r"^- ", body, flags=re.MULTILINE):
                    for table, now in MENTION.findall(item):
                        yield Entry(table, now, item, release)
                    for table in REMOVED.findall(item):
                        yield Entry(table, None, item, release)


def _parts(text: str, mark: str) -> Iterator[tuple[str, str]]:
    for part in re.split(rf"^{re.escape(mark)}", text, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        yield title.strip(), body
