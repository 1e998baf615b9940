"""POST /register, and POST / of the users blueprint."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from ...core.errors import (
    EmailTaken,
    FieldProblem,
    MfaEnrolmentRequired,
    PermissionDenied,
    RegistrationClosed,
    TooManyRequests,
    UsernameTaken,
    ValidationError,
)
from ...core.events import RegistrationRepeated
from ...core.gates import Entry
from ...core.http import PUBLIC, Access, Call, Reply, Route
from ...core.schemas import MessageResponse, UserSchema
from ..roles.service import RoleService
from ..users.service import UserService
from .schemas import ADMIN_FIELDS, RegisteredSchema, RegisterSchema, admin_register
from .service import concealed_reply, registered_reply
from .settings import RegistrationSettings


def register(call: Call[RegisterSchema]) -> Reply:
    """Make an account."""
    if not call.runtime.setting(RegistrationSettings).open:
        raise RegistrationClosed
    if call.runtime.conceals_accounts:
        return _concealed(call, call.body)
    return registered_reply(call, _create(call, call.body))


def create_user(call: Call[BaseModel]) -> Reply:
    """Make an account: anybody where registration is open; holders of `users:write` may also set roles and flags."""
    administrator = call.principal is not None and call.principal.can("users:write")
    given = call.body.model_dump(include=set(ADMIN_FIELDS), exclude_unset=True)
    if not administrator:
        if not call.runtime.setting(RegistrationSettings).open:
            raise PermissionDenied if call.principal else RegistrationClosed
        if given:
            raise ValidationError([FieldProblem(name, "extra_forbidden", "Not yours to set.") for name in sorted(given)])
        if call.runtime.conceals_accounts:
            return _concealed(call, call.body)
    roles = given.pop("roles", [])
    user = _create(call, call.body, **given)
    if roles:
        call.runtime.get(RoleService).set(user, roles, actor=call.principal, client=call.client)
    return Reply(call.runtime.show(user), 201)


def _concealed(call: Call[Any], body: Any) -> Reply:  # the host's schema
    """Make the account if the address is new; answer alike if it is not, and tell its owner by mail (ASVS 6.3.8)."""
    runtime = call.runtime
    try:
        _create(call, body)
    except EmailTaken:
        # The password has been hashed by now, so the time is the same too.
        found = runtime.users.find(email=body.email)
        runtime.events.emit(
            RegistrationRepeated(user_id=found.user_id if found else None, client=call.client, at=runtime.clock.now())
        )
    return concealed_reply()


def _create(call: Call[Any], body: Any, **flags: Any) -> Any:  # the host's schema in, an object of the host's class out
    call.runtime.enter(Entry("register", call.client, account=body.email))
    own = body.model_dump(exclude={"email", "username", "password", *ADMIN_FIELDS})
    return call.runtime.get(UserService).create(
        body.email,
        body.password.get_secret_value(),
        username=body.username,
        actor_id=call.principal.user_id if call.principal else None,
        client=call.client,
        **own,
        **flags,
    )


ERRORS = (EmailTaken, UsernameTaken, RegistrationClosed, TooManyRequests)

AUTH_ROUTES = (
    Route(
        method="POST", path="/register", view=register, access=PUBLIC, body=RegisterSchema,
        answers={201: RegisteredSchema, 202: MessageResponse}, errors=(*ERRORS, MfaEnrolmentRequired),
    ),
)  # fmt: skip

USERS_ROUTES = (
    Route(
        method="POST", path="/", view=create_user, body=admin_register, answers={201: UserSchema, 202: MessageResponse},
        access=Access(
            signed_in=False, optional=True, delegates=True,
            note="anybody where registration is open; `users:write` for roles and flags",
        ),
        errors=(*ERRORS, PermissionDenied),
    ),
)  # fmt: skip
