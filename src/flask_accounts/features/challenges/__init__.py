"""POST /challenge: a sign-in whose credential was right, but not enough, goes on.

Which challenges there are is for gates to say, and how each is answered for the features that bring them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, SecretStr

from ...core.challenges import ChallengeSettings
from ...core.errors import (
    ChallengeInvalid,
    ChallengeRequired,
    InvalidCredentials,
    MfaEnrolmentRequired,
    MfaRequired,
    PasswordChangeRequired,
    TooManyRequests,
)
from ...core.feature import Feature
from ...core.gates import Answer
from ...core.http import PUBLIC, Call, Reply, Route
from ...core.login import LoginPipeline, token_reply
from ...core.one_time import ONE_TIME_TABLE, OneTimeTokenMixin
from ...core.schemas import Input, Password, TokenResponse
from ...core.settings import Settings


class ChallengeSchema(Input):
    """The token of a sign-in that waits, and the answer to one of its challenges."""

    challenge_token: str = Field(max_length=128)
    method: str = Field(max_length=32)
    """One of the answer's `challenges`."""
    # Factories and not defaults: null answers nothing.
    code: str = Field(default_factory=str, max_length=64)
    """For methods that ask for a code."""
    credential: dict[str, Any] = Field(default_factory=dict)
    """For `passkey`: what the browser answered (WebAuthn)."""
    new_password: Password = Field(default_factory=lambda: SecretStr(""))
    """For `password_change`."""


def challenge(call: Call[ChallengeSchema]) -> Reply:
    """Answer a challenge, and so go on with a sign-in."""
    body = call.body
    answer = Answer(body.code or None, body.new_password.get_secret_value() or None, credential=body.credential or None)
    return token_reply(call, call.runtime.get(LoginPipeline).resume(body.challenge_token, body.method, answer, call.client))


class Challenges(Feature):
    """Sign-ins of more than one step."""

    name: ClassVar[str] = "challenges"
    settings: ClassVar[tuple[type[Settings], ...]] = (ChallengeSettings,)
    tables: ClassVar[dict[type, str]] = {OneTimeTokenMixin: ONE_TIME_TABLE}
    auth_routes: ClassVar[tuple[Route, ...]] = (
        Route(
            method="POST", path="/challenge", view=challenge, access=PUBLIC, body=ChallengeSchema,
            answers={200: TokenResponse}, errors=(
                ChallengeInvalid, ChallengeRequired, MfaRequired, MfaEnrolmentRequired, PasswordChangeRequired, InvalidCredentials,
                TooManyRequests,
            ),
        ),
    )  # fmt: skip
