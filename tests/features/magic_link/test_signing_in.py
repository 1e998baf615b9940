"""Sign-in by mail: by link or by code, through the gates, from the browser or the client that asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts, ConfigurationError, Feature, LoginAttempt
from flask_accounts.core.errors import ChallengeRequired, EmailNotVerified, InvalidCredentials
from flask_accounts.core.runtime import Runtime
from flask_accounts.core.users import UserView
from flask_accounts.features.magic_link import MagicLink
from flask_accounts.features.magic_link.service import MagicLinkService
from tests.conftest import MakeSite, Site, bearer
from tests.contract import contract_of
from tests.features.magic_link.tools import (
    ANN,
    ASK,
    COOKIE,
    LOGIN,
    ask,
    code_in,
    mailed,
    mailed_code,
    open_link,
    refused,
    token_in,
    type_code,
)


def claims(site: Site, token: str) -> dict[str, Any]:
    from flask_jwt_extended import decode_token

    with site.app.app_context():
        found: dict[str, Any] = decode_token(token)
        return found


def test_a_link_signs_in_where_it_was_asked_for(site: Site) -> None:
    browser = site.client

    answer = open_link(browser, mailed(site, browser))

    assert answer.status_code == 200
    assert answer.get_json()["user"]["email"] == ANN
    assert site.client.get("/api/auth/me", headers=bearer(answer.get_json()["access_token"])).status_code == 200


def test_a_code_signs_in_as_people_type_it(site: Site) -> None:
    browser = site.client
    code = mailed_code(site, browser)

    answer = type_code(browser, f"{code[:4]} {code[4:]}", email="ANN@example.com ")

    assert answer.status_code == 200


def test_a_client_without_cookies_sends_back_what_it_was_given(site: Site) -> None:
    client = site.app.test_client(use_cookies=False)

    for by in ("token", "code"):
        handle = ask(client).get_json()["request_token"]
        proof = {"token": token_in(site)} if by == "token" else {"email": ANN, "code": code_in(site)}
        assert client.post(LOGIN, json=proof | {"request_token": handle}).status_code == 200


def test_it_is_a_recent_sign_in_by_mail(site: Site) -> None:
    browser = site.client
    token = mailed(site, browser)
    site.testing.clock.move(minutes=3)

    found = claims(site, open_link(browser, token).get_json()["access_token"])

    assert found["amr"] == ["email"]
    assert found["auth_time"] == int(site.testing.clock.now().timestamp())
    assert found["fresh"]


def test_what_was_mailed_is_used_up_as_one(site: Site) -> None:
    browser = site.client
    token, code = mailed(site, browser), code_in(site)

    assert type_code(browser, code).status_code == 200
    assert refused(open_link(browser, token))


@pytest.mark.requirement("ASVS 6.5.5")
def test_a_link_and_a_code_are_good_for_ten_minutes(site: Site) -> None:
    browser = site.client
    for by in (open_link, type_code):
        token, code = mailed(site, browser), code_in(site)
        site.testing.clock.move(minutes=9, seconds=59)
        assert by(browser, token if by is open_link else code).status_code == 200
        token, code = mailed(site, browser), code_in(site)
        site.testing.clock.move(minutes=10)
        assert refused(by(browser, token if by is open_link else code))


def test_a_newer_mail_voids_the_older(site: Site) -> None:
    browser = site.client
    old, new = mailed(site, browser), mailed(site, browser)

    assert refused(open_link(browser, old))
    assert open_link(browser, new).status_code == 200


def test_a_new_password_a_new_address_and_disabling_void_it(site: Site) -> None:
    browser, admin = site.client, site.client_for(site.admin())
    key = site.tokens(ANN)["user"]["id"]

    def ask_then(method: str, path: str, body: Any = None) -> bool:
        site.testing.clock.move(minutes=1)
        token = mailed(site, browser)
        assert admin.open(f"/api/users/{key}{path}", method=method, json=body).status_code in (200, 204)
        return refused(open_link(browser, token))

    assert ask_then("POST", "/password-reset")
    assert ask_then("POST", "/disable")
    assert ask_then("PATCH", "", {"email": "anna@example.com", "is_active": True})


def test_an_account_without_a_password_signs_in(site: Site) -> None:
    site.user("bob@example.com", password=None, email_verified=True)
    browser = site.client

    assert open_link(browser, mailed(site, browser, "bob@example.com")).status_code == 200


def test_only_the_link_or_only_the_code_is_mailed_if_the_host_wants_that(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_MAGIC_LINK_SEND": "link"})
    ask(site.client)
    assert "#token=" in site.testing.outbox[-1].text
    assert "code" not in site.testing.outbox[-1].text

    site = make_site(config={"ACCOUNTS_MAGIC_LINK_SEND": "code", "ACCOUNTS_MAGIC_LINK_CODE_DIGITS": 6})
    browser = site.client
    code = mailed_code(site, browser)
    assert len(code) == 6
    assert "token" not in site.testing.outbox[-1].text + (site.testing.outbox[-1].html or "")
    assert type_code(browser, code).status_code == 200


def test_without_a_front_end_the_token_itself_is_mailed(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_MAIL_BASE_URL": None})
    browser = site.client
    ask(browser)

    token = next(line for line in site.testing.outbox[-1].text.splitlines() if len(line) == 43 and " " not in line)

    assert open_link(browser, token).status_code == 200


@pytest.mark.requirement("ASVS 6.3.7")
@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "only in the browser"), ("de", "nur in dem Browser"), ("fr", "que dans le navigateur")],
)
def test_the_mail_says_where_and_when_it_was_asked_for(site: Site, language: str, words: str) -> None:
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"

    ask(site.client, headers={"User-Agent": agent, "Accept-Language": language}, environ_base={"REMOTE_ADDR": "203.0.113.9"})

    mail = site.testing.outbox[-1]
    for text in (mail.text, mail.html or ""):
        flat = " ".join(text.split())
        assert "Firefox on Linux, 203.0.113.9," in flat
        assert f"{site.testing.clock.now():%Y-%m-%d %H:%M} UTC" in flat
        assert words in flat


def test_an_unbound_mail_does_not_say_that_it_is_bound(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_MAGIC_LINK_BIND_BROWSER": False})

    answer = ask(site.client)

    assert "Set-Cookie" not in answer.headers
    assert set(answer.get_json()) == {"message", "expires_in"}
    assert "browser" not in site.testing.outbox[-1].text
    assert open_link(site.client, token_in(site)).status_code == 200


def test_an_unknown_address_is_told_by_mail_only_if_the_host_asks(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_MAGIC_LINK_TELL_UNKNOWN": True})

    for email in ("nobody@example.com", "not an address"):
        ask(site.client, email)

    assert [(mail.kind, mail.to) for mail in site.testing.outbox] == [("magic_link_no_account", "nobody@example.com")]


# The gates


def test_a_disabled_account_is_refused_after_the_proof_as_after_a_password(site: Site) -> None:
    site.user("off@example.com", is_active=False, email_verified=True)
    browser = site.client

    answer = open_link(browser, mailed(site, browser, "off@example.com"))

    assert (answer.status_code, answer.get_json()["code"]) == (403, "ACCOUNT_DISABLED")


class Pin(Feature):
    """A second factor."""

    name = "pin"

    def gates(self, runtime: Runtime) -> Any:
        def gate(attempt: LoginAttempt, user: UserView) -> None:
            if "pin" not in attempt.answered:
                raise ChallengeRequired(["pin"])

        return [gate]

    def challenge_methods(self, runtime: Runtime) -> Any:
        def check(attempt: LoginAttempt, user: UserView, answer: Any) -> LoginAttempt:
            if answer.code != "1234":
                raise InvalidCredentials
            return attempt

        return {"pin": check}


@pytest.mark.requirement("ASVS 6.4.3", "ASVS 6.3.6")
def test_a_second_factor_is_still_asked_for(make_site: MakeSite) -> None:
    site = make_site(features=[Pin()])
    browser = site.client

    for answer in (open_link(browser, mailed(site, browser)), type_code(browser, mailed_code(site, browser))):
        asked = answer.get_json()
        assert (answer.status_code, asked["code"], asked["challenges"]) == (401, "CHALLENGE_REQUIRED", ["pin"])
        step = {"challenge_token": asked["challenge_token"], "method": "pin"}
        assert browser.post("/api/auth/challenge", json=step | {"code": "0000"}).status_code == 401
        assert claims(site, browser.post("/api/auth/challenge", json=step | {"code": "1234"}).get_json()["access_token"])[
            "amr"
        ] == ["email"]


def test_a_host_brings_a_disabled_account_back_by_it(make_site: MakeSite) -> None:
    class Thaw(Feature):
        """Undoes a disabling at the next right credential."""

        name = "thaw"

        def restores(self, runtime: Runtime) -> Any:
            def restore(attempt: LoginAttempt, user: UserView) -> Any:
                return lambda: runtime.users.set_active(user.key, value=True, now=runtime.clock.now())

            return [restore]

    site = make_site(features=[Thaw()])
    site.user("off@example.com", is_active=False, email_verified=True)
    browser = site.client

    assert open_link(browser, mailed(site, browser, "off@example.com")).status_code == 200


def test_it_brings_an_account_back_that_its_owner_has_deleted(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_DELETION_GRACE": 60})
    gil = site.user("gil@example.com", email_verified=True)
    assert site.client_for(gil).delete("/api/auth/me").status_code == 204
    browser = site.client

    answer = open_link(browser, mailed(site, browser, "gil@example.com"))

    assert answer.get_json()["user"]["is_active"] is True


@pytest.mark.parametrize("days", [None, 1])
def test_it_lets_no_suspended_account_in(make_site: MakeSite, days: int | None) -> None:
    site = make_site()
    gil = site.user("gil@example.com", email_verified=True)
    browser = site.client
    sent = mailed(site, browser, "gil@example.com")
    with site.app.app_context():
        until = site.testing.clock.now() + timedelta(days=days) if days else None
        site.accounts.users.disable(gil.id, until=until)
        site.db.session.commit()

    assert open_link(browser, sent).get_json()["code"] == "ONE_TIME_TOKEN_INVALID"
    refused = open_link(browser, mailed(site, browser, "gil@example.com"))
    assert (refused.status_code, refused.get_json()["code"]) == (403, "ACCOUNT_DISABLED")
    assert ("until" in refused.get_json()) is (days is not None)


def test_it_proves_the_address_where_nobody_gets_in_unproved(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_EMAIL_VERIFICATION_MODE": "required"})
    site.user("bob@example.com")
    assert site.login("bob@example.com").get_json()["code"] == EmailNotVerified.error_code
    browser = site.client

    with site.testing.recorded() as events:
        answer = open_link(browser, mailed(site, browser, "bob@example.com"))

    assert answer.get_json()["user"]["email_verified"] is True
    assert {"email.verified", "user.claimed", "magic_link.requested"} <= {event.name for event in events}


# Cookies


def cookies_of(answer: Any) -> dict[str, str]:
    return {line.partition("=")[0]: line for line in answer.headers.getlist("Set-Cookie")}


@pytest.mark.requirement("ASVS 3.3.1", "ASVS 3.3.3", "ASVS 3.3.4")
def test_the_cookie_of_the_asking_browser_is_read_by_no_script_and_planted_by_no_neighbour(site: Site) -> None:
    line = cookies_of(ask(site.client))[COOKIE]

    parts = {part.strip() for part in line.split(";")[1:]}
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax", "Max-Age=600"} <= parts
    assert not any(part.startswith("Domain") for part in parts)


@pytest.mark.requirement("ASVS 3.3.3")
def test_no_cookie_is_called_host_that_browsers_would_refuse_under_that_name(make_site: MakeSite) -> None:
    site = make_site(config={"JWT_COOKIE_SECURE": False})
    browser = site.client

    cookies = cookies_of(ask(browser))

    assert "Secure" not in cookies["magic_link"]
    assert open_link(browser, token_in(site)).status_code == 200


@pytest.mark.requirement("ASVS 3.3.4")
def test_with_cookie_transport_no_secret_is_in_a_body(make_site: MakeSite) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["cookies"]})
    browser = site.client

    asked = ask(browser)
    answer = open_link(browser, token_in(site))

    assert set(asked.get_json()) == {"message", "expires_in"}
    assert answer.status_code == 200
    assert "eyJ" not in answer.text
    assert browser.get("/api/auth/me").status_code == 200
    assert set(cookies_of(answer)) == {
        "__Host-access_token", "__Host-refresh_token", "csrf_access_token", "csrf_refresh_token", COOKIE,
    }  # fmt: skip
    assert browser.get_cookie(COOKIE) is None


# What is kept


def test_the_owner_sees_what_is_kept_and_it_goes_with_the_account(site: Site) -> None:
    ann = site.tokens(ANN)
    ask(site.client)

    exported = site.client.get("/api/auth/me/export", headers=bearer(ann["access_token"])).get_json()
    assert [one["purpose"] for one in exported["one_time_tokens"]] == ["magic_link"]
    assert "binding" not in str(exported)

    with site.app.app_context():
        site.accounts.users.delete(ann["user"]["id"])
        site.db.session.commit()
        left = site.db.session.execute(sa.text("SELECT count(*) FROM accounts_one_time_tokens WHERE user_id IS NOT NULL"))
        assert left.scalar() == 0


def test_host_code_asks_and_signs_in_without_http(site: Site) -> None:
    from flask_accounts import Client

    with site.app.app_context():
        service = site.testing.runtime.get(MagicLinkService)
        service.ask(ANN, Client())
        site.db.session.commit()
        signed_in = service.sign_in(token_in(site), Client())
        site.db.session.commit()

    assert signed_in.user.email == ANN


@pytest.mark.parametrize(
    "config",
    [{"LIFETIME": timedelta(hours=2)}, {"LIFETIME": timedelta(0)}, {"CODE_DIGITS": 5}, {"SEND": "nothing"}],
    ids=str,
)
def test_a_setting_that_would_not_be_safe_is_refused(make_site: MakeSite, config: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        make_site(config={f"ACCOUNTS_MAGIC_LINK_{name}": value for name, value in config.items()})


def test_it_needs_what_it_uses() -> None:
    with pytest.raises(ConfigurationError, match="password"):
        Accounts(SQLAlchemy(), features=[MagicLink()])


def test_it_costs_few_statements(site: Site) -> None:
    """Beside the audit log's one INSERT for each event."""
    browser = site.client
    assert open_link(browser, mailed(site, browser)).status_code == 200  # the first of an app may read more, and notes the device
    mailed(site, browser)

    def cost() -> int:
        counted = sum("accounts_events" not in text for text in site.statements)
        site.statements.clear()
        return counted

    cost()
    token = mailed(site, browser)
    assert cost() == 4, "the account, an older token, its end, the new one"
    assert open_link(browser, token).status_code == 200
    assert cost() == 5, "the token, the account, its use, and the two of every sign-in"
    assert refused(open_link(browser, token))
    assert cost() == 1


# The document


def test_every_documented_answer_of_its_routes_is_given(make_site: MakeSite) -> None:
    site = make_site(features=[Pin()])
    contract, browser = contract_of(site), site.client
    check = contract.check
    site.user("off@example.com", is_active=False, email_verified=True)

    check(ask(browser))
    check(open_link(browser, token_in(site)))
    check(open_link(browser, mailed(site, browser, "off@example.com")))
    check(open_link(browser, "nothing"))
    runtime = site.testing.runtime
    runtime.gates = ()
    check(open_link(browser, mailed(site, browser)))
    for path in (ASK, LOGIN):
        check(browser.post(path, json={}))
        check(browser.post(path, data="email=x"))
        check(browser.post(path, data="{", content_type="application/json"))
        check(browser.post(path, data=b'"' + b"x" * 70_000 + b'"', content_type="application/json"))

    limited = make_site(limits=True)
    for path, body in ((ASK, {"email": ANN}), (LOGIN, {"token": "x"})):
        answers = [limited.client.post(path, json=body) for _ in range(61)]
        check(answers[-1])
    # 503 is what only a broken database brings about.
    ours = {answer for answer in contract.answers if "/magic-link" in answer[1] and answer[2] != 503}
    assert {path for _, path, _ in ours} == {ASK, LOGIN}
    assert ours - contract.met == set()
