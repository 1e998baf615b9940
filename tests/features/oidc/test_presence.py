"""When and how somebody has signed in at a provider, and presence proved there (ASVS 6.8.4)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from flask_accounts import default_features
from flask_accounts.core.events import Reauthenticated
from flask_accounts.features.oidc import Apple, GitHub, GitLab, Google, Microsoft, Oidc, Provider
from tests import conftest
from tests.conftest import MakeSite, Site
from tests.features.mfa.tools import answered, claims, confirm
from tests.features.mfa.tools import begin as begin_app

from .provider import Idp
from .tools import ANN, PRESENCE, begin, begin_step_up, jar, just_now, oidc_config, outcome, sign_in, step_up
from .tools import idp as idp
from .tools import make_site as make_site
from .tools import site as site

make_plain_site = conftest.make_site
STALE = (401, "REAUTHENTICATION_REQUIRED")
SHORT = {"ACCOUNTS_SESSIONS_FRESH_FOR": 60}


def carry(browser: FlaskClient, token: str) -> FlaskClient:
    """Have the browser send the access token from now on."""
    browser.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return browser


def signed_in(site: Site, idp: Idp, name: str = "idp", **claims: Any) -> FlaskClient:
    """A browser of somebody whose only way in is the identity."""
    browser = site.client
    answer = sign_in(browser, idp, name, **claims)
    assert answer.status_code == 200, answer.text
    return carry(browser, answer.get_json()["access_token"])


def leave(browser: FlaskClient) -> Any:
    """Delete the own account, which asks for recent presence."""
    answer = browser.delete("/api/auth/me")
    return answer.status_code if answer.status_code == 204 else outcome(answer)


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


# When it was


@pytest.mark.requirement("ASVS 6.8.4")
def test_a_sign_in_is_as_old_as_the_provider_says(site: Site, idp: Idp) -> None:
    body = sign_in(site.client, idp, auth_time=just_now(idp, before=16 * 60)).get_json()

    assert claims(site, body["access_token"])["auth_time"] == just_now(idp, before=16 * 60)
    assert leave(carry(site.client, body["access_token"])) == STALE


@pytest.mark.requirement("ASVS 6.8.4")
def test_a_sign_in_of_a_moment_ago_or_of_a_clock_that_is_fast_is_recent(site: Site, idp: Idp) -> None:
    for seconds in (30, -30):
        body = sign_in(site.client, idp, auth_time=just_now(idp, before=seconds)).get_json()
        assert claims(site, body["access_token"])["auth_time"] == just_now(idp, before=max(seconds, 0))
    assert leave(carry(site.client, body["access_token"])) == 204


@pytest.mark.requirement("ASVS 6.8.4")
@pytest.mark.parametrize("told", [None, "1790000000", True, [], 10**20])
def test_who_does_not_say_when_it_was_is_taken_at_this_moment_or_not_as_the_app_says(
    make_plain_site: MakeSite, idp: Idp, told: Any
) -> None:
    for fresh, then in ((True, 204), (False, STALE)):
        provider = Provider("idp", idp.issuer, fresh_without_auth_time=fresh)
        site = make_plain_site(features=[*default_features(), Oidc([provider])], config=oidc_config("idp"))
        idp.now = site.testing.clock.now

        assert leave(signed_in(site, idp, auth_time=told)) == then


@pytest.mark.requirement("ASVS 6.8.4")
def test_a_code_of_a_second_factor_is_presence_of_this_moment(site: Site, idp: Idp) -> None:
    browser = signed_in(site, idp)
    phone = begin_app(browser, site)
    confirm(browser, phone.code())
    site.testing.clock.move(hours=1)

    waiting = sign_in(site.client, idp, auth_time=just_now(idp, before=3600)).get_json()
    body = answered(site, waiting["challenge_token"], code=phone.code()).get_json()

    assert claims(site, body["access_token"])["auth_time"] == just_now(idp)
    assert claims(site, body["access_token"])["amr"] == ["oidc", "otp", "mfa"]


@pytest.mark.requirement("ASVS 6.8.4")
def test_a_sign_in_that_waits_for_something_else_stays_as_old_as_it_is(make_site: MakeSite, idp: Idp) -> None:
    site = make_site(config={"ACCOUNTS_MFA_REQUIRED": "all"})
    waiting = sign_in(site.client, idp, auth_time=just_now(idp, before=3600)).get_json()
    token = waiting["challenge_token"]
    phone = begin_app_in_sign_in(site, token)

    body = answered(site, token, "totp_enrolment", code=phone.code()).get_json()

    assert claims(site, body["access_token"])["auth_time"] == just_now(idp, before=3600)


def begin_app_in_sign_in(site: Site, token: str) -> Any:
    from tests.features.mfa.tools import phone_of

    return phone_of(site, site.client.post("/api/auth/challenge/totp", json={"challenge_token": token}))


# How it was


@pytest.mark.requirement("ASVS 6.8.4")
@pytest.mark.parametrize(
    ("trust", "told", "amr"),
    [
        ({}, {"amr": ["pwd", "mfa"], "acr": "high"}, ["oidc"]),
        ({"trust_amr": True}, {"amr": ["pwd", "mfa", "mfa"]}, ["oidc", "pwd", "mfa"]),
        ({"trust_amr": True}, {"amr": ["hwk"]}, ["oidc", "hwk"]),
        ({"trust_amr": True}, {"amr": "mfa"}, ["oidc"]),
        ({"trust_amr": True}, {"amr": ["a b", "mfa ", 7, None, {}, "x" * 99]}, ["oidc"]),
        ({"trust_amr": True}, {"amr": ["face", "fpt", "geo", "hwk", "iris", "kba", "mca", "otp"]}, ["oidc", "face", "fpt", "geo", "hwk", "iris", "kba"]),
        ({"trust_amr": True}, {"acr": "high"}, ["oidc"]),
        ({"mfa_acr": ("high",)}, {"acr": "high", "amr": ["pwd"]}, ["oidc", "mfa"]),
        ({"mfa_acr": ("high",)}, {"acr": "low", "amr": ["mfa"]}, ["oidc"]),
        ({"mfa_acr": ("high",)}, {"acr": ["high"]}, ["oidc"]),
    ],
)  # fmt: skip
def test_the_providers_strength_counts_where_the_app_trusts_it_and_not_else(
    make_plain_site: MakeSite, idp: Idp, trust: Any, told: Any, amr: list[str]
) -> None:
    provider = Provider("idp", idp.issuer, **trust)
    site = make_plain_site(features=[*default_features(), Oidc([provider])], config=oidc_config("idp"))

    body = sign_in(site.client, idp, **told).get_json()

    found = claims(site, body["access_token"])
    assert (found["amr"], found["acr"]) == (amr, "aal2" if "mfa" in amr else "aal1")


@pytest.mark.requirement("ASVS 6.8.4", "ASVS 6.3.3")
def test_a_trusted_providers_two_factors_are_two_for_our_own_gate(make_plain_site: MakeSite, idp: Idp) -> None:
    for trusted, then in ((True, 200), (False, 401)):
        provider = Provider("idp", idp.issuer, trust_amr=trusted)
        config = oidc_config("idp") | {"ACCOUNTS_MFA_REQUIRED": "all"}
        site = make_plain_site(features=[*default_features(), Oidc([provider])], config=config)

        assert sign_in(site.client, idp, amr=["pwd", "mfa"]).status_code == then
        assert sign_in(site.client, idp, amr=["pwd"]).status_code == 401, "one is asked for the other"


@pytest.mark.requirement("ASVS 6.8.4")
def test_what_is_said_beside_the_signed_token_does_not_count(make_plain_site: MakeSite, idp: Idp) -> None:
    site = make_plain_site(
        features=[*default_features(), Oidc([Provider("idp", idp.issuer, trust_amr=True)])], config=oidc_config("idp")
    )
    idp.now = site.testing.clock.now
    idp.userinfo = {"sub": "person-1", "email": ANN, "email_verified": True, "amr": ["mfa"], "auth_time": 1}

    found = claims(site, sign_in(site.client, idp, email=None).get_json()["access_token"])

    assert (found["amr"], found["auth_time"]) == (["oidc"], just_now(idp))


def test_every_provider_takes_the_options(make_plain_site: MakeSite) -> None:
    tenant = "11111111-2222-3333-4444-555555555555"
    options: Any = {
        "trust_amr": True,
        "mfa_acr": ("2",),
        "fresh_without_auth_time": False,
        "scopes": ("openid", "email", "profile"),
    }

    for made in (Google(**options), Microsoft(tenant, **options), GitLab(**options), Apple(**options), GitHub(**options)):
        assert {name: getattr(made, name) for name in options} == options
    assert GitHub().scopes == ("user:email",)


# Presence


@pytest.mark.requirement("ASVS 6.8.4", "ASVS 7.5.1")
def test_who_has_nothing_but_an_identity_proves_presence_by_it(make_site: MakeSite, idp: Idp) -> None:
    site = make_site(config=SHORT)
    browser = signed_in(site, idp)
    site.testing.clock.move(minutes=5)
    assert leave(browser) == STALE

    with site.testing.recorded() as events:
        answer = step_up(browser, idp)

    assert answer.status_code == 200, answer.text
    assert [event.method for event in events if isinstance(event, Reauthenticated)] == ["oidc"]
    found = claims(site, answer.get_json()["access_token"])
    assert (found["auth_time"], found["amr"]) == (just_now(idp), ["oidc"])
    assert not [cookie for cookie in jar(browser).values() if "oidc" in cookie.key]
    assert leave(carry(browser, answer.get_json()["access_token"])) == 204


@pytest.mark.requirement("ASVS 6.8.4")
def test_the_provider_is_asked_to_have_the_person_sign_in_anew_and_for_nothing_else(site: Site, idp: Idp) -> None:
    ordinary = query_of(begin(site.client))
    query = query_of(begin_step_up(signed_in(site, idp)).get_json()["authorization_url"])

    assert (query["prompt"], query["max_age"], query["scope"]) == ("login", "0", "openid")
    assert not {"prompt", "max_age"} & ordinary.keys()
    assert json.loads(Google.step_up["claims"])["id_token"] == {"auth_time": {"essential": True}}


def test_a_step_up_leaves_the_address_of_the_identity_as_it_was(site: Site, idp: Idp) -> None:
    browser = signed_in(site, idp)

    assert step_up(browser, idp, email=None, email_verified=None).status_code == 200

    (identity,) = browser.get("/api/auth/identities").get_json()["identities"]
    assert identity["email"] == ANN
    assert idp.asked["/userinfo"] == 0


def test_tokens_go_the_way_that_the_session_came(make_site: MakeSite, idp: Idp) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["cookies"], "JWT_COOKIE_CSRF_PROTECT": False})
    browser = site.client
    assert sign_in(browser, idp).status_code == 200

    answer = step_up(browser, idp)

    assert answer.status_code == 200
    assert "access_token" not in answer.get_json()


def test_who_has_a_password_besides_may_prove_presence_by_either(make_site: MakeSite, idp: Idp) -> None:
    site = make_site(config=SHORT)
    site.user(ANN, email_verified=True)
    sign_in(site.client, idp)
    browser = carry(site.client, site.tokens(ANN)["access_token"])
    site.testing.clock.move(minutes=5)

    assert claims(site, step_up(browser, idp).get_json()["access_token"])["amr"] == ["pwd", "oidc"]


def test_the_list_says_which_providers_can_and_the_others_say_so(make_plain_site: MakeSite, idp: Idp) -> None:
    providers = [Provider("idp", idp.issuer), GitHub()]
    site = make_plain_site(features=[*default_features(), Oidc(providers)], config=oidc_config("idp", "github"))
    idp.now = site.testing.clock.now
    browser = signed_in(site, idp)
    with site.app.app_context():
        key = site.accounts.users.find(email=ANN).id
        identity = site.accounts.identities.of(key)[0]
        row = vars(identity) | {"id": uuid4(), "provider": "github", "issuer": GitHub().issuer}
        site.db.session.execute(site.db.metadata.tables["accounts_identities"].insert().values(row))
        site.db.session.commit()

    listed = browser.get("/api/auth/oidc").get_json()["providers"]
    assert {each["name"]: each["reauthenticates"] for each in listed} == {"idp": True, "github": False}
    assert outcome(begin_step_up(browser, "github")) == (400, "IDENTITY_NOT_RECENT")
    assert outcome(begin_step_up(browser, "nobody")) == (404, "NOT_FOUND")
    assert outcome(browser.post(PRESENCE, json={"code": "junk"})) == (400, "ONE_TIME_TOKEN_INVALID")
