"""GET, PATCH, DELETE /me, and the users blueprint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from ...core.errors import (
    EmailTaken,
    FieldProblem,
    LastAdministrator,
    NotFound,
    PermissionDenied,
    ReauthenticationRequired,
    UsernameTaken,
    ValidationError,
)
from ...core.http import RECENTLY, Access, Call, Reply, Route, needs
from ...core.identity import Principal, refuse, require_person, require_recent
from ...core.listing import UserQuery
from ...core.login import signed_out_reply
from ...core.schemas import PublicUserSchema, UserSchema
from ...core.users import UserView
from ..roles.service import RoleService
from .cursor import read_cursor, write_cursor
from .leaving import LeavingService
from .schemas import (
    ADMIN_FIELDS,
    DisableSchema,
    PublicUserCursorSchema,
    PublicUserPageSchema,
    StandingSchema,
    UpdateUserSchema,
    UserCursorSchema,
    UserListQuery,
    UserPageSchema,
    admin_update,
    own_replacement,
)
from .service import UserService
from .settings import UserSettings
from .standing import StandingService


def me(call: Call[None]) -> Reply:
    """The own account."""
    return _shown(call, call.principal.user)


def update_me(call: Call[UpdateUserSchema]) -> Reply:
    """Change the own account. A new e-mail address has to prove itself instead, at `POST /email/change`; where the app lets it be
    changed here, that asks for recent authentication."""
    return _update(call, call.principal.user, call.body.model_dump(exclude_unset=True))


def delete_me(call: Call[None]) -> Reply:
    """Delete the own account and everything stored about it. Where the app gives a time of grace, its sessions end now, and signing in
    brings it back until it is erased.
    """
    call.runtime.get(LeavingService).leave(call.principal.user, client=call.client)
    return signed_out_reply(call, Reply(status=204))


def list_users(call: Call[None]) -> Reply:
    """List accounts, by page with totals or by cursor at constant cost."""
    asked: UserListQuery = call.query
    settings, everything = call.runtime.setting(UserSettings), call.principal.can("users:read")
    sort, descending = asked.order
    if not everything:
        if settings.directory != "authenticated":
            raise PermissionDenied
        hidden = (asked.role, asked.is_active, asked.email_starts_with)
        if hidden != (None, None, None) or sort not in ("id", "username", "created_at"):
            raise PermissionDenied("Only administrators search by what is not public.")
    query = UserQuery(
        search=asked.search, search_email=everything, username_starts_with=asked.username_starts_with,
        email_starts_with=asked.email_starts_with, is_active=asked.is_active if everything else True,
        created_after=asked.created_after, created_before=asked.created_before, sort=sort, descending=descending,
        members=None if asked.role is None else call.runtime.get(RoleService).membership(asked.role),
    )  # fmt: skip
    schema = call.runtime.schemas.get(UserSchema if everything else PublicUserSchema)

    def shown(views: list[UserView]) -> list[dict[str, Any]]:
        return [schema.model_validate(view).model_dump(mode="json") for view in views]

    users = call.runtime.users
    if asked.cursor is not None:
        # One more than asked for tells whether there is a next page.
        found = users.after(query, position=read_cursor(asked.cursor, query, users), limit=asked.per_page + 1)
        page = found[: asked.per_page]
        further = write_cursor(users.position_of(page[-1], query), query) if len(found) > len(page) else None
        return Reply({"users": shown(page), "next_cursor": further})
    number, cap = asked.page or 1, None if asked.total == "exact" else settings.total_cap
    counted = users.counted_page(query, offset=(number - 1) * asked.per_page, limit=asked.per_page, cap=cap)
    return Reply({
        "users": shown(counted.users), "total": counted.total, "total_capped": counted.capped,
        "pages": math.ceil(counted.total / asked.per_page), "current_page": number, "per_page": asked.per_page,
    })  # fmt: skip


def get_user(call: Call[None]) -> Reply:
    """One account: one's own, or with `users:read` any. Others are not found."""
    return _shown(call, _target(call, "users:read"))


def update_user(call: Call[BaseModel]) -> Reply:
    """Change an account: the members given (PATCH) or all of them (PUT)."""
    user = _target(call, "users:write")
    changes = call.body.model_dump(exclude_unset=True)
    if not call.principal.can("users:write"):
        barred = sorted(ADMIN_FIELDS & changes.keys())
        if barred:
            raise ValidationError([FieldProblem(name, "extra_forbidden", "Not yours to change.") for name in barred])
    return _update(call, user, changes)


def replace_user(call: Call[BaseModel]) -> Reply:
    """Change an account; every member must be given."""
    return update_user(call)


def delete_user(call: Call[None]) -> Reply:
    """Delete an account and everything stored about it, at once. The own one is deleted as at `DELETE /me`, by recent authentication."""
    user = _target(call, "users:write")
    own = user.key == call.principal.user_id
    if own:
        require_recent(call.principal, call.runtime)
        return delete_me(call)
    call.runtime.get(UserService).delete(user, actor_id=call.principal.user_id, client=call.client)
    return Reply(status=204)


def disable_user(call: Call[DisableSchema | None]) -> Reply:
    """Switch an account off, until a time if one is given; its sessions end at once."""
    user = _target(call, "users:write")
    given = call.body or DisableSchema()
    call.runtime.get(UserService).disable(
        user, reason=given.reason, until=given.until, actor_id=call.principal.user_id, client=call.client
    )
    return Reply(call.runtime.show(user.key))


def enable_user(call: Call[None]) -> Reply:
    """Switch an account on again."""
    user = _target(call, "users:write")
    call.runtime.get(UserService).enable(user, actor_id=call.principal.user_id, client=call.client)
    return Reply(call.runtime.show(user.key))


def get_standing(call: Call[None]) -> Reply:
    """What keeps an account from being used: why it was switched off and until when; when it is erased."""
    user, standing = _target(call, "users:read"), call.runtime.get(StandingService)
    found = {"suspension": standing.suspension(user.key), "deletion": standing.deletion(user.key)}
    return Reply(StandingSchema.model_validate({"is_active": user.is_active, **found}))


def _target(call: Call[Any], permission: str) -> UserView:
    """The account of the path, if it is the caller's own or the caller has `permission` over it; else `NotFound`."""
    principal: Principal = call.principal
    key = call.runtime.users.parse_key(call.params["user_id"])
    if key is None:
        raise NotFound
    if key != principal.user_id and not principal.can(permission):
        refuse(call.runtime, "PERMISSION_DENIED")  # remembered as what it is, answered as if nobody were there
        raise NotFound
    if key == principal.user_id:
        if permission == "users:write":
            require_person(principal, call.runtime)
        return principal.user
    user = call.runtime.users.view(key)
    if user is None:
        raise NotFound
    if permission == "users:write":
        call.runtime.get(RoleService).may_act_on(principal, user)
    return user


def _update(call: Call[Any], user: UserView, changes: Mapping[str, Any]) -> Reply:
    own = user.key == call.principal.user_id
    if own and changes.get("email", user.email) != user.email:
        if call.runtime.email_change_needs_proof:
            said = "The new address has to prove itself first: POST /email/change."
            raise ValidationError.one("email", "email_needs_proof", said)
        require_recent(call.principal, call.runtime)
    call.runtime.get(UserService).update(user, changes, actor_id=call.principal.user_id, client=call.client)
    return Reply(call.runtime.show(user.key))


def _shown(call: Call[Any], user: UserView) -> Reply:
    return Reply(call.runtime.schemas.get(UserSchema).model_validate(user))


SELF_OR_READ = Access(delegates=True, impersonated=True, note="self or `users:read`; others get 404")
SELF_OR_WRITE = Access(delegates=True, note="self (not by API key) or `users:write`; others get 404")
TAKEN = (EmailTaken, UsernameTaken)

AUTH_ROUTES = (
    Route(method="GET", path="/me", view=me, access=Access(delegates=True, impersonated=True), answers={200: UserSchema}),
    Route(
        method="PATCH", path="/me", view=update_me, body=UpdateUserSchema,
        answers={200: UserSchema}, errors=(*TAKEN, ReauthenticationRequired),
    ),
    Route(method="DELETE", path="/me", view=delete_me, access=RECENTLY, answers={204: None}, errors=(LastAdministrator,)),
)  # fmt: skip

USERS_ROUTES = (
    Route(
        method="GET", path="/", view=list_users, query=UserListQuery,
        access=Access(delegates=True, impersonated=True, note="`users:read`, or anybody signed in (public fields) where the directory is open"),
        answers={200: UserPageSchema | UserCursorSchema | PublicUserPageSchema | PublicUserCursorSchema},
        errors=(PermissionDenied,),
    ),
    Route(method="GET", path="/<user_id>", view=get_user, access=SELF_OR_READ, answers={200: UserSchema}, errors=(NotFound,)),
    Route(
        method="PATCH", path="/<user_id>", view=update_user, access=SELF_OR_WRITE, body=admin_update,
        answers={200: UserSchema}, errors=(NotFound, PermissionDenied, LastAdministrator, *TAKEN, ReauthenticationRequired),
    ),
    Route(
        method="PUT", path="/<user_id>", view=replace_user, access=SELF_OR_WRITE, body=own_replacement,
        answers={200: UserSchema}, errors=(NotFound, PermissionDenied, LastAdministrator, *TAKEN, ReauthenticationRequired),
    ),
    Route(
        method="DELETE", path="/<user_id>", view=delete_user, access=SELF_OR_WRITE,
        answers={204: None}, errors=(NotFound, PermissionDenied, LastAdministrator, ReauthenticationRequired),
    ),
    Route(
        method="POST", path="/<user_id>/disable", view=disable_user, access=needs("users:write", delegates=True), body=DisableSchema,
        body_required=False, answers={200: UserSchema}, errors=(NotFound, LastAdministrator),
    ),
    Route(
        method="POST", path="/<user_id>/enable", view=enable_user, access=needs("users:write", delegates=True),
        answers={200: UserSchema}, errors=(NotFound,),
    ),
    Route(
        method="GET", path="/<user_id>/standing", view=get_standing, access=needs("users:read", delegates=True),
        answers={200: StandingSchema}, errors=(NotFound,),
    ),
)  # fmt: skip
