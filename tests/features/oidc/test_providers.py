"""How providers differ: GitHub's OAuth 2.0, Apple's form and secret, Microsoft's tenants, whose addresses count. And what is refused at start."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from flask_accounts import ConfigurationError, default_features
from flask_accounts.features.oidc import Apple, GitHub, GitLab, Google, Microsoft, Oidc, Provider
from flask_accounts.features.oidc.settings import settings_of
from tests import conftest
from tests.conftest import MakeSite

from .provider import CLIENT, Idp, key_of
from .tools import BASE, begin, come_back, exchange, oidc_config, outcome
from .tools import idp as idp
from .tools import make_site as make_site
from .tools import other as other

plain_site = conftest.make_site
TENANT, OTHER = "11111111-2222-3333-4444-555555555555", "66666666-2222-3333-4444-555555555555"
PEM = (
    key_of("ES256")
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode()
)


def github(idp: Idp, **person: Any) -> list[dict[str, Any]]:
    """Has the provider answer as GitHub does; the list of addresses is the test's to change."""
    emails = [
        {"email": "other@example.com", "primary": False, "verified": True},
        {"email": "gus@example.com", "primary": True, "verified": True},
    ]
    idp.names_itself = False
    idp.app.add_url_rule(
        "/api/v3/user", "user", lambda: {"id": 4711, "login": "gus", "email": "what-he-shows@example.com", **person}
    )
    idp.app.add_url_rule("/api/v3/user/emails", "emails", lambda: json.dumps(emails))
    idp.app.add_url_rule("/login/oauth/access_token", "access_token", idp.app.view_functions["token"], methods=["POST"])
    return emails


def at_github(make_site: MakeSite, other: Idp) -> Any:
    site = make_site(providers=[GitHub(url=other.issuer)])
    browser = site.client
    url = begin(browser, "github")
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert urlsplit(url).path == "/login/oauth/authorize"
    assert query["scope"] == "user:email"
    assert "nonce" not in query
    told = come_back(browser, other.approve(url), "github")
    return exchange(browser, told["code"]) if "code" in told else told


def test_github_is_asked_who_it_is_and_for_the_primary_address(make_site: MakeSite, other: Idp) -> None:
    github(other)

    assert at_github(make_site, other).get_json()["user"]["email"] == "gus@example.com"
    assert other.forms[0]["client_id"] == CLIENT
    assert len(other.forms[0]["code_verifier"]) == 43


@pytest.mark.requirement("ASVS 6.8.1")
def test_an_address_that_github_has_not_verified_does_not_count(make_site: MakeSite, other: Idp) -> None:
    github(other)[1]["verified"] = False

    assert outcome(at_github(make_site, other)) == (403, "IDENTITY_UNKNOWN")


@pytest.mark.requirement("ASVS 10.3.3")
@pytest.mark.parametrize("number", [None, "4711", True, 0, -1, 1.5])
def test_whom_github_does_not_number_it_does_not_know(make_site: MakeSite, other: Idp, number: Any) -> None:
    github(other, id=number)

    assert at_github(make_site, other)["error"] == "IDENTITY_INVALID"


def test_a_code_that_github_does_not_take_is_refused_though_it_answers_200(make_site: MakeSite, other: Idp) -> None:
    github(other)
    other.instead["/login/oauth/access_token"] = lambda: {"error": "bad_verification_code", "error_description": "x"}

    assert at_github(make_site, other)["error"] == "IDENTITY_REFUSED"


def test_apple_wants_a_signed_secret_and_comes_back_by_a_form(plain_site: MakeSite) -> None:
    config = oidc_config() | {
        "ACCOUNTS_OIDC_APPLE_CLIENT_ID": "com.example.app", "ACCOUNTS_OIDC_APPLE_TEAM_ID": "TEAM",
        "ACCOUNTS_OIDC_APPLE_KEY_ID": "KEY", "ACCOUNTS_OIDC_APPLE_PRIVATE_KEY": PEM,
    }  # fmt: skip
    site = plain_site(features=[*default_features(), Oidc([Apple()])], config=config)
    kind = settings_of(Apple())
    given = kind(client_id="com.example.app", team_id="TEAM", key_id="KEY", private_key=PEM)  # type: ignore[call-arg]  # made by name
    secret = Apple().secret(given, 1_700_000_000.0)

    options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(secret, key_of("ES256").public_key(), ["ES256"], audience="https://appleid.apple.com", options=options)  # type: ignore[arg-type]
    assert (claims["iss"], claims["sub"], claims["exp"] - claims["iat"]) == ("TEAM", "com.example.app", 300)
    assert jwt.get_unverified_header(secret)["kid"] == "KEY"
    assert PEM not in repr(given)

    hop = site.client.post("/api/auth/oidc/apple/callback", data={"state": "a b", "code": "c&d", "user": "{}"})
    assert (hop.status_code, hop.headers["Location"]) == (303, f"{BASE}/oidc/apple/callback?state=a+b&code=c%26d")
    assert "Set-Cookie" not in hop.headers


def test_nobody_else_comes_back_by_a_form(make_site: MakeSite) -> None:
    assert outcome(make_site().client.post("/api/auth/oidc/idp/callback", data={"state": "x"})) == (404, "NOT_FOUND")


def test_a_provider_that_is_not_there_is_not_found(make_site: MakeSite) -> None:
    client = make_site().client
    for answer in (
        client.post("/api/auth/oidc/nope/login"),
        client.get("/api/auth/oidc/nope/login"),
        client.get("/api/auth/oidc/nope/callback"),
    ):
        assert outcome(answer) == (404, "NOT_FOUND")


@pytest.mark.requirement("ASVS 10.5.4")
def test_microsofts_tenants_are_told_apart() -> None:
    def issuer(tenant: str) -> str:
        return f"https://login.microsoftonline.com/{tenant}/v2.0"

    one, common, work = Microsoft(TENANT), Microsoft("common"), Microsoft("organizations")
    assert one.issuer_fits(issuer(TENANT), {"tid": TENANT})
    assert not one.issuer_fits(issuer(OTHER), {"tid": OTHER})
    assert common.metadata_issuer == "https://login.microsoftonline.com/{tenantid}/v2.0"
    assert common.issuer_fits(issuer(OTHER), {"tid": OTHER})
    assert not common.issuer_fits(issuer(OTHER), {"tid": TENANT})
    assert not common.issuer_fits(issuer("x/../y"), {"tid": "x/../y"})
    assert not common.issuer_fits(issuer(OTHER), {})
    assert not work.issuer_fits(issuer(Microsoft.CONSUMERS), {"tid": Microsoft.CONSUMERS})
    assert Microsoft("consumers").issuer == issuer(Microsoft.CONSUMERS)
    assert common.may_be(issuer(OTHER))
    assert not one.may_be(issuer(OTHER))


@pytest.mark.requirement("ASVS 6.8.1")
@pytest.mark.parametrize(
    ("provider", "claims", "proved"),
    [
        (Google(), {"email": "a@gmail.com", "email_verified": True}, True),
        (Google(), {"email": "a@example.com", "email_verified": True, "hd": "example.com"}, True),
        (Google(), {"email": "a@example.com", "email_verified": True}, False),
        (Google(), {"email": "a@gmail.com", "email_verified": False}, False),
        (Google(), {"email": "a@notgmail.com", "email_verified": True}, False),
        (Google(trust_email=False), {"email": "a@gmail.com", "email_verified": True}, False),
        (Microsoft("common"), {"email": "a@example.com", "email_verified": True}, False),
        (Microsoft("common"), {"email": "a@example.com", "xms_edov": True}, True),
        (Microsoft(TENANT, trust_email=True), {"email": "a@example.com"}, True),
        (GitLab(), {"email": "a@example.com", "email_verified": True}, True),
        (GitLab(), {"email": "a@example.com", "email_verified": "true"}, False),
        (Apple(), {"email": "a@example.com", "email_verified": "true"}, True),
        (Apple(), {"email": "a@example.com", "email_verified": "false"}, False),
        (Provider("idp", "https://idp.example.com"), {"email": ["a@example.com"], "email_verified": True}, False),
    ],
)
def test_whose_addresses_count(provider: Provider, claims: dict[str, Any], proved: bool) -> None:
    assert provider.address(claims)[1] is proved


# What is refused at start


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("ACCOUNTS_OIDC_GOOGLE_CLIENT_ID", "ACCOUNTS_OIDC_GOOGLE_CLIENT_ID: Field required"),
        ("ACCOUNTS_OIDC_GOOGLE_CLIENT_SECRET", "ACCOUNTS_OIDC_GOOGLE_CLIENT_SECRET: Field required"),
        ("ACCOUNTS_OIDC_BASE_URL", "ACCOUNTS_OIDC_BASE_URL is missing"),
        ("ACCOUNTS_OIDC_FRONT_END_URL", "ACCOUNTS_OIDC_FRONT_END_URL is missing"),
    ],
)
def test_a_missing_setting_is_named_at_start(plain_site: MakeSite, missing: str, said: str) -> None:
    config = oidc_config("google")
    config.pop(missing)

    with pytest.raises(ConfigurationError, match=said):
        plain_site(features=[*default_features(), Oidc([Google()])], config=config)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ACCOUNTS_OIDC_BASE_URL", "http://api.example.com"),
        ("ACCOUNTS_OIDC_FRONT_END_URL", "/signed-in"),
        ("ACCOUNTS_OIDC_FRONT_END_URL", "https://app.example.com/#/in"),
        ("ACCOUNTS_OIDC_GOOGLE_CLIENT_SECRET", ""),
        ("ACCOUNTS_OIDC_GOGGLE_CLIENT_ID", "x"),
    ],
)
def test_a_bad_setting_is_named_and_not_shown(plain_site: MakeSite, name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        plain_site(features=[*default_features(), Oidc([Google()])], config=oidc_config("google") | {name: value})


def test_a_key_of_apples_that_signs_nothing_is_named_at_start_and_not_shown(plain_site: MakeSite) -> None:
    config = oidc_config() | {
        f"ACCOUNTS_OIDC_APPLE_{name}": "a-value" for name in ("CLIENT_ID", "TEAM_ID", "KEY_ID", "PRIVATE_KEY")
    }

    with pytest.raises(ConfigurationError, match="APPLE_PRIVATE_KEY is not") as caught:
        plain_site(features=[*default_features(), Oidc([Apple()])], config=config)
    assert "a-value" not in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Oidc([Google(), Google()]),
        lambda: Oidc([Google(), Google("again")]),
        lambda: Oidc(["google"]),  # type: ignore[list-item]
        lambda: Provider("Two Words", "https://idp.example.com"),
        lambda: Provider("idp", "https://idp.example.com", scopes=("email",)),
        lambda: Microsoft("contoso.com"),
        lambda: Microsoft("common", trust_email=True),
    ],
)
def test_what_cannot_be_meant_is_refused(make: Any) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_without_providers_there_is_nothing_to_sign_in_with(plain_site: MakeSite) -> None:
    site = plain_site(features=[*default_features(), Oidc()])

    assert site.client.get("/api/auth/oidc").get_json() == {"providers": []}
