"""Strong passwords: how many guesses a password stands is estimated by zxcvbn. Opt-in, since it needs an extra package."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import ClassVar

from ...core.checkups import Checkup
from ...core.errors import ConfigurationError
from ...core.feature import Feature, Service
from ...core.policies import PasswordCheck
from ...core.runtime import Runtime
from ...core.settings import Settings
from .checkup import CHECKUPS
from .service import PACKAGE, StrengthService
from .settings import StrongPasswordSettings


class StrongPasswords(Feature):
    """Refuses passwords that are easy to guess, by the estimate of zxcvbn."""

    name: ClassVar[str] = "strong_passwords"
    settings: ClassVar[tuple[type[Settings], ...]] = (StrongPasswordSettings,)
    services: ClassVar[tuple[type[Service], ...]] = (StrengthService,)
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS

    def slow_password_checks(self, runtime: Runtime) -> Sequence[PasswordCheck]:
        """Asked last: an estimate costs more than the other checks, and has nothing to add to what they refuse."""
        if importlib.util.find_spec(PACKAGE) is None:
            raise ConfigurationError("The feature StrongPasswords needs zxcvbn: pip install 'flask-accounts-api[zxcvbn]'.")
        return (runtime.get(StrengthService).check,)
