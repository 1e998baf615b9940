"""Check-ups of what stands against guessing: the hash's cost, and that somebody counts."""

from __future__ import annotations

import time
from collections.abc import Iterator

import argon2
import argon2.exceptions

from ..checkups import Deployment, Problem, checkup

AREA = "passwords"
DOCS = "docs/how-to/password-policy.md"
LIMITS = "docs/how-to/limits-and-lockout.md"
OWASP = ((47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5))
"""Memory in KiB and passes of Argon2id that are worth the same (OWASP Password Storage Cheat Sheet)."""
LEAST_SECONDS = 0.002
"""What a hash costs at the least. Argon2id by OWASP's parameters costs ten times that on a fast machine; a bare SHA-256 a thousandth."""


@checkup("fast-hashes", "error", area=AREA, docs=DOCS, source="ASVS 11.4.2")
def fast_hashes(deployment: Deployment) -> Iterator[Problem]:
    """A hasher that costs nothing, such as that of the tests. One password is hashed three times to see.

    Whoever gets the table tries thousands of millions of passwords a second.
    """
    if min(_seconds(deployment) for _ in range(3)) < LEAST_SECONDS:
        kind = type(deployment.runtime.hasher.inner).__name__
        yield Problem(f"{kind} hashes a password in less than 2 ms.", "Leave hasher= out: Argon2id it is then.")


def _seconds(deployment: Deployment) -> float:
    begun = time.process_time()
    deployment.runtime.hasher.inner.hash("a password to see what it costs")
    return time.process_time() - begun


@checkup("weak-hashes", "warning", area=AREA, docs=DOCS, source="ASVS 11.4.2")
def weak_hashes(deployment: Deployment) -> Iterator[Problem]:
    """Argon2 with less memory or fewer passes than OWASP asks for.

    Whoever gets the table tries more passwords a second.
    """
    try:
        cost = argon2.extract_parameters(deployment.runtime.hasher.inner.hash("a password to see its parameters"))
    except argon2.exceptions.InvalidHashError:
        return  # another scheme, for its host to judge
    if not any(cost.memory_cost >= memory and cost.time_cost >= passes for memory, passes in OWASP):
        yield Problem(
            f"{cost.memory_cost} KiB and {cost.time_cost} passes.",
            "Leave ACCOUNTS_PASSWORD_MEMORY_COST and ACCOUNTS_PASSWORD_TIME_COST out: 19456 KiB and 2 passes.",
        )


@checkup("attempts-unlimited", "error", area="limits", docs=LIMITS, source="ASVS 6.3.1")
def attempts_unlimited(deployment: Deployment) -> Iterator[Problem]:
    """An app in which nothing limits attempts.

    Passwords are guessed, mailboxes flooded and hashes computed as fast as the server can.
    """
    runtime = deployment.runtime
    if not runtime.entry_checks and not runtime.entry_counts:
        yield Problem(
            "No feature counts attempts, and there is no limiter=.", "Use the default features, or pass Accounts(limiter=...)."
        )


@checkup("wrong-passwords-uncounted", "warning", area="limits", docs=LIMITS, source="SP 800-63B-4 section 3.2.2, ASVS 6.3.1")
def wrong_passwords_uncounted(deployment: Deployment) -> Iterator[Problem]:
    """An app in which nobody tells right passwords from wrong ones when it counts.

    From many addresses, one account is guessed at without end.
    """
    if not deployment.runtime.entry_passes:
        yield Problem("No feature counts wrong passwords per account.", "Use the default features, which have a lockout.")
