"""What password hashes are computed by: the key derivation functions, each with a bound on what one computation may cost.

A derivation is made of a stored hash's parameters, and refuses those that are malformed or would cost too much before anything is
computed. How systems write these parameters down is the business of `core.legacy_hashes`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Protocol

import argon2
import argon2.exceptions

MIN_DIGEST = 16
"""Fewest bytes that a digest may have: a shorter one fits too many passwords."""

# What one hash may cost, well above what the systems named above make by default, and at most a few seconds.
MAX_PBKDF2_ITERATIONS = 5_000_000
MAX_BCRYPT_COST = 16
MAX_SCRYPT_BYTES = 256 * 1024**2
MAX_SCRYPT_WORK = 2**23
"""Of N times r times p."""
MAX_ARGON2_KIB = 1024**2
MAX_ARGON2_WORK = 4 * 1024**2
"""Of KiB times passes."""
MAX_ARGON2_LANES = 64


class HashRefused(ValueError):
    """A hash that is not taken: `code` is `hash_unknown`, `hash_invalid`, `hash_too_costly`, `hash_too_long` or `hash_needs_secret`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Derivation(Protocol):
    """A stored hash, ready to be compared with what a secret gives."""

    def matches(self, secret: bytes) -> bool:
        """Whether the hash was made of `secret`."""
        ...


@dataclass(frozen=True)
class Pbkdf2:
    """PBKDF2 with HMAC (RFC 8018)."""

    algorithm: str
    iterations: int
    salt: bytes
    digest: bytes

    def __post_init__(self) -> None:
        if self.algorithm not in ("sha1", "sha224", "sha256", "sha384", "sha512"):
            raise HashRefused("hash_unknown", "PBKDF2 of a hash function that is not known here.")
        require(self.iterations >= 1)
        afford(self.iterations <= MAX_PBKDF2_ITERATIONS)
        require(MIN_DIGEST <= len(self.digest) <= 64)

    def matches(self, secret: bytes) -> bool:
        """Whether the digest was made of `secret`."""
        made = hashlib.pbkdf2_hmac(self.algorithm, secret, self.salt, self.iterations, len(self.digest))
        return hmac.compare_digest(made, self.digest)


@dataclass(frozen=True)
class Scrypt:
    """scrypt (RFC 7914)."""

    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    def __post_init__(self) -> None:
        require(self.n > 1 and self.n & (self.n - 1) == 0 and self.r >= 1 and self.p >= 1)
        afford(128 * self.n * self.r <= MAX_SCRYPT_BYTES and self.n * self.r * self.p <= MAX_SCRYPT_WORK)
        require(MIN_DIGEST <= len(self.digest) <= 128)

    def derive(self, secret: bytes, length: int) -> bytes:
        """`length` bytes of `secret`."""
        room = 128 * self.r * (self.n + self.p + 2) + 65_536
        return hashlib.scrypt(secret, salt=self.salt, n=self.n, r=self.r, p=self.p, maxmem=room, dklen=length)

    def matches(self, secret: bytes) -> bool:
        """Whether the digest was made of `secret`."""
        return hmac.compare_digest(self.derive(secret, len(self.digest)), self.digest)


@dataclass(frozen=True)
class Bcrypt:
    """bcrypt, which reads 72 bytes; the libraries that made these hashes cut there in silence."""

    encoded: str

    def __post_init__(self) -> None:
        match = re.fullmatch(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}", self.encoded, re.ASCII)
        require(match is not None and int(match[1]) >= 4)
        afford(match is not None and int(match[1]) <= MAX_BCRYPT_COST)

    def matches(self, secret: bytes) -> bool:
        """Whether the hash was made of the first 72 bytes of `secret`."""
        import bcrypt  # only where there are such hashes

        return bcrypt.checkpw(secret[:72], self.encoded.encode())


@dataclass(frozen=True)
class Argon2:
    """Argon2 (RFC 9106), of any kind."""

    encoded: str

    def __post_init__(self) -> None:
        try:
            found = argon2.extract_parameters(self.encoded)
        except (argon2.exceptions.InvalidHashError, ValueError):
            raise malformed() from None
        salt, digest = self.encoded.split("$")[-2:]
        require(found.time_cost >= 1 and found.parallelism >= 1 and found.memory_cost >= 8 * found.parallelism)
        afford(found.memory_cost <= MAX_ARGON2_KIB and found.memory_cost * found.time_cost <= MAX_ARGON2_WORK)
        afford(found.parallelism <= MAX_ARGON2_LANES)
        require(len(decoded(salt)) >= 8 and len(decoded(digest)) >= MIN_DIGEST)

    def matches(self, secret: bytes) -> bool:
        """Whether the hash was made of `secret`."""
        try:
            return argon2.PasswordHasher().verify(self.encoded, secret)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False


@dataclass(frozen=True)
class FirebaseScrypt:
    """Firebase's scrypt: what is stored is the project's signer key, encrypted under a key that is made of the password.

    Source: https://github.com/firebase/scrypt
    """

    key: Scrypt
    signer_key: bytes
    digest: bytes

    def matches(self, secret: bytes) -> bool:
        """Whether the key that `secret` gives encrypts the signer key to what is stored."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # only who comes from Firebase needs it

        encryptor = Cipher(algorithms.AES256(self.key.derive(secret, 32)), modes.CTR(bytes(16))).encryptor()
        return hmac.compare_digest(encryptor.update(self.signer_key) + encryptor.finalize(), self.digest)


def decoded(text: str) -> bytes:
    """Bytes out of base64: with or without padding, in the alphabets of RFC 4648 (both) and of passlib (`.` for `+`)."""
    plain = text.rstrip("=").translate(_ALPHABETS)
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise malformed() from None


_ALPHABETS = str.maketrans("-_.", "+/+")


def require(fits: bool) -> None:
    """Refuse what is not well-formed."""
    if not fits:
        raise malformed()


def afford(affordable: bool) -> None:
    """Refuse what costs too much."""
    if not affordable:
        raise HashRefused("hash_too_costly", "Verifying this password hash would cost too much time or memory.")


def malformed() -> HashRefused:
    """The refusal of what is no hash of its kind."""
    return HashRefused("hash_invalid", "A password hash that is not well-formed.")
