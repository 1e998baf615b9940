"""Settings of second factors."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field

from ...core.settings import Settings


class MfaSettings(Settings):
    """Who must have a second factor, how wrong answers are held back, and whether devices are remembered."""

    prefix: ClassVar[str] = "mfa"

    required: Literal["nobody", "all"] | tuple[str, ...] = "nobody"
    """Who must have one: `nobody`, `all`, or a list of roles, such as `["admin"]`. Who has one is asked for it in any case."""
    grace: timedelta = Field(default=timedelta(0), ge=timedelta(0))
    """How long an account that must have one may do without, from its first sign-in on; sessions that open meanwhile end with that time.
    Then a sign-in waits until one is set up. 0: at once."""
    verified_email: bool = True
    """Whether one is set up only by who has proved the account's address: whoever registers somebody else's must not lock it."""
    recovery_codes: int = Field(default=10, ge=5, le=50)
    """How many recovery codes an account gets at a time."""
    remember_for: timedelta = Field(default=timedelta(0), ge=timedelta(0), le=timedelta(days=90))
    """How long a device is not asked for a second factor, if its owner wants that. 0: always asked."""
    free_tries: int = Field(default=5, ge=1, le=10)
    """Wrong answers of an account in a row, over all factors and from everywhere, before there is a wait. A right one makes them forgotten,
    and so does a password that is reset by mail."""
    first_delay: timedelta = Field(default=timedelta(seconds=30), ge=timedelta(seconds=30))
    """The first wait; each further wrong answer doubles it."""
    longest_delay: timedelta = Field(default=timedelta(hours=4), ge=timedelta(hours=1))
    """The longest wait. Sessions, remembered devices and the reset of the password are not held back."""

    def delay(self, failures: int) -> timedelta:
        """The wait after so many wrong answers in a row."""
        beyond = failures - self.free_tries
        if beyond < 0:
            return timedelta(0)
        doubled: timedelta = self.first_delay * 2 ** min(beyond, 20)
        return min(doubled, self.longest_delay)
