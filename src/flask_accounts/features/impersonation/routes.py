"""POST /users/{id}/impersonate."""

from __future__ import annotations

from ...core.errors import AccountDisabled, ConcurrentChange, EmailNotVerified, ImpersonationRefused, NotFound, PermissionDenied
from ...core.http import Call, Reply, Route, needs
from ...core.login import acting_reply
from .schemas import ImpersonateSchema, ImpersonationSchema
from .service import PERMISSION, ImpersonationService


def impersonate(call: Call[ImpersonateSchema]) -> Reply:
    """Act in the place of somebody who may do no more than oneself, for a short while and for a reason.

    Administrators are nobody's to impersonate, what is for the owner alone stays closed, and the owner is told. It ends at `POST /logout`, or
    with the caller's own session; there is no refresh token.
    """
    target = call.runtime.users.named(call.params["user_id"])
    sign_in = call.runtime.get(ImpersonationService).start(call.principal, target, call.body.reason, client=call.client)
    values = {"act": {"sub": str(call.principal.user_id)}, "user": sign_in.user}
    body = call.runtime.schemas.get(ImpersonationSchema).model_validate(
        {**values, "access_token": sign_in.tokens.access_token, "expires_in": sign_in.tokens.expires_in}, from_attributes=True
    )
    return acting_reply(call, sign_in, body)


USERS_ROUTES = (
    Route(
        method="POST", path="/<user_id>/impersonate", view=impersonate, access=needs(PERMISSION, fresh=True), body=ImpersonateSchema,
        answers={200: ImpersonationSchema},
        errors=(NotFound, PermissionDenied, ImpersonationRefused, AccountDisabled, EmailNotVerified, ConcurrentChange),
    ),
)  # fmt: skip
