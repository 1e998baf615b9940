"""A software authenticator: makes passkeys and proves them as a browser would hand it over, and lies wherever a test wants it to.

Built on the algorithms themselves (cryptography, CBOR) and not on the library that verifies, so that the two do not share a mistake.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40
"""Flags of authenticator data (WebAuthn level 3, section 6.1)."""
ORIGIN = "http://localhost:5000"
ICLOUD = UUID("fbfc3007-154e-4ecc-8c0b-6e020557d7bd")
Json = dict[str, Any]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)  # once: it takes long


@dataclass
class Credential:
    """A passkey with its private half."""

    id: bytes
    rp_id: str
    handle: bytes
    algorithm: int
    key: Any
    counter: int = 0

    def sign(self, data: bytes) -> bytes:
        if self.algorithm == -7:
            signed: bytes = self.key.sign(data, ec.ECDSA(hashes.SHA256()))
        elif self.algorithm == -257:
            signed = self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        else:
            signed = self.key.sign(data)
        return signed

    def cose(self) -> Json:
        """The public half as a COSE key (RFC 9053)."""
        public = self.key.public_key()
        if self.algorithm == -7:
            numbers = public.public_numbers()
            return {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}  # type: ignore[dict-item]
        if self.algorithm == -257:
            numbers = public.public_numbers()
            return {1: 3, 3: -257, -1: numbers.n.to_bytes(256, "big"), -2: b"\x01\x00\x01"}  # type: ignore[dict-item]
        return {1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()}  # type: ignore[dict-item]


def _new_key(algorithm: int) -> Any:
    if algorithm == -7:
        return ec.generate_private_key(ec.SECP256R1())
    return _RSA if algorithm == -257 else ed25519.Ed25519PrivateKey.generate()


@dataclass
class Authenticator:
    """Keeps passkeys. `counts`: it has a signature counter. `verifies`: it knows its owner. `synced`: its passkeys are copied."""

    origin: str = ORIGIN
    algorithm: int | None = None
    """Else the first of the options."""
    counts: bool = False
    verifies: bool = True
    synced: bool = True
    aaguid: UUID = ICLOUD
    credentials: list[Credential] = field(default_factory=list)

    @property
    def flags(self) -> int:
        return UP | (UV if self.verifies else 0) | (BE | BS if self.synced else 0)

    def make(
        self,
        options: Mapping[str, Any],
        *,
        client: Mapping[str, Any] | None = None,
        flags: int | None = None,
        rp_id: str | None = None,
        credential_id: bytes | None = None,
        cose: Any = None,
        statement: Mapping[str, Any] | None = None,
        aaguid: bytes | None = None,
        counter: int | None = None,
        extra: bytes = b"",
        bend: Callable[[Json], None] = lambda answer: None,
    ) -> Json:
        """`navigator.credentials.create()`, as JSON. Each argument bends one part of what is right."""
        asked = [each["alg"] for each in options["pubKeyCredParams"]]
        algorithm = self.algorithm if self.algorithm is not None else asked[0]
        credential = Credential(
            credential_id if credential_id is not None else secrets.token_bytes(32),
            options["rp"]["id"], unb64(options["user"]["id"]), algorithm, _new_key(algorithm), 1 if self.counts else 0,
        )  # fmt: skip
        if any(unb64(known["id"]) == held.id for known in options["excludeCredentials"] for held in self.credentials):
            raise RuntimeError("InvalidStateError: there is a passkey of this account already")
        public = cbor2.dumps(credential.cose() if cose is None else cose)
        data = (
            hashlib.sha256((rp_id or credential.rp_id).encode()).digest()
            + bytes([(self.flags | AT) if flags is None else flags])
            + (credential.counter if counter is None else counter).to_bytes(4, "big")
            + (self.aaguid.bytes if aaguid is None else aaguid)
            + len(credential.id).to_bytes(2, "big") + credential.id + public + extra
        )  # fmt: skip
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data} | dict(statement or {}))
        answer: Json = {
            "id": b64(credential.id), "rawId": b64(credential.id), "type": "public-key", "authenticatorAttachment": "platform",
            "clientExtensionResults": {"credProps": {"rk": True}},
            "response": {
                "clientDataJSON": b64(self._client("webauthn.create", options, client)),
                "attestationObject": b64(attestation), "transports": ["internal", "hybrid"],
            },
        }  # fmt: skip
        bend(answer)
        self.credentials.append(credential)
        return answer

    def prove(
        self,
        options: Mapping[str, Any],
        credential: Credential | None = None,
        *,
        client: Mapping[str, Any] | None = None,
        flags: int | None = None,
        rp_id: str | None = None,
        handle: bytes | None = None,
        counter: int | None = None,
        signature: bytes | None = None,
        bend: Callable[[Json], None] = lambda answer: None,
    ) -> Json:
        """`navigator.credentials.get()`, as JSON, by the newest passkey unless another one is named."""
        credential = credential or self.credentials[-1]
        if self.counts:
            credential.counter += 1
        data = (
            hashlib.sha256((rp_id or options["rpId"]).encode()).digest()
            + bytes([self.flags if flags is None else flags])
            + (credential.counter if counter is None else counter).to_bytes(4, "big")
        )
        raw = self._client("webauthn.get", options, client)
        answer: Json = {
            "id": b64(credential.id), "rawId": b64(credential.id), "type": "public-key", "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": b64(raw), "authenticatorData": b64(data),
                "signature": b64(signature if signature is not None else credential.sign(data + hashlib.sha256(raw).digest())),
                "userHandle": b64(credential.handle if handle is None else handle),
            },
        }  # fmt: skip
        bend(answer)
        return answer

    def _client(self, kind: str, options: Mapping[str, Any], bent: Mapping[str, Any] | None) -> bytes:
        said = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(said | dict(bent or {})).encode()
