"""Passwords: signing in with one, changing it, and proving presence with it (at `POST /reauthenticate` of the feature `sessions`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import ClassVar

import click

from ...core.challenges import ChallengeSettings
from ...core.checkups import Checkup
from ...core.errors import ConfigurationError, PasswordChangeRequired
from ...core.events import Key
from ...core.factors import Proof
from ...core.feature import Feature, Service
from ...core.gates import ChallengeMethod, Gate, LoginAttempt
from ...core.http import Route
from ...core.passwords import PasswordSettings
from ...core.runtime import Runtime
from ...core.users import UserView
from .checkup import CHECKUPS
from .cli import set_password
from .routes import ROUTES
from .service import PasswordService

RENEWAL = "password_change"
"""The challenge of a sign-in whose password the policy does not accept any more."""


def renewal_gate(attempt: LoginAttempt, user: UserView) -> None:
    """Raise `PasswordChangeRequired` for a right password that the policy does not accept any more."""
    if attempt.problems:
        raise PasswordChangeRequired([RENEWAL], errors=[asdict(problem) for problem in attempt.problems])


class Password(Feature):
    """Sign-in by e-mail address or username and password."""

    name: ClassVar[str] = "password"
    services: ClassVar[tuple[type[Service], ...]] = (PasswordService,)
    auth_routes: ClassVar[tuple[Route, ...]] = ROUTES
    commands: ClassVar[tuple[click.Command, ...]] = (set_password,)
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS

    def gates(self, runtime: Runtime) -> Sequence[Gate]:
        """Where the policy is asked at sign-in too, a password that it refuses has to be changed first."""
        if not runtime.setting(PasswordSettings).check_at_sign_in:
            return ()
        if ChallengeSettings not in runtime.settings:
            raise ConfigurationError(
                "ACCOUNTS_PASSWORD_CHECK_AT_SIGN_IN needs the feature Challenges: add it to Accounts(features=[...])."
            )
        return (renewal_gate,)

    def is_way_in(self, runtime: Runtime, key: Key) -> bool:
        """A password is one."""
        return runtime.get(PasswordService).is_set(key)

    def proofs(self, runtime: Runtime) -> Mapping[str, Proof]:
        """The password proves presence."""
        return {"password": runtime.get(PasswordService).prove}

    def challenge_methods(self, runtime: Runtime) -> Mapping[str, ChallengeMethod]:
        """How it is changed."""
        return {RENEWAL: runtime.get(PasswordService).renew}
