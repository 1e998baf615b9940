"""Second factors: asked for from who has one, demanded from who must have one, with recovery codes and remembered devices.

GET /mfa                     what the account has
POST /mfa/recovery-codes     new ones in place of the old, shown once
GET, POST, DELETE /mfa/devices, DELETE /mfa/devices/{id}
DELETE /users/{id}/mfa       an administrator helps who has lost everything

The factors themselves are brought by other features (`totp`, passkeys), each by `Feature.factors()`. All ways in end in the one pipeline,
so none gets by the gate: not the password, not a mailed link, not a reset of the password.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import click

from ...core.checkups import Checkup
from ...core.errors import ConfigurationError
from ...core.events import Key, Listener
from ...core.factors import Factor
from ...core.feature import Feature, Service
from ...core.gates import Completion, EntryCount, EntryPass, Fact, Gate, RefreshGate
from ...core.http import Route
from ...core.runtime import Runtime
from ...core.settings import Settings
from .attempts import FactorAttempts
from .checkup import CHECKUPS
from .cli import reset_mfa
from .devices import PROVED, RememberedDevices
from .models import MfaMixin, RecoveryCodeMixin, RememberedDeviceMixin
from .recovery import RecoveryCodes
from .routes import ROUTES, USERS_ROUTES
from .service import ENROL_BY, MfaService, Requirement
from .settings import MfaSettings


class Mfa(Feature):
    """Second factors, recovery codes, remembered devices.

    `required`: your own rule, beside `ACCOUNTS_MFA_REQUIRED`: whether an account (its values, no ORM object) must have a second factor.
    """

    name: ClassVar[str] = "mfa"
    requires: ClassVar[tuple[str, ...]] = ("challenges", "roles", "sessions", "users")
    settings: ClassVar[tuple[type[Settings], ...]] = (MfaSettings,)
    tables: ClassVar[dict[type, str]] = {
        MfaMixin: "accounts_mfa", RecoveryCodeMixin: "accounts_recovery_codes", RememberedDeviceMixin: "accounts_remembered_devices",
    }  # fmt: skip
    services: ClassVar[tuple[type[Service], ...]] = (FactorAttempts, RecoveryCodes, RememberedDevices, MfaService)
    auth_routes: ClassVar[tuple[Route, ...]] = ROUTES
    users_routes: ClassVar[tuple[Route, ...]] = USERS_ROUTES
    commands: ClassVar[tuple[click.Command, ...]] = (reset_mfa,)
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS

    def __init__(self, required: Requirement | None = None) -> None:
        self._required = required

    def factor_counts(self, runtime: Runtime) -> Sequence[EntryCount]:
        """Every answer counts as wrong until it proves right."""
        return (runtime.get(FactorAttempts).count,)

    def factor_passes(self, runtime: Runtime) -> Sequence[EntryPass]:
        """A right answer makes the wrong ones forgotten."""
        return (runtime.get(FactorAttempts).passed,)

    def sign_in_facts(self, runtime: Runtime) -> Mapping[str, Fact]:
        """Until when the account may do without, and whether its device is remembered."""
        devices = runtime.get(RememberedDevices)
        return {ENROL_BY: runtime.get(MfaService).enrol_by()} | ({PROVED: devices.fact()} if devices.on else {})

    def factors(self, runtime: Runtime) -> Sequence[Factor]:
        """Recovery codes."""
        return (runtime.get(RecoveryCodes).factor,)

    def early_gates(self, runtime: Runtime) -> Sequence[Gate]:
        """Who has a second factor is asked for it before anything else."""
        return (runtime.get(MfaService).ask,)

    def gates(self, runtime: Runtime) -> Sequence[Gate]:
        """Who must have one, and has none, gets one."""
        return (runtime.get(MfaService).insist,)

    def refresh_gates(self, runtime: Runtime) -> Sequence[RefreshGate]:
        """Sessions from before somebody had to have one are held to it, where there is such a demand."""
        return (runtime.get(MfaService).hold,) if self._demands(runtime) else ()

    def completions(self, runtime: Runtime) -> Sequence[Completion]:
        """Note what was made use of."""
        return (runtime.get(MfaService).complete,)

    def listeners(self, runtime: Runtime) -> Sequence[Listener]:
        """What is remembered ends with what it rests on."""
        return (runtime.get(MfaService).hear,)

    def check(self, runtime: Runtime) -> None:
        """Who must have a second factor needs one to choose."""
        service = runtime.get(MfaService)
        service.rule = self._required
        runtime.two_factors_for_all = runtime.setting(MfaSettings).required == "all"
        if self._demands(runtime) and not any(factor.enrolment for factor in runtime.factors.values()):
            raise ConfigurationError(
                "ACCOUNTS_MFA_REQUIRED demands a second factor, and there is none to be had: add Totp() to Accounts(features=[...])."
            )

    def _demands(self, runtime: Runtime) -> bool:
        return runtime.setting(MfaSettings).required not in ("nobody", ()) or self._required is not None

    def erase(self, runtime: Runtime, key: Key) -> None:
        """Forget an account that is being deleted."""
        runtime.get(RememberedDevices).erase(key)
        runtime.get(RecoveryCodes).remove(key)
        runtime.get(MfaService).forget(key)

    def export(self, runtime: Runtime, key: Key) -> Any:
        """What is kept of an account, without secrets."""
        return runtime.get(MfaService).export(key)

    def purge(self, runtime: Runtime) -> int:
        """Delete the devices whose time is over."""
        return runtime.get(RememberedDevices).purge()
