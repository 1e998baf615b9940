"""Flask-JWT-Extended set up for an app: safer defaults, the checks at start, and the manager behind plain `@jwt_required()`.

The manager made here decodes through `core.tokens`, so that host code's own `@jwt_required()` honours
revocation and its errors are problem details. A host's own manager is kept, and only asked to honour
revocation where it has no own say.
"""

from __future__ import annotations

import secrets
import sys
import warnings
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from flask import Flask, current_app
from flask_jwt_extended import JWTManager
from flask_jwt_extended.default_callbacks import default_blocklist_callback

from .errors import (
    AccountsError,
    AuthenticationError,
    ConfigurationError,
    CsrfFailed,
    InvalidToken,
    ReauthenticationRequired,
    TokenExpired,
    TokenMissing,
    TokenRevoked,
    WrongTokenType,
)
from .passwords import same_secret
from .runtime import Runtime
from .tokens import KEY_PAIR, MANAGER, MINIMUM_KEY, Tokens, config

Check = Callable[[Mapping[str, Any]], None]
"""Raises an `AccountsError` when the session behind verified claims is no longer good."""


def defaults(app: Flask) -> None:
    """Safer defaults than Flask-JWT-Extended's, where the host has set none."""
    preset = {
        "JWT_REFRESH_TOKEN_EXPIRES": timedelta(days=14),
        "JWT_COOKIE_SECURE": True,
        "JWT_COOKIE_SAMESITE": "Lax",
        "JWT_SESSION_COOKIE": False,
        # The prefix makes browsers refuse a cookie planted by a sibling host (ASVS 3.3.3).
        "JWT_ACCESS_COOKIE_NAME": "__Host-access_token",
        "JWT_REFRESH_COOKIE_NAME": "__Host-refresh_token",
    }
    for kind in ("ACCESS", "REFRESH"):
        # Browsers refuse `__Host-` cookies that are not Secure, name a domain, or have a path of their own.
        apart = app.config.get(f"JWT_{kind}_COOKIE_PATH", "/") != "/"
        if app.config.get("JWT_COOKIE_SECURE") is False or app.config.get("JWT_COOKIE_DOMAIN") or apart:
            del preset[f"JWT_{kind}_COOKIE_NAME"]
    for key, value in preset.items():
        app.config.setdefault(key, value)


def idle_lifetime(app: Flask) -> timedelta | None:
    """`JWT_REFRESH_TOKEN_EXPIRES`, or None where the host has set it to False (only the absolute lifetime counts)."""
    value = app.config["JWT_REFRESH_TOKEN_EXPIRES"]
    if isinstance(value, bool):
        return None
    return timedelta(seconds=value) if isinstance(value, int) else value


def check_config(app: Flask) -> None:
    """Refuse at start what would fail, or be unsafe, only at the first sign-in."""
    for key in ("JWT_ACCESS_TOKEN_EXPIRES", "JWT_REFRESH_TOKEN_EXPIRES"):
        value = app.config.get(key, timedelta(1))
        seconds = timedelta(seconds=value) if type(value) is int else value
        endless = value is False and key == "JWT_REFRESH_TOKEN_EXPIRES"  # the session's absolute lifetime still counts
        if not endless and not (isinstance(seconds, timedelta) and seconds > timedelta(0)):
            raise ConfigurationError(f"{key} must be a timedelta or a number of seconds, above 0.")
    if app.config.get("JWT_IDENTITY_CLAIM", "sub") != "sub":
        raise ConfigurationError("JWT_IDENTITY_CLAIM must stay `sub`, the claim that names the account (RFC 7519 section 4.1.2).")


def check_key(app: Flask) -> None:
    """Refuse a missing or short signing key in production, warn in debug and testing (RFC 8725 section 3.5).

    Without any key, debug and testing sign with a random one, so that the first steps need no set-up.
    """
    algorithm = app.config.get("JWT_ALGORITHM", "HS256")
    for other in app.config.get("JWT_DECODE_ALGORITHMS") or ():
        # Beside a shared-key algorithm, a public key could pass for the shared one (RFC 8725 section 2.1).
        if (other in KEY_PAIR) != (algorithm in KEY_PAIR) or other not in {*KEY_PAIR, *MINIMUM_KEY}:
            raise ConfigurationError(
                f"JWT_DECODE_ALGORITHMS names {other!r} beside JWT_ALGORITHM {algorithm}: keep to one family, HS or key pairs."
            )
    if algorithm in KEY_PAIR:
        missing = [key for key in ("JWT_PRIVATE_KEY", "JWT_PUBLIC_KEY") if not app.config.get(key)]
        if missing:
            raise ConfigurationError(
                f"JWT_ALGORITHM {algorithm} needs {' and '.join(missing)}: set the key pair, in PEM. Where the feature SigningKeys keeps "
                "the keys, leave JWT_ALGORITHM out."
            )
        return
    needed = MINIMUM_KEY.get(algorithm)
    if needed is None:
        names = ", ".join([*MINIMUM_KEY, *sorted(KEY_PAIR)])
        raise ConfigurationError(
            f"JWT_ALGORITHM {algorithm!r} is none that signs safely. Leave it out (HS256), or use one of: {names}."
        )
    key = app.config.get("JWT_SECRET_KEY") or app.secret_key
    length = len(key.encode() if isinstance(key, str) else key) if key else 0
    if length >= needed:
        return
    said = f"The signing key has {length} bytes" if length else "There is no signing key"
    message = (
        f"{said}; {algorithm} needs at least {needed}. Set JWT_SECRET_KEY (or SECRET_KEY) to a random value, for example the "
        "output of: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
    )
    if not (app.debug or app.testing):
        raise ConfigurationError(message)
    if not length:
        app.config["JWT_SECRET_KEY"] = PassingKey(secrets.token_urlsafe(48))
        message += " Until then this process signs with a random one, and every token dies with it."
    _warn(message)


class PassingKey(str):
    """A signing key that was made at start because there is none, and is gone with the process."""

    __slots__ = ()


def _warn(message: str) -> None:
    """Warn on the host's own line: the first outside this package."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == __package__.partition(".")[0]:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def install(app: Flask, check: Check, user: Any) -> None:  # `user` is a proxy to the host's class
    """Give the app a JWTManager whose answers are ours, or fill in what the host's own leaves open.

    `check` is asked with the claims of every token that plain `@jwt_required()` accepts; `user` is what
    Flask-JWT-Extended's `current_user` then is.
    """
    manager = app.extensions.get(MANAGER)
    tokens: Tokens = app.extensions["accounts"].get(Tokens)
    if manager is None:
        manager = _Manager(app)
        _set_answers(manager)
    elif tokens.has_source:
        raise ConfigurationError(
            "JWTManager(app) knows no keys but those of JWT_*, and SigningKeys keeps them elsewhere. Leave it out: accounts.init_app makes "
            "one, as app.extensions['flask-jwt-extended'], whose loaders you may set."
        )
    tokens.adopt(manager)
    with app.app_context():
        tokens.check()
    if manager._token_in_blocklist_callback is default_blocklist_callback:

        def revoked(header: dict[str, Any], claims: dict[str, Any]) -> bool:
            check(claims)
            return False

        manager.token_in_blocklist_loader(revoked)

    if manager._user_lookup_callback is None:
        manager.user_lookup_loader(lambda header, claims: user)


class _Manager(JWTManager):
    """Flask-JWT-Extended's manager, decoding through `Tokens`."""

    def _encode_jwt_from_config(
        self,
        identity: Any,
        token_type: str,
        claims: dict[str, Any] | None = None,
        fresh: Any = False,
        expires_delta: Any = None,
        headers: dict[str, Any] | None = None,
    ) -> str:
        """For `create_access_token()` in host code: its times are of the app's clock too."""
        runtime: Runtime = current_app.extensions["accounts"]
        now = runtime.clock.now()
        default = config.access_expires if token_type == "access" else config.refresh_expires  # noqa: S105  # a kind
        lifetime = default if expires_delta is None else expires_delta
        times = {"iat": now} | ({"nbf": now} if config.encode_nbf else {}) | ({"exp": now + lifetime} if lifetime else {})
        if isinstance(fresh, timedelta):
            fresh = (now + fresh).timestamp()
        token: str = super()._encode_jwt_from_config(identity, token_type, times | (claims or {}), fresh, expires_delta, headers)
        return runtime.get(Tokens).formed(token)

    def _decode_jwt_from_config(
        self, encoded_token: str, csrf_value: str | None = None, allow_expired: bool = False
    ) -> dict[str, Any]:

        tokens = current_app.extensions["accounts"].get(Tokens)
        claims: dict[str, Any] = tokens.decode(encoded_token, None, allow_expired=allow_expired)
        fresh = claims.setdefault("fresh", False)
        if not isinstance(fresh, bool):  # until when; judged here by the app's clock
            claims["fresh"] = isinstance(fresh, int | float) and fresh >= tokens._runtime.clock.now().timestamp()
        if csrf_value and not same_secret(csrf_value, str(claims.get("csrf", ""))):
            raise CsrfFailed
        return claims


def _set_answers(manager: JWTManager) -> None:
    def answer(error: type[AuthenticationError]) -> Callable[..., Any]:
        return lambda *_: error().get_response()

    def unauthorized(reason: str) -> Any:
        error: AccountsError = CsrfFailed() if "CSRF" in reason else TokenMissing()
        return error.get_response()

    def invalid(reason: str) -> Any:
        error = WrongTokenType() if "refresh tokens" in reason else InvalidToken()
        return error.get_response()

    manager.unauthorized_loader(unauthorized)
    manager.invalid_token_loader(invalid)
    manager.expired_token_loader(answer(TokenExpired))
    manager.revoked_token_loader(answer(TokenRevoked))
    manager.user_lookup_error_loader(answer(TokenRevoked))
    manager.needs_fresh_token_loader(answer(ReauthenticationRequired))
    manager.token_verification_failed_loader(answer(InvalidToken))
    # Integer `sub` claims do not verify (RFC 7519 section 4.1.2): whatever the host passes becomes text.
    manager.user_identity_loader(_identity)


def _identity(identity: Any) -> str:  # a user object or a key, as host code passes to create_access_token

    runtime: Runtime = current_app.extensions["accounts"]
    return str(runtime.users.key_of(identity))
