"""What GET /jwks.json answers."""

from __future__ import annotations

from pydantic import Field

from ...core.schemas import ABSENT, Output


class JwkSchema(Output):
    """The public half of a key pair (RFC 7517). Which members describe it depends on `kty` (RFC 7518, RFC 8037)."""

    kty: str
    use: str
    alg: str
    kid: str
    """Its thumbprint (RFC 7638)."""
    crv: str | None = Field(default=None, json_schema_extra={ABSENT: True})
    x: str | None = Field(default=None, json_schema_extra={ABSENT: True})
    y: str | None = Field(default=None, json_schema_extra={ABSENT: True})
    n: str | None = Field(default=None, json_schema_extra={ABSENT: True})
    e: str | None = Field(default=None, json_schema_extra={ABSENT: True})


class JwkSetSchema(Output):
    """The keys that tokens of this app are verified with."""

    keys: list[JwkSchema]
