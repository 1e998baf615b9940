"""API keys, for programs that act for an account, and accounts that only programs use. Opt-in, since they are one more way in.

GET, POST /api-keys; DELETE /api-keys/{id}       one's own; a key is shown once, and its digest is all that is kept
GET, POST /users/service-accounts                accounts that nobody signs in to
GET, POST /users/{id}/api-keys; DELETE .../{id}  anybody's for administrators, made for programs only
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import click

from ...core.checkups import Checkup
from ...core.events import (
    AccountClaimed,
    EmailChangeUndone,
    Event,
    Key,
    Listener,
    PasswordChanged,
    UserDeletionRequested,
    UserDisabled,
)
from ...core.feature import Feature, Service
from ...core.gates import Bar, Fact
from ...core.http import Route
from ...core.identity import Resolver
from ...core.runtime import Runtime
from ...core.settings import Settings
from .checkup import CHECKUPS
from .cli import api_keys, service_accounts
from .models import ApiKeyMixin, ServiceAccountMixin
from .resolver import resolver
from .routes import AUTH_ROUTES, USERS_ROUTES
from .service import ApiKeyService
from .service_accounts import FACT, ServiceAccountService
from .settings import ApiKeySettings

ENDS: Mapping[type[Event], str] = {
    UserDisabled: "disabled", UserDeletionRequested: "deleted", AccountClaimed: "claimed", EmailChangeUndone: "email_undone",
    PasswordChanged: "password_changed",
}  # fmt: skip
"""What ends all keys of an account, with the reason that is told. None of them comes back (ASVS 7.4.2)."""


class ApiKeys(Feature):
    """API keys and accounts of programs."""

    name: ClassVar[str] = "api_keys"
    requires: ClassVar[tuple[str, ...]] = ("limits", "roles", "users")
    settings: ClassVar[tuple[type[Settings], ...]] = (ApiKeySettings,)
    tables: ClassVar[dict[type, str]] = {ApiKeyMixin: "accounts_api_keys", ServiceAccountMixin: "accounts_service_accounts"}
    services: ClassVar[tuple[type[Service], ...]] = (ApiKeyService, ServiceAccountService)
    auth_routes: ClassVar[tuple[Route, ...]] = AUTH_ROUTES
    users_routes: ClassVar[tuple[Route, ...]] = USERS_ROUTES
    commands: ClassVar[tuple[click.Command, ...]] = (api_keys, service_accounts)
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS
    delegates: ClassVar[bool] = True
    templates: ClassVar[bool] = True
    mail_samples: ClassVar[Mapping[str, Any]] = {"hint": "fak_1aB2", "day": "2030-01-31"}

    def resolvers(self, runtime: Runtime) -> Sequence[Resolver]:
        """A key says who is calling."""
        return (resolver(runtime),)

    def security_schemes(self, runtime: Runtime) -> Mapping[str, Mapping[str, Any]]:
        """By the key's own header, or where there is none as a bearer token, which is possible always."""
        header = runtime.setting(ApiKeySettings).header
        if header:
            said = "An API key; it may be sent as a bearer token, too."
            return {"api_key": {"type": "apiKey", "in": "header", "name": header, "description": said}}
        return {"api_key": {"type": "http", "scheme": "bearer", "description": "An API key."}}

    def sign_in_facts(self, runtime: Runtime) -> Mapping[str, Fact]:
        """Whether the account is a program's."""
        return {FACT: runtime.get(ServiceAccountService).fact()}

    def bars(self, runtime: Runtime) -> Sequence[Bar]:
        """Nobody signs in to a program's account."""
        return (runtime.get(ServiceAccountService).bar,)

    def listeners(self, runtime: Runtime) -> Sequence[Listener]:
        """Keys end with what ends every session of their owner."""
        settings = runtime.setting(ApiKeySettings)

        def listen(event: Event) -> None:
            reason = ENDS.get(type(event))
            if reason is None or event.user_id is None:
                return
            if isinstance(event, PasswordChanged):
                kept = settings.password_change
                if kept == "keep" or (kept == "reset" and event.way not in ("reset", "removed")):
                    return
            runtime.get(ApiKeyService).revoke_all(event.user_id, reason=reason, actor_id=event.actor_id, client=event.client)

        return (listen,)

    def erase(self, runtime: Runtime, key: Key) -> None:
        """Forget an account that is being deleted."""
        runtime.get(ApiKeyService).erase(key)
        runtime.get(ServiceAccountService).erase(key)

    def export(self, runtime: Runtime, key: Key) -> Any:
        """The account's keys, without what they are used by, and what makes it a program's."""
        found = {
            "keys": runtime.get(ApiKeyService).export(key), "service_account": runtime.get(ServiceAccountService).export(key),
        }  # fmt: skip
        return {name: part for name, part in found.items() if part is not None} or None

    def purge(self, runtime: Runtime) -> int:
        """Delete the keys that expired some time ago."""
        return runtime.get(ApiKeyService).purge()
