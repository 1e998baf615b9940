"""Check-ups of API keys."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .settings import ApiKeySettings

AREA = "accounts"
DOCS = "docs/how-to/api-keys.md"


@checkup("api-keys-endless", "warning", area=AREA, docs=DOCS, source="ASVS 13.3.4")
def endless(deployment: Deployment) -> Iterator[Problem]:
    """API keys that may be made without an end.

    One that is forgotten in a script or a backup works for whoever finds it, whenever that is.
    """
    if deployment.runtime.setting(ApiKeySettings).max_lifetime is None:
        yield Problem("ACCOUNTS_API_KEYS_MAX_LIFETIME is None.", "Leave ACCOUNTS_API_KEYS_MAX_LIFETIME out (a year).")


@checkup("api-keys-outlive-passwords", "warning", area=AREA, docs=DOCS, source="ASVS 7.4.3")
def outlive_passwords(deployment: Deployment) -> Iterator[Problem]:
    """API keys that go on when their owner sets a new password.

    Whoever had got in may have made one, and stays in by it.
    """
    kept = deployment.runtime.setting(ApiKeySettings).password_change
    if kept != "revoke":
        remedy = "Leave ACCOUNTS_API_KEYS_PASSWORD_CHANGE out, and give machines accounts of their own, which have no password."
        yield Problem(f"ACCOUNTS_API_KEYS_PASSWORD_CHANGE is {kept}.", remedy, severity="warning" if kept == "keep" else "info")


@checkup("api-keys-unnamed", "info", area=AREA, docs=DOCS)
def unnamed(deployment: Deployment) -> Iterator[Problem]:
    """API keys that begin as those of every other app of this package.

    Who finds one in published code, or a scanner that does, cannot tell whom to tell.
    """
    if deployment.runtime.setting(ApiKeySettings).key_prefix == ApiKeySettings().key_prefix:
        yield Problem(
            "ACCOUNTS_API_KEYS_KEY_PREFIX is left at its default.", "Set ACCOUNTS_API_KEYS_KEY_PREFIX to a short name of your app."
        )


CHECKUPS: tuple[Checkup, ...] = (endless, outlive_passwords, unnamed)
