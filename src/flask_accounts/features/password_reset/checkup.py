"""Check-up of the reset's tokens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .settings import PasswordResetSettings


@checkup("long-resets", "warning", area="passwords", docs="docs/how-to/mail-and-recovery.md", source="ASVS 6.4.1")
def long_resets(deployment: Deployment) -> Iterator[Problem]:
    """Mails that set a new password for longer than an hour.

    Whoever comes upon one in a mailbox takes the account.
    """
    lifetime = deployment.runtime.setting(PasswordResetSettings).lifetime
    if lifetime > timedelta(hours=1):
        yield Problem(
            f"ACCOUNTS_PASSWORD_RESET_LIFETIME is {lifetime}.", "Set ACCOUNTS_PASSWORD_RESET_LIFETIME = timedelta(minutes=30)."
        )


CHECKUPS: tuple[Checkup, ...] = (long_resets,)
