"""Forged and bent access tokens (ASVS V9.1, RFC 8725, RFC 7515): every one must be refused everywhere.

Each attack goes against our own route, a host view under `login_required` and a host view under plain
`@jwt_required()`: three ways into the same check. What the claims say is tried in `test_jwt_claims.py`.
"""

from __future__ import annotations

from typing import Any

import pytest

from flask_accounts import ConfigurationError
from tests.conftest import KEY, MakeSite, Site, bearer

from .doors import assert_accepted, assert_refused, host_views
from .forging import bent, claims_of, encode, header_of, sign

OWN_KEY = "the-attackers-own-key-0123456789abcdefghijklmnopqrstuvwxyz-0123456789"


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(views=host_views)


@pytest.fixture
def token(site: Site) -> str:
    site.user("ann@example.com")
    access: str = site.tokens("ann@example.com")["access_token"]
    return access


def test_the_forging_tools_make_tokens_that_pass_when_nothing_is_bent(site: Site, token: str) -> None:
    assert_accepted(site, token)
    assert_accepted(site, bent(token))


@pytest.mark.requirement("ASVS 9.1.1")
def test_stripped_truncated_or_changed_signature(site: Site, token: str) -> None:
    head, body, mac = token.split(".")
    flipped = ("A" if mac[0] != "A" else "B") + mac[1:]

    for forged in (
        f"{head}.{body}.", f"{head}.{body}", f"{head}.{body}.{mac[:-4]}", f"{head}.{body}.{flipped}", f"{head}.{body}.{mac}.{mac}",
        f"{head}..{mac}", f".{body}.{mac}", f"{body}.{head}.{mac}", "..", ".", "x", f"{head}.{body}.!!!!", f"{head}.{mac}.{body}",
    ):  # fmt: skip
        assert_refused(site, forged)


@pytest.mark.requirement("ASVS 9.1.1")
def test_changed_payload_under_the_old_signature(site: Site, token: str) -> None:
    victim = site.user("victim@example.com")
    head, _, mac = token.split(".")

    assert_refused(site, f"{head}.{encode(claims_of(token) | {'sub': str(victim.id)})}.{mac}")


@pytest.mark.requirement("ASVS 9.1.1")
def test_signature_of_another_key(site: Site, token: str) -> None:
    assert_refused(site, bent(token, key=OWN_KEY))


@pytest.mark.requirement("ASVS 9.1.2")
def test_another_algorithm_with_the_right_key(site: Site, token: str) -> None:
    for algorithm, digest in (
        ("HS384", "sha384"),
        ("HS512", "sha512"),
        ("HS256", "sha512"),
        ("HS512", "sha256"),
        ("RS256", "sha256"),
    ):
        assert_refused(site, bent(token, header={"alg": algorithm}, digest=digest))


@pytest.mark.requirement("RFC8725 3.1", "ASVS 9.1.2")
def test_algorithm_none_in_every_spelling_with_and_without_signature(site: Site, token: str) -> None:
    for spelling in ("none", "None", "NONE", "nOnE", "none ", "", None, ["HS256"], ["none"], {"a": 1}, 0, True):
        head, body, mac = bent(token, header={"alg": spelling}).split(".")

        assert_refused(site, f"{head}.{body}.{mac}")
        assert_refused(site, f"{head}.{body}.")


@pytest.mark.requirement("RFC8725 3.1", "ASVS 9.1.2")
def test_no_algorithm_at_all(site: Site, token: str) -> None:
    assert_refused(site, sign({"typ": "JWT"}, claims_of(token)))


@pytest.mark.requirement("ASVS 9.1.3")
def test_a_key_named_or_carried_by_the_token_itself(site: Site, token: str) -> None:
    for header in (
        {"jwk": {"kty": "oct", "k": encode(OWN_KEY.encode()), "alg": "HS256"}},
        {"jku": "https://attacker.example/keys.json"},
        {"x5u": "https://attacker.example/chain.pem"},
        {"x5c": [encode(OWN_KEY.encode())]},
        {"kid": OWN_KEY},
    ):
        assert_refused(site, bent(token, header=header, key=OWN_KEY))


@pytest.mark.requirement("RFC8725 3.10")
def test_a_key_id_that_is_a_path_a_query_or_an_address(site: Site, token: str) -> None:
    tried: list[tuple[Any, bytes]] = [
        ("../../../../dev/null", b""), ("/dev/null", b""), ("/proc/sys/kernel/randomize_va_space", b"2\n"), ("file:///dev/null", b""),
        ("' UNION SELECT 'x", b"x"), ("1; DROP TABLE users", b""), ("https://attacker.example/key", OWN_KEY.encode()),
        ("$(id)", b""), ("\x00", b""), (["a"], b""), ({"a": 1}, b""), (0, b"0"),
    ]  # fmt: skip

    for kid, key in tried:
        assert_refused(site, bent(token, header={"kid": kid}, key=key))


@pytest.mark.requirement("RFC7515 4.1.11")
def test_a_critical_extension_that_nobody_here_understands(site: Site, token: str) -> None:
    tried: list[Any] = [["x"], ["exp"], ["b64"], [], "x", None, {}, [1], ["alg"]]
    for crit in tried:
        assert_refused(site, bent(token, header={"crit": crit, "x": 1}))
    assert_refused(site, bent(token, header={"crit": ["b64"], "b64": False}))


@pytest.mark.requirement("RFC8725 3.4")
def test_a_signed_payload_that_is_no_object(site: Site) -> None:
    for payload in ([], [1], "text", 7, None, b"", b"{", b"\xff\xfe", b'{"a":' * 900):
        assert_refused(site, sign({"alg": "HS256", "typ": "JWT"}, payload))


@pytest.mark.requirement("RFC8725 3.4", "ASVS 15.2.2")
def test_a_deeply_nested_header_or_payload(site: Site, token: str) -> None:
    for depth in (500, 2500):
        nest = b'{"alg":"HS256","typ":' + b"[" * depth + b"]" * depth + b"}"
        for forged in (sign(nest, claims_of(token), key=OWN_KEY), sign(header_of(token), nest)):
            assert_refused(site, forged)


@pytest.mark.requirement("ASVS 15.2.2")
def test_a_bearer_of_a_megabyte(site: Site, token: str) -> None:
    assert_refused(site, "x" * 1_000_000)
    assert_refused(site, bent(token, padding="x" * 1_000_000))


@pytest.mark.requirement("RFC8725 3.5")
def test_well_known_secrets_do_not_verify(site: Site, token: str) -> None:
    for guess in ("", "secret", "changeme", "dev", "key", "JWT_SECRET_KEY", "super-secret", "your-256-bit-secret"):
        assert_refused(site, bent(token, key=guess))


@pytest.mark.requirement("RFC8725 3.5")
@pytest.mark.parametrize("key", [None, "", "secret", "31-bytes-are-one-byte-too-short"])
def test_production_does_not_start_with_a_missing_or_short_key(make_site: MakeSite, key: str | None) -> None:
    with pytest.raises(ConfigurationError, match="at least 32"):
        make_site(config={"SECRET_KEY": key, "TESTING": False})


@pytest.mark.requirement("RFC8725 3.5", "ASVS 11.2.2")
@pytest.mark.parametrize("keys", [[""], ["secret"], [KEY, "31-bytes-are-one-byte-too-short"]])
def test_a_weak_key_does_not_verify_either_once_it_is_the_previous_one(make_site: MakeSite, keys: list[str]) -> None:
    """An empty entry, as splitting an unset variable leaves one, would let anybody sign."""
    with pytest.raises(ConfigurationError, match="ACCOUNTS_TOKENS_PREVIOUS_KEYS"):
        make_site(config={"ACCOUNTS_TOKENS_PREVIOUS_KEYS": keys})


@pytest.mark.requirement("ASVS 9.1.2", "RFC8725 3.1")
@pytest.mark.parametrize(
    "config",
    [
        {"JWT_ALGORITHM": "none"},
        {"JWT_DECODE_ALGORITHMS": ["HS256", "none"]},
        {"JWT_DECODE_ALGORITHMS": ["HS256", "RS256"]},
        {"JWT_ALGORITHM": "RS256", "JWT_PRIVATE_KEY": "x", "JWT_PUBLIC_KEY": "x", "JWT_DECODE_ALGORITHMS": ["HS256"]},
    ],
    ids=str,
)
def test_no_start_with_none_or_with_two_families_of_algorithms(make_site: MakeSite, config: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="JWT_"):
        make_site(config=config)


@pytest.mark.requirement("RFC8725 2.1", "ASVS 9.1.2")
def test_the_public_key_as_a_shared_key_in_every_encoding(make_site: MakeSite) -> None:
    pytest.importorskip("cryptography", reason="cryptography is not installed: no RS256, so no confusion of RS and HS")
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    site = make_site(
        views=host_views,
        config={"JWT_ALGORITHM": "RS256", "JWT_PRIVATE_KEY": secret.decode(), "JWT_PUBLIC_KEY": pem.decode()},
    )
    site.user("ann@example.com")
    token = site.tokens("ann@example.com")["access_token"]
    assert_accepted(site, token)

    keys = [
        pem, pem.strip(), pem.replace(b"\n", b"\r\n"), pem.replace(b"\n", b""), b"".join(pem.split(b"\n")[1:-2]),
        public.public_bytes(Encoding.PEM, PublicFormat.PKCS1), public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.PKCS1), public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
    ]  # fmt: skip
    for key in keys:
        for algorithm, digest in (("HS256", "sha256"), ("HS512", "sha512"), ("RS256", "sha256")):
            assert_refused(site, bent(token, header={"alg": algorithm}, key=key, digest=digest))


@pytest.mark.requirement("ASVS 9.1.1", "RFC6750 2.1")
def test_a_forged_token_is_not_excused_by_an_optional_login(site: Site, token: str) -> None:
    """Where signing in is optional, wrong credentials are still refused, not taken for none."""
    answer = site.client.post("/api/users/", json={}, headers=bearer(bent(token, key=OWN_KEY)))

    assert answer.status_code == 401
