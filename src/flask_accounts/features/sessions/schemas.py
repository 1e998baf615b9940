"""What the session routes take and show."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from ...core.schemas import Input, Output, Password


class RefreshTokenSchema(Input):
    """The refresh token, for clients that send it in the body."""

    refresh_token: str | None = Field(default=None, max_length=8192)


class ReauthenticateSchema(Input):
    """Proof of presence: the password alone, or a factor by its name (`method`) with what that asks for."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["password"]}, {"required": ["method"]}],
            "examples": [{"password": "correct horse battery staple"}, {"method": "totp", "code": "123456"}],
        }
    )

    # Factories and not defaults: null proves nothing.
    password: Password = Field(default_factory=lambda: SecretStr(""))
    method: str = Field(default_factory=str, max_length=32)
    """A factor of the account: `totp`, `recovery_code`."""
    code: str = Field(default_factory=str, max_length=64)
    """For methods that ask for a code."""
    credential: dict[str, Any] = Field(default_factory=dict)
    """For `passkey`: what the browser answered (WebAuthn)."""

    @model_validator(mode="after")
    def _one_proof(self) -> ReauthenticateSchema:
        if ("password" in self.model_fields_set) == ("method" in self.model_fields_set):
            raise PydanticCustomError("one_of", "Give either a password or a method.")
        return self


class SessionSchema(Output):
    """A session as its owner sees it; no token material."""

    id: UUID
    device: str
    """Browser and system as the client named itself."""
    ip_address: str | None
    user_agent: str | None
    created_at: datetime
    last_used_at: datetime
    """When it was last refreshed."""
    expires_at: datetime
    current: bool
    """Whether it is the one that asks."""
    impersonated: bool
    """Whether somebody else uses it, in the owner's place: support, say. Its device and address are not shown."""


class SessionListSchema(Output):
    """Live sessions, last used first."""

    sessions: list[SessionSchema]
