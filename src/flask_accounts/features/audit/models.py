"""The tables of the audit log. No foreign keys: what happened outlives the account it happened to."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from ...core.models import UtcDateTime, uuid_type


class EventMixin:
    """One event. Only erasure ever changes a row: it empties the client's or the personal part, and the salt with it.

    `client_digest` and `personal_digest` are salted hashes of the two parts. The chain covers them, not
    the parts, so it still verifies when a part is gone; without the salt nobody can try values against them.
    """

    id: Mapped[UUID] = mapped_column(uuid_type(), primary_key=True)
    """Time-ordered (UUID version 7), rising within a process."""
    at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    name: Mapped[str] = mapped_column(sa.String(64), nullable=False)
    outcome: Mapped[str] = mapped_column(sa.String(8), nullable=False)
    subject: Mapped[str | None] = mapped_column(sa.String(255), nullable=True)
    actor: Mapped[str | None] = mapped_column(sa.String(255), nullable=True)
    session_id: Mapped[UUID | None] = mapped_column(uuid_type(), nullable=True)
    details: Mapped[str] = mapped_column(sa.Text, nullable=False)
    """JSON without personal data."""
    address: Mapped[str | None] = mapped_column(sa.String(45), nullable=True)
    user_agent: Mapped[str | None] = mapped_column(sa.String(255), nullable=True)
    client_salt: Mapped[bytes | None] = mapped_column(sa.LargeBinary, nullable=True)
    client_digest: Mapped[bytes | None] = mapped_column(sa.LargeBinary, nullable=True)
    personal: Mapped[str | None] = mapped_column(sa.Text, nullable=True)
    """JSON with personal data of the subject."""
    personal_salt: Mapped[bytes | None] = mapped_column(sa.LargeBinary, nullable=True)
    personal_digest: Mapped[bytes | None] = mapped_column(sa.LargeBinary, nullable=True)
    chain: Mapped[UUID] = mapped_column(uuid_type(), nullable=False)
    number: Mapped[int] = mapped_column(sa.Integer, nullable=False)
    """The place in its chain, from 1."""
    mac: Mapped[bytes] = mapped_column(sa.LargeBinary, nullable=False)
    """Covers all of the row that erasure leaves, and the `mac` before it in the chain."""

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:  # noqa: N805  # SQLAlchemy calls it with the class
        """Newest first by account, by actor and by name, each at constant cost."""
        table = cls.__tablename__  # type: ignore[attr-defined]  # every model of the mixin has it
        return tuple(sa.Index(f"ix_{table}_{column}", column, "id") for column in ("subject", "actor", "name"))


class SealMixin:
    """A statement of how far each chain had come, so that what is cut off a chain's end is missed. Seals are a chain themselves."""

    number: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False, index=True)
    body: Mapped[str] = mapped_column(sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=False)
    """JSON; see `seals.Seal`."""
    mac: Mapped[bytes] = mapped_column(sa.LargeBinary, nullable=False)
