"""What registration takes and shows."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import pydantic
from flask import has_app_context
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from ...core.runtime import current_accounts
from ...core.schemas import EmailAddress, Input, NewPassword, Output, SchemaBook, Username, UserSchema
from .settings import RegistrationSettings


def _as_set_up(schema: dict[str, Any]) -> None:
    """An example, and in the document of an app that asks for usernames, that one must be given."""
    example = {"email": "ann@example.com", "username": "ann", "password": "correct horse battery staple"}
    if schema["properties"].keys() == example.keys():
        schema["examples"] = [example]
    if has_app_context() and current_accounts().setting(RegistrationSettings).username_required:
        schema["required"] = [*schema["required"], "username"]
        schema["properties"]["username"] = {"title": "Username"} | schema["properties"]["username"]["anyOf"][0]


class RegisterSchema(Input):
    """A new account. Subclass it to ask for own columns."""

    model_config: ClassVar[ConfigDict] = ConfigDict(json_schema_extra=_as_set_up)

    email: EmailAddress
    username: Username | None = Field(default=None, validate_default=True)
    password: NewPassword

    @field_validator("username")
    @classmethod
    def _username_given(cls, value: str | None, info: ValidationInfo) -> str | None:
        runtime = (info.context or {}).get("accounts")
        if value is None and runtime is not None and runtime.setting(RegistrationSettings).username_required:
            raise PydanticCustomError("missing", "Field required")
        return value


class AdminRegisterFields(Input):
    """What only holders of `users:write` may set."""

    roles: list[Annotated[str, Field(max_length=64, json_schema_extra={"format": "role"})]] = Field(
        default_factory=list, max_length=50
    )
    is_active: bool = True
    email_verified: bool = False


ADMIN_FIELDS = frozenset(AdminRegisterFields.model_fields)


def admin_register(book: SchemaBook) -> type[BaseModel]:
    """The host's registration schema and the administrators' fields."""
    base = book.get(RegisterSchema)
    return pydantic.create_model("AdminRegisterSchema", __base__=(base, AdminRegisterFields), __doc__=base.__doc__)


class RegisteredSchema(Output):
    """The new account; with tokens where registering signs in."""

    user: UserSchema
    access_token: str | None = None
    refresh_token: str | None = None
    token_type: str | None = None
    expires_in: int | None = None
    refresh_expires_in: int | None = None
