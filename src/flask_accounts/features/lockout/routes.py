"""POST /{user_id}/unlock."""

from __future__ import annotations

from ...core.errors import NotFound, PermissionDenied
from ...core.http import Call, Reply, Route, needs
from ..roles.service import RoleService
from .service import LockoutService


def unlock_user(call: Call[None]) -> Reply:
    """Forget the wrong passwords tried on an account, so that its owner may try again at once."""
    user = call.runtime.users.named(call.params["user_id"])
    # Clearing the count of a mightier account again and again would lay it open to guessing.
    call.runtime.get(RoleService).may_act_on(call.principal, user)
    call.runtime.get(LockoutService).clear(user, actor_id=call.principal.user_id, client=call.client)
    return Reply(status=204)


USERS_ROUTES = (
    Route(
        method="POST", path="/<user_id>/unlock", view=unlock_user, access=needs("users:write"),
        answers={204: None}, errors=(NotFound, PermissionDenied),
    ),
)  # fmt: skip
