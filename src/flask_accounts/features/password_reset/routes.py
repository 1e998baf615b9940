"""POST /password/forgot, /password/reset, and an administrator's POST /{id}/password-reset."""

from __future__ import annotations

from ...core.errors import NotFound, OneTimeTokenInvalid, PermissionDenied, TooManyRequests
from ...core.http import PUBLIC, Call, Reply, Route, needs
from ...core.schemas import MessageResponse
from ..roles.service import RoleService
from .schemas import ForgotPasswordSchema, ResetPasswordSchema
from .service import PasswordResetService


def forgot_password(call: Call[ForgotPasswordSchema]) -> Reply:
    """Ask for a mail to set a new password. The answer is the same for every address."""
    call.runtime.get(PasswordResetService).forgot(call.body.email, call.client)
    return Reply(MessageResponse(message="If there is an account for the address, a mail is on its way."), 202)


def reset_password(call: Call[ResetPasswordSchema]) -> Reply:
    """Set a new password by the mailed token; all sessions end."""
    call.runtime.get(PasswordResetService).reset(call.body.token, call.body.new_password.get_secret_value(), call.client)
    return Reply(status=204)


def force_password_reset(call: Call[None]) -> Reply:
    """End an account's sessions, make its password useless and mail its owner how to set a new one."""
    user = call.runtime.users.named(call.params["user_id"])
    call.runtime.get(RoleService).may_act_on(call.principal, user)
    call.runtime.get(PasswordResetService).force(user, actor_id=call.principal.user_id, client=call.client)
    return Reply(status=204)


ROUTES = (
    Route(
        method="POST", path="/password/forgot", view=forgot_password, access=PUBLIC, body=ForgotPasswordSchema,
        answers={202: MessageResponse}, errors=(TooManyRequests,),
    ),
    Route(
        method="POST", path="/password/reset", view=reset_password, access=PUBLIC, body=ResetPasswordSchema,
        answers={204: None}, errors=(OneTimeTokenInvalid, TooManyRequests),
    ),
)  # fmt: skip

USERS_ROUTES = (
    Route(
        method="POST", path="/<user_id>/password-reset", view=force_password_reset, access=needs("users:write"),
        answers={204: None}, errors=(NotFound, PermissionDenied),
    ),
)  # fmt: skip
