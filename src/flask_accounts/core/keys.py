"""Key pairs that sign tokens: what a key is, how it is read, and the ring of those that count at a moment.

Where keys come from is a `KeySource`: the app's `JWT_*` configuration (`core.tokens`), or what a feature brings. Each key has one name,
the thumbprint of its public half (RFC 7638), and is bound to its algorithms: a token says by `kid` which key it means, and neither its
`alg` nor anything else in it has a say in how that key is used (RFC 8725 section 3.1).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import jwt

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
"""As the moment from which a key signs: since ever."""
CURVES = {
    "secp256r1": ("P-256", "ES256"),
    "secp384r1": ("P-384", "ES384"),
    "secp521r1": ("P-521", "ES512"),
    "secp256k1": ("secp256k1", "ES256K"),
}
"""Names of curves in a JWK, and the algorithm of each."""
OF_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
"""Algorithms that an RSA key may be bound to; the first where nothing says which."""
KID = re.compile(r"[A-Za-z0-9_-]{43}")
"""The form of a thumbprint. Whatever else calls itself a key id is not looked up anywhere (RFC 8725 section 3.10)."""


class UnreadableKey(ValueError):
    """What should be a key is none, or none that signs. The message never quotes it."""


@dataclass(frozen=True)
class Key:
    """A key pair, or its public half alone."""

    kid: str
    """Its thumbprint."""
    algorithms: tuple[str, ...]
    """What its signatures are taken under; it signs with the first."""
    public: Any = field(repr=False)  # a public key of the package cryptography
    private: Any = field(default=None, repr=False)
    signs_from: datetime | None = None
    """Since when, or from when on, it signs; None: not yet."""
    verifies_until: datetime | None = None
    """When what it has signed is not good any more; None: not known yet."""

    def verifies(self, now: datetime) -> bool:
        """Whether its signatures are good."""
        return self.verifies_until is None or now < self.verifies_until

    def may_sign(self, now: datetime) -> bool:
        """Whether it may sign, be there a newer one or not."""
        return self.private is not None and self.signs_from is not None and self.signs_from <= now and self.verifies(now)

    @property
    def jwk(self) -> dict[str, str]:
        """The public half as a JSON Web Key (RFC 7517)."""
        return {**members_of(self.public), "use": "sig", "alg": self.algorithms[0], "kid": self.kid}


class KeySource(Protocol):
    """Where keys are kept."""

    def keys(self) -> tuple[Key, ...]:
        """Every key. Asked on every request, so it must cost next to nothing: the same object while nothing has changed."""
        ...

    def look_again(self) -> tuple[Key, ...]:
        """The same, after a token that names an unknown key. Anybody can make one up: look where they are kept, but seldom."""
        ...


class KeyRing:
    """The keys of one moment. Of those that may sign, the one that began last does."""

    def __init__(self, keys: tuple[Key, ...], shared: Sequence[str] = (), *, now: datetime, older: Sequence[Key] = ()) -> None:
        """`older`: keys that verify besides, but for those that `keys` say something of; `shared`: secrets that verify HS256."""
        self.made_of: tuple[Key, ...] = keys
        self.shared: tuple[str, ...] = tuple(shared)
        said = {key.kid for key in keys}
        self.keys: tuple[Key, ...] = tuple(key for key in keys if key.verifies(now)) + tuple(
            key for key in older if key.kid not in said
        )
        self._by_kid = {key.kid: key for key in self.keys}
        self.signing: Key | None = signing_key(self.keys, now)
        self.basis: frozenset[object] = frozenset((key.kid, key.algorithms) for key in self.keys) | frozenset(self.shared)
        """What a signature was judged by."""
        turns = [moment for key in keys for moment in (key.signs_from, key.verifies_until) if moment is not None and moment > now]
        self._from, self._to = now, min(turns, default=None)

    def is_of(self, keys: tuple[Key, ...], now: datetime) -> bool:
        """Whether it is still the ring of `keys`."""
        return self.made_of is keys and self._from <= now and (self._to is None or now < self._to)

    def knows(self, kid: object) -> bool:
        """Whether a token's `kid` is that of one of these."""
        return isinstance(kid, str) and kid in self._by_kid

    def candidates(self, header: Mapping[str, Any]) -> list[tuple[Any, tuple[str, ...]]]:
        """The keys, each with its algorithms, that a token of this header may be signed by: the one that it names, or where it
        names none (it is older than names, or from elsewhere) those of its algorithm.
        """
        if "kid" in header:
            named = self._by_kid[header["kid"]] if self.knows(header["kid"]) else None
            return [(named.public, named.algorithms)] if named else []
        found = [(key.public, key.algorithms) for key in self.keys if header.get("alg") in key.algorithms]
        return found + [(secret, ("HS256",)) for secret in self.shared if header.get("alg") == "HS256"]


def signing_key(keys: Sequence[Key], now: datetime) -> Key | None:
    """The key that signs: the one that began last; of several, one that has not been given an end, and then the last in order."""
    able = [(key.signs_from or ALWAYS, key.verifies_until is None, place) for place, key in enumerate(keys) if key.may_sign(now)]
    return keys[max(able)[2]] if able else None


def is_kid(value: object) -> bool:
    """Whether `value` has the form of a key id of ours."""
    return isinstance(value, str) and KID.fullmatch(value) is not None


def key_of(given: Any, *, algorithms: Sequence[str] = (), **times: datetime | None) -> Key:
    """The key that a PEM, a JSON Web Key or an object of the package cryptography is.

    `algorithms`: those it is bound to; else what a JWK says by `alg`, or what its kind suggests. A JWK may say by `nbf` and `exp`
    (Unix time) from when it signs and until when it verifies. Raises `UnreadableKey`.
    """
    said: Mapping[str, Any] = {}
    found = given
    if isinstance(given, str | bytes):
        text = given.decode("utf-8", "replace") if isinstance(given, bytes) else given
        said = _jwk_in(text)
        found = _load_jwk(said) if said else _load_pem(text)
    private = found if hasattr(found, "private_bytes") else None
    public = found.public_key() if private is not None else found
    bound = tuple(algorithms) or ((said["alg"],) if "alg" in said else fitting(public)[:1])
    if not all(algorithm in fitting(public) for algorithm in bound):
        raise UnreadableKey(f"A key of the kind {members_of(public)['kty']} is for {', '.join(fitting(public))}.")
    for name, member in (("signs_from", "nbf"), ("verifies_until", "exp")):
        if member in said and name not in times:
            times[name] = _time(said[member])
    return Key(thumbprint(public), bound, public, private, **times)


def members_of(public: Any) -> dict[str, str]:
    """The members of a public key's JWK that make it that key (RFC 7638 section 3.2). Raises `UnreadableKey`."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name in CURVES:
        point, size = public.public_numbers(), (public.curve.key_size + 7) // 8
        return {"kty": "EC", "crv": CURVES[public.curve.name][0], "x": _number(point.x, size), "y": _number(point.y, size)}
    if isinstance(public, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        curve = "Ed25519" if isinstance(public, ed25519.Ed25519PublicKey) else "Ed448"
        return {"kty": "OKP", "crv": curve, "x": _text(public.public_bytes_raw())}
    raise UnreadableKey("It is no RSA, EC or Ed25519 key.")


def thumbprint(public: Any) -> str:
    """The SHA-256 thumbprint of a public key (RFC 7638)."""
    canonical = json.dumps(members_of(public), sort_keys=True, separators=(",", ":"))
    return _text(hashlib.sha256(canonical.encode()).digest())


def fitting(public: Any) -> tuple[str, ...]:
    """The algorithms that a public key's kind can be bound to."""
    members = members_of(public)
    if members["kty"] == "RSA":
        return OF_RSA
    if members["kty"] == "OKP":
        return ("EdDSA",)
    return tuple(algorithm for curve, algorithm in CURVES.values() if curve == members["crv"])


def hides_key_pair(secret: str) -> bool:
    """Whether a text that should be a shared secret is in truth a key of a pair, in whatever encoding.

    Public keys are public: taken for a shared secret, one would let everybody sign (RFC 8725 section 2.1).
    """
    stripped = secret.strip()
    if "-----BEGIN" in stripped or re.match(r"(ssh|ecdsa|sk-)\S* ", stripped) or '"kty"' in stripped:
        return True
    compact = re.sub(r"\s+", "", stripped)
    padded = compact + "=" * (-len(compact) % 4)
    tried = [text.encode("latin-1", "replace") for text in (secret, stripped)]  # the last byte may look like a blank
    for decode, text in ((base64.b64decode, padded), (base64.urlsafe_b64decode, padded), (bytes.fromhex, compact)):
        try:
            tried.append(decode(text))
        except ValueError:
            continue
    return any(_is_der(raw) or b"-----BEGIN" in raw for raw in tried)


def _is_der(raw: bytes) -> bool:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

    for load in (load_der_public_key, x509.load_der_x509_certificate, lambda data: load_der_private_key(data, None)):
        try:
            load(raw)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
        return True
    return False


def private_jwk(key: Key) -> dict[str, Any]:
    """A key with its private half as a JWK, to be kept; with the times that it has."""
    members: dict[str, Any] = json.loads(jwt.get_algorithm_by_name(key.algorithms[0]).to_jwk(key.private))
    members.pop("key_ops", None)
    times = {"nbf": key.signs_from, "exp": key.verifies_until}
    return members | key.jwk | {name: int(moment.timestamp()) for name, moment in times.items() if moment is not None}


def private_pem(key: Key) -> str:
    """The private half as PEM (PKCS 8), not encrypted."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem: bytes = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


def new_key(algorithm: str, **times: datetime | None) -> Key:
    """A new key pair."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if algorithm == "EdDSA":
        private: Any = ed25519.Ed25519PrivateKey.generate()
    elif algorithm in OF_RSA:
        private = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    else:
        curves: dict[str, type[Any]] = {"ES256": ec.SECP256R1, "ES256K": ec.SECP256K1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
        private = ec.generate_private_key(curves[algorithm]())
    return key_of(private, algorithms=(algorithm,), **times)


RSA_BITS = 3072
"""Bits of a new RSA key: 128 bits of security (NIST SP 800-57 part 1, table 2)."""


def _load_pem(text: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key, load_ssh_public_key

    raw = text.strip().encode()
    try:
        if raw.startswith((b"ssh-", b"ecdsa-")):
            return load_ssh_public_key(raw)
        return load_pem_private_key(raw, None) if b"PRIVATE KEY-----" in raw else load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise UnreadableKey("It is neither a key in PEM nor a JSON Web Key.") from None
    except TypeError:  # it asks for a passphrase
        raise UnreadableKey("It is encrypted with a passphrase: give it decrypted, from where only the app can read.") from None


def _jwk_in(text: str) -> dict[str, Any]:
    if not text.lstrip().startswith("{"):
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("kty") not in ("RSA", "EC", "OKP"):
        raise UnreadableKey("It is no JSON Web Key of a key pair.")
    return found


def _load_jwk(members: Mapping[str, Any]) -> Any:
    try:
        # By its kind alone: `alg` may name anything.
        return jwt.PyJWK({name: value for name, value in members.items() if name != "alg"}).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        raise UnreadableKey("It is no JSON Web Key that signs.") from None


def _time(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**35:
        raise UnreadableKey("Its nbf and exp must be Unix times.")
    return datetime.fromtimestamp(value, UTC)


def _number(value: int, size: int = 0) -> str:
    return _text(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
