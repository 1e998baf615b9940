"""The tables of accounts that are switched off for a reason, or are to be erased."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from ...core.models import OnePerUser, UtcDateTime


class SuspensionMixin(OnePerUser):
    """An account that was switched off. Over, though the row may still be there, once `until` is."""

    reason: Mapped[str | None] = mapped_column(sa.String(255), nullable=True)
    until: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True, index=True)
    """None: until somebody switches it on."""
    disabled_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)


class DeletionMixin(OnePerUser):
    """An account that its owner has deleted, as long as it can be brought back."""

    requested_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    erase_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False, index=True)
