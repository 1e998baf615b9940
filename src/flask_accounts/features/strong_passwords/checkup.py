"""Check-up of the score that is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .settings import StrongPasswordSettings


@checkup("strength-not-asked", "warning", area="passwords", docs="docs/how-to/password-policy.md")
def strength_not_asked(deployment: Deployment) -> Iterator[Problem]:
    """A check of strength that takes what is guessed within a million tries.

    Online guessing is stopped by limits; a stolen table is not.
    """
    score = deployment.runtime.setting(StrongPasswordSettings).min_score
    if score < 2:
        yield Problem(f"ACCOUNTS_STRONG_PASSWORDS_MIN_SCORE is {score}.", "Set ACCOUNTS_STRONG_PASSWORDS_MIN_SCORE = 3.")


CHECKUPS: tuple[Checkup, ...] = (strength_not_asked,)
