"""Password hashing: Argon2id by default, older hashes understood and upgraded at the next sign-in.

Parameters follow the OWASP Password Storage Cheat Sheet (Argon2id, 19 MiB, 2 passes, 1 lane; ASVS
11.4.2). Passwords are NFC-normalised before hashing (NIST SP 800-63B-4 section 3.1.1.2), otherwise
taken exactly as received: no trimming, no case change, no truncation (ASVS 6.2.8).
"""

from __future__ import annotations

import hmac
import secrets
import threading
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar, Protocol

import argon2
import argon2.exceptions
from pydantic import Field

from .derivations import HashRefused
from .errors import ServiceUnavailable
from .legacy_hashes import MAX_STORED, STANDALONE, LegacyHashSettings, Schemes, schemes_of
from .settings import Settings
from .tracing import traced

MAX_LENGTH = 256
"""Longest password that is ever hashed, in code points; longer input is refused before hashing (ASVS 15.2.2)."""

SCHEMES: Mapping[str, str] = {
    "$argon2id$": "argon2id",
    "flask-security:": "flask_security",
    "firebase-scrypt:": "firebase",
    **{beginning: scheme.name for scheme in STANDALONE for beginning in scheme.beginnings if beginning != "$argon2id$"},
}
"""How encoded hashes begin, and what the scheme is called."""


class PasswordSettings(Settings):
    """What a password must be, and what a hash may cost."""

    prefix: ClassVar[str] = "password"

    min_length: int = Field(default=8, ge=1, le=64)
    """Fewest characters of a new password. 8 is ASVS 6.2.1; SP 800-63B-4 asks for 15 where the password is the only factor."""
    context_words: tuple[str, ...] = ()
    """Words a password may not be made of, such as the names of the company and the product (ASVS 6.2.11)."""
    check_at_sign_in: bool = False
    """Ask the policy at sign-in too: who signs in with a password that it refuses by now (it has become known, or the rules are
    stricter) must choose another first, by the challenge `password_change`. Reads the account once more."""
    memory_cost: int = Field(default=19_456, ge=8_192)
    """Memory of one Argon2id hash, in KiB."""
    time_cost: int = Field(default=2, ge=1)
    """Passes of one Argon2id hash."""
    parallelism: int = Field(default=1, ge=1)
    """Lanes of one Argon2id hash."""
    max_concurrent_hashes: int = Field(default=4, ge=1)
    """Most hashes computed at once in one process: bounds memory to this times `memory_cost`."""
    hash_patience: float = Field(default=5.0, gt=0)
    """Seconds a request waits for its turn to hash before it is answered with 503."""


class Hasher(Protocol):
    """Makes and checks the encoded hashes kept in `password_hash`; give an own one to `Accounts(hasher=)`."""

    def hash(self, password: str) -> str:
        """The encoded hash of `password`, salted anew at each call."""
        ...

    def verify(self, password: str, encoded: str) -> bool:
        """Whether `encoded` was made of `password`; False for a hash it cannot read, never an error."""
        ...

    def needs_rehash(self, encoded: str) -> bool:
        """Whether `encoded` should be replaced, being of an older scheme or weaker parameters."""
        ...


class Argon2Hasher:
    """Argon2id; also verifies the hashes of other systems, see `core.legacy_hashes`.

    `memory_cost` is in KiB, `time_cost` in passes, `parallelism` in lanes; `legacy` are the secrets of those other systems.
    """

    def __init__(
        self, *, memory_cost: int = 19_456, time_cost: int = 2, parallelism: int = 1, legacy: LegacyHashSettings | None = None
    ) -> None:
        self._argon2 = argon2.PasswordHasher(memory_cost=memory_cost, time_cost=time_cost, parallelism=parallelism)
        self.schemes: Schemes = schemes_of(legacy)
        """What it understands besides its own."""

    def hash(self, password: str) -> str:
        """The encoded Argon2id hash of the NFC form of `password`."""
        return self._argon2.hash(unicodedata.normalize("NFC", password))

    def verify(self, password: str, encoded: str) -> bool:
        """Whether `encoded` was made of `password`, whichever of the known schemes made it."""
        if self.needs_rehash(encoded):
            return self.schemes.verify(password, encoded)
        try:
            return self._argon2.verify(encoded, unicodedata.normalize("NFC", password))
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError, ValueError):
            return False  # not a hash at all: fail closed (ASVS 16.5.3)

    def check(self, encoded: str) -> None:
        """Raise `HashRefused` for a hash from elsewhere that could not be verified, or would cost too much."""
        if self.needs_rehash(encoded):
            self.schemes.read(encoded)

    def needs_rehash(self, encoded: str) -> bool:
        """True for every hash that is not Argon2id with this hasher's parameters."""
        if not encoded.startswith("$argon2id$"):
            return True
        try:
            return self._argon2.check_needs_rehash(encoded)
        except (argon2.exceptions.InvalidHashError, ValueError):
            return True


class BoundedHasher:
    """A hasher behind a gate: at most `concurrency` hashes at once in this process.

    Each Argon2 hash holds its memory while it runs, so without a bound a storm of sign-ins takes the
    machine's memory. Who waits longer than `patience` seconds gets `ServiceUnavailable` (503).
    """

    def __init__(self, hasher: Hasher, *, concurrency: int, patience: float) -> None:
        self.inner = hasher
        self._slots = threading.BoundedSemaphore(concurrency)
        self._patience = patience
        self._dummy: str | None = None
        self._dummy_lock = threading.Lock()

    @traced("accounts.password.hash", to=lambda encoded: {"hash_scheme": scheme(encoded)})
    def hash(self, password: str) -> str:
        """As `Hasher.hash`, in turn; refuses more than `MAX_LENGTH` code points with ValueError."""
        if len(password) > MAX_LENGTH:
            raise ValueError(f"A password has at most {MAX_LENGTH} characters.")
        with self._slot():
            return self.inner.hash(password)

    @traced(
        "accounts.password.verify",
        of=lambda hasher, password, encoded: {"hash_scheme": scheme(encoded)},
        to=lambda right: {"outcome": "match" if right else "mismatch"},
    )
    def verify(self, password: str, encoded: str | None) -> bool:
        """As `Hasher.verify`, in turn; an account without a hash costs the same and never matches."""
        if len(password) > MAX_LENGTH:
            return False
        with self._slot():
            # Asked for in either case: made only for unknown accounts, the first one would cost a hash more (ASVS 6.3.8).
            dummy = self._dummy_hash()
            return self.inner.verify(password, encoded or dummy) and bool(encoded)

    def needs_rehash(self, encoded: str) -> bool:
        """As `Hasher.needs_rehash`."""
        return self.inner.needs_rehash(encoded)

    def check(self, encoded: str) -> None:
        """Raise `HashRefused` for a hash from elsewhere that is not to be stored. A hasher without a `check` of its own takes all that fit."""
        if len(encoded) > MAX_STORED:
            raise HashRefused("hash_too_long", f"A hash has at most {MAX_STORED} characters.")
        check = getattr(self.inner, "check", None)
        if check is not None:
            check(encoded)

    def _dummy_hash(self) -> str:
        with self._dummy_lock:
            if self._dummy is None:
                self._dummy = self.inner.hash(secrets.token_urlsafe(16))
            return self._dummy

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(timeout=self._patience):
            raise ServiceUnavailable("Too many sign-ins at the moment.", retry_after=1)
        try:
            yield
        finally:
            self._slots.release()


def scheme(encoded: str | None) -> str:
    """The name of the scheme that made a hash: `other` for a host's own, `none` where there is no hash."""
    if not encoded:
        return "none"
    return next((name for beginning, name in SCHEMES.items() if encoded.startswith(beginning)), "other")


def same_secret(one: str, other: str) -> bool:
    """Compare two secrets in constant time (ASVS 11.2.4)."""
    return hmac.compare_digest(one.encode(), other.encode())
