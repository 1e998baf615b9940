"""The check-up that the assembly alone can make, since it knows every feature by name: what a host has left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .core.checkups import Checkup, Deployment, Problem, checkup
from .core.feature import Feature

PROTECTING = ("limits", "lockout", "notices", "audit")


def left_out(features: Sequence[Feature]) -> Checkup:
    """The check-up of an app with these features."""

    @checkup(
        "features-left-out",
        "warning",
        area="accounts",
        docs="docs/explanation/security.md",
        source="ASVS 6.3.1, ASVS 6.3.7, ASVS 16.3.1",
    )
    def features_left_out(deployment: Deployment) -> Iterator[Problem]:
        """Features left out that protect accounts: limits, lockout, notices, the audit log.

        Guessing is not stopped, or nobody learns of what happened.
        """
        there = {feature.name for feature in features}
        for name in PROTECTING:
            if name not in there:
                yield Problem(f"The feature {name} is left out.", "Start from Accounts(features=[*default_features(), ...]).")

    return features_left_out
