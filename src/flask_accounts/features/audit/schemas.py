"""What the audit routes take and show."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from ...core.events import Key, event_types
from ...core.schemas import Input, Output, QueryTime, WholeNumber
from .service import Record

INTERNAL: dict[str, tuple[str, ...]] = {kind.name: kind.internal for kind in event_types()}
"""What events say that is not for the account they are about, by their names."""


class OwnEventQuery(Input):
    """Which of the own events to list."""

    per_page: Annotated[int, Field(ge=1, le=100), WholeNumber] = 20
    """Events a page."""
    cursor: str | None = Field(default=None, max_length=64)
    """Empty for the first page, then the `next_cursor` of the page before."""
    event: str | None = Field(default=None, max_length=1000, pattern=r"^[a-z0-9_.]+(,[a-z0-9_.]+){0,19}$")
    """At most 20 names of events, with commas between them, such as `session.opened,session.refused`."""
    outcome: Literal["success", "failure"] | None = None
    after: QueryTime | None = None
    """Events of this time or later."""
    before: QueryTime | None = None
    """Events before this time."""


class EventListQuery(OwnEventQuery):
    """Which events to list."""

    actor: str | None = Field(default=None, min_length=1, max_length=255)
    """The key of the account that did it."""


class OwnEventSchema(Output):
    """Something that happened to the own account."""

    id: UUID
    at: datetime
    event: str
    outcome: Literal["success", "failure"]
    by_me: bool
    """Whether the own account did it. Of what others did, nothing about them is shown."""
    session_id: UUID | None
    ip_address: str | None
    user_agent: str | None
    details: dict[str, Any]
    """What more the event says; which members depends on its name."""


def own_event(record: Record, key: Key) -> OwnEventSchema:
    """An event as the account it is about may see it."""
    # Nobody known is shown: an address from which somebody tried to sign in is what the owner looks for.
    others = record.actor not in (None, str(key))
    outcome: Any = record.outcome
    details = dict(record.details) if others else {**record.details, **record.personal}
    return OwnEventSchema(
        id=record.id, at=record.at, event=record.event, outcome=outcome, by_me=record.actor == str(key),
        session_id=record.session_id, ip_address=None if others else record.address,
        user_agent=None if others else record.user_agent,
        details={name: value for name, value in details.items() if name not in INTERNAL.get(record.event, ())},
    )  # fmt: skip


class OwnEventPageSchema(Output):
    """Some of the own events, newest first; `next_cursor` is null at the end."""

    events: list[OwnEventSchema]
    next_cursor: str | None


class EventSchema(Output):
    """Something that happened. Address, user agent and personal details are null or left out once the account is deleted."""

    id: UUID
    at: datetime
    event: str
    outcome: Literal["success", "failure"]
    user_id: str | None
    """The key, as text, of the account it is about; the account itself may be gone."""
    actor_id: str | None
    """The key, as text, of the account that did it; null for nobody known, a command or host code."""
    session_id: UUID | None
    ip_address: str | None
    user_agent: str | None
    details: dict[str, Any]
    """What more the event says; which members depends on its name."""


class EventPageSchema(Output):
    """Some events, newest first; `next_cursor` is null at the end."""

    events: list[EventSchema]
    next_cursor: str | None
