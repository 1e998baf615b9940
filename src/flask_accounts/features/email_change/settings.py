"""Settings of the change of address."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from ...core.settings import Settings


class EmailChangeSettings(Settings):
    """How owners change their address, and how that is undone."""

    prefix: ClassVar[str] = "email_change"

    lifetime: timedelta = Field(default=timedelta(minutes=60), gt=timedelta(0))
    """How long the link and the code that the new address gets are good."""
    undo_lifetime: timedelta = Field(default=timedelta(days=7), ge=timedelta(0))
    """How long the old address can undo a change; 0 for not at all."""
    undo_unverified: bool = False
    """Let an old address undo a change also if it was never proved. It may be a stranger's, mistyped at registration; where addresses
    are not verified at all, it is the only one there is."""
    notice: bool = True
    """Tell the old address of a change, with the means to undo it, and a dropped one that its change was undone."""
    asked_notice: bool = True
    """Tell the present address as soon as a change is asked for."""
    direct: bool = False
    """Let owners change their address by `PATCH /me` too, where the new one proves nothing. Without a mailer they always can."""
    link_path: str = "confirm-email-change"
    """The page of the front end, below `ACCOUNTS_MAIL_BASE_URL`, that the new address's link leads to."""
    undo_link_path: str = "undo-email-change"
    """The page that the old address's link leads to."""
