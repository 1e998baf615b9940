"""Settings of the lockout."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import Field, model_validator

from ...core.settings import Settings

DAY = timedelta(days=1)
MOST_A_DAY = 100
"""Most wrong passwords for one account (NIST SP 800-63B-4 section 3.2.2), read as: in any 24 hours."""


class LockoutSettings(Settings):
    """How many wrong passwords are too many.

    With the defaults an account is open to 34 wrong passwords a day from one address, and to 57 from all unknown addresses
    together: 91 where an attacker sits at one of the owner's own places too.
    """

    prefix: ClassVar[str] = "lockout"

    enabled: bool = True
    """Whether wrong passwords are counted."""
    free_tries: int = Field(default=5, ge=1, le=50)
    """Wrong passwords for one account from one address before there is a wait."""
    first_delay: timedelta = Field(default=timedelta(seconds=30), ge=timedelta(seconds=1))
    """The first wait; each further wrong password doubles it."""
    longest_delay: timedelta = Field(default=timedelta(hours=1), ge=timedelta(seconds=1))
    """The longest wait."""
    forget_after: timedelta = Field(default=DAY, ge=DAY)
    """How long after the last wait wrong passwords are forgotten. A right one makes them forgotten at once, for its address."""
    account_burst: int = Field(default=20, ge=1)
    """Wrong passwords for one account that all addresses together may try at once from where it never signed in."""
    account_interval: timedelta = Field(default=timedelta(minutes=40), ge=timedelta(seconds=1))
    """One more of these is allowed each time this has passed."""
    address_burst: int = Field(default=50, ge=1)
    """Wrong passwords from one address over all accounts that may be tried at once: an office's slips, and no list of stolen passwords."""
    address_interval: timedelta = Field(default=timedelta(minutes=1), ge=timedelta(milliseconds=1))
    """One more of these is allowed each time this has passed."""
    known_for: timedelta = Field(default=timedelta(days=30), ge=timedelta(0))
    """How long an address is known to an account after a sign-in from it. From known addresses the two counts above do not count."""
    unlock_lifetime: timedelta = timedelta(minutes=30)
    """How long a mailed token to unlock is good."""
    unlock_link_path: str = "unlock"
    """The page of the front end, below `ACCOUNTS_MAIL_BASE_URL`, that its link leads to."""
    actions: tuple[str, ...] = ("login", "reauthenticate", "password_change", "magic_link_login")
    """What checks a password, or a mailed code that signs in. All share the same counts."""

    def delay(self, failures: int) -> timedelta:
        """The wait after so many wrong passwords from one address."""
        beyond = failures - self.free_tries
        if beyond < 0:
            return timedelta(0)
        # Beyond 40 doublings the longest is reached whatever the first is, and a timedelta is not overrun.
        return min(self.first_delay * 2 ** min(beyond, 40), self.longest_delay) if beyond < 40 else self.longest_delay

    def pair_a_day(self) -> int:
        """Most wrong passwords for one account from one address in 24 hours."""
        spent, tries = timedelta(0), 0
        while spent <= DAY and tries <= MOST_A_DAY:
            tries += 1
            spent += self.delay(tries)
        return tries

    def strangers_a_day(self) -> int:
        """Most wrong passwords for one account from all unknown addresses in 24 hours."""
        return self.account_burst + DAY // self.account_interval + 1

    @model_validator(mode="after")
    def _within_reason(self) -> LockoutSettings:
        most = self.pair_a_day() + self.strangers_a_day()
        if self.enabled and most > MOST_A_DAY:
            raise ValueError(
                f"the lockout would let {most} wrong passwords a day through for one account; {MOST_A_DAY} is the most "
                "(NIST SP 800-63B-4 section 3.2.2): lower free_tries or account_burst, or raise a delay"
            )
        return self
