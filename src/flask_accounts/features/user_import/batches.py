"""Writes the accounts of a batch, in as many statements whatever its size, and finds out which rows a database does not take."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from sqlalchemy.exc import OperationalError, StatementError

from ...core.runtime import Runtime
from ..roles.service import ROLE_NAME, RoleService
from .plan import ImportPlan
from .rows import Row

REFUSALS: tuple[type[Exception], ...] = (StatementError, OverflowError)
"""What a database, or what stands before it, raises for values that it does not take."""
CHECK_FAILED = (3819, 4025)
"""A CHECK constraint, as MySQL and MariaDB number it; their driver counts it among errors of operation."""


def has_failed(error: BaseException) -> bool:
    """Whether the database has failed, and not the values."""
    if not isinstance(error, OperationalError):
        return False
    code = next(iter(getattr(error.orig, "args", ())), None)
    return code not in CHECK_FAILED


class BatchWriter:
    """Writes the accounts of a batch, in as many statements whatever its size."""

    def __init__(self, runtime: Runtime, plan: ImportPlan) -> None:
        self._runtime, self._plan, self._users = runtime, plan, runtime.users
        self._roles = runtime.get(RoleService)

    def write(self, batch: Sequence[Row]) -> None:
        """Insert what fits; rows whose names are taken, or whose roles are not there, are refused or skipped."""
        self.conflicts(batch)
        self._check_roles(batch)
        rows = [row for row in batch if row.fits]
        self._users.insert_many([row.values for row in rows])
        granted = [row for row in rows if row.roles]
        if granted:
            keys = self._users.keys_by_email([row.values["email"] for row in granted])
            self._roles.grant_many([(keys[row.values["email"]], name) for row in granted for name in row.roles])
        if self._plan.keep_ids and rows and not self._plan.dry_run:
            self._users.advance_keys()

    def conflicts(self, batch: Sequence[Row]) -> bool:
        """Refuse or skip the rows whose address, username or key an account has; whether there are any."""
        rows = [row for row in batch if row.fits]
        taken = self._users.taken(
            emails=[row.values["email"] for row in rows],
            usernames=[name for row in rows if (name := row.values["username_normalized"]) is not None],
            keys=[row.values[self._users.key_name] for row in rows] if self._plan.keep_ids else [],
        )
        found = False
        for row in rows:
            held = [
                name
                for name, column, values in (
                    ("email", "email", taken.emails),
                    ("username", "username_normalized", taken.usernames),
                    ("id", self._users.key_name, taken.keys),
                )
                if row.values.get(column) in values
            ]
            found = found or bool(held)
            if held and self._plan.on_conflict == "skip":
                row.skipped = True
            else:
                for name in held:
                    row.refuse(name, f"{name}_taken", "An account has it already.")
        return found

    def to_blame(self, batch: Sequence[Row]) -> set[int]:
        """The lines of the rows that the database does not take beside those before them. All are tried, and taken back."""
        blamed, session = set(), self._runtime.db.session
        # Elsewhere a statement that fails takes nothing else with it, and SQLite's driver knows no savepoints to rely on.
        apart = session.begin_nested if self._users.dialect.name == "postgresql" else contextlib.nullcontext
        for row in batch:
            if row.fits:
                try:
                    with apart():
                        self._users.insert_many([row.values])
                except REFUSALS as error:
                    if has_failed(error):
                        raise
                    blamed.add(row.line)
        session.rollback()
        return blamed

    def _check_roles(self, batch: Sequence[Row]) -> None:
        asked = {name for row in batch if row.fits for name in row.roles}
        if not asked:
            return
        there = set(self._roles.names())
        meant = {name: name if name in there else name.lower() for name in asked}
        for name in sorted(set(meant.values()) - there):
            if name == self._roles.admin_role:
                self._roles.ensure_admin_role()
            elif self._plan.create_roles and ROLE_NAME.fullmatch(name):
                self._roles.create(name)
            else:
                continue
            there.add(name)
        for row in batch:
            if row.fits:
                row.roles = tuple(dict.fromkeys(meant[name] for name in row.roles))
                for name in row.roles:
                    if name not in there:
                        row.refuse("roles", "role_unknown", f"There is no role {name[:64]!r}.")
