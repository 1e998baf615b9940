"""The table of the devices that accounts have signed in on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from ...core.models import OwnedByUser, UtcDateTime, owner_key


class DeviceMixin(OwnedByUser):
    """One kind of browser, in one neighbourhood, of one account. No whole address and no user agent is kept."""

    @declared_attr
    def user_id(cls) -> Mapped[Any]:  # noqa: N805  # SQLAlchemy calls it with the class
        """The account; first part of the key, so that the key finds its devices."""
        return mapped_column(sa.ForeignKey(owner_key(cls), ondelete="CASCADE"), primary_key=True, sort_order=-10)

    device: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    """The browser and the system, such as `Firefox on Linux`."""
    network: Mapped[str] = mapped_column(sa.String(45), primary_key=True)
    """The neighbourhood of the address, such as `203.0.0.0/16`."""
    first_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False, index=True)
    """To within a day."""

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  # SQLAlchemy calls it with the class
        return ()
