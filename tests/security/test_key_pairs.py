"""Attacks on tokens that key pairs sign: every algorithm, keys in `JWT_*` and by the feature, at three doors each (see `doors.py`)."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest

from flask_accounts import ConfigurationError, default_features
from flask_accounts.core.keys import private_jwk, private_pem
from flask_accounts.features.signing_keys import SigningKeys
from tests.conftest import KEY, MakeSite, Site, bearer
from tests.pairs import ALGORITHMS, ENCODINGS, jwt_config, pair, public_pem

from .doors import assert_accepted, assert_refused, host_views
from .forging import bent, claims_of, encode, header_of, sign


def configured(make_site: MakeSite, algorithm: str) -> Site:
    return make_site(views=host_views, config=jwt_config(pair(algorithm)))


def kept(make_site: MakeSite, *algorithms: str, **config: Any) -> Site:
    """With the feature and its keys of the configuration, the first of which signs."""
    keys = [private_pem(pair(algorithm)) for algorithm in algorithms]
    return make_site(
        views=host_views, features=[*default_features(), SigningKeys()], config={"ACCOUNTS_SIGNING_KEYS": keys} | config
    )


def signed_in(site: Site) -> str:
    site.user("ann@example.com")
    token: str = site.tokens("ann@example.com")["access_token"]
    return token


def forged(token: str, key: Any, algorithm: str, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """The token's claims, changed, under a signature of `key`."""
    kept_header = {name: value for name, value in header_of(token).items() if name not in ("alg", "typ")}
    return jwt.encode(claims_of(token) | claims, key, algorithm=algorithm, headers=kept_header | (header or {}))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_names_its_key_and_is_taken_at_every_door(make_site: MakeSite, algorithm: str) -> None:
    site = configured(make_site, algorithm)
    token = signed_in(site)

    assert header_of(token) == {"alg": algorithm, "typ": "JWT", "kid": pair(algorithm).kid}
    assert_accepted(site, token)
    assert_accepted(site, forged(token, pair(algorithm).private, algorithm))


@pytest.mark.requirement("ASVS 9.1.1")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_stripped_changed_or_borrowed_signatures(make_site: MakeSite, algorithm: str) -> None:
    site = configured(make_site, algorithm)
    token = signed_in(site)
    head, body, signature = token.split(".")
    flipped = ("A" if signature[10] != "A" else "B").join([signature[:10], signature[11:]])
    zeros = encode(bytes(len(signature) * 3 // 4))  # CVE-2022-21449: a signature of nothing but zeros

    for bad in (f"{head}.{body}.", f"{head}.{body}.{flipped}", f"{head}.{body}.{signature[:-8]}", f"{head}.{body}.{zeros}"):
        assert_refused(site, bad)
    assert_refused(site, f"{head}.{encode(claims_of(token) | {'sub': '2'})}.{signature}")
    assert_refused(site, forged(token, pair(algorithm, 1).private, algorithm))


@pytest.mark.requirement("RFC8725 2.1", "ASVS 9.1.2")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("by_feature", [False, True], ids=["JWT_*", "SigningKeys"])
def test_the_public_key_as_a_shared_key_in_every_encoding(make_site: MakeSite, algorithm: str, by_feature: bool) -> None:
    """Also where a shared key of the past still verifies HS256."""
    old = {"ACCOUNTS_TOKENS_PREVIOUS_KEYS": ["the-shared-key-of-the-past-is-long-enough-012345"]}
    site = (
        kept(make_site, algorithm, **old) if by_feature else make_site(views=host_views, config=jwt_config(pair(algorithm)) | old)
    )
    token = signed_in(site)
    assert_accepted(site, token)
    headers: list[dict[str, Any]] = [header_of(token), {"typ": "JWT"}]

    for write in ENCODINGS.values():
        encoded = write(pair(algorithm))
        if encoded is None:
            continue
        for name, digest in (("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512"), (algorithm, "sha256")):
            for header in headers:
                for key in {encoded.encode(), encoded.encode("latin-1", "replace")}:
                    assert_refused(site, sign(header | {"alg": name}, claims_of(token), key=key, digest=digest))


@pytest.mark.requirement("RFC8725 3.1", "ASVS 9.1.2")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_another_algorithm_with_the_right_key_or_none_at_all(make_site: MakeSite, algorithm: str) -> None:
    site = kept(make_site, algorithm)
    token = signed_in(site)

    others = {"RS256": ("RS384", "RS512", "PS256"), "ES256": (), "EdDSA": ()}[algorithm]
    for other in others:
        assert_refused(site, forged(token, pair(algorithm).private, other))
    for spelling in ("none", "None", "NONE", "", None, [algorithm], 0, "ES256 ", "eddsa", "HS256"):
        head = encode(header_of(token) | {"alg": spelling})
        _, body, signature = token.split(".")
        assert_refused(site, f"{head}.{body}.{signature}")
        assert_refused(site, f"{head}.{body}.")


@pytest.mark.requirement("RFC8725 3.1", "ASVS 9.1.2")
def test_a_key_of_one_kind_under_the_name_of_another(make_site: MakeSite) -> None:
    """Two keys that both verify: neither signs in the other's name, nor by the other's algorithm."""
    site = kept(make_site, "RS256", "ES256")
    token = signed_in(site)
    assert_accepted(site, token)
    assert_accepted(site, forged(token, pair("ES256").private, "ES256", {"kid": pair("ES256").kid}))

    assert_refused(site, forged(token, pair("ES256").private, "ES256", {"kid": pair("RS256").kid}))
    assert_refused(site, forged(token, pair("RS256").private, "RS256", {"kid": pair("ES256").kid}))
    assert_refused(site, forged(token, pair("RS256").private, "PS256"))


@pytest.mark.requirement("ASVS 9.1.3")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_key_named_or_carried_by_the_token_itself(make_site: MakeSite, algorithm: str) -> None:
    site = kept(make_site, algorithm)
    token, attacker = signed_in(site), pair(algorithm, 1)

    for header in (
        {"jwk": attacker.jwk}, {"jwk": attacker.jwk, "kid": attacker.kid}, {"jwk": attacker.jwk | {"kid": pair(algorithm).kid}},
        {"jku": "https://attacker.example/keys.json"}, {"x5u": "https://attacker.example/chain.pem"},
        {"x5c": ["MIIB"]}, {"x5t": "x"}, {"kid": attacker.kid},
    ):  # fmt: skip
        assert_refused(site, forged(token, attacker.private, algorithm, header))


@pytest.mark.requirement("RFC8725 3.10")
@pytest.mark.parametrize("source", ["config", "folder", "database"])
def test_a_key_id_that_is_a_path_a_query_or_an_address(make_site: MakeSite, tmp_path: Any, source: str) -> None:
    attacker = pair("EdDSA", 1)
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "signing.pem").write_text(private_pem(pair("EdDSA")))
    (tmp_path / "planted.pem").write_text(private_pem(attacker))
    given = {"ACCOUNTS_SIGNING_KEYS": [private_pem(pair("EdDSA"))]} if source == "config" else {"ACCOUNTS_SIGNING_SOURCE": source}
    site = make_site(
        views=host_views, features=[*default_features(), SigningKeys()],
        config=given | ({"ACCOUNTS_SIGNING_FOLDER": str(folder)} if source == "folder" else {}),
    )  # fmt: skip
    if source == "database":
        assert site.app.test_cli_runner().invoke(args=["accounts", "keys", "generate"]).exit_code == 0
    token = signed_in(site)
    assert_accepted(site, token)

    for kid in (
        "../planted.pem", str(tmp_path / "planted.pem"), "../../../../../../dev/null", "/dev/null", "file:///dev/null",
        "' UNION SELECT 'x", "x' OR '1'='1", "1; DROP TABLE users", "%", "https://attacker.example/key", "$(id)", "\x00", "", "x" * 43,
        "é" * 43, "A" * 4000,
    ):  # fmt: skip
        assert_refused(site, forged(token, attacker.private, "EdDSA", {"kid": kid}))
        assert_refused(site, bent(token, header={"kid": kid, "alg": "HS256"}, key=b""))
    for odd in (["a"], {"a": 1}, 0, None, True):
        signature = token.split(".")[2]
        assert_refused(site, f"{encode(header_of(token) | {'kid': odd})}.{token.split('.')[1]}.{signature}")
    assert_accepted(site, token)


def test_a_token_without_a_key_id_is_taken_if_one_of_the_keys_has_signed_it(make_site: MakeSite) -> None:
    """As this library made them before, and as other software that has the key may."""
    site = kept(make_site, "EdDSA", "RS256")
    token = signed_in(site)

    for algorithm in ("EdDSA", "RS256"):
        assert_accepted(site, jwt.encode(claims_of(token), pair(algorithm).private, algorithm=algorithm))
        assert_refused(site, jwt.encode(claims_of(token), pair(algorithm, 1).private, algorithm=algorithm))


# A change of keys


def headers_of(site: Site, token: str) -> int:
    return site.client.get("/api/auth/me", headers=bearer(token)).status_code


@pytest.mark.requirement("ASVS 11.2.2")
def test_from_a_shared_key_to_a_pair_without_signing_anybody_out(make_site: MakeSite) -> None:
    before = make_site()
    before.user("ann@example.com")
    old = before.tokens("ann@example.com")

    after = make_site(
        features=[*default_features(), SigningKeys()],
        config={"ACCOUNTS_SIGNING_KEYS": [private_pem(pair("EdDSA"))], "ACCOUNTS_TOKENS_PREVIOUS_KEYS": [KEY]},
    )

    assert headers_of(after, old["access_token"]) == 200
    new = after.client.post("/api/auth/refresh", json={"refresh_token": old["refresh_token"]}).get_json()
    assert header_of(new["access_token"])["kid"] == pair("EdDSA").kid
    assert headers_of(after, new["access_token"]) == 200
    for algorithm, digest in (("HS384", "sha384"), ("HS512", "sha512")):
        assert headers_of(after, bent(old["access_token"], header={"alg": algorithm}, digest=digest)) == 401
    assert headers_of(after, bent(old["access_token"], header={"kid": pair("EdDSA").kid})) == 401


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.requirement("RFC8725 2.1")
def test_a_public_key_among_the_keys_of_the_past_is_never_a_shared_secret(make_site: MakeSite, encoding: str) -> None:
    """In PEM or the like it verifies what its pair signs; in an encoding that nobody reads the app does not start."""
    old = ENCODINGS[encoding](pair("RS256"))
    assert old is not None
    said = None
    try:
        site = kept(make_site, "EdDSA", ACCOUNTS_TOKENS_PREVIOUS_KEYS=[old])
    except ConfigurationError as refused:
        said = str(refused)
    if said is not None:
        assert said.startswith("ACCOUNTS_TOKENS_PREVIOUS_KEYS[0]")
        return
    token = signed_in(site)

    forged_token = sign({"alg": "HS256", "typ": "JWT"}, claims_of(token), key=old.encode())
    assert site.client.get("/api/auth/me", headers=bearer(forged_token)).status_code == 401
    assert headers_of(site, jwt.encode(claims_of(token), pair("RS256").private, algorithm="RS256")) == 200


@pytest.mark.requirement("ASVS 11.2.2")
def test_from_one_pair_to_the_next_in_the_configuration(make_site: MakeSite) -> None:
    """The old public key verifies; the old private key is not needed, and does not sign if it is given."""
    before = make_site(config=jwt_config(pair("RS256")))
    before.user("ann@example.com")
    old = before.tokens("ann@example.com")["access_token"]

    for given in (public_pem(pair("RS256")), private_pem(pair("RS256")), json.dumps(pair("RS256").jwk)):
        after = make_site(config=jwt_config(pair("RS256", 1)) | {"ACCOUNTS_TOKENS_PREVIOUS_KEYS": [given]})
        assert headers_of(after, old) == 200
        assert header_of(after.tokens("ann@example.com")["access_token"])["kid"] == pair("RS256", 1).kid
    alone = make_site(config=jwt_config(pair("RS256", 1)))
    assert headers_of(alone, old) == 401


@pytest.mark.requirement("ASVS 11.2.2")
def test_a_token_that_is_known_is_refused_once_its_key_is_gone(make_site: MakeSite) -> None:
    site = configured(make_site, "EdDSA")
    token = signed_in(site)
    assert headers_of(site, token) == 200

    site.app.config.update(jwt_config(pair("EdDSA", 1)))

    assert headers_of(site, token) == 401


# What is refused at the start


@pytest.mark.requirement("RFC8725 3.5")
@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"JWT_ALGORITHM": "RS256", "JWT_PRIVATE_KEY": "secret", "JWT_PUBLIC_KEY": "secret"}, "JWT_PRIVATE_KEY: It is neither"),
        (jwt_config(pair("EdDSA")) | {"JWT_PRIVATE_KEY": public_pem(pair("EdDSA"))}, "JWT_PRIVATE_KEY is a public key"),
        (jwt_config(pair("EdDSA")) | {"JWT_PUBLIC_KEY": public_pem(pair("EdDSA", 1))}, "not of one pair"),
        (jwt_config(pair("EdDSA")) | {"JWT_ALGORITHM": "ES256"}, "JWT_PRIVATE_KEY: A key of the kind OKP is for EdDSA"),
        (jwt_config(pair("ES256")) | {"JWT_ALGORITHM": "ES384"}, "A key of the kind EC is for ES256"),
        (jwt_config(pair("EdDSA")) | {"ACCOUNTS_TOKENS_PREVIOUS_KEYS": ["-----BEGIN PUBLIC KEY-----" + "x" * 40]}, r"PREVIOUS_KEYS\[0\]"),
        ({"ACCOUNTS_SIGNING_KEYS": [public_pem(pair("EdDSA"))]}, "public keys only"),
        ({"ACCOUNTS_SIGNING_KEYS": [private_pem(pair("EdDSA")), ""]}, r"ACCOUNTS_SIGNING_KEYS\[1\]: It is neither"),
        ({"ACCOUNTS_SIGNING_KEYS": [private_pem(pair("EdDSA"))] * 2}, "stands there twice"),
        ({"ACCOUNTS_SIGNING_KEYS": [private_pem(pair("EdDSA"))]} | jwt_config(pair("RS256")), "leave JWT_ALGORITHM"),
        ({"ACCOUNTS_SIGNING_SOURCE": "folder"}, "needs ACCOUNTS_SIGNING_FOLDER"),
        ({"ACCOUNTS_SIGNING_SOURCE": "database", "ACCOUNTS_SIGNING_PUBLISH_FOR": 60}, "must be at least"),
    ],
)  # fmt: skip
def test_no_start_with_keys_that_are_none(make_site: MakeSite, config: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        make_site(features=[*default_features(), SigningKeys()], config=config)

    assert "PRIVATE KEY-----" not in str(refused.value)


def test_settings_show_no_key(make_site: MakeSite) -> None:
    site = kept(make_site, "EdDSA", ACCOUNTS_AT_REST_KEYS=[KEY])

    shown = site.app.test_cli_runner().invoke(args=["accounts", "settings"]).output

    assert "ACCOUNTS_SIGNING_KEYS" in shown
    assert "PRIVATE KEY" not in shown
    assert KEY not in shown
    assert private_jwk(pair("EdDSA"))["d"] not in repr(site.testing.runtime.settings)
