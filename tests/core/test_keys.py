"""Keys: read from every form, named by their thumbprint, bound to their algorithms; the ring of those that count."""

from __future__ import annotations

import base64
import functools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from flask_accounts.core.at_rest import Unreadable, Vault
from flask_accounts.core.keys import (
    ALWAYS,
    Key,
    KeyRing,
    UnreadableKey,
    hides_key_pair,
    is_kid,
    key_of,
    new_key,
    private_jwk,
    private_pem,
)
from tests.pairs import ALGORITHMS, ENCODINGS, pair

NOW = datetime(2026, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

RFC_7638 = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}
"""The example of RFC 7638 section 3.1."""
RFC_8037 = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
"""The example of RFC 8037 appendix A.3."""


@pytest.mark.parametrize(
    ("jwk", "kid"),
    [(RFC_7638, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"), (RFC_8037, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")],
    ids=["RFC 7638", "RFC 8037"],
)
def test_the_thumbprints_are_those_of_the_standards(jwk: dict[str, str], kid: str) -> None:
    """Whatever `kid` a JWK brings along."""
    assert key_of(json.dumps(jwk)).kid == kid


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_is_the_same_in_every_form(algorithm: str) -> None:
    key = pair(algorithm)

    forms: list[Any] = [private_pem(key), private_pem(key).encode(), json.dumps(private_jwk(key)), key.private]
    assert {key_of(form, algorithms=(algorithm,)).kid for form in forms} == {key.kid}
    public = [key.public, json.dumps(key.jwk), key.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)]
    assert {(found.kid, found.private) for found in (key_of(form, algorithms=(algorithm,)) for form in public)} == {(key.kid, None)}
    assert is_kid(key.kid)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_public_jwk_has_nothing_of_the_private_half(algorithm: str) -> None:
    key = pair(algorithm)

    assert set(key.jwk) <= {"kty", "n", "e", "crv", "x", "y", "use", "alg", "kid"}
    private = json.dumps({name: value for name, value in private_jwk(key).items() if name not in key.jwk})
    assert len(private) > 40
    assert not set(json.loads(private).values()) & set(key.jwk.values())


def test_what_is_said_of_a_key_shows_nothing_of_it() -> None:
    key = pair("EdDSA")

    assert repr(key) == f"Key(kid='{key.kid}', algorithms=('EdDSA',), signs_from=None, verifies_until=None)"


def test_coordinates_keep_their_leading_zeros() -> None:
    """RFC 7518 section 6.2.1.2: of full size, or thumbprints of one key would differ from one library to another."""
    small = next(private for private in (ec.derive_private_key(n, ec.SECP256R1()) for n in range(1, 2000)) if _x(private) < 2**248)

    found = key_of(small)

    assert len(base64.urlsafe_b64decode(found.jwk["x"] + "=")) == 32


def _x(private: ec.EllipticCurvePrivateKey) -> int:
    return private.public_key().public_numbers().x


def test_a_key_may_say_when_it_signs_and_when_it_is_over() -> None:
    jwk = private_jwk(pair("ES256")) | {"nbf": 1_800_000_000, "exp": 1_900_000_000}

    key = key_of(json.dumps(jwk))

    assert (key.signs_from, key.verifies_until) == (
        datetime.fromtimestamp(1_800_000_000, UTC),
        datetime.fromtimestamp(1_900_000_000, UTC),
    )


def bad_keys() -> dict[str, Any]:
    key = pair("RS256")
    locked = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))
    jwk = private_jwk(pair("ES256"))
    return {
        "empty": "", "a word": "secret", "a shared secret": '{"kty": "oct", "k": "c2VjcmV0"}', "no JSON": "{", "deep": "{" * 5000,
        "another kind": json.dumps({"kty": "XYZ"}), "a broken JWK": json.dumps({"kty": "RSA", "n": 1}), "half a point": json.dumps({**jwk, "y": "AA"}),
        "locked": locked.decode(), "half a PEM": private_pem(key)[:300], "a time that is none": json.dumps(jwk | {"exp": "never"}),
        "a time beyond all": json.dumps(jwk | {"exp": 10**30}), "an algorithm of another kind": json.dumps(jwk | {"alg": "RS256"}),
        "an algorithm of a shared secret": json.dumps(jwk | {"alg": "HS256"}), "a list of algorithms": json.dumps(jwk | {"alg": ["ES256"]}), "no algorithm": json.dumps(jwk | {"alg": "none"}),
        "a key that does not sign": x25519.X25519PrivateKey.generate(),
        "X25519 in PEM": x25519.X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "a curve that nobody uses": ec.generate_private_key(ec.SECP224R1()),
    }  # fmt: skip


BAD = functools.cache(bad_keys)


@pytest.mark.parametrize("name", BAD())
def test_what_is_no_key_is_refused_without_being_quoted(name: str) -> None:
    given = BAD()[name]

    with pytest.raises(UnreadableKey) as refused:
        key_of(given)

    said = str(refused.value)
    assert len(said) < 120
    assert not isinstance(given, str) or not given.strip() or given not in said


@pytest.mark.requirement("RFC8725 2.1")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_encoding_of_a_key_pair_passes_for_a_shared_secret(algorithm: str, encoding: str) -> None:
    encoded = ENCODINGS[encoding](pair(algorithm))
    if encoded is None:
        pytest.skip(f"{algorithm} has no such encoding")

    assert hides_key_pair(encoded)


def test_a_public_key_whose_bytes_end_like_a_blank_is_found_too() -> None:
    for number in range(400):
        encoded = ENCODINGS["DER"](pair("EdDSA", number))
        assert encoded is not None
        if encoded != encoded.strip():
            assert hides_key_pair(encoded)
            return
    raise AssertionError("none of 400 keys ends like that")


def test_a_shared_secret_is_one() -> None:
    for secret in (
        "a-signing-key-of-at-least-32-bytes-0123",
        "Vd8t5YxWqk2hZrJ0uM7nTgB4cLpX1sAeO9fQyK3iRw6",
        "0" * 64,
        "ä" * 40,
        "{x}" * 20,
    ):
        assert not hides_key_pair(secret)


# The ring


def of(algorithm: str, **times: Any) -> Key:
    return replace(pair(algorithm), **times)


def test_the_key_signs_that_began_last() -> None:
    first, second = of("RS256", signs_from=ALWAYS), of("ES256", signs_from=NOW - HOUR)
    waiting, coming = of("EdDSA"), of("ES384", signs_from=NOW + HOUR)
    keys = (second, first, waiting, coming)

    ring = KeyRing(keys, now=NOW)

    assert ring.signing == second
    assert {key.kid for key in ring.keys} == {key.kid for key in keys}
    assert ring.is_of(keys, NOW + HOUR - timedelta(seconds=1))
    assert not ring.is_of(keys, NOW + HOUR)
    assert not ring.is_of((*keys, of("PS256")), NOW)
    assert KeyRing(keys, now=NOW + HOUR).signing == coming


def test_of_two_that_began_together_the_later_in_order_signs() -> None:
    one, other = of("RS256", signs_from=ALWAYS), of("ES256", signs_from=ALWAYS)

    assert KeyRing((one, other), now=NOW).signing == other
    assert KeyRing((other, one), now=NOW).signing == one


def test_a_key_whose_time_is_over_neither_signs_nor_verifies() -> None:
    over, public = of("RS256", signs_from=ALWAYS, verifies_until=NOW), replace(pair("ES256"), private=None, signs_from=ALWAYS)

    ring = KeyRing((over, public), now=NOW)

    assert ring.signing is None
    assert ring.candidates({"kid": over.kid, "alg": "RS256"}) == []
    assert not ring.knows(over.kid)
    assert KeyRing((over,), now=NOW - HOUR).signing == over


@pytest.mark.requirement("RFC8725 3.10", "ASVS 9.1.3")
@pytest.mark.parametrize("kid", ["", "../../dev/null", "' OR 1=1 --", "x" * 43, None, 7, ["a"], {"a": 1}, True], ids=str)
def test_a_key_id_that_is_none_of_ours_finds_nothing(kid: Any) -> None:
    ring = KeyRing((of("RS256", signs_from=ALWAYS),), ["a-signing-key-of-at-least-32-bytes-0123"], now=NOW)

    assert ring.candidates({"kid": kid, "alg": "RS256"}) == []
    assert ring.candidates({"kid": kid, "alg": "HS256"}) == []


@pytest.mark.requirement("RFC8725 2.1", "RFC8725 3.1")
def test_each_key_is_offered_with_its_own_algorithms_only() -> None:
    rsa_key, shared = of("RS256", signs_from=ALWAYS), "a-signing-key-of-at-least-32-bytes-0123"
    ring = KeyRing((rsa_key,), [shared], now=NOW)

    assert ring.candidates({"alg": "RS256"}) == [(rsa_key.public, ("RS256",))]
    assert ring.candidates({"alg": "HS256"}) == [(shared, ("HS256",))]
    assert ring.candidates({"alg": "HS256", "kid": rsa_key.kid}) == [(rsa_key.public, ("RS256",))]
    for algorithm in ("HS384", "HS512", "none", "PS256", "RS384", None, ["RS256"]):
        assert ring.candidates({"alg": algorithm}) == []


def test_older_keys_verify_unless_the_source_says_otherwise() -> None:
    old, over = pair("RS256"), of("ES256", verifies_until=NOW)

    ring = KeyRing((of("EdDSA", signs_from=ALWAYS), over), now=NOW, older=[old, pair("ES256")])

    assert [key.algorithms for key in ring.keys] == [("EdDSA",), ("RS256",)]


def test_new_keys_are_strong() -> None:
    assert new_key("RS256").private.key_size == 3072
    assert isinstance(new_key("ES512").private.curve, ec.SECP521R1)
    assert isinstance(new_key("PS256").public, rsa.RSAPublicKey)
    assert new_key("EdDSA").kid != new_key("EdDSA").kid


# At rest

FIRST, SECOND = b"a-secret-of-at-least-32-bytes-number-1", b"a-secret-of-at-least-32-bytes-number-2"


@pytest.mark.requirement("ASVS 13.3.1", "ASVS 11.2.2")
def test_what_was_sealed_opens_with_the_same_secret_in_the_same_place_only() -> None:
    vault = Vault([FIRST], "keys")
    sealed = vault.seal(b"private", "row 1")

    assert vault.open(sealed, "row 1") == b"private"
    assert "private" not in sealed
    assert vault.seal(b"private", "row 1") != sealed
    others = [(vault, "row 2"), (Vault([SECOND], "keys"), "row 1"), (Vault([FIRST], "something else"), "row 1")]
    for other, about in others:
        with pytest.raises(Unreadable):
            other.open(sealed, about)


def test_an_older_secret_opens_and_the_first_one_seals() -> None:
    old = Vault([FIRST], "keys").seal(b"private", "row 1")
    both = Vault([SECOND, FIRST], "keys")

    assert both.open(old, "row 1") == b"private"
    assert not both.is_current(old)
    assert both.is_current(both.seal(b"private", "row 1"))


@pytest.mark.requirement("ASVS 13.3.1")
def test_what_was_altered_does_not_open() -> None:
    vault = Vault([FIRST], "keys")
    version, name, box = vault.seal(b"private", "row 1").split(".")
    flipped = ("B" if box[20] != "B" else "C").join([box[:20], box[21:]])

    for altered in (
        f"{version}.{name}.{flipped}",
        f"2.{name}.{box}",
        f"{version}.00000000.{box}",
        f"{version}.{name}.",
        "",
        "x",
        "a.b.c.d",
        f"{version}.{name}.ä",
    ):
        with pytest.raises(Unreadable):
            vault.open(altered, "row 1")
