"""The types of the sign-in pipeline: an attempt, the checks before it, the gates after it.

In the order of a sign-in:

1. *entry checks* and *entry counts*, before a credential is looked at (rate limits, lockout);
2. *facts*: columns that features want to know of the account, read in the statement that locks it; *bars*: is this an account that
   nobody signs in to, by whatever way?
3. *restores*: may this account, which is switched off, come back (its owner had deleted it, its suspension is over)? If so the
   gates see it as active, and it is brought back once they have all let it pass;
4. *gates*: may this sign-in finish? A gate refuses by raising an `AccountsError`, or asks for more by
   raising a `ChallengeRequired`: then the sign-in waits, and `POST /challenge` resumes it. The gate for second factors is an *early*
   one: before it nothing of the account changes, whatever else is asked;
5. the session opens, and *completions* are told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import sqlalchemy as sa

from .errors import FieldProblem, TooManyRequests
from .events import Client, Key
from .sessions import SessionState
from .users import UserView


@dataclass(frozen=True)
class Entry:
    """Somebody is about to try a credential: `action` is `login`, `challenge`, `register`, `refresh`, `reauthenticate` or `password_change`.

    `account` is the account as typed (in its canonical form) or as known, so that all spellings share a counter.
    """

    action: str
    client: Client
    account: str | None = None
    user_id: Key | None = None
    """The account's key, where the caller is signed in."""
    factor: str | None = None
    """The factor whose answer is about to be looked at, if it is one."""


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
class Actor:
    """Who acts in the owner's place: an account, by a session of its own, for a reason."""

    user_id: Key
    session_id: UUID
    reason: str = ""


class Acting(Protocol):
    """What a feature says of sessions in which somebody acts in the owner's place (`Feature.acting`)."""

    def actor_session(self, session_id: sa.ColumnElement[UUID]) -> sa.ColumnElement[Any]:
        """By which session of the actor's own the session `session_id` is used, as a column of another select; null where its owner does."""
        ...

    def may(self, actor: UserView, user: UserView) -> bool:
        """Whether `actor` may act for `user` right now. Asked with every request of such a session, so it must not ask the database."""
        ...

    def opened(self, actor: Actor, user: UserView, session: SessionState, client: Client) -> None:
        """Remember, in the transaction, whose the new session is. Raises what refuses it."""
        ...


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
    authenticated_at: datetime | None = None
    """When the person proved presence in full, if that was not just now: as an identity provider tells, or a gate that asks for less."""
    excused: bool = False
    """The gate for second factors does without: the device is remembered. Not kept while a sign-in waits, so that it is asked again."""
    session_until: datetime | None = None
    """When the session has to end at the latest, if a gate says so."""
    recovery_codes: tuple[str, ...] = field(default=(), repr=False)
    """Recovery codes that came with a factor that was set up on the way: shown with the next answer, and never kept."""
    actor: Actor | None = None
    """Who acts in the owner's place, if it is not the owner who signs in; `amr` and `authenticated_at` are the actor's then. A challenge
    of a gate, which only the owner could answer, refuses the attempt."""

    @property
    def multi_factor(self) -> bool:
        """Whether more than one factor was proved, be it by one credential that is two (a passkey whose user was verified)."""
        return MULTI_FACTOR in self.amr


MULTI_FACTOR = "mfa"
"""The value of `amr` that says so (RFC 8176)."""


def multi_factor(amr: Sequence[str], proved: Sequence[str]) -> tuple[str, ...]:
    """The methods of a first factor and of a second one, together."""
    return tuple(dict.fromkeys([*(value for value in (*amr, *proved) if value != MULTI_FACTOR), MULTI_FACTOR]))


def _nothing(attempt: LoginAttempt) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Fact:
    """A column read with the account, at no statement of its own."""

    column: sa.ColumnElement[Any]
    """Usually a scalar subquery, whose `bindparam(users.ACCOUNT)` is the account's key. Built once, at start: building costs more than reading."""
    values: Callable[[LoginAttempt], Mapping[str, Any]] = _nothing
    """What the column's own parameters are for an attempt; their names begin with the feature's."""


Bar = Callable[[LoginAttempt], bool]
"""Whether nobody signs in to the account, by whatever way, as its facts say. Must change nothing."""
Restore = Callable[[LoginAttempt, UserView], Callable[[], None] | None]
"""Asked before the gates, and where somebody wants to know whether an account that is switched off can sign in.

Must change nothing. None: nothing to say. Otherwise what brings the account back: the gates then see it as active, and it is called once
they have let the sign-in pass. It must be one conditional statement that decides, since somebody else may be faster; then the sign-in is
refused. May raise what refuses the sign-in."""
Gate = Callable[[LoginAttempt, UserView], LoginAttempt | None]
"""Raises to keep a right credential from becoming a session (disabled account, unverified address, ...). Returns None, or the attempt
with `authenticated_at` or `session_until` set."""
RefreshGate = Callable[[SessionState, UserView], datetime | None]
"""Asked when a session is refreshed, for what was not asked when it opened: None, or the time by which it has to end at the latest. Raises what
ends it now. A refresh costs two statements; what a gate adds it must add to few."""
Completion = Callable[[LoginAttempt, UserView, SessionState], None]
"""Told, in the transaction, that every gate was passed and the session is open. Not of one in which somebody acts in the owner's place."""


@dataclass(frozen=True)
class Answer:
    """What `POST /challenge` or `POST /reauthenticate` brings along for its `method`, as far as it was given."""

    code: str | None = field(default=None, repr=False)
    new_password: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    credential: Mapping[str, Any] | None = field(default=None, repr=False)  # a JSON object
    """For passkeys: what the browser answered (WebAuthn, `PublicKeyCredential.toJSON()`)."""
    occasion: str = ""
    """Names the sign-in that waits (`challenges.occasion`) or the session (its id) that it is given in, so that a ceremony can be bound to it."""


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
