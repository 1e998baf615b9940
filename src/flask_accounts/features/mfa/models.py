"""The tables of second factors: what is known of an account, its recovery codes, the devices it trusts."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from ...core.models import OnePerUser, OwnedByUser, UtcDateTime, uuid_type


class MfaMixin(OnePerUser):
    """What is known of an account beside its factors. There is a row once there is something to say."""

    enrol_by: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    """Until when it may do without a second factor that it must have."""
    failures: Mapped[int] = mapped_column(sa.Integer, nullable=False, default=0)
    """Wrong answers in a row, over all factors."""
    free_at: Mapped[int] = mapped_column(sa.BigInteger, nullable=False, default=0)
    """When the wait after them is over, in milliseconds since 1970: whole numbers compare alike on every database."""
    told_at: Mapped[int] = mapped_column(sa.BigInteger, nullable=False, default=0)
    """The `free_at` that an event has told of."""


class RecoveryCodeMixin(OwnedByUser):
    """A recovery code that was not used yet. 120 random bits need no slow hash (ASVS 6.5.2)."""

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, sort_order=-10)
    code_hash: Mapped[str] = mapped_column(sa.String(64), nullable=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)


class RememberedDeviceMixin(OwnedByUser):
    """A device that is not asked for a second factor. It holds a secret of 256 bits; here is its digest."""

    id: Mapped[UUID] = mapped_column(uuid_type(), primary_key=True, sort_order=-10)
    secret_hash: Mapped[str] = mapped_column(sa.String(64), nullable=False, unique=True)
    device: Mapped[str] = mapped_column(sa.String(64), nullable=False)
    """The browser and the system, such as `Firefox on Linux`."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    """When its owner last proved both factors on it."""
    last_used_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False, index=True)
