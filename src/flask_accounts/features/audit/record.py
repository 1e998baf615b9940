"""From an event to what is written of it: no secrets, personal data apart from the rest."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from ...core.events import Event

BASE = frozenset(field.name for field in dataclasses.fields(Event)) - {"via"} | {"session_id"}
"""Fields that have columns of their own."""
SECRET_WORDS = frozenset({"password", "passphrase", "token", "secret", "hash", "code", "otp", "cookie"})
MAX_TEXT, MAX_ITEMS = 500, 100


@dataclass(frozen=True)
class Details:
    """What an event says beyond who, when and where: what may be kept, and the personal part."""

    lasting: Mapping[str, Any]  # JSON values
    personal: Mapping[str, Any]


def details_of(event: Event) -> Details:
    """The event's own fields as JSON values.

    Fields the event does not declare as lasting count as personal. A field that is named like a secret is left out,
    and so is a value of a type that is no plain data: the log must not depend on nobody ever making a mistake.
    """
    lasting: dict[str, Any] = {}
    personal: dict[str, Any] = {}
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if field.name in BASE or value is None or SECRET_WORDS & set(field.name.split("_")):
            continue
        plain = _plain(value)
        if plain is not None:
            (lasting if field.name in event.lasting else personal)[field.name] = plain
    return Details(lasting, personal)


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str | UUID):
        return printable(str(value), MAX_TEXT)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [plain for item in list(items)[:MAX_ITEMS] if (plain := _plain(item)) is not None]
    return None


def printable(text: str | None, length: int) -> str | None:
    """`text` without line ends, escapes and the like, and no longer than `length` (ASVS 16.4.1)."""
    return None if text is None else "".join(char for char in text if char.isprintable())[:length]


def dump(values: Mapping[str, Any]) -> str:
    """JSON in ASCII, so that every database gives back what it was given."""
    return json.dumps(values, separators=(",", ":"), sort_keys=True)
