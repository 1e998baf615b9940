"""The table of authenticator apps."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from ...core.models import OnePerUser, UtcDateTime


class TotpMixin(OnePerUser):
    """An account's authenticator app, once its first code was right."""

    secret: Mapped[str] = mapped_column(sa.String(255), nullable=False)
    """Sealed (`core/at_rest.py`)."""
    last_step: Mapped[int] = mapped_column(sa.BigInteger, nullable=False)
    """The step whose code was last taken: neither it nor an older one is taken again."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
