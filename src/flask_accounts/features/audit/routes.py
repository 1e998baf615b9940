"""GET /me/events, /users/events and /users/{id}/events."""

from __future__ import annotations

from typing import Any

from ...core.errors import NotFound, ValidationError
from ...core.events import Key
from ...core.http import Call, Reply, Route, needs
from ...core.users import UserView
from .cursor import read_cursor, write_cursor
from .schemas import EventListQuery, EventPageSchema, EventSchema, OwnEventPageSchema, OwnEventQuery, own_event
from .service import AuditService, EventQuery, Record


def my_events(call: Call[None]) -> Reply:
    """What happened to the own account, newest first."""
    user: UserView = call.principal.user
    records, further = _page(call, _query(call.query, user.key, user))
    return Reply(OwnEventPageSchema(events=[own_event(record, user.key) for record in records], next_cursor=further))


def list_events(call: Call[None]) -> Reply:
    """What happened to all accounts, newest first."""
    return _listed(call, None, None)


def list_user_events(call: Call[None]) -> Reply:
    """What happened to an account, newest first; also to one that is deleted."""
    users = call.runtime.users
    key = users.parse_key(call.params["user_id"])
    if key is None:
        raise NotFound
    return _listed(call, key, users.view(key))


def _listed(call: Call[None], key: Key | None, user: UserView | None) -> Reply:
    asked: EventListQuery = call.query
    actor = call.runtime.users.parse_key(asked.actor) if asked.actor is not None else None
    if asked.actor is not None and actor is None:
        raise ValidationError.one("actor", "key_invalid", "Not the key of an account.")
    records, further = _page(call, _query(asked, key, user, actor))
    return Reply(EventPageSchema(events=[_shown(record) for record in records], next_cursor=further))


def _query(asked: OwnEventQuery, key: Key | None, user: UserView | None, actor: Key | None = None) -> EventQuery:
    after = asked.after
    if user is not None:
        # Some databases give a deleted account's key to the next one. What is older than the account is not its own.
        after = max(after, user.created_at) if after else user.created_at
    names = tuple(asked.event.split(",")) if asked.event else ()
    return EventQuery(names, asked.outcome, subject=key, actor=actor, after=after, before=asked.before)


def _page(call: Call[Any], query: EventQuery) -> tuple[list[Record], str | None]:
    # One more than asked for tells whether there is a next page.
    size = call.query.per_page
    found = call.runtime.get(AuditService).page(query, beyond=read_cursor(call.query.cursor), limit=size + 1)
    return found[:size], write_cursor(found[size - 1].id) if len(found) > size else None


def _shown(record: Record) -> EventSchema:
    return EventSchema(
        id=record.id, at=record.at, event=record.event, outcome=_outcome(record), user_id=record.subject, actor_id=record.actor,
        session_id=record.session_id, ip_address=record.address, user_agent=record.user_agent,
        details={**record.details, **record.personal},
    )  # fmt: skip


def _outcome(record: Record) -> Any:
    return record.outcome


AUTH_ROUTES = (Route(method="GET", path="/me/events", view=my_events, query=OwnEventQuery, answers={200: OwnEventPageSchema}),)

USERS_ROUTES = (
    Route(
        method="GET", path="/events", view=list_events, access=needs("audit:read", delegates=True), query=EventListQuery,
        answers={200: EventPageSchema},
    ),
    Route(
        method="GET", path="/<user_id>/events", view=list_user_events, access=needs("audit:read", delegates=True), query=EventListQuery,
        answers={200: EventPageSchema}, errors=(NotFound,),
    ),
)  # fmt: skip
