"""The tables of passkeys: the public halves, and by which name authenticators know an account."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from ...core.models import OnePerUser, OwnedByUser, UtcDateTime, uuid_type

MAX_CREDENTIAL_ID = 1023
"""Bytes (WebAuthn level 3, section 7.1 step 25)."""
MAX_NAME = 64
MAX_TRANSPORTS = 100
HANDLE = 64
"""Bytes of a user handle (WebAuthn level 3, section 14.6.1)."""


def binary(length: int) -> sa.LargeBinary:
    """Bytes that an index finds on every database: MariaDB indexes no BLOB as a whole."""
    return sa.LargeBinary(length).with_variant(mysql.VARBINARY(length), "mysql", "mariadb")


class PasskeyMixin(OwnedByUser):
    """One passkey of an account. Nothing in it is secret: the private half never leaves the authenticator."""

    id: Mapped[UUID] = mapped_column(uuid_type(), primary_key=True, sort_order=-10)
    """Time-ordered (UUID version 7)."""
    credential_id: Mapped[bytes] = mapped_column(binary(MAX_CREDENTIAL_ID), nullable=False, unique=True)
    public_key: Mapped[bytes] = mapped_column(sa.LargeBinary, nullable=False)
    """As a COSE key (RFC 9052)."""
    sign_count: Mapped[int] = mapped_column(sa.BigInteger, nullable=False)
    """As the authenticator said last; 0 for one that does not count."""
    transports: Mapped[str] = mapped_column(sa.String(MAX_TRANSPORTS), nullable=False)
    """How browsers reach it: words with blanks between them."""
    aaguid: Mapped[UUID] = mapped_column(uuid_type(), nullable=False)
    """The make of the authenticator, as it says itself; zeros if it does not."""
    name: Mapped[str] = mapped_column(sa.String(MAX_NAME), nullable=False)
    backup_eligible: Mapped[bool] = mapped_column(sa.Boolean, nullable=False)
    """It may be copied to other devices of its owner. Never changes."""
    backed_up: Mapped[bool] = mapped_column(sa.Boolean, nullable=False)
    """It was copied when it was used last."""
    user_verified: Mapped[bool] = mapped_column(sa.Boolean, nullable=False)
    """The authenticator knew its owner, by a PIN or a finger, when this was made: without that it is a second factor and no way in."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)


class PasskeyHandleMixin(OnePerUser):
    """The random name that authenticators keep beside an account's passkeys (the user handle).

    It is stored and not derived from the app's secret, since it must outlive that: authenticators keep it for good.
    """

    handle: Mapped[bytes] = mapped_column(binary(HANDLE), nullable=False, unique=True)
