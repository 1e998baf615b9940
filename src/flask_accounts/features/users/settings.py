"""Settings of accounts and their lists."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field

from ...core.settings import Settings


class UserSettings(Settings):
    """Lists of accounts."""

    prefix: ClassVar[str] = "users"

    directory: Literal["admin", "authenticated"] = "admin"
    """`admin`: only holders of `users:read` list accounts. `authenticated`: every signed-in person lists the public fields of active ones."""
    total_cap: int = Field(default=10_000, ge=1)
    """How far a list with totals counts, unless it is asked for `total=exact`: where there are more accounts, `total` is this number and `total_capped` true."""


class DeletionSettings(Settings):
    """What happens when an owner deletes the account."""

    prefix: ClassVar[str] = "deletion"

    grace: timedelta = Field(default=timedelta(0), ge=timedelta(0), le=timedelta(days=3650))
    """How long the account can still be brought back by signing in, before `flask accounts purge` erases it; 0 erases it at once. Needs that command to run every night. Seconds, an ISO 8601 duration or a timedelta."""
    notice: bool = True
    """Tell the owner by mail, where mail is set up: that it will be erased and how to keep it, and that it was."""


class SuspensionSettings(Settings):
    """What the owner of an account that is switched off is told, after a right password or another proof."""

    prefix: ClassVar[str] = "suspension"

    tell_until: bool = True
    """When it is over, where that is known."""
    tell_reason: bool = False
    """Why: what the administrator wrote. It is in the account's export then, too."""
