"""Setting up an authenticator app: what is shown, what confirms it, and what it ends."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts, ConfigurationError, default_features, events
from flask_accounts.core.at_rest import AtRest
from flask_accounts.features.totp import Totp
from flask_accounts.features.totp.models import TotpMixin
from flask_accounts.features.totp.service import TotpService
from tests.conftest import KEY, MakeSite, Site, bearer
from tests.features.mfa.tools import ANN, AUTH, Owner, answered, asked, begin, claims, code_of, confirm, enrolled, signed_in

OLD_KEY = "a-secret-that-sealed-before-0123456789abcdefghij"
NEW_KEY = "a-secret-that-seals-from-now-on-0123456789abcdef"


def test_a_secret_a_uri_and_a_qr_code_are_shown(site: Site) -> None:
    site.user(ANN, email_verified=True)

    answer = signed_in(site).post(f"{AUTH}/mfa/totp")

    body = answer.get_json()
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert body["uri"].startswith(f"otpauth://totp/host:{ANN}?secret={body['secret']}&issuer=host")
    assert len(body["secret"]) == 32
    assert body["expires_in"] == 600
    assert ET.fromstring(body["qr_svg"]).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314  # our own


def test_it_counts_only_once_it_is_confirmed(site: Site) -> None:
    site.user(ANN, email_verified=True)
    browser = signed_in(site)

    begin(browser, site)

    assert browser.get(f"{AUTH}/mfa").get_json()["enabled"] is False
    assert site.login(ANN).status_code == 200


def test_the_first_code_confirms_it_and_recovery_codes_are_shown(site: Site) -> None:
    site.user(ANN, email_verified=True)
    browser = signed_in(site)
    phone = begin(browser, site)

    with site.testing.recorded() as told:
        answer = confirm(browser, phone.code())

    assert answer.status_code == 200
    assert len(set(answer.get_json()["recovery_codes"])) == 10
    changed = [event for event in told if isinstance(event, events.FactorChanged)]
    assert [(event.factor, event.change) for event in changed] == [("totp", "added")]
    shown = browser.get(f"{AUTH}/mfa").get_json()
    assert (shown["enabled"], [factor["name"] for factor in shown["factors"]], shown["recovery_codes"]) == (True, ["totp"], 10)
    assert [mail.subject for mail in site.testing.outbox] == ["A sign-in method was added to your account"]


def test_a_wrong_first_code_confirms_nothing_and_may_be_tried_again(site: Site) -> None:
    site.user(ANN, email_verified=True)
    browser = signed_in(site)
    phone = begin(browser, site)

    wrong = confirm(browser, phone.wrong())

    assert code_of(wrong) == (400, "VALIDATION_ERROR")
    assert wrong.get_json()["errors"][0]["code"] == "code_wrong"
    assert confirm(browser, phone.code()).status_code == 200


def test_a_secret_waits_for_ten_minutes_and_a_newer_one_voids_it(site: Site) -> None:
    site.user(ANN, email_verified=True)
    browser = signed_in(site)
    first = begin(browser, site)
    second = begin(browser, site)

    assert confirm(browser, first.code()).get_json()["errors"][0]["code"] == "code_wrong"
    site.testing.clock.move(minutes=10)
    assert confirm(browser, second.code()).get_json()["errors"][0]["code"] == "enrolment_missing"


def test_the_sessions_that_have_not_shown_it_end_and_the_own_one_has_shown_both(site: Site) -> None:
    site.user(ANN, email_verified=True)
    other = signed_in(site)
    browser = signed_in(site)
    phone = begin(browser, site)

    confirm(browser, phone.code())

    assert code_of(other.get(f"{AUTH}/me")) == (401, "TOKEN_REVOKED")
    assert browser.get(f"{AUTH}/me").status_code == 200
    with site.app.app_context():
        live = site.accounts.sessions.live(site.accounts.users.find(email=ANN))
    assert [session.amr for session in live] == [("pwd", "otp", "mfa")]


def test_the_code_that_confirmed_it_signs_nobody_in(site: Site) -> None:
    owner = enrolled(site)

    assert code_of(answered(site, asked(site), code=owner.phone.code())) == (401, "INVALID_CREDENTIALS")
    assert answered(site, asked(site), code=owner.phone.next()).status_code == 200


def test_a_new_app_takes_the_place_of_the_old_one_and_leaves_the_recovery_codes(site: Site, ann: Owner) -> None:
    new = begin(ann.browser, site)

    answer = confirm(ann.browser, new.code())

    assert answer.get_json() == {}
    assert code_of(answered(site, asked(site), code=ann.phone.next())) == (401, "INVALID_CREDENTIALS")
    assert answered(site, asked(site), code=new.next()).status_code == 200
    assert ann.browser.get(f"{AUTH}/mfa").get_json()["recovery_codes"] == 10


def test_until_the_new_app_is_confirmed_the_old_one_counts(site: Site, ann: Owner) -> None:
    begin(ann.browser, site)

    assert answered(site, asked(site), code=ann.phone.next()).status_code == 200


def test_removing_it_removes_everything_and_is_told(site: Site, ann: Owner) -> None:
    other = answered(site, asked(site), code=ann.phone.next()).get_json()

    removed = ann.browser.delete(f"{AUTH}/mfa/totp")

    assert removed.status_code == 204
    assert ann.browser.get(f"{AUTH}/mfa").get_json()["recovery_codes"] == 0
    assert site.client.get(f"{AUTH}/me", headers=bearer(other["access_token"])).status_code == 401
    assert site.login(ANN).status_code == 200
    assert [mail.subject for mail in site.testing.outbox] == ["A sign-in method was removed from your account"]
    assert code_of(ann.browser.delete(f"{AUTH}/mfa/totp")) == (404, "NOT_FOUND")


def test_tokens_say_how_strongly_and_when(site: Site, ann: Owner) -> None:
    site.user("bob@example.com")
    weak = claims(site, site.tokens("bob@example.com")["access_token"])

    strong = claims(site, answered(site, asked(site), code=ann.phone.next()).get_json()["access_token"])

    assert (weak["amr"], weak["acr"]) == (["pwd"], "aal1")
    assert (strong["amr"], strong["acr"]) == (["pwd", "otp", "mfa"], "aal2")
    assert strong["auth_time"] == int(site.testing.clock.now().timestamp())


def test_the_issuer_is_the_products_name_or_what_the_app_says(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_TOTP_ISSUER": "My Shop"})
    site.user(ANN, email_verified=True)

    assert "issuer=My%20Shop&" in signed_in(site).post(f"{AUTH}/mfa/totp").get_json()["uri"]


def test_nothing_is_left_of_an_account_that_is_deleted_and_an_export_holds_no_secret(site: Site, ann: Owner) -> None:
    exported = ann.browser.get(f"{AUTH}/me/export")
    table = site.testing.runtime.model(TotpMixin).__table__
    with site.app.app_context():
        sealed = site.db.session.execute(sa.select(table.c.secret)).scalar_one()

    assert set(exported.get_json()["totp"]) == {"since"}
    assert sealed not in exported.text

    assert ann.browser.delete(f"{AUTH}/me").status_code == 204
    with site.app.app_context():
        for kept in site.testing.runtime.tables:
            if kept.name.startswith(("accounts_totp", "accounts_mfa", "accounts_recovery")):
                assert site.db.session.execute(sa.select(sa.func.count()).select_from(kept)).scalar_one() == 0, kept.name


# The secret that seals


def sealed_with(site: Site) -> list[bool]:
    """For each secret, whether the first of the configured secrets has sealed it."""
    vault = site.testing.runtime.get(AtRest).vault("totp")
    table = site.testing.runtime.model(TotpMixin).__table__
    with site.app.app_context():
        return [vault.is_current(row) for row in site.db.session.execute(sa.select(table.c.secret)).scalars()]


@pytest.mark.requirement("ASVS 13.3.1")
def test_the_secret_that_seals_is_changed_without_losing_anybody(make_site: MakeSite, database_url: str) -> None:
    before = make_site(config={"ACCOUNTS_AT_REST_KEYS": [OLD_KEY]})
    ann, bob = enrolled(before), enrolled(before, "bob@example.com")
    after = make_site(url=database_url, config={"ACCOUNTS_AT_REST_KEYS": [NEW_KEY, OLD_KEY]})
    after.testing.clock.move(seconds=60)
    ann.phone.site = bob.phone.site = after
    assert sealed_with(after) == [False, False]

    assert answered(after, asked(after), code=ann.phone.next()).status_code == 200
    assert sorted(sealed_with(after)) == [False, True]  # the next code seals anew
    assert sealed_rows(after) == ["accounts_totp: 1 row sealed by an older secret."]
    answer = after.app.test_cli_runner().invoke(args=["accounts", "reseal"])
    assert answer.output == "accounts_totp: sealed 1 row anew.\n"
    assert sealed_rows(after) == []

    last = make_site(url=database_url, config={"ACCOUNTS_AT_REST_KEYS": [NEW_KEY]})
    last.testing.clock.move(seconds=120)
    bob.phone.site = last
    assert answered(last, asked(last, "bob@example.com"), code=bob.phone.next()).status_code == 200


def sealed_rows(site: Site) -> list[str]:
    """What the doctor says of what is sealed."""
    said = json.loads(site.app.test_cli_runner().invoke(args=["accounts", "doctor", "--json"]).output)
    return [found["found"] for found in said["findings"] if found["code"] == "sealed-rows"]


@pytest.mark.requirement("ASVS 16.5.3")
def test_a_secret_that_does_not_open_lets_nobody_in_and_is_an_error_of_ours(
    make_site: MakeSite, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = make_site(config={"ACCOUNTS_AT_REST_KEYS": [OLD_KEY]})
    ann = enrolled(before)
    after = make_site(url=database_url, config={"ACCOUNTS_AT_REST_KEYS": [NEW_KEY]})
    ann.phone.site = after
    token = asked(after)

    assert code_of(answered(after, token, code=ann.phone.next())) == (503, "SERVICE_UNAVAILABLE")
    assert "does not open" in caplog.text
    assert answered(after, token, "recovery_code", code=ann.codes[0]).status_code == 200


def test_an_app_that_has_but_a_jwt_secret_seals_with_that(make_site: MakeSite) -> None:
    site = make_site(config={"SECRET_KEY": "short", "JWT_SECRET_KEY": KEY})

    enrolled(site)


def test_an_app_without_a_secret_is_refused_at_start() -> None:
    app = Flask("host")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY=KEY, ACCOUNTS_AT_REST_KEYS=["too short"])

    with pytest.raises(ConfigurationError, match=r"ACCOUNTS_AT_REST_KEYS: .* 32 bytes"):
        Accounts(SQLAlchemy(), app)


def test_it_needs_the_feature_that_asks_for_it() -> None:
    features = [feature for feature in default_features() if feature.name != "mfa"]

    with pytest.raises(ConfigurationError, match="'totp' needs mfa"):
        Accounts(SQLAlchemy(), features=features)
    assert any(isinstance(feature, Totp) for feature in features)


def test_the_services_repr_shows_no_secret(site: Site) -> None:
    site.user(ANN, email_verified=True)
    with site.app.app_context():
        view: Any = site.testing.runtime.users.by_email(ANN)
        enrolment = site.testing.runtime.get(TotpService).begin(view, where="x")

    assert enrolment.secret not in repr(enrolment)
