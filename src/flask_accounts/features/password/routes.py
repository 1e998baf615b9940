"""POST /login, /reauthenticate and /password/change."""

from __future__ import annotations

from ...core.errors import AccountDisabled, ChallengeRequired, InvalidCredentials, PasswordChangeRequired, TooManyRequests
from ...core.http import PUBLIC, Call, Reply, Route
from ...core.login import LoginPipeline, token_reply
from ...core.schemas import TokenResponse
from .schemas import ChangePasswordSchema, LoginSchema, ReauthenticateSchema
from .service import PasswordService


def login(call: Call[LoginSchema]) -> Reply:
    """Sign in with an e-mail address or a username and a password."""
    sign_in = call.runtime.get(PasswordService).sign_in(
        email=call.body.email,
        username=call.body.username,
        password=call.body.password.get_secret_value(),
        client=call.client,
    )
    return token_reply(call, sign_in)


def reauthenticate(call: Call[ReauthenticateSchema]) -> Reply:
    """Prove presence again: the new tokens pass where recent authentication is asked for."""
    passwords = call.runtime.get(PasswordService)
    passwords.confirm(call.principal.user_id, call.body.password.get_secret_value(), call.client, action="reauthenticate")
    sign_in = call.runtime.get(LoginPipeline).reauthenticate(call.principal, call.client)
    return token_reply(call, sign_in, location=call.principal.location)


def change_password(call: Call[ChangePasswordSchema]) -> Reply:
    """Change the own password; every other session ends."""
    call.runtime.get(PasswordService).change(
        call.principal.user_id,
        current=call.body.current_password.get_secret_value(),
        new=call.body.new_password.get_secret_value(),
        client=call.client,
        session_id=call.principal.session_id,
    )
    return Reply(status=204)


ROUTES = (
    Route(
        method="POST", path="/login", view=login, access=PUBLIC, body=LoginSchema,
        answers={200: TokenResponse},
        errors=(InvalidCredentials, AccountDisabled, ChallengeRequired, PasswordChangeRequired, TooManyRequests),
    ),
    Route(
        method="POST", path="/reauthenticate", view=reauthenticate, body=ReauthenticateSchema,
        answers={200: TokenResponse}, errors=(InvalidCredentials, TooManyRequests),
    ),
    Route(
        method="POST", path="/password/change", view=change_password, body=ChangePasswordSchema,
        answers={204: None}, errors=(InvalidCredentials, TooManyRequests),
    ),
)  # fmt: skip
