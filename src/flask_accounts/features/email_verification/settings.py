"""Settings of e-mail verification."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from ...core.settings import Settings


class EmailVerificationSettings(Settings):
    """Whether addresses must be proved, and how."""

    prefix: ClassVar[str] = "email_verification"

    mode: Literal["off", "optional", "required"] = "optional"
    """`optional`: new addresses get a mail, if mail is set up. `required`: nobody signs in before, and registration answers known and new addresses alike. `off`: neither."""
    lifetime: timedelta = timedelta(minutes=60)
    """How long a link and a code are good."""
    link_path: str = "verify-email"
    """The page of the front end, below `ACCOUNTS_MAIL_BASE_URL`, that a link leads to."""
