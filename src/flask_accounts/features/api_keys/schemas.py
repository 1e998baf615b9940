"""What the routes of API keys take and show."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from ...core.schemas import Input, Output, Time, Username
from .models import MAX_LIMIT, MAX_NAME
from .service import MAX_NETWORKS, MAX_SCOPES

Scope = Annotated[str, Field(max_length=128)]
Network = Annotated[str, Field(max_length=50)]


class NewApiKeySchema(Input):
    """What a key shall be good for."""

    name: str = Field(max_length=MAX_NAME)
    """For its owner to know it by."""
    scopes: list[Scope] = Field(default_factory=list, max_length=MAX_SCOPES)
    """Permissions that the owner has; `role:<name>` for roles that the application asks for by name; `*` for everything, where the owner
    may do everything. Without any the key only tells who its owner is."""
    expires_at: Time | None = None
    """When it stops working; some time from now if left out, never if null, where the application allows that."""
    networks: list[Network] = Field(default_factory=list, max_length=MAX_NETWORKS)
    """Addresses and networks (CIDR) it may be used from; anywhere if empty."""
    limit: str | None = Field(default=None, max_length=MAX_LIMIT)
    """How often it may be used, such as `100/minute`, beside the application's own limit."""


class ApiKeySchema(Output):
    """A key, without what it is used by."""

    id: UUID
    name: str
    hint: str
    """How it begins."""
    scopes: list[str]
    networks: list[str]
    limit: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """To within a minute."""
    last_used_ip: str | None


class CreatedApiKeySchema(ApiKeySchema):
    """A key that was just made."""

    key: str
    """The key itself. It is shown this once."""


class ApiKeyListSchema(Output):
    """An account's keys, newest first."""

    api_keys: list[ApiKeySchema]


class NewServiceAccountSchema(Input):
    """An account for a program."""

    name: Username
    """Its username."""
    description: str = Field(default="", max_length=255)
    """What it is for."""


class ServiceAccountSchema(Output):
    """An account that a program uses and nobody signs in to."""

    id: int | UUID | str
    name: str
    description: str
    is_active: bool
    created_at: datetime


class ServiceAccountListSchema(Output):
    """Accounts of programs, oldest first."""

    service_accounts: list[ServiceAccountSchema]
