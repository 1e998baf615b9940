"""What the route of impersonation takes and answers."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from ...core.schemas import TOKEN, Input, Output, UserSchema
from .models import MAX_REASON


class ImpersonateSchema(Input):
    """Why somebody acts in another's place."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        json_schema_extra={"examples": [{"reason": "Ticket 4711: the order is not shown."}]}
    )

    reason: str = Field(max_length=MAX_REASON, min_length=1)
    """For the audit log; the owner is not shown it."""

    @field_validator("reason")
    @classmethod
    def _said(cls, reason: str) -> str:
        reason = reason.strip()
        if not reason or not reason.isprintable():
            raise PydanticCustomError("reason_missing", "Say why, in one line that can be read.")
        return reason


class ActSchema(Output):
    """Who acts (RFC 8693 section 4.1)."""

    sub: str
    """The key of the account."""


class ImpersonationSchema(Output):
    """A session in which the caller acts in the place of `user`. There is no refresh token: it ends when the access token does."""

    access_token: str | None = Field(default=None, json_schema_extra={TOKEN: True})
    """For `Authorization: Bearer`; absent with cookie transport."""
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # a scheme's name, not a secret
    expires_in: int
    """Seconds until it is over."""
    act: ActSchema
    user: UserSchema
