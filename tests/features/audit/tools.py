"""What tests of the audit log share: its rows as they lie in the table, and what a verification finds."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from flask_accounts.features.audit.models import EventMixin, SealMixin
from flask_accounts.features.audit.seals import Report, SealService
from flask_accounts.features.audit.service import AuditService
from tests.conftest import Site


def table(site: Site, mixin: type = EventMixin) -> sa.Table:
    found: sa.Table = site.testing.runtime.model(mixin).__table__
    return found


def rows(site: Site, name: str | None = None) -> list[dict[str, Any]]:
    """The table's rows, oldest first; only those of one event, if it is named."""
    events = table(site)
    statement = sa.select(events).order_by(events.c.id)
    if name is not None:
        statement = statement.where(events.c.name == name)
    with site.app.app_context():
        return [dict(row) for row in site.db.session.execute(statement).mappings()]


def change(site: Site, statement: sa.Executable) -> None:
    """What somebody with access to the database does."""
    with site.app.app_context():
        site.db.session.execute(statement)
        site.db.session.commit()


def verify(site: Site, receipt: str | None = None) -> Report:
    with site.app.app_context():
        return site.testing.runtime.get(SealService).verify(receipt=receipt)


def codes(site: Site, receipt: str | None = None) -> list[str]:
    """The codes of what a verification finds."""
    return [finding.code for finding in verify(site, receipt).findings]


def seal(site: Site) -> str:
    """Seal the log; returns the receipt."""
    with site.app.app_context():
        made = site.testing.runtime.get(SealService).seal()
        site.db.session.commit()
        return made.receipt


def purge(site: Site) -> None:
    with site.app.app_context():
        site.testing.runtime.purge()
        site.db.session.commit()


def service(site: Site) -> AuditService:
    return site.testing.runtime.get(AuditService)


def restart(site: Site) -> None:
    """Forget the chains in memory, as the end of a process does."""
    audit = service(site)
    audit._chains = type(audit._chains)(site.testing.runtime)


SEALS = SealMixin
