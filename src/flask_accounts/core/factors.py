"""Factors: what an account has beside its first credential, so that knowing a password is not enough (ASVS 6.3.3).

A feature brings a `Factor` by `Feature.factors()`. That makes three things of it: a challenge at `POST /challenge`, a proof of presence at
`POST /reauthenticate`, and a fact that the sign-in reads with the account, at no statement of its own. Whether an account that has one is
asked for it is for the gate of the feature `mfa` to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from .events import Client, Key
from .gates import Answer, ChallengeMethod, Fact, LoginAttempt, multi_factor
from .users import UserView

Proof = Callable[[UserView, Answer, Client], tuple[str, ...]]
"""Looks whether `answer` proves that it is the account's owner: returns by which methods (`amr`, RFC 8176). Raises `InvalidCredentials` for a
wrong answer, which is counted, or `ValidationError` for one that cannot be right, which is not. What is good once it must use up by a statement
whose row count decides."""


@dataclass(frozen=True)
class Factor:
    """One kind of factor."""

    name: str
    """What challenges call it: `totp`, `passkey`."""
    since: Fact
    """Since when the account has it; null if it has none. Without parameters of its own."""
    verify: Proof
    remove: Callable[[Key], bool]
    """Takes it from an account, however many of it there are; whether there was one. Without an event: who has it removed tells of it."""
    backup: bool = False
    """It stands in for a lost factor. An account that has nothing else has no second factor."""
    enrolment: str | None = None
    """The challenge by which a sign-in that must have a factor first gets this one; None if it cannot be had so."""
    said: str | None = None
    """What `FactorChanged` calls it, if not its name."""

    @property
    def fact(self) -> str:
        """The name of its fact in `LoginAttempt.facts`."""
        return f"factor_{self.name}"

    @property
    def label(self) -> str:
        """What `FactorChanged` calls it."""
        return self.said or self.name


def challenge_method(factor: Factor) -> ChallengeMethod:
    """How a sign-in that waits is answered by a factor: two have been proved then, and presence at this moment, as for
    `POST /reauthenticate`, however long ago the first was.
    """

    def answer(attempt: LoginAttempt, user: UserView, given: Answer) -> LoginAttempt:
        return replace(attempt, amr=multi_factor(attempt.amr, factor.verify(user, given, attempt.client)), authenticated_at=None)

    return answer
