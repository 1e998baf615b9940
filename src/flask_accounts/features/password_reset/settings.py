"""Settings of password reset."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from ...core.settings import Settings


class PasswordResetSettings(Settings):
    """How a forgotten password is replaced."""

    prefix: ClassVar[str] = "password_reset"

    lifetime: timedelta = timedelta(minutes=30)
    """How long a token is good."""
    link_path: str = "reset-password"
    """The page of the front end, below `ACCOUNTS_MAIL_BASE_URL`, that a link leads to."""
    tell_unknown: bool = False
    """Mail also an address without an account, to say so. The answer is the same either way."""
    without_password: bool = False
    """Let an account that has no password (it signs in another way) set one by reset."""
