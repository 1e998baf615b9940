"""What the verification routes take."""

from __future__ import annotations

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ...core.policies import MAX_EMAIL
from ...core.schemas import Input


class VerifyEmailSchema(Input):
    """The token of the link, or the address and the code."""

    token: str | None = Field(default=None, max_length=128)
    email: str | None = Field(default=None, max_length=MAX_EMAIL)
    code: str | None = Field(default=None, max_length=16)

    @model_validator(mode="after")
    def _one_way(self) -> VerifyEmailSchema:
        by_token, by_code = self.token is not None, self.email is not None and self.code is not None
        if by_token == by_code or (by_token and (self.email is not None or self.code is not None)):
            raise PydanticCustomError("one_of", "Give either a token, or an address and a code.")
        return self


class ResendSchema(Input):
    """Whose mail to send again."""

    email: str = Field(max_length=MAX_EMAIL)
