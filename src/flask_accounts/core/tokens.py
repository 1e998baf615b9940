"""JWT in and out. With `core.jwt_extended`, its set-up, the only importer of Flask-JWT-Extended, whose configuration drives it.

Tokens are signed and verified here with PyJWT under `JWT_*` configuration, so that time comes from the
app's clock, older keys verify during a rotation, and each way a token can be wrong has its own code
(RFC 6750, RFC 8725).
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

import flask_jwt_extended.config
import jwt
from flask import Request, Response, current_app
from flask_jwt_extended import JWTManager, set_access_cookies, set_refresh_cookies, unset_jwt_cookies
from flask_jwt_extended.default_callbacks import (
    default_additional_claims_callback,
    default_decode_key_callback,
)
from pydantic import SecretStr, field_validator

from .errors import (
    ConfigurationError,
    CsrfFailed,
    InvalidToken,
    TokenExpired,
    TokenMissing,
    WrongTokenType,
)
from .passwords import same_secret
from .runtime import Runtime
from .sessions import SessionSettings, SessionState
from .settings import Settings

MANAGER = "flask-jwt-extended"
LATEST = 253_402_300_800
"""The end of the year 9999, in Unix time."""
KINDS = ("access", "refresh")
"""The kinds of token there are; one of any other purpose is none of ours (RFC 8725 section 3.12)."""
MINIMUM_KEY = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Fewest bytes of a shared key (RFC 7518 section 3.2)."""
MAX_TOKEN = 8192
"""Longest token that is looked at, in characters (ASVS 15.2.2)."""
TRANSPORT_HEADER = "X-Token-Transport"
"""Where both headers and cookies are allowed, a client names the one it wants its tokens by."""

config: Any = flask_jwt_extended.config.config  # its class is private


class TokenSettings(Settings):
    """Signing keys of the past. The current key is Flask-JWT-Extended's `JWT_SECRET_KEY`, or Flask's `SECRET_KEY`."""

    prefix: ClassVar[str] = "tokens"

    previous_keys: tuple[SecretStr, ...] = ()
    """Signing keys that are no longer used but still verify, while a key rotation runs its course (ASVS 11.2.2)."""

    @field_validator("previous_keys")
    @classmethod
    def _strong(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        # An empty entry, as splitting an unset variable leaves one, would let anybody sign.
        if any(len(key.get_secret_value().encode()) < MINIMUM_KEY["HS256"] for key in keys):
            raise ValueError(
                f"each key needs at least {MINIMUM_KEY['HS256']} bytes; leave out weaker ones, their tokens cannot be trusted"
            )
        return keys


@dataclass(frozen=True)
class TokenPair:
    """An access and a refresh token of one generation; lifetimes in whole seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    refresh_expires_in: int


@dataclass(frozen=True)
class Presented:
    """A verified token as a request presented it: its claims, and whether by `headers`, `cookies` or `json`."""

    claims: Mapping[str, Any]  # what the issuer put in
    location: str

    @property
    def session_id(self) -> UUID:
        """The session the token belongs to; `InvalidToken` if it names none."""
        try:
            return UUID(self.claims["sid"])
        except (KeyError, ValueError, TypeError, AttributeError):
            raise InvalidToken from None

    @property
    def auth_time(self) -> datetime:
        """When the person behind it last proved presence."""
        return _time(self.claims, "auth_time")


class Tokens:
    """Makes tokens of sessions, and reads them back."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._manager: JWTManager | None = None

    def adopt(self, manager: JWTManager) -> None:
        """Work with this manager. At start only."""
        self._manager = manager

    @property
    def manager(self) -> JWTManager:
        """The app's manager; `ConfigurationError` if another one took its place after the start."""
        manager = self._manager
        installed: object = current_app.extensions.get(MANAGER)
        if manager is None or installed is not manager:
            raise ConfigurationError(
                "JWTManager(app) was called after accounts.init_app(app), so plain @jwt_required() would not honour revocation. "
                "Call it before, or leave it out: accounts.init_app makes one."
            )
        return manager

    # Out

    def issue(self, session: SessionState) -> TokenPair:
        """Access and refresh token for the current generation of `session`."""
        now = self._runtime.clock.now()
        access_life = min(_lifetime(config.access_expires), session.expires_at - now)
        refresh_life = min(session.idle_expires_at, session.expires_at) - now
        fresh_until = session.authenticated_at + self._runtime.setting(SessionSettings).fresh_for
        common = {
            "sub": str(session.user_id),
            "sid": str(session.id),
            "auth_time": int(session.authenticated_at.timestamp()),
            "amr": list(session.amr),
        }
        return TokenPair(
            access_token=self._encode(common | {"type": "access", "fresh": fresh_until.timestamp()}, now, access_life),
            refresh_token=self._encode(common | {"type": "refresh", "fresh": False, "gen": session.generation}, now, refresh_life),
            expires_in=int(access_life.total_seconds()),
            refresh_expires_in=int(refresh_life.total_seconds()),
        )

    def _encode(self, claims: dict[str, Any], now: datetime, lifetime: timedelta) -> str:
        payload: dict[str, Any] = {}
        extra = self.manager._user_claims_callback
        if extra is not default_additional_claims_callback:
            payload.update(extra(claims["sub"]))
        issued = now.timestamp()
        payload |= claims | {"jti": str(uuid4()), "iat": int(issued), "exp": math.floor((now + lifetime).timestamp())}
        if config.encode_nbf:
            payload["nbf"] = int(issued)
        if config.encode_audience:
            payload["aud"] = config.encode_audience
        if config.encode_issuer:
            payload["iss"] = config.encode_issuer
        if config.jwt_in_cookies and config.cookie_csrf_protect:
            payload["csrf"] = secrets.token_urlsafe(32)  # a UUID has fewer than 128 random bits (ASVS 11.5.1)
        return jwt.encode(payload, config.encode_key, algorithm=config.algorithm)

    def respond(self, response: Response, pair: TokenPair) -> None:
        """Set the cookies that carry `pair`."""
        set_access_cookies(response, pair.access_token)
        set_refresh_cookies(response, pair.refresh_token)

    def clear(self, response: Response) -> None:
        """Expire every token cookie (ASVS 14.3.1), where cookies are in use."""
        if config.jwt_in_cookies:
            unset_jwt_cookies(response)

    def transport(self, request: Request) -> str:
        """How a new pair goes to this client: `headers` (in the body) or `cookies`."""
        allowed = [place for place in config.token_location if place in ("headers", "cookies")]
        asked = request.headers.get(TRANSPORT_HEADER, "")
        return asked if asked in allowed else str(next(iter(allowed), "headers"))

    # In

    def present(self, request: Request, kind: str, body: str | None = None) -> Presented:
        """The verified token of `kind` (`access` or `refresh`) that the request carries.

        Looks where `JWT_TOKEN_LOCATION` says, never in the URL (RFC 6750 section 2.3). A token in the
        header is the one that counts: if it is wrong, no cookie is tried instead. A cookie needs the
        CSRF header whatever else was sent. `body` is the token of a JSON body, for routes that take one
        there; named so plainly it goes before a header, in which many clients send the expired access token.
        Raises `TokenMissing`, or what is wrong with the token.
        """
        if config.jwt_in_headers:
            if body is not None:
                return Presented(self.decode(body, kind), "json")
            raw = _bearer(request)
            if raw is not None:
                return Presented(self.decode(raw, kind), "headers")
        if config.jwt_in_cookies:
            raw = request.cookies.get(config.refresh_cookie_name if kind == "refresh" else config.access_cookie_name)
            if raw:
                claims = self.decode(raw, kind)
                self._check_csrf(request, kind, claims)
                return Presented(claims, "cookies")
        raise TokenMissing

    def decode(self, raw: str, kind: str | None, *, allow_expired: bool = False) -> dict[str, Any]:
        """The claims of `raw`, verified: signature first, then times by the app's clock, claims and kind."""
        if len(raw) > MAX_TOKEN or not raw.isascii():
            raise InvalidToken
        claims = self._verified(raw)
        self._check_times(claims, allow_expired=allow_expired)
        if not all(isinstance(claims.get(name), str) and claims[name] for name in ("sub", "jti")):
            raise InvalidToken
        if kind is not None and claims.get("type") != kind:
            raise WrongTokenType(f"This needs the {kind} token.")
        if claims.get("type") not in KINDS:  # a list may come here: `in` on a tuple compares, it does not hash
            raise WrongTokenType
        return claims

    def _verified(self, raw: str) -> dict[str, Any]:
        for key in self._keys(raw):
            try:
                # Times are checked below against the app's clock, not here against the machine's. Whom a token
                # is for is always checked: one with an audience is not for an app that has no name (RFC 7519
                # section 4.1.3), and what this app writes into its tokens it also asks for.
                verified = jwt.decode_complete(
                    raw,
                    key,
                    algorithms=config.decode_algorithms,
                    audience=config.encode_audience if config.decode_audience is None else config.decode_audience,
                    issuer=config.encode_issuer if config.decode_issuer is None else config.decode_issuer,
                    options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
                )
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
                raise InvalidToken from None
            if "crit" in verified["header"]:  # no extension is understood here (RFC 7515 section 4.1.11)
                raise InvalidToken
            claims: dict[str, Any] = verified["payload"]
            return claims
        raise InvalidToken

    def _keys(self, raw: str) -> list[Any]:  # whatever key type the algorithm takes
        callback = self.manager._decode_key_callback
        if callback is not default_decode_key_callback:
            try:
                header = jwt.get_unverified_header(raw)
                claims = jwt.decode(raw, options={"verify_signature": False})
            except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
                raise InvalidToken from None
            return [callback(header, claims)]
        previous = [key.get_secret_value() for key in self._runtime.setting(TokenSettings).previous_keys]
        return [config.decode_key, *previous]

    def _check_times(self, claims: Mapping[str, Any], *, allow_expired: bool) -> None:
        now = self._runtime.clock.now().timestamp()
        leeway = current_app.config["JWT_DECODE_LEEWAY"]
        leeway = leeway.total_seconds() if isinstance(leeway, timedelta) else leeway
        if _number(claims, "exp") <= now - leeway and not allow_expired:
            raise TokenExpired
        for name in ("nbf", "iat"):
            if name in claims and _number(claims, name) > now + leeway:
                raise InvalidToken("The token is not valid yet.")

    def _check_csrf(self, request: Request, kind: str, claims: Mapping[str, Any]) -> None:
        if not config.cookie_csrf_protect or request.method not in config.csrf_request_methods:
            return
        header = config.refresh_csrf_header_name if kind == "refresh" else config.access_csrf_header_name
        sent, expected = request.headers.get(header), claims.get("csrf")
        if not (sent and isinstance(expected, str) and same_secret(sent, expected)):
            raise CsrfFailed


def _bearer(request: Request) -> str | None:
    """The token of the header, strictly parsed (RFC 6750 section 2.1); None where there is no such header."""
    values = request.headers.getlist(config.header_name)
    if not values:
        return None
    if len(values) > 1 or "," in values[0]:
        raise InvalidToken(f"One {config.header_name} header, with one token.")
    scheme = config.header_type
    if not scheme:
        return str(values[0])
    match = re.fullmatch(r"(\S+) +(\S+)", values[0])
    given = (match[1] if match else values[0].strip()).casefold()
    if given != scheme.casefold():  # RFC 9110 section 11.1: schemes compare without case
        return None
    if not match:
        raise InvalidToken(f"The {config.header_name} header lacks its token.")
    return match[2]


def _number(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    # The upper bound is the year 9999; numbers beyond it do not fit a time, or not even a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not -LATEST < value < LATEST:
        raise InvalidToken
    return value


def _time(claims: Mapping[str, Any], name: str) -> datetime:
    try:
        return datetime.fromtimestamp(_number(claims, name), UTC)
    except (OverflowError, OSError, ValueError):
        raise InvalidToken from None


def _lifetime(delta: Any) -> timedelta:  # Flask-JWT-Extended's own union
    if not isinstance(delta, timedelta):
        raise ConfigurationError(
            "JWT_ACCESS_TOKEN_EXPIRES must be a time, not False: access tokens that never expire are not made here."
        )
    return delta


@dataclass(frozen=True)
class CookieNames:
    """The cookie and the CSRF header of one kind of token; `csrf` is empty where no such header is asked for."""

    cookie: str
    csrf: str


@dataclass(frozen=True)
class Transport:
    """By which ways an app takes tokens: bearer headers, cookies by kind (`access`, `refresh`), or both."""

    bearer: bool
    cookies: Mapping[str, CookieNames]
    csrf_methods: frozenset[str]


def transport() -> Transport:
    """The ways of the current app, for the OpenAPI document."""
    names = {
        "access": CookieNames(config.access_cookie_name, config.access_csrf_header_name),
        "refresh": CookieNames(config.refresh_cookie_name, config.refresh_csrf_header_name),
    }
    methods = config.csrf_request_methods if config.cookie_csrf_protect else ()
    return Transport(config.jwt_in_headers, names if config.jwt_in_cookies else {}, frozenset(methods))
