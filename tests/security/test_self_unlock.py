"""Who reads the account's mail is let in again at once; nobody else gains by asking, and nothing tells whether there is an account."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from flask_accounts import events
from flask_accounts.features.lockout.models import LockoutMixin
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.contract import token_of

from .test_guessing import ELSEWHERE, HOME, NO_FLOOD_STOP, addresses, guess

NEW = "quite another good password"


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    found = make_site(limits=True, config=NO_FLOOD_STOP)
    found.user("ann@example.com", username="ann", email_verified=True)
    return found


def ask(site: Site, email: Any = "ann@example.com", *, address: str = HOME, **kwargs: Any) -> TestResponse:
    return site.client.post("/api/auth/unlock/request", json={"email": email}, environ_base={"REMOTE_ADDR": address}, **kwargs)


def unlock(site: Site, token: str, *, address: str = HOME) -> TestResponse:
    return site.client.post("/api/auth/unlock", json={"token": token}, environ_base={"REMOTE_ADDR": address})


def mailed(site: Site, **kwargs: Any) -> str:
    assert ask(site, **kwargs).status_code == 202
    assert site.testing.outbox[-1].kind == "unlock"
    return token_of(site.testing.outbox[-1].text)


def reset(site: Site, *, address: str = HOME) -> None:
    site.client.post("/api/auth/password/forgot", json={"email": "ann@example.com"}, environ_base={"REMOTE_ADDR": address})
    body = {"token": token_of(site.testing.outbox[-1].text), "new_password": NEW}
    assert site.client.post("/api/auth/password/reset", json=body, environ_base={"REMOTE_ADDR": address}).status_code == 204


def besieged(site: Site) -> None:
    """Strangers use up the account's tries, and its owner is refused where it never signed in."""
    botnet = addresses()
    while guess(site, address=next(botnet)).status_code == 401:
        pass
    assert guess(site, password=PASSWORD, address=HOME).status_code == 429


def known_networks(site: Site) -> set[str]:
    with site.app.app_context():
        table = site.testing.runtime.model(LockoutMixin).__table__
        return set(site.db.session.execute(sa.select(table.c.network).where(table.c.known_until > 0)).scalars())


@pytest.mark.requirement("ASVS 6.1.1")
def test_lockout_used_against_the_victim_ends_by_the_mailed_link_and_stays_ended_while_strangers_go_on(site: Site) -> None:
    besieged(site)
    token = mailed(site)

    with site.testing.recorded() as told:
        answer = unlock(site, token)
    besieging = [guess(site, address=f"198.18.0.{number}").status_code for number in range(1, 60)]

    assert (answer.status_code, answer.data) == (204, b"")
    assert [type(event) for event in told] == [events.AccountUnlocked]
    assert 429 in besieging
    assert guess(site, password=PASSWORD, address=HOME).status_code == 200


@pytest.mark.requirement("ASVS 6.1.1")
def test_lockout_used_against_the_victim_ends_by_a_password_reset_and_stays_ended_while_strangers_go_on(site: Site) -> None:
    besieged(site)

    with site.testing.recorded() as told:
        reset(site)
    besieging = [guess(site, address=f"198.18.0.{number}").status_code for number in range(1, 60)]

    assert events.AccountUnlocked in {type(event) for event in told}
    assert 429 in besieging
    assert guess(site, password=NEW, address=HOME).status_code == 200


@pytest.mark.requirement("ASVS 6.1.1")
@pytest.mark.parametrize("way", ["direct", "removed"])
def test_a_password_that_somebody_else_sets_unlocks_nothing(site: Site, way: str) -> None:
    """Else an attacker could have guesses given back by whoever may be talked into that."""
    besieged(site)

    with site.app.app_context():
        ann = site.accounts.users.find(email="ann@example.com")
        if way == "direct":
            site.accounts.passwords.set(ann, NEW)
        else:
            site.accounts.passwords.remove(ann)
        site.testing.runtime.commit()

    assert guess(site, password=NEW, address=HOME).status_code == 429
    assert known_networks(site) == set()


@pytest.mark.requirement("ASVS 6.1.1")
def test_signed_in_sessions_stay_alive_during_the_lock_and_through_the_unlocking(site: Site) -> None:
    tokens = site.testing.sign_in(1).tokens
    besieged(site)

    def alive() -> list[int]:
        return [
            site.client.get("/api/auth/me", headers=bearer(tokens.access_token)).status_code,
            site.client.post("/api/auth/refresh", headers=bearer(tokens.refresh_token)).status_code,
        ]

    assert alive() == [200, 200]
    unlock(site, mailed(site))
    assert alive() == [200, 200]


@pytest.mark.requirement("ASVS 6.1.1")
def test_who_asks_for_the_victims_mail_does_not_get_an_own_network_known(site: Site) -> None:
    """The link is followed where the mail is read, and that is what counts; not where somebody asked for it."""
    token = mailed(site, address=ELSEWHERE)

    unlock(site, token, address=HOME)

    assert known_networks(site) == {HOME}


@pytest.mark.requirement("ASVS 6.3.1")
def test_a_network_known_to_one_account_is_a_strangers_to_another(site: Site) -> None:
    """Mallory sits in the network that Ann unlocked from: to Bob's account it is as strange as any."""
    site.user("bob@example.com")
    unlock(site, mailed(site))
    botnet = addresses()
    while guess(site, "bob@example.com", address=next(botnet)).status_code == 401:
        pass

    assert guess(site, "bob@example.com", address=HOME).status_code == 429


@pytest.mark.requirement("ASVS 6.3.1", "NIST 3.2.2")
def test_a_known_network_gives_a_stranger_in_it_no_more_guesses_than_any(site: Site) -> None:
    unlock(site, mailed(site))

    assert [guess(site, address=HOME).status_code for _ in range(8)] == [401] * 5 + [429] * 3


@pytest.mark.requirement("ASVS 6.3.1")
def test_unlocking_an_own_account_does_not_clear_what_the_address_did(site: Site) -> None:
    site.user("mallory@example.com")
    statuses = []

    for number in range(60):
        statuses.append(guess(site, f"person{number}@example.com", address=ELSEWHERE).status_code)
        if number % 10 == 0:
            unlock(site, mailed(site, email="mallory@example.com", address=ELSEWHERE), address=ELSEWHERE)

    assert statuses == [401] * 50 + [429] * 10


@pytest.mark.requirement("ASVS 6.5.1")
def test_an_unlock_token_replayed_unlocks_nothing(site: Site) -> None:
    token = mailed(site)
    assert unlock(site, token).status_code == 204
    besieged_at = "192.0.2.200"
    botnet = addresses()
    while guess(site, address=next(botnet)).status_code == 401:
        pass

    again = unlock(site, token, address=besieged_at)

    assert (again.status_code, again.get_json()["code"]) == (400, "ONE_TIME_TOKEN_INVALID")
    assert guess(site, password=PASSWORD, address=besieged_at).status_code == 429


@pytest.mark.requirement("ASVS 6.5.1", "ASVS 15.4.2")
def test_an_unlock_token_used_twenty_times_at_once_unlocks_once(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url, limits=True, config=NO_FLOOD_STOP)
    site.user("ann@example.com")
    guess(site)
    token = mailed(site)
    barrier = threading.Barrier(20, timeout=30)

    def run(number: int) -> int:
        barrier.wait()
        return unlock(site, token, address=f"192.0.2.{number}").status_code

    with site.testing.recorded() as told, ThreadPoolExecutor(20) as pool:
        statuses = sorted(pool.map(run, range(20)))

    assert statuses == [204] + [400] * 19
    assert [type(event) for event in told] == [events.AccountUnlocked]
    assert len(known_networks(site)) == 1


@pytest.mark.requirement("ASVS 6.6.2")
def test_tokens_of_another_purpose_unlock_nothing_and_an_unlock_token_does_nothing_else(site: Site) -> None:
    site.user("bob@example.com")
    verifying = token_of(site.testing.outbox[-1].text)
    site.client.post("/api/auth/password/forgot", json={"email": "ann@example.com"})
    resetting = token_of(site.testing.outbox[-1].text)
    unlocking = mailed(site)

    assert [unlock(site, token).status_code for token in (verifying, resetting, "x" * 43)] == [400] * 3
    for path, body in (
        ("password/reset", {"token": unlocking, "new_password": NEW}),
        ("email/verify", {"token": unlocking}),
        ("email/change/confirm", {"token": unlocking}),
        ("email/change/undo", {"token": unlocking}),
        ("invitations/accept", {"token": unlocking, "password": NEW}),
    ):
        assert site.client.post(f"/api/auth/{path}", json=body).status_code == 400, path
    assert unlock(site, unlocking).status_code == 204


@pytest.mark.requirement("ASVS 6.6.2")
def test_an_unlock_token_dies_with_a_newer_one_with_the_address_with_the_account_and_with_time(site: Site) -> None:
    ann = 1
    older, newer = mailed(site), mailed(site)
    assert [unlock(site, token).status_code for token in (older, newer)] == [400, 204]

    late = mailed(site)
    site.testing.clock.move(minutes=30)
    assert unlock(site, late).status_code == 400

    moved = mailed(site)
    with site.app.app_context():
        site.accounts.users.update(ann, {"email": "ann@new.example.com"})
        site.testing.runtime.commit()
    assert unlock(site, moved).status_code == 400

    disabled = mailed(site, email="ann@new.example.com")
    with site.app.app_context():
        site.accounts.users.disable(ann)
        site.testing.runtime.commit()
    assert unlock(site, disabled).status_code == 400


@pytest.mark.requirement("ASVS 3.5.3")
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_mail_scanner_that_follows_the_link_does_not_use_it_up(site: Site, method: str) -> None:
    token = mailed(site)

    site.client.open("/api/auth/unlock", method=method, query_string={"token": token})

    assert unlock(site, token).status_code == 204


@pytest.mark.requirement("OWASP-FP 4", "ASVS 14.2.1")
def test_a_stolen_database_does_not_hold_the_unlock_token_and_no_answer_does(site: Site) -> None:
    answer = ask(site)
    token = token_of(site.testing.outbox[-1].text)

    with site.app.app_context():
        dump = str([tuple(row) for row in site.db.session.execute(sa.text("SELECT * FROM accounts_one_time_tokens"))])

    assert token not in dump
    assert token not in answer.text + str(answer.headers)


@pytest.mark.requirement("ASVS 6.3.8")
def test_the_unlock_request_tells_nothing_by_answer_or_cost(site: Site) -> None:
    site.user("off@example.com", is_active=False)
    site.user("free@example.com")
    besieged(site)
    site.testing.outbox.clear()
    written: list[str] = []
    letters = site.testing.runtime.letters
    write = letters.write
    letters.write = lambda name, to, **context: written.append(name) or write(name, to, **context)  # type: ignore[method-assign,func-returns-value]
    seen = []

    for email in ("ann@example.com", "free@example.com", "off@example.com", "nobody@example.com", "not an address"):
        site.statements.clear()
        answer = ask(site, email)
        headers = [header for header in answer.headers if header[0] != "Date"]
        verbs = [text.split()[0] for text in site.statements]
        seen.append((answer.status_code, answer.text, headers, verbs, written.copy()))
        written.clear()

    assert seen[0][0] == 202
    assert all(each == seen[0] for each in seen), seen
    assert [mail.to for mail in site.testing.outbox] == ["ann@example.com", "free@example.com"]


@pytest.mark.requirement("ASVS 6.3.8")
def test_the_lock_tells_nothing_after_an_unlock_was_asked_for(site: Site) -> None:
    def sequence(login: str, network: int) -> list[tuple[int, Any]]:
        seen = []
        for number in range(28):
            if number == 24:
                ask(site, login, address=f"203.0.{network}.200")
            answer = guess(site, login, address=f"203.0.{network}.{number // 6}")
            seen.append((answer.status_code, answer.get_json()))
        return seen

    assert sequence("ann@example.com", 1) == sequence("nobody@example.com", 2)


@pytest.mark.requirement("OWASP-FP 7")
def test_a_mailbox_is_not_flooded_from_many_addresses(make_site: MakeSite) -> None:
    site = make_site(limits=True)
    site.user("ann@example.com")
    site.testing.outbox.clear()

    statuses = [ask(site, address=f"203.0.113.{number}").status_code for number in range(40)]

    assert set(statuses) == {202, 429}
    assert len(site.testing.outbox) <= 20


@pytest.mark.requirement("OWASP-EV 4")
@pytest.mark.parametrize(("typed", "sent"), [(" ANN@Example.com", 1), ("ａｎｎ@example.com", 1), ("Ⱥnn@example.com", 0)])
def test_the_mail_goes_to_the_stored_address_only(site: Site, typed: str, sent: int) -> None:
    site.testing.outbox.clear()

    ask(site, typed)

    assert [mail.to for mail in site.testing.outbox] == ["ann@example.com"] * sent


@pytest.mark.requirement("OWASP-FP 3")
@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host", "X-Forwarded-Server", "Forwarded", "Origin", "Referer"])
def test_host_header_poisoning_does_not_move_the_unlock_link(make_site: MakeSite, header: str) -> None:
    site = make_site(limits=True, config={"ACCOUNTS_MAIL_BASE_URL": "https://app.example.com/account"})
    site.user("ann@example.com")

    ask(site, headers={header: "host=evil.example" if header == "Forwarded" else "evil.example"})

    mail = site.testing.outbox[-1]
    assert "https://app.example.com/account/unlock#token=" in mail.text
    assert "evil.example" not in mail.text + (mail.html or "")


def test_where_the_lockout_is_turned_off_nobody_is_mailed(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_LOCKOUT_ENABLED": False})
    site.user("ann@example.com")
    site.testing.outbox.clear()

    assert ask(site).status_code == 202

    assert site.testing.outbox == []


def test_where_nothing_was_tried_nobody_is_told_of_an_unlocking(site: Site) -> None:
    token = mailed(site)

    with site.testing.recorded() as told:
        assert unlock(site, token).status_code == 204

    assert told == []


def test_asking_changes_nothing_about_the_account(site: Site) -> None:
    besieged(site)

    for _ in range(3):
        ask(site)

    assert guess(site, password=PASSWORD, address=HOME).status_code == 429
    assert known_networks(site) == set()
