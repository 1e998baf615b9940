"""The opaque cursor of a list: where the last page ended, as URL-safe text."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime

from ...core.errors import ValidationError
from ...core.listing import Position, UserQuery
from ...core.users import UserStore


def write_cursor(position: Position, query: UserQuery) -> str:
    """The cursor for a sort value and a key, valid for lists of the same sort order."""
    value, key = position
    text = value.isoformat() if isinstance(value, datetime) else value
    packed = json.dumps([("-" if query.descending else "") + query.sort, text, str(key)], separators=(",", ":"))
    return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")


def read_cursor(cursor: str, query: UserQuery, users: UserStore) -> Position | None:
    """The sort value and key that `cursor` stands for; None for the empty one. `ValidationError` if it is not one of ours."""
    if not cursor:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        sort, value, key_text = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        key = users.parse_key(key_text)
        if query.sort in ("created_at", "updated_at"):
            value = datetime.fromisoformat(value)
            fits = value.tzinfo is not None
        else:
            fits = value is None if query.sort == "id" else isinstance(value, str) and "\x00" not in value and value.isprintable()
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise _wrong() from None
    if key is None or not fits or sort != ("-" if query.descending else "") + query.sort:
        raise _wrong()
    return value, key


def _wrong() -> ValidationError:
    return ValidationError.one("cursor", "cursor_invalid", "Not a cursor of this list.")
