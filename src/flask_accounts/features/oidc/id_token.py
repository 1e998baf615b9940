"""ID tokens: what must hold before anything in one is believed (OpenID Connect Core section 3.1.3.7, RFC 8725).

The signature comes first, by a key of the issuer and one of the asymmetric algorithms: never `none`, and never a shared secret, for which a
public key could be passed off. Then issuer, audience, authorised party, times, nonce and the access token's hash, each compared exactly.
PyJWT does the signature; times are those of the app's own clock.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

ALGORITHMS: Mapping[str, tuple[str, str]] = {
    "RS256": ("RSA", "sha256"), "RS384": ("RSA", "sha384"), "RS512": ("RSA", "sha512"),
    "PS256": ("RSA", "sha256"), "PS384": ("RSA", "sha384"), "PS512": ("RSA", "sha512"),
    "ES256": ("EC", "sha256"), "ES384": ("EC", "sha384"), "ES512": ("EC", "sha512"),
    "EdDSA": ("OKP", "sha512"),
}  # fmt: skip
"""What may sign: each algorithm with its kind of key and the hash of `at_hash`."""
LEEWAY = timedelta(seconds=60)
"""How far clocks may be apart."""
MAX_TOKEN = 32 * 1024
MAX_SUBJECT = 255
MINIMUM_RSA = 2048


class TokenRefused(Exception):
    """The token proves nothing. The message says why, and holds nothing of it."""


class UnknownKey(TokenRefused):
    """None of the keys has signed it: it may be that there are newer ones."""


@dataclass(frozen=True)
class Expected:
    """What a token must say."""

    client_id: str
    issuer_fits: Callable[[str, Mapping[str, Any]], bool]
    """Whether an issuer is the provider, given the token's claims."""
    nonce: str = field(repr=False)
    now: datetime
    since: datetime
    """When the sign-in was begun: an older token is of another one."""
    access_token: str | None = field(default=None, repr=False)


def header_of(token: str) -> tuple[str, str | None]:
    """The algorithm and the name of the key; `TokenRefused`. Nothing of it is verified yet."""
    if len(token) > MAX_TOKEN or token.count(".") != 2 or not token.isascii():
        raise TokenRefused("it is not a signed token")
    try:
        header = json.loads(_decoded(token.partition(".")[0]))
    except (ValueError, RecursionError):
        raise TokenRefused("its header cannot be read") from None
    if not isinstance(header, dict):
        raise TokenRefused("its header cannot be read")
    algorithm, name = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenRefused("its algorithm is not allowed")
    if "crit" in header:
        raise TokenRefused("it has critical extensions")
    if name is not None and not isinstance(name, str):
        raise TokenRefused("the name of its key is no text")
    return algorithm, name


def fitting(keys: Iterable[Mapping[str, Any]], algorithm: str, name: str | None) -> list[Mapping[str, Any]]:
    """The keys of a JWKS that may have signed with `algorithm`; with a `name`, only those of that name."""
    kind = ALGORITHMS[algorithm][0]
    return [
        key
        for key in keys
        if key.get("kty") == kind
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (name is None or key.get("kid") == name)
    ]


def verified(token: str, keys: Iterable[Mapping[str, Any]], expected: Expected) -> dict[str, Any]:
    """The claims of `token`, if one of `keys` signed it and it says what is expected; `TokenRefused`."""
    algorithm, name = header_of(token)
    claims = _claims(token, fitting(keys, algorithm, name), algorithm)
    _check(claims, expected)
    if expected.access_token is not None and "at_hash" in claims:
        digest = hashlib.new(ALGORITHMS[algorithm][1], expected.access_token.encode()).digest()
        right = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
        if not _same(claims["at_hash"], right):
            raise TokenRefused("it came with another access token")
    return claims


def _claims(token: str, keys: list[Mapping[str, Any]], algorithm: str) -> dict[str, Any]:
    for key in keys:
        try:
            public = jwt.PyJWK(dict(key), algorithm).key
            if getattr(public, "key_size", MINIMUM_RSA) < MINIMUM_RSA and ALGORITHMS[algorithm][0] == "RSA":
                continue
            payload = jwt.api_jws.PyJWS(algorithms=[algorithm]).decode(token, public, algorithms=[algorithm])
            claims = json.loads(payload)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            continue
        if isinstance(claims, dict):
            return claims
    raise UnknownKey("no key of the issuer has signed it")


def _check(claims: Mapping[str, Any], expected: Expected) -> None:
    issuer, audience, party = claims.get("iss"), claims.get("aud"), claims.get("azp")
    if not isinstance(issuer, str) or not expected.issuer_fits(issuer, claims):
        raise TokenRefused("it is of another issuer")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or expected.client_id not in audiences:
        raise TokenRefused("it is for another client")
    if (len(audiences) > 1 or party is not None) and party != expected.client_id:
        raise TokenRefused("it was issued to another client")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
        raise TokenRefused("its subject is none")
    expires, issued = moment(claims.get("exp")), moment(claims.get("iat"))
    if expires is None or expires <= expected.now - LEEWAY:
        raise TokenRefused("it has expired")
    if issued is None or issued > expected.now + LEEWAY:
        raise TokenRefused("it is of the future")
    if issued < expected.since - LEEWAY:
        raise TokenRefused("it is older than this sign-in")
    begins = claims.get("nbf")
    if begins is not None and ((found := moment(begins)) is None or found > expected.now + LEEWAY):
        raise TokenRefused("it is not good yet")
    if not _same(claims.get("nonce"), expected.nonce):
        raise TokenRefused("it is of another sign-in")


def moment(value: Any) -> datetime | None:  # a JSON value
    """The time that a NumericDate says, None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _same(value: Any, right: str) -> bool:  # a JSON value
    return isinstance(value, str) and hmac.compare_digest(value.encode(errors="replace"), right.encode())


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
