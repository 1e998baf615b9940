"""The tables of identities: which account each person of a provider is, and what the provider has granted, where that is kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from ...core.models import OwnedByUser, UtcDateTime, exact, uuid_type
from ...core.policies import MAX_EMAIL
from .id_token import MAX_SUBJECT

MAX_ISSUER = 255


class IdentityMixin(OwnedByUser):
    """A person at a provider, known by issuer and subject alone: addresses and names change hands (ASVS 10.3.3)."""

    id: Mapped[UUID] = mapped_column(uuid_type(), primary_key=True, sort_order=-10)
    provider: Mapped[str] = mapped_column(sa.String(32), nullable=False)
    """The provider's name when it was linked, for people to read."""
    issuer: Mapped[str] = mapped_column(exact(MAX_ISSUER), nullable=False)
    subject: Mapped[str] = mapped_column(exact(MAX_SUBJECT), nullable=False)
    email: Mapped[str | None] = mapped_column(sa.String(MAX_EMAIL), nullable=True)
    """What the provider said last, for people to tell two identities apart. Nothing is decided by it."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    last_used_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  # SQLAlchemy calls it with the class
        return (sa.UniqueConstraint("user_id", "id"), sa.UniqueConstraint("issuer", "subject"))


class ProviderTokensMixin:
    """A provider's tokens, kept with an identity for an app that asks for them."""

    @declared_attr
    def identity_id(cls) -> Mapped[UUID]:  # noqa: N805  # SQLAlchemy calls it with the class
        """The identity, in the host's own table if there is one."""
        tables: dict[type, sa.Table] = getattr(cls, "__accounts_tables__", {})
        identity = tables[IdentityMixin].c.id if IdentityMixin in tables else "accounts_identities.id"
        return mapped_column(sa.ForeignKey(identity, ondelete="CASCADE"), primary_key=True)

    sealed: Mapped[str] = mapped_column(sa.Text, nullable=False)
    """Access and refresh token, until when, and what for: sealed (`core/at_rest.py`)."""
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    busy_until: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    """Until when somebody may be refreshing them, whom others wait for."""
