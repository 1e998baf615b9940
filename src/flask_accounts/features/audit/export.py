"""The audit log's part of an account's export."""

from __future__ import annotations

from typing import Any

from ...core.events import Key
from ...core.runtime import Runtime
from .schemas import own_event
from .service import AuditService
from .settings import AuditSettings

ABOUT_OTHERS = {"by_me", "details"}
"""What is left out of what the account did to others: their data are not its own."""


def exported(runtime: Runtime, key: Key) -> dict[str, Any]:  # JSON values
    """The events about the account, and those it caused about others, newest first, at most `ACCOUNTS_AUDIT_EXPORT_LIMIT` of each."""
    audit, limit = runtime.get(AuditService), runtime.setting(AuditSettings).export_limit or None
    about, all_about = audit.of(key, limit=limit)
    caused, all_caused = audit.of(key, actor=True, limit=limit)
    return {
        "about_me": [own_event(record, key).model_dump(mode="json") for record in about],
        "by_me_on_others": [own_event(record, key).model_dump(mode="json", exclude=ABOUT_OTHERS) for record in caused],
        "complete": all_about and all_caused,
    }
