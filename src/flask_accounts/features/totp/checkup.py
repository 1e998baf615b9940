"""Check-ups of authenticator apps."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .service import TotpService

AREA = "mfa"
DOCS = "docs/how-to/multi-factor.md#the-secret-that-seals-secrets"


@checkup("totp-seals", "error", area=AREA, docs=DOCS, source="ASVS 13.3.1", reads_tables=True)
def totp_seals(deployment: Deployment) -> Iterator[Problem]:
    """Secrets of authenticator apps that do not open any more, or only by an older secret.

    Whose does not open cannot sign in; older ones must stay configured until all are sealed anew.
    """
    _, older, unknown = deployment.runtime.get(TotpService).sealed.seals()
    if unknown:
        yield Problem(f"{unknown} do not open.", "Put the secret back that sealed them, in ACCOUNTS_AT_REST_KEYS.")
    if older:
        yield Problem(f"{older} are sealed by an older secret.", "Run flask accounts reseal-totp.", severity="info")


CHECKUPS: tuple[Checkup, ...] = (totp_seals,)
