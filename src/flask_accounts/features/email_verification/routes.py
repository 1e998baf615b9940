"""POST /email/verify and /email/verify/resend. No GET consumes anything: mail scanners follow links."""

from __future__ import annotations

from ...core.errors import OneTimeTokenInvalid, TooManyRequests
from ...core.http import PUBLIC, Call, Reply, Route
from ...core.schemas import MessageResponse
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
