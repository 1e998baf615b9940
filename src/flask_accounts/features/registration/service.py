"""What registration asks for and how it answers, for features that let people in another way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pydantic

from ...core.errors import FieldProblem, ValidationError
from ...core.feature import Service
from ...core.gates import LoginAttempt
from ...core.http import Call, Reply
from ...core.login import LoginPipeline, token_reply
from ...core.parsing import problems_of
from ...core.schemas import MessageResponse
from .schemas import RegisteredSchema as RegisteredSchema
from .schemas import RegisterSchema
from .schemas import without_address as without_address
from .settings import RegistrationSettings


class RegistrationService(Service):
    """Reads what the host asks for at registration, in its own schema."""

    @property
    def is_open(self) -> bool:
        """Whether anybody may register."""
        return self.runtime.setting(RegistrationSettings).open

    def read(self, given: Mapping[str, Any], *, email: str) -> RegisterSchema:  # JSON values
        """The JSON values `given` for an account of the known address `email`, read as strictly as `POST /register` does.

        Raises `ValidationError` with every problem; an address among the values is one.
        """
        schema = self.runtime.schemas.get(RegisterSchema)
        problems = [FieldProblem("email", "extra_forbidden", "The address is known already.")] if "email" in given else []
        try:
            text = json.dumps({**given, "email": email})
            found = schema.model_validate_json(text, strict=True, context={"accounts": self.runtime})
        except pydantic.ValidationError as error:
            raise ValidationError(problems + problems_of(error)) from None
        if problems:
            raise ValidationError(problems)
        return found


def concealed_reply() -> Reply:
    """The answer to every registration where it does not tell which addresses are known."""
    return Reply(MessageResponse(message="A mail is on its way. Please follow it to go on."), 202)


def registered_reply(call: Call[Any], user: Any, *, amr: tuple[str, ...] = ("pwd",)) -> Reply:  # an object of the host's class
    """The answer to a registration: the account, with tokens where registering signs in. `amr`: by which methods."""
    runtime = call.runtime
    if not runtime.setting(RegistrationSettings).sign_in:
        return Reply({"user": runtime.show(user)}, 201)
    attempt = LoginAttempt(runtime.users.key_of(user), amr, call.client)
    return token_reply(call, runtime.get(LoginPipeline).finish(attempt), status=201)
