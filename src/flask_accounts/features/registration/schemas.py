"""What registration takes and shows."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from flask import has_app_context
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from ...core.runtime import current_accounts
from ...core.schemas import ABSENT, EmailAddress, Input, NewPassword, Output, SchemaBook, Username, UserSchema, derived
from .settings import RegistrationSettings


def _as_set_up(schema: dict[str, Any]) -> None:
    """An example, and in the document of an app that asks for usernames, that one must be given."""
    example = {"email": "ann@example.com", "username": "ann", "password": "correct horse battery staple"}
    if schema["properties"].keys() == example.keys():
        schema["examples"] = [example]
    if _username_required():
        schema["required"] = [*schema["required"], "username"]
        schema["properties"]["username"] = _given(schema["properties"]["username"])


def _username_required() -> bool:
    return has_app_context() and current_accounts().setting(RegistrationSettings).username_required


def _given(username: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of a username that may not be null."""
    text: dict[str, Any] = username["anyOf"][0]
    return text


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


def without_address(book: SchemaBook, name: str, doc: str | None, **more: Any) -> type[BaseModel]:
    """What registration asks for where the address is known, and `more` fields, as a schema for the document alone.

    It lacks the host's validators, which may ask for the address: `RegistrationService.read` takes it with the rest.
    """
    base = book.get(RegisterSchema)

    def as_set_up(schema: dict[str, Any]) -> None:
        if _username_required():
            schema["required"] = [*schema.get("required", ()), "username"]
            schema["properties"]["username"] = _given(schema["properties"]["username"])

    fields: dict[str, Any] = {key: (field.annotation, field) for key, field in base.model_fields.items() if key != "email"}
    shown = derived(name, Input, doc=doc, **more, **fields)
    shown.model_config["json_schema_extra"] = as_set_up
    shown.model_rebuild(force=True)
    return shown


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
    return derived("AdminRegisterSchema", (base, AdminRegisterFields), doc=base.__doc__)


class RegisteredSchema(Output):
    """The new account; with tokens where registering signs in."""

    user: UserSchema
    access_token: str | None = Field(default=None, json_schema_extra={ABSENT: True})
    refresh_token: str | None = Field(default=None, json_schema_extra={ABSENT: True})
    token_type: Literal["Bearer"] | None = Field(default=None, json_schema_extra={ABSENT: True})
    expires_in: int | None = Field(default=None, json_schema_extra={ABSENT: True})
    refresh_expires_in: int | None = Field(default=None, json_schema_extra={ABSENT: True})
