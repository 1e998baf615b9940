"""Attacks on presence proved at an identity provider: with somebody else's identity, an old sign-in there, another session (ASVS 6.8.4)."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from flask_accounts.core.events import SignInFailed
from flask_accounts.features.api_keys import ApiKeys
from flask_accounts.features.oidc import Provider
from tests.conftest import MakeSite, Site
from tests.features.mfa.tools import begin as begin_app
from tests.features.mfa.tools import confirm
from tests.features.oidc.provider import Idp
from tests.features.oidc.test_presence import SHORT, STALE, carry, leave, signed_in
from tests.features.oidc.tools import (
    ANN,
    IDENTITIES,
    PRESENCE,
    arrive,
    begin,
    begin_step_up,
    come_back,
    exchange,
    jar,
    just_now,
    outcome,
    sign_in,
    step_up,
    told_after_step_up,
)
from tests.features.oidc.tools import idp as idp
from tests.features.oidc.tools import make_site as make_site
from tests.features.oidc.tools import other as other

EVE: dict[str, Any] = {"sub": "eve", "email": "eve@example.com"}


def stale(site: Site, idp: Idp) -> FlaskClient:
    """Ann's session, which somebody else has got hold of, some time after she has signed in."""
    browser = signed_in(site, idp)
    site.testing.clock.move(minutes=5)
    return browser


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(config=SHORT)


@pytest.mark.requirement("ASVS 7.5.1", "ASVS 6.8.4")
@pytest.mark.parametrize("linked", [False, True])
def test_ghsa_97r5_an_attackers_own_provider_account_does_not_refresh_a_stolen_session(site: Site, idp: Idp, linked: bool) -> None:
    if linked:
        sign_in(site.client, idp, **EVE)
    thief = stale(site, idp)
    code = told_after_step_up(thief, idp, **EVE)["code"]

    with site.testing.recorded() as events:
        answer = thief.post(PRESENCE, json={"code": code})

    assert outcome(answer) == (403, "IDENTITY_MISMATCH")
    assert "access_token" not in answer.get_json()
    assert [event.reason for event in events if isinstance(event, SignInFailed)] == ["IDENTITY_MISMATCH"]
    assert leave(thief) == STALE
    assert outcome(thief.post(PRESENCE, json={"code": code}))[0] == 400, "it was used up"


@pytest.mark.requirement("ASVS 7.5.1", "ASVS 10.3.3")
def test_the_same_subject_at_another_provider_is_somebody_else(make_site: MakeSite, idp: Idp, other: Idp) -> None:
    site = make_site(providers=[Provider("second", other.issuer)], config=SHORT)
    other.now = idp.now
    sign_in(site.client, other, "second", **EVE | {"sub": "person-1"})
    thief = stale(site, idp)

    assert outcome(begin_step_up(thief, "second")) == (403, "IDENTITY_MISMATCH")


@pytest.mark.requirement("ASVS 6.8.4")
@pytest.mark.parametrize("told", [None, "now", True, 0, -62, 62, 10**20])
def test_a_provider_that_does_not_say_that_it_was_just_now_proves_no_presence(site: Site, idp: Idp, told: Any) -> None:
    thief = stale(site, idp)
    if isinstance(told, int) and not isinstance(told, bool) and abs(told) < 100 and told:
        told = just_now(idp) + told

    answer = told_after_step_up(thief, idp, auth_time=told)

    assert answer == {"error": "IDENTITY_NOT_RECENT", "provider": "idp"}
    assert leave(thief) == STALE


@pytest.mark.requirement("ASVS 6.8.4")
def test_a_sign_in_at_the_provider_from_before_the_step_up_is_not_presence(site: Site, idp: Idp) -> None:
    thief = stale(site, idp)
    before = just_now(idp, before=61)
    begun = begin_step_up(thief).get_json()["authorization_url"]
    site.testing.clock.move(minutes=4)

    assert come_back(thief, idp.approve(begun, auth_time=before))["error"] == "IDENTITY_NOT_RECENT"


@pytest.mark.requirement("ASVS 7.5.1", "ASVS 10.1.2")
def test_presence_is_proved_by_the_account_and_in_the_session_that_began_it(site: Site, idp: Idp) -> None:
    owner = signed_in(site, idp)
    code = {"code": told_after_step_up(owner, idp)["code"]}
    thief = carry(site.client, sign_in(site.client, idp).get_json()["access_token"])
    assert outcome(thief.post(PRESENCE, json=code)) == (400, "OTHER_BROWSER")
    jar(thief).update(jar(owner))
    assert outcome(thief.post(PRESENCE, json=code)) == (400, "ONE_TIME_TOKEN_INVALID"), "another session"
    eve = signed_in(site, idp, **EVE)
    jar(eve).update(jar(owner))
    assert outcome(eve.post(PRESENCE, json=code)) == (400, "ONE_TIME_TOKEN_INVALID"), "another account"
    nobody = site.client
    jar(nobody).update(jar(owner))
    assert outcome(nobody.post(PRESENCE, json=code)) == (401, "TOKEN_MISSING")
    assert outcome(begin_step_up(nobody)) == (401, "TOKEN_MISSING")

    assert owner.post(PRESENCE, json=code).status_code == 200


@pytest.mark.requirement("RFC8725 3.12", "ASVS 10.1.2")
def test_a_sign_in_or_a_link_is_no_proof_of_presence_and_the_other_way_round(site: Site, idp: Idp) -> None:
    owner = signed_in(site, idp)
    now = just_now(idp)
    wrong = (400, "ONE_TIME_TOKEN_INVALID")

    assert outcome(owner.post(PRESENCE, json={"code": arrive(owner, idp, auth_time=now)})) == wrong
    assert outcome(owner.post(PRESENCE, json={"code": arrive(owner, idp, link=True, auth_time=now)})) == wrong
    assert outcome(exchange(owner, told_after_step_up(owner, idp)["code"])) == wrong
    assert outcome(owner.post(IDENTITIES, json={"code": told_after_step_up(owner, idp)["code"]})) == wrong


@pytest.mark.requirement("RFC9700 4.7")
def test_a_proof_of_presence_is_good_once(site: Site, idp: Idp) -> None:
    owner = signed_in(site, idp)
    code, cookies = {"code": told_after_step_up(owner, idp)["code"]}, dict(jar(owner))
    assert owner.post(PRESENCE, json=code).status_code == 200
    jar(owner).update(cookies)

    assert outcome(owner.post(PRESENCE, json=code)) == (400, "ONE_TIME_TOKEN_INVALID")


@pytest.mark.requirement("ASVS 10.1.2")
def test_another_browsers_way_to_the_provider_is_not_taken(site: Site, idp: Idp) -> None:
    owner, thief = signed_in(site, idp), site.client
    answer = idp.approve(begin_step_up(owner).get_json()["authorization_url"], auth_time=just_now(idp))

    assert come_back(thief, answer)["error"] == "OTHER_BROWSER"
    begin(thief)
    assert come_back(thief, answer)["error"] == "OTHER_BROWSER"
    assert "code" in come_back(owner, answer)


@pytest.mark.requirement("ASVS 7.5.1", "ASVS 6.3.3")
def test_an_account_with_a_second_factor_proves_presence_by_that_alone(site: Site, idp: Idp) -> None:
    owner = signed_in(site, idp)
    code = {"code": told_after_step_up(owner, idp)["code"]}
    phone = begin_app(owner, site)
    assert confirm(owner, phone.code()).status_code == 200

    for answer in (begin_step_up(owner), owner.post(PRESENCE, json=code)):
        assert outcome(answer) == STALE
        assert answer.get_json()["methods"] == ["totp", "recovery_code"]


@pytest.mark.requirement("ASVS 7.5.1")
def test_an_identity_that_was_taken_away_meanwhile_proves_nothing(site: Site, idp: Idp) -> None:
    site.user(ANN, email_verified=True)
    owner = signed_in(site, idp)
    code = {"code": told_after_step_up(owner, idp)["code"]}
    (identity,) = owner.get(IDENTITIES).get_json()["identities"]
    assert owner.delete(f"{IDENTITIES}/{identity['id']}").status_code == 204

    assert outcome(owner.post(PRESENCE, json=code)) == (403, "IDENTITY_MISMATCH")
    assert outcome(begin_step_up(owner)) == (403, "IDENTITY_MISMATCH")


@pytest.mark.requirement("ASVS 7.2.2")
def test_an_api_key_proves_no_presence(make_site: MakeSite, idp: Idp) -> None:
    site = make_site(features=[ApiKeys()])
    owner = signed_in(site, idp)
    made = owner.post("/api/auth/api-keys", json={"name": "robot"})
    assert made.status_code == 201, made.text
    robot = site.client
    robot.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made.get_json()['key']}"

    for answer in (begin_step_up(robot), robot.post(PRESENCE, json={"code": "any"})):
        assert answer.status_code in (401, 403), answer.text


@pytest.mark.requirement("ASVS 6.3.3", "ASVS 15.4.2")
def test_race_an_old_sign_in_at_the_provider_opens_no_session_past_a_factor_that_was_set_up_meanwhile(
    make_site: MakeSite, idp: Idp
) -> None:
    meanwhile: list[Any] = []

    def gate(attempt: Any, user: Any) -> None:
        for act in meanwhile:
            act(user)

    site = make_site(gates=[gate])
    sign_in(site.client, idp)

    def set_up(user: Any) -> None:  # after the gate for second factors has looked
        table = site.db.metadata.tables["accounts_totp"]
        values = {"user_id": user.key, "secret": "sealed", "last_step": 0, "created_at": site.testing.clock.now()}
        site.db.session.execute(sa.insert(table).values(values))

    meanwhile.append(set_up)

    answer = sign_in(site.client, idp, auth_time=just_now(idp, before=3600))

    assert outcome(answer) == (401, "INVALID_CREDENTIALS")


@pytest.mark.requirement("ASVS 6.3.1")
def test_guessing_proofs_of_presence_are_counted_with_all_others(make_site: MakeSite, idp: Idp) -> None:
    site = make_site(limits=True, config={"ACCOUNTS_LIMITS_REAUTHENTICATE_ACCOUNT": "2/hour"})
    owner = signed_in(site, idp)

    answers = [owner.post(PRESENCE, json={"code": "A" * 43}).status_code for _ in range(3)]

    assert answers == [400, 400, 429]
    assert owner.post("/api/auth/reauthenticate", json={"password": "wrong"}).status_code == 429
    assert outcome(step_up(owner, idp)) == (429, "RATE_LIMITED")
