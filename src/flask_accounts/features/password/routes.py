"""POST /login and /password/change."""

from __future__ import annotations

from ...core.errors import (
    AccountDisabled,
    ChallengeRequired,
    InvalidCredentials,
    MfaEnrolmentRequired,
    MfaRequired,
    PasswordChangeRequired,
    ReauthenticationRequired,
    TooManyRequests,
)
from ...core.http import PUBLIC, Call, Reply, Route
from ...core.identity import require_recent
from ...core.login import token_reply
from ...core.schemas import TokenResponse
from .schemas import ChangePasswordSchema, LoginSchema
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


def change_password(call: Call[ChangePasswordSchema]) -> Reply:
    """Change the own password; every other session ends. An account that has a second factor is asked for recent authentication besides."""
    if call.runtime.factors_held(call.runtime.factors_since(call.principal.user_id)):
        require_recent(call.principal, call.runtime)
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
        errors=(
            InvalidCredentials, AccountDisabled, ChallengeRequired, MfaRequired, MfaEnrolmentRequired, PasswordChangeRequired, TooManyRequests,
        ),
    ),
    Route(
        method="POST", path="/password/change", view=change_password, body=ChangePasswordSchema,
        answers={204: None}, errors=(InvalidCredentials, ReauthenticationRequired, TooManyRequests),
    ),
)  # fmt: skip
