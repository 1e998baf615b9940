"""Attacks on the sign-in with identity providers: other browsers, other sign-ins, other providers, forged tokens, addresses of others."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from flask import Response, redirect

from flask_accounts import ConfigurationError
from flask_accounts.core.asking import NoAnswer
from flask_accounts.core.events import AccountClaimed, SignInFailed
from flask_accounts.core.one_time import OneTimeTokenMixin
from flask_accounts.features.oidc import Provider
from flask_accounts.features.oidc.fetching import Fetcher, is_safe
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.features.oidc.provider import CLIENT, Idp, public_jwk, rsa_key
from tests.features.oidc.tools import (
    ANN,
    BASE,
    IDENTITIES,
    TOKEN,
    arrive,
    begin,
    come_back,
    exchange,
    jar,
    link,
    outcome,
    sign_in,
)
from tests.features.oidc.tools import idp as idp
from tests.features.oidc.tools import make_site as make_site
from tests.features.oidc.tools import other as other
from tests.features.oidc.tools import site as site

LOGIN = "/api/auth/oidc/idp/login"


def rows(site: Site) -> int:
    """Accounts, sessions, identities and tokens on the way."""
    with site.app.app_context():
        names = ("users", "accounts_sessions", "accounts_identities", "accounts_one_time_tokens")
        return sum(site.db.session.execute(sa.text(f"SELECT count(*) FROM {name}")).scalar_one() for name in names)


# Browsers and sign-ins


@pytest.mark.requirement("RFC9700 2.1.1")
def test_each_request_has_its_own_state_nonce_and_challenge_and_the_verifier_is_sent(site: Site, idp: Idp) -> None:
    browser = site.client
    one, two = ({name: values[0] for name, values in parse_qs(urlsplit(begin(browser)).query).items()} for _ in range(2))

    for name in ("state", "nonce", "code_challenge"):
        assert one[name] != two[name]
        assert len(one[name]) >= 43
    assert (one["code_challenge_method"], one["response_type"]) == ("S256", "code")
    sign_in(browser, idp)
    assert len(idp.forms[-1]["code_verifier"]) == 43


@pytest.mark.requirement("ASVS 10.1.2", "ASVS 10.2.1")
def test_login_csrf_an_attackers_callback_opened_by_a_victim_gets_nowhere(site: Site, idp: Idp) -> None:
    attacker, victim = site.client, site.client
    answer = idp.approve(begin(attacker), sub="mallory", email="mallory@example.com")

    assert come_back(victim, answer)["error"] == "OTHER_BROWSER"
    begin(victim)  # a victim who is about to sign in, and so has a cookie of her own
    assert come_back(victim, answer)["error"] == "OTHER_BROWSER"
    assert idp.asked["/token"] == 0
    assert "code" in come_back(attacker, answer), "it was not used up by others"


@pytest.mark.requirement("ASVS 10.1.2", "ASVS 6.6.2")
def test_login_csrf_an_attackers_code_posted_by_a_victim_signs_nobody_in(site: Site, idp: Idp) -> None:
    attacker, victim = site.client, site.client
    code = arrive(attacker, idp)

    assert outcome(exchange(victim, code)) == (400, "OTHER_BROWSER")
    arrive(victim, idp)
    assert outcome(exchange(victim, code)) == (400, "OTHER_BROWSER")
    assert exchange(attacker, code).status_code == 200


@pytest.mark.requirement("ASVS 10.2.1")
@pytest.mark.parametrize("state", [None, "", "wrong", "A" * 43, "a;b", "%00"])
def test_a_callback_without_a_state_of_ours_is_refused(site: Site, idp: Idp, state: str | None) -> None:
    browser = site.client
    answer = idp.approve(begin(browser))
    answer = {name: value for name, value in answer.items() if name != "state"} | ({} if state is None else {"state": state})

    assert come_back(browser, answer)["error"] == "ONE_TIME_TOKEN_INVALID"
    assert idp.asked["/token"] == 0


@pytest.mark.requirement("RFC9700 4.7", "ASVS 10.2.1")
def test_a_replayed_callback_is_refused(site: Site, idp: Idp) -> None:
    browser = site.client
    answer = idp.approve(begin(browser))
    cookies = dict(jar(browser))
    come_back(browser, answer)
    jar(browser).update(cookies)

    assert come_back(browser, answer)["error"] == "ONE_TIME_TOKEN_INVALID"
    assert idp.asked["/token"] == 1


@pytest.mark.requirement("RFC9700 4.7")
def test_a_replayed_code_of_the_front_end_is_refused(site: Site, idp: Idp) -> None:
    browser = site.client
    code = arrive(browser, idp)
    cookies = dict(jar(browser))
    assert exchange(browser, code).status_code == 200
    jar(browser).update(cookies)

    assert outcome(exchange(browser, code)) == (400, "ONE_TIME_TOKEN_INVALID")


@pytest.mark.requirement("RFC9700 4.7")
def test_an_injected_code_of_another_sign_in_is_refused(site: Site, idp: Idp) -> None:
    victims, attackers = idp.approve(begin(site.client)), site.client
    answer = idp.approve(begin(attackers))

    assert come_back(attackers, {**answer, "code": victims["code"]})["error"] == "IDENTITY_REFUSED", "the verifier does not fit"


@pytest.mark.requirement("ASVS 6.5.1", "ASVS 6.5.5")
def test_state_and_code_end_with_their_time(site: Site, idp: Idp) -> None:
    browser = site.client
    late = idp.approve(begin(browser))
    code = arrive(browser, idp)
    site.testing.clock.move(minutes=5)
    assert outcome(exchange(browser, code)) == (400, "ONE_TIME_TOKEN_INVALID")
    site.testing.clock.move(minutes=5)

    assert come_back(browser, late)["error"] == "ONE_TIME_TOKEN_INVALID"


@pytest.mark.requirement("ASVS 7.6.2", "ASVS 3.5.3")
def test_no_get_opens_a_session(site: Site, idp: Idp) -> None:
    browser = site.client
    started = browser.get(LOGIN)
    told = come_back(browser, idp.approve(started.headers["Location"]))

    assert browser.get(TOKEN, query_string=told).status_code == 405
    with site.app.app_context():
        assert site.db.session.execute(sa.text("SELECT count(*) FROM accounts_sessions")).scalar_one() == 0
        assert site.db.session.execute(sa.text("SELECT count(*) FROM users")).scalar_one() == 0


@pytest.mark.requirement("ASVS 7.6.2")
def test_another_website_cannot_have_somebody_signed_in_unasked(site: Site) -> None:
    before = rows(site)

    answer = site.client.get(LOGIN, headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})

    assert outcome(answer) == (403, "CROSS_SITE")
    assert "Set-Cookie" not in answer.headers
    assert rows(site) == before


@pytest.mark.requirement("RFC8725 3.12")
def test_the_two_tokens_are_good_at_their_own_doors_only(site: Site, idp: Idp) -> None:
    browser = site.client
    answer = idp.approve(begin(browser))

    assert outcome(exchange(browser, answer["state"])) == (400, "ONE_TIME_TOKEN_INVALID")
    code = come_back(browser, answer)["code"]
    assert come_back(browser, {**answer, "state": code})["error"] == "ONE_TIME_TOKEN_INVALID"
    for path, body in (
        ("/api/auth/password/reset", {"token": code, "new_password": PASSWORD}),
        ("/api/auth/email/verify", {"token": code}),
        ("/api/auth/invitations/accept", {"token": code, "password": PASSWORD}),
    ):
        assert outcome(site.client.post(path, json=body)) == (400, "ONE_TIME_TOKEN_INVALID")


@pytest.mark.requirement("RFC9700 4.14.2", "ASVS 13.3.1")
def test_the_database_alone_finishes_nothing(site: Site, idp: Idp) -> None:
    browser = site.client
    url = begin(browser)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    code = arrive(browser, idp)
    with site.app.app_context():
        table = site.testing.runtime.model(OneTimeTokenMixin).__table__
        stored = json.dumps([[str(value) for value in row] for row in site.db.session.execute(sa.select(table)).all()])

    secrets_of_it = [query["state"], query["nonce"], code, *(cookie.value for cookie in jar(browser).values())]
    secrets_of_it += [form["code_verifier"] for form in idp.forms]
    assert not [secret for secret in secrets_of_it if secret in stored]


@pytest.mark.requirement("ASVS 14.2.1")
def test_no_token_is_in_a_url_and_no_url_is_passed_on(site: Site, idp: Idp) -> None:
    browser = site.client
    response = browser.get("/api/auth/oidc/idp/callback", query_string=idp.approve(begin(browser)))

    assert "eyJ" not in response.headers["Location"]
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.requirement("RFC9700 4.11")
@pytest.mark.parametrize("name", ["next", "redirect_uri", "return_to", "front_end_url"])
def test_open_redirect_nobody_chooses_where_it_leads(site: Site, idp: Idp, name: str) -> None:
    browser, evil = site.client, {name: "https://evil.example"}
    started = browser.get(LOGIN, query_string=evil, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    assert "evil" not in started.headers["Location"]

    come_back(browser, {**idp.approve(started.headers["Location"]), **evil}, base_url="https://evil.example")


@pytest.mark.requirement("ASVS 15.3.7")
def test_a_parameter_given_twice_is_refused(site: Site, idp: Idp) -> None:
    answer = idp.approve(begin(site.client))

    response = site.client.get(f"/api/auth/oidc/idp/callback?state={answer['state']}&state=x&code={answer['code']}")

    assert outcome(response) == (400, "VALIDATION_ERROR")


# Providers


@pytest.mark.requirement("ASVS 10.2.2")
def test_mix_up_an_answer_of_another_provider_is_not_taken(make_site: MakeSite, idp: Idp, other: Idp) -> None:
    """The attacker's provider passes on the honest one's answer, to be told its code."""
    site = make_site(providers=[Provider("evil", other.issuer)])
    browser = site.client
    evil = parse_qs(urlsplit(begin(browser, "evil")).query)["state"][0]
    honest = idp.approve(begin(site.client))

    told = come_back(browser, {**honest, "state": evil}, "evil")

    assert told["error"] == "IDENTITY_INVALID"
    assert other.asked["/token"] == 0, "the honest provider's code is told to nobody"


@pytest.mark.requirement("ASVS 10.2.2")
def test_mix_up_each_provider_has_its_own_redirect_uri(make_site: MakeSite, idp: Idp, other: Idp) -> None:
    other.names_itself = False  # else its silence would tell
    site = make_site(providers=[Provider("evil", other.issuer)])
    browser = site.client
    url = begin(browser)
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == [f"{BASE}/oidc/idp/callback"]
    answer = idp.approve(url)

    assert come_back(browser, {name: answer[name] for name in ("state", "code")}, "evil")["error"] == "IDENTITY_INVALID"
    assert (idp.asked["/token"], other.asked["/token"]) == (0, 0)


@pytest.mark.requirement("ASVS 10.2.2")
@pytest.mark.parametrize("issuer", [None, "", "https://evil.example", "prefix"])
def test_mix_up_an_answer_must_say_whose_it_is_where_the_provider_does(site: Site, idp: Idp, issuer: str | None) -> None:
    browser = site.client
    answer = idp.approve(begin(browser))
    answer.pop("iss")
    if issuer is not None:
        answer["iss"] = idp.issuer[:-1] if issuer == "prefix" else issuer

    assert come_back(browser, answer)["error"] == "IDENTITY_INVALID"
    assert idp.asked["/token"] == 0


@pytest.mark.requirement("ASVS 10.5.3")
@pytest.mark.parametrize("issuer", ["https://evil.example", "", None, "slash"])
def test_metadata_of_another_issuer_is_not_believed(site: Site, idp: Idp, issuer: str | None) -> None:
    idp.metadata["issuer"] = f"{idp.issuer}/" if issuer == "slash" else issuer
    before = rows(site)

    assert outcome(site.client.post(LOGIN)) == (503, "PROVIDER_UNAVAILABLE")
    assert rows(site) == before


@pytest.mark.requirement("ASVS 10.5.3")
@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("url", ["http://evil.example/x", "javascript:alert(1)", "//evil.example", "https://a@b.example/", 5, None])
def test_metadata_that_names_an_unsafe_endpoint_is_not_used(site: Site, idp: Idp, name: str, url: Any) -> None:
    idp.metadata[name] = url

    assert outcome(site.client.post(LOGIN)) == (503, "PROVIDER_UNAVAILABLE")


# ID tokens


def signed(claims: dict[str, Any], **headers: Any) -> str:
    return jwt.encode(claims, rsa_key("first"), "RS256", {"kid": "first", **headers})


def unsigned(spelling: str) -> Callable[[dict[str, Any]], str]:
    def forge(claims: dict[str, Any]) -> str:
        parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in ({"alg": spelling}, claims)]
        return f"{parts[0]}.{parts[1]}."

    return forge


def with_public_key_as_secret(encoding: str) -> Callable[[dict[str, Any]], str]:
    def forge(claims: dict[str, Any]) -> str:
        public = rsa_key("first").public_key()
        form = serialization.PublicFormat.PKCS1 if encoding == "pkcs1" else serialization.PublicFormat.SubjectPublicKeyInfo
        secret = public.public_bytes(serialization.Encoding.DER if encoding == "der" else serialization.Encoding.PEM, form)
        if encoding == "jwk":
            secret = json.dumps(public_jwk(rsa_key("first"), "first")).encode()
        parts = [
            base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=")
            for each in ({"alg": "HS256", "kid": "first", "typ": "JWT"}, claims)
        ]
        text = b".".join(parts)
        return (text + b"." + base64.urlsafe_b64encode(hmac.new(secret, text, hashlib.sha256).digest()).rstrip(b"=")).decode()

    return forge


FORGERIES: dict[str, Callable[[dict[str, Any]], str]] = {
    **{f"alg {spelling}": unsigned(spelling) for spelling in ("none", "None", "NONE", "", "RS256")},
    **{f"HS256 with the key as {encoding}": with_public_key_as_secret(encoding) for encoding in ("pem", "pkcs1", "der", "jwk")},
    "a foreign key of the same name": lambda claims: jwt.encode(claims, rsa_key("foreign"), "RS256", {"kid": "first"}),
    "a foreign key without a name": lambda claims: jwt.encode(claims, rsa_key("foreign"), "RS256"),
    "a key that it brings itself": lambda claims: jwt.encode(
        claims, rsa_key("foreign"), "RS256", {"jwk": public_jwk(rsa_key("foreign"), "first")}
    ),
    "a key that it names an address of": lambda claims: jwt.encode(
        claims, rsa_key("foreign"), "RS256", {"jku": "https://evil.example/jwks"}
    ),
    "another signature algorithm than the key's": lambda claims: jwt.encode(claims, rsa_key("first"), "RS512", {"kid": "first"}),
    "critical extensions": lambda claims: signed(claims, crit=["b64"], b64=True),
    "the name of its key is no text": lambda claims: signed(claims)[:0] + "eyJhbGciOiJSUzI1NiIsImtpZCI6NX0." + signed(claims).partition(".")[2],
    "no token": lambda claims: "junk",
    "a token that is too long": lambda claims: signed({**claims, "more": "x" * 40_000}),
    "no object": lambda claims: jwt.api_jws.encode(b"[1]", rsa_key("first"), "RS256", {"kid": "first"}),
    "an altered claim": lambda claims: ".".join(
        part if place != 1 else base64.urlsafe_b64encode(json.dumps({**claims, "sub": "victim"}).encode()).rstrip(b"=").decode()
        for place, part in enumerate(signed(claims).split("."))
    ),
}  # fmt: skip


def refused(site: Site, idp: Idp, **claims: Any) -> None:
    """A sign-in with these claims ends in `IDENTITY_INVALID`, and leaves nothing but the memory of it."""
    browser = site.client
    with site.testing.recorded() as events:
        told = come_back(browser, idp.approve(begin(browser), **claims))
    assert told["error"] == "IDENTITY_INVALID"
    assert [event.reason for event in events if isinstance(event, SignInFailed)] == ["IDENTITY_INVALID"]
    with site.app.app_context():
        assert site.testing.runtime.users.by_email(ANN) is None


@pytest.mark.requirement("ASVS 6.8.2", "RFC8725 2.1", "RFC8725 3.1", "ASVS 9.1.3", "RFC7515 4.1.11")
def test_forged_id_tokens_are_refused(site: Site, idp: Idp) -> None:
    for name, forge in FORGERIES.items():
        idp.forge = forge
        told = come_back(browser := site.client, idp.approve(begin(browser)))
        assert told.get("error") == "IDENTITY_INVALID", name
    idp.forge = signed
    assert sign_in(site.client, idp).status_code == 200


@pytest.mark.requirement("ASVS 10.5.4", "ASVS 9.2.4", "RFC8725 3.4")
def test_id_tokens_that_are_not_for_us_or_not_of_now_are_refused(site: Site, idp: Idp) -> None:
    now = int(site.testing.clock.now().timestamp())
    wrong: dict[str, list[Any]] = {
        "iss": ["https://evil.example", idp.issuer[:-1], f"{idp.issuer}/", [idp.issuer], None, ""],
        "aud": ["another-app", "the-ap", [], ["another-app"], [CLIENT, "another-app"], {CLIENT: 1}, None, CLIENT.upper()],
        "azp": ["another-app", 5, ""],
        "sub": [None, "", 5, ["a"], "x" * 256, "a\nb"],
        "exp": [now - 61, None, "never", True, 1e30, float(now - 100)],
        "iat": [now + 100, now - 3600, None, "now"],
        "nbf": [now + 100, "soon"],
        "nonce": ["wrong", "", None, 5],
        "at_hash": ["wrong", 5],
    }  # fmt: skip
    for name, values in wrong.items():
        for value in values:
            told = come_back(browser := site.client, idp.approve(begin(browser), **{name: value}))
            assert told.get("error") == "IDENTITY_INVALID", f"{name}: {value!r}"
    assert sign_in(site.client, idp, aud=[CLIENT, "another-app"], azp=CLIENT).status_code == 200


@pytest.mark.requirement("ASVS 10.5.1")
def test_a_nonce_of_another_sign_in_is_refused(site: Site, idp: Idp) -> None:
    other = parse_qs(urlsplit(begin(site.client)).query)["nonce"][0]

    refused(site, idp, nonce=other)


@pytest.mark.requirement("ASVS 9.1.3", "ASVS 15.2.2")
def test_unknown_keys_do_not_have_the_provider_flooded(site: Site, idp: Idp) -> None:
    sign_in(site.client, idp)
    idp.forge = lambda claims: jwt.encode(claims, rsa_key("foreign"), "RS256", {"kid": "made-up"})
    site.testing.clock.move(seconds=31)
    for _ in range(5):
        come_back(browser := site.client, idp.approve(begin(browser)))

    assert idp.asked["/jwks"] == 2


@pytest.mark.requirement("ASVS 6.8.2")
def test_a_key_that_is_too_short_or_for_encryption_signs_nothing(site: Site, idp: Idp) -> None:
    idp.published = [{**idp.published[0], "use": "enc"}]

    refused(site, idp)


@pytest.mark.requirement("ASVS 6.8.1")
def test_userinfo_of_somebody_else_is_not_taken(site: Site, idp: Idp) -> None:
    idp.userinfo = {"sub": "victim", "email": ANN, "email_verified": True}

    refused(site, idp, email=None, email_verified=None)


# Accounts of others


@pytest.mark.requirement("ASVS 6.8.1")
@pytest.mark.parametrize("verified", [False, None, "true", "false", 1, "1", ["true"]])
def test_an_address_that_the_provider_has_not_verified_opens_nothing_and_tells_nothing(site: Site, idp: Idp, verified: Any) -> None:
    site.user(ANN, email_verified=True)

    known = sign_in(site.client, idp, email_verified=verified)
    unknown = sign_in(site.client, idp, sub="person-2", email="nobody@example.com", email_verified=verified)

    assert outcome(known) == (403, "IDENTITY_UNKNOWN")
    assert known.get_json() == unknown.get_json(), "whether an account has the address does not show"


@pytest.mark.requirement("ASVS 6.8.1")
def test_addresses_of_a_provider_that_is_not_trusted_open_nothing(make_site: MakeSite, other: Idp) -> None:
    site = make_site(providers=[Provider("lax", other.issuer, trust_email=False)])
    site.user(ANN, email_verified=True)

    assert outcome(sign_in(site.client, other, "lax")) == (403, "IDENTITY_UNKNOWN")


@pytest.mark.requirement("ASVS 6.8.1")
def test_pre_hijacking_whoever_registered_a_strangers_address_is_out_when_its_owner_comes(site: Site, idp: Idp) -> None:
    site.user(ANN)
    thief = site.tokens(ANN)

    with site.testing.recorded() as events:
        answer = sign_in(site.client, idp)

    assert answer.get_json()["user"]["email_verified"] is True
    assert [event for event in events if isinstance(event, AccountClaimed)]
    assert outcome(site.login(ANN)) == (401, "INVALID_CREDENTIALS")
    assert site.client.get("/api/auth/me", headers=bearer(thief["access_token"])).status_code == 401
    assert site.client.post("/api/auth/refresh", headers=bearer(thief["refresh_token"])).status_code == 401


@pytest.mark.requirement("ASVS 6.8.1")
def test_pre_hijacking_an_identity_linked_before_the_owner_came_is_dropped(site: Site, idp: Idp) -> None:
    thief = site.client_for(site.user(ANN))
    assert link(thief, idp, sub="mallory", email="mallory@example.com").status_code == 201

    owner = sign_in(site.client, idp).get_json()["user"]["id"]

    again = sign_in(site.client, idp, sub="mallory", email="mallory@example.com").get_json()["user"]["id"]
    assert again != owner


@pytest.mark.requirement("ASVS 10.3.3", "ASVS 10.5.2")
def test_people_are_known_by_issuer_and_subject_and_by_nothing_else(make_site: MakeSite, idp: Idp, other: Idp) -> None:
    site = make_site(providers=[Provider("second", other.issuer)])
    other.now = idp.now
    first = sign_in(site.client, idp).get_json()["user"]["id"]

    assert sign_in(site.client, idp, email="new-name@example.com").get_json()["user"]["id"] == first
    idp.userinfo = {"sub": "person-1"}
    assert sign_in(site.client, idp, email=None, email_verified=None).get_json()["user"]["id"] == first
    strangers = [
        sign_in(site.client, idp, sub="PERSON-1", email="x@example.com", preferred_username="person-1"),
        sign_in(site.client, other, "second", email="y@example.com"),
    ]
    assert first not in [answer.get_json()["user"]["id"] for answer in strangers]


@pytest.mark.requirement("ASVS 6.8.1")
def test_a_username_that_looks_like_an_address_is_nobodys_address(site: Site, idp: Idp) -> None:
    answer = sign_in(site.client, idp, email="ANN@EXAMPLE.COM")
    assert answer.get_json()["user"]["email"] == ANN

    for junk in ("nothing", "a@b@c.example", "ann@example.com\nx", "", 5, ["ann@example.com"]):
        found = sign_in(site.client, idp, sub=f"junk {junk!r:.20}", email=junk)
        assert outcome(found) == (403, "IDENTITY_UNKNOWN"), junk


@pytest.mark.requirement("ASVS 7.4.2")
def test_a_disabled_account_stays_out_by_this_door_too(site: Site, idp: Idp) -> None:
    sign_in(site.client, idp)
    sam = site.user("sam@example.com", email_verified=True)
    with site.app.app_context():
        for email in (ANN, sam.email):
            site.accounts.users.disable(site.accounts.users.find(email=email))
        site.db.session.commit()

    assert outcome(sign_in(site.client, idp)) == (403, "ACCOUNT_DISABLED")
    assert outcome(sign_in(site.client, idp, sub="sam", email=sam.email)) == (403, "ACCOUNT_DISABLED")
    with site.app.app_context():
        assert site.accounts.identities.find(idp.issuer, "sam") is None, "nothing is linked to it"


@pytest.mark.requirement("ASVS 6.4.3", "ASVS 6.3.4")
def test_gates_of_the_sign_in_are_not_passed_by(make_site: MakeSite, idp: Idp) -> None:
    from flask_accounts.core.errors import ChallengeRequired, PermissionDenied

    def ask_more(attempt: Any, user: Any) -> None:
        if user.username == "more":
            raise ChallengeRequired(["totp"])
        if user.username == "no":
            raise PermissionDenied

    site = make_site(gates=[ask_more])
    site.user("more@example.com", username="more", email_verified=True)
    site.user("no@example.com", username="no", email_verified=True)

    more = sign_in(site.client, idp, sub="more", email="more@example.com")
    assert outcome(more) == (401, "CHALLENGE_REQUIRED")
    assert "access_token" not in more.get_json()
    assert outcome(sign_in(site.client, idp, sub="no", email="no@example.com")) == (403, "PERMISSION_DENIED")


@pytest.mark.requirement("ASVS 7.5.1")
def test_linking_and_unlinking_ask_for_recent_presence(make_site: MakeSite, idp: Idp) -> None:
    site = make_site(config={"ACCOUNTS_SESSIONS_FRESH_FOR": 60})
    client = site.client_for(site.user(ANN, email_verified=True))
    assert link(client, idp).status_code == 201
    (identity,) = client.get(IDENTITIES).get_json()["identities"]
    site.testing.clock.move(minutes=2)

    assert outcome(client.post("/api/auth/oidc/idp/link")) == (401, "REAUTHENTICATION_REQUIRED")
    assert outcome(client.delete(f"{IDENTITIES}/{identity['id']}")) == (401, "REAUTHENTICATION_REQUIRED")


@pytest.mark.requirement("ASVS 7.5.1", "ASVS 10.1.2")
def test_a_link_is_finished_by_the_account_and_in_the_session_that_began_it(site: Site, idp: Idp) -> None:
    user = site.user(ANN, email_verified=True)
    attacker, first = site.client_for(site.user("eve@example.com")), site.client_for(user)
    code = arrive(first, idp, link=True)
    body = {"code": code}
    assert outcome(attacker.post(IDENTITIES, json=body)) == (400, "OTHER_BROWSER")
    jar(attacker).update(jar(first))
    assert outcome(attacker.post(IDENTITIES, json=body)) == (400, "ONE_TIME_TOKEN_INVALID")
    second = site.client_for(user)
    jar(second).update(jar(first))
    assert outcome(second.post(IDENTITIES, json=body)) == (400, "ONE_TIME_TOKEN_INVALID")
    assert outcome(site.client.post(IDENTITIES, json=body)) == (401, "TOKEN_MISSING")

    assert first.post(IDENTITIES, json=body).status_code == 201


@pytest.mark.requirement("ASVS 8.2.2")
def test_identities_of_others_are_out_of_reach_and_unseen(site: Site, idp: Idp) -> None:
    owner = site.client_for(site.user(ANN, email_verified=True))
    identity = link(owner, idp).get_json()
    stranger = site.client_for(site.user("eve@example.com"))

    theirs = stranger.delete(f"{IDENTITIES}/{identity['id']}")
    nobodys = stranger.delete(f"{IDENTITIES}/00000000-0000-7000-8000-000000000000")

    assert outcome(theirs) == (404, "NOT_FOUND")
    assert theirs.get_json() == nobodys.get_json()
    assert len(owner.get(IDENTITIES).get_json()["identities"]) == 1


# A provider that is away, slow, or answers junk


def hang(idp: Idp) -> Callable[[], Any]:
    def answer() -> Any:
        idp.wait.wait(20)
        return {}

    return answer


JUNK: dict[str, Callable[[Idp], Callable[[], Any]]] = {
    "slow": hang,
    "an error": lambda idp: lambda: Response("Bad Gateway", 502),
    "not JSON": lambda idp: lambda: Response("<html>", 200),
    "no object": lambda idp: lambda: Response("[1]", 200, content_type="application/json"),
    "empty": lambda idp: lambda: Response("", 200),
    "deep": lambda idp: lambda: Response("[" * 100_000, 200),
    "too long": lambda idp: lambda: Response(b" " * 300_000 + b"{}", 200),
    "a redirect": lambda idp: lambda: redirect(f"{idp.issuer}/.well-known/openid-configuration", 307),
}


@pytest.mark.requirement("ASVS 16.5.2", "ASVS 15.2.2")
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks"])
def test_a_provider_that_answers_junk_or_not_is_a_clear_503_and_leaves_nothing(make_site: MakeSite, idp: Idp, path: str) -> None:
    site = make_site(config={"ACCOUNTS_OIDC_TIMEOUT": 0.5})
    before = rows(site)
    for name, junk in JUNK.items():
        idp.instead = {path: junk(idp)}
        browser = site.client
        if path.startswith("/."):
            assert outcome(browser.post(LOGIN)) == (503, "PROVIDER_UNAVAILABLE"), name
        else:
            assert come_back(browser, idp.approve(begin(browser)))["error"] == "PROVIDER_UNAVAILABLE", name
        assert rows(site) == before, name
    idp.instead = {}
    assert sign_in(site.client, idp).status_code == 200, "it is well again"


@pytest.mark.requirement("ASVS 16.5.2")
def test_a_provider_that_is_down_is_a_clear_503(make_site: MakeSite, idp: Idp) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        site = make_site(providers=[Provider("gone", f"http://127.0.0.1:{free.getsockname()[1]}")])
        answer = site.client.post("/api/auth/oidc/gone/login")

    assert outcome(answer) == (503, "PROVIDER_UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) > 0
    assert "127.0.0.1" not in answer.text


@pytest.mark.requirement("ASVS 16.5.2")
def test_while_a_provider_is_asked_no_connection_of_the_database_waits(site: Site, idp: Idp) -> None:
    held: list[int] = []
    with site.app.app_context():
        pool = site.db.engine.pool

    def look() -> None:
        held.append(getattr(pool, "checkedout", lambda: 0)())

    idp.instead = {"/token": look}
    browser = site.client
    come_back(browser, idp.approve(begin(browser)))

    assert held == [0]


@pytest.mark.requirement("ASVS 16.5.2")
@pytest.mark.parametrize(
    ("error", "said"),
    [("access_denied", "IDENTITY_REFUSED"), ("temporarily_unavailable", "PROVIDER_UNAVAILABLE"), ("<script>", "IDENTITY_REFUSED")],
)
def test_an_error_of_the_provider_is_told_in_our_own_words(site: Site, idp: Idp, error: str, said: str) -> None:
    browser = site.client
    answer = {**idp.approve(begin(browser)), "error": error, "error_description": "<b>"}

    assert come_back(browser, answer) == {"error": said, "provider": "idp"}
    assert idp.asked["/token"] == 0


@pytest.mark.requirement("ASVS 16.2.5")
def test_nothing_secret_is_logged(site: Site, idp: Idp, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    browser = site.client
    code = arrive(browser, idp)
    cookies = [cookie.value for cookie in jar(browser).values()]
    exchange(browser, code)
    idp.forge = lambda claims: "junk"
    come_back(browser, idp.approve(begin(browser)))

    secret = [code, *cookies, *(value for form in idp.forms for name, value in form.items() if name.startswith("code"))]
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("flask_accounts"))
    assert "refused" in ours
    assert not [value for value in secret if value in ours]


# Who is asked


@pytest.mark.requirement("ASVS 10.5.3")
@pytest.mark.parametrize(
    "url",
    [
        "http://example.com", "ftp://example.com", "https://", "https://user@example.com", "https://example.com#x", "example.com",
        "https://exa mple.com", "https://example.com\\@evil.example", "https://example.com:port", "http://localhost.evil.example", "",
        "https://example.com/\n",
    ],
)  # fmt: skip
def test_addresses_that_are_not_safe(url: str) -> None:
    assert not is_safe(url)
    with pytest.raises(ConfigurationError):
        Provider("idp", url)


@pytest.mark.requirement("ASVS 10.5.3")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]"])
def test_ssrf_metadata_cannot_have_private_networks_asked(host: str) -> None:
    fetcher = Fetcher(("idp.example.com",), timeout=5)

    with pytest.raises(NoAnswer, match="private network"):
        fetcher.get(f"https://{host}:1/keys")


@pytest.mark.requirement("ASVS 10.5.3")
def test_ssrf_metadata_that_names_another_host_of_the_loopback_is_not_followed(site: Site, idp: Idp, other: Idp) -> None:
    idp.metadata["token_endpoint"] = other.issuer.replace("127.0.0.1", "localhost") + "/token"
    browser = site.client

    assert come_back(browser, idp.approve(begin(browser)))["error"] == "PROVIDER_UNAVAILABLE"
    assert other.asked["/token"] == 0
