"""Check-up of the nightly purge, by what it should have deleted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import sqlalchemy as sa

from ..checkups import Deployment, Problem, checkup
from ..one_time import OneTimeTokenMixin
from ..sessions import RevokedTokenMixin, SessionMixin

PATIENCE = timedelta(days=3)
"""How long rows may stay after their time: a purge that runs every night may fail once."""
PURGE = "Run flask accounts purge every night."


@checkup(
    "purge-not-run", "warning", area="upkeep", docs="docs/how-to/deployment.md#every-night", source="ASVS 14.2.7", reads_tables=True
)
def purge_not_run(deployment: Deployment) -> Iterator[Problem]:
    """Sessions and tokens whose time was over days ago.

    Their addresses and user agents are kept without need, and the tables grow.
    """
    runtime = deployment.runtime
    since = runtime.clock.now() - PATIENCE
    mixins = [mixin for mixin in (SessionMixin, RevokedTokenMixin, OneTimeTokenMixin) if runtime.has_model(mixin)]
    for table in (runtime.model(mixin).__table__ for mixin in mixins):
        count = runtime.users.execute(sa.select(sa.func.count()).select_from(table).where(table.c.expires_at <= since)).scalar_one()
        if count:
            yield Problem(f"{table.name}: {count} rows were over more than {PATIENCE.days} days ago.", PURGE)
