"""Check-ups of the services that may ask about tokens."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .settings import TokenServiceSettings

AREA = "keys"
DOCS = "docs/how-to/tokens-for-other-services.md"


@checkup("plain-client-secrets", "info", area=AREA, docs=DOCS, source="ASVS 13.3.1")
def plain_client_secrets(deployment: Deployment) -> Iterator[Problem]:
    """Secrets of other services that stand in the configuration as they are.

    Whoever reads the configuration speaks in those services' names. A digest tells nothing.
    """
    clients = deployment.runtime.setting(TokenServiceSettings).clients
    plain = sorted(
        name for name, client in clients.items() if any(not s.get_secret_value().startswith("sha256:") for s in client.secrets)
    )
    if plain:
        yield Problem(
            f"Not digests: the secrets of {', '.join(plain)}.",
            "Make new ones with flask accounts client-secret, and put their digests into ACCOUNTS_TOKEN_SERVICES_CLIENTS.",
        )


@checkup("shared-client-secrets", "warning", area=AREA, docs=DOCS, source="ASVS 13.2.1")
def shared_client_secrets(deployment: Deployment) -> Iterator[Problem]:
    """One secret for several services.

    Each can speak in the others' names, and the audit log cannot tell them apart.
    """
    seen: dict[str, str] = {}
    for name, client in deployment.runtime.setting(TokenServiceSettings).clients.items():
        for secret in client.secrets:
            other = seen.setdefault(secret.get_secret_value(), name)
            if other != name:
                yield Problem(f"{other} and {name} have one secret.", f"Make another one for {name}: flask accounts client-secret")


CHECKUPS: tuple[Checkup, ...] = (plain_client_secrets, shared_client_secrets)
