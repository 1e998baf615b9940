"""Check-ups of the accounts there are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import sqlalchemy as sa

from ...core.checkups import NOBODYS_DOMAINS, Checkup, Deployment, Problem, checkup
from .models import DeletionMixin
from .settings import UserSettings

AREA = "accounts"
PATIENCE = timedelta(days=3)


@checkup(
    "example-accounts", "warning", area=AREA, docs="docs/how-to/administer-accounts.md", source="ASVS 6.3.2", reads_tables=True
)
def example_accounts(deployment: Deployment) -> Iterator[Problem]:
    """Active accounts with addresses for examples and tests.

    They come from seeds and tutorials, whose passwords are known, and nobody reads their mail.
    """
    users = deployment.runtime.users
    email = users.c["email"]
    nobodys = sa.or_(*(email.endswith(f"{before}{end}", autoescape=True) for end in NOBODYS_DOMAINS for before in "@."))
    count = users.execute(
        sa.select(sa.func.count()).select_from(users.table).where(nobodys, users.c["is_active"].is_(True))
    ).scalar_one()
    if count:
        yield Problem(f"There are {count}.", "Disable them: flask accounts disable ADDRESS.")


@checkup("erasure-overdue", "warning", area="upkeep", docs="docs/how-to/export-and-erasure.md#erasure", reads_tables=True)
def erasure_overdue(deployment: Deployment) -> Iterator[Problem]:
    """Accounts that should have been erased days ago.

    Their owners were promised that they would be.
    """
    runtime = deployment.runtime
    table = runtime.model(DeletionMixin).__table__
    late = table.c.erase_at <= runtime.clock.now() - PATIENCE
    count = runtime.users.execute(sa.select(sa.func.count()).select_from(table).where(late)).scalar_one()
    if count:
        yield Problem(f"There are {count}.", "Run flask accounts purge every night.")


@checkup("open-directory", "info", area=AREA, docs="docs/how-to/administer-accounts.md", source="ASVS 8.2.3")
def open_directory(deployment: Deployment) -> Iterator[Problem]:
    """A list of accounts that every signed-in person sees.

    Where anybody may register, it is public.
    """
    if deployment.runtime.setting(UserSettings).directory == "authenticated":
        yield Problem("ACCOUNTS_USERS_DIRECTORY is authenticated.", "Leave ACCOUNTS_USERS_DIRECTORY out.")


CHECKUPS: tuple[Checkup, ...] = (example_accounts, erasure_overdue, open_directory)
