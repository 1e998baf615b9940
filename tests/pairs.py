"""Key pairs for the tests, made once, and the encodings that a public key may come in."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable
from typing import Any

from flask_accounts.core.keys import Key, key_of, new_key, private_pem

ALGORITHMS = ("EdDSA", "ES256", "ES384", "ES512", "ES256K", "RS256", "PS256")


@functools.cache
def pair(algorithm: str, number: int = 0) -> Key:
    """A key pair; another one for each number. RSA's is of 2048 bits, which are made sooner."""
    if algorithm[:2] not in ("RS", "PS"):
        return new_key(algorithm)
    from cryptography.hazmat.primitives.asymmetric import rsa

    return key_of(rsa.generate_private_key(public_exponent=65537, key_size=2048), algorithms=(algorithm,))


def public_pem(key: Key) -> str:
    return _public(key, "PEM", "SubjectPublicKeyInfo").decode()


def jwt_config(key: Key) -> dict[str, Any]:
    """The pair as Flask-JWT-Extended takes it."""
    return {"JWT_ALGORITHM": key.algorithms[0], "JWT_PRIVATE_KEY": private_pem(key), "JWT_PUBLIC_KEY": public_pem(key)}


def _public(key: Key, encoding: str, form: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    found: bytes = key.public.public_bytes(getattr(Encoding, encoding), getattr(PublicFormat, form))
    return found


def _rsa_only(form: Callable[[Key], str]) -> Callable[[Key], str | None]:
    return lambda key: form(key) if key.jwk["kty"] == "RSA" else None


ENCODINGS: dict[str, Callable[[Key], str | None]] = {
    "PEM": public_pem,
    "PEM, stripped": lambda key: public_pem(key).strip(),
    "PEM, CRLF": lambda key: public_pem(key).replace("\n", "\r\n"),
    "PEM, one line": lambda key: public_pem(key).replace("\n", ""),
    "PEM, its body": lambda key: "".join(public_pem(key).split("\n")[1:-2]),
    "PEM, its body in lines": lambda key: "\n".join(public_pem(key).split("\n")[1:-2]),
    "PEM in base64": lambda key: base64.b64encode(public_pem(key).encode()).decode(),
    "PEM, PKCS 1": _rsa_only(lambda key: _public(key, "PEM", "PKCS1").decode()),
    "DER": lambda key: _public(key, "DER", "SubjectPublicKeyInfo").decode("latin-1"),
    "DER in base64url": lambda key: base64.urlsafe_b64encode(_public(key, "DER", "SubjectPublicKeyInfo")).decode().rstrip("="),
    "DER in hex": lambda key: _public(key, "DER", "SubjectPublicKeyInfo").hex(),
    "DER, PKCS 1": _rsa_only(lambda key: _public(key, "DER", "PKCS1").decode("latin-1")),
    "OpenSSH": lambda key: _public(key, "OpenSSH", "OpenSSH").decode(),
    "JWK": lambda key: json.dumps(key.jwk),
    "private PEM": private_pem,
}
"""Ways to write a public key (or a whole pair) that somebody could take for a shared secret; None where a kind has no such way."""
