"""Who is calling: resolvers find out, decorators insist on it, `current_user` is the person.

    @app.get("/posts")
    @login_required
    def posts():
        return [post.title for post in current_user.posts]

Authenticating a request costs one SQL statement: session, account, roles and permissions in one join.
The ORM object behind `current_user` loads only when a view touches it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ParamSpec, TypeVar, cast, overload
from uuid import UUID

import sqlalchemy as sa
from flask import current_app, has_request_context, request
from werkzeug.local import LocalProxy

from .errors import (
    AccountsError,
    CsrfFailed,
    InvalidToken,
    PermissionDenied,
    ReauthenticationRequired,
    TokenMissing,
    TokenRevoked,
)
from .events import Client, Key
from .http import PRINCIPAL, Access, memo, remember_refusal
from .models import UserMixin
from .runtime import Runtime, current_accounts
from .sessions import SessionSettings
from .tokens import Presented, Tokens
from .tracing import traced
from .users import UserView

P = ParamSpec("P")
R = TypeVar("R")

_MEMO = PRINCIPAL
_HELD = "flask_accounts.current_user"


@dataclass(frozen=True)
class Principal:
    """The authenticated caller of a request."""

    user_id: Key
    user: UserView = field(repr=False)
    """The account's values as read when the request was authenticated; no ORM object."""
    roles: frozenset[str]
    permissions: frozenset[str]
    session_id: UUID | None = None
    auth_time: datetime | None = None
    """When the person last proved presence."""
    amr: tuple[str, ...] = ()
    """By which methods (RFC 8176)."""
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)  # what the issuer put in
    location: str = "headers"
    """Where the credential was: `headers` or `cookies`."""

    def has_role(self, role: str) -> bool:
        """Whether the account has the role."""
        return role in self.roles

    def can(self, permission: str) -> bool:
        """Whether the account has the permission, by name or by `*`."""
        return permission in self.permissions or "*" in self.permissions

    def authenticated_within(self, span: timedelta, now: datetime) -> bool:
        """Whether the person proved presence within the last `span`."""
        return self.auth_time is not None and now - self.auth_time <= span


Resolver = Callable[[Runtime], Principal | None]
"""Finds the caller of the current request; None where it sees no credentials, an error where they are wrong."""


@traced("accounts.authenticate", to=lambda principal: {"credential": principal.location if principal else "none"})
def session_resolver(runtime: Runtime) -> Principal | None:
    """By the access token of a session, in a header or a cookie."""
    try:
        presented = runtime.get(Tokens).present(request._get_current_object(), "access")  # type: ignore[attr-defined]  # the proxy's own method
    except TokenMissing:
        return None
    return _principal(runtime, presented.claims, presented.session_id, presented.auth_time, presented.location)


def _principal(runtime: Runtime, claims: Mapping[str, Any], session_id: UUID, auth_time: datetime, location: str) -> Principal:
    found = runtime.sessions.find(session_id)
    if found is None:
        raise TokenRevoked
    session, user = found
    if not session.is_live(runtime.clock.now()) or not user.is_active:
        raise TokenRevoked
    if str(session.user_id) != claims["sub"]:
        raise InvalidToken
    if claims.get("type") == "refresh" and claims.get("gen") != session.generation:
        # Only a host's own `@jwt_required(refresh=True)` comes here: POST /refresh knows the grace window.
        raise TokenRevoked
    return Principal(
        user_id=user.key, user=user, roles=frozenset(user.roles), permissions=user.permissions, session_id=session.id,
        auth_time=auth_time, amr=session.amr, claims=claims, location=location,
    )  # fmt: skip


def authenticate() -> Principal | None:
    """The caller of the current request, found out once; None without credentials. Raises for wrong ones."""
    if not has_request_context():
        return None
    known = memo()
    if _MEMO not in known:
        runtime = current_accounts()
        try:
            known[_MEMO] = session_resolver(runtime)
        except CsrfFailed:
            refuse(runtime, "CSRF_FAILED")
            raise
    return cast("Principal | None", known[_MEMO])


def guard(access: Access) -> Principal | None:
    """Let the caller pass if `access` says so; what routes of features are guarded by."""
    if access.on_demand or not (access.signed_in or access.optional):
        return None
    return _pass(fresh=access.fresh, roles=(), permissions=access.permissions, optional=access.optional, any_of=False)


def require_recent(principal: Principal, runtime: Runtime, span: timedelta | None = None) -> None:
    """Raise `ReauthenticationRequired` unless the person proved presence within `span` (default: the setting `fresh_for`)."""
    within = span if span is not None else runtime.setting(SessionSettings).fresh_for
    if not principal.authenticated_within(within, runtime.clock.now()):
        raise ReauthenticationRequired


@dataclass(frozen=True)
class Origin:
    """Where an act comes from: the request's client, and its caller as far as it has been authenticated."""

    client: Client
    principal: Principal | None


def origin() -> Origin | None:
    """The origin of the current request; None outside one. Authenticates nobody and asks the database nothing."""
    if not has_request_context():
        return None
    return Origin(Client(request.remote_addr, request.headers.get("User-Agent")), memo().get(_MEMO))


def refuse(runtime: Runtime, reason: str) -> None:
    """Tell of a refused access (ASVS 16.3.2); it is remembered though the request fails."""
    remember_refusal(runtime, memo().get(_MEMO), reason)


def _pass(
    *, fresh: bool | timedelta, roles: tuple[str, ...], permissions: tuple[str, ...], optional: bool, any_of: bool
) -> Principal | None:
    principal = authenticate()
    if principal is None:
        if optional:
            return None
        raise TokenMissing
    runtime = current_accounts()
    enough = any if any_of else all
    if roles and not enough(principal.has_role(role) for role in roles):
        refuse(runtime, "PERMISSION_DENIED")
        raise PermissionDenied
    if permissions and not enough(principal.can(permission) for permission in permissions):
        refuse(runtime, "PERMISSION_DENIED")
        raise PermissionDenied
    if fresh is not False:
        require_recent(principal, runtime, fresh if isinstance(fresh, timedelta) else None)
    return principal


@overload
def login_required(view: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def login_required(
    *, fresh: bool | timedelta = False, roles: tuple[str, ...] | list[str] = (), permissions: tuple[str, ...] | list[str] = (),
    optional: bool = False,
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...  # fmt: skip
def login_required(
    view: Callable[P, R] | None = None,
    /,
    *,
    fresh: bool | timedelta = False,
    roles: tuple[str, ...] | list[str] = (),
    permissions: tuple[str, ...] | list[str] = (),
    optional: bool = False,
) -> Any:
    """Let only signed-in callers into a view; with or without parentheses, on sync and async views and methods.

    `fresh`: only within `ACCOUNTS_SESSIONS_FRESH_FOR`, or the given time, of proving presence.
    `roles`, `permissions`: all of them are needed. `optional`: others pass too, as nobody.
    Raises `TokenMissing` and the other 401s, or `PermissionDenied` (403).
    """
    if any(isinstance(names, str) for names in cast("list[object]", [roles, permissions])):
        raise TypeError("roles and permissions take a list of names, not one name.")
    return _decorate(view, fresh=fresh, roles=tuple(roles), permissions=tuple(permissions), optional=optional, any_of=False)


def roles_required(*roles: str, any_of: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only callers into a view who have all of `roles`, or with `any_of` at least one."""
    _names(roles, "@roles_required('editor')")
    return cast(
        "Callable[[Callable[P, R]], Callable[P, R]]",
        _decorate(None, fresh=False, roles=roles, permissions=(), optional=False, any_of=any_of),
    )


def permissions_required(*permissions: str, any_of: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only callers into a view who have all of `permissions`, or with `any_of` at least one."""
    _names(permissions, "@permissions_required('posts:write')")
    return cast(
        "Callable[[Callable[P, R]], Callable[P, R]]",
        _decorate(None, fresh=False, roles=(), permissions=permissions, optional=False, any_of=any_of),
    )


def _names(names: tuple[str, ...], example: str) -> None:
    """Refuse what guards nothing: no name at all, or the bare decorator, which would take the view for a name."""
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"Say at least one name, as in {example}.")


def _decorate(view: Callable[..., Any] | None, **conditions: Any) -> Any:  # the arguments of `_pass`
    def decorate(inner: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(inner)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            _pass(**conditions)
            return current_app.ensure_sync(inner)(*args, **kwargs)

        return wrapped

    return decorate if view is None else decorate(view)


@traced("accounts.authenticate")
def token_check(claims: Mapping[str, Any]) -> None:
    """For plain `@jwt_required()`: raise if the session or account behind verified claims is no longer good.

    A token without a session (host code's own `create_access_token(user)`) is good while its account is
    active and its `jti` not revoked.
    """
    runtime = current_accounts()
    if "sid" in claims:
        presented = Presented(claims, "headers")
        memo()[_MEMO] = _principal(runtime, claims, presented.session_id, presented.auth_time, "headers")
        return
    key = runtime.users.parse_key(claims["sub"])
    user = runtime.users.view(key) if key is not None else None
    if user is None or not user.is_active or runtime.sessions.is_token_revoked(claims["jti"]):
        raise TokenRevoked
    memo()[_MEMO] = Principal(user_id=user.key, user=user, roles=frozenset(user.roles), permissions=user.permissions, claims=claims)


def _current_principal() -> Principal:
    principal = authenticate()
    if principal is None:
        raise TokenMissing
    return principal


def _current_user() -> UserMixin:
    """The ORM object, of this transaction: loaded once, then taken from the identity map."""
    runtime = current_accounts()
    user = runtime.users.get(_current_principal().user_id)
    if user is None or sa.inspect(user).was_deleted:
        raise TokenRevoked
    # The identity map alone would let it go again while only this proxy stands for it, as in `Post(author=current_user)`.
    request.environ[_HELD] = user
    return user


current_principal: Principal = cast(Principal, LocalProxy(_current_principal))
"""The caller of this request; touching it without one raises `TokenMissing` (401)."""

current_user: Any = LocalProxy(_current_user)  # Any: an object of the host's own class
"""The signed-in person's ORM object, loaded when first touched; `TokenMissing` (401) where nobody is signed in."""


def is_authenticated() -> bool:
    """Whether the request carries good credentials; never raises for bad ones."""
    try:
        return authenticate() is not None
    except AccountsError:
        return False
