"""What the routes of a change of address take."""

from __future__ import annotations

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ...core.schemas import EmailAddress, Input


class ChangeEmailSchema(Input):
    """The address to be."""

    email: EmailAddress


class ConfirmEmailChangeSchema(Input):
    """The token of the link, or the code."""

    token: str | None = Field(default=None, max_length=128)
    code: str | None = Field(default=None, max_length=16)
    """Taken only from whoever asked for the change, signed in."""

    @model_validator(mode="after")
    def _one_way(self) -> ConfirmEmailChangeSchema:
        if (self.token is None) == (self.code is None):
            raise PydanticCustomError("one_of", "Give either a token or a code.")
        return self


class UndoEmailChangeSchema(Input):
    """The token of the link."""

    token: str = Field(max_length=128)
