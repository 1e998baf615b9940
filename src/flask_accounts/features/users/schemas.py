"""What the account routes take and show."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError, PydanticUndefined

from ...core.schemas import (
    EmailAddress,
    Input,
    Output,
    PublicUserSchema,
    QueryBool,
    QueryTime,
    SchemaBook,
    Time,
    Username,
    UserSchema,
    WholeNumber,
    derived,
)


class UpdateUserSchema(Input):
    """What a person may change of the own account. Subclass it to let own columns be changed."""

    # A factory and not a default: null is no address, and the document must not offer it.
    email: EmailAddress = Field(default_factory=str)
    """Of the own account: another one has to prove itself at `POST /email/change`, or asks for recent authentication where it need not."""
    username: Username | None = None


class AdminFields(Input):
    """What only holders of `users:write` may change."""

    is_active: bool = Field(default_factory=bool)
    email_verified: bool = Field(default_factory=bool)


ADMIN_FIELDS = frozenset(AdminFields.model_fields)


def admin_update(book: SchemaBook) -> type[BaseModel]:
    """The host's update schema and the administrators' fields."""
    base = book.get(UpdateUserSchema)
    return derived("AdminUpdateUserSchema", (base, AdminFields), doc=base.__doc__)


def own_replacement(book: SchemaBook) -> type[BaseModel]:
    """The update schema with every member required, for PUT."""
    base = book.get(UpdateUserSchema)
    return derived("ReplaceUserSchema", (base, OptionalAdminFields), **required(base))


class OptionalAdminFields(AdminFields):
    """The administrators' fields, as PUT takes them: they may be left out."""


def required(schema: type[BaseModel]) -> dict[str, Any]:  # what create_model takes
    """The fields of `schema`, none with a default."""
    fields: dict[str, Any] = {}
    for name, field in schema.model_fields.items():
        field = copy.copy(field)
        field.default, field.default_factory = PydanticUndefined, None
        fields[name] = (field.annotation, field)
    return fields


Prefix = Annotated[str, Field(min_length=1, max_length=100)]
"""The beginning of something."""


class UserListQuery(Input):
    """Which accounts to list, and how."""

    page: Annotated[int, Field(ge=1, le=1_000_000), WholeNumber] | None = None
    """Page number from 1; with totals."""
    per_page: Annotated[int, Field(ge=1, le=100), WholeNumber] = 20
    """Accounts a page."""
    cursor: Annotated[str, Field(max_length=1024)] | None = None
    """Empty for the first page, then the `next_cursor` of the page before. Costs the same at any depth; no totals."""
    search: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """A part of the username or the address, at any place."""
    username_starts_with: Prefix | None = None
    """The beginning of the username. The list is then sorted by it, unless `sort` says otherwise."""
    email_starts_with: Prefix | None = None
    """The beginning of the address. The list is then sorted by it, unless `sort` says otherwise."""
    is_active: QueryBool | None = None
    role: Annotated[str, Field(max_length=64)] | None = None
    created_after: QueryTime | None = None
    created_before: QueryTime | None = None
    sort: (
        Literal["id", "email", "username", "created_at", "updated_at", "-id", "-email", "-username", "-created_at", "-updated_at"]
        | None
    ) = None
    """With `-` in front, descending. `id`, if it is left out and no beginning is asked for."""
    total: Literal["capped", "exact"] = "capped"
    """`exact` counts all accounts, at a cost that grows with their number; else the count stops at a limit that the app sets. Not with a cursor."""

    @model_validator(mode="after")
    def _one_way(self) -> UserListQuery:
        if self.page is not None and self.cursor is not None:
            raise PydanticCustomError("one_of", "Give either a page or a cursor.")
        if self.total == "exact" and self.cursor is not None:
            raise PydanticCustomError("one_of", "A cursor comes without totals.")
        return self

    @property
    def order(self) -> tuple[str, bool]:
        """What to sort by, and whether descending."""
        if self.sort is not None:
            return self.sort.removeprefix("-"), self.sort.startswith("-")
        if self.username_starts_with is not None:
            return "username", False
        return ("email" if self.email_starts_with is not None else "id"), False


class UserPageSchema(Output):
    """A page of accounts, with totals."""

    users: list[UserSchema]
    total: int
    """At least this many, if `total_capped`."""
    total_capped: bool
    pages: int
    """Of `total`."""
    current_page: int
    per_page: int


class UserCursorSchema(Output):
    """Some accounts, and where to go on; `next_cursor` is null at the end."""

    users: list[UserSchema]
    next_cursor: str | None


class PublicUserPageSchema(Output):
    """A page of the directory, with totals."""

    users: list[PublicUserSchema]
    total: int
    """At least this many, if `total_capped`."""
    total_capped: bool
    pages: int
    """Of `total`."""
    current_page: int
    per_page: int


class PublicUserCursorSchema(Output):
    """Some of the directory, and where to go on."""

    users: list[PublicUserSchema]
    next_cursor: str | None


class DisableSchema(Input):
    """Why an account is switched off, and until when."""

    reason: str | None = Field(default=None, max_length=255)
    """For administrators; the owner is told only where the app says so."""
    until: Time | None = None
    """From then on its owner may sign in again. Left out: once somebody has switched it on."""


class SuspensionSchema(Output):
    """Why an account is switched off."""

    reason: str | None
    until: datetime | None
    """Null: until somebody switches it on."""
    disabled_at: datetime


class DeletionSchema(Output):
    """An owner's deletion of an account that is not erased yet."""

    requested_at: datetime
    erase_at: datetime


class StandingSchema(Output):
    """What keeps an account from being used, if anything does."""

    is_active: bool
    suspension: SuspensionSchema | None
    deletion: DeletionSchema | None
