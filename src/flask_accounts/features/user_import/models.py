"""The table of how far imports have come, which makes an interrupted one go on where it stopped."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from ...core.models import UtcDateTime


class ImportMixin:
    """One import of one file. It is written in the transactions that write the accounts, so it never says more or less than is true."""

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    """A digest of the file and of how it is read."""
    rows: Mapped[int] = mapped_column(sa.Integer, nullable=False)
    """Rows of the file that are dealt with."""
    report: Mapped[str] = mapped_column(sa.Text, nullable=False)
    """Counts so far, in JSON; no personal data."""
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False, index=True)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
