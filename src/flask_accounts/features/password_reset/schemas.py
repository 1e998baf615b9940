"""What the reset routes take."""

from __future__ import annotations

from pydantic import Field

from ...core.policies import MAX_EMAIL
from ...core.schemas import Input, NewPassword


class ForgotPasswordSchema(Input):
    """Whose password is forgotten."""

    email: str = Field(max_length=MAX_EMAIL)


class ResetPasswordSchema(Input):
    """The mailed token and the password to be."""

    token: str = Field(max_length=128)
    new_password: NewPassword
