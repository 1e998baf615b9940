"""What is to be done about a file, and what became of its rows."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO

from ...core.passwords import scheme
from .rows import Row

SHOWN = 20
"""How many refused rows a report names one by one."""


@dataclass(frozen=True)
class ImportPlan:
    """How a file is to be read, and what is done about it.

    `columns` leads from the file's names to ours, before what is known of the `system`; ours may be empty, to leave a column out.
    `constants` are values that every row without one gets. `hashes` says what password hashes are of, see `systems.HASHES`.
    `on_conflict`: what becomes of a row whose address, username or key an account has: `refuse`, or `skip`.
    """

    system: str = "accounts"
    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    hashes: str | None = None
    on_conflict: str = "refuse"
    keep_ids: bool = False
    create_roles: bool = False
    ignore_unknown: bool = False
    dry_run: bool = False
    batch_size: int = 1000
    """Rows of one transaction."""


@dataclass
class ImportReport:
    """What became of the rows."""

    rows: int = 0
    imported: int = 0
    skipped: int = 0
    refused: int = 0
    without_password: int = 0
    """Imported accounts whose owners have to reset their passwords."""
    reasons: dict[str, int] = field(default_factory=dict)
    """How many rows were refused by which code; a row may have several."""
    hashes: dict[str, int] = field(default_factory=dict)
    """How many imported accounts have a hash of which scheme."""
    roles: dict[str, int] = field(default_factory=dict)
    """How many imported accounts have which role."""
    ignored: list[str] = field(default_factory=list)
    """Columns of the file that are not taken."""
    first: list[dict[str, Any]] = field(default_factory=list)
    """The first refused rows: `line`, `problems`. Of this run only."""

    def count(self, batch: Sequence[Row]) -> None:
        """Add what became of a batch."""
        reasons, hashes, roles = Counter(self.reasons), Counter(self.hashes), Counter(self.roles)
        for row in batch:
            self.rows += 1
            if row.problems:
                self.refused += 1
                reasons.update({problem.code for problem in row.problems})
                if len(self.first) < SHOWN:
                    self.first.append({"line": row.line, "problems": [asdict(problem) for problem in row.problems]})
            elif row.skipped:
                self.skipped += 1
            else:
                self.imported += 1
                self.without_password += not row.has_password
                hashes.update([scheme(row.values["password_hash"])] if row.has_password else [])
                roles.update(row.roles)
        self.reasons, self.hashes, self.roles = dict(reasons), dict(hashes), dict(roles)


def digest_of(file: BinaryIO, plan: ImportPlan, reading: Mapping[str, str]) -> str:
    """Names a file's content together with everything that decides what becomes of it. Reads `file` to its end."""
    how = asdict(plan) | {"batch_size": None, "dry_run": None} | {"reading": dict(reading)}
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    digest.update(json.dumps(how, sort_keys=True).encode())
    return digest.hexdigest()
