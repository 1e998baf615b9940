"""The gate that an unverified address does not pass."""

from __future__ import annotations

from ...core.errors import EmailNotVerified
from ...core.gates import LoginAttempt
from ...core.users import UserView


def verified_gate(attempt: LoginAttempt, user: UserView) -> None:
    """Raise `EmailNotVerified`; asked only after a right credential."""
    if not user.email_verified:
        raise EmailNotVerified
