"""The tables of API keys and of the accounts that only programs use."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from ...core.models import OwnedByUser, UtcDateTime, exact, owner_key, uuid_type

MAX_NAME = 100
MAX_LIMIT = 100


class ApiKeyMixin(OwnedByUser):
    """One key of an account: its digest, what it may be used for, and from where. A key that was revoked has no row."""

    id: Mapped[UUID] = mapped_column(uuid_type(), primary_key=True, sort_order=-10)
    """Time-ordered (UUID version 7)."""
    name: Mapped[str] = mapped_column(sa.String(MAX_NAME), nullable=False)
    key_hash: Mapped[str] = mapped_column(exact(64), nullable=False, unique=True)
    """SHA-256, in hexadecimal digits."""
    hint: Mapped[str] = mapped_column(sa.String(40), nullable=False)
    """How the key begins."""
    scopes: Mapped[str] = mapped_column(sa.Text, nullable=False)
    """Words with blanks between them."""
    networks: Mapped[str] = mapped_column(sa.Text, nullable=False)
    """The same; empty for any."""
    rate_limit: Mapped[str | None] = mapped_column(sa.String(MAX_LIMIT), nullable=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True, index=True)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    """To within a minute."""
    last_used_ip: Mapped[str | None] = mapped_column(sa.String(45), nullable=True)


class ServiceAccountMixin(OwnedByUser):
    """Says that an account is a program's."""

    @declared_attr
    def user_id(cls) -> Mapped[Any]:  # noqa: N805  # SQLAlchemy calls it with the class
        """The account."""
        return mapped_column(sa.ForeignKey(owner_key(cls), ondelete="CASCADE"), primary_key=True, sort_order=-10)

    description: Mapped[str] = mapped_column(sa.String(255), nullable=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  # SQLAlchemy calls it with the class
        return ()
