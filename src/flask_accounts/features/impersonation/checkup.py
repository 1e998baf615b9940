"""The check-up of impersonation."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .settings import ImpersonationSettings


@checkup("impersonation-untold", "warning", area="accounts", docs="docs/how-to/impersonation.md", source="ASVS 6.3.7")
def untold(deployment: Deployment) -> Iterator[Problem]:
    """Owners who do not hear that somebody acts in their place.

    Whoever abuses it counts on that.
    """
    if not deployment.runtime.setting(ImpersonationSettings).notice:
        yield Problem("ACCOUNTS_IMPERSONATION_NOTICE is off.", "Leave ACCOUNTS_IMPERSONATION_NOTICE out.")


CHECKUPS: tuple[Checkup, ...] = (untold,)
