"""GET /jwks.json: public keys, for everybody, to be kept for a while."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from flask_accounts import default_features
from flask_accounts.core.keys import private_pem
from flask_accounts.features.signing_keys import SigningKeys
from tests.conftest import MakeSite, Site
from tests.pairs import ALGORITHMS, jwt_config, pair, public_pem

URL = "/api/auth/jwks.json"


def site_of(make_site: MakeSite, **config: Any) -> Site:
    return make_site(features=[*default_features(), SigningKeys()], config=config)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_public_half_and_nothing_else_is_published(make_site: MakeSite, algorithm: str) -> None:
    site = site_of(make_site, **jwt_config(pair(algorithm)))

    answer = site.client.get(URL)

    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    (key,) = answer.get_json()["keys"]
    assert key == pair(algorithm).jwk
    assert set(key) <= {"kty", "n", "e", "crv", "x", "y", "use", "alg", "kid"}


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
def test_plain_pyjwt_verifies_our_tokens_with_it(make_site: MakeSite, algorithm: str) -> None:
    site = site_of(
        make_site, JWT_ENCODE_ISSUER="https://accounts.example", JWT_ENCODE_AUDIENCE="orders", **jwt_config(pair(algorithm))
    )
    ann = site.user("ann@example.com")
    token = site.tokens("ann@example.com")["access_token"]

    found = jwt.PyJWKSet.from_dict(site.client.get(URL).get_json())

    key = found[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=[algorithm], audience="orders", issuer="https://accounts.example")
    assert claims["sub"] == str(ann.id)


def test_keys_of_the_past_and_of_the_future_are_there_and_shared_secrets_are_not(make_site: MakeSite) -> None:
    secret = "a-shared-key-of-the-past-0123456789-0123456789"
    site = site_of(
        make_site,
        ACCOUNTS_SIGNING_KEYS=[private_pem(pair("EdDSA")), private_pem(pair("ES256"))],
        ACCOUNTS_TOKENS_PREVIOUS_KEYS=[public_pem(pair("RS256")), secret],
    )

    answer = site.client.get(URL)

    assert [key["kid"] for key in answer.get_json()["keys"]] == [pair(name).kid for name in ("EdDSA", "ES256", "RS256")]
    assert secret not in answer.text
    assert "oct" not in answer.text


def test_where_a_shared_secret_signs_there_is_nothing_to_publish(make_site: MakeSite) -> None:
    site = site_of(make_site)
    site.statements.clear()

    assert site.client.get(URL).get_json() == {"keys": []}
    assert site.statements == []


def test_the_answer_may_be_kept_and_is_not_sent_again_to_who_has_it(make_site: MakeSite) -> None:
    config = jwt_config(pair("EdDSA"))
    site = site_of(make_site, ACCOUNTS_SIGNING_JWKS_MAX_AGE=600, **config)
    first = site.client.get(URL)
    tag = first.headers["ETag"]

    assert first.headers["Cache-Control"] == "public, max-age=600"
    for sent in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = site.client.get(URL, headers={"If-None-Match": sent})
        assert (again.status_code, again.data) == (304, b"")
        assert (again.headers["ETag"], again.headers["Cache-Control"]) == (tag, first.headers["Cache-Control"])
    for sent in ('"other"', "junk", ""):
        assert site.client.get(URL, headers={"If-None-Match": sent}).status_code == 200
    site.app.config.update(jwt_config(pair("EdDSA", 1)))
    assert site.client.get(URL, headers={"If-None-Match": tag}).status_code == 200


def test_it_is_for_anybody_whatever_they_send_along(make_site: MakeSite) -> None:
    site = site_of(make_site, **jwt_config(pair("EdDSA")))

    assert site.client.get(URL, headers={"Authorization": "Bearer junk"}).status_code == 200
    assert site.client.head(URL).status_code == 200
    assert site.client.post(URL).status_code == 405
