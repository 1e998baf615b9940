"""Sign-in with identity providers: OpenID Connect, and GitHub's OAuth 2.0. Opt-in, since it is one more way in and asks somebody outside.

    accounts = Accounts(db, features=[*default_features(), Oidc(providers=[Google(), GitHub()])])

POST /oidc/{provider}/login      where to send the browser; GET leads on to there
GET  /oidc/{provider}/callback   where the provider sends it back to; hands the front end a code
POST /oidc/token                 exchanges the code for tokens, through the same gates as a password
POST /oidc/{provider}/link, GET and POST /identities, DELETE /identities/{id}
POST /oidc/{provider}/reauthenticate, POST /oidc/reauthenticate    presence, proved at the provider
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ...core.checkups import Checkup
from ...core.events import AccountClaimed, EmailChangeUndone, Event, Key, Listener
from ...core.feature import Feature, Service
from ...core.http import Route
from ...core.one_time import ONE_TIME_TABLE, OneTimeTokenMixin
from ...core.runtime import Runtime
from ...core.sealed_columns import SealedColumn
from ...core.settings import Settings
from .checkup import CHECKUPS
from .flow import OidcService
from .models import IdentityMixin, ProviderTokensMixin
from .provider_tokens import ProviderToken, ProviderTokens
from .providers import Apple, GitHub, GitLab, Google, Microsoft, Provider, check_providers
from .routes import AUTH_ROUTES, USERS_ROUTES
from .service import IdentityService
from .settings import OidcSettings, settings_of

__all__ = ["Apple", "GitHub", "GitLab", "Google", "Microsoft", "Oidc", "Provider", "ProviderToken"]


class Oidc(Feature):
    """Sign-in with identity providers."""

    name: ClassVar[str] = "oidc"
    requires: ClassVar[tuple[str, ...]] = ("password", "users", "registration", "invitations")
    settings: tuple[type[Settings], ...] = (OidcSettings,)  # type: ignore[misc]  # an object's own: each provider has some
    tables: ClassVar[dict[type, str]] = {
        OneTimeTokenMixin: ONE_TIME_TABLE, IdentityMixin: "accounts_identities", ProviderTokensMixin: "accounts_provider_tokens",
    }  # fmt: skip
    services: ClassVar[tuple[type[Service], ...]] = (ProviderTokens, OidcService, IdentityService)
    auth_routes: ClassVar[tuple[Route, ...]] = AUTH_ROUTES
    users_routes: ClassVar[tuple[Route, ...]] = USERS_ROUTES
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS

    def __init__(self, providers: Sequence[Provider] = ()) -> None:
        given = tuple(providers)
        check_providers(given)
        self.settings = (OidcSettings, *(settings_of(provider) for provider in given))

    def is_way_in(self, runtime: Runtime, key: Key) -> bool:
        """An identity is one, while its provider is there."""
        return runtime.get(IdentityService).is_way_in(key)

    def listeners(self, runtime: Runtime) -> Sequence[Listener]:
        """Whoever had the account before its owner came, or in between, is not left with an identity of his."""

        def listen(event: Event) -> None:
            if isinstance(event, AccountClaimed) and event.user_id is not None:
                runtime.get(IdentityService).forget(event.user_id)
            elif isinstance(event, EmailChangeUndone) and event.user_id is not None:
                runtime.get(IdentityService).forget_since(event.user_id, event.since, client=event.client)

        return (listen,)

    def check(self, runtime: Runtime) -> None:
        """Where tokens are kept there must be a secret to seal with."""
        if _keeps_tokens(runtime):
            runtime.get(ProviderTokens).check()

    def sealed(self, runtime: Runtime) -> Sequence[SealedColumn]:
        """The providers' tokens."""
        return (runtime.get(ProviderTokens).sealed,) if _keeps_tokens(runtime) else ()

    def purge(self, runtime: Runtime) -> int:
        """Delete tokens of providers that keep none any more."""
        return runtime.get(IdentityService).purge()

    def erase(self, runtime: Runtime, key: Key) -> None:
        """Forget the identities of an account that is being deleted."""
        runtime.get(IdentityService).forget(key)

    def export(self, runtime: Runtime, key: Key) -> Any:
        """The identities of an account."""
        return runtime.get(IdentityService).export(key)


def _keeps_tokens(runtime: Runtime) -> bool:
    return any(provider.store_tokens for provider in runtime.get(OidcService).providers)
