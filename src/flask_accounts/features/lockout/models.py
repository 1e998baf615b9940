"""The table of wrong passwords, and of the places an account has signed in from."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

ALL = "*"
"""In place of an account or a network: all of them."""


class LockoutMixin:
    """One count: of an account from a network, of an account from all unknown networks, or of a network over all accounts.

    `subject` is a digest of the account (or of what was typed, where there is none), so that a password typed
    into the wrong field is not kept. Times are milliseconds since 1970: whole numbers compare alike on every database.
    """

    subject: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    network: Mapped[str] = mapped_column(sa.String(45), primary_key=True)
    failures: Mapped[int] = mapped_column(sa.Integer, nullable=False)
    """Wrong passwords in a row, of an account from a network."""
    free_at: Mapped[int] = mapped_column(sa.BigInteger, nullable=False)
    """Of an account from a network: when the wait is over. Of the others: when the last allowed try will have been paid off
    (the theoretical arrival time of the generic cell rate algorithm, ITU-T I.371)."""
    told_at: Mapped[int] = mapped_column(sa.BigInteger, nullable=False)
    """The `free_at` that an event has told of."""
    known_until: Mapped[int] = mapped_column(sa.BigInteger, nullable=False)
    """How long the network counts as one of the account's own."""
    expires_at: Mapped[int] = mapped_column(sa.BigInteger, nullable=False, index=True)
    """When the row says nothing any more."""
