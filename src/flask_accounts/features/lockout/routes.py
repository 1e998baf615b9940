"""POST /unlock/request and /unlock, for owners; POST /{user_id}/unlock, for administrators."""

from __future__ import annotations

from ...core.errors import NotFound, OneTimeTokenInvalid, PermissionDenied, TooManyRequests
from ...core.http import PUBLIC, Call, Reply, Route, needs
from ...core.schemas import MessageResponse
from ..roles.service import RoleService
from .schemas import UnlockRequestSchema, UnlockSchema
from .service import LockoutService


def request_unlock(call: Call[UnlockRequestSchema]) -> Reply:
    """Ask for a mail to have the wrong passwords tried on an account forgotten. The answer is the same for every address."""
    call.runtime.get(LockoutService).ask(call.body.email, call.client)
    return Reply(MessageResponse(message="If there is an account for the address, a mail is on its way."), 202)


def unlock(call: Call[UnlockSchema]) -> Reply:
    """Have them forgotten by the mailed token, so that the owner may sign in at once. Nobody is signed in by it."""
    call.runtime.get(LockoutService).unlock(call.body.token, call.client)
    return Reply(status=204)


def unlock_user(call: Call[None]) -> Reply:
    """Forget the wrong passwords tried on an account, so that its owner may try again at once."""
    user = call.runtime.users.named(call.params["user_id"])
    # Clearing the count of a mightier account again and again would lay it open to guessing.
    call.runtime.get(RoleService).may_act_on(call.principal, user)
    call.runtime.get(LockoutService).clear(user, actor_id=call.principal.user_id, client=call.client)
    return Reply(status=204)


ROUTES = (
    Route(
        method="POST", path="/unlock/request", view=request_unlock, access=PUBLIC, body=UnlockRequestSchema,
        answers={202: MessageResponse}, errors=(TooManyRequests,),
    ),
    Route(
        method="POST", path="/unlock", view=unlock, access=PUBLIC, body=UnlockSchema, answers={204: None},
        errors=(OneTimeTokenInvalid,),
    ),
)  # fmt: skip

USERS_ROUTES = (
    Route(
        method="POST", path="/<user_id>/unlock", view=unlock_user, access=needs("users:write"),
        answers={204: None}, errors=(NotFound, PermissionDenied),
    ),
)  # fmt: skip
