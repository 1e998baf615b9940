"""Check-up of who may register."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .settings import RegistrationSettings


@checkup("unproved-registration", "warning", area="accounts", docs="docs/how-to/mail-and-recovery.md", source="ASVS 6.3.8")
def unproved_registration(deployment: Deployment) -> Iterator[Problem]:
    """Registration that is open to all and asks for no proof of the address.

    Anybody takes an address that is not his, and learns from the answer which addresses have an account.
    """
    if deployment.runtime.setting(RegistrationSettings).open and not deployment.runtime.conceals_accounts:
        yield Problem(
            "ACCOUNTS_REGISTRATION_OPEN is on, and addresses need not be proved.",
            "Set ACCOUNTS_EMAIL_VERIFICATION_MODE = 'required', or ACCOUNTS_REGISTRATION_OPEN = False.",
        )


CHECKUPS: tuple[Checkup, ...] = (unproved_registration,)
