"""Inviting and its administration under /users/invitations; POST /invitations/look and /invitations/accept for the invited."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ...core.errors import (
    EmailTaken,
    InvitationExists,
    MailUnavailable,
    MfaEnrolmentRequired,
    NotFound,
    OneTimeTokenInvalid,
    TooManyRequests,
    UsernameTaken,
    ValidationError,
)
from ...core.gates import Entry
from ...core.http import PUBLIC, Call, Reply, Route, needs
from ..registration.service import RegisteredSchema, RegistrationService, registered_reply
from .schemas import (
    AcceptSchema,
    InvitationPageSchema,
    InvitationQuery,
    InvitationSchema,
    InviteSchema,
    LookedSchema,
    LookSchema,
    accept_invitation,
)
from .service import INVITE, Invitation, InvitationService


def invite(call: Call[InviteSchema]) -> Reply:
    """Invite somebody by mail, with roles whose permissions the caller has."""
    body = call.body
    _count(call, body.email)
    sent = call.runtime.get(InvitationService).invite(
        body.email, roles=body.roles, language=body.language, actor=call.principal, client=call.client
    )
    return Reply(_shown(call, sent.invitation), 201)


def list_invitations(call: Call[None]) -> Reply:
    """Invitations, newest first."""
    asked: InvitationQuery = call.query
    # One more than asked for tells whether there is a next page.
    found = call.runtime.get(InvitationService).list(asked.status, beyond=_read_cursor(asked.cursor), limit=asked.per_page + 1)
    page = found[: asked.per_page]
    further = page[-1].id.hex if len(found) > len(page) else None
    return Reply(InvitationPageSchema(invitations=[_shown(call, invitation) for invitation in page], next_cursor=further))


def get_invitation(call: Call[None]) -> Reply:
    """One invitation."""
    return Reply(_shown(call, call.runtime.get(InvitationService).get(_id(call))))


def resend_invitation(call: Call[None]) -> Reply:
    """Send an open or expired invitation again: the older token is void, its time begins anew, the caller answers for it."""
    service = call.runtime.get(InvitationService)
    found = service.get(_id(call))
    _count(call, found.email)
    return Reply(_shown(call, service.resend(found.id, actor=call.principal, client=call.client).invitation))


def withdraw_invitation(call: Call[None]) -> Reply:
    """Take an open or expired invitation back; its token is void at once."""
    call.runtime.get(InvitationService).withdraw(_id(call), actor=call.principal, client=call.client)
    return Reply(status=204)


def look_at_invitation(call: Call[LookSchema]) -> Reply:
    """Whom a token invites. It is not used up."""
    call.runtime.enter(Entry("invitation", call.client))
    found = call.runtime.get(InvitationService).look(call.body.token)
    return Reply(LookedSchema(email=found.email, expires_at=found.expires_at))


def accept(call: Call[AcceptSchema]) -> Reply:
    """Make the account that a token invites to, also where registration is closed. The answer is that of registration."""
    call.runtime.enter(Entry("invitation", call.client))
    service, token = call.runtime.get(InvitationService), call.body.token
    asked = call.runtime.get(RegistrationService).read(call.body.model_extra or {}, email=service.look(token).email)
    user = service.accept(
        token,
        asked.password.get_secret_value(),
        username=asked.username,
        client=call.client,
        **asked.model_dump(exclude={"email", "username", "password"}),
    )
    return registered_reply(call, user)


def _count(call: Call[Any], address: str) -> None:
    """Mail to one address is limited, whoever has it sent (OWASP-FP 7)."""
    call.runtime.enter(Entry("invite", call.client, account=address, user_id=call.principal.user_id))


def _shown(call: Call[Any], invitation: Invitation) -> InvitationSchema:
    return call.runtime.schemas.get(InvitationSchema).model_validate(invitation)


def _id(call: Call[None]) -> UUID:
    try:
        return UUID(call.params["invitation_id"])
    except ValueError:
        raise NotFound from None


def _read_cursor(cursor: str | None) -> UUID | None:
    """The id of the last invitation of a page."""
    if not cursor:
        return None
    try:
        found = UUID(hex=cursor)
    except ValueError:
        found = None
    if found is None or found.hex != cursor:
        raise ValidationError.one("cursor", "cursor_invalid", "Not a cursor of this list.")
    return found


AUTH_ROUTES = (
    Route(
        method="POST", path="/invitations/look", view=look_at_invitation, access=PUBLIC, body=LookSchema,
        answers={200: LookedSchema}, errors=(OneTimeTokenInvalid, TooManyRequests),
    ),
    Route(
        method="POST", path="/invitations/accept", view=accept, access=PUBLIC, body=accept_invitation,
        answers={201: RegisteredSchema},
        errors=(OneTimeTokenInvalid, EmailTaken, UsernameTaken, MfaEnrolmentRequired, TooManyRequests),
    ),
)  # fmt: skip

PATH = {"invitation_id": UUID}

USERS_ROUTES = (
    Route(
        method="GET", path="/invitations", view=list_invitations, access=needs("invitations:read", delegates=True), query=InvitationQuery,
        answers={200: InvitationPageSchema},
    ),
    Route(
        method="POST", path="/invitations", view=invite, access=needs(INVITE, delegates=True), body=InviteSchema,
        answers={201: InvitationSchema}, errors=(EmailTaken, InvitationExists, TooManyRequests, MailUnavailable),
    ),
    Route(
        method="GET", path="/invitations/<invitation_id>", view=get_invitation, access=needs("invitations:read", delegates=True), params=PATH,
        answers={200: InvitationSchema}, errors=(NotFound,),
    ),
    Route(
        method="DELETE", path="/invitations/<invitation_id>", view=withdraw_invitation, access=needs(INVITE, delegates=True), params=PATH,
        answers={204: None}, errors=(NotFound,),
    ),
    Route(
        method="POST", path="/invitations/<invitation_id>/resend", view=resend_invitation, access=needs(INVITE, delegates=True), params=PATH,
        answers={200: InvitationSchema}, errors=(NotFound, EmailTaken, TooManyRequests, MailUnavailable),
    ),
)  # fmt: skip
