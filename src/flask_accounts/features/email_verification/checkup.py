"""Check-ups of the proof of addresses."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .settings import EmailVerificationSettings

AREA = "accounts"
DOCS = "docs/how-to/mail-and-recovery.md"


@checkup("verification-off", "warning", area=AREA, docs=DOCS, source="ASVS 6.6.2")
def verification_off(deployment: Deployment) -> Iterator[Problem]:
    """Addresses that are never proved.

    Mail goes to strangers, and whoever mistypes the own address loses the account with the password.
    """
    if deployment.runtime.setting(EmailVerificationSettings).mode == "off":
        yield Problem("ACCOUNTS_EMAIL_VERIFICATION_MODE is off.", "Set ACCOUNTS_EMAIL_VERIFICATION_MODE = 'required'.")


@checkup("verification-without-mail", "error", area=AREA, docs=DOCS)
def verification_without_mail(deployment: Deployment) -> Iterator[Problem]:
    """Proof of addresses that is required where no mail is sent.

    Nobody new ever signs in.
    """
    runtime = deployment.runtime
    if runtime.setting(EmailVerificationSettings).mode == "required" and not runtime.mail.available:
        yield Problem("Verification is required, and there is no mailer.", "Set ACCOUNTS_MAIL_HOST, or pass Accounts(mailer=...).")


CHECKUPS: tuple[Checkup, ...] = (verification_off, verification_without_mail)
