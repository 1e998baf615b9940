"""What the routes of the sign-in by mail take and answer."""

from __future__ import annotations

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ...core.policies import MAX_EMAIL
from ...core.schemas import ABSENT, Input, Output


class MagicLinkSchema(Input):
    """Who wants to sign in."""

    email: str = Field(max_length=MAX_EMAIL)


class MagicLinkAskedSchema(Output):
    """The same for every address."""

    message: str
    expires_in: int
    """Seconds that a link and a code are good."""
    request_token: str | None = Field(default=None, json_schema_extra={ABSENT: True})
    """To be sent back with the link's token or the code, by clients that keep no cookies; absent with cookie transport."""


class MagicLinkLoginSchema(Input):
    """The token of the link, or the address and the code."""

    token: str | None = Field(default=None, max_length=128)
    email: str | None = Field(default=None, max_length=MAX_EMAIL)
    code: str | None = Field(default=None, max_length=24)
    request_token: str | None = Field(default=None, max_length=128)
    """What the answer to the asking held. Browsers send the cookie they were given instead."""

    @model_validator(mode="after")
    def _one_way(self) -> MagicLinkLoginSchema:
        by_token, by_code = self.token is not None, self.email is not None and self.code is not None
        if by_token == by_code or (by_token and (self.email is not None or self.code is not None)):
            raise PydanticCustomError("one_of", "Give either a token, or an address and a code.")
        return self
