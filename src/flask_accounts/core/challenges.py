"""Sign-ins that wait: a credential was right, a gate asked for more.

What is kept is a one-time token's row, so that a sign-in resumes on any worker, once, and not for long. It
holds no password; that the account's password is still the one that was proved is known by a digest of its hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from .errors import ChallengeInvalid, FieldProblem
from .events import Client
from .gates import LoginAttempt
from .passwords import same_secret
from .runtime import Runtime
from .settings import Settings

PURPOSE = "challenge"


class ChallengeSettings(Settings):
    """How long a sign-in waits for its next step."""

    prefix: ClassVar[str] = "challenges"

    lifetime: timedelta = Field(default=timedelta(minutes=10), gt=timedelta(0), le=timedelta(minutes=10))
    """How long a `challenge_token` is good (ASVS 6.6.2: at most 10 minutes)."""


@dataclass(frozen=True)
class Waiting:
    """A sign-in that waits, and what it was asked for."""

    attempt: LoginAttempt
    challenges: tuple[str, ...]


class PendingSignIns:
    """Keeps sign-ins that wait for an answer."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def keep(self, attempt: LoginAttempt, challenges: tuple[str, ...]) -> tuple[str, int]:
        """The token by which the attempt goes on, and for how many seconds it is good."""
        lifetime = self._runtime.setting(ChallengeSettings).lifetime
        issued = self._runtime.one_time.issue(
            PURPOSE, user_id=attempt.user_id, address=None, lifetime=lifetime, now=self._runtime.clock.now(),
            # Two devices may be signing in at once, and whoever else knows the password must not stop the owner.
            void_older=False,
            data={
                "amr": attempt.amr, "answered": attempt.answered, "challenges": challenges, "hash": _digest(attempt.verified_hash),
                "problems": [(problem.field, problem.code, problem.message) for problem in attempt.problems],
            },
        )  # fmt: skip
        return issued.token, int(lifetime.total_seconds())

    def look(self, token: str, client: Client) -> Waiting:
        """The sign-in that waits, without using its token up; `ChallengeInvalid`."""
        runtime = self._runtime
        kept = runtime.one_time.peek(PURPOSE, token, runtime.clock.now())
        stored = runtime.users.credentials(kept.user_id) if kept is not None and kept.user_id is not None else None
        if kept is None or stored is None:
            raise ChallengeInvalid
        digest = kept.data["hash"]
        if digest is not None and not same_secret(digest, _digest(stored.password_hash) or ""):
            raise ChallengeInvalid  # the password was changed meanwhile
        attempt = LoginAttempt(
            stored.user_id, tuple(kept.data["amr"]), client, verified_hash=stored.password_hash if digest is not None else None,
            problems=tuple(FieldProblem(*problem) for problem in kept.data["problems"]), answered=tuple(kept.data["answered"]),
        )  # fmt: skip
        return Waiting(attempt, tuple(kept.data["challenges"]))

    def take(self, token: str) -> None:
        """Use the token up; `ChallengeInvalid` if somebody was faster."""
        if self._runtime.one_time.consume(PURPOSE, token, self._runtime.clock.now()) is None:
            raise ChallengeInvalid


def _digest(encoded: str | None) -> str | None:
    return None if encoded is None else hashlib.sha256(encoded.encode()).hexdigest()
