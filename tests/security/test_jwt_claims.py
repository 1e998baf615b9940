"""Rightly signed tokens whose claims are wrong: missing, of odd types, for others, at the wrong time or door (ASVS V9.2)."""

from __future__ import annotations

from typing import Any

import pytest
from flask_jwt_extended import create_access_token

from tests.conftest import MakeSite, Site, bearer

from .doors import assert_accepted, assert_refused, host_views
from .forging import DROP, bent, claims_of


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(views=host_views)


@pytest.fixture
def pair(site: Site) -> dict[str, Any]:
    site.user("ann@example.com")
    return site.tokens("ann@example.com")


@pytest.mark.requirement("RFC8725 3.12", "ASVS 9.2.1")
def test_a_claim_left_out(site: Site, pair: dict[str, Any]) -> None:
    left_out: list[dict[str, Any]] = [{"exp": DROP}, {"sub": DROP}, {"jti": DROP}]
    for claims in left_out:
        assert_refused(site, bent(pair["access_token"], **claims))


@pytest.mark.requirement("RFC8725 3.12", "RFC8725 3.11", "ASVS 9.2.2")
def test_a_token_of_no_kind_or_of_another_purpose(site: Site, pair: dict[str, Any]) -> None:
    for kind in (DROP, "mfa", "reset", "", None, 1, ["access"], {"access": 1}, "ACCESS"):
        assert_refused(site, bent(pair["access_token"], type=kind), "WRONG_TOKEN_TYPE")


ODD: dict[str, list[Any]] = {
    "exp": ["tomorrow", None, True, [], {}, "99999999999", float("nan"), float("inf"), -1e400, 10**400],
    "nbf": ["now", None, [], True],
    "iat": ["now", {}, float("nan"), 10**400],
    "sub": [1, None, {"a": 1}, ["1"], "", True],
    "jti": [1, None, [], ""],
    "sid": [1, None, [], {}, "", "x", "' OR 1=1 --", True],
    "auth_time": ["x", None, 1e300, 10**400, DROP, []],
}


@pytest.mark.requirement("RFC8725 3.4")
@pytest.mark.parametrize("claim", ODD)
def test_signed_claims_of_odd_types(site: Site, pair: dict[str, Any], claim: str) -> None:
    for value in ODD[claim]:
        assert_refused(site, bent(pair["access_token"], **{claim: value}))


@pytest.mark.requirement("RFC8725 3.4")
def test_refresh_tokens_with_odd_claims(site: Site, pair: dict[str, Any]) -> None:
    tried: list[tuple[str, Any]] = [
        *(("gen", value) for value in ("0", None, True, [], {}, -1, 2**31, 10**400, 0.0, float("nan"), DROP)),
        *(("sid", value) for value in (1, None, [], "x", DROP)),
        ("sub", "2"), ("sub", "x"), ("sub", 1), ("type", DROP), ("exp", DROP),
    ]  # fmt: skip
    for claim, value in tried:
        answer = site.client.post("/api/auth/refresh", json={"refresh_token": bent(pair["refresh_token"], **{claim: value})})
        assert answer.status_code == 401, f"{claim}={value!r}: {answer.text}"

    assert site.client.post("/api/auth/refresh", json={"refresh_token": pair["refresh_token"]}).status_code == 200


@pytest.mark.requirement("ASVS 9.2.1")
def test_an_expired_token(site: Site, pair: dict[str, Any]) -> None:
    site.testing.clock.move(minutes=15)

    assert_refused(site, pair["access_token"], "TOKEN_EXPIRED")


@pytest.mark.requirement("ASVS 9.2.1")
def test_a_token_is_good_from_the_moment_of_its_nbf_and_no_longer_at_that_of_its_exp(site: Site) -> None:
    """RFC 7519 sections 4.1.4 and 4.1.5: "on or after" exp it is refused, before nbf it is."""
    site.user("ann@example.com")
    clock = site.testing.clock
    clock.move(microseconds=-clock.now().microsecond)
    token = site.tokens("ann@example.com")["access_token"]
    assert claims_of(token)["nbf"] == clock.now().timestamp()
    assert_accepted(site, token)

    clock.move(minutes=15, microseconds=-1)
    assert_accepted(site, token)

    clock.move(microseconds=1)
    assert claims_of(token)["exp"] == clock.now().timestamp()
    assert_refused(site, token, "TOKEN_EXPIRED")


@pytest.mark.requirement("ASVS 9.2.1")
def test_a_token_from_the_future(site: Site, pair: dict[str, Any]) -> None:
    later = claims_of(pair["access_token"])["iat"] + 60

    assert_refused(site, bent(pair["access_token"], nbf=later))
    assert_refused(site, bent(pair["access_token"], iat=later))


@pytest.mark.requirement("ASVS 9.2.2", "RFC8725 3.11")
def test_a_refresh_token_where_an_access_token_belongs(site: Site, pair: dict[str, Any]) -> None:
    assert claims_of(pair["refresh_token"])["type"] != claims_of(pair["access_token"])["type"]
    assert_refused(site, pair["refresh_token"], "WRONG_TOKEN_TYPE")


@pytest.mark.requirement("ASVS 9.2.2")
def test_an_access_token_where_a_refresh_token_belongs(site: Site, pair: dict[str, Any]) -> None:
    by_header = site.client.post("/api/auth/refresh", headers=bearer(pair["access_token"]))
    by_body = site.client.post("/api/auth/refresh", json={"refresh_token": pair["access_token"]})

    for answer in (by_header, by_body):
        assert (answer.status_code, answer.get_json()["code"]) == (401, "WRONG_TOKEN_TYPE")


@pytest.mark.requirement("RFC8725 3.4", "ASVS 8.2.2")
def test_the_session_of_one_person_under_the_name_of_another(site: Site, pair: dict[str, Any]) -> None:
    victim = site.user("victim@example.com")

    assert_refused(site, bent(pair["access_token"], sub=str(victim.id)))


@pytest.mark.requirement("ASVS 8.3.2")
def test_roles_written_into_the_token_are_not_believed(site: Site, pair: dict[str, Any]) -> None:
    token = bent(pair["access_token"], role="admin", roles=["admin"], permissions=["*"], is_admin=True)

    assert site.client.get("/api/users/", headers=bearer(token)).status_code == 403


NAMES = {
    "JWT_ENCODE_AUDIENCE": "shop", "JWT_DECODE_AUDIENCE": "shop",
    "JWT_ENCODE_ISSUER": "https://id.example", "JWT_DECODE_ISSUER": "https://id.example",
}  # fmt: skip


@pytest.mark.requirement("ASVS 9.2.3", "ASVS 9.2.4")
def test_foreign_or_nearly_right_audience_and_issuer(make_site: MakeSite) -> None:
    site = make_site(views=host_views, config=NAMES)
    site.user("ann@example.com")
    token = site.tokens("ann@example.com")["access_token"]
    assert_accepted(site, token)

    for audience in ("blog", DROP, None, "", [], ["blog"], "sho", "shop2", "SHOP", {"shop": 1}, 1):
        assert_refused(site, bent(token, aud=audience))
    for issuer in (
        "https://id.exampl", "https://id.example/", "https://id.example.attacker.example", DROP, None, "",
        ["https://id.example"], "HTTPS://ID.EXAMPLE", "h", 1, {},
    ):  # fmt: skip
        assert_refused(site, bent(token, iss=issuer))


@pytest.mark.requirement("ASVS 9.2.3")
def test_a_token_for_another_audience_where_none_is_configured(site: Site, pair: dict[str, Any]) -> None:
    """RFC 7519 section 4.1.3: who does not find itself in `aud` must refuse, also when it has no name."""
    assert_refused(site, bent(pair["access_token"], aud="another-service-with-the-same-key"))


@pytest.mark.requirement("ASVS 9.2.3")
def test_what_a_host_writes_into_its_tokens_it_also_asks_for(make_site: MakeSite) -> None:
    site = make_site(views=host_views, config={name: value for name, value in NAMES.items() if "ENCODE" in name})
    site.user("ann@example.com")
    token = site.tokens("ann@example.com")["access_token"]
    assert_accepted(site, token)

    for claims in ({"aud": "blog"}, {"aud": DROP}, {"iss": "https://other.example"}, {"iss": DROP}):
        assert_refused(site, bent(token, **claims))


@pytest.mark.requirement("ASVS 14.1.1")
def test_tokens_tell_nothing_about_the_person(site: Site) -> None:
    site.user("ann@example.com", username="ann_the_first", roles=["editor"])
    body = site.tokens("ann@example.com")

    for token in (body["access_token"], body["refresh_token"]):
        assert claims_of(token).keys() <= {
            "sub", "sid", "jti", "iat", "nbf", "exp", "type", "fresh", "auth_time", "amr", "acr", "gen", "csrf"
        }  # fmt: skip
        assert "ann" not in str(claims_of(token))


@pytest.mark.requirement("ASVS 9.2.2")
def test_a_token_minted_by_host_code_opens_the_hosts_views_but_no_session_route(site: Site) -> None:
    ann = site.user("ann@example.com")
    with site.app.app_context():
        token = create_access_token(ann)

    assert site.client.get("/plain", headers=bearer(token)).status_code == 200
    assert site.client.get("/api/auth/me", headers=bearer(token)).status_code == 401


@pytest.mark.requirement("ASVS 11.5.1")
def test_unguessable_values_have_128_random_bits_and_never_repeat(make_site: MakeSite) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["headers", "cookies"]})
    site.user("ann@example.com")
    claims = [claims_of(site.tokens("ann@example.com")["access_token"]) for _ in range(5)]

    assert len({c["csrf"] for c in claims}) == len({c["jti"] for c in claims}) == len({c["sid"] for c in claims}) == 5
    assert all(len(c["csrf"]) >= 43 for c in claims)  # 256 bits in base 64; the version bits of a UUID are not random
