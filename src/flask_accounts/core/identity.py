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
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NoReturn, ParamSpec, TypeVar, cast, overload
from uuid import UUID

import sqlalchemy as sa
from flask import Request, current_app, has_request_context, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.local import LocalProxy

from .errors import (
    AccountsError,
    CredentialNotAllowed,
    CsrfFailed,
    InvalidToken,
    NotWhileImpersonating,
    PermissionDenied,
    ReauthenticationRequired,
    TokenMissing,
    TokenRevoked,
)
from .events import Client, Event, Key
from .faults import unavailable, undo
from .http import PRINCIPAL, Access, memo, remember_refusal
from .models import UserMixin
from .runtime import Runtime, current_accounts
from .sessions import SessionSettings, SessionStanding
from .tokens import Presented, Tokens
from .tracing import traced
from .users import UserView

P = ParamSpec("P")
R = TypeVar("R")

_MEMO = PRINCIPAL
_CACHED = "flask_accounts.cached"
READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 section 9.2.1)."""
_HELD = "flask_accounts.current_user"
IN_PERSON = frozenset({"session", "token"})
"""The kinds of credentials that stand for somebody who has signed in."""


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
    kind: str = "host"
    """What kind of credential it was: `session`; `token`, one without a session that host code has minted; `api_key`; or what a
    resolver calls its own."""
    credential_id: UUID | None = None
    """Which one, of those that are told apart by an id of their own, such as API keys."""
    actor: Key | None = None
    """The key of the account that acts in the owner's place, where somebody impersonates him; None otherwise. All else here is the
    owner's, but for `amr`, which is how the actor has signed in."""

    @classmethod
    def of(cls, user: UserView, *, kind: str, **values: Any) -> Principal:  # the other fields
        """A caller who may do all that the account may, for a resolver; `user` is what `runtime.users.view(key)` gives."""
        return cls(user.key, user, frozenset(user.roles), user.permissions, kind=kind, **values)

    @property
    def in_person(self) -> bool:
        """Whether it is the account's owner who has signed in, and not what acts for the account (an API key) or who does (`actor`)."""
        return self.kind in IN_PERSON and self.actor is None

    def has_role(self, role: str) -> bool:
        """Whether the account has the role."""
        return role in self.roles

    def can(self, permission: str) -> bool:
        """Whether the account has the permission, by name or by `*`."""
        return permission in self.permissions or "*" in self.permissions

    def authenticated_within(self, span: timedelta, now: datetime) -> bool:
        """Whether the person proved presence within the last `span`."""
        return self.auth_time is not None and now - self.auth_time <= span


Resolver = Callable[[Request], Principal | None]
"""Finds the caller of a request: None where there is no credential of its kind, which it must tell at no cost; an error where there is
one that is wrong. Asked in the order of the features, then those of `Accounts(resolvers=)`, then for the access token of a session."""


@traced("accounts.authenticate", to=lambda principal: {"credential": principal.location if principal else "none"})
def session_resolver(runtime: Runtime, *, exact: bool = False) -> Principal | None:
    """By the access token of a session, in a header or a cookie; `exact`: by the database, whatever is cached."""
    try:
        presented = runtime.get(Tokens).present(request._get_current_object(), "access")  # type: ignore[attr-defined]  # the proxy's own method
    except TokenMissing:
        return None
    return _principal(runtime, presented, exact=exact)


def _principal(runtime: Runtime, presented: Presented, *, exact: bool) -> Principal:
    claims, session_id = presented.claims, presented.session_id
    found = _standing(runtime, session_id, claims, exact=exact)
    if found is None:
        raise TokenRevoked
    session, user = found
    if not session.is_live(runtime.clock.now()) or not user.is_active:
        raise TokenRevoked
    if str(user.key) != claims["sub"]:
        raise InvalidToken
    if claims.get("type") == "refresh" and claims.get("gen") != session.generation:
        # Only a host's own `@jwt_required(refresh=True)` comes here: POST /refresh knows the grace window.
        raise TokenRevoked
    actor = _actor(runtime, presented, session, user)
    return Principal(
        user_id=user.key, user=user, roles=frozenset(user.roles), permissions=user.permissions, session_id=session_id,
        # Presence that the actor proved is not the owner's.
        auth_time=presented.auth_time if actor is None else None, amr=session.amr, claims=claims, location=presented.location,
        kind="session", actor=actor,
    )  # fmt: skip


def _actor(runtime: Runtime, presented: Presented, session: SessionStanding, user: UserView) -> Key | None:
    """Who acts in the owner's place in a session; None where the owner does. `TokenRevoked` where the actor may not, or not any more.

    Costs such a session one more statement, and others none: the actor's own session is looked up as that of any caller.
    """
    if (presented.actor is None) is not (session.actor_session_id is None):
        # Nobody keeps account of it any more: such a token must not pass for the owner's own.
        raise TokenRevoked
    if session.actor_session_id is None:
        return None
    found = runtime.sessions.standing(session.actor_session_id)
    if found is None or runtime.acting is None:
        raise TokenRevoked
    own, actor = found
    if not own.is_live(runtime.clock.now()) or not actor.is_active or str(actor.key) != presented.actor:
        raise TokenRevoked
    if own.actor_session_id is not None or not runtime.acting.may(actor, user):
        raise TokenRevoked
    return actor.key


def _standing(
    runtime: Runtime, session_id: UUID, claims: Mapping[str, Any], *, exact: bool
) -> tuple[SessionStanding, UserView] | None:
    """How the session stands. Only who reads is let in by what is cached, never who writes, refreshes or steps up."""
    cache = runtime.session_cache
    if cache is None or exact or request.method not in READING or claims.get("type") != "access":
        return runtime.sessions.standing(session_id)
    found = cache.standing(session_id, claims["sub"], runtime.clock.now())
    memo()[_CACHED] = True
    return found


def authenticate(*, exact: bool = False, delegates: bool = False) -> Principal | None:
    """The caller of the current request, found out once; None without credentials. Raises for wrong ones.

    `exact`: as the database says now, where sessions are cached. `delegates`: also who is not there in person, such as the holder of
    an API key; else `CredentialNotAllowed`.
    """
    if not has_request_context():
        return None
    known = memo()
    if exact and known.pop(_CACHED, False):
        known.pop(_MEMO, None)
    if _MEMO not in known:
        runtime = current_accounts()
        try:
            known[_MEMO] = _resolve(runtime, exact=exact)
        except CsrfFailed:
            refuse(runtime, "CSRF_FAILED")
            raise
    principal = cast("Principal | None", known[_MEMO])
    if principal is not None and not delegates:
        require_person(principal, current_accounts())
    return principal


def _resolve(runtime: Runtime, *, exact: bool) -> Principal | None:
    """The first that a resolver finds. What it says of the account's activity is not relied on."""
    if runtime.resolvers:
        incoming: Request = request._get_current_object()  # type: ignore[attr-defined]  # the proxy's own method
        for resolver in runtime.resolvers:
            principal: Principal | None = resolver(incoming)
            if principal is not None:
                if not principal.user.is_active:
                    raise TokenRevoked
                return principal
    return session_resolver(runtime, exact=exact)


def attribute(event: Event) -> Event:
    """`event`, saying by which credential, where its actor is the request's caller and did not act in person; and who did, where somebody
    acts in the owner's place.
    """
    principal: Principal | None = memo().get(_MEMO) if has_request_context() else None
    if principal is None or principal.in_person or event.via is not None:
        return event
    if principal.actor is not None:
        if event.actor_id not in (None, principal.user_id, principal.actor):
            return event
        return replace(event, actor_id=principal.actor, via=f"impersonation:{principal.user_id}")
    if event.actor_id != principal.user_id:
        return event
    which = f":{principal.credential_id}" if principal.credential_id is not None else ""
    return replace(event, via=f"{principal.kind}{which}")


def _for_hosts(function: Callable[P, R]) -> Callable[P, R]:
    """What host code calls: a database that is away is a 503 there too. (On our own routes the route answers, or begins anew.)"""

    @functools.wraps(function)
    def asking(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except SQLAlchemyError as error:
            away = unavailable(error)
            if away is None:
                raise
            undo(current_accounts().db.session())
            raise away from error

    return asking


def guard(access: Access) -> Principal | None:
    """Let the caller pass if `access` says so; what routes of features are guarded by."""
    if access.on_demand or not (access.signed_in or access.optional):
        return None
    return _pass(
        fresh=access.fresh, roles=(), permissions=access.permissions, optional=access.optional, any_of=False,
        kinds=() if access.delegates else IN_PERSON, impersonated=access.impersonated,
    )  # fmt: skip


def require_person(principal: Principal, runtime: Runtime) -> None:
    """Raise `CredentialNotAllowed` unless the owner is there in person: an API key may not do this, whatever its scopes. Nor may who acts in
    the owner's place: `NotWhileImpersonating`.
    """
    require_owner(principal, runtime)
    if not principal.in_person:
        _refuse_kind(runtime)


def require_owner(principal: Principal, runtime: Runtime) -> None:
    """Raise `NotWhileImpersonating` where somebody acts in the owner's place."""
    if principal.actor is not None:
        refuse(runtime, NotWhileImpersonating.error_code)
        raise NotWhileImpersonating


def _refuse_kind(runtime: Runtime) -> NoReturn:
    refuse(runtime, CredentialNotAllowed.error_code)
    raise CredentialNotAllowed


def require_recent(principal: Principal, runtime: Runtime, span: timedelta | None = None) -> None:
    """Raise `ReauthenticationRequired` unless the person proved presence within `span` (default: the setting `fresh_for`).

    `CredentialNotAllowed` where it is no person: an API key cannot prove presence. An account that has a second factor proves presence by
    it, so that this is as strong as signing in (ASVS 7.5.1).
    """
    require_person(principal, runtime)
    within = span if span is not None else runtime.setting(SessionSettings).fresh_for
    if not principal.authenticated_within(within, runtime.clock.now()):
        raise ReauthenticationRequired


def require_methods(principal: Principal, amr: Sequence[str]) -> None:
    """Raise `ReauthenticationRequired` unless the session shows all methods of `amr` (RFC 8176)."""
    if not set(amr) <= set(principal.amr):
        raise ReauthenticationRequired("More than this sign-in has shown is needed.", amr=list(amr))


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
    *, fresh: bool | timedelta, roles: tuple[str, ...], permissions: tuple[str, ...], optional: bool, any_of: bool,
    amr: tuple[str, ...] = (), kinds: Collection[str] = (), impersonated: bool = True,
) -> Principal | None:  # fmt: skip
    principal = authenticate(exact=fresh is not False or bool(amr), delegates=True)
    if principal is None:
        if optional:
            return None
        raise TokenMissing
    runtime = current_accounts()
    if not impersonated:
        require_owner(principal, runtime)
    if kinds and principal.kind not in kinds:
        _refuse_kind(runtime)
    enough = any if any_of else all
    if roles and not enough(principal.has_role(role) for role in roles):
        refuse(runtime, "PERMISSION_DENIED")
        raise PermissionDenied
    if permissions and not enough(principal.can(permission) for permission in permissions):
        refuse(runtime, "PERMISSION_DENIED")
        raise PermissionDenied
    if fresh is not False:
        require_recent(principal, runtime, fresh if isinstance(fresh, timedelta) else None)
    require_methods(principal, amr)
    return principal


@overload
def login_required(view: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def login_required(
    *, fresh: bool | timedelta = False, amr: tuple[str, ...] | list[str] = (), roles: tuple[str, ...] | list[str] = (),
    permissions: tuple[str, ...] | list[str] = (), optional: bool = False, kinds: tuple[str, ...] | list[str] = (),
    impersonated: bool = True,
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...  # fmt: skip
def login_required(
    view: Callable[P, R] | None = None,
    /,
    *,
    fresh: bool | timedelta = False,
    amr: tuple[str, ...] | list[str] = (),
    roles: tuple[str, ...] | list[str] = (),
    permissions: tuple[str, ...] | list[str] = (),
    optional: bool = False,
    kinds: tuple[str, ...] | list[str] = (),
    impersonated: bool = True,
) -> Any:
    """Let only signed-in callers into a view; with or without parentheses, on sync and async views and methods.

    `fresh`: only within `ACCOUNTS_SESSIONS_FRESH_FOR`, or the given time, of proving presence.
    `amr`: only sessions that were proved by all of these methods (RFC 8176), such as `["mfa"]` for two factors or `["otp"]` for the
    authenticator app. Together with `fresh`: recently.
    `roles`, `permissions`: all of them are needed.
    `optional`: others pass too, as nobody.
    `kinds`: only these kinds of credentials, such as `["session"]` to keep API keys out; any if left out. (`fresh` keeps them out
    too.) Another one is `CredentialNotAllowed` (403).
    `impersonated`: also those who act in the owner's place (`current_principal.actor`). With False they are `NotWhileImpersonating` (403),
    as they are wherever `fresh` is asked for.

    Raises `TokenMissing` and the other 401s, or `PermissionDenied` (403).
    """
    if any(isinstance(names, str) for names in cast("list[object]", [roles, permissions, amr, kinds])):
        raise TypeError("roles, permissions, amr and kinds take a list of names, not one name.")
    return _decorate(
        view,
        fresh=fresh,
        amr=tuple(amr),
        roles=tuple(roles),
        permissions=tuple(permissions),
        optional=optional,
        any_of=False,
        kinds=tuple(kinds),
        impersonated=impersonated,
    )


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
    admit = _for_hosts(_pass)

    def decorate(inner: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(inner)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            admit(**conditions)
            return current_app.ensure_sync(inner)(*args, **kwargs)

        return wrapped

    return decorate if view is None else decorate(view)


@_for_hosts
@traced("accounts.authenticate")
def token_check(claims: Mapping[str, Any]) -> None:
    """For plain `@jwt_required()`: raise if the session or account behind verified claims is no longer good.

    A token without a session (host code's own `create_access_token(user)`) is good while its account is
    active and its `jti` not revoked.
    """
    runtime = current_accounts()
    # Not always `headers`: the answer to a caller who came by cookie must not hold a token (ASVS 3.3.4).
    presented = Presented(claims, runtime.get(Tokens).location(request, claims))
    # Whether the view asks for a fresh token is not said here: where it would pass for one, nothing cached counts.
    memo()[_MEMO] = _of_claims(runtime, presented, exact=bool(claims.get("fresh")))


def _of_claims(runtime: Runtime, presented: Presented, *, exact: bool) -> Principal:
    claims = presented.claims
    if "sid" in claims:
        return _principal(runtime, presented, exact=exact)
    key = runtime.users.parse_key(claims["sub"])
    user = runtime.users.view(key) if key is not None else None
    if user is None or not user.is_active or runtime.sessions.is_token_revoked(claims["jti"]):
        raise TokenRevoked
    return Principal.of(user, kind="token", claims=claims, location=presented.location)


def whose(runtime: Runtime, token: str) -> Principal:
    """Whose an access token is that somebody else was shown, by the database as it is now: of a session, or minted by host code.

    Raises what is wrong with it, as for a caller who presents it. It authenticates nobody here.
    """
    return _of_claims(runtime, Presented(runtime.get(Tokens).decode(token, "access"), "form"), exact=True)


@_for_hosts
def _current_principal() -> Principal:
    principal = authenticate(delegates=True)
    if principal is None:
        raise TokenMissing
    return principal


@_for_hosts
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


@_for_hosts
def is_authenticated() -> bool:
    """Whether the request carries good credentials; never raises for bad ones."""
    try:
        return authenticate(delegates=True) is not None
    except AccountsError:
        return False
