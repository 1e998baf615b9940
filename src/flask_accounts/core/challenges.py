"""Sign-ins that wait: a credential was right, a gate asked for more.

What is kept is a one-time token's row, so that a sign-in resumes on any worker, once, and not for long. It
holds no password; that the account's password is still the one that was proved is known by a digest of its hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import Field

from .errors import ChallengeInvalid, FieldProblem
from .events import Client
from .gates import LoginAttempt
from .one_time import MAX_ATTEMPTS, OneTime
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
    kept: OneTime
    """What is kept of it."""


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
                "authenticated_at": attempt.authenticated_at and attempt.authenticated_at.isoformat(),
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
            authenticated_at=datetime.fromisoformat(since) if (since := kept.data["authenticated_at"]) else None,
        )  # fmt: skip
        return Waiting(attempt, tuple(kept.data["challenges"]), kept)

    def count_guess(self, waiting: Waiting) -> bool:
        """Count one answer to a factor's challenge, before it is looked at. Whether it is the last that may be given; `ChallengeInvalid`
        if it is one too many (ASVS 6.6.3).
        """
        if not self._runtime.one_time.count_guess(waiting.kept):
            raise ChallengeInvalid
        return waiting.kept.attempts + 1 >= MAX_ATTEMPTS

    def take(self, waiting: Waiting) -> None:
        """Use the sign-in's token up; `ChallengeInvalid` if somebody was faster."""
        if not self._runtime.one_time.take(waiting.kept):
            raise ChallengeInvalid


def occasion(token: str) -> str:
    """What names a sign-in that waits to those who bind something to it: tells nothing of its token."""
    return hashlib.sha256(f"occasion:{token}".encode()).hexdigest()


def _digest(encoded: str | None) -> str | None:
    return None if encoded is None else hashlib.sha256(encoded.encode()).hexdigest()
