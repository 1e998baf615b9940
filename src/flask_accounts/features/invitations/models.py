"""The table of invitations. What lets somebody in is a one-time token, which is not here."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from ...core.models import UtcDateTime, exact, owner_key, uuid_type
from ...core.policies import MAX_EMAIL


class InvitationMixin:
    """Somebody who may make an account, or did."""

    id: Mapped[UUID] = mapped_column(uuid_type(), primary_key=True, sort_order=-10)
    """Time-ordered (UUID version 7)."""
    address: Mapped[str] = mapped_column(exact(MAX_EMAIL), nullable=False)
    open: Mapped[bool | None] = mapped_column(sa.Boolean, nullable=True)
    """True until it is accepted, withdrawn or replaced, null from then on: so an address has one open invitation at the most."""
    roles: Mapped[str] = mapped_column(sa.Text, nullable=False)
    """Names, as JSON: those that host code gives may hold blanks."""
    language: Mapped[str | None] = mapped_column(sa.String(35), nullable=True)
    trusted: Mapped[bool] = mapped_column(sa.Boolean, nullable=False)
    """Sent by a command or host code, which may grant anything. One that is neither trusted nor has an inviter has lost him."""

    @declared_attr
    def invited_by(cls) -> Mapped[Any]:  # noqa: N805  # SQLAlchemy calls it with the class
        """Who sent it last, and answers for it."""
        return mapped_column(sa.ForeignKey(owner_key(cls), ondelete="SET NULL"), nullable=True)

    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)

    @declared_attr
    def accepted_user(cls) -> Mapped[Any]:  # noqa: N805  # SQLAlchemy calls it with the class
        """The account that was made by it; it takes the invitation along when it goes."""
        return mapped_column(sa.ForeignKey(owner_key(cls), ondelete="CASCADE"), nullable=True)

    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  # SQLAlchemy calls it with the class
        # The first one is a rule; the others find what belongs to an account, and are no indexes for the reason in `OwnedByUser`.
        return (
            sa.UniqueConstraint("address", "open"),
            sa.UniqueConstraint("invited_by", "id"),
            sa.UniqueConstraint("accepted_user", "id"),
        )
