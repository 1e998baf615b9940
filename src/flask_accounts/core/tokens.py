"""JWT in and out. With `core.jwt_extended`, its set-up, the only importer of Flask-JWT-Extended, whose configuration drives it.

Tokens are signed and verified here with PyJWT under `JWT_*` configuration, so that time comes from the
app's clock, older keys verify during a rotation, and each way a token can be wrong has its own code
(RFC 6750, RFC 8725). A shared secret (HS256) is used as it stands there; key pairs make a ring (`core.keys`).
"""

from __future__ import annotations

import dataclasses
import logging
import math
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Literal
from uuid import UUID, uuid4

import flask_jwt_extended.config
import jwt
from flask import Flask, Request, Response, current_app
from flask_jwt_extended import JWTManager, set_access_cookies, set_refresh_cookies, unset_access_cookies, unset_jwt_cookies
from flask_jwt_extended.default_callbacks import (
    default_additional_claims_callback,
    default_decode_key_callback,
    default_encode_key_callback,
)
from pydantic import Field, SecretStr, field_validator

from .errors import (
    AccountsError,
    ConfigurationError,
    CsrfFailed,
    InvalidToken,
    ServiceUnavailable,
    TokenExpired,
    TokenMissing,
    WrongTokenType,
)
from .events import Key as UserKey
from .keys import ALWAYS, Key, KeyRing, KeySource, UnreadableKey, hides_key_pair, is_kid, key_of
from .passwords import same_secret
from .runtime import Runtime
from .sessions import SessionSettings, SessionState
from .settings import Settings
from .verified import VerifiedTokens

logger: logging.Logger = logging.getLogger("flask_accounts.tokens")

MANAGER = "flask-jwt-extended"
LATEST = 253_402_300_800
"""The end of the year 9999, in Unix time."""
KINDS = ("access", "refresh")
"""The kinds of token there are; one of any other purpose is none of ours (RFC 8725 section 3.12)."""
MINIMUM_KEY = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Fewest bytes of a shared key (RFC 7518 section 3.2)."""
KEY_PAIR = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES256K", "ES384", "ES512", "EdDSA"})
"""Algorithms of key pairs: one key signs, another one, which may be public, verifies."""
AT_JWT = ("at+jwt", "application/at+jwt")
"""The types of an access token by RFC 9068 section 2.1."""
JUDGED_BY = (
    "JWT_ALGORITHM", "JWT_DECODE_ALGORITHMS", "JWT_DECODE_AUDIENCE", "JWT_ENCODE_AUDIENCE", "JWT_DECODE_ISSUER", "JWT_ENCODE_ISSUER",
)  # fmt: skip
"""The configuration that says, beside the keys, whether a signed token is one of ours."""
MAX_TOKEN = 8192
"""Longest token that is looked at, in characters (ASVS 15.2.2)."""
ACT = "act"
"""The claim that says who acts in the place of a token's subject (RFC 8693 section 4.1). Ours alone: a host's own loader does not set it."""
TRANSPORT_HEADER = "X-Token-Transport"
"""Where both headers and cookies are allowed, a client names the one it wants its tokens by."""

config: Any = flask_jwt_extended.config.config  # its class is private


class TokenSettings(Settings):
    """The form of tokens, and signing keys of the past. The current key is Flask-JWT-Extended's `JWT_SECRET_KEY`, or Flask's
    `SECRET_KEY`; with key pairs `JWT_PRIVATE_KEY` and `JWT_PUBLIC_KEY`, or what the feature `SigningKeys` keeps.
    """

    prefix: ClassVar[str] = "tokens"

    previous_keys: tuple[SecretStr, ...] = ()
    """Signing keys that are no longer used but still verify, while a key rotation runs its course (ASVS 11.2.2): shared secrets, and
    where key pairs sign also public keys in PEM. A shared secret then verifies HS256 and nothing else."""

    profile: Literal["plain", "at+jwt"] = "plain"
    """`at+jwt` makes access tokens by RFC 9068: of that type, with `client_id`, and with `iss` and `aud` set (`JWT_ENCODE_ISSUER`,
    `JWT_ENCODE_AUDIENCE`). Access tokens of any other type are refused then, and refresh tokens are for the issuer alone."""
    client_id: str = ""
    """The claim `client_id` of access tokens by RFC 9068: who asks for tokens here, such as the name of your front end."""

    verified_cache_size: int = Field(default=1024, ge=0)
    """How many access tokens with a good signature each process remembers at least, so as not to compute it on every request; twice
    as many at most, each as large as its claims. Times, session and account are asked on every request all the same. 0: none."""

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
    """An access and a refresh token of one generation; lifetimes in whole seconds. A session in which somebody acts in the owner's place
    has no refresh token: it is empty then.
    """

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

    @property
    def actor(self) -> str | None:
        """Who acts in the place of the token's subject (the claim `act`, RFC 8693 section 4.1); None where nobody does."""
        claim = self.claims.get(ACT)
        return str(claim.get("sub")) if isinstance(claim, Mapping) else None


class Tokens:
    """Makes tokens of sessions, and reads them back."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._manager: JWTManager | None = None
        self._known = VerifiedTokens(None, 0)
        self._configured = ConfiguredKeys()
        self._source: KeySource | None = None
        self._ring: KeyRing | None = None

    def keep_keys_in(self, source: KeySource) -> None:
        """Sign and verify with the keys of `source` instead of those of `JWT_*`. At start only."""
        self._source = source

    @property
    def has_source(self) -> bool:
        """Whether the keys are kept elsewhere than in `JWT_*`."""
        return self._source is not None

    def adopt(self, manager: JWTManager) -> None:
        """Work with this manager. At start only."""
        self._manager = manager

    def manages(self, app: Flask) -> bool:
        """Whether the app still has the manager that it was given at start."""
        return self._manager is not None and app.extensions.get(MANAGER) is self._manager

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

    def issue_acting(self, session: SessionState, actor: UserKey) -> TokenPair:
        """The access token of a session in which `actor` acts in the owner's place. It is good as long as the session, is never fresh, and
        cannot be refreshed.
        """
        now = self._runtime.clock.now()
        life = session.expires_at - now
        claims = self._claims(session) | {"type": "access", "fresh": False, ACT: {"sub": str(actor)}}
        return TokenPair(self._encode(claims, now, life), "", int(life.total_seconds()), 0)

    def issue(self, session: SessionState) -> TokenPair:
        """Access and refresh token for the current generation of `session`."""
        now = self._runtime.clock.now()
        access_life = min(_lifetime(config.access_expires), session.expires_at - now)
        refresh_life = min(session.idle_expires_at, session.expires_at) - now
        fresh_until = session.authenticated_at + self._runtime.setting(SessionSettings).fresh_for
        common = self._claims(session)
        return TokenPair(
            access_token=self._encode(common | {"type": "access", "fresh": fresh_until.timestamp()}, now, access_life),
            refresh_token=self._encode(common | {"type": "refresh", "fresh": False, "gen": session.generation}, now, refresh_life),
            expires_in=int(access_life.total_seconds()),
            refresh_expires_in=int(refresh_life.total_seconds()),
        )

    def _claims(self, session: SessionState) -> dict[str, Any]:
        return {
            "sub": str(session.user_id),
            "sid": str(session.id),
            "auth_time": int(session.authenticated_at.timestamp()),
            "amr": list(session.amr),
            "acr": session.acr,
        }

    def _encode(self, claims: dict[str, Any], now: datetime, lifetime: timedelta) -> str:
        payload: dict[str, Any] = {}
        extra = self.manager._user_claims_callback
        if extra is not default_additional_claims_callback:
            payload.update(extra(claims["sub"]))
            payload.pop(ACT, None)
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
        return self.sign(payload)

    def sign(self, payload: dict[str, Any], headers: Mapping[str, Any] | None = None) -> str:
        """The token of these claims, in the profile's form, by the key that signs now. Claims of its form are added to `payload`.

        `ServiceUnavailable` where there is no key that signs: only somebody who runs the app can mend that, as the log says.
        """
        header = dict(headers or {})
        if self._is_at_jwt:
            if payload.get("type") == "access":
                payload["client_id"] = self._runtime.setting(TokenSettings).client_id
                header["typ"] = AT_JWT[0]
            else:
                # Nobody else has a use for it, and whoever does not look at the type must not take it (RFC 8725 section 3.12).
                payload["aud"] = config.encode_issuer
        ring = self.ring()
        if ring is None:
            return jwt.encode(payload, config.encode_key, algorithm=config.algorithm, headers=header or None)
        key = ring.signing
        if key is None:
            logger.error("There is no key that signs tokens. `flask accounts keys generate` makes one.")
            raise ServiceUnavailable
        return jwt.encode(payload, key.private, algorithm=key.algorithms[0], headers=header | {"kid": key.kid})

    def formed(self, token: str) -> str:
        """A token that Flask-JWT-Extended has made for host code, in the profile's form and by the key that signs now."""
        if self.manager._encode_key_callback is not default_encode_key_callback or (self.ring() is None and not self._is_at_jwt):
            return token
        header = jwt.get_unverified_header(token)
        payload = jwt.decode(token, options={"verify_signature": False})
        return self.sign(payload, {name: value for name, value in header.items() if name != "alg"})

    def check(self) -> None:
        """Raise `ConfigurationError` for keys in the configuration that are none, and for a profile that lacks something. At start."""
        settings = self._runtime.setting(TokenSettings)
        if settings.profile == "at+jwt":
            needed = {"JWT_ENCODE_ISSUER": config.encode_issuer, "JWT_ENCODE_AUDIENCE": config.encode_audience}
            missing = [name for name, value in (needed | {"ACCOUNTS_TOKENS_CLIENT_ID": settings.client_id}).items() if not value]
            if missing:
                raise ConfigurationError(f"ACCOUNTS_TOKENS_PROFILE 'at+jwt' needs {', '.join(missing)} (RFC 9068 section 2.2).")
        if self._source is None:
            self.ring()
        elif config.algorithm in KEY_PAIR:
            raise ConfigurationError(
                "SigningKeys keeps the keys: leave JWT_ALGORITHM, JWT_PRIVATE_KEY and JWT_PUBLIC_KEY out, and put the old public key into "
                "ACCOUNTS_TOKENS_PREVIOUS_KEYS for as long as its tokens live."
            )
        else:
            self._previous  # noqa: B018  # read now

    @cached_property
    def _is_at_jwt(self) -> bool:
        return self._runtime.setting(TokenSettings).profile == "at+jwt"

    # Keys

    def ring(self) -> KeyRing | None:
        """The key pairs of this moment; None where a shared secret signs."""
        source = self._source
        if source is None:
            if config.algorithm not in KEY_PAIR:
                return None
            source = self._configured
        return self._ring_of(source.keys())

    def _ring_of(self, keys: tuple[Key, ...]) -> KeyRing:
        ring, now = self._ring, self._runtime.clock.now()
        if ring is None or not ring.is_of(keys, now):
            pairs, shared = self._previous
            # Where one is both, the source knows more of it.
            ring = self._ring = KeyRing(keys, shared, now=now, older=pairs)
        return ring

    @cached_property
    def _previous(self) -> tuple[tuple[Key, ...], tuple[str, ...]]:
        """The keys of the past: those of pairs, and shared secrets. Raises `ConfigurationError` for what is neither."""
        pairs: list[Key] = []
        shared: list[str] = []
        for place, secret in enumerate(self._runtime.setting(TokenSettings).previous_keys):
            text = secret.get_secret_value()
            if not hides_key_pair(text):
                shared.append(text)
                continue
            try:
                pairs.append(dataclasses.replace(key_of(text), private=None))
            except UnreadableKey as error:
                raise ConfigurationError(f"ACCOUNTS_TOKENS_PREVIOUS_KEYS[{place}]: {error}") from None
        return tuple(pairs), tuple(shared)

    def respond(self, response: Response, pair: TokenPair) -> None:
        """Set the cookies that carry `pair`; a refresh token that is there already stays where `pair` has none."""
        set_access_cookies(response, pair.access_token)
        if pair.refresh_token:
            set_refresh_cookies(response, pair.refresh_token)

    def clear(self, response: Response) -> None:
        """Expire every token cookie (ASVS 14.3.1), where cookies are in use."""
        if config.jwt_in_cookies:
            unset_jwt_cookies(response)

    def clear_access(self, response: Response) -> None:
        """Expire the cookie of the access token alone: the refresh token is that of another session, which goes on."""
        if config.jwt_in_cookies:
            unset_access_cookies(response)

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

    def location(self, request: Request, claims: Mapping[str, Any]) -> str:
        """Whether the token of these verified claims came in a cookie of the request: `cookies`, else `headers`.

        For tokens that others took from the request: Flask-JWT-Extended does not say from where until it is done with them.
        """
        for name in (config.access_cookie_name, config.refresh_cookie_name):
            raw = request.cookies.get(name)
            try:
                if raw and self.decode(raw, None)["jti"] == claims["jti"]:
                    return "cookies"
            except AccountsError:
                continue
        return "headers"

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
        if self.manager._decode_key_callback is not default_decode_key_callback:
            # A key may be withdrawn at any time: only the host knows.
            return self._verify(raw, [(key, config.decode_algorithms) for key in self._keys_of_host(raw)])
        settings, values, ring = self._runtime.setting(TokenSettings), current_app.config, self.ring()
        shared = [config.decode_key, *(key.get_secret_value() for key in settings.previous_keys)] if ring is None else ()
        basis = ring.basis if ring else shared, [values.get(name) for name in JUDGED_BY]
        known = self._known
        if not known.judged_by(basis):
            known = self._known = VerifiedTokens(basis, settings.verified_cache_size)
        claims = known.get(raw)
        if claims is None:
            claims = self._verify(raw, self._candidates(raw, ring) if ring else [(key, config.decode_algorithms) for key in shared])
            if claims.get("type") == "access":  # a refresh token is used once
                known.keep(raw, claims)
        return claims

    def _candidates(self, raw: str, ring: KeyRing) -> Candidates:
        """The keys that the token may be signed by. Of what its header says, only which of ours it means is heard."""
        try:
            header = jwt.get_unverified_header(raw)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise InvalidToken from None
        if self._source and "kid" in header and is_kid(header["kid"]) and not ring.knows(header["kid"]):
            ring = self._ring_of(self._source.look_again())
        return ring.candidates(header)

    def _verify(self, raw: str, candidates: Candidates) -> dict[str, Any]:
        for key, algorithms in candidates:
            try:
                # Times are checked below against the app's clock, not here against the machine's. Whom a token
                # is for is always checked: one with an audience is not for an app that has no name (RFC 7519
                # section 4.1.3), and what this app writes into its tokens it also asks for.
                verified = jwt.decode_complete(
                    raw,
                    key,
                    algorithms=list(algorithms),
                    audience=self._audience(),
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
            if self._is_at_jwt:
                self._check_profile(verified["header"], claims)
            return claims
        raise InvalidToken

    def _audience(self) -> Any:  # one name, or several
        asked = config.encode_audience if config.decode_audience is None else config.decode_audience
        return [*_names(asked), config.encode_issuer] if self._is_at_jwt else asked

    def _check_profile(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> None:
        """By RFC 9068 section 4 an access token is of its own type, and what is of that type is an access token, for us and not for
        the issuer, as refresh tokens are.
        """
        is_access = claims.get("type") == "access"
        if (str(header.get("typ", "")).lower() in AT_JWT) is not is_access:
            raise WrongTokenType
        asked = config.encode_audience if config.decode_audience is None else config.decode_audience
        if is_access and not set(_names(claims["aud"])) & set(_names(asked)):
            raise InvalidToken

    def _keys_of_host(self, raw: str) -> list[Any]:  # whatever key type the algorithm takes
        try:
            header = jwt.get_unverified_header(raw)
            claims = jwt.decode(raw, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise InvalidToken from None
        return [self.manager._decode_key_callback(header, claims)]

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


def host_cookie(name: str) -> str:
    """The name of a cookie of ours: with the prefix that keeps a neighbouring host from planting one, where browsers allow it (ASVS 3.3.3)."""
    return f"__Host-{name}" if config.cookie_secure else name


class ConfiguredKeys:
    """The key pair of `JWT_PRIVATE_KEY` and `JWT_PUBLIC_KEY`, a `KeySource`; read anew when the configuration changes."""

    def __init__(self) -> None:
        self._read: tuple[Any, tuple[Key, ...]] | None = None

    def keys(self) -> tuple[Key, ...]:
        """The pair; `ConfigurationError` for what is none."""
        said = (config.algorithm, current_app.config.get("JWT_PRIVATE_KEY"), current_app.config.get("JWT_PUBLIC_KEY"))
        allowed = tuple(sorted(config.decode_algorithms))
        if self._read is None or self._read[0] != (said, allowed):
            self._read = ((said, allowed), (self._pair(*said, allowed),))
        return self._read[1]

    def look_again(self) -> tuple[Key, ...]:
        """The same: there is nowhere else to look."""
        return self.keys()

    def _pair(self, algorithm: str, private: Any, public: Any, allowed: tuple[str, ...]) -> Key:
        algorithms = (algorithm, *(name for name in allowed if name != algorithm))
        found = {}
        for name, given in (("JWT_PRIVATE_KEY", private), ("JWT_PUBLIC_KEY", public)):
            try:
                found[name] = key_of(given, algorithms=(algorithm,))
            except UnreadableKey as error:
                raise ConfigurationError(f"{name}: {error}") from None
        signs, verifies = found.values()
        if signs.private is None:
            raise ConfigurationError("JWT_PRIVATE_KEY is a public key: nothing can be signed with it.")
        if signs.kid != verifies.kid:
            raise ConfigurationError(
                "JWT_PRIVATE_KEY and JWT_PUBLIC_KEY are not of one pair. A public key whose pair does not sign any more belongs into "
                "ACCOUNTS_TOKENS_PREVIOUS_KEYS."
            )
        return dataclasses.replace(signs, algorithms=algorithms, signs_from=ALWAYS)


Candidates = Sequence[tuple[Any, Sequence[str]]]
"""Keys, of whatever type their algorithms take, each with the algorithms that it may be used with."""


def _names(audience: Any) -> list[str]:
    """An audience, be it one name or several (RFC 7519 section 4.1.3)."""
    return [audience] if isinstance(audience, str) else list(audience)


def _bearer(request: Request) -> str | None:
    """The token of the header, strictly parsed (RFC 6750 section 2.1); None where there is no such header."""
    value = request.headers.get(config.header_name)
    if value is None:
        return None
    if "," in value:  # so the server joins several headers (RFC 3875 section 4.1.18)
        raise InvalidToken(f"One {config.header_name} header, with one token.")
    scheme = config.header_type
    if not scheme:
        return value
    match = re.fullmatch(r"(\S+) +(\S+)", value)
    given = (match[1] if match else value.strip()).casefold()
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
