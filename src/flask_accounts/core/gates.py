"""The types of the sign-in pipeline: an attempt, the checks before it, the gates after it.

In the order of a sign-in:

1. *entry checks* and *entry counts*, before a credential is looked at (rate limits, lockout);
2. *facts*: columns that features want to know of the account, read in the statement that locks it;
3. *restores*: may this account, which is switched off, come back (its owner had deleted it, its suspension is over)? If so the
   gates see it as active, and it is brought back once they have all let it pass;
4. *gates*: may this sign-in finish? A gate refuses by raising an `AccountsError`, or asks for more by
   raising a `ChallengeRequired`: then the sign-in waits, and `POST /challenge` resumes it;
5. the session opens, and *completions* are told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import sqlalchemy as sa

from .errors import FieldProblem, TooManyRequests
from .events import Client, Key
from .sessions import SessionState
from .users import UserView


@dataclass(frozen=True)
class Entry:
    """Somebody is about to try a credential: `action` is `login`, `register`, `refresh`, `reauthenticate` or `password_change`.

    `account` is the account as typed (in its canonical form) or as known, so that all spellings share a counter.
    """

    action: str
    client: Client
    account: str | None = None
    user_id: Key | None = None
    """The account's key, where the caller is signed in."""


EntryCheck = Callable[[Entry], None]
"""Raises (usually `TooManyRequests`) to refuse before any credential is looked at."""


@dataclass(frozen=True)
class Counted:
    """What counting came to: `then` is carried out once the count is committed. If it is `full`, `then` raises what refuses the
    entry, and nothing further was counted.
    """

    then: Callable[[], None]
    full: bool = False


EntryCount = Callable[[Entry], Callable[[sa.Connection], Counted] | None]
"""Says how an entry is counted in the accounts' database, or None if it is not. All counts of an entry are made in one short
transaction beside the request's (`core/aside.py`), in the order of the features, up to the first that is full."""
EntryPass = Callable[[Entry], None]
"""Told that the credential of an entry was right, before the gates are asked. Given the very object that the check was given."""


@dataclass(frozen=True)
class LoginAttempt:
    """A right credential: whose, proved by which methods (`amr`, RFC 8176), from where.

    `verified_hash` is the password hash the proof was checked against; if it is no longer the stored
    one when the session opens, the attempt is void.
    """

    user_id: Key
    amr: tuple[str, ...]
    client: Client
    verified_hash: str | None = field(default=None, repr=False)
    problems: tuple[FieldProblem, ...] = ()
    """What the password policy has against the password that was used, where the app asks at sign-in."""
    answered: tuple[str, ...] = ()
    """Challenges this sign-in has answered."""
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)  # column values
    """What features asked to know of the account, by name; filled in by the pipeline before the gates are asked."""


Fact = Callable[[LoginAttempt], sa.ColumnElement[Any]]
"""A column (usually a scalar subquery on `attempt.user_id`) read with the account, at no statement of its own."""
Restore = Callable[[LoginAttempt, UserView], Callable[[], None] | None]
"""Asked before the gates, and where somebody wants to know whether an account that is switched off can sign in.

Must change nothing. None: nothing to say. Otherwise what brings the account back: the gates then see it as active, and it is called once
they have let the sign-in pass. It must be one conditional statement that decides, since somebody else may be faster; then the sign-in is
refused. May raise what refuses the sign-in."""
Gate = Callable[[LoginAttempt, UserView], None]
"""Raises to keep a right credential from becoming a session (disabled account, unverified address, ...)."""
Completion = Callable[[LoginAttempt, UserView, SessionState], None]
"""Told, in the transaction, that every gate was passed and the session is open."""


@dataclass(frozen=True)
class Answer:
    """What `POST /challenge` brings along for its `method`, as far as it was given."""

    code: str | None = field(default=None, repr=False)
    new_password: str | None = field(default=None, repr=False)


ChallengeMethod = Callable[[LoginAttempt, UserView, Answer], LoginAttempt]
"""Takes the answer to a challenge: returns the attempt that goes on (its `answered` and `amr` are added to by the
pipeline), or raises what is wrong with the answer; the sign-in then still waits."""


class Limiter(Protocol):
    """Counts what callers do; give one to `Accounts(limiter=)`."""

    def hit(self, action: str, *, address: str | None, account: str | None) -> float | None:
        """Count one `action`. Seconds to wait if that is too many, else None."""
        ...


def limiter_check(limiter: Limiter) -> EntryCheck:
    """The entry check that asks `limiter`."""

    def check(entry: Entry) -> None:
        wait = limiter.hit(entry.action, address=entry.client.address, account=entry.account)
        if wait is not None:
            raise TooManyRequests(wait)

    return check
