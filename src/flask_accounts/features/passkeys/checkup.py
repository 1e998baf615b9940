"""Check-ups of passkeys."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .ceremonies import Ceremonies
from .relying_party import LOCAL

AREA = "accounts"
DOCS = "docs/how-to/passkeys.md"
MOST_LABELS = 5
"""Names of sites among related origins that every browser looks at (WebAuthn level 3, section 5.11.1)."""


@checkup("local-passkeys", "error", area=AREA, docs=DOCS, source="WebAuthn 13.4.9")
def local_passkeys(deployment: Deployment) -> Iterator[Problem]:
    """Passkeys that are made for localhost.

    Nobody else's browser makes one, and those that are made are useless elsewhere.
    """
    party = deployment.runtime.get(Ceremonies).party
    if party.id == LOCAL or party.id.endswith(f".{LOCAL}"):
        yield Problem(
            f"The RP ID is {party.id}.", "Set ACCOUNTS_PASSKEYS_ORIGINS = ['https://app.example.com'], with your site's origin."
        )


@checkup("too-many-related-origins", "warning", area=AREA, docs=DOCS, source="WebAuthn 5.11.1")
def too_many_related_origins(deployment: Deployment) -> Iterator[Problem]:
    """Related origins of more than five names.

    Browsers need look at five only (`shop` of `shop.de` and `shop.fr` is one): at the others passkeys may not work.
    """
    related = deployment.runtime.get(Ceremonies).party.related
    names = {(urlsplit(origin).hostname or "").split(".")[-2:][0] for origin in related}
    if len(names) > MOST_LABELS:
        yield Problem(f"ACCOUNTS_PASSKEYS_RELATED_ORIGINS has {len(names)} names.", "Leave out those that are not needed.")


CHECKUPS: tuple[Checkup, ...] = (local_passkeys, too_many_related_origins)
