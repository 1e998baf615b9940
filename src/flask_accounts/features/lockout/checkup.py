"""Check-ups of the lockout."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .settings import LockoutSettings

AREA = "limits"
DOCS = "docs/how-to/limits-and-lockout.md"


@checkup("lockout-off", "error", area=AREA, docs=DOCS, source="SP 800-63B-4 section 3.2.2, ASVS 6.3.1")
def lockout_off(deployment: Deployment) -> Iterator[Problem]:
    """A lockout that is switched off.

    From many addresses, one account is guessed at without end.
    """
    if not deployment.runtime.setting(LockoutSettings).enabled:
        yield Problem("ACCOUNTS_LOCKOUT_ENABLED is False.", "Leave ACCOUNTS_LOCKOUT_ENABLED out.")


@checkup("lockout-with-gaps", "error", area=AREA, docs=DOCS, source="ASVS 6.3.4")
def lockout_with_gaps(deployment: Deployment) -> Iterator[Problem]:
    """Ways to try a password that the lockout does not count.

    Guessing goes on there.
    """
    usual: tuple[str, ...] = LockoutSettings.model_fields["actions"].default
    missing = sorted(set(usual) - set(deployment.runtime.setting(LockoutSettings).actions))
    if missing:
        yield Problem(f"ACCOUNTS_LOCKOUT_ACTIONS lacks {', '.join(missing)}.", "Leave ACCOUNTS_LOCKOUT_ACTIONS out, or add them.")


CHECKUPS: tuple[Checkup, ...] = (lockout_off, lockout_with_gaps)
