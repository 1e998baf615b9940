"""What a browser hands over, read strictly, and verified by the library `webauthn` (WebAuthn level 3, sections 7.1 and 7.2).

Attestation is not asked for. A statement that comes along all the same is put aside unread: nothing is decided by it, and what is not parsed
cannot be attacked. The library is imported when the first passkey comes, since it takes half a second.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ...core.errors import ValidationError
from .models import MAX_CREDENTIAL_ID
from .relying_party import RelyingParty

ALGORITHMS = (-8, -7, -257)
"""EdDSA, ES256, RS256 as COSE numbers them (RFC 9053), in the order of preference."""
MINIMUM_RSA = 2048
TRANSPORTS = ("usb", "nfc", "ble", "smart-card", "hybrid", "internal")


class Refused(Exception):
    """It does not prove what it should. The message says why, for the log, and holds nothing of what was given but an origin."""


def encoded(data: bytes) -> str:
    """Base64url without padding, as WebAuthn's JSON has it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """The bytes of base64url; `ValueError` for any other form than the one that `encoded` makes."""
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if text.isascii() else b""
    if encoded(data) != text:
        raise ValueError("not base64url without padding")
    return data


def _bytes(value: Any) -> Any:  # a JSON value
    return decoded(value) if isinstance(value, str) else value


Bytes = Annotated[bytes, BeforeValidator(_bytes)]
"""A member in base64url. A body is not long enough for any of them to be too long."""


class _Part(BaseModel):
    # Browsers add members as the standard grows.
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", strict=True)


class _AttestationResponse(_Part):
    client_data: Bytes = Field(alias="clientDataJSON")
    attestation: Bytes = Field(alias="attestationObject")
    transports: list[str] = Field(default_factory=list, max_length=20)


class _AssertionResponse(_Part):
    client_data: Bytes = Field(alias="clientDataJSON")
    authenticator_data: Bytes = Field(alias="authenticatorData")
    signature: Bytes
    user_handle: Annotated[bytes | None, BeforeValidator(_bytes)] = Field(None, alias="userHandle")


class _Credential(_Part):
    id: Bytes
    raw_id: Bytes = Field(alias="rawId")
    type: Literal["public-key"]


class _Attestation(_Credential):
    response: _AttestationResponse


class _Assertion(_Credential):
    response: _AssertionResponse


class _ClientData(_Part):
    type: str = Field(max_length=32)
    challenge: Bytes
    origin: str = Field(max_length=512)
    cross_origin: bool = Field(False, alias="crossOrigin")
    top_origin: str | None = Field(None, alias="topOrigin")


@dataclass(frozen=True)
class Given:
    """What a browser has handed over, read and not yet verified."""

    challenge: str
    """The challenge that it says it answers, in base64url."""
    credential_id: bytes
    client: _ClientData = field(repr=False)
    credential: _Attestation | _Assertion = field(repr=False)

    @property
    def user_handle(self) -> bytes | None:
        """Whose it is, as the authenticator says; None for one that keeps no list of accounts."""
        response = self.credential.response
        return (response.user_handle or None) if isinstance(response, _AssertionResponse) else None


@dataclass(frozen=True)
class NewCredential:
    """A passkey that was just made."""

    credential_id: bytes
    public_key: bytes = field(repr=False)
    sign_count: int
    aaguid: UUID
    transports: tuple[str, ...]
    backup_eligible: bool
    backed_up: bool
    user_verified: bool


@dataclass(frozen=True)
class Used:
    """What a right signature tells."""

    sign_count: int
    backup_eligible: bool
    backed_up: bool
    user_verified: bool


def read_attestation(given: Mapping[str, Any]) -> Given:
    """What `navigator.credentials.create()` gave, as `toJSON()` writes it; `ValidationError` for what is none."""
    return _read(_Attestation, given)


def read_assertion(given: Mapping[str, Any]) -> Given:
    """The same of `navigator.credentials.get()`."""
    return _read(_Assertion, given)


def _read(kind: type[_Attestation] | type[_Assertion], given: Mapping[str, Any]) -> Given:
    try:
        credential = kind.model_validate(dict(given))
        client = _ClientData.model_validate(json.loads(credential.response.client_data.decode()))
    except (pydantic.ValidationError, ValueError, RecursionError):
        raise malformed() from None
    if credential.id != credential.raw_id or not 0 < len(credential.id) <= MAX_CREDENTIAL_ID:
        raise malformed()
    return Given(encoded(client.challenge), credential.id, client, credential)


def malformed() -> ValidationError:
    """The refusal of what is no answer of a browser."""
    return ValidationError.one("credential", "credential_invalid", "This is not what a browser answers (WebAuthn).")


def _check_client(given: Given, kind: str, party: RelyingParty) -> None:
    client = given.client
    if client.type != kind:
        raise Refused("it is of another ceremony")
    if not party.takes(client.origin):
        raise Refused(f"the origin {client.origin!r} is none of ACCOUNTS_PASSKEYS_ORIGINS")
    if client.cross_origin or client.top_origin is not None:
        raise Refused("a page of another site has embedded the one that asked")


def verified_registration(given: Given, party: RelyingParty, *, must_verify: bool) -> NewCredential:
    """The passkey that was made, if all is right; `Refused`. That the challenge is one of ours is for the caller to know."""
    _check_client(given, "webauthn.create", party)
    credential = given.credential
    assert isinstance(credential, _Attestation)  # noqa: S101  # the caller has read one
    try:
        import webauthn
        from webauthn.helpers import encode_cbor, parse_attestation_object, parse_cbor
        from webauthn.helpers.cose import COSEAlgorithmIdentifier

        statement = parse_cbor(credential.response.attestation)
        bare = encode_cbor({"fmt": "none", "attStmt": {}, "authData": bytes(statement["authData"])})
        made = webauthn.verify_registration_response(
            credential=_for_library(given, {"attestationObject": encoded(bare)}),
            expected_challenge=decoded(given.challenge), expected_rp_id=party.id, expected_origin=given.client.origin,
            require_user_verification=must_verify,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(number) for number in ALGORITHMS],
        )  # fmt: skip
        data = parse_attestation_object(bare).auth_data
        _check_key(made.credential_public_key)
    except Refused:
        raise
    except Exception as error:  # what hostile bytes make a parser raise is not all its own
        raise Refused(f"the library says: {type(error).__name__}") from error
    if made.credential_id != given.credential_id:
        raise Refused("it names one passkey and holds another")
    transports = [word for word in TRANSPORTS if word in credential.response.transports]
    return NewCredential(
        made.credential_id, made.credential_public_key, made.sign_count, UUID(str(made.aaguid)), tuple(transports),
        backup_eligible=data.flags.be, backed_up=data.flags.bs, user_verified=data.flags.uv,
    )  # fmt: skip


def verified_assertion(given: Given, party: RelyingParty, *, public_key: bytes, must_verify: bool) -> Used:
    """What the signature tells, if all is right; `Refused`. Challenge, account and counter are for the caller to look at."""
    _check_client(given, "webauthn.get", party)
    response = given.credential.response
    assert isinstance(response, _AssertionResponse)  # noqa: S101  # the caller has read one
    try:
        import webauthn
        from webauthn.helpers import parse_authenticator_data

        webauthn.verify_authentication_response(
            credential=_for_library(
                given, {"authenticatorData": encoded(response.authenticator_data), "signature": encoded(response.signature)}
            ),
            expected_challenge=decoded(given.challenge), expected_rp_id=party.id, expected_origin=given.client.origin,
            credential_public_key=public_key, credential_current_sign_count=0, require_user_verification=must_verify,
        )  # fmt: skip
        told = parse_authenticator_data(response.authenticator_data)
    except Exception as error:  # what hostile bytes make a parser raise is not all its own
        raise Refused(f"the library says: {type(error).__name__}") from error
    return Used(told.sign_count, backup_eligible=told.flags.be, backed_up=told.flags.bs, user_verified=told.flags.uv)


def _for_library(given: Given, response: dict[str, str]) -> dict[str, Any]:
    name, client = encoded(given.credential_id), encoded(given.credential.response.client_data)
    return {"id": name, "rawId": name, "type": "public-key", "response": {"clientDataJSON": client, **response}}


def _check_key(cose: bytes) -> None:
    """Refuse a key that no signature could be verified with, or that its algorithm does not have (section 5.8.5)."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography

    told = decode_credential_public_key(cose)
    key = decoded_public_key_to_cryptography(told)
    fits = {
        -7: isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1),
        -8: isinstance(key, ed25519.Ed25519PublicKey),
        -257: isinstance(key, rsa.RSAPublicKey) and key.key_size >= MINIMUM_RSA,
    }
    if not fits.get(int(told.alg), False):
        raise Refused("its key is not of its algorithm")
