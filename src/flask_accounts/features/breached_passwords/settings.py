"""Settings of the check for breached passwords."""

from __future__ import annotations

from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from ...core.settings import Settings

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class BreachedPasswordSettings(Settings):
    """Whom to ask for the passwords that breaches have made known. Five hex digits of a SHA-1 are all that leaves."""

    prefix: ClassVar[str] = "breached_passwords"

    url: str = "https://api.pwnedpasswords.com/range"
    """Where the range API of Have I Been Pwned is, or of a mirror that speaks like it: asked for `{url}/{prefix}`."""
    timeout: float = Field(default=1.5, gt=0, le=30)
    """Seconds that one question may take in all, from looking the name up to the last byte."""
    on_failure: Literal["open", "closed"] = "open"
    """When there is no good answer: `open` takes the password as it is, with an event and an error in the log; `closed` answers 503,
    also at sign-in where `ACCOUNTS_PASSWORD_CHECK_AT_SIGN_IN` asks there."""
    least_count: int = Field(default=1, ge=1)
    """How often a password must have been seen to be refused."""

    @field_validator("url")
    @classmethod
    def _safe(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL):
            raise ValueError("must begin with https:// (http:// only for localhost)")
        if not parts.hostname or "?" in value or "#" in value:
            raise ValueError("must be a host and a path, with nothing after it")
        return value.rstrip("/")
