"""Settings of passkeys."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from ...core.settings import Settings


class PasskeySettings(Settings):
    """For which site passkeys are made, and what is asked of them."""

    prefix: ClassVar[str] = "passkeys"

    rp_id: str | None = None
    """The domain that passkeys are made for, such as `example.com`: that of the origins, or one above it. **It is for good:** with another
    one every passkey is useless. Left out: the host of the first origin. Never taken from a request's Host header."""
    rp_name: str | None = Field(default=None, max_length=64)
    """What people are shown when they make one. Left out: `ACCOUNTS_MAIL_PRODUCT`, or the app's name."""
    origins: tuple[str, ...] = ()
    """The pages that may ask for one, such as `["https://app.example.com"]`: scheme, host, and a port that is not the usual one. Left out: that
    of `ACCOUNTS_MAIL_BASE_URL`; without it `https://` and the RP ID; in debug mode, with neither of them, `http://localhost` with any port."""
    related_origins: tuple[str, ...] = ()
    """Origins under another domain that use the same passkeys, such as `["https://example.de"]` (WebAuthn level 3, section 5.11). The RP ID's
    host says so to browsers at `/.well-known/webauthn`."""
    security_keys: bool = False
    """Also take security keys that know no PIN, or keep no list of accounts: as a second factor after the password, never alone."""
    max_per_user: int = Field(default=20, ge=1, le=100)
    """Most passkeys of one account."""
    challenge_for: timedelta = Field(default=timedelta(minutes=10), gt=timedelta(0), le=timedelta(hours=1))
    """How long a page may take from the options to the answer. A page that waits for autofill asks for new options before that is over."""
