"""Check-ups of the sign-in with identity providers."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from ...core.checkups import Checkup, Deployment, Problem, checkup
from ...core.errors import AccountsError
from .fetching import LOOPBACK
from .flow import OidcService
from .settings import OidcSettings

AREA = "accounts"
DOCS = "docs/how-to/identity-providers.md"


@checkup("local-identity-urls", "error", area=AREA, docs=DOCS, source="RFC 9700 section 2.6")
def local_urls(deployment: Deployment) -> Iterator[Problem]:
    """Redirect URIs or a front end on this machine.

    Codes travel unprotected, or nobody else's browser finds its way back.
    """
    service, settings = deployment.runtime.get(OidcService), deployment.runtime.setting(OidcSettings)
    if service.providers:
        for name in ("base_url", "front_end_url"):
            if urlsplit(getattr(settings, name) or "").hostname in LOOPBACK:
                yield Problem(f"{OidcSettings.key(name)} is on the loopback.", "Give the https:// URL that browsers use.")


@checkup("local-identity-providers", "error", area=AREA, docs=DOCS, source="RFC 9700 section 2.6")
def local_providers(deployment: Deployment) -> Iterator[Problem]:
    """Identity providers that are asked without TLS.

    Whoever is in between signs in as anybody.
    """
    for provider in deployment.runtime.get(OidcService).providers:
        if not provider.issuer.startswith("https://"):
            yield Problem(f"The issuer of {provider.name} is {provider.issuer}.", "Use the provider's https:// issuer.")


@checkup("identity-provider-away", "warning", area=AREA, docs=DOCS, source="ASVS 16.5.2")
def providers_away(deployment: Deployment) -> Iterator[Problem]:
    """Identity providers whose metadata cannot be read. Asked with `--connect` only.

    Nobody can sign in with them.
    """
    if deployment.connect:
        service = deployment.runtime.get(OidcService)
        for provider in service.providers:
            try:
                service.check(provider.name)
            except AccountsError:
                yield Problem(
                    f"{provider.name} does not answer as a provider.", f"Look at {provider.metadata_url}, and at the log."
                )


CHECKUPS: tuple[Checkup, ...] = (local_urls, local_providers, providers_away)
