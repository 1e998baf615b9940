"""POST /email/change, /email/change/confirm, /email/change/undo. No GET consumes anything: mail scanners follow links."""

from __future__ import annotations

from ...core.errors import EmailTaken, OneTimeTokenInvalid, TokenMissing, TooManyRequests
from ...core.http import PUBLIC, RECENTLY, Access, Call, Reply, Route
from ...core.identity import authenticate
from ...core.schemas import MessageResponse
from .schemas import ChangeEmailSchema, ConfirmEmailChangeSchema, UndoEmailChangeSchema
from .service import EmailChangeService


def change_email(call: Call[ChangeEmailSchema]) -> Reply:
    """Ask for another address, which has to prove itself. The answer is the same whether it belongs to another account or not."""
    principal = call.principal
    call.runtime.get(EmailChangeService).ask(principal.user, call.body.email, client=call.client, session_id=principal.session_id)
    return Reply(MessageResponse(message="A mail is on its way to the new address."), 202)


def confirm_email_change(call: Call[ConfirmEmailChangeSchema]) -> Reply:
    """Prove the new address, by the token of the link on any device, or by the code where the change was asked for."""
    service, body = call.runtime.get(EmailChangeService), call.body
    if body.token is not None:
        service.confirm(body.token, call.client)
    else:
        principal = authenticate()
        if principal is None:
            raise TokenMissing
        service.confirm_code(principal.user_id, body.code or "", call.client)
    return Reply(status=204)


def undo_email_change(call: Call[UndoEmailChangeSchema]) -> Reply:
    """Take the account back by the token that the old address got: all sessions end, and a password has to be set anew."""
    call.runtime.get(EmailChangeService).undo(call.body.token, call.client)
    return Reply(status=204)


BY_TOKEN_OR_CODE = Access(
    signed_in=False, optional=True, on_demand=True, note="anybody with the token; with the code, whoever asked for the change"
)

ROUTES = (
    Route(
        method="POST", path="/email/change", view=change_email, access=RECENTLY, body=ChangeEmailSchema,
        answers={202: MessageResponse}, errors=(TooManyRequests,),
    ),
    Route(
        method="POST", path="/email/change/confirm", view=confirm_email_change, access=BY_TOKEN_OR_CODE, body=ConfirmEmailChangeSchema,
        answers={204: None}, errors=(OneTimeTokenInvalid, EmailTaken, TokenMissing, TooManyRequests),
    ),
    Route(
        method="POST", path="/email/change/undo", view=undo_email_change, access=PUBLIC, body=UndoEmailChangeSchema,
        answers={204: None}, errors=(OneTimeTokenInvalid, EmailTaken),
    ),
)  # fmt: skip
