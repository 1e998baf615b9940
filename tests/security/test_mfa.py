"""Attacks on second factors: going round them, guessing at them, using codes twice, taking them away, locking their owner out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_accounts import default_features, events
from flask_accounts.features.magic_link import MagicLink
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.features.magic_link.tools import ask as ask_magic_link
from tests.features.magic_link.tools import open_link, token_in
from tests.features.mfa.tools import (
    ANN,
    AUTH,
    Owner,
    answered,
    asked,
    begin,
    code_of,
    confirm,
    enrolled,
    phone_of,
    sign_in,
    signed_in,
    with_token,
)
from tests.features.mfa.tools import ann as ann

NEW = "a rather different horse"
WRONG = (401, "INVALID_CREDENTIALS")
OVER = (401, "CHALLENGE_INVALID")
STEP_UP = (401, "REAUTHENTICATION_REQUIRED")
NO_FLOOD_STOP = {"ACCOUNTS_LIMITS_ENABLED": False}


# Going round it


@pytest.mark.requirement("ASVS 6.4.3")
def test_a_reset_of_the_password_neither_signs_in_nor_takes_the_factor_away(site: Site, ann: Owner) -> None:
    site.client.post(f"{AUTH}/password/forgot", json={"email": ANN})
    token = site.testing.outbox[-1].text.split("\n\n")[1].strip()

    answer = site.client.post(f"{AUTH}/password/reset", json={"token": token, "new_password": NEW})

    assert (answer.status_code, answer.data) == (204, b"")
    assert code_of(site.login(ANN, NEW)) == (401, "MFA_REQUIRED")


@pytest.mark.requirement("ASVS 6.4.3")
@pytest.mark.requirement("ASVS 6.3.6")
def test_a_mailed_link_asks_for_the_factor_too(make_site: MakeSite) -> None:
    config = {"ACCOUNTS_MAIL_BASE_URL": "https://app.example.com/account"}
    site = make_site(features=[*default_features(), MagicLink()], config=config)
    ann = enrolled(site)
    browser = site.client
    ask_magic_link(browser)

    answer = open_link(browser, token_in(site))

    assert code_of(answer) == (401, "MFA_REQUIRED")
    assert not {"access_token", "refresh_token"} & set(answer.get_json())
    assert answered(site, answer.get_json()["challenge_token"], code=ann.phone.next()).status_code == 200


@pytest.mark.requirement("ASVS 9.2.2")
@pytest.mark.requirement("ASVS 6.3.3")
def test_the_challenge_token_is_no_token(site: Site, ann: Owner) -> None:
    token = asked(site)

    for method, path in (("GET", "/me"), ("POST", "/refresh"), ("GET", "/mfa"), ("POST", "/mfa/totp"), ("DELETE", "/mfa/totp")):
        assert site.client.open(f"{AUTH}{path}", method=method, headers=bearer(token)).status_code == 401, path
    assert site.client.post(f"{AUTH}/refresh", json={"refresh_token": token}).status_code == 401


@pytest.mark.requirement("ASVS 6.6.2")
def test_the_challenge_of_one_account_takes_no_code_of_another(site: Site, ann: Owner) -> None:
    eve = enrolled(site, "eve@example.com")

    token = asked(site)

    assert code_of(answered(site, token, code=eve.phone.next())) == WRONG
    assert code_of(answered(site, token, "recovery_code", code=eve.codes[0])) == WRONG
    assert answered(site, asked(site, "eve@example.com"), "recovery_code", code=eve.codes[0]).status_code == 200


@pytest.mark.requirement("ASVS 2.3.1")
def test_a_refused_password_is_not_renewed_before_the_factor_is_shown(make_site: MakeSite) -> None:
    """Else whoever knows the old password sets a new one without the factor."""
    from flask_accounts.core.errors import FieldProblem

    site = make_site(config={"ACCOUNTS_PASSWORD_CHECK_AT_SIGN_IN": True})
    ann = enrolled(site)
    problem = FieldProblem("password", "password_old", "Too old.")
    site.testing.runtime.password_checks = (lambda password, context: problem if password == PASSWORD else None,)

    token = asked(site)
    assert code_of(answered(site, token, "password_change", new_password=NEW)) == (400, "VALIDATION_ERROR")
    second = answered(site, token, code=ann.phone.next())
    assert code_of(second) == (401, "PASSWORD_CHANGE_REQUIRED")
    done = answered(site, second.get_json()["challenge_token"], "password_change", new_password=NEW)
    assert done.status_code == 200, done.text


@pytest.mark.requirement("ASVS 7.4.2")
def test_a_disabled_account_gets_no_challenge_and_a_challenge_no_session(site: Site, ann: Owner) -> None:
    token = asked(site)
    with site.app.app_context():
        site.accounts.users.disable(ann.user.id)
        site.db.session.commit()

    assert code_of(site.login(ANN)) == (403, "ACCOUNT_DISABLED")
    assert code_of(answered(site, token, code=ann.phone.next())) == (403, "ACCOUNT_DISABLED")


def test_a_changed_password_ends_sign_ins_that_wait(site: Site, ann: Owner) -> None:
    token = asked(site)
    body = {"current_password": PASSWORD, "new_password": NEW}
    assert ann.browser.post(f"{AUTH}/password/change", json=body).status_code == 204

    assert code_of(answered(site, token, code=ann.phone.next())) == OVER


@pytest.mark.requirement("ASVS 2.3.1")
def test_a_factor_that_came_meanwhile_is_asked_for(site: Site) -> None:
    """A sign-in whose password was right waits for the account's lock while the owner sets a factor up."""
    site.user(ANN, email_verified=True)
    browser = signed_in(site)
    phone = begin(browser, site)
    service = site.testing.runtime.hasher.inner
    verify = service.verify

    def slow(password: str, encoded: str) -> bool:
        service.verify = verify  # type: ignore[method-assign]  # once
        assert confirm(browser, phone.code()).status_code == 200
        return verify(password, encoded)

    service.verify = slow  # type: ignore[method-assign]  # a double

    assert code_of(site.login(ANN)) == (401, "MFA_REQUIRED")


@pytest.mark.requirement("ASVS 15.4.2")
def test_a_factor_that_came_while_the_sign_in_waited_for_the_account_opens_no_session_without_it(
    make_site: MakeSite, every_database_url: str
) -> None:
    """What a statement that had to wait for a lock reads of other tables may be from before; the INSERT of the session is not."""
    site = make_site(url=every_database_url)
    site.user(ANN, email_verified=True)
    runtime, facts_in = site.testing.runtime, site.testing.runtime.facts_in
    enrolled_while_waiting = signed_in(site)
    phone = begin(enrolled_while_waiting, site)
    assert confirm(enrolled_while_waiting, phone.code()).status_code == 200
    runtime.facts_in = lambda row: facts_in(row) | {"factor_totp": None, "factor_recovery_code": None}  # type: ignore[method-assign]

    assert code_of(site.login(ANN)) == WRONG

    runtime.facts_in = facts_in  # type: ignore[method-assign]
    assert answered(site, asked(site), code=phone.next()).status_code == 200


# Guessing


@pytest.fixture
def guarded(make_site: MakeSite) -> Site:
    return make_site(limits=True, config=NO_FLOOD_STOP)


@pytest.mark.requirement("ASVS 6.6.3")
def test_one_sign_in_takes_five_answers_and_its_owner_is_told(site: Site, ann: Owner) -> None:
    token = asked(site)
    site.testing.runtime.factor_counts = ()  # the count per account would stop it first, or as soon
    with site.testing.recorded() as told:
        answers = [answered(site, token, code=ann.phone.wrong()) for _ in range(4)]
        answers.append(answered(site, token, "recovery_code", code="nonsense"))

    assert [code_of(answer) for answer in answers] == [WRONG] * 5
    assert code_of(answered(site, token, code=ann.phone.next())) == OVER
    assert [event.factor for event in told if isinstance(event, events.SecondFactorFailed)] == ["recovery_code"]
    assert [mail.subject for mail in site.testing.outbox] == ["Somebody may know your password"]


@pytest.mark.requirement("ASVS 6.6.3")
def test_thirty_wrong_codes_over_fresh_challenges_are_cut_off(guarded: Site) -> None:
    """The right password before each does not wipe the count out, and neither does another address or another factor."""
    ann = enrolled(guarded)
    found = []
    for number in range(30):
        here: dict[str, Any] = {"environ_base": {"REMOTE_ADDR": f"203.0.113.{number}"}}
        answer = guarded.login(ANN, **here)
        if answer.status_code == 429:
            found.append(429)
            continue
        method = ("totp", "recovery_code")[number % 2]
        step = {"challenge_token": answer.get_json()["challenge_token"], "method": method, "code": ann.phone.wrong()}
        found.append(guarded.client.post(f"{AUTH}/challenge", json=step, **here).status_code)

    assert found[:5] == [401] * 5
    assert set(found[5:]) == {429}


@pytest.mark.requirement("NIST 3.2.2")
def test_who_waits_out_every_wait_has_forty_guesses_in_a_week(guarded: Site) -> None:
    ann = enrolled(guarded)
    end, guesses = guarded.testing.clock.now() + timedelta(days=7), 0
    while guarded.testing.clock.now() < end:
        answer = answered(guarded, asked(guarded), code=ann.phone.wrong())
        if answer.status_code == 429:
            guarded.testing.clock.move(seconds=int(answer.headers["Retry-After"]))
        else:
            guesses += 1

    assert guesses <= 60


@pytest.mark.requirement("ASVS 6.3.4")
def test_step_up_shares_the_count(guarded: Site) -> None:
    ann = enrolled(guarded)
    for _ in range(3):
        assert code_of(answered(guarded, asked(guarded), code=ann.phone.wrong())) == WRONG
    proof = {"method": "totp", "code": ann.phone.wrong()}
    assert [ann.browser.post(f"{AUTH}/reauthenticate", json=proof).status_code for _ in range(4)] == [401, 401, 429, 429]

    assert answered(guarded, asked(guarded), code=ann.phone.next()).status_code == 200  # 30 seconds were the wait


@pytest.mark.requirement("ASVS 6.6.3")
def test_a_right_password_at_step_up_does_not_wipe_the_count_out(guarded: Site) -> None:
    ann = enrolled(guarded)
    for _ in range(5):
        answered(guarded, asked(guarded), code=ann.phone.wrong())
    ann.browser.post(f"{AUTH}/reauthenticate", json={"password": PASSWORD})

    assert answered(guarded, asked(guarded), code=ann.phone.code()).status_code == 429


@pytest.mark.requirement("ASVS 6.1.1")
def test_an_owner_who_is_held_back_by_guesses_gets_in(guarded: Site) -> None:
    ann = enrolled(guarded)
    for _ in range(5):
        answered(guarded, asked(guarded), code=ann.phone.wrong())
    waiting = answered(guarded, asked(guarded), code=ann.phone.code())
    assert waiting.status_code == 429
    assert int(waiting.headers["Retry-After"]) == 30
    assert ann.browser.get(f"{AUTH}/me").status_code == 200  # sessions stay

    guarded.client.post(f"{AUTH}/password/forgot", json={"email": ANN})
    token = guarded.testing.outbox[-1].text.split("\n\n")[1].strip()
    assert guarded.client.post(f"{AUTH}/password/reset", json={"token": token, "new_password": NEW}).status_code == 204
    assert answered(guarded, asked(guarded, password=NEW), code=ann.phone.code(1)).status_code == 200


def test_the_wait_is_told_once(guarded: Site) -> None:
    ann = enrolled(guarded)
    for _ in range(5):
        answered(guarded, asked(guarded), code=ann.phone.wrong())

    with guarded.testing.recorded() as told:
        for _ in range(3):
            answered(guarded, asked(guarded), code=ann.phone.wrong())

    assert [event.scope for event in told if isinstance(event, events.RateLimited)] == ["mfa"]


@pytest.mark.requirement("ASVS 15.3.5")
@pytest.mark.parametrize("code", [None, 123456, True, ["123456"], {"code": "123456"}, "", "x" * 65, "١٢٣٤٥٦", "0" * 64])
def test_no_code_of_another_type_or_script_gets_in(site: Site, ann: Owner, code: Any) -> None:
    for method in ("totp", "recovery_code"):
        assert answered(site, asked(site), method, code=code).status_code in (400, 401)
    assert ann.browser.post(f"{AUTH}/reauthenticate", json={"method": "totp", "code": code}).status_code in (400, 401)


@pytest.mark.requirement("ASVS 6.5.8")
def test_the_clients_clock_says_nothing(site: Site, ann: Owner) -> None:
    code = ann.phone.code(20)
    headers = {"Date": "Fri, 01 Jan 2100 00:00:00 GMT", "X-Timestamp": "4102444800"}
    step = {"challenge_token": asked(site), "method": "totp", "code": code}

    assert code_of(site.client.post(f"{AUTH}/challenge", json=step, headers=headers)) == WRONG
    assert site.client.post(f"{AUTH}/challenge", json=step | {"timestamp": 4_102_444_800}).status_code == 400


# Using codes twice


@pytest.mark.requirement("ASVS 6.5.1")
def test_a_code_is_good_once_over_two_sign_ins_and_step_up(site: Site, ann: Owner) -> None:
    code = ann.phone.next()
    first, second = asked(site), asked(site)

    assert answered(site, first, code=code).status_code == 200
    assert code_of(answered(site, first, code=code)) == OVER
    assert code_of(answered(site, second, code=code)) == WRONG
    assert code_of(ann.browser.post(f"{AUTH}/reauthenticate", json={"method": "totp", "code": code})) == WRONG


@pytest.mark.requirement("ASVS 6.5.1")
def test_an_older_code_is_not_good_after_a_newer_one(site: Site, ann: Owner) -> None:
    older = ann.phone.next()
    assert answered(site, asked(site), code=ann.phone.code(1)).status_code == 200

    assert code_of(answered(site, asked(site), code=older)) == WRONG


Race = Callable[[Site, Owner], list[Callable[[], TestResponse]]]
RACES: dict[str, Race] = {
    "one code, eight sign-ins": lambda site, ann: _each(site, [asked(site) for _ in range(8)], "totp", ann.phone.next()),
    "one code, one sign-in": lambda site, ann: _each(site, [asked(site)] * 8, "totp", ann.phone.next()),
    "one recovery code, eight sign-ins": lambda site, ann: _each(
        site, [asked(site) for _ in range(8)], "recovery_code", ann.codes[0]
    ),
}


def _each(site: Site, tokens: list[str], method: str, code: str) -> list[Callable[[], TestResponse]]:
    return [lambda token=token: answered(site, token, method, code=code) for token in tokens]  # type: ignore[misc]  # bound at once


@pytest.mark.requirement("ASVS 15.4.2")
@pytest.mark.parametrize("race", RACES)
def test_of_parallel_uses_of_one_code_one_gets_in(make_site: MakeSite, every_database_url: str, race: str) -> None:
    site = make_site(url=every_database_url)
    ann = enrolled(site)
    site.testing.runtime.factor_counts = ()  # which would hold most of them back before the code is looked at
    acts = RACES[race](site, ann)
    start = threading.Barrier(len(acts))

    def act(one: Callable[[], TestResponse]) -> int:
        start.wait()
        return one().status_code

    with ThreadPoolExecutor(len(acts)) as pool:
        statuses = list(pool.map(act, acts))

    assert sorted(statuses) == [200, *[401] * 7], statuses


@pytest.mark.requirement("ASVS 6.6.3")
def test_parallel_guesses_all_count(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url, limits=True, config=NO_FLOOD_STOP)
    ann = enrolled(site)
    tokens, wrong, start = [asked(site) for _ in range(8)], ann.phone.wrong(), threading.Barrier(8)

    def guess(token: str) -> int:
        start.wait()
        return answered(site, token, code=wrong).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(guess, tokens))

    assert sorted(statuses) == [401] * 5 + [429] * 3


# Taking it away, or putting in one's own

Act = Callable[[FlaskClient], TestResponse]
SENSITIVE: dict[str, Act] = {
    "begin an app": lambda client: client.post(f"{AUTH}/mfa/totp"),
    "confirm an app": lambda client: client.post(f"{AUTH}/mfa/totp/confirm", json={"code": "123456"}),
    "remove the app": lambda client: client.delete(f"{AUTH}/mfa/totp"),
    "new recovery codes": lambda client: client.post(f"{AUTH}/mfa/recovery-codes"),
    "remember a device": lambda client: client.post(f"{AUTH}/mfa/devices"),
    "new address": lambda client: client.post(f"{AUTH}/email/change", json={"email": "evil@example.com"}),
    "export": lambda client: client.get(f"{AUTH}/me/export"),
    "deletion": lambda client: client.delete(f"{AUTH}/me"),
    "new password": lambda client: client.post(f"{AUTH}/password/change", json={"current_password": PASSWORD, "new_password": NEW}),
}


@pytest.fixture
def remembering(make_site: MakeSite) -> Site:
    return make_site(config={"ACCOUNTS_MFA_REMEMBER_FOR": timedelta(days=30)})


@pytest.mark.requirement("ASVS 7.5.1")
@pytest.mark.parametrize("act", SENSITIVE)
def test_a_stolen_old_session_changes_nothing_even_with_the_password(site: Site, ann: Owner, act: str) -> None:
    refresh = answered(site, asked(site), code=ann.phone.next()).get_json()["refresh_token"]
    site.testing.clock.move(minutes=16)
    thief = with_token(site, site.client.post(f"{AUTH}/refresh", json={"refresh_token": refresh}).get_json()["access_token"])

    assert code_of(SENSITIVE[act](thief)) == STEP_UP
    refused = thief.post(f"{AUTH}/reauthenticate", json={"password": PASSWORD})
    assert code_of(refused) == STEP_UP
    assert refused.get_json()["methods"] == ["totp", "recovery_code"]
    assert code_of(SENSITIVE[act](thief)) == STEP_UP


@pytest.mark.requirement("ASVS 7.5.1")
@pytest.mark.parametrize("act", SENSITIVE)
def test_a_stolen_device_with_the_password_changes_nothing(remembering: Site, act: str) -> None:
    """A sign-in that was not asked for the second factor is as old as the last one that was."""
    ann = enrolled(remembering)
    secret = ann.browser.post(f"{AUTH}/mfa/devices").get_json()["device_token"]
    remembering.testing.clock.move(minutes=16)
    tokens = remembering.login(ANN, headers={"X-Device-Token": secret}).get_json()
    thief = with_token(remembering, tokens["access_token"])

    assert thief.get(f"{AUTH}/me").status_code == 200
    assert code_of(SENSITIVE[act](thief)) == STEP_UP


@pytest.mark.requirement("ASVS 7.5.1")
def test_another_accounts_factor_proves_nothing(site: Site, ann: Owner) -> None:
    """GHSA-f66q-9rf6-8795: any user's authenticator was taken."""
    eve = enrolled(site, "eve@example.com")

    for proof in ({"method": "totp", "code": eve.phone.next()}, {"method": "recovery_code", "code": eve.codes[0]}):
        assert code_of(ann.browser.post(f"{AUTH}/reauthenticate", json=proof)) == WRONG
    assert ann.browser.post(f"{AUTH}/reauthenticate", json={"method": "totp", "code": ann.phone.next()}).status_code == 200


@pytest.mark.requirement("ASVS 6.4.4")
def test_whoever_lost_the_phone_removes_it_by_a_recovery_code_alone(site: Site, ann: Owner) -> None:
    browser = with_token(site, answered(site, asked(site), "recovery_code", code=ann.codes[0]).get_json()["access_token"])

    assert browser.delete(f"{AUTH}/mfa/totp").status_code == 204
    assert code_of(answered(site, asked_after(site), code="1")) == OVER


def asked_after(site: Site) -> str:
    assert site.login(ANN).status_code == 200
    return "nothing waits any more"


@pytest.mark.requirement("ASVS 6.4.4")
def test_nobody_puts_a_factor_on_an_address_that_is_not_proved(site: Site) -> None:
    """Whoever registers somebody else's address must not lock its owner out."""
    site.user(ANN)
    browser = signed_in(site)

    assert code_of(browser.post(f"{AUTH}/mfa/totp")) == (403, "EMAIL_NOT_VERIFIED")
    assert code_of(browser.post(f"{AUTH}/mfa/totp/confirm", json={"code": "123456"})) == (403, "EMAIL_NOT_VERIFIED")


@pytest.mark.requirement("ASVS 6.8.1")
def test_an_owner_who_comes_by_mail_meets_no_factor_of_the_stranger_before(make_site: MakeSite) -> None:
    config = {
        "ACCOUNTS_MAIL_BASE_URL": "https://app.example.com/account",
        "ACCOUNTS_MFA_VERIFIED_EMAIL": False,
        "ACCOUNTS_MFA_REMEMBER_FOR": timedelta(days=30),
    }
    site = make_site(features=[*default_features(), MagicLink()], config=config)
    stranger = enrolled(site, email_verified=False)
    assert stranger.browser.post(f"{AUTH}/mfa/devices").status_code == 201
    owner = site.client
    ask_magic_link(owner)

    answer = open_link(owner, token_in(site))

    assert answer.status_code == 200, answer.text
    browser = with_token(site, answer.get_json()["access_token"])
    shown = browser.get(f"{AUTH}/mfa").get_json()
    assert (shown["enabled"], shown["recovery_codes"]) == (False, 0)
    assert browser.get(f"{AUTH}/mfa/devices").get_json() == {"devices": []}


@pytest.mark.requirement("ASVS 8.2.1")
def test_an_administrator_of_lesser_power_resets_nobody_above(site: Site) -> None:
    root = enrolled(site, "root@example.com", roles=["admin"])
    lesser = site.client_for(site.user("lesser@example.com", permissions=["users:read", "users:write"]))
    reader = site.client_for(site.user("reader@example.com", permissions=["users:read"]))

    assert code_of(lesser.delete(f"/api/users/{root.user.id}/mfa")) == (403, "PERMISSION_DENIED")
    assert code_of(reader.delete(f"/api/users/{root.user.id}/mfa")) == (403, "PERMISSION_DENIED")
    assert code_of(site.login("root@example.com")) == (401, "MFA_REQUIRED")


@pytest.mark.requirement("ASVS 7.5.1")
def test_a_stolen_old_session_of_an_administrator_resets_nobody(site: Site, ann: Owner) -> None:
    site.admin()
    tokens = site.tokens("admin@example.com")
    site.testing.clock.move(minutes=16)
    renewed = site.client.post(f"{AUTH}/refresh", json={"refresh_token": tokens["refresh_token"]}).get_json()

    answer = site.client.delete(f"/api/users/{ann.user.id}/mfa", headers=bearer(renewed["access_token"]))

    assert code_of(answer) == STEP_UP


@pytest.mark.requirement("ASVS 6.4.6")
def test_nobody_sets_a_secret_for_somebody_else(site: Site, ann: Owner) -> None:
    admin = site.client_for(site.admin())

    for name in ("totp", "totp_secret", "mfa", "factors", "recovery_codes"):
        assert admin.patch(f"/api/users/{ann.user.id}", json={name: "x"}).status_code == 400
    assert code_of(site.login(ANN)) == (401, "MFA_REQUIRED")


@pytest.mark.requirement("ASVS 6.6.2")
def test_an_app_is_confirmed_by_the_session_that_began_it(site: Site) -> None:
    """Else a thief's secret could be confirmed by an owner who thinks it is the own one."""
    site.user(ANN, email_verified=True)
    mine, thief = signed_in(site), signed_in(site)
    phone = begin(thief, site)

    answer = confirm(mine, phone.code())

    assert answer.get_json()["errors"][0]["code"] == "enrolment_missing"


def test_a_removed_factor_answers_no_challenge_that_waits(site: Site, ann: Owner) -> None:
    token = asked(site)
    assert ann.browser.delete(f"{AUTH}/mfa/totp").status_code == 204

    assert code_of(answered(site, token, code=ann.phone.next())) == WRONG
    assert code_of(answered(site, token, "recovery_code", code=ann.codes[0])) == WRONG


# What lies at rest, and in logs


@pytest.mark.requirement("ASVS 13.3.1")
@pytest.mark.requirement("ASVS 6.5.2")
@pytest.mark.requirement("ASVS 16.2.5")
def test_neither_the_database_nor_a_log_tells_a_secret(remembering: Site, caplog: pytest.LogCaptureFixture) -> None:
    import base64

    caplog.set_level("DEBUG")
    site, ann = remembering, enrolled(remembering)
    device = ann.browser.post(f"{AUTH}/mfa/devices").get_json()["device_token"]
    waiting = phone_of(site, ann.browser.post(f"{AUTH}/mfa/totp"))
    token = asked(site)
    answered(site, asked(site), "recovery_code", code=ann.codes[0])
    sign_in(site, ann)
    spellings = [device, token, *ann.codes, *(code.replace("-", "") for code in ann.codes)]
    for secret in (ann.phone.secret, waiting.secret):
        spellings += [base64.b32encode(secret).decode(), base64.b64encode(secret).decode(), secret.hex()]

    with site.app.app_context():
        dump = "".join(
            repr(row) for table in site.testing.runtime.tables for row in site.db.session.execute(sa.select(table)).all()
        )
    mails = "".join(mail.text + (mail.html or "") for mail in site.testing.outbox)

    for spelling in spellings:
        assert spelling.lower() not in dump.lower()
        assert spelling not in caplog.text
        assert spelling not in mails


@pytest.mark.requirement("ASVS 13.3.1")
def test_a_secret_moved_to_another_account_does_not_open(site: Site, ann: Owner) -> None:
    """Who writes to the database cannot give an account a secret that he knows."""
    from flask_accounts.features.totp.models import TotpMixin

    eve = enrolled(site, "eve@example.com")
    table = site.testing.runtime.model(TotpMixin).__table__
    with site.app.app_context():
        sealed = site.db.session.execute(sa.select(table.c.secret).where(table.c.user_id == eve.user.id)).scalar_one()
        site.db.session.execute(sa.update(table).where(table.c.user_id == ann.user.id).values(secret=sealed))
        site.db.session.commit()

    assert code_of(answered(site, asked(site), code=eve.phone.next())) == (503, "SERVICE_UNAVAILABLE")
