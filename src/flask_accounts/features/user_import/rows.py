"""From a row of a file to an account's columns, by everything that can be said without the database."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pydantic
import sqlalchemy as sa

from ...core.derivations import HashRefused
from ...core.errors import FieldProblem
from ...core.legacy_hashes import LegacyHashSettings
from ...core.parsing import problems_of
from ...core.policies import email_form, folded
from ...core.runtime import Runtime
from .schemas import import_schema, own_fields
from .seen import Seen
from .source import SourceError, SourceRow
from .systems import SYSTEMS, marked

if TYPE_CHECKING:
    from .plan import ImportPlan

LARGEST_KEY: Mapping[type[Any], int] = {sa.SmallInteger: 2**15 - 1, sa.BigInteger: 2**63 - 1}
"""Of key columns that are no plain integers."""


@dataclass
class Row:
    """A row on its way: `values` are the account's columns, `problems` why it is refused."""

    line: int
    email: str | None = None
    values: dict[str, Any] = field(default_factory=dict, repr=False)
    roles: tuple[str, ...] = ()
    has_password: bool = False
    problems: list[FieldProblem] = field(default_factory=list)
    skipped: bool = False

    @property
    def fits(self) -> bool:
        """Whether it is to be imported."""
        return not self.problems and not self.skipped

    def refuse(self, name: str, code: str, message: str) -> None:
        """Note a reason not to import it."""
        self.problems.append(FieldProblem(name, code, message))


class RowReader:
    """From a row of the file to an account's columns, by everything that can be said without the database."""

    def __init__(self, runtime: Runtime, plan: ImportPlan) -> None:
        self._plan, self._system = plan, SYSTEMS[plan.system]
        self._hashes = plan.hashes or self._system.hashes
        self._users, self._hasher = runtime.users, runtime.hasher
        self._secrets = runtime.setting(LegacyHashSettings)
        self._schema = import_schema(runtime.schemas, runtime.users)
        self._own = own_fields(self._schema)
        self._context = {"accounts": runtime}
        self._now = runtime.clock.now()
        # For who has no password, as if it had been removed: of what nobody knows, so that a reset by mail helps.
        self._useless = runtime.hasher.hash(secrets.token_urlsafe(32))
        self.ignored: set[str] = set()
        """Columns that were not taken so far."""
        for name in [*plan.columns.values(), *plan.constants]:
            if name and name not in self._schema.model_fields:
                known = ", ".join(sorted(self._schema.model_fields))
                raise SourceError(f"There is no column {name} to import into. There are: {known}.")

    def check(self, columns: Sequence[str]) -> None:
        """Raise `SourceError` for a file whose columns cannot be meant."""
        if missing := sorted(set(self._plan.columns) - set(columns)):
            raise SourceError(f"The file has no column {', '.join(missing)}. It has: {', '.join(columns)}.")
        named: dict[str, str] = {}
        for column in self._system.prepare(dict.fromkeys(columns, ""), self._secrets):
            name = self._name(column)
            if name is None:
                if not self._is_left_out(column):
                    raise SourceError(
                        f"The column {column} is not known here. Name the one of ours that it is with --map, "
                        f"leave it out with --map '={column}', or all such with --ignore-unknown."
                    )
            elif name in named:
                raise SourceError(f"The columns {named[name]} and {column} are both {name}. Leave one out: --map '={column}'.")
            else:
                named[name] = column
        if "email" not in named and "email" not in self._plan.constants:
            raise SourceError("No column is the e-mail address. Name it: --map email=THEIRS.")

    def read(self, found: SourceRow, seen: Seen) -> Row:
        """The row, judged; `seen` is asked for what earlier rows have taken."""
        row = Row(found.line)
        if found.problem is not None or found.values is None:
            row.problems = [found.problem] if found.problem else []
            return row
        values = self._renamed(row, found.values)
        email = values.get("email")
        row.email = email if isinstance(email, str) else None
        if bad := sorted(name for name, value in values.items() if not _storable(value)):
            for name in bad:
                row.refuse(name, "text_invalid", "Text may not have a NUL or half a surrogate pair.")
            row.email = None
            return row
        self._validate(row, values)
        if row.problems:
            return row
        taken = {kind: str(row.values[kind]) for kind in ("email", "username_normalized") if row.values[kind] is not None}
        if self._users.key_name in row.values:
            taken["id"] = str(row.values[self._users.key_name])
        for kind, line in seen.claim(taken, row.line).items():
            name = kind.removesuffix("_normalized")
            row.refuse(name, f"{name}_repeated", f"Line {line} has it already.")
        return row

    def _name(self, column: str) -> str | None:
        """Which of ours a column of the file is; None if it is not taken."""
        if column in self._plan.columns:
            return self._plan.columns[column] or None
        name = self._system.columns.get(column, column)
        # A column that the caller has given another source for is not taken from where it is usually.
        if name in self._plan.columns.values() or (name == column and column in self._system.without and column not in self._own):
            return None
        if name == "id" and not self._plan.keep_ids:
            return None
        return name if name in self._schema.model_fields else None

    def _is_left_out(self, column: str) -> bool:
        """Whether that a column is not taken is on purpose."""
        name = self._system.columns.get(column, column)
        known = column in self._plan.columns or column in self._system.without or name in ("id", *self._plan.columns.values())
        return known or self._plan.ignore_unknown

    def _renamed(self, row: Row, given: dict[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = dict(self._plan.constants)
        for column, value in self._system.prepare(given, self._secrets).items():
            name = self._name(column)
            if name is not None:
                if value is not None and value != "":
                    values[name] = value
            elif self._is_left_out(column):
                if len(self.ignored) < 100:
                    self.ignored.add(column)
            else:
                row.refuse(column[:100], "column_unknown", "There is no such column here.")
        return values

    def _validate(self, row: Row, values: dict[str, Any]) -> None:
        username, email = values.get("username"), values.get("email")
        if isinstance(username, str) and isinstance(email, str) and email_form(username) == email_form(email):
            del values["username"]  # who signed in by address still does
        try:
            user: Any = self._schema.model_validate(values, context=self._context)
        except pydantic.ValidationError as error:
            row.problems += problems_of(error)
            return
        row.email = user.email
        verified_at = user.email_verified_at or (self._now if user.email_verified else None)
        row.values = {
            "email": user.email, "username": user.username,
            "username_normalized": folded(user.username) if user.username is not None else None,
            "password_hash": self._hash(row, user.password_hash), "is_active": user.is_active, "email_verified_at": verified_at,
            "created_at": user.created_at or self._now, "updated_at": self._now,
            **user.model_dump(include=self._own, exclude_unset=True),
        }  # fmt: skip
        row.has_password = user.password_hash is not None
        row.roles = tuple(dict.fromkeys(user.roles))
        if self._plan.keep_ids:
            self._keep_key(row, user.id)

    def _hash(self, row: Row, encoded: str | None) -> str:
        if encoded is None:
            return self._useless
        encoded = marked(encoded, self._hashes)
        try:
            self._hasher.check(encoded)
        except HashRefused as refused:
            if refused.code == "hash_needs_secret":
                raise SourceError(refused.message) from None
            row.refuse("password_hash", refused.code, refused.message)
        return encoded

    def _keep_key(self, row: Row, text: str | None) -> None:
        key = self._users.parse_key(text) if text is not None else None
        if isinstance(key, int):
            most = next((most for kind, most in LARGEST_KEY.items() if isinstance(self._users.key_column.type, kind)), 2**31 - 1)
            key = key if 0 < key <= most else None
        if key is None:
            row.refuse("id", "id_invalid", "The key is no key of this app's kind.")
        else:
            row.values[self._users.key_name] = key


def _storable(value: Any) -> bool:  # a JSON value
    """Whether every database takes the text in it."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, list | dict):
        text = json.dumps(value, ensure_ascii=False)
        if "\\u0000" in text:
            return False
    else:
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
