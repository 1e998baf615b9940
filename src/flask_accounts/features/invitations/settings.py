"""Settings of invitations."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from ...core.settings import Settings


class InvitationSettings(Settings):
    """How people are invited."""

    prefix: ClassVar[str] = "invitations"

    lifetime: timedelta = Field(default=timedelta(days=7), gt=timedelta(0))
    """How long an invitation is good."""
    link_path: str = "accept-invitation"
    """The page of the front end, below `ACCOUNTS_MAIL_BASE_URL`, that a link leads to."""
    keep_for: timedelta = Field(default=timedelta(days=30), ge=timedelta(0))
    """How long one that is accepted, withdrawn or expired is still listed; `flask accounts purge` then deletes it."""
