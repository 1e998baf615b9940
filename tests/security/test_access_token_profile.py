"""Access tokens by RFC 9068: what they say, and that nothing else passes for one."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from flask import Flask
from flask_jwt_extended import create_access_token, jwt_required
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import ConfigurationError
from tests.conftest import KEY, MakeSite, Site, bearer

from .doors import assert_accepted, assert_refused, host_views
from .forging import bent, claims_of, header_of

ISSUER, AUDIENCE = "https://accounts.example", "https://orders.example"
PROFILE = {
    "ACCOUNTS_TOKENS_PROFILE": "at+jwt",
    "ACCOUNTS_TOKENS_CLIENT_ID": "shop-front-end",
    "JWT_ENCODE_ISSUER": ISSUER,
    "JWT_ENCODE_AUDIENCE": AUDIENCE,
}


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    site = make_site(views=host_views, config=PROFILE)
    site.user("ann@example.com")
    return site


@pytest.fixture
def tokens(site: Site) -> dict[str, Any]:
    return site.tokens("ann@example.com")


@pytest.mark.requirement("RFC9068 2.2", "RFC8725 3.11")
def test_an_access_token_has_the_type_and_every_claim_that_is_required(site: Site, tokens: dict[str, Any]) -> None:
    token = tokens["access_token"]

    claims = claims_of(token)

    assert header_of(token)["typ"] == "at+jwt"
    assert {name: claims[name] for name in ("iss", "aud", "client_id")} == {
        "iss": ISSUER, "aud": AUDIENCE, "client_id": "shop-front-end",
    }  # fmt: skip
    assert isinstance(claims["sub"], str)
    assert isinstance(claims["jti"], str)
    assert all(isinstance(claims[name], int) for name in ("iat", "exp", "auth_time"))
    assert claims["amr"] == ["pwd"]
    assert_accepted(site, token)


@pytest.mark.requirement("RFC9068 4", "RFC8725 3.12")
def test_a_refresh_token_is_of_another_type_and_for_the_issuer_alone(site: Site, tokens: dict[str, Any]) -> None:
    """A service that looks at nothing but signature, issuer and audience does not take it for an access token either."""
    refresh = tokens["refresh_token"]

    assert header_of(refresh)["typ"] == "JWT"
    assert claims_of(refresh)["aud"] == ISSUER
    assert "client_id" not in claims_of(refresh)
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(refresh, KEY, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER)
    assert_refused(site, refresh, "WRONG_TOKEN_TYPE", "INVALID_TOKEN")
    renewed = site.client.post("/api/auth/refresh", json={"refresh_token": refresh}).get_json()
    assert_accepted(site, renewed["access_token"])


@pytest.mark.requirement("RFC9068 4", "RFC8725 3.11")
@pytest.mark.parametrize("typ", ["JWT", "jwt", "", "rt+jwt", "at", "at+jwt ", "application/jwt", 7, None, ["at+jwt"], {}])
def test_an_access_token_of_another_type_is_refused(site: Site, tokens: dict[str, Any], typ: Any) -> None:
    assert_refused(site, bent(tokens["access_token"], header={"typ": typ}), "WRONG_TOKEN_TYPE", "INVALID_TOKEN")


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"])
def test_the_type_compares_as_media_types_do(site: Site, tokens: dict[str, Any], typ: str) -> None:
    assert_accepted(site, bent(tokens["access_token"], header={"typ": typ}))


@pytest.mark.requirement("RFC8725 3.12")
def test_a_refresh_token_under_the_type_of_an_access_token_is_refused(site: Site, tokens: dict[str, Any]) -> None:
    forged = bent(tokens["refresh_token"], header={"typ": "at+jwt"})

    assert_refused(site, forged, "WRONG_TOKEN_TYPE")
    answer = site.client.post("/api/auth/refresh", json={"refresh_token": forged})
    assert (answer.status_code, answer.get_json()["code"]) == (401, "WRONG_TOKEN_TYPE")


@pytest.mark.requirement("ASVS 9.2.3", "ASVS 9.2.4", "ASVS 10.3.1")
@pytest.mark.parametrize("audience", [ISSUER, [ISSUER], "https://orders.example.evil", "https://orders", "", []])
def test_an_access_token_for_the_issuer_or_for_somebody_else_is_refused(site: Site, tokens: dict[str, Any], audience: Any) -> None:
    assert_refused(site, bent(tokens["access_token"], aud=audience))


def test_an_access_token_for_several_is_for_each(make_site: MakeSite) -> None:
    site = make_site(views=host_views, config=PROFILE | {"JWT_ENCODE_AUDIENCE": [AUDIENCE, "https://mail.example"]})
    site.user("ann@example.com")
    token = site.tokens("ann@example.com")["access_token"]

    assert claims_of(token)["aud"] == [AUDIENCE, "https://mail.example"]
    assert_accepted(site, token)


def test_what_host_code_mints_is_of_the_profile_too(make_site: MakeSite) -> None:
    def views(app: Flask, db: SQLAlchemy) -> None:
        @app.get("/plain")
        @jwt_required()  # type: ignore[untyped-decorator]  # Flask-JWT-Extended is not typed
        def plain() -> str:
            return "in"

    site = make_site(views=views, config=PROFILE)
    ann = site.user("ann@example.com")
    with site.app.test_request_context():
        token = create_access_token(ann, additional_claims={"tenant": "north"})

    assert header_of(token) == {"alg": "HS256", "typ": "at+jwt"}
    assert (claims_of(token)["client_id"], claims_of(token)["tenant"]) == ("shop-front-end", "north")
    assert site.client.get("/plain", headers=bearer(token)).status_code == 200


def test_tokens_from_before_the_profile_are_exchanged_by_a_refresh(make_site: MakeSite) -> None:
    plain = {name: value for name, value in PROFILE.items() if name.startswith("JWT_")}
    before = make_site(config=plain)
    before.user("ann@example.com")
    old = before.tokens("ann@example.com")

    after = make_site(views=host_views, config=PROFILE)

    assert_refused(after, old["access_token"], "WRONG_TOKEN_TYPE")
    new = after.client.post("/api/auth/refresh", json={"refresh_token": old["refresh_token"]}).get_json()
    assert_accepted(after, new["access_token"])


@pytest.mark.parametrize("missing", ["ACCOUNTS_TOKENS_CLIENT_ID", "JWT_ENCODE_ISSUER", "JWT_ENCODE_AUDIENCE"])
def test_the_profile_does_not_start_without_what_it_requires(make_site: MakeSite, missing: str) -> None:
    config = {name: value for name, value in PROFILE.items() if name != missing}

    with pytest.raises(ConfigurationError, match=f"needs {missing}"):
        make_site(config=config)
