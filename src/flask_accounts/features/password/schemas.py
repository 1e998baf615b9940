"""What the password routes take."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import ConfigDict, Field, JsonValue, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ...core.policies import MAX_EMAIL
from ...core.schemas import Input, NewPassword, Password


def _only(given: str, absent: str) -> dict[str, JsonValue]:
    """JSON Schema's way to say that `given` is there and `absent` is not, or null."""
    return {"required": [given], "properties": {given: {"type": "string"}, absent: {"type": "null"}}}


class LoginSchema(Input):
    """Who wants in, by address or by username, and the password."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        json_schema_extra={
            "oneOf": [_only("email", "username"), _only("username", "email")],
            "examples": [{"email": "ann@example.com", "password": "correct horse battery staple"}],
        }
    )

    email: str | None = Field(default=None, max_length=MAX_EMAIL)
    username: str | None = Field(default=None, max_length=MAX_EMAIL)
    password: Password

    @model_validator(mode="after")
    def _one_name(self) -> LoginSchema:
        if (self.email is None) == (self.username is None):
            raise PydanticCustomError("one_of", "Give either an e-mail address or a username.")
        return self


class ChangePasswordSchema(Input):
    """The present password and the one to be."""

    current_password: Password
    new_password: NewPassword

    @field_validator("new_password")
    @classmethod
    def _different(cls, value: SecretStr, info: ValidationInfo) -> Any:
        current = info.data.get("current_password")
        if current is not None and current.get_secret_value() == value.get_secret_value():
            raise PydanticCustomError("password_unchanged", "The new password is the present one.")
        return value
