"""Check-ups of second factors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import sqlalchemy as sa

from ...core.checkups import Checkup, Deployment, Problem, checkup
from ...core.users import ACCOUNT
from ..roles.service import RoleService
from .settings import MfaSettings

AREA = "mfa"
DOCS = "docs/how-to/multi-factor.md"
LONG = timedelta(days=30)


@checkup("admins-without-mfa", "warning", area=AREA, docs=DOCS, source="ASVS 6.3.3", reads_tables=True)
def admins_without_mfa(deployment: Deployment) -> Iterator[Problem]:
    """Administrators who sign in with a password alone.

    Whoever learns that password has every account.
    """
    runtime = deployment.runtime
    roles, users = runtime.get(RoleService), runtime.users
    if runtime.setting(MfaSettings).required == "all" or roles.admin_role in runtime.setting(MfaSettings).required:
        return  # they are about to get one
    bare = sa.and_(
        *(sa.not_(_has(factor.since.column, users.key_column)) for factor in runtime.factors.values() if not factor.backup)
    )
    admins = sa.and_(roles.members(roles.admin_role), users.c["is_active"].is_(True))
    count = users.execute(sa.select(sa.func.count()).select_from(users.table).where(admins, bare)).scalar_one()
    if count:
        yield Problem(f"There are {count}.", f"Set ACCOUNTS_MFA_REQUIRED = ['{roles.admin_role}'], with a time of grace.")


def _has(since: sa.ColumnElement[object], key: sa.ColumnElement[object]) -> sa.ColumnElement[bool]:
    """Whether an account has a factor, for a select over the accounts."""
    of_each = sa.sql.visitors.replacement_traverse(
        since, {}, lambda element, **_: key if isinstance(element, sa.BindParameter) and element.key == ACCOUNT else None
    )
    return of_each.is_not(None)


@checkup("devices-remembered-long", "info", area=AREA, docs=DOCS, source="ASVS 6.3.3")
def devices_remembered_long(deployment: Deployment) -> Iterator[Problem]:
    """Devices that are not asked for a second factor for more than 30 days.

    Whoever has the device and the password needs nothing else meanwhile.
    """
    if deployment.runtime.setting(MfaSettings).remember_for > LONG:
        yield Problem("ACCOUNTS_MFA_REMEMBER_FOR is more than 30 days.", "Set it to 30 days or less.")


@checkup("mfa-unproved-addresses", "warning", area=AREA, docs=DOCS, source="ASVS 6.4.4")
def mfa_unproved_addresses(deployment: Deployment) -> Iterator[Problem]:
    """Second factors on addresses that nobody has proved.

    Whoever registers somebody else's address can lock its owner out of the account.
    """
    if not deployment.runtime.setting(MfaSettings).verified_email:
        yield Problem("ACCOUNTS_MFA_VERIFIED_EMAIL is False.", "Leave ACCOUNTS_MFA_VERIFIED_EMAIL out.")


CHECKUPS: tuple[Checkup, ...] = (admins_without_mfa, devices_remembered_long, mfa_unproved_addresses)
