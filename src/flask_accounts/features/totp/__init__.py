"""Authenticator apps (TOTP, RFC 6238) as a second factor.

POST /mfa/totp            a secret, as text, URI and QR code
POST /mfa/totp/confirm    its first code: from now on the account has it
DELETE /mfa/totp          not any more
POST /challenge/totp      the secret, for a sign-in that must have a second factor first
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...core.at_rest import AtRest
from ...core.events import Key
from ...core.factors import Factor
from ...core.feature import Feature, Service
from ...core.gates import ChallengeMethod
from ...core.http import Route
from ...core.one_time import ONE_TIME_TABLE, OneTimeTokenMixin
from ...core.runtime import Runtime
from ...core.sealed_columns import SealedColumn
from ...core.settings import Settings
from .models import TotpMixin
from .routes import ROUTES
from .service import ENROLMENT, NAME, TotpService
from .settings import TotpSettings


class Totp(Feature):
    """Authenticator apps as a second factor."""

    name: ClassVar[str] = "totp"
    requires: ClassVar[tuple[str, ...]] = ("mfa",)
    settings: ClassVar[tuple[type[Settings], ...]] = (TotpSettings,)
    tables: ClassVar[dict[type, str]] = {TotpMixin: "accounts_totp", OneTimeTokenMixin: ONE_TIME_TABLE}
    services: ClassVar[tuple[type[Service], ...]] = (TotpService,)
    auth_routes: ClassVar[tuple[Route, ...]] = ROUTES

    def factors(self, runtime: Runtime) -> Sequence[Factor]:
        """The app."""
        return (runtime.get(TotpService).factor(),)

    def challenge_methods(self, runtime: Runtime) -> Mapping[str, ChallengeMethod]:
        """Setting it up within a sign-in."""
        return {ENROLMENT: runtime.get(TotpService).enrol}

    def sealed(self, runtime: Runtime) -> Sequence[SealedColumn]:
        """The secrets of the apps."""
        return (runtime.get(TotpService).sealed,)

    def check(self, runtime: Runtime) -> None:
        """There must be a secret to seal with."""
        runtime.get(AtRest).vault(NAME)

    def erase(self, runtime: Runtime, key: Key) -> None:
        """Forget an account that is being deleted."""
        runtime.get(TotpService).remove(key)

    def export(self, runtime: Runtime, key: Key) -> Any:
        """Since when an account has an app."""
        return runtime.get(TotpService).export(key)
