"""Check-ups of the audit log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import sqlalchemy as sa

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .chain import floor_of
from .models import EventMixin
from .settings import AuditSettings

AREA = "audit"
DOCS = "docs/how-to/read-the-audit-log.md"
PATIENCE = timedelta(days=3)


@checkup("audit-kept-for-good", "info", area=AREA, docs=DOCS)
def audit_kept_for_good(deployment: Deployment) -> Iterator[Problem]:
    """Events that are never deleted.

    The table grows for ever, and addresses and user agents are kept longer than anybody can say why.
    """
    if not deployment.runtime.setting(AuditSettings).retention_days:
        yield Problem("ACCOUNTS_AUDIT_RETENTION_DAYS is 0.", "Set ACCOUNTS_AUDIT_RETENTION_DAYS = 365.")


@checkup("audit-kept-briefly", "warning", area=AREA, docs=DOCS, source="ASVS 16.3.1")
def audit_kept_briefly(deployment: Deployment) -> Iterator[Problem]:
    """Events that are deleted within a month.

    Who notices an intrusion, mostly weeks later, finds nothing.
    """
    days = deployment.runtime.setting(AuditSettings).retention_days
    if 0 < days < 30:
        yield Problem(f"ACCOUNTS_AUDIT_RETENTION_DAYS is {days}.", "Set ACCOUNTS_AUDIT_RETENTION_DAYS = 365.")


@checkup("audit-overdue", "warning", area="upkeep", docs="docs/how-to/deployment.md#every-night", reads_tables=True)
def audit_overdue(deployment: Deployment) -> Iterator[Problem]:
    """Events that should have been deleted days ago.

    They hold addresses and user agents, kept without need.
    """
    runtime = deployment.runtime
    days = runtime.setting(AuditSettings).retention_days
    if not days:
        return
    table = runtime.model(EventMixin).__table__
    late = table.c.id < floor_of(runtime.clock.now() - timedelta(days=days) - PATIENCE)
    if runtime.users.execute(sa.select(table.c.id).where(late).limit(1)).first():
        yield Problem(f"There are events older than {days + PATIENCE.days} days.", "Run flask accounts purge every night.")


@checkup("audit-key-derived", "info", area=AREA, docs=DOCS, source="ASVS 16.4.2")
def audit_key_derived(deployment: Deployment) -> Iterator[Problem]:
    """A log that is protected by a key derived from the signing key.

    After a rotation, older events verify only by the key of before; and whoever has the one can rewrite the other.
    """
    if deployment.runtime.setting(AuditSettings).chain_key is None:
        yield Problem("ACCOUNTS_AUDIT_CHAIN_KEY is not set.", "Set ACCOUNTS_AUDIT_CHAIN_KEY to a random value of its own.")


@checkup("audit-keeps-typed-logins", "warning", area=AREA, docs=DOCS, source="ASVS 16.2.5")
def audit_keeps_typed_logins(deployment: Deployment) -> Iterator[Problem]:
    """A log of whatever was typed as an address.

    People type passwords there by mistake.
    """
    if deployment.runtime.setting(AuditSettings).record_unknown_logins:
        yield Problem("ACCOUNTS_AUDIT_RECORD_UNKNOWN_LOGINS is on.", "Leave ACCOUNTS_AUDIT_RECORD_UNKNOWN_LOGINS out.")


CHECKUPS: tuple[Checkup, ...] = (
    audit_kept_for_good,
    audit_kept_briefly,
    audit_overdue,
    audit_key_derived,
    audit_keeps_typed_logins,
)
