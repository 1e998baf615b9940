"""What the unlock routes take."""

from __future__ import annotations

from pydantic import Field

from ...core.policies import MAX_EMAIL
from ...core.schemas import Input


class UnlockRequestSchema(Input):
    """Whose wrong passwords to forget."""

    email: str = Field(max_length=MAX_EMAIL)


class UnlockSchema(Input):
    """The mailed token."""

    token: str = Field(max_length=128)
