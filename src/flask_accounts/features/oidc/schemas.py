"""What the routes of identity providers take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ...core.schemas import Input, Output, SchemaBook
from ..registration.service import without_address

Code = Annotated[str, Field(max_length=128)]


class ProviderSchema(Output):
    """A provider to sign in with."""

    name: str
    label: str
    reauthenticates: bool
    """Whether it may prove presence at `POST /oidc/{provider}/reauthenticate`: it can say when somebody has signed in there."""


class ProviderListSchema(Output):
    """The providers there are."""

    providers: list[ProviderSchema]


class BegunSchema(Output):
    """Where to send the browser, which keeps a cookie meanwhile."""

    authorization_url: str
    expires_in: int
    """Seconds to come back in."""


class CallbackQuery(BaseModel):
    """What a provider sends the browser back with."""

    # Providers add members of their own.
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore")

    state: str | None = Field(default=None, max_length=128)
    code: str | None = Field(default=None, max_length=4096)
    error: str | None = Field(default=None, max_length=128)
    iss: str | None = Field(default=None, max_length=2048)


class ExchangeSchema(BaseModel):
    """The code that the front end was given, and what registration asks for beside address and password where an account is made."""

    # What registration asks for is read once it is known that it is needed, as the host's own schema wants it.
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    code: Code


def exchange(book: SchemaBook) -> type[BaseModel]:
    """`ExchangeSchema`, which shows in the document what the host's registration asks for."""
    shown = without_address(book, "OidcExchangeSchema", ExchangeSchema.__doc__, code=(Code, ...))

    class OidcExchangeSchema(ExchangeSchema):
        __doc__ = ExchangeSchema.__doc__

        @classmethod
        def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
            made = handler(shown.__pydantic_core_schema__)
            found = handler.resolve_ref_schema(made)
            found["properties"].pop("password", None)
            found["required"] = ["code"]
            return made

    return OidcExchangeSchema


class LinkSchema(Input):
    """The code that the front end was given."""

    code: Code


class ReauthenticateByProviderSchema(Input):
    """The code that the front end was given."""

    code: Code


class IdentitySchema(Output):
    """An identity at a provider. `email` is what the provider said last; nothing is decided by it."""

    id: UUID
    provider: str
    email: str | None
    created_at: datetime
    last_used_at: datetime


class IdentityListSchema(Output):
    """The identities of an account, oldest first."""

    identities: list[IdentitySchema]
