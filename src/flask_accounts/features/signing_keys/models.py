"""The table of signing keys, for those who keep them in the database."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from ...core.models import UtcDateTime, exact


class SigningKeyMixin:
    """One key pair. Nothing of it can be read, and none can be added, without the secret that it is sealed with."""

    kid: Mapped[str] = mapped_column(exact(43), primary_key=True)
    """The thumbprint of the public half (RFC 7638)."""
    sealed: Mapped[str] = mapped_column(sa.Text, nullable=False)
    """The pair as a JSON Web Key, sealed; see `core.at_rest`."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    signs_from: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    verifies_until: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
