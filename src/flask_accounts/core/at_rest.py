"""Secrets at rest: what the app itself must be able to read again, kept in the database so that the database alone tells nothing.

AES-256-GCM under a key that is derived, for one purpose, from a secret that the database does not hold. What is kept is bound to what it
is about, so that it cannot be moved to another row. It names the key that it was sealed with: a new first secret seals from then on, and
the older ones still open (ASVS 11.2.2, ASVS 13.3.1).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from flask import Flask
from pydantic import SecretStr

from .errors import ConfigurationError
from .keys import hides_key_pair
from .settings import Settings

MINIMUM_SECRET = 32
"""Fewest bytes of a secret that keys are derived from."""
NONCE = 12
"""Bytes of a nonce, random for each sealing (NIST SP 800-38D section 8.2.2)."""
VERSION = "1"


class AtRestSettings(Settings):
    """Under which secrets the app keeps what it must be able to read again, such as private keys and tokens of identity providers."""

    prefix: ClassVar[str] = "at_rest"

    keys: tuple[SecretStr, ...] = ()
    """Secrets of 32 bytes or more: the first seals, all of them open. Left out: those among `SECRET_KEY`, `SECRET_KEY_FALLBACKS`,
    `JWT_SECRET_KEY` and `ACCOUNTS_TOKENS_PREVIOUS_KEYS` that are long enough, in this order. To change the secret, put the new one first,
    run `flask accounts reseal`, and take the old one out."""


class Unreadable(Exception):
    """What was sealed does not open: by another secret, altered, or put where it does not belong."""


@dataclass(frozen=True)
class _SealingKey:
    name: str
    key: bytes = field(repr=False)


class Vault:
    """Seals and opens for one purpose."""

    def __init__(self, sources: Sequence[bytes], purpose: str) -> None:
        self._keys = [_derive(source, purpose) for source in sources]

    def seal(self, plain: bytes, about: str) -> str:
        """`plain`, to be opened again only with the same `about`: the name of the row that it stands in."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        first, nonce = self._keys[0], secrets.token_bytes(NONCE)
        box = nonce + AESGCM(first.key).encrypt(nonce, plain, about.encode())
        return ".".join([VERSION, first.name, base64.urlsafe_b64encode(box).decode()])

    def open(self, sealed: str, about: str) -> bytes:
        """What was sealed about this; `Unreadable`."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            version, name, text = sealed.split(".")
            box = base64.urlsafe_b64decode(text)
            found = next(each for each in self._keys if each.name == name and version == VERSION)
            return AESGCM(found.key).decrypt(box[:NONCE], box[NONCE:], about.encode())
        except (ValueError, StopIteration, InvalidTag):
            raise Unreadable from None

    def is_current(self, sealed: str) -> bool:
        """Whether it was sealed with the secret that seals now."""
        return sealed.split(".")[1:2] == [self._keys[0].name]


class AtRest:
    """Gives out vaults, under the app's secrets as they are at that moment. `older`: signing keys that were the app's secret once."""

    def __init__(self, app: Flask, settings: AtRestSettings, older: Sequence[SecretStr] = ()) -> None:
        self._app, self._settings, self._older = app, settings, tuple(older)

    def vault(self, purpose: str) -> Vault:
        """The vault of a purpose; `ConfigurationError` without a secret that is good enough."""
        sources = [_bytes(key.get_secret_value()) for key in self._settings.keys]
        name = AtRestSettings.key("keys")
        if not sources:
            name, config = "SECRET_KEY", self._app.config
            given = [self._app.secret_key, *(config.get("SECRET_KEY_FALLBACKS") or ()), config.get("JWT_SECRET_KEY")]
            # A public key of a pair may stand among them. It is no secret: whoever writes to the database could seal with it.
            given += [key.get_secret_value() for key in self._older if not hides_key_pair(key.get_secret_value())]
            # What signs tokens may be shorter where nothing is at stake (`jwt_extended.check_key`), and so may this.
            minimum = 1 if self._app.debug or self._app.testing else MINIMUM_SECRET
            sources = [source for source in map(_bytes, given) if len(source) >= minimum]
        if not sources or (self._settings.keys and any(len(source) < MINIMUM_SECRET for source in sources)):
            raise ConfigurationError(
                f"{name}: what is kept secret in the database needs a secret of {MINIMUM_SECRET} bytes or more. Make one: "
                "python -c 'import secrets; print(secrets.token_urlsafe(48))'"
            )
        return Vault(sources, purpose)


def _bytes(secret: object) -> bytes:
    return secret.encode() if isinstance(secret, str) else secret if isinstance(secret, bytes) else b""


def _derive(source: bytes, purpose: str) -> _SealingKey:
    """A key for one purpose (RFC 5869), and a name for it that tells nothing."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    made = HKDF(hashes.SHA256(), 40, salt=None, info=b"flask_accounts at rest: " + purpose.encode()).derive(source)
    return _SealingKey(hashlib.sha256(made[32:]).hexdigest()[:8], made[:32])
