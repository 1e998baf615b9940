"""What POST /introspect and /revoke take and answer: as the RFCs say, so unknown members of a request are ignored."""

from __future__ import annotations

from typing import Any, ClassVar

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from ...core.schemas import ABSENT, Output

MAX_HINT = 64
ABSENT_HERE: dict[str, Any] = {ABSENT: True}


class TokenForm(BaseModel):
    """A token that somebody else was shown."""

    model_config: ClassVar[pydantic.ConfigDict] = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    token: str = Field(max_length=16_384)
    token_type_hint: str | None = Field(default=None, max_length=MAX_HINT)
    """`access_token` or `refresh_token`. Not needed: a token says itself what it is."""


class ActorSchema(Output):
    """Somebody who acts in another's place."""

    sub: str
    """The key of the account."""


class IntrospectionSchema(Output):
    """What a token says, and whose it is (RFC 7662 section 2.2). Of one that is not good, `active` alone."""

    active: bool
    token_type: str | None = Field(default=None, json_schema_extra=ABSENT_HERE)
    iss: str | None = Field(default=None, json_schema_extra=ABSENT_HERE)
    aud: str | list[str] | None = Field(default=None, json_schema_extra=ABSENT_HERE)
    sub: str | None = Field(default=None, json_schema_extra=ABSENT_HERE)
    client_id: str | None = Field(default=None, json_schema_extra=ABSENT_HERE)
    scope: str | None = Field(default=None, json_schema_extra=ABSENT_HERE)
    exp: int | None = Field(default=None, json_schema_extra=ABSENT_HERE)
    iat: int | None = Field(default=None, json_schema_extra=ABSENT_HERE)
    nbf: int | None = Field(default=None, json_schema_extra=ABSENT_HERE)
    jti: str | None = Field(default=None, json_schema_extra=ABSENT_HERE)
    sid: str | None = Field(default=None, json_schema_extra=ABSENT_HERE)
    """The session."""
    auth_time: int | None = Field(default=None, json_schema_extra=ABSENT_HERE)
    """When the person last proved presence."""
    amr: list[str] | None = Field(default=None, json_schema_extra=ABSENT_HERE)
    act: ActorSchema | None = Field(default=None, json_schema_extra=ABSENT_HERE)
    """Who acts in the place of `sub` (RFC 8693 section 4.1)."""
    roles: list[str] | None = Field(default=None, json_schema_extra=ABSENT_HERE)
    """The account's roles at this moment."""
    permissions: list[str] | None = Field(default=None, json_schema_extra=ABSENT_HERE)
    """What they allow."""
