"""Settings of the sign-in with identity providers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pydantic
from pydantic import Field, SecretStr, field_validator

from ...core.settings import Settings
from .fetching import is_safe

if TYPE_CHECKING:
    from .providers import Provider


class OidcSettings(Settings):
    """How people sign in with identity providers. Beside these, each provider has its own: `ACCOUNTS_OIDC_<NAME>_CLIENT_ID` and
    `ACCOUNTS_OIDC_<NAME>_CLIENT_SECRET`, as it gave them to you, such as `ACCOUNTS_OIDC_GOOGLE_CLIENT_ID`.
    """

    prefix: ClassVar[str] = "oidc"

    base_url: str | None = None
    """The auth blueprint as browsers reach it, such as `https://api.example.com/api/auth`. Redirect URIs are made from it and never from
    a request's Host header: `<base_url>/oidc/<name>/callback` is what you register with a provider."""
    front_end_url: str | None = None
    """The page of the front end that takes over after the provider, such as `https://app.example.com/signed-in`. It gets `?code=`, to be
    exchanged at `POST /oidc/token`, or `?error=` with a code of the error reference."""
    timeout: float = Field(default=5.0, gt=0, le=60)
    """Seconds for each answer of a provider, whole."""
    flow_lifetime: timedelta = Field(default=timedelta(minutes=10), gt=timedelta(0), le=timedelta(hours=1))
    """How long somebody may take at the provider."""
    code_lifetime: timedelta = Field(default=timedelta(minutes=5), gt=timedelta(0), le=timedelta(minutes=10))
    """How long the front end may take to exchange the code: long enough to ask a new person for what registration wants to know."""
    metadata_lifetime: timedelta = Field(default=timedelta(hours=1), gt=timedelta(0), le=timedelta(days=1))
    """How long a provider's metadata and keys are kept. A token of an unknown key has them read again before that."""
    keys_pause: timedelta = Field(default=timedelta(seconds=30), ge=timedelta(0))
    """Shortest time between two readings of a provider's keys because of an unknown one: nobody has it flooded by us."""
    link_verified: bool = True
    """An identity that is new here goes to the account of its address, where the provider has verified that address. What was there
    before the address was proved is void then. Off: its owner signs in and links it."""
    registration: Literal["as_registration", "open", "closed"] = "as_registration"
    """Who has no account gets one, if the provider has verified the address: where `ACCOUNTS_REGISTRATION_OPEN` is on; always; or never.
    An open invitation of the address counts in any case."""
    allowed_domains: tuple[str, ...] = ()
    """Only addresses of these domains get an account, such as `example.com`; all, if left out. Invited ones in any case."""

    @field_validator("base_url", "front_end_url")
    @classmethod
    def _safe(cls, value: str | None) -> str | None:
        if value is not None and not is_safe(value):
            raise ValueError("must be an absolute https:// URL (http:// only for localhost), without a fragment")
        return value

    @field_validator("allowed_domains")
    @classmethod
    def _lower(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(domain.lower().lstrip("@") for domain in value)


class ProviderSettings(Settings):
    """What one provider has given to this app; a subclass for each is made by `settings_of`."""

    provider: ClassVar[Provider]

    client_id: str = Field(min_length=1)
    """The app's name at the provider."""


def settings_of(provider: Provider) -> type[ProviderSettings]:
    """The settings class of a provider, with what its sign-in needs beside the client's id."""
    fields: dict[str, Any] = {
        name: (SecretStr if secret else str, Field(description=said, min_length=1))
        for name, (said, secret) in provider.credentials.items()
    }
    made: type[ProviderSettings] = pydantic.create_model(f"{type(provider).__name__}Settings", __base__=ProviderSettings, **fields)
    made.prefix = f"oidc_{provider.name}"
    made.provider = provider
    return made
