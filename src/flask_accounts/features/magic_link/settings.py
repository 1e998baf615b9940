"""Settings of the sign-in by mail."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field

from ...core.settings import Settings


class MagicLinkSettings(Settings):
    """How people sign in by mail."""

    prefix: ClassVar[str] = "magic_link"

    lifetime: timedelta = Field(default=timedelta(minutes=10), gt=timedelta(0), le=timedelta(hours=1))
    """How long a link and a code are good. More than 10 minutes is against ASVS 6.5.5."""
    send: Literal["both", "link", "code"] = "both"
    """What the mail holds. A code can be typed where the mail is not read: on the computer, while the mail is on the phone."""
    code_digits: int = Field(default=8, ge=6, le=12)
    """Digits of a code. There are five tries for each, and fewer a day for an account than the lockout and the limits allow."""
    bind_browser: bool = True
    """Take a link or a code only from the browser (or the client) that asked for it. Without this, whoever gets hold of a mail's link
    is signed in by it, and whoever opens an attacker's link is signed in as the attacker."""
    tell_unknown: bool = False
    """Mail also an address without an account, to say so. The answer is the same either way."""
    link_path: str = "sign-in"
    """The page of the front end, below `ACCOUNTS_MAIL_BASE_URL`, that a link leads to."""
