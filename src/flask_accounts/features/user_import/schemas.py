"""What an import takes of an account, and how texts of other systems are read."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

import sqlalchemy as sa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from ...core.models import REQUIRED, UtcDateTime
from ...core.schemas import EmailAddress, Input, SchemaBook, Username, derived
from ...core.users import UserStore

MAX_ROLES = 50
FIRST_MILLISECOND = 100_000_000_000
"""A bare number from here on is milliseconds since 1970; a smaller one, seconds (which would be the year 5138)."""


def _time(value: Any) -> datetime:  # text, a number, or a time
    """A time in UTC: ISO 8601, as databases print it, or a number since 1970. One without a zone is taken for UTC."""
    try:
        if isinstance(value, int | float) or (isinstance(value, str) and re.fullmatch(r"\d{1,15}", value, re.ASCII)):
            number = float(value)
            found = datetime.fromtimestamp(number / 1000 if number >= FIRST_MILLISECOND else number, UTC)
        else:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(value.strip())
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        if 1970 <= found.year <= 9998:
            return found
    except (ValueError, TypeError, AttributeError, OverflowError, OSError):
        pass
    raise PydanticCustomError("datetime_parsing", "Give a time such as 2026-01-31T12:00:00Z.")


def _roles(value: Any) -> Any:  # text, or a list
    if isinstance(value, str):
        return [name for name in re.split(r"[,;|\s]+", value.strip().strip("{}")) if name]
    return value


def _text(value: Any) -> Any:  # a key, as text or as JSON has it
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


ImportedTime = Annotated[datetime, BeforeValidator(_time)]
"""A time as other systems write it."""


class ImportUserSchema(Input):
    """One account of an import. Subclass it to say which columns of your own there may be, and how they are read.

    Without a subclass they are the columns of your user class, by its types. What is empty or null counts as left out.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    email: EmailAddress
    username: Username | None = None
    password_hash: str | None = None
    """Encoded as it stands in the other system; left out, the owner has to reset the password."""
    is_active: bool = True
    email_verified: bool = False
    email_verified_at: ImportedTime | None = None
    """When the address was proved; implies `email_verified`."""
    created_at: ImportedTime | None = None
    roles: Annotated[list[str], BeforeValidator(_roles), Field(max_length=MAX_ROLES)] = Field(default_factory=list)
    """A list, or text with commas, semicolons or blanks between the names."""
    id: Annotated[str, BeforeValidator(_text)] | None = None
    """The key, where keys are kept."""


def import_schema(book: SchemaBook, users: UserStore) -> type[ImportUserSchema]:
    """The host's own schema; without one, ours and a field for each column of the host's user class."""
    given = book.get(ImportUserSchema)
    if given is not ImportUserSchema:
        return given
    taken = {*REQUIRED, *ImportUserSchema.model_fields, users.key_name}
    fields: dict[str, Any] = {}
    for name, column in users.c.items():
        annotation = None if name in taken or column.computed is not None else _annotation(column)
        if annotation is not None:
            required = not column.nullable and column.default is None and column.server_default is None
            fields[name] = (annotation, ...) if required else (annotation | None, None)
    return derived("ImportUser", ImportUserSchema, **fields) if fields else given


def own_fields(schema: type[BaseModel]) -> set[str]:
    """The fields that are columns of the host's own."""
    return set(schema.model_fields) - set(ImportUserSchema.model_fields)


def _annotation(column: sa.Column[Any]) -> Any:  # a type expression
    if isinstance(column.type, UtcDateTime):
        return ImportedTime
    if isinstance(column.type, sa.Enum) and column.type.enum_class is not None:
        return column.type.enum_class
    try:
        kind = column.type.python_type
    except NotImplementedError:
        return None
    if kind is str and getattr(column.type, "length", None):
        return Annotated[str, Field(max_length=column.type.length)]  # type: ignore[attr-defined]  # asked just before
    return Any if kind in (dict, list) else kind
