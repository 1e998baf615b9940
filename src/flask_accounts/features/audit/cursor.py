"""The opaque cursor of the log: the id of the last event of a page, as URL-safe text."""

from __future__ import annotations

import base64
import binascii
from uuid import UUID

from ...core.errors import ValidationError


def write_cursor(event_id: UUID) -> str:
    """The cursor that goes on after `event_id`."""
    return base64.urlsafe_b64encode(event_id.bytes).decode().rstrip("=")


def read_cursor(cursor: str | None) -> UUID | None:
    """The id that `cursor` stands for; None for none. `ValidationError` if it is not one of ours."""
    if not cursor:
        return None
    try:
        found = UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        found = None
    if found is None or write_cursor(found) != cursor:
        raise ValidationError.one("cursor", "cursor_invalid", "Not a cursor of this list.")
    return found
