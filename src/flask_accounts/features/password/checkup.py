"""Check-ups of the password policy, and of the hashes there are."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from ...core.checkups import Checkup, Deployment, Problem, checkup
from ...core.passwords import SCHEMES, PasswordSettings

AREA = "passwords"
DOCS = "docs/how-to/password-policy.md"
LEAST, LEAST_ALONE = 8, 15
OF_THE_PASSWORD = frozenset({"password_change"})
"""Challenges that are no second factor."""


@checkup("short-passwords", "info", area=AREA, docs=DOCS, source="SP 800-63B-4 section 3.1.1.2, ASVS 6.2.1")
def short_passwords(deployment: Deployment) -> Iterator[Problem]:
    """Passwords that may be short.

    NIST asks for 15 characters where the password is the only factor; ASVS is content with 8.
    """
    least = deployment.runtime.setting(PasswordSettings).min_length
    remedy = f"Set ACCOUNTS_PASSWORD_MIN_LENGTH = {LEAST_ALONE}."
    if least < LEAST:
        yield Problem(f"A password may have {least} characters.", remedy, severity="error")
    elif least < LEAST_ALONE and not _more_is_asked(deployment):
        yield Problem(f"A password may have {least} characters, and it may be the only factor.", remedy)


def _more_is_asked(deployment: Deployment) -> bool:
    """Whether nobody gets in by a password alone: second factors are demanded of all, or the host has a second step of its own."""
    runtime = deployment.runtime
    ours = OF_THE_PASSWORD | set(runtime.factors) | {factor.enrolment for factor in runtime.factors.values()}
    return runtime.two_factors_for_all or bool(set(runtime.challenge_methods) - ours)


@checkup("breaches-not-asked", "info", area=AREA, docs=DOCS, source="ASVS 6.2.12")
def breaches_not_asked(deployment: Deployment) -> Iterator[Problem]:
    """Passwords that breaches have made known, beyond the common ones that are always refused.

    Lists of stolen passwords are what attackers try first.
    """
    if not deployment.runtime.slow_password_checks:
        yield Problem("Nobody is asked about them.", "Add BreachedPasswords() to Accounts(features=[...]).")


@checkup("no-context-words", "info", area=AREA, docs=DOCS, source="ASVS 6.2.11")
def no_context_words(deployment: Deployment) -> Iterator[Problem]:
    """Passwords that may be made of the product's name.

    Who guesses at this app tries its name.
    """
    if not deployment.runtime.context_words:
        yield Problem(
            "ACCOUNTS_PASSWORD_CONTEXT_WORDS is empty.", "Set ACCOUNTS_PASSWORD_CONTEXT_WORDS = ('yourproduct', 'yourcompany')."
        )


@checkup("old-hashes", "info", area=AREA, docs=DOCS, source="ASVS 11.2.2", reads_tables=True)
def old_hashes(deployment: Deployment) -> Iterator[Problem]:
    """Hashes of older schemes, from before or from elsewhere.

    Each is replaced when its owner signs in. Those of accounts that nobody uses stay.
    """
    users = deployment.runtime.users
    stored = users.c["password_hash"]
    kind = sa.case(*((stored.startswith(begins, autoescape=True), name) for begins, name in SCHEMES.items()), else_="other")
    rows = users.execute(sa.select(kind, sa.func.count()).where(stored.is_not(None)).group_by(kind))
    counts: dict[str, int] = {name: count for name, count in rows}  # noqa: C416  # dict() knows no rows
    current = deployment.runtime.hasher.hash("a password to see its scheme")
    new = next((name for begins, name in SCHEMES.items() if current.startswith(begins)), "other")
    old = {name: count for name, count in sorted(counts.items()) if name != new}
    if old:
        said = ", ".join(f"{count} of {name}" for name, count in old.items())
        yield Problem(
            f"Of {sum(counts.values())} hashes: {said}.", "Wait; after a year, ask those who are left to set a new password."
        )


CHECKUPS: tuple[Checkup, ...] = (short_passwords, breaches_not_asked, no_context_words, old_hashes)
