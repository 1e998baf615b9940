"""The tables of roles, and how grants are read together with an account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from ...core.direct import Row
from ...core.models import OwnedByUser, UtcDateTime, exact, owner_key, utc_now
from ...core.users import Grants


class RoleMixin:
    """A role: a name and the permissions it gives, kept as words with blanks between them."""

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    name: Mapped[str] = mapped_column(exact(64), unique=True, nullable=False)
    description: Mapped[str] = mapped_column(sa.String(255), nullable=False, default="")
    permissions: Mapped[str] = mapped_column(sa.Text, nullable=False, default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False, default=utc_now)


class UserRoleMixin(OwnedByUser):
    """Who has which role."""

    @declared_attr
    def user_id(cls) -> Mapped[Any]:  # noqa: N805  # SQLAlchemy calls it with the class
        """The account; part of the key."""
        return mapped_column(sa.ForeignKey(owner_key(cls), ondelete="CASCADE"), primary_key=True)

    @declared_attr
    def role_id(cls) -> Mapped[int]:  # noqa: N805  # SQLAlchemy calls it with the class
        """The role, in the host's own table if there is one; part of the key."""
        tables: dict[type, sa.Table] = getattr(cls, "__accounts_tables__", {})
        role = tables[RoleMixin].c.id if RoleMixin in tables else "accounts_roles.id"
        return mapped_column(sa.ForeignKey(role, ondelete="CASCADE"), primary_key=True)

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  # SQLAlchemy calls it with the class
        return (sa.UniqueConstraint("role_id", "user_id"),)  # the other way round than the key: what finds a role's members

    granted_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False, default=utc_now)


class RoleGrants:
    """Roles as a `GrantSource`: two outer joins, a row per role."""

    def __init__(self, role: Any, user_role: Any) -> None:  # the mapped classes, built or the host's own
        self._roles: sa.Table = role.__table__
        self._user_roles: sa.Table = user_role.__table__

    def columns(self) -> Sequence[sa.ColumnElement[Any]]:
        """Name and permissions of one role."""
        return (self._roles.c.name.label("g_role"), self._roles.c.permissions.label("g_permissions"))

    def join(self, source: sa.FromClause, user_id: sa.ColumnElement[Any]) -> sa.FromClause:
        """`source` with the account's roles, if any."""
        granted = sa.outerjoin(source, self._user_roles, self._user_roles.c.user_id == user_id)
        return granted.outerjoin(self._roles, self._roles.c.id == self._user_roles.c.role_id)

    def read(self, rows: Sequence[Row]) -> Grants:
        """All roles of one account, and the union of their permissions."""
        held = [(row["g_role"], row["g_permissions"]) for row in rows if row["g_role"] is not None]
        permissions = frozenset(word for _, words in held for word in words.split())
        return Grants(tuple(sorted(name for name, _ in held)), permissions)
