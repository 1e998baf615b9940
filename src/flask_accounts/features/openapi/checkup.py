"""Check-up of the contract's publicity."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .settings import OpenApiSettings


@checkup("public-contract", "info", area="serving", docs="docs/how-to/deployment.md#before-the-first-visitor", source="ASVS 13.4.5")
def public_contract(deployment: Deployment) -> Iterator[Problem]:
    """The OpenAPI document and its page, open to all.

    They hold no secret, but save attackers some work.
    """
    if deployment.runtime.setting(OpenApiSettings).enabled:
        yield Problem("openapi.json and docs are served.", "Set ACCOUNTS_OPENAPI_ENABLED = False where the API is not for others.")


CHECKUPS: tuple[Checkup, ...] = (public_contract,)
