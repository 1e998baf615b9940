"""Settings of authenticator apps."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from ...core.settings import Settings


class TotpSettings(Settings):
    """Codes of six digits that change every 30 seconds, by SHA-1: what every authenticator app understands."""

    prefix: ClassVar[str] = "totp"

    issuer: str = Field(default="", max_length=64, pattern="^[^:]*$")
    """What authenticator apps call the entry. Left out: `ACCOUNTS_MAIL_PRODUCT`, or the app's name."""
    drift: int = Field(default=1, ge=0, le=1)
    """How many steps before and after the present one are taken, for clocks that go wrong (RFC 6238 section 5.2: at most one)."""
    enrolment_for: timedelta = Field(default=timedelta(minutes=10), gt=timedelta(0), le=timedelta(hours=1))
    """How long a secret that was shown waits for its first code."""
