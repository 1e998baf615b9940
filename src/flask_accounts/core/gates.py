"""The types of the sign-in pipeline: an attempt, the checks before it, the gates after it.

An *entry check* is asked before a credential is looked at (rate limits, lockout). A *gate* is asked
once the credential was right: may this sign-in finish? Both answer by raising an `AccountsError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from .errors import TooManyRequests
from .events import Client, Key
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


Gate = Callable[[LoginAttempt, UserView], None]
"""Raises to keep a right credential from becoming a session (disabled account, unverified address, ...)."""


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
