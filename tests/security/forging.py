"""Tokens made by hand, as an attacker (with or without the key) would: every part can be bent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from tests.conftest import KEY

DROP = object()
"""As a claim's value: leave the claim out."""


def encode(part: Any) -> str:  # bytes as they are, anything else as JSON
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(segment: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


def header_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = decode(token.split(".")[0])
    return found


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = decode(token.split(".")[1])
    return found


def sign(header: Any, payload: Any, *, key: str | bytes = KEY, digest: str = "sha256") -> str:
    """A compact JWS with a right HMAC over whatever `header` and `payload` are."""
    signed = f"{encode(header)}.{encode(payload)}"
    secret = key.encode() if isinstance(key, str) else key
    return f"{signed}.{encode(hmac.new(secret, signed.encode(), getattr(hashlib, digest)).digest())}"


def bent(
    token: str, *, header: Mapping[str, Any] | None = None, key: str | bytes = KEY, digest: str = "sha256", **claims: Any
) -> str:
    """`token` with members of its header and its claims changed, signed again."""
    changed = claims_of(token) | claims
    kept = {name: value for name, value in changed.items() if value is not DROP}
    return sign(header_of(token) | dict(header or {}), kept, key=key, digest=digest)
