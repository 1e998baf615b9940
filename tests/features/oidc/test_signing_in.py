"""Signing in with an identity provider: the way there and back, accounts that come to be, and those that are there."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from flask_accounts.core.events import EmailVerified, IdentityLinked, SignedIn, UserRegistered
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer

from .provider import Idp, key_of
from .tools import ANN, BASE, arrive, begin, come_back, exchange, jar, outcome, sign_in
from .tools import idp as idp
from .tools import make_site as make_site
from .tools import site as site


def test_who_is_new_gets_an_account_whose_address_is_proved(site: Site, idp: Idp) -> None:
    with site.testing.recorded() as events:
        answer = sign_in(site.client, idp)

    body = answer.get_json()
    assert answer.status_code == 200
    assert (body["user"]["email"], body["user"]["email_verified"]) == (ANN, True)
    assert site.client.get("/api/auth/me", headers=bearer(body["access_token"])).get_json()["email"] == ANN
    kinds = [type(event) for event in events]
    assert {UserRegistered, EmailVerified, IdentityLinked, SignedIn} <= set(kinds)
    assert [event.amr for event in events if isinstance(event, SignedIn)] == [("oidc",)]
    assert [event.way for event in events if isinstance(event, IdentityLinked)] == ["registration"]
    assert not site.testing.outbox, "nobody who has just registered is warned"


def test_who_comes_again_is_the_same_account(site: Site, idp: Idp) -> None:
    first = sign_in(site.client, idp).get_json()["user"]["id"]

    assert sign_in(site.client, idp).get_json()["user"]["id"] == first


def test_a_link_on_the_apps_page_leads_to_the_provider(site: Site, idp: Idp) -> None:
    browser = site.client

    answer = browser.get("/api/auth/oidc/idp/login", headers={"Sec-Fetch-Site": "same-origin"})

    assert answer.status_code == 303
    told = come_back(browser, idp.approve(answer.headers["Location"]))
    assert exchange(browser, told["code"]).status_code == 200


@pytest.mark.requirement("ASVS 10.2.3")
def test_the_provider_is_asked_for_as_little_as_is_needed(site: Site, idp: Idp) -> None:
    url = urlsplit(begin(site.client))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}

    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{idp.issuer}/authorize"
    assert query["scope"] == "openid email"
    assert query["redirect_uri"] == f"{BASE}/oidc/idp/callback"


def test_the_providers_are_listed(site: Site) -> None:
    assert site.client.get("/api/auth/oidc").get_json() == {"providers": [{"name": "idp", "label": "Idp", "reauthenticates": True}]}


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"])
def test_every_allowed_algorithm_signs_in(site: Site, idp: Idp, algorithm: str) -> None:
    idp.algorithm, idp.key = algorithm, key_of(algorithm)
    idp.publish()

    assert sign_in(site.client, idp, at_hash=None).status_code == 200


def test_keys_without_names_and_of_a_sort_are_tried_in_turn(site: Site, idp: Idp) -> None:
    idp.kid = None
    idp.rotate("second")
    idp.kid = None
    idp.published = [{name: value for name, value in key.items() if name not in ("kid", "alg")} for key in idp.published]
    idp.published.append({"kty": "RSA", "n": "junk", "e": 5})

    assert sign_in(site.client, idp).status_code == 200


def test_metadata_and_keys_are_read_once_and_again_after_their_time(site: Site, idp: Idp) -> None:
    for _ in range(2):
        sign_in(site.client, idp)
    assert (idp.asked["/.well-known/openid-configuration"], idp.asked["/jwks"]) == (1, 1)

    site.testing.clock.move(hours=1)
    sign_in(site.client, idp)
    assert (idp.asked["/.well-known/openid-configuration"], idp.asked["/jwks"]) == (2, 2)


def test_a_new_key_of_the_provider_is_learned_of_and_an_old_one_still_counts(site: Site, idp: Idp) -> None:
    sign_in(site.client, idp)
    idp.rotate("second")
    site.testing.clock.move(seconds=31)

    assert sign_in(site.client, idp).status_code == 200
    idp.kid, idp.key = "first", key_of("RS256", "first")
    assert sign_in(site.client, idp).status_code == 200
    assert idp.asked["/jwks"] == 2


def test_an_address_that_only_userinfo_tells_counts(site: Site, idp: Idp) -> None:
    idp.userinfo = {"sub": "person-1", "email": "bea@example.com", "email_verified": True}

    assert sign_in(site.client, idp, email=None, email_verified=None).get_json()["user"]["email"] == "bea@example.com"


def test_the_secret_goes_in_the_form_where_the_provider_wants_it_there(site: Site, idp: Idp) -> None:
    idp.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]

    assert sign_in(site.client, idp).status_code == 200
    assert "client_secret" in idp.forms[0]


def test_two_sign_ins_in_two_tabs_do_not_disturb_each_other(site: Site, idp: Idp) -> None:
    browser = site.client
    first, second = begin(browser), begin(browser)

    codes = [come_back(browser, idp.approve(url))["code"] for url in (first, second)]

    assert [exchange(browser, code).status_code for code in codes] == [200, 200]


def test_cookies_are_for_this_alone_and_gone_afterwards(site: Site, idp: Idp) -> None:
    browser = site.client
    answer = browser.post("/api/auth/oidc/idp/login")
    set_cookie = answer.headers["Set-Cookie"]
    assert set_cookie.startswith("__Host-oidc_")
    for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"):
        assert part in set_cookie

    told = come_back(browser, idp.approve(answer.get_json()["authorization_url"]))
    exchange(browser, told["code"])

    assert not [cookie for cookie in jar(browser).values() if "oidc" in cookie.key]


def test_tokens_go_by_cookie_where_the_app_says_so(make_site: MakeSite, idp: Idp) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["cookies"], "JWT_COOKIE_SAMESITE": "Strict"})
    browser = site.client
    assert "SameSite=Lax" in browser.post("/api/auth/oidc/idp/login").headers["Set-Cookie"], (
        "the provider leads back from another site"
    )

    answer = sign_in(browser, idp)

    assert "access_token" not in answer.get_json()
    assert browser.get("/api/auth/me").status_code == 200


# Whom the host lets in


@pytest.mark.parametrize(
    ("config", "let_in"),
    [
        ({"ACCOUNTS_REGISTRATION_OPEN": False}, False),
        ({"ACCOUNTS_REGISTRATION_OPEN": False, "ACCOUNTS_OIDC_REGISTRATION": "open"}, True),
        ({"ACCOUNTS_OIDC_REGISTRATION": "closed"}, False),
        ({"ACCOUNTS_OIDC_ALLOWED_DOMAINS": ["example.org", "Example.com"]}, True),
        ({"ACCOUNTS_OIDC_ALLOWED_DOMAINS": ["example.org", "le.com"]}, False),
    ],
)
def test_who_gets_an_account_is_for_the_app_to_say(make_site: MakeSite, idp: Idp, config: dict[str, Any], let_in: bool) -> None:
    site = make_site(config=config)

    answer = sign_in(site.client, idp)

    assert outcome(answer) == ((200, "") if let_in else (403, "IDENTITY_UNKNOWN"))
    with site.app.app_context():
        assert (site.testing.runtime.users.by_email(ANN) is not None) is let_in


def test_who_is_invited_gets_an_account_with_the_roles_of_the_invitation(make_site: MakeSite, idp: Idp) -> None:
    site = make_site(config={"ACCOUNTS_REGISTRATION_OPEN": False, "ACCOUNTS_OIDC_ALLOWED_DOMAINS": ["example.org"]})
    with site.app.app_context():
        sent = site.accounts.invitations.invite(ANN, roles=["admin"], mail=False)
        site.db.session.commit()

    assert sign_in(site.client, idp).get_json()["user"]["roles"] == ["admin"]

    again = site.client.post("/api/auth/invitations/accept", json={"token": sent.token, "password": PASSWORD})
    assert outcome(again) == (400, "ONE_TIME_TOKEN_INVALID")


def test_what_registration_asks_for_is_asked_for_and_the_code_waits(make_site: MakeSite, idp: Idp) -> None:
    site = make_site(config={"ACCOUNTS_REGISTRATION_USERNAME_REQUIRED": True})
    browser = site.client
    code = arrive(browser, idp)

    missing = exchange(browser, code)
    assert [problem["field"] for problem in missing.get_json()["errors"]] == ["username"]
    for extra in ({"email": "x@example.com"}, {"password": PASSWORD}, {"is_active": True}):
        assert exchange(browser, code, username="ann", **extra).status_code == 400

    assert exchange(browser, code, username="ann").get_json()["user"]["username"] == "ann"


# Accounts that are there


def test_an_account_of_a_proved_address_gets_the_identity_and_its_owner_is_told(site: Site, idp: Idp) -> None:
    user = site.user(ANN, email_verified=True)

    answer = sign_in(site.client, idp)

    assert answer.get_json()["user"]["id"] == user.id
    assert site.login(ANN).status_code == 200, "its password stays"
    mail = site.testing.outbox[-1]
    assert (mail.to, mail.kind) == (ANN, "factor_changed")
    assert "Idp" in mail.text


def test_by_address_nothing_is_linked_where_the_app_does_not_want_it(make_site: MakeSite, idp: Idp) -> None:
    site = make_site(config={"ACCOUNTS_OIDC_LINK_VERIFIED": False})
    site.user(ANN, email_verified=True)

    assert outcome(sign_in(site.client, idp)) == (403, "IDENTITY_UNKNOWN")
