"""Settings of the check for passwords that are easy to guess."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from ...core.settings import Settings


class StrongPasswordSettings(Settings):
    """How strong a password must be."""

    prefix: ClassVar[str] = "strong_passwords"

    min_score: int = Field(default=3, ge=0, le=4)
    """The least score of zxcvbn: 1 from a thousand guesses on, 2 from a million, 3 from a hundred million, 4 from ten thousand million.
    0 takes every password."""
