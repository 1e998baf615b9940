"""What the session routes take and show."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from ...core.schemas import Input, Output


class RefreshTokenSchema(Input):
    """The refresh token, for clients that send it in the body."""

    refresh_token: str | None = Field(default=None, max_length=8192)


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


class SessionListSchema(Output):
    """Live sessions, last used first."""

    sessions: list[SessionSchema]
