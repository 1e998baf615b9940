"""The table of accounts that are to be erased."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from ...core.models import OwnedByUser, UtcDateTime, owner_key


class DeletionMixin(OwnedByUser):
    """An account that its owner has deleted, as long as it can be brought back."""

    @declared_attr
    def user_id(cls) -> Mapped[Any]:  # noqa: N805  # SQLAlchemy calls it with the class
        """The account."""
        return mapped_column(sa.ForeignKey(owner_key(cls), ondelete="CASCADE"), primary_key=True, autoincrement=False)

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  # SQLAlchemy calls it with the class
        return ()  # the key finds an account's row

    requested_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    erase_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False, index=True)
