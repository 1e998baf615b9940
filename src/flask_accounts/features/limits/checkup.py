"""Check-ups of the rate limits."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .service import LimitService
from .settings import LimitSettings

AREA = "limits"
DOCS = "docs/how-to/limits-and-lockout.md"
PROXY = "docs/how-to/limits-behind-a-proxy.md"


@checkup("limits-off", "error", area=AREA, docs=DOCS, source="ASVS 6.3.1")
def limits_off(deployment: Deployment) -> Iterator[Problem]:
    """Rate limits that are switched off.

    Sign-ins, registrations and requests for mail are let through as fast as they come.
    """
    if not deployment.runtime.setting(LimitSettings).enabled:
        yield Problem("ACCOUNTS_LIMITS_ENABLED is False.", "Leave ACCOUNTS_LIMITS_ENABLED out.")


@checkup("limits-per-process", "warning", area=AREA, docs=PROXY, source="ASVS 6.3.1")
def limits_per_process(deployment: Deployment) -> Iterator[Problem]:
    """Counts that each process keeps for itself.

    With several processes attackers have as many times the tries, and all of them again after a restart.
    """
    if deployment.runtime.setting(LimitSettings).storage.get_secret_value() == "memory":
        many = (deployment.workers or 1) > 1
        yield Problem(
            f"ACCOUNTS_LIMITS_STORAGE is memory{f', and {deployment.workers} processes serve' if many else ''}.",
            "Leave ACCOUNTS_LIMITS_STORAGE out (the database), or set it to a redis:// URL.",
            severity="warning" if many else "info",
        )


@checkup("limit-store", "error", area=AREA, docs=PROXY, source="ASVS 16.5.2")
def limit_store(deployment: Deployment) -> Iterator[Problem]:
    """A store of the counts that does not answer. Asked only with `--connect`.

    Nothing is limited then, or nobody gets in: `ACCOUNTS_LIMITS_ON_STORE_FAILURE` says which.
    """
    if deployment.connect and not deployment.runtime.get(LimitService).store_answers():
        yield Problem("The store of ACCOUNTS_LIMITS_STORAGE does not answer.", "Start it, or correct the URL.")


@checkup("limit-store-open", "info", area=AREA, docs=PROXY, source="ASVS 16.5.3")
def limit_store_open(deployment: Deployment) -> Iterator[Problem]:
    """Limits that let everybody pass while their store does not answer.

    The lockout still counts wrong passwords; the rest is unlimited until the store is back.
    """
    settings = deployment.runtime.setting(LimitSettings)
    if settings.on_store_failure == "open" and "://" in settings.storage.get_secret_value():
        yield Problem(
            "ACCOUNTS_LIMITS_ON_STORE_FAILURE is open.", "Set ACCOUNTS_LIMITS_ON_STORE_FAILURE = 'closed' to refuse instead."
        )


@checkup("limits-removed", "warning", area=AREA, docs=DOCS, source="ASVS 6.3.1")
def limits_removed(deployment: Deployment) -> Iterator[Problem]:
    """Single limits that are emptied.

    Each is there against something: floods, guesses, or mails that nobody wants.
    """
    settings = deployment.runtime.setting(LimitSettings)
    fields = type(settings).model_fields
    emptied = [LimitSettings.key(name) for name, field in fields.items() if field.default and getattr(settings, name) == ""]
    if emptied and settings.enabled:
        yield Problem(f"Empty: {', '.join(emptied)}.", "Leave them out, or set a higher figure such as '600/minute'.")


CHECKUPS: tuple[Checkup, ...] = (limits_off, limits_per_process, limit_store, limit_store_open, limits_removed)
