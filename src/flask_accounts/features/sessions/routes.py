"""POST /refresh, /reauthenticate, /logout and the lists of sessions."""

from __future__ import annotations

from uuid import UUID

from ...core.devices import device_name
from ...core.errors import (
    InvalidCredentials,
    NotFound,
    PermissionDenied,
    ReauthenticationRequired,
    TokenExpired,
    TokenMissing,
    TokenRevoked,
    TooManyRequests,
)
from ...core.gates import Answer
from ...core.http import Access, Call, Reply, Route, needs
from ...core.login import LoginPipeline, signed_out_reply, token_reply
from ...core.schemas import MessageResponse, TokenResponse
from ...core.sessions import SessionState
from .schemas import ReauthenticateSchema, RefreshTokenSchema, SessionListSchema, SessionSchema
from .service import SessionService


def refresh(call: Call[RefreshTokenSchema | None]) -> Reply:
    """Exchange the refresh token for a new pair. Each refresh token works once; an old one ends the session."""
    sign_in, location = call.runtime.get(LoginPipeline).refresh(call, call.body.refresh_token if call.body else None)
    return token_reply(call, sign_in, location="cookies" if location == "cookies" else "headers")


def reauthenticate(call: Call[ReauthenticateSchema]) -> Reply:
    """Prove presence again: the new tokens pass where recent authentication is asked for. By the password, or for an account that has a second
    factor by that.
    """
    body, given = call.body, call.body.model_fields_set
    password = body.password.get_secret_value() if "password" in given else None
    answer = Answer(body.code if "code" in given else None, password=password, credential=body.credential or None)
    method = body.method if "method" in given else "password"
    sign_in = call.runtime.get(LoginPipeline).reauthenticate(call.principal, method, answer, call.client)
    return token_reply(call, sign_in, location=call.principal.location)


def logout(call: Call[RefreshTokenSchema | None]) -> Reply:
    """End this session: its access and refresh tokens die at once. Either token will do."""
    own = call.runtime.get(LoginPipeline).sign_out(call, call.body.refresh_token if call.body else None)
    return signed_out_reply(call, Reply(MessageResponse(message="Token revoked")), own=own)


def list_sessions(call: Call[None]) -> Reply:
    """The own live sessions."""
    return _listed(call.runtime.get(SessionService).live(call.principal.user_id), call.principal.session_id)


def end_session(call: Call[None]) -> Reply:
    """End one own session."""
    call.runtime.get(SessionService).revoke(
        call.principal.user_id, _session_id(call), actor_id=call.principal.user_id, client=call.client
    )
    return Reply(status=204)


def end_other_sessions(call: Call[None]) -> Reply:
    """End all own sessions but this one."""
    call.runtime.get(SessionService).revoke_all(
        call.principal.user_id, except_for=call.principal.session_id, actor_id=call.principal.user_id, client=call.client
    )
    return Reply(status=204)


def list_user_sessions(call: Call[None]) -> Reply:
    """An account's live sessions."""
    return _listed(
        call.runtime.get(SessionService).live(call.runtime.users.named(call.params["user_id"]).key), call.principal.session_id
    )


def end_user_sessions(call: Call[None]) -> Reply:
    """End all sessions of an account of no more power than one's own."""
    user = call.runtime.users.named(call.params["user_id"])
    if not all(call.principal.can(word) for word in user.permissions):
        raise PermissionDenied("This takes permissions that you do not have yourself.")
    call.runtime.get(SessionService).revoke_all(user.key, actor_id=call.principal.user_id, client=call.client)
    return Reply(status=204)


def _listed(sessions: list[SessionState], current: UUID | None) -> Reply:
    shown = [
        SessionSchema(
            id=session.id, device=device_name(session.user_agent), ip_address=session.ip_address, user_agent=session.user_agent,
            created_at=session.created_at, last_used_at=session.last_used_at, expires_at=session.expires_at,
            current=session.id == current, impersonated=session.actor_session_id is not None,
        )
        for session in sessions
    ]  # fmt: skip
    return Reply(SessionListSchema(sessions=shown))


def _session_id(call: Call[None]) -> UUID:
    try:
        return UUID(call.params["session_id"])
    except ValueError:
        raise NotFound from None


BY_REFRESH = Access(signed_in=False, presents=("refresh",))
BY_EITHER = Access(signed_in=False, presents=("access", "refresh"))

ROUTES = (
    Route(
        method="POST", path="/refresh", view=refresh, access=BY_REFRESH, body=RefreshTokenSchema, body_required=False,
        answers={200: TokenResponse}, errors=(TokenMissing, TokenExpired, TokenRevoked, TooManyRequests),
    ),
    Route(
        method="POST", path="/reauthenticate", view=reauthenticate, body=ReauthenticateSchema,
        answers={200: TokenResponse}, errors=(InvalidCredentials, ReauthenticationRequired, TooManyRequests),
    ),
    Route(
        method="POST", path="/logout", view=logout, access=BY_EITHER, body=RefreshTokenSchema, body_required=False,
        answers={200: MessageResponse}, errors=(TokenMissing, TokenExpired),
    ),
    Route(
        method="DELETE", path="/logout", view=logout, access=BY_EITHER,
        answers={200: MessageResponse}, errors=(TokenMissing, TokenExpired),
    ),
    Route(method="GET", path="/sessions", view=list_sessions, access=Access(impersonated=True), answers={200: SessionListSchema}),
    Route(method="DELETE", path="/sessions", view=end_other_sessions, answers={204: None}),
    Route(
        method="DELETE", path="/sessions/<session_id>", view=end_session, params={"session_id": UUID},
        answers={204: None}, errors=(NotFound,),
    ),
)  # fmt: skip

USERS_ROUTES = (
    Route(
        method="GET", path="/<user_id>/sessions", view=list_user_sessions, access=needs("users:read"),
        answers={200: SessionListSchema}, errors=(NotFound,),
    ),
    Route(
        method="DELETE", path="/<user_id>/sessions", view=end_user_sessions, access=needs("users:write"),
        answers={204: None}, errors=(NotFound,),
    ),
)  # fmt: skip
