"""Password hashes that other systems made, so that people who move here keep their passwords.

A hash is first read, which refuses what is malformed or would cost too much, and only then computed (`core.derivations`). So a
hostile row in an import (a thousand million iterations, a terabyte of memory) never reaches a sign-in. What is understood:

- `werkzeug.security`: `scrypt:`, `pbkdf2:`
- bcrypt: `$2a$`, `$2b$`, `$2y$`; Argon2: `$argon2id$`, `$argon2i$`, `$argon2d$`
- passlib and libpass (Flask-Security, flask-praetorian): `$pbkdf2-sha512$`, `$pbkdf2-sha256$`, `$pbkdf2$`, `$bcrypt-sha256$`, `$scrypt$`
- Django: `pbkdf2_sha256$`, `pbkdf2_sha1$`, `argon2$`, `bcrypt_sha256$`, `bcrypt$`, `scrypt$`

and, under a beginning that an import puts before them, because they do not say it themselves:

- `flask-security:` and one of the above, of what Flask-Security's HMAC makes of the password
- `flask-bcrypt-long:` and bcrypt, of the SHA-256 that Flask-Bcrypt takes with `BCRYPT_HANDLE_LONG_PASSWORDS`
- `firebase-scrypt:`, with the parameters of the Firebase project
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from pydantic import Field, SecretStr, field_validator

from .derivations import (
    MIN_DIGEST,
    Argon2,
    Bcrypt,
    Derivation,
    FirebaseScrypt,
    HashRefused,
    Pbkdf2,
    Scrypt,
    afford,
    decoded,
    malformed,
    require,
)
from .settings import Settings

logger: logging.Logger = logging.getLogger("flask_accounts.passwords")

MAX_STORED = 512
"""Longest encoded hash that is kept, in characters."""


class LegacyHashSettings(Settings):
    """Secrets without which hashes of other systems cannot be verified. Keep them as long as an account has such a hash."""

    prefix: ClassVar[str] = "password_hashes"

    flask_security_salt: SecretStr | None = None
    """`SECURITY_PASSWORD_SALT` of the Flask-Security app that accounts were imported from."""
    firebase_signer_key: SecretStr | None = None
    """`base64_signer_key` of the Firebase project."""
    firebase_salt_separator: SecretStr = SecretStr("Bw==")
    """`base64_salt_separator` of the Firebase project."""
    firebase_rounds: int = Field(default=8, ge=1, le=32)
    """`rounds` of the Firebase project; read by an import, which writes it into each hash."""
    firebase_mem_cost: int = Field(default=14, ge=1, le=17)
    """`mem_cost` of the Firebase project; read by an import, which writes it into each hash."""

    @field_validator("firebase_signer_key", "firebase_salt_separator")
    @classmethod
    def _is_base64(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                decoded(value.get_secret_value())
            except HashRefused:
                raise ValueError("give it in base64, as Firebase shows it") from None
        return value


@dataclass(frozen=True)
class LegacyHash:
    """A hash that was read and may be computed."""

    derivation: Derivation
    prepare: Callable[[str], bytes] = str.encode
    """What is hashed in place of the password itself."""
    forms: tuple[str, ...] = ("", "NFC", "NFKD")
    """Unicode forms of the password to try, which differ for few; the empty one is the text as typed, NFKD what Flask-Security hashes."""

    def matches(self, password: str) -> bool:
        """Whether the hash was made of `password`."""
        typed = (unicodedata.normalize(form, password) if form else password for form in self.forms)  # type: ignore[arg-type]  # the four forms
        return any(self.derivation.matches(self.prepare(text)) for text in dict.fromkeys(typed))


class Scheme(Protocol):
    """One way to write hashes down."""

    beginnings: ClassVar[tuple[str, ...]]
    """How such hashes begin."""
    name: ClassVar[str]
    """What it is called in traces and reports."""

    def read(self, encoded: str) -> LegacyHash:
        """The hash, ready to be verified; `HashRefused` for what is malformed or costs too much."""
        ...


class WerkzeugScrypt:
    """`scrypt:32768:8:1$salt$hexadecimal`, of `werkzeug.security`."""

    name: ClassVar[str] = "scrypt"
    beginnings: ClassVar[tuple[str, ...]] = ("scrypt:",)

    def read(self, encoded: str) -> LegacyHash:
        """As `Scheme.read`."""
        method, salt, digest = _parts(encoded, "$", 3)
        _, n, r, p = _parts(method, ":", 4)
        return LegacyHash(Scrypt(_number(n), _number(r), _number(p), salt.encode(), _hexadecimal(digest)))


class WerkzeugPbkdf2:
    """`pbkdf2:sha256:1000000$salt$hexadecimal`, of `werkzeug.security`."""

    name: ClassVar[str] = "pbkdf2"
    beginnings: ClassVar[tuple[str, ...]] = ("pbkdf2:",)

    def read(self, encoded: str) -> LegacyHash:
        """As `Scheme.read`."""
        method, salt, digest = _parts(encoded, "$", 3)
        _, algorithm, iterations = _parts(method, ":", 3)
        return LegacyHash(Pbkdf2(algorithm, _number(iterations), salt.encode(), _hexadecimal(digest)))


class PlainBcrypt:
    """`$2b$12$...`, of bcrypt itself, Flask-Bcrypt, passlib or PHP."""

    name: ClassVar[str] = "bcrypt"
    beginnings: ClassVar[tuple[str, ...]] = ("$2a$", "$2b$", "$2y$")

    def read(self, encoded: str) -> LegacyHash:
        """As `Scheme.read`."""
        return LegacyHash(Bcrypt(encoded))


class PlainArgon2:
    """`$argon2id$v=19$m=65536,t=3,p=4$salt$digest`, of argon2-cffi or passlib."""

    name: ClassVar[str] = "argon2"
    beginnings: ClassVar[tuple[str, ...]] = ("$argon2id$", "$argon2i$", "$argon2d$")

    def read(self, encoded: str) -> LegacyHash:
        """As `Scheme.read`."""
        return LegacyHash(Argon2(encoded), forms=("NFC", "", "NFKD"))


class PasslibPbkdf2:
    """`$pbkdf2-sha512$25000$salt$digest`, of passlib and libpass."""

    name: ClassVar[str] = "pbkdf2"
    beginnings: ClassVar[tuple[str, ...]] = ("$pbkdf2-sha512$", "$pbkdf2-sha256$", "$pbkdf2$")

    def read(self, encoded: str) -> LegacyHash:
        """As `Scheme.read`."""
        _, kind, iterations, salt, digest = _parts(encoded, "$", 5)
        algorithm = kind.partition("-")[2] or "sha1"
        return LegacyHash(Pbkdf2(algorithm, _number(iterations), decoded(salt), decoded(digest)))


class PasslibScrypt:
    """`$scrypt$ln=16,r=8,p=1$salt$digest`, of passlib and libpass."""

    name: ClassVar[str] = "scrypt"
    beginnings: ClassVar[tuple[str, ...]] = ("$scrypt$",)

    def read(self, encoded: str) -> LegacyHash:
        """As `Scheme.read`."""
        _, _, parameters, salt, digest = _parts(encoded, "$", 5)
        match = re.fullmatch(r"ln=(\d{1,2}),r=(\d{1,9}),p=(\d{1,9})", parameters, re.ASCII)
        if match is None:
            raise malformed()
        return LegacyHash(Scrypt(2 ** int(match[1]), int(match[2]), int(match[3]), decoded(salt), decoded(digest)))


class PasslibBcryptSha256:
    """`$bcrypt-sha256$v=2,t=2b,r=12$salt$digest`, and the older `$bcrypt-sha256$2b,12$salt$digest`, of passlib and libpass."""

    name: ClassVar[str] = "bcrypt"
    beginnings: ClassVar[tuple[str, ...]] = ("$bcrypt-sha256$",)

    def read(self, encoded: str) -> LegacyHash:
        """As `Scheme.read`."""
        _, _, parameters, salt, digest = _parts(encoded, "$", 5)
        match = re.fullmatch(r"(v=2,t=)?(2[ab]),(?:r=)?(\d{1,2})", parameters, re.ASCII)
        if match is None:
            raise malformed()

        def prepare(password: str) -> bytes:
            keyed = hmac.digest(salt.encode(), password.encode(), "sha256")
            return base64.b64encode(keyed if match[1] else hashlib.sha256(password.encode()).digest())

        return LegacyHash(Bcrypt(f"${match[2]}${int(match[3]):02}${salt}{digest}"), prepare)


class DjangoPbkdf2:
    """`pbkdf2_sha256$1000000$salt$digest`, of Django."""

    name: ClassVar[str] = "pbkdf2"
    beginnings: ClassVar[tuple[str, ...]] = ("pbkdf2_sha256$", "pbkdf2_sha1$")

    def read(self, encoded: str) -> LegacyHash:
        """As `Scheme.read`."""
        kind, iterations, salt, digest = _parts(encoded, "$", 4)
        return LegacyHash(Pbkdf2(kind.removeprefix("pbkdf2_"), _number(iterations), salt.encode(), decoded(digest)))


class DjangoScrypt:
    """`scrypt$16384$salt$8$5$digest`, of Django."""

    name: ClassVar[str] = "scrypt"
    beginnings: ClassVar[tuple[str, ...]] = ("scrypt$",)

    def read(self, encoded: str) -> LegacyHash:
        """As `Scheme.read`."""
        _, n, salt, r, p, digest = _parts(encoded, "$", 6)
        return LegacyHash(Scrypt(_number(n), _number(r), _number(p), salt.encode(), decoded(digest)))


class DjangoArgon2:
    """`argon2$argon2id$v=19$m=102400,t=2,p=8$salt$digest`, of Django."""

    name: ClassVar[str] = "argon2"
    beginnings: ClassVar[tuple[str, ...]] = ("argon2$",)

    def read(self, encoded: str) -> LegacyHash:
        """As `Scheme.read`."""
        return LegacyHash(Argon2(encoded.removeprefix("argon2")))


class DjangoBcrypt:
    """`bcrypt_sha256$$2b$12$...` and `bcrypt$$2b$12$...`, of Django."""

    name: ClassVar[str] = "bcrypt"
    beginnings: ClassVar[tuple[str, ...]] = ("bcrypt_sha256$", "bcrypt$")

    def read(self, encoded: str) -> LegacyHash:
        """As `Scheme.read`."""
        kind, _, rest = encoded.partition("$")
        return LegacyHash(Bcrypt(rest), sha256_text if kind == "bcrypt_sha256" else str.encode)


class FlaskBcryptLong:
    """`flask-bcrypt-long:$2b$12$...`: Flask-Bcrypt's with `BCRYPT_HANDLE_LONG_PASSWORDS`."""

    name: ClassVar[str] = "bcrypt"
    beginnings: ClassVar[tuple[str, ...]] = ("flask-bcrypt-long:",)

    def read(self, encoded: str) -> LegacyHash:
        """As `Scheme.read`."""
        return LegacyHash(Bcrypt(encoded.partition(":")[2]), sha256_text)


class FlaskSecurity:
    """`flask-security:` and a hash of passlib's, of the HMAC-SHA512 of the password under `SECURITY_PASSWORD_SALT`, in base64."""

    name: ClassVar[str] = "flask_security"
    beginnings: ClassVar[tuple[str, ...]] = ("flask-security:",)

    def __init__(self, salt: SecretStr | None, inner: Schemes) -> None:
        self._salt, self._inner = salt, inner

    def read(self, encoded: str) -> LegacyHash:
        """As `Scheme.read`."""
        if self._salt is None:
            raise _without("ACCOUNTS_PASSWORD_HASHES_FLASK_SECURITY_SALT")
        key = self._salt.get_secret_value().encode()
        found = self._inner.read(encoded.partition(":")[2])

        def prepare(password: str) -> bytes:
            return found.prepare(base64.b64encode(hmac.digest(key, password.encode(), "sha512")).decode())

        return LegacyHash(found.derivation, prepare, forms=("NFKD", "", "NFC"))


class Firebase:
    """`firebase-scrypt:8:14$salt$digest`: the project's rounds and memory cost, and an account's `salt` and `passwordHash`."""

    name: ClassVar[str] = "firebase"
    beginnings: ClassVar[tuple[str, ...]] = ("firebase-scrypt:",)

    def __init__(self, settings: LegacyHashSettings) -> None:
        self._signer_key, self._separator = settings.firebase_signer_key, settings.firebase_salt_separator

    def read(self, encoded: str) -> LegacyHash:
        """As `Scheme.read`."""
        if self._signer_key is None:
            raise _without("ACCOUNTS_PASSWORD_HASHES_FIREBASE_SIGNER_KEY")
        method, salt, digest = _parts(encoded, "$", 3)
        _, rounds, mem_cost = _parts(method, ":", 3)
        signer_key, stored = decoded(self._signer_key.get_secret_value()), decoded(digest)
        require(len(signer_key) == len(stored) >= MIN_DIGEST)
        afford(_number(mem_cost) <= 32)
        whole_salt = decoded(salt) + decoded(self._separator.get_secret_value())
        key = Scrypt(2 ** _number(mem_cost), _number(rounds), 1, whole_salt, bytes(32))
        return LegacyHash(FirebaseScrypt(key, signer_key, stored))


STANDALONE: tuple[Scheme, ...] = (
    WerkzeugScrypt(), WerkzeugPbkdf2(), PlainBcrypt(), PlainArgon2(), PasslibPbkdf2(), PasslibScrypt(), PasslibBcryptSha256(),
    DjangoPbkdf2(), DjangoScrypt(), DjangoArgon2(), DjangoBcrypt(), FlaskBcryptLong(),
)  # fmt: skip
"""The schemes whose hashes need nothing but the password."""


class Schemes:
    """The schemes that an app understands."""

    def __init__(self, schemes: Iterable[Scheme]) -> None:
        self._by_beginning = {beginning: scheme for scheme in schemes for beginning in scheme.beginnings}

    def of(self, encoded: str) -> Scheme | None:
        """The scheme that made a hash, or None."""
        return next((scheme for beginning, scheme in self._by_beginning.items() if encoded.startswith(beginning)), None)

    def read(self, encoded: str) -> LegacyHash:
        """The hash, ready to be verified; `HashRefused` for one that is not known, malformed, or costs too much."""
        if len(encoded) > MAX_STORED:
            raise HashRefused("hash_too_long", f"A hash has at most {MAX_STORED} characters.")
        scheme = self.of(encoded)
        if scheme is None:
            raise HashRefused("hash_unknown", "A password hash of a kind that is not known here.")
        try:
            return scheme.read(encoded)
        except UnicodeEncodeError:
            raise malformed() from None

    def verify(self, password: str, encoded: str) -> bool:
        """Whether `encoded` was made of `password`; False for what is no hash, never an error (ASVS 16.5.3)."""
        try:
            return self.read(encoded).matches(password)
        except HashRefused as refused:
            if refused.code == "hash_needs_secret":
                logger.error("A password could not be verified: %s", refused.message)
            return False
        except (ValueError, TypeError, OverflowError):
            return False


def schemes_of(settings: LegacyHashSettings | None) -> Schemes:
    """Every scheme, with an app's secrets; without settings those that need none."""
    settings = settings or LegacyHashSettings()
    return Schemes([*STANDALONE, FlaskSecurity(settings.flask_security_salt, Schemes(STANDALONE)), Firebase(settings)])


def sha256_text(password: str) -> bytes:
    """The SHA-256 of the password, in hexadecimal: how Django and Flask-Bcrypt bring it below bcrypt's 72 bytes."""
    return hashlib.sha256(password.encode()).hexdigest().encode()


def _hexadecimal(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise malformed() from None


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        raise malformed()
    return int(text)


def _parts(text: str, separator: str, count: int) -> list[str]:
    parts = text.split(separator)
    if len(parts) != count:
        raise malformed()
    return parts


def _without(key: str) -> HashRefused:
    return HashRefused("hash_needs_secret", f"Set {key}: without it these password hashes cannot be verified.")
