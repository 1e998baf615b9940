"""Remembered devices: opt-in, listed, revocable, and never good for what asks for more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from flask_accounts import events
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site
from tests.features.mfa.tools import ANN, AUTH, Owner, answered, asked, claims, code_of, confirm, enrolled, phone_of, sign_in

DEVICES = f"{AUTH}/mfa/devices"
REMEMBER = {"ACCOUNTS_MFA_REMEMBER_FOR": timedelta(days=30)}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(config=REMEMBER)


@pytest.fixture
def ann(site: Site) -> Owner:
    return enrolled(site)


def remembered(browser: FlaskClient) -> dict[str, Any]:
    answer = browser.post(DEVICES, headers={"User-Agent": FIREFOX})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.get_json()
    return body


def known(token: str) -> dict[str, Any]:
    return {"headers": {"X-Device-Token": token}}


def test_it_is_off_by_default(make_site: MakeSite) -> None:
    site = make_site()
    ann = enrolled(site)

    assert ann.browser.get(f"{AUTH}/mfa").get_json()["remember_devices_for"] == 0
    assert code_of(ann.browser.post(DEVICES)) == (404, "NOT_FOUND")


def test_a_remembered_device_is_not_asked_until_its_time_is_over(site: Site, ann: Owner) -> None:
    with site.testing.recorded() as told:
        token = remembered(ann.browser)["device_token"]

    assert [event.device for event in told if isinstance(event, events.DeviceRemembered)] == ["Firefox on Linux"]
    site.testing.clock.move(days=29)
    answer = site.login(ANN, **known(token))
    assert answer.status_code == 200, answer.text
    assert claims(site, answer.get_json()["access_token"])["amr"] == ["pwd"]
    assert code_of(site.login(ANN)) == (401, "MFA_REQUIRED")
    assert site.login(ANN, "wrong", **known(token)).status_code == 401
    site.testing.clock.move(days=1)
    assert code_of(site.login(ANN, **known(token))) == (401, "MFA_REQUIRED")
    with site.app.app_context():
        assert site.testing.runtime.purge() > 0


def test_with_cookies_a_cookie_holds_it(make_site: MakeSite) -> None:
    site = make_site(config=REMEMBER | {"JWT_TOKEN_LOCATION": ["headers", "cookies"]})
    ann = enrolled(site)
    browser = site.client
    step = {"challenge_token": asked(site), "method": "totp", "code": ann.phone.next()}
    cookies = {"X-Token-Transport": "cookies"}
    with browser:
        assert browser.post(f"{AUTH}/challenge", json=step, headers=cookies, base_url="https://localhost").status_code == 200
    csrf = browser.get_cookie("csrf_access_token")
    assert csrf is not None
    headers = cookies | {"X-CSRF-TOKEN": csrf.value}

    answer = browser.post(DEVICES, headers=headers, base_url="https://localhost")

    assert answer.status_code == 201, answer.text
    assert "device_token" not in answer.get_json()
    kept = browser.get_cookie("__Host-device")
    assert kept is not None
    assert (kept.http_only, kept.secure, kept.same_site) == (True, True, "Lax")
    body = {"email": ANN, "password": PASSWORD}
    assert browser.post(f"{AUTH}/login", json=body, headers=cookies, base_url="https://localhost").status_code == 200


def test_devices_are_listed_and_forgotten(site: Site, ann: Owner) -> None:
    first, second = remembered(ann.browser), remembered(ann.browser)

    listed = ann.browser.get(DEVICES)
    assert [device["device"] for device in listed.get_json()["devices"]] == ["Firefox on Linux"] * 2
    assert first["device_token"] not in listed.text
    assert ann.browser.delete(f"{DEVICES}/{first['id']}").status_code == 204
    assert code_of(ann.browser.delete(f"{DEVICES}/{first['id']}")) == (404, "NOT_FOUND")
    assert code_of(ann.browser.delete(f"{DEVICES}/nothing")) == (404, "NOT_FOUND")
    assert code_of(site.login(ANN, **known(first["device_token"]))) == (401, "MFA_REQUIRED")
    assert site.login(ANN, **known(second["device_token"])).status_code == 200
    assert ann.browser.delete(DEVICES).status_code == 204
    assert code_of(site.login(ANN, **known(second["device_token"]))) == (401, "MFA_REQUIRED")


def test_a_device_is_its_owners_alone(site: Site, ann: Owner) -> None:
    bob = enrolled(site, "bob@example.com")
    mine = remembered(ann.browser)

    assert bob.browser.get(DEVICES).get_json() == {"devices": []}
    assert code_of(bob.browser.delete(f"{DEVICES}/{mine['id']}")) == (404, "NOT_FOUND")
    assert code_of(site.login("bob@example.com", **known(mine["device_token"]))) == (401, "MFA_REQUIRED")
    assert site.login(ANN, **known(mine["device_token"])).status_code == 200


@pytest.mark.parametrize("change", ["password", "factor", "reset"])
def test_devices_are_forgotten_with_what_they_rest_on(site: Site, ann: Owner, change: str) -> None:
    token = remembered(ann.browser)["device_token"]
    password = PASSWORD
    if change == "password":
        password = "a rather different horse"
        body = {"current_password": PASSWORD, "new_password": password}
        assert ann.browser.post(f"{AUTH}/password/change", json=body).status_code == 204
    elif change == "factor":
        site.testing.clock.move(seconds=30)
        phone = phone_of(site, ann.browser.post(f"{AUTH}/mfa/totp"))
        assert confirm(ann.browser, phone.code()).status_code == 200
    else:
        with site.app.app_context():
            site.accounts.mfa.reset(ann.user.id)
            site.db.session.commit()
        assert site.login(ANN).status_code == 200
        return

    assert code_of(site.login(ANN, password, **known(token))) == (401, "MFA_REQUIRED")


def test_no_more_than_twenty_are_remembered(site: Site, ann: Owner) -> None:
    tokens = []
    for _ in range(21):
        site.testing.clock.move(seconds=1)
        tokens.append(remembered(ann.browser)["device_token"])

    assert len(ann.browser.get(DEVICES).get_json()["devices"]) == 20
    assert code_of(site.login(ANN, **known(tokens[0]))) == (401, "MFA_REQUIRED")


def test_turning_it_off_or_down_counts_at_once(site: Site, ann: Owner, make_site: MakeSite, database_url: str) -> None:
    token = remembered(ann.browser)["device_token"]

    assert code_of(make_site(url=database_url).login(ANN, **known(token))) == (401, "MFA_REQUIRED")
    shorter = make_site(url=database_url, config={"ACCOUNTS_MFA_REMEMBER_FOR": timedelta(days=1)})
    shorter.testing.clock.move(days=2)
    assert code_of(shorter.login(ANN, **known(token))) == (401, "MFA_REQUIRED")


def test_they_are_part_of_an_export_without_their_secret(site: Site, ann: Owner) -> None:
    made = remembered(ann.browser)

    exported = sign_in(site, ann).get(f"{AUTH}/me/export")

    assert exported.get_json()["mfa"]["remembered_devices"][0]["id"] == made["id"]
    assert made["device_token"] not in exported.text


def test_a_session_of_one_factor_remembers_no_device(site: Site, ann: Owner) -> None:
    token = remembered(ann.browser)["device_token"]
    weak = site.login(ANN, **known(token)).get_json()["access_token"]

    answer = site.client.post(DEVICES, headers={"Authorization": f"Bearer {weak}"})

    assert code_of(answer) == (401, "REAUTHENTICATION_REQUIRED")
    assert answer.get_json()["amr"] == ["mfa"]
    assert answered(site, asked(site), code=ann.phone.next()).status_code == 200
