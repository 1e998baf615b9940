"""Check-ups of the change of address."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .settings import EmailChangeSettings

AREA = "accounts"
DOCS = "docs/how-to/mail-and-recovery.md"


@checkup("unproved-addresses", "warning", area=AREA, docs=DOCS, source="ASVS 6.6.2")
def unproved_addresses(deployment: Deployment) -> Iterator[Problem]:
    """Owners who change their address without proving the new one.

    A slip gives the account to a stranger, by the next reset.
    """
    if deployment.runtime.setting(EmailChangeSettings).direct:
        yield Problem("ACCOUNTS_EMAIL_CHANGE_DIRECT is on.", "Leave ACCOUNTS_EMAIL_CHANGE_DIRECT out.")


@checkup("silent-address-change", "warning", area=AREA, docs=DOCS, source="ASVS 6.3.7")
def silent_address_change(deployment: Deployment) -> Iterator[Problem]:
    """Addresses that are changed without a word to the old one.

    It is how a stolen account is kept, and the owner's only chance to notice.
    """
    if not deployment.runtime.setting(EmailChangeSettings).notice:
        yield Problem("ACCOUNTS_EMAIL_CHANGE_NOTICE is False.", "Leave ACCOUNTS_EMAIL_CHANGE_NOTICE out.")


CHECKUPS: tuple[Checkup, ...] = (unproved_addresses, silent_address_change)
