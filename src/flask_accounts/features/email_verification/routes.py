"""POST /email/verify and /email/verify/resend, and an administrator's POST /{id}/email/verify/resend.
No GET consumes anything: mail scanners follow links."""

from __future__ import annotations

from ...core.errors import NotFound, OneTimeTokenInvalid, PermissionDenied, TooManyRequests
from ...core.http import PUBLIC, Call, Reply, Route, needs
from ...core.schemas import MessageResponse
from ..roles.service import RoleService
from .schemas import ResendSchema, VerifyEmailSchema
from .service import EmailVerificationService


def verify_email(call: Call[VerifyEmailSchema]) -> Reply:
    """Prove an address, by the token of the link or by the code."""
    service, body = call.runtime.get(EmailVerificationService), call.body
    if body.token is not None:
        service.verify(body.token, call.client)
    else:
        service.verify_code(body.email or "", body.code or "", call.client)
    return Reply(status=204)


def resend_verification(call: Call[ResendSchema]) -> Reply:
    """Send the mail again. The answer is the same for every address."""
    call.runtime.get(EmailVerificationService).resend(call.body.email, call.client)
    return Reply(MessageResponse(message="If the address waits for confirmation, a mail is on its way."), 202)


def ask_again(call: Call[None]) -> Reply:
    """Send an account the mail again by which its address proves itself; nothing is sent where it has."""
    user = call.runtime.users.named(call.params["user_id"])
    call.runtime.get(RoleService).may_act_on(call.principal, user)
    call.runtime.get(EmailVerificationService).ask_again(user, actor_id=call.principal.user_id, client=call.client)
    return Reply(status=204)


USERS_ROUTES = (
    Route(
        method="POST", path="/<user_id>/email/verify/resend", view=ask_again, access=needs("users:write"),
        answers={204: None}, errors=(NotFound, PermissionDenied),
    ),
)  # fmt: skip

ROUTES = (
    Route(
        method="POST", path="/email/verify", view=verify_email, access=PUBLIC, body=VerifyEmailSchema,
        answers={204: None}, errors=(OneTimeTokenInvalid, TooManyRequests),
    ),
    Route(
        method="POST", path="/email/verify/resend", view=resend_verification, access=PUBLIC, body=ResendSchema,
        answers={202: MessageResponse}, errors=(TooManyRequests,),
    ),
)  # fmt: skip
