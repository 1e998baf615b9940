"""The table of counts, for those who count in the database."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column


class LimitMixin:
    """One window of one counter. Holds no address and no name: the key is a digest."""

    key: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    hits: Mapped[int] = mapped_column(sa.Integer, nullable=False)
    resets_at: Mapped[int] = mapped_column(sa.BigInteger, nullable=False, index=True)
    """When the window is over, in milliseconds since 1970: whole numbers compare alike on every database."""
