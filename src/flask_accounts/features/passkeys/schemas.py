"""What the routes of passkeys take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from ...core.policies import MAX_EMAIL
from ...core.schemas import ABSENT, EmailAddress, Input, Output, SchemaBook
from ..registration.service import without_address
from .models import MAX_NAME

Credential = Annotated[dict[str, Any], Field(description="What the browser answered: `credential.toJSON()` (WebAuthn level 3).")]
RequestToken = Annotated[str | None, Field(default=None, max_length=128, description="For clients that keep no cookies.")]


def _name(value: str) -> str:
    name = value.strip()
    if not name or not name.isprintable():
        raise PydanticCustomError("name_invalid", "Give a name of printable characters.")
    return name


PasskeyName = Annotated[
    str, Field(min_length=1, max_length=MAX_NAME, json_schema_extra={"format": "username"}), AfterValidator(_name)
]


class CeremonySchema(Output):
    """What to ask the browser."""

    options: dict[str, Any]
    """For `PublicKeyCredential.parseCreationOptionsFromJSON()` or `parseRequestOptionsFromJSON()`."""
    expires_in: int
    """Seconds that it waits for its answer."""


class AnonymousCeremonySchema(CeremonySchema):
    """What to ask the browser, which keeps a cookie meanwhile."""

    request_token: str | None = Field(default=None, json_schema_extra={ABSENT: True})
    """To be sent along with the answer by a client that keeps no cookies. Absent where tokens go by cookies."""


class ChallengeCeremonySchema(CeremonySchema):
    """What to ask the browser so that a sign-in goes on."""

    method: str = Field(examples=["passkey"])
    """By which method `POST /challenge` takes the answer: `passkey`, or `passkey_enrolment` where a passkey is to be made."""


class WaitingSignInSchema(Input):
    """The sign-in that waits for a second factor."""

    challenge_token: str = Field(max_length=128)


class PasskeySignInSchema(Input):
    """The answer to the options of a sign-in."""

    credential: Credential
    request_token: RequestToken = None


class NewPasskeySchema(Input):
    """The answer to the options for a new passkey."""

    credential: Credential
    # A factory and not a default: null names nothing.
    name: PasskeyName = Field(default_factory=str)
    """What its owner calls it; its make, if left out."""


class PasskeyNameSchema(Input):
    """What a passkey is to be called."""

    name: PasskeyName


class PasskeySchema(Output):
    """A passkey as its owner sees it."""

    id: UUID
    name: str
    authenticator: str = Field(examples=["Apple Passwords"])
    """The make, as the authenticator says itself; `Passkey` for one that is not known here."""
    aaguid: UUID
    transports: list[str]
    synced: bool
    """Its owner may have it on several devices."""
    backed_up: bool
    """It was copied to elsewhere when it was used last."""
    signs_in: bool
    """It is a way in by itself; else it is a second factor alone."""
    created_at: datetime
    last_used_at: datetime | None


class PasskeyListSchema(Output):
    """The passkeys of an account, oldest first."""

    passkeys: list[PasskeySchema]


class AddedPasskeySchema(PasskeySchema):
    """The passkey that was just made."""

    recovery_codes: list[str] | None = Field(default=None, json_schema_extra={ABSENT: True})
    """Shown this once; absent if the account has recovery codes already."""


class SignUpOptionsSchema(BaseModel):
    """What registration asks for, without a password: an account is made with a passkey in its place."""

    # What registration asks for is read as the host's own schema wants it.
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    email: str = Field(max_length=MAX_EMAIL)


class SignUpSchema(SignUpOptionsSchema):
    """The same again, with the passkey that was made."""

    credential: Credential
    request_token: RequestToken = None


def sign_up_options(book: SchemaBook) -> type[BaseModel]:
    """`SignUpOptionsSchema`, which shows in the document what the host's registration asks for."""
    return _shown(book, "PasskeySignUpOptionsSchema", SignUpOptionsSchema)


def sign_up(book: SchemaBook) -> type[BaseModel]:
    """`SignUpSchema`, likewise."""
    return _shown(book, "PasskeySignUpSchema", SignUpSchema, credential=(Credential, ...), request_token=(RequestToken, None))


def _shown(book: SchemaBook, name: str, base: type[BaseModel], **more: Any) -> type[BaseModel]:
    shown = without_address(book, name, base.__doc__, email=(EmailAddress, ...), **more)

    def schema(cls: type[BaseModel], core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        made = handler(shown.__pydantic_core_schema__)
        found = handler.resolve_ref_schema(made)
        found["properties"].pop("password", None)
        found["required"] = [each for each in found.get("required", ()) if each != "password"]
        return made

    return type(
        name, (base,), {"__doc__": base.__doc__, "__module__": __name__, "__get_pydantic_json_schema__": classmethod(schema)}
    )
