"""Passkeys (WebAuthn level 3): sign-in without a password, by autofill or a button, and a second factor. Opt-in, since it needs an extra.

POST /passkeys/options, POST /passkeys               make one
GET /passkeys, PATCH and DELETE /passkeys/{id}       list, rename, remove
POST /passkeys/login/options, POST /passkeys/login   sign in with one
POST /challenge/passkey                              options for a sign-in that waits for a second factor
POST /reauthenticate/passkey                         options to prove presence
POST /passkeys/register/options, /passkeys/register  an account with a passkey in place of a password
GET /.well-known/webauthn                            related origins
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...core.checkups import Checkup
from ...core.events import AccountClaimed, EmailChangeUndone, Event, FactorChanged, Key, Listener
from ...core.factors import Factor
from ...core.feature import Feature, Service
from ...core.gates import ChallengeMethod
from ...core.http import Route
from ...core.one_time import ONE_TIME_TABLE, OneTimeTokenMixin
from ...core.runtime import Runtime
from ...core.settings import Settings
from .ceremonies import Ceremonies
from .checkup import CHECKUPS
from .models import PasskeyHandleMixin, PasskeyMixin
from .registration import PasskeyRegistration
from .routes import ROUTES, WELL_KNOWN_ROUTES
from .service import ENROLMENT, FEATURE, NAME, PasskeyService
from .settings import PasskeySettings


class Passkeys(Feature):
    """Sign-in with passkeys."""

    name: ClassVar[str] = FEATURE
    requires: ClassVar[tuple[str, ...]] = ("mfa", "registration", "users")
    settings: ClassVar[tuple[type[Settings], ...]] = (PasskeySettings,)
    tables: ClassVar[dict[type, str]] = {
        OneTimeTokenMixin: ONE_TIME_TABLE, PasskeyMixin: "accounts_passkeys", PasskeyHandleMixin: "accounts_passkey_handles",
    }  # fmt: skip
    services: ClassVar[tuple[type[Service], ...]] = (PasskeyService, Ceremonies, PasskeyRegistration)
    auth_routes: ClassVar[tuple[Route, ...]] = ROUTES
    well_known_routes: ClassVar[tuple[Route, ...]] = WELL_KNOWN_ROUTES
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS

    def factors(self, runtime: Runtime) -> Sequence[Factor]:
        """Passkeys are one."""
        return (runtime.get(PasskeyService).factor(),)

    def challenge_methods(self, runtime: Runtime) -> Mapping[str, ChallengeMethod]:
        """Making one within a sign-in."""
        return {ENROLMENT: runtime.get(PasskeyService).enrol}

    def is_way_in(self, runtime: Runtime, key: Key) -> bool:
        """A passkey whose authenticator knows its owner is one."""
        return runtime.get(PasskeyService).is_way_in(key)

    def is_claimable(self, runtime: Runtime, key: Key | None) -> bool:
        """Anybody registers by a passkey."""
        return runtime.get(PasskeyService).has_any(key)

    def listeners(self, runtime: Runtime) -> Sequence[Listener]:
        """Whoever had the account before its owner came, or came back, is not left with a passkey of his."""

        def listen(event: Event) -> None:
            if event.user_id is None:
                return
            if isinstance(event, AccountClaimed):
                runtime.get(PasskeyService).forget(event.user_id)
            # What the owner had before stays: who reads old mail alone must not get by it.
            elif isinstance(event, EmailChangeUndone) and runtime.get(PasskeyService).forget_since(event.user_id, event.since):
                who: dict[str, Any] = {"user_id": event.user_id, "actor_id": event.actor_id, "client": event.client, "at": event.at}
                runtime.events.emit(FactorChanged(**who, factor=NAME, change="removed"))

        return (listen,)

    def erase(self, runtime: Runtime, key: Key) -> None:
        """Forget an account that is being deleted."""
        runtime.get(PasskeyService).erase(key)

    def export(self, runtime: Runtime, key: Key) -> Any:
        """The passkeys of an account."""
        return runtime.get(PasskeyService).export(key)
