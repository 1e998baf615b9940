"""Check-up of who administers."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .service import RoleService


@checkup("no-administrator", "warning", area="accounts", docs="docs/how-to/roles-and-permissions.md", reads_tables=True)
def no_administrator(deployment: Deployment) -> Iterator[Problem]:
    """An app without an administrator who can sign in.

    Nobody can help anybody, or stop an account, but by commands.
    """
    runtime = deployment.runtime
    users, service = runtime.users, runtime.get(RoleService)
    statement = sa.select(users.key_column).where(service.members(service.admin_role), users.c["is_active"].is_(True)).limit(1)
    if users.execute(statement).first() is None:
        yield Problem(f"No active account has the role {service.admin_role}.", "Run flask accounts create-admin you@your.domain.")


CHECKUPS: tuple[Checkup, ...] = (no_administrator,)
