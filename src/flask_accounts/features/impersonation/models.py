"""The table of sessions in which somebody acts in the owner's place."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from ...core.models import OwnedByUser, UtcDateTime, owner_key, uuid_type

MAX_REASON = 255


class ImpersonationMixin(OwnedByUser):
    """One that runs. Of those that have ended there is no row; the audit log remembers them."""

    id: Mapped[UUID] = mapped_column(uuid_type(), primary_key=True, sort_order=-10)
    """The session's."""

    @declared_attr
    def actor_id(cls) -> Mapped[Any]:  # noqa: N805  # SQLAlchemy calls it with the class
        """Who acts in the place of `user_id`."""
        return mapped_column(sa.ForeignKey(owner_key(cls), ondelete="CASCADE"), nullable=False)

    actor_session_id: Mapped[UUID] = mapped_column(uuid_type(), nullable=False, unique=True)
    """The actor's own session, by which it was begun and with which it ends. One at a time."""
    reason: Mapped[str] = mapped_column(sa.String(MAX_REASON), nullable=False)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False, index=True)

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  # SQLAlchemy calls it with the class
        # Both find what belongs to an account, and are no indexes for the reason in `OwnedByUser`.
        return (sa.UniqueConstraint("user_id", "id"), sa.UniqueConstraint("actor_id", "id"))
