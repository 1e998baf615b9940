"""From a declared route to a Flask view: parse, call, commit once, answer.

A feature declares `Route`s: method, path, view, who may call it, the shapes in and out. The view takes
a `Call` and returns a `Reply`; it never sees `flask.request`. Whatever it raises becomes problem
details here and nothing is written, so no route has error handling or a commit of its own, and a
host's error handlers are neither used nor touched.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import unquote_plus

import sqlalchemy.exc
import sqlalchemy.orm.exc
from flask import Blueprint, Request, Response, request
from pydantic import BaseModel
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from .errors import (
    AccountsError,
    ConcurrentChange,
    ContentTooLarge,
    CsrfFailed,
    InternalError,
    InvalidClient,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    PermissionDenied,
    UnauthorizedClient,
    UnsupportedMediaType,
    ValidationError,
)
from .events import AccessRefused, Client
from .faults import Anew, hide_parameters, is_locked_out, is_lost, is_overtaken, unavailable, undo
from .parsing import MAX_BODY, parse_body, parse_form, parse_query
from .runtime import Runtime, current_accounts
from .schemas import Shape
from .tokens import Tokens, host_cookie

logger: logging.Logger = logging.getLogger("flask_accounts.http")

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY")
"""What is answered by us on every path, be it with a refusal."""

PRINCIPAL = "flask_accounts.principal"
"""Where the request's environment keeps who is calling, once that is known."""
REFUSED = "flask_accounts.refused"
"""Set once a refusal of the request has been remembered."""
ROUTE = "accounts_route"
"""The attribute of a view function that holds its `Route`, by which the document finds it under any prefix."""

DEVICE = "device"
"""The cookie in which a browser keeps the secret by which it is known again."""
DEVICE_HEADER = "X-Device-Token"
"""Where a client sends it that keeps no cookies."""

BodyT = TypeVar("BodyT")


@dataclass(frozen=True)
class Access:
    """Who may call a route."""

    signed_in: bool = True
    client: bool = False
    """Other services, by credentials of their own (HTTP Basic), which the view itself checks."""
    optional: bool = False
    """Anybody may; who sends credentials is identified by them."""
    on_demand: bool = False
    """With `optional`: credentials are looked at only where the view asks for them (`identity.authenticate`)."""
    fresh: bool = False
    """Only after recent authentication."""
    permissions: tuple[str, ...] = ()
    """All of these."""
    delegates: bool = False
    """Also whoever acts for an account without being its owner in person, such as the holder of an API key. Nobody else's credential
    passes where this is not said."""
    impersonated: bool = False
    """Also whoever acts in the owner's place (impersonation), which is for reading alone. Closed to them where this is not said."""
    presents: tuple[str, ...] = ()
    """Kinds of token (`access`, `refresh`) that the view itself reads, for the reference."""
    note: str = ""
    """What the view itself decides, for the reference."""


PUBLIC = Access(signed_in=False)
CLIENTS = Access(signed_in=False, client=True)
SIGNED_IN = Access()
RECENTLY = Access(fresh=True)


def needs(*permissions: str, fresh: bool = False, delegates: bool = False) -> Access:
    """Signed in, with all of `permissions`; with `delegates` also by an API key that has them."""
    return Access(permissions=permissions, fresh=fresh, delegates=delegates)


@dataclass
class Call(Generic[BodyT]):
    """One request, parsed: `body` and `query` are validated schema objects, `params` the path's variables."""

    runtime: Runtime
    principal: Any  # core.identity.Principal, a floor above; None where nobody is signed in
    body: BodyT
    query: Any  # the route's query schema
    params: Mapping[str, str]
    request: Request = field(repr=False)
    """For the core's own token handling; features do not read it."""

    @functools.cached_property
    def client(self) -> Client:
        """Where the request comes from."""
        return _client(self.request)

    @functools.cached_property
    def client_credentials(self) -> tuple[str, str] | None:
        """The name and secret that another service sends by HTTP Basic; None where there are none that can be read.

        Both are encoded as in a form before they are put there (RFC 6749 section 2.3.1).
        """
        scheme, _, text = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.casefold() != "basic":
            return None
        try:
            name, colon, secret = base64.b64decode(text.strip(), validate=True).decode().partition(":")
            return (unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict")) if colon else None
        except ValueError:
            return None

    def has_cached(self, tag: str) -> bool:
        """Whether the client has the answer with this entity tag already, and asks for another one only (RFC 9110 section 13.1.2)."""
        return self.request.if_none_match.contains_weak(tag)


@dataclass
class Reply:
    """What a view answers."""

    body: BaseModel | Mapping[str, Any] | None = None
    status: int = 200
    decorate: Callable[[Response], None] | None = None
    """Called with the response, to set cookies."""
    text: str | None = None
    """A text that is no JSON, with `content_type`."""
    raw: bytes | None = None
    """Bytes, with `content_type`."""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


View = Callable[[Call[Any]], Reply]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One operation of the API, as declared by its feature. The view's docstring describes it."""

    method: str
    path: str
    view: View
    access: Access = SIGNED_IN
    body: Shape | None = None
    body_required: bool = True
    form: bool = False
    """The body is a form and no JSON, and errors carry the members `error` and `error_description` that OAuth has (RFC 6749 section 5.2)."""
    query: type[BaseModel] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    """The types of the path's variables, for the reference; `user_id` is known to have the key's."""
    answers: Mapping[int, Any] = field(default_factory=lambda: {200: None})
    """The shape of each success, by status: a schema, a union of them, or None for no body."""
    errors: tuple[type[AccountsError], ...] = ()
    documented: bool = True

    @property
    def name(self) -> str:
        """The endpoint's name, unique in its blueprint."""
        return f"{self.view.__name__}_{self.method.lower()}"


Guard = Callable[[Access], Any]
"""Returns the principal that may pass (or None), raises for others; `core.identity.guard`."""


def build_blueprint(name: str, routes: Sequence[Route], guard: Guard) -> Blueprint:
    """A new blueprint of `routes`; it holds nothing of any app."""
    blueprint = Blueprint(name, __name__)
    methods: dict[str, set[str]] = {}
    for route in routes:
        blueprint.add_url_rule(route.path, route.name, _endpoint(route, guard), methods=[route.method], **RULE)
        methods.setdefault(route.path, set()).add(route.method)
    for path, allowed in methods.items():
        # Flask would answer other methods with its own page, outside every blueprint, and OPTIONS with the refused ones too.
        offered = allowed | {"OPTIONS"} | ({"HEAD"} if "GET" in allowed else set())
        others = [method for method in METHODS if method not in allowed]
        name = path.replace(".", "_")
        blueprint.add_url_rule(path, "other_" + name, _other(offered), methods=[*others, "OPTIONS"], **RULE)
    return blueprint


RULE: Mapping[str, Any] = {"strict_slashes": False, "provide_automatic_options": False}


def _other(offered: set[str]) -> Callable[..., Response]:
    """Says what is `offered` at a path: to OPTIONS as the answer, to every other method as a refusal."""

    def other(**params: str) -> Response:
        if request.method != "OPTIONS":
            return _finish(MethodNotAllowed(offered).get_response())
        response = Response(status=204, headers={"Allow": ", ".join(sorted(offered))})
        response.headers.pop("Content-Type", None)
        return _finish(response)

    return other


def _endpoint(route: Route, guard: Guard) -> Callable[..., Response]:
    def endpoint(**params: str) -> Response:
        runtime = current_accounts()
        anew: Anew | None = None
        lock_first = False
        while True:
            try:
                if lock_first:
                    runtime.users.lock_sqlite()
                reply = _run(runtime, route, guard, params)
                response = _respond(reply)
                if route.method != "GET":
                    runtime.commit()
            except Exception as error:
                undo(runtime.db.session())
                if is_overtaken(error) or is_locked_out(error) or is_lost(error):
                    # Nothing was done: begin anew, also with the question who is calling.
                    anew = anew or Anew()
                    lock_first = is_locked_out(error) and route.method != "GET"
                    if anew.may():
                        memo().pop(PRINCIPAL, None)
                        continue
                translated = _translate(error, runtime)
                if route.form:
                    _as_oauth(translated)
                refusal = _finish(translated.get_response())
                if route.access.presents and refusal.status_code == 401:
                    # Cookies that are good for nothing any more would be in the way of every later request.
                    runtime.get(Tokens).clear(refusal)
                return refusal
            return response

    endpoint.__name__ = route.name
    endpoint.__doc__ = route.view.__doc__
    setattr(endpoint, ROUTE, route)
    return endpoint


def _run(runtime: Runtime, route: Route, guard: Guard, params: Mapping[str, str]) -> Reply:
    incoming: Request = request._get_current_object()  # type: ignore[attr-defined]  # the proxy's own method
    incoming.max_content_length = MAX_BODY
    principal = guard(route.access)
    query = parse_query(runtime, incoming, route.query) if route.query else None
    body = None
    if route.body and (route.body_required or incoming.content_length or incoming.headers.get("Transfer-Encoding")):
        body = (parse_form if route.form else parse_body)(runtime, incoming, route.body)
    if any("\x00" in value for value in params.values()):
        raise NotFound
    try:
        return route.view(Call(runtime, principal, body, query, params, incoming))
    except (PermissionDenied, CsrfFailed) as error:
        if REFUSED not in memo():
            remember_refusal(runtime, principal, error.error_code)
        raise


def memo() -> dict[str, Any]:
    """What is remembered of this request: on Flask's request and not in the WSGI environ, which apps behind one another share."""
    found: dict[str, Any] = request._get_current_object().__dict__  # type: ignore[attr-defined]  # the proxy's own method
    return found


def remember_refusal(runtime: Runtime, principal: Any, reason: str) -> None:  # core.identity.Principal, a floor above
    """Tell of a refused access for good, though the request fails (ASVS 16.3.2); what it did so far is undone."""
    key = principal.user_id if principal else None
    client = _client(request)
    runtime.db.session.rollback()
    runtime.events.emit(
        AccessRefused(user_id=key, actor_id=key, client=client, at=runtime.clock.now(), reason=reason, path=request.path)
    )
    runtime.commit()
    memo()[REFUSED] = True


def device_of(incoming: Request) -> str | None:
    """A digest of the secret by which a device asks to be known again: a header's, or that of the cookie `device`."""
    secret = incoming.headers.get(DEVICE_HEADER) or incoming.cookies.get(host_cookie(DEVICE))
    return hashlib.sha256(secret.encode()).hexdigest() if secret else None


def _client(incoming: Request) -> Client:
    return Client(
        incoming.remote_addr,
        incoming.headers.get("User-Agent"),
        incoming.headers.get("Accept-Language"),
        device_of(incoming),
    )


def _respond(reply: Reply) -> Response:
    text: str | bytes | None = reply.raw if reply.raw is not None else reply.text
    if text is None and reply.body is not None:
        text = reply.body.model_dump_json() if isinstance(reply.body, BaseModel) else json.dumps(reply.body)
    response = Response(text, reply.status, SAFE, content_type=reply.content_type if text is not None else None)
    if text is None:
        response.headers.pop("Content-Type", None)
    if reply.headers:
        response.headers.update(dict(reply.headers))
    if reply.decorate:
        reply.decorate(response)
    return response


SAFE: Mapping[str, str] = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""The headers of every answer; a reply may have its own in their place."""


def _finish(response: Any) -> Response:  # Werkzeug's or Flask's response
    flask_response = (
        response if isinstance(response, Response) else Response(response.get_data(), response.status_code, response.headers)
    )
    for name, value in SAFE.items():
        flask_response.headers.setdefault(name, value)
    return flask_response


def _translate(error: Exception, runtime: Runtime) -> AccountsError:
    """The error a client sees for whatever was raised; what is a bug is logged, and raised on in debug and testing."""
    if isinstance(error, AccountsError):
        return error
    hide_parameters(error)
    if isinstance(error, RequestEntityTooLarge):
        return ContentTooLarge()
    if isinstance(error, HTTPException) and error.code == 400:
        return MalformedRequest()
    cause = error.orig if isinstance(error, sqlalchemy.exc.StatementError) else error
    if isinstance(error, sqlalchemy.exc.DataError) or isinstance(cause, OverflowError):
        return ValidationError(detail="A value is out of the range that can be stored.")
    if isinstance(error, sqlalchemy.exc.IntegrityError | sqlalchemy.orm.exc.StaleDataError | sqlalchemy.orm.exc.ObjectDeletedError):
        return ConcurrentChange()
    if away := unavailable(error):
        return away
    logger.error("Unexpected error.", exc_info=error)
    if runtime.debug:
        raise error
    return InternalError()


OAUTH_ERRORS: Mapping[type[AccountsError], str] = {
    ValidationError: "invalid_request",
    MalformedRequest: "invalid_request",
    ContentTooLarge: "invalid_request",
    UnsupportedMediaType: "invalid_request",
    InvalidClient: "invalid_client",
    UnauthorizedClient: "unauthorized_client",
}
"""What OAuth calls these errors (RFC 6749 section 5.2)."""


def _as_oauth(error: AccountsError) -> None:
    """Give an error the members by which OAuth's clients know it."""
    if code := OAUTH_ERRORS.get(type(error)):
        error.extensions |= {"error": code, "error_description": error.detail}
