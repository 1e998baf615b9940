"""What the invitation routes take and show."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ...core.schemas import EmailAddress, Input, Output, SchemaBook, WholeNumber
from ..registration.service import without_address
from .service import Status

Token = Annotated[str, Field(max_length=128)]


class InviteSchema(Input):
    """Whom to invite."""

    email: EmailAddress
    roles: list[Annotated[str, Field(max_length=64, json_schema_extra={"format": "role"})]] = Field(
        default_factory=list, max_length=50
    )
    """What the account will have; none beyond the caller's own."""
    language: str | None = Field(default=None, max_length=35, pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")
    """Of the mail, such as `de`; that of the request if left out."""


class InvitationSchema(Output):
    """An invitation. The token that it carries is in the mail alone."""

    id: UUID
    email: str
    roles: list[str]
    language: str | None
    status: Status
    invited_by: int | UUID | str | None
    """Who sent it last and answers for it; null for a command, host code, or an account that is gone."""
    created_at: datetime
    sent_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    accepted_user: int | UUID | str | None
    """The account made by it."""
    withdrawn_at: datetime | None


class InvitationQuery(Input):
    """Which invitations to list."""

    per_page: Annotated[int, Field(ge=1, le=100), WholeNumber] = 20
    """Invitations a page."""
    cursor: str | None = Field(default=None, max_length=64)
    """Empty for the first page, then the `next_cursor` of the page before."""
    status: Status | None = None


class InvitationPageSchema(Output):
    """Some invitations, newest first; `next_cursor` is null at the end."""

    invitations: list[InvitationSchema]
    next_cursor: str | None


class LookSchema(Input):
    """The mailed token."""

    token: Token


class LookedSchema(Output):
    """Whom the token invites, and until when."""

    email: str
    expires_at: datetime


class AcceptSchema(BaseModel):
    """The mailed token, and what registration asks for beside the address, which is the invited one."""

    # What registration asks for is read as a whole once the address is known, as the host's own schema wants it.
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    token: Token


def accept_invitation(book: SchemaBook) -> type[BaseModel]:
    """`AcceptSchema`, which shows in the document what the host's registration asks for."""
    shown = without_address(book, "AcceptInvitationSchema", AcceptSchema.__doc__, token=(Token, ...))

    class AcceptInvitationSchema(AcceptSchema):
        __doc__ = AcceptSchema.__doc__

        @classmethod
        def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
            return handler(shown.__pydantic_core_schema__)

    return AcceptInvitationSchema
