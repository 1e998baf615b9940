"""Attacks on the sign-in by mail. Whoever has a link, a code, or another's mailbox address only, gets nowhere.

Cost is compared by counting statements and hashes, never by clocks.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_accounts import Message
from flask_accounts.core.one_time import MAX_ATTEMPTS
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.features.magic_link.tools import (
    ANN,
    ASK,
    BASE,
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
from tests.features.magic_link.tools import make_site as make_site
from tests.features.magic_link.tools import site as site

from .counting import CountingHasher
from .test_races import at_once, sessions_of, statuses

MALLORY = "mallory@example.com"


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}"


# Links and codes in other hands


@pytest.mark.requirement("ASVS 6.6.2")
def test_login_csrf_an_attackers_link_opened_by_a_victim_signs_nobody_in_as_the_attacker(site: Site) -> None:
    site.user(MALLORY, email_verified=True)
    attacker, victim = site.client, site.client
    link = mailed(site, attacker, MALLORY)

    assert refused(open_link(victim, link), "OTHER_BROWSER")
    ask(victim)  # a victim who has asked for a link of her own, and so has a cookie
    assert refused(open_link(victim, link), "OTHER_BROWSER")


@pytest.mark.requirement("ASVS 3.5.2")
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_login_csrf_a_foreign_page_cannot_post_a_link_with_the_attackers_binding(site: Site, kind: str) -> None:
    site.user(MALLORY, email_verified=True)
    handle = ask(site.client, MALLORY).get_json()["request_token"]
    body = f'{{"token": "{token_in(site)}", "request_token": "{handle}"}}'

    answer = site.client.post(LOGIN, data=body, content_type=kind)

    assert answer.status_code == 415


@pytest.mark.requirement("ASVS 3.3.4")
def test_login_csrf_with_cookie_transport_the_attackers_binding_is_not_taken_from_a_body(make_site: MakeSite) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["cookies"]})
    site.user(MALLORY, email_verified=True)
    attacker = site.client
    link = mailed(site, attacker, MALLORY)
    cookie = attacker.get_cookie(COOKIE)
    assert cookie

    answer = site.client.post(LOGIN, json={"token": link, "request_token": cookie.value})

    assert refused(answer, "OTHER_BROWSER")
    assert "Set-Cookie" not in answer.headers


@pytest.mark.requirement("ASVS 6.6.2")
def test_phishing_a_link_or_a_code_talked_out_of_somebody_is_worth_nothing_elsewhere(site: Site) -> None:
    victim, attacker = site.client, site.client
    ask(victim)
    token, code = token_in(site), code_in(site)

    assert refused(open_link(attacker, token), "OTHER_BROWSER")
    assert refused(type_code(attacker, code))
    assert refused(attacker.post(LOGIN, json={"token": token, "request_token": "A" * 43}), "OTHER_BROWSER")
    assert open_link(victim, token).status_code == 200, "it was not used up"


@pytest.mark.requirement("ASVS 6.6.2")
def test_a_mail_that_an_attacker_asked_for_does_not_sign_its_reader_in(site: Site) -> None:
    attacker, owner = site.client, site.client
    ask(attacker)

    assert refused(open_link(owner, token_in(site)), "OTHER_BROWSER")
    assert refused(type_code(owner, code_in(site)))


def test_a_cookie_of_an_older_request_does_not_open_a_newer_mail(site: Site) -> None:
    browser, other = site.client, site.client
    ask(browser)
    newer = mailed(site, other)

    assert refused(open_link(browser, newer), "OTHER_BROWSER")


@pytest.mark.requirement("ASVS 3.5.3", "ASVS 7.6.2")
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT"])
def test_a_mail_scanner_that_follows_the_link_uses_nothing_up(site: Site, method: str) -> None:
    browser = site.client
    token = mailed(site, browser)

    for path in (f"{LOGIN}?token={token}", f"{LOGIN}/{token}", LOGIN):
        answer = site.client.open(path, method=method, json={"token": token} if method == "PUT" else None)
        assert answer.status_code in (204, 404, 405)
        assert "Set-Cookie" not in answer.headers

    assert open_link(browser, token).status_code == 200


@pytest.mark.requirement("ASVS 6.5.1")
def test_a_replayed_link_or_code_is_refused(site: Site) -> None:
    browser = site.client
    token = mailed(site, browser)
    cookie = browser.get_cookie(COOKIE)
    assert cookie
    assert open_link(browser, token).status_code == 200
    browser.set_cookie(COOKIE, cookie.value)
    assert refused(open_link(browser, token))

    code = mailed_code(site, browser)
    cookie = browser.get_cookie(COOKIE)
    assert cookie
    assert type_code(browser, code).status_code == 200
    browser.set_cookie(COOKIE, cookie.value)
    assert refused(type_code(browser, code))


@pytest.mark.requirement("ASVS 15.4.2", "ASVS 6.5.1")
@pytest.mark.parametrize("by", ["token", "code"])
def test_a_race_of_8_with_one_mail_opens_one_session(make_site: MakeSite, every_database_url: str, by: str) -> None:
    site = make_site(url=every_database_url)
    handle = ask(site.client).get_json()["request_token"]
    proof = {"token": token_in(site)} if by == "token" else {"email": ANN, "code": code_in(site)}
    body = proof | {"request_token": handle}
    with site.app.app_context():
        ann = site.testing.runtime.users.by_email(ANN)
    assert ann

    def act() -> TestResponse:
        return site.app.test_client().post(LOGIN, json=body)

    answers = at_once(*[act] * 8)

    assert statuses(answers) == {200: 1, 400: 7}
    assert len(sessions_of(site, ann.key)) == 1


@pytest.mark.requirement("ASVS 15.4.2")
@pytest.mark.parametrize("email", [ANN, "nobody@example.com"])
def test_a_race_of_8_who_ask_is_answered_as_ever(make_site: MakeSite, every_database_url: str, email: str) -> None:
    site = make_site(url=every_database_url)
    browsers = [site.client for _ in range(8)]
    ask(site.client, email)

    answers = at_once(*[partial(browser.post, ASK, json={"email": email}) for browser in browsers])

    assert statuses(answers) == {202: 8}
    assert {mail.to for mail in site.testing.outbox} == ({ANN} if email == ANN else set())


@pytest.mark.requirement("ASVS 15.4.2")
def test_a_race_with_a_change_of_address_never_signs_the_old_address_in_afterwards(
    make_site: MakeSite, every_database_url: str
) -> None:
    site = make_site(url=every_database_url)
    admin = site.client_for(site.admin())
    with site.app.app_context():
        ann = site.testing.runtime.users.by_email(ANN)
    assert ann

    for turn in range(4):
        old, new = (ANN, "anna@example.com") if turn % 2 == 0 else ("anna@example.com", ANN)
        browser = site.client
        token = mailed(site, browser, old)
        site.testing.clock.move(minutes=1)
        body = {"email": new, "email_verified": True}
        signed, changed = at_once(
            partial(open_link, browser, token), partial(admin.patch, f"/api/users/{ann.key}", json=body)
        )  # fmt: skip
        assert changed.status_code == 200
        assert signed.status_code in (200, 400)
        if signed.status_code == 200:
            assert signed.get_json()["user"]["email"] == old


@pytest.mark.requirement("ASVS 6.6.2", "OWASP-EV 4")
def test_an_address_that_host_code_has_changed_behind_our_back_opens_nothing_any_more(site: Site) -> None:
    browser = site.client
    token = mailed(site, browser)
    with site.app.app_context():
        site.db.session.execute(sa.text("UPDATE users SET email = 'anna@example.com' WHERE email = 'ann@example.com'"))
        site.db.session.commit()

    assert refused(open_link(browser, token))


# Tokens of other purposes


@pytest.mark.requirement("RFC8725 3.12", "ASVS 6.6.2")
def test_a_token_or_a_code_for_something_else_signs_nobody_in(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_MAGIC_LINK_BIND_BROWSER": False})
    site.user("bob@example.com")
    verify = re.search(r"token=([\w-]{43})", site.testing.outbox[-1].text)
    digits = re.search(r"\b(\d{8})$", site.testing.outbox[-1].text, re.MULTILINE)
    site.client.post("/api/auth/password/forgot", json={"email": ANN})
    reset = token_in(site)
    assert verify
    assert digits

    assert refused(open_link(site.client, verify[1]))
    assert refused(open_link(site.client, reset))
    assert refused(type_code(site.client, digits[1], "bob@example.com"))


@pytest.mark.requirement("RFC8725 3.12")
def test_a_link_for_signing_in_does_nothing_else(site: Site) -> None:
    token = mailed(site, site.client)

    for path, body in (
        ("password/reset", {"token": token, "new_password": "quite another password"}),
        ("email/verify", {"token": token}),
        ("email/change/confirm", {"token": token}),
        ("invitations/accept", {"token": token, "password": "quite another password"}),
        ("challenge", {"challenge_token": token, "method": "password_change"}),
        ("refresh", {"refresh_token": token}),
    ):
        assert site.client.post(f"/api/auth/{path}", json=body).status_code in (400, 401, 404), path


# Guessing


@pytest.mark.requirement("ASVS 6.5.3", "ASVS 6.6.3")
def test_a_code_bears_five_guesses(site: Site) -> None:
    browser = site.client
    code = mailed_code(site, browser)

    assert all(refused(type_code(browser, wrong(code))) for _ in range(MAX_ATTEMPTS))
    assert refused(type_code(browser, code))
    assert open_link(browser, token_in(site)).status_code == 200, "the link, which nobody can guess, still works"


@pytest.mark.requirement("ASVS 6.6.3")
def test_guesses_from_another_browser_do_not_use_the_owners_up_and_are_never_right(site: Site) -> None:
    owner, attacker = site.client, site.client
    code = mailed_code(site, owner)

    assert all(refused(type_code(attacker, guess)) for guess in (*[wrong(code)] * MAX_ATTEMPTS, code))
    assert type_code(owner, code).status_code == 200


@pytest.mark.requirement("ASVS 6.3.1", "ASVS 6.6.3")
def test_brute_force_over_ever_new_codes_and_addresses_is_stopped_per_account(make_site: MakeSite) -> None:
    """Every code is asked for and guessed at from a new address, as a botnet would; what stops it is the account's own count."""
    site = make_site(limits=True, config={"ACCOUNTS_LIMITS_ENABLED": False})
    guesses = 0

    for turn in range(100):
        attacker, place = site.client, {"REMOTE_ADDR": f"203.0.113.{turn}"}
        ask(attacker, environ_base=place)
        code = wrong(code_in(site))
        answers = [type_code(attacker, code, environ_base=place) for _ in range(MAX_ATTEMPTS)]
        guesses += statuses(answers)[400]
        if statuses(answers)[429] == MAX_ATTEMPTS:
            break

    assert guesses == 20, "the lockout's burst for strangers"
    assert type_code(site.client, code_in(site)).status_code == 429


@pytest.mark.requirement("ASVS 6.3.1")
def test_brute_force_without_a_lockout_is_stopped_by_the_limits(make_site: MakeSite) -> None:
    site = make_site(limits=True, config={"ACCOUNTS_LOCKOUT_ENABLED": False})
    codes: list[str] = []
    guessed = []

    for turn in range(30):
        attacker, place = site.client, {"REMOTE_ADDR": f"203.0.113.{turn}"}
        asked = attacker.post(ASK, json={"email": ANN}, environ_base=place)
        codes.append(code_in(site))
        guessed += [type_code(attacker, wrong(codes[-1]), environ_base=place) for _ in range(MAX_ATTEMPTS)]
        site.testing.clock.move(seconds=61)

    assert asked.status_code == 429
    assert statuses(guessed)[400] == 30


def test_a_lockout_by_wrong_codes_leaves_the_link_and_the_owners_own_place_open(make_site: MakeSite) -> None:
    site = make_site(limits=True, config={"ACCOUNTS_LIMITS_ENABLED": False})
    home = {"REMOTE_ADDR": "198.51.100.7"}
    site.login(ANN, environ_base=home)
    attacker = site.client
    for turn in range(30):
        type_code(attacker, "00000000", environ_base={"REMOTE_ADDR": f"203.0.113.{turn}"})
    assert type_code(attacker, "00000000", environ_base={"REMOTE_ADDR": "203.0.113.99"}).status_code == 429

    owner = site.client
    code = mailed_code(site, owner)
    assert type_code(owner, code, environ_base=home).status_code == 200
    assert open_link(owner, mailed(site, owner), environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 200


def test_right_codes_are_not_counted_as_guesses(make_site: MakeSite) -> None:
    site = make_site(limits=True, config={"ACCOUNTS_LIMITS_ENABLED": False})

    for _ in range(8):
        browser = site.client
        assert type_code(browser, mailed_code(site, browser)).status_code == 200


@pytest.mark.requirement("OWASP-FP 7")
def test_a_mailbox_is_not_flooded(make_site: MakeSite) -> None:
    site = make_site(limits=True)

    answers = [
        site.client.post(ASK, json={"email": typed}, environ_base={"REMOTE_ADDR": f"203.0.113.{turn}"})
        for turn, typed in enumerate([ANN, "ANN@example.com", " ann@example.com", "ａｎｎ@example.com"] * 10)
    ]

    assert statuses(answers) == {202: 5, 429: 35}
    assert len(site.testing.outbox) == 5


@pytest.mark.requirement("ASVS 6.3.4")
def test_both_doors_ask_the_limiter_before_anything_is_looked_at(make_site: MakeSite) -> None:
    asked: list[tuple[str, str | None, str | None]] = []

    class Refusing:
        def hit(self, action: str, *, address: str | None, account: str | None) -> float | None:
            asked.append((action, address, account))
            return 41.0

    site = make_site(limiter=Refusing())
    site.statements.clear()

    answers = [
        site.client.post(ASK, json={"email": "ANN@example.com"}),
        open_link(site.client, "x"),
        type_code(site.client, "12345678", "ANN@example.com"),
    ]

    assert [answer.status_code for answer in answers] == [429] * 3
    assert asked == [
        ("magic_link", "127.0.0.1", ANN),
        ("magic_link_login", "127.0.0.1", None),
        ("magic_link_login", "127.0.0.1", ANN),
    ]
    assert site.statements == []


# Who has an account


PEOPLE = ("known", "disabled", "unverified", "passwordless", "nobody")


@pytest.fixture
def people(make_site: MakeSite) -> Site:
    site = make_site()
    site.user("known@example.com", email_verified=True)
    site.user("disabled@example.com", email_verified=True, is_active=False)
    site.user("unverified@example.com")
    site.user("passwordless@example.com", email_verified=True, password=None)
    site.testing.outbox.clear()
    return site


def shape(answer: TestResponse) -> tuple[int, str, list[tuple[str, str]]]:
    """Everything a client can compare, the random secret and the second in which it was sent masked."""
    masked = re.compile(r"[\w-]{43}|(?<=Expires=)[^;]*")
    headers = [(name, masked.sub("*", value)) for name, value in sorted(answer.headers.items())]
    return answer.status_code, masked.sub("*", answer.text), headers


def work(site: Site) -> list[tuple[str, ...]]:
    """What was done in the database: statements and their tables."""
    found = [
        (text.split()[0], *re.findall(r"(?:FROM|INTO|UPDATE|JOIN) (\w+)", re.sub(r"\s+", " ", text))) for text in site.statements
    ]
    site.statements.clear()
    return found


@pytest.mark.requirement("ASVS 6.3.8", "OWASP-FP 2")
def test_enumeration_asking_looks_and_costs_the_same_for_every_kind_of_account(
    people: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = CountingHasher(people)
    letters: list[str] = []
    write = people.testing.runtime.letters.write

    def counted(name: str, to: str, **context: Any) -> Message:
        letters.append(name)
        return write(name, to, **context)

    monkeypatch.setattr(people.testing.runtime.letters, "write", counted)
    ask(people.client, "warm@example.com")  # the first row of the audit log reads more
    people.testing.outbox.clear()
    letters.clear()
    seen = []
    for again in (False, True):  # the second time there is an older one to be voided
        for name in (*PEOPLE, "not an address"):
            email = f"{name}@example.com" if " " not in name else name
            people.statements.clear()
            answer = ask(people.client, email)
            seen.append((again, shape(answer), work(people), counting.taken(), list(letters)))
            letters.clear()

    for again in (False, True):
        same = [each[1:] for each in seen if each[0] is again]
        assert all(each == same[0] for each in same), same
        assert same[0][3] == ["magic_link"]
    assert {mail.to for mail in people.testing.outbox} == {f"{name}@example.com" for name in PEOPLE[:-1]}


@pytest.mark.requirement("ASVS 6.3.8")
@pytest.mark.parametrize("asked_here", [True, False])
def test_enumeration_a_wrong_code_looks_and_costs_the_same_for_every_kind_of_account(people: Site, asked_here: bool) -> None:
    counting = CountingHasher(people)
    seen = []
    for name in PEOPLE:
        browser, email = people.client, f"{name}@example.com"
        if asked_here:
            ask(browser, email)
        people.statements.clear()
        answers = [type_code(browser, "x", email) for _ in range(MAX_ATTEMPTS + 1)]
        seen.append(([shape(answer) for answer in answers], work(people), counting.taken()))

    assert all(each == seen[0] for each in seen), seen


@pytest.mark.requirement("ASVS 6.3.8")
def test_enumeration_limits_answer_the_same_for_known_and_unknown_addresses(make_site: MakeSite) -> None:
    site = make_site(limits=True)

    seen = [
        [
            shape(site.client.post(ASK, json={"email": email}, environ_base={"REMOTE_ADDR": f"203.0.113.{turn}"}))
            for turn in range(place, place + 8)
        ]
        for email, place in ((ANN, 10), ("nobody@example.com", 30))
    ]

    assert seen[0] == seen[1]
    assert seen[0][-1][0] == 429


# Whom the mail goes to and where it leads


@pytest.mark.requirement("OWASP-EV 4")
@pytest.mark.parametrize("typed", ["ANN@example.com", " ann@example.com", "ａｎｎ@example.com"])
def test_mail_goes_to_the_stored_address(site: Site, typed: str) -> None:
    ask(site.client, typed)

    assert [mail.to for mail in site.testing.outbox] == [ANN]


@pytest.mark.requirement("OWASP-EV 4")
@pytest.mark.parametrize("typed", ["mıke@example.com", "miKe@exаmple.com", "mike@example.com\u200b", "mïke@example.com"])
def test_a_look_alike_address_gets_no_mail_and_opens_no_account(make_site: MakeSite, every_database_url: str, typed: str) -> None:
    site = make_site(url=every_database_url)
    site.user("mike@example.com", email_verified=True)
    site.testing.outbox.clear()
    owner = site.client
    code = mailed_code(site, owner, "mike@example.com")
    site.testing.outbox.clear()

    ask(site.client, typed)

    assert site.testing.outbox == []
    assert refused(type_code(owner, code, typed))
    assert type_code(owner, code, "mike@example.com").status_code == 200


@pytest.mark.requirement("OWASP-FP 3")
def test_host_header_poisoning_does_not_move_the_link(site: Site) -> None:
    for headers in (
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"},
        {"Forwarded": "host=evil.example"},
        {"X-Original-URL": "https://evil.example/", "Origin": "https://evil.example", "Referer": "https://evil.example/"},
    ):
        ask(site.client, headers=headers)

    for mail in site.testing.outbox:
        assert "evil" not in mail.text + (mail.html or "")
        links = re.findall(r"https?://[^\s\"<>]+", mail.text)
        assert links
        assert all(link.startswith(f"{BASE}/sign-in#token=") for link in links)
        assert all(urlsplit(link).query == "" for link in links), "servers and referrers never see the token"


@pytest.mark.requirement("ASVS 3.7.2")
@pytest.mark.parametrize("name", ["next", "redirect", "redirect_uri", "return_to", "link", "base_url"])
def test_open_redirect_no_caller_says_where_a_link_leads(site: Site, name: str) -> None:
    answer = site.client.post(ASK, json={"email": ANN, name: "https://evil.example/"})

    assert (answer.status_code, answer.get_json()["errors"][0]["code"]) == (400, "extra_forbidden")
    ask(site.client, query_string={name: "https://evil.example/"})
    assert "evil" not in site.testing.outbox[-1].text


@pytest.mark.requirement("ASVS 1.3.11")
def test_a_user_agent_writes_nothing_into_the_mail(site: Site) -> None:
    agent = "Firefox/1 <a href='https://evil.example'>click</a> https://evil.example"

    ask(site.client, headers={"User-Agent": agent, "Accept-Language": "https://evil.example"})

    assert "evil" not in site.testing.outbox[-1].text + (site.testing.outbox[-1].html or "")


@pytest.mark.requirement("ASVS 11.4.2")
def test_a_stolen_database_holds_neither_token_nor_code_nor_binding(site: Site) -> None:
    secret = ask(site.client).get_json()["request_token"]

    with site.app.app_context():
        dump = str([tuple(row) for row in site.db.session.execute(sa.text("SELECT * FROM accounts_one_time_tokens"))])

    assert token_in(site) not in dump
    assert code_in(site) not in dump
    assert secret not in dump


# Accounts that somebody else has set up


def register(site: Site, email: str = "victim@example.com") -> dict[str, Any]:
    """An attacker registers somebody's address, signs in, and waits."""
    assert site.client.post("/api/auth/register", json={"email": email, "password": PASSWORD}).status_code == 201
    return site.tokens(email)


@pytest.mark.requirement("ASVS 6.8.1")
def test_pre_hijacking_what_was_set_up_before_the_address_was_proved_does_not_survive_its_owner(site: Site) -> None:
    attacker = register(site)
    owner: FlaskClient = site.client

    answer = open_link(owner, mailed(site, owner, "victim@example.com"))

    assert answer.status_code == 200
    assert answer.get_json()["user"]["email_verified"] is True
    assert site.client.get("/api/auth/me", headers=bearer(attacker["access_token"])).status_code == 401
    assert site.client.post("/api/auth/refresh", json={"refresh_token": attacker["refresh_token"]}).status_code == 401
    assert site.login("victim@example.com").status_code == 401
    assert site.client.get("/api/auth/me", headers=bearer(answer.get_json()["access_token"])).status_code == 200

    site.client.post("/api/auth/password/forgot", json={"email": "victim@example.com"})
    body = {"token": token_in(site), "new_password": "the owner's own words"}
    assert site.client.post("/api/auth/password/reset", json=body).status_code == 204
    assert site.login("victim@example.com", "the owner's own words").status_code == 200


@pytest.mark.requirement("ASVS 6.8.1")
def test_pre_hijacking_sessions_of_an_account_without_a_password_end_too(site: Site) -> None:
    bob = site.user("bob@example.com", password=None)
    before = site.testing.sign_in(bob).tokens.access_token
    owner = site.client

    with site.testing.recorded() as events:
        answer = open_link(owner, mailed(site, owner, "bob@example.com"))

    assert site.client.get("/api/auth/me", headers=bearer(before)).status_code == 401
    assert site.client.get("/api/auth/me", headers=bearer(answer.get_json()["access_token"])).status_code == 200
    assert [event.name for event in events].count("user.claimed") == 1
    assert not any(event.name == "password.changed" for event in events)


@pytest.mark.requirement("ASVS 6.8.1", "ASVS 6.3.5")
def test_pre_hijacking_the_strangers_device_is_none_of_the_owners(site: Site) -> None:
    register(site)
    owner = site.client
    here: dict[str, Any] = {"headers": {"User-Agent": "Firefox/130 Linux"}, "environ_base": {"REMOTE_ADDR": "198.51.100.7"}}
    ask(owner, "victim@example.com")
    answer = open_link(owner, token_in(site), **here)

    devices = site.client.get("/api/auth/me/export", headers=bearer(answer.get_json()["access_token"])).get_json()["devices"]

    assert [one["device"] for one in devices] == ["Firefox on Linux"]


def test_a_proved_account_keeps_its_password_and_its_sessions(site: Site) -> None:
    before = site.tokens(ANN)["access_token"]
    browser = site.client

    with site.testing.recorded() as events:
        assert open_link(browser, mailed(site, browser)).status_code == 200

    assert site.client.get("/api/auth/me", headers=bearer(before)).status_code == 200
    assert site.login(ANN).status_code == 200
    assert not {"user.claimed", "email.verified", "password.changed"} & {event.name for event in events}


@pytest.mark.requirement("ASVS 6.8.1")
def test_pre_hijacking_is_undone_also_where_the_sign_in_itself_is_refused(site: Site) -> None:
    """The proof has been given, whatever the gates say next."""
    register(site)
    owner, admin = site.client, site.client_for(site.admin())
    key = site.tokens("victim@example.com")["user"]["id"]
    admin.post(f"/api/users/{key}/disable")

    answer = open_link(owner, mailed(site, owner, "victim@example.com"))
    admin.post(f"/api/users/{key}/enable")

    assert answer.get_json()["code"] == "ACCOUNT_DISABLED"
    assert site.login("victim@example.com").get_json()["code"] == "INVALID_CREDENTIALS"


# Input


@pytest.mark.parametrize(
    "body",
    [
        {}, {"token": "x", "code": "1"}, {"token": "x", "email": ANN}, {"email": ANN}, {"code": "1"}, {"token": 5}, {"token": None},
        {"token": "x", "user_id": 1}, {"email": ANN, "code": 12345678}, {"token": "x" * 129}, {"token": "x", "request_token": 5},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_proof_is_refused_by_name(site: Site, body: dict[str, Any]) -> None:
    answer = site.client.post(LOGIN, json=body)

    assert (answer.status_code, answer.get_json()["code"]) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "text", ["", " ", "é" * 43, "\u202e", "'; DROP TABLE users; --", "%", "ﷺ" * 100, "İ" * 200], ids=lambda text: ascii(text[:8])
)
def test_odd_words_are_refused_and_give_no_500(make_site: MakeSite, every_database_url: str, text: str) -> None:
    site = make_site(url=every_database_url)
    browser = site.client
    token = mailed(site, browser)

    assert refused(open_link(browser, text[:128]))
    assert refused(type_code(browser, text[:24]))
    assert site.client.post(ASK, json={"email": text}).status_code == 202
    assert refused(browser.post(LOGIN, json={"email": text, "code": "12345678"}))
    assert refused(site.client.post(LOGIN, json={"token": token, "request_token": text[:128]}), "OTHER_BROWSER")
    other = site.app.test_client(use_cookies=False)
    assert refused(other.post(LOGIN, json={"token": token}, headers={"Cookie": f'{COOKIE}="\\377"; {COOKIE}=x'}), "OTHER_BROWSER")
