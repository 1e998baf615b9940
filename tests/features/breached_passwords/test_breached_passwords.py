"""Passwords known from breaches are refused, and nobody learns which password was asked about."""

from __future__ import annotations

import logging
import re
import ssl
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from flask_accounts import Accounts, ConfigurationError, default_features, events
from flask_accounts.core.asking import NoAnswer
from flask_accounts.core.errors import ServiceUnavailable, ValidationError
from flask_accounts.features.breached_passwords import BreachedPasswords
from flask_accounts.features.breached_passwords.ranges import MAX_ANSWER, RangeClient
from flask_accounts.features.breached_passwords.service import BreachService
from flask_accounts.testing import PASSWORD
from tests.conftest import KEY, MakeSite, Site, bearer

from .ranges import Handler, RangeServer, digest, range_server

BREACHED = "known from a breach 77"
GOOD = "vexing-quartz-lamp 7"


@pytest.fixture
def ranges(monkeypatch: pytest.MonkeyPatch) -> Iterator[RangeServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with range_server() as server:
        server.counts = {BREACHED: 3}
        yield server


MakeAsking = Callable[..., Site]


@pytest.fixture
def make_asking(make_site: MakeSite, ranges: RangeServer) -> MakeAsking:
    """Makes a site that asks the range server; `config` without `ACCOUNTS_`."""

    def make(*, limits: bool = False, url: str = ranges.url, **config: Any) -> Site:
        site = make_site(
            features=[*default_features(), BreachedPasswords()], limits=limits,
            config={"ACCOUNTS_BREACHED_PASSWORDS_URL": url, **{f"ACCOUNTS_{name}": value for name, value in config.items()}},
        )  # fmt: skip
        site.testing.runtime.get(BreachService).enabled = True
        return site

    return make


@pytest.fixture
def asking(make_asking: MakeAsking) -> Site:
    return make_asking()


def register(site: Site, password: str, email: str = "new@example.com") -> TestResponse:
    return site.client.post("/api/auth/register", json={"email": email, "password": password})


def by_registration(site: Site) -> TestResponse:
    return register(site, BREACHED)


def by_change(site: Site) -> TestResponse:
    body = {"current_password": PASSWORD, "new_password": BREACHED}
    return site.client_for(site.user("ann@example.com")).post("/api/auth/password/change", json=body)


def by_reset(site: Site) -> TestResponse:
    site.user("ann@example.com")
    site.client.post("/api/auth/password/forgot", json={"email": "ann@example.com"})
    found = re.search(r"[A-Za-z0-9_-]{43}", site.testing.outbox[-1].text)
    assert found
    return site.client.post("/api/auth/password/reset", json={"token": found[0], "new_password": BREACHED})


def by_an_administrator(site: Site) -> TestResponse:
    return site.client_for(site.admin()).post("/api/users/", json={"email": "new@example.com", "password": BREACHED})


DOORS = [by_registration, by_change, by_reset, by_an_administrator]


# What is refused


@pytest.mark.requirement("ASVS 6.2.12")
@pytest.mark.parametrize("door", DOORS)
def test_a_breached_password_is_refused_wherever_one_is_set(asking: Site, door: Callable[[Site], TestResponse]) -> None:
    answer = door(asking)

    assert answer.status_code == 400, answer.text
    [problem] = answer.get_json()["errors"]
    assert problem["code"] == "password_breached"
    assert problem["field"] in ("password", "new_password")
    assert BREACHED not in answer.text


@pytest.mark.requirement("ASVS 6.2.12")
def test_host_code_and_the_command_line_are_refused_too(asking: Site) -> None:
    asking.user("ann@example.com")
    with asking.app.app_context():
        with pytest.raises(ValidationError) as refused:
            asking.accounts.users.create("bob@example.com", BREACHED)
        done = asking.app.test_cli_runner().invoke(args=["accounts", "set-password", "ann@example.com", "--password", BREACHED])

    assert refused.value.problems[0].code == "password_breached"
    assert (done.exit_code, BREACHED in done.output) == (1, False)


def test_a_password_that_is_not_known_is_taken(asking: Site, ranges: RangeServer) -> None:
    assert register(asking, GOOD).status_code == 201
    assert len(ranges.asked) == 1


def test_padding_counts_for_nothing(asking: Site, ranges: RangeServer) -> None:
    ranges.counts = {GOOD: 0}

    assert register(asking, GOOD).status_code == 201


@pytest.mark.parametrize(("least", "status"), [(3, 400), (4, 201)])
def test_how_often_is_too_often_is_a_setting(make_asking: MakeAsking, least: int, status: int) -> None:
    site = make_asking(BREACHED_PASSWORDS_LEAST_COUNT=least)

    assert register(site, BREACHED).status_code == status


def test_lower_case_and_plain_line_ends_are_understood_too(asking: Site, ranges: RangeServer) -> None:
    ranges.behaviour = lambda handler: handler.send("\n".join(ranges.lines(handler.path[-5:])).lower() + "\n")

    assert register(asking, BREACHED).status_code == 400


def test_what_is_asked_about_is_the_form_that_is_hashed(asking: Site, ranges: RangeServer) -> None:
    composed = unicodedata.normalize("NFC", "Übergrößenträger 7")
    ranges.counts = {composed: 1}

    assert register(asking, unicodedata.normalize("NFD", composed)).status_code == 400


def test_nobody_is_asked_about_a_password_that_is_refused_anyway(asking: Site, ranges: RangeServer) -> None:
    assert register(asking, "password1234").status_code == 400
    assert register(asking, "short").status_code == 400

    assert ranges.asked == []


def test_a_reset_token_survives_a_breached_password(asking: Site) -> None:
    by_reset(asking)
    found = re.search(r"[A-Za-z0-9_-]{43}", asking.testing.outbox[-1].text)
    assert found

    answer = asking.client.post("/api/auth/password/reset", json={"token": found[0], "new_password": GOOD})

    assert answer.status_code == 204


def test_choosing_breached_passwords_does_not_count_as_guessing_the_present_one(make_asking: MakeAsking) -> None:
    site = make_asking(limits=True)
    client = site.client_for(site.user("ann@example.com"))

    for password in (*[BREACHED] * 7, GOOD):
        answer = client.post("/api/auth/password/change", json={"current_password": PASSWORD, "new_password": password})

    assert answer.status_code == 204, answer.text


# What leaves


@pytest.mark.requirement("ASVS 6.2.12")
def test_five_hex_digits_leave_and_nothing_else_of_the_password_or_the_person(asking: Site, ranges: RangeServer) -> None:
    register(asking, BREACHED, "private@example.com")

    assert ranges.asked == [f"/range/{digest(BREACHED)[:5]}"]
    [headers] = ranges.headers
    assert headers["Add-Padding"] == "true"
    assert headers["User-Agent"] == "flask-accounts"
    assert set(headers) <= {"Add-Padding", "User-Agent", "Accept", "Accept-Encoding", "Host", "Connection"}


def test_an_answer_is_kept_for_ten_minutes(asking: Site, ranges: RangeServer) -> None:
    register(asking, BREACHED)
    register(asking, BREACHED)
    assert len(ranges.asked) == 1

    asking.testing.clock.move(minutes=10)
    register(asking, BREACHED)

    assert len(ranges.asked) == 2


def test_a_reset_asks_once(asking: Site, ranges: RangeServer) -> None:
    ranges.counts = {}

    assert by_reset(asking).status_code == 204
    assert len([path for path in ranges.asked if path.endswith(digest(BREACHED)[:5])]) == 1


def test_the_memory_of_answers_is_bounded(asking: Site, ranges: RangeServer) -> None:
    service = asking.testing.runtime.get(BreachService)
    with asking.app.app_context():
        for number in range(70):
            service.times_seen(f"password number {number}")
        asked = len(ranges.asked)
        service.times_seen("password number 69")
        assert len(ranges.asked) == asked
        service.times_seen("password number 0")

    assert len(ranges.asked) == asked + 1
    assert len(service._answers) == 64


# When there is no good answer


def _status(code: int) -> Callable[[Handler], None]:
    return lambda handler: handler.send("no", code)


def _hang(handler: Handler) -> None:
    handler.ranges.released.wait(20)


def _drip(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while not handler.ranges.released.wait(0.05):
        handler.wfile.write(b"0")


def _huge(handler: Handler) -> None:
    handler.send(f"{digest('x')[5:]}:1\r\n" * (MAX_ANSWER // 35))


def _elsewhere(handler: Handler) -> None:
    handler.send("", 302, {"Location": "/elsewhere"})


def _cut_off(handler: Handler) -> None:
    handler.send("0", headers={"Content-Length": "1000"})


FAILURES: dict[str, Callable[[Handler], None]] = {
    "status 500": _status(500),
    "status 404": _status(404),
    "status 204": lambda handler: handler.send("", 204),
    "status 302": _elsewhere,
    "the answer is not a list of hashes": lambda handler: handler.send("<html>Please sign in to the Wi-Fi</html>"),
    "the answer is empty": lambda handler: handler.send("\r\n"),
    "the answer is too long": _huge,
    "UnicodeDecodeError": lambda handler: handler.send("ü"),
    "the answer is cut off": _cut_off,
    "RemoteDisconnected": lambda handler: handler.connection.close(),
    "no answer in time": _hang,
}


@pytest.mark.requirement("ASVS 6.2.12", "ASVS 16.5.2")
@pytest.mark.parametrize("reason", FAILURES)
def test_a_service_that_fails_lets_passwords_pass_and_is_told_of(
    make_asking: MakeAsking, ranges: RangeServer, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = make_asking(BREACHED_PASSWORDS_TIMEOUT=0.3 if "in time" in reason else 10)
    ranges.behaviour = FAILURES[reason]

    with site.testing.recorded() as told, caplog.at_level(logging.DEBUG):
        answer = register(site, BREACHED)

    assert answer.status_code == 201, answer.text
    [failure] = [event for event in told if isinstance(event, events.BreachCheckFailed)]
    assert (failure.reason, failure.allowed) == (reason, True)
    assert f"Nobody says whether passwords are breached ({reason})" in caplog.text
    assert ranges.reached.wait(20)
    assert ranges.asked == [f"/range/{digest(BREACHED)[:5]}"]
    for secret in (BREACHED, digest(BREACHED), digest(BREACHED)[:5]):
        assert secret.lower() not in caplog.text.lower()


def test_an_answer_that_comes_in_drops_is_not_waited_for(make_asking: MakeAsking, ranges: RangeServer) -> None:
    site = make_asking(BREACHED_PASSWORDS_TIMEOUT=0.3)
    ranges.behaviour = _drip
    begun = time.monotonic()

    assert register(site, BREACHED).status_code == 201
    assert time.monotonic() - begun < 5
    for thread in threading.enumerate():
        if thread.name == "flask_accounts.breached":
            thread.join(20)
            assert not thread.is_alive(), "who asked goes on reading"


def test_a_server_that_is_not_there_lets_passwords_pass(make_asking: MakeAsking) -> None:
    with range_server() as gone:
        url = gone.url
    site = make_asking(url=url)

    assert register(site, BREACHED).status_code == 201


def test_a_dead_service_is_left_alone_for_a_while_and_then_asked_again(asking: Site, ranges: RangeServer) -> None:
    ranges.behaviour = _status(500)
    with asking.testing.recorded() as told:
        for number in range(5):
            register(asking, f"{GOOD}{number}", f"person{number}@example.com")
    assert len(ranges.asked) == 1
    assert len([event for event in told if isinstance(event, events.BreachCheckFailed)]) == 1

    asking.testing.clock.move(seconds=10)
    ranges.behaviour = None

    assert register(asking, BREACHED).status_code == 400


@pytest.mark.requirement("ASVS 16.5.3")
@pytest.mark.parametrize("door", DOORS)
def test_closed_means_that_no_password_is_set_unasked(
    make_asking: MakeAsking, ranges: RangeServer, door: Callable[[Site], TestResponse]
) -> None:
    site = make_asking(BREACHED_PASSWORDS_ON_FAILURE="closed")
    for email in ("ann@example.com", "admin@example.com"):  # asked about while all is well
        with site.app.app_context():
            site.testing.runtime.check_password(PASSWORD, email=email, username=None)
    ranges.behaviour = _status(500)

    with site.testing.recorded() as told:
        answer = door(site)

    assert (answer.status_code, answer.get_json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "10"
    assert [event.allowed for event in told if isinstance(event, events.BreachCheckFailed)] == [False]
    assert site.login("ann@example.com", BREACHED).status_code == 401
    assert site.login("new@example.com", BREACHED).status_code == 401


def test_closed_undoes_what_host_code_had_begun(make_asking: MakeAsking, ranges: RangeServer) -> None:
    site = make_asking(BREACHED_PASSWORDS_ON_FAILURE="closed")
    with site.app.app_context():
        site.accounts.users.create("ann@example.com", GOOD)
        ranges.behaviour = _status(500)
        with pytest.raises(ServiceUnavailable):
            site.accounts.users.create("bob@example.com", BREACHED)
        site.db.session.commit()

        assert site.testing.runtime.users.find(email="ann@example.com") is None


def test_the_event_becomes_a_row_of_the_audit_log_without_anything_of_the_password(asking: Site, ranges: RangeServer) -> None:
    ranges.behaviour = _status(500)
    register(asking, BREACHED)

    [row] = asking.client_for(asking.admin()).get("/api/users/events?event=password.breach_check_failed").get_json()["events"]

    assert (row["details"]["reason"], row["details"]["allowed"]) == ("status 500", True)
    assert digest(BREACHED)[:5] not in str(row)


@pytest.mark.requirement("ASVS 6.2.12")
def test_a_certificate_that_nobody_vouches_for_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    authority = trustme.CA()
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(served)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with range_server(served) as ranges:
        assert RangeClient(ranges.url, timeout=10, context=trusting)("ABCDE").count(":0") == 800
        with pytest.raises(NoAnswer, match="SSLCertVerificationError"):
            RangeClient(ranges.url, timeout=10)("ABCDE")

    assert len(ranges.asked) == 1


# At sign-in


@pytest.mark.requirement("ASVS 6.2.12")
def test_a_password_that_has_become_known_must_be_changed_at_sign_in(make_asking: MakeAsking, ranges: RangeServer) -> None:
    site = make_asking(PASSWORD_CHECK_AT_SIGN_IN=True)
    site.user("ann@example.com", password=GOOD)
    ranges.counts = {GOOD: 12}
    site.testing.clock.move(minutes=10)

    asked = site.login("ann@example.com", GOOD)

    assert (asked.status_code, asked.get_json()["code"]) == (401, "PASSWORD_CHANGE_REQUIRED")
    assert [problem["code"] for problem in asked.get_json()["errors"]] == ["password_breached"]
    answer = {"challenge_token": asked.get_json()["challenge_token"], "method": "password_change"}
    ranges.counts[BREACHED] = 1
    again = site.client.post("/api/auth/challenge", json={**answer, "new_password": BREACHED})
    assert [problem["code"] for problem in again.get_json()["errors"]] == ["password_breached"]
    done = site.client.post("/api/auth/challenge", json={**answer, "new_password": "nine purple newts abroad"})
    assert done.status_code == 200, done.text
    assert site.client.get("/api/auth/me", headers=bearer(done.get_json()["access_token"])).status_code == 200


def test_a_wrong_password_is_not_asked_about_at_sign_in(make_asking: MakeAsking, ranges: RangeServer) -> None:
    site = make_asking(PASSWORD_CHECK_AT_SIGN_IN=True)
    site.user("ann@example.com", password=GOOD)
    ranges.asked.clear()

    assert site.login("ann@example.com", BREACHED).get_json()["code"] == "INVALID_CREDENTIALS"
    assert site.login("nobody@example.com", BREACHED).get_json()["code"] == "INVALID_CREDENTIALS"
    assert ranges.asked == []


def test_nobody_is_asked_at_sign_in_by_default(asking: Site, ranges: RangeServer) -> None:
    asking.user("ann@example.com", password=GOOD)
    ranges.asked.clear()
    ranges.counts = {GOOD: 12}
    asking.testing.clock.move(minutes=10)

    assert asking.login("ann@example.com", GOOD).status_code == 200
    assert ranges.asked == []


def test_a_dead_service_that_opens_the_door_lets_people_sign_in(make_asking: MakeAsking, ranges: RangeServer) -> None:
    site = make_asking(PASSWORD_CHECK_AT_SIGN_IN=True)
    site.user("ann@example.com", password=GOOD)
    ranges.behaviour = _status(500)
    site.testing.clock.move(minutes=10)

    assert site.login("ann@example.com", GOOD).status_code == 200
    assert len(ranges.asked) == 2


def test_a_dead_service_that_closes_the_door_keeps_people_out_and_is_no_wrong_password(
    make_asking: MakeAsking, ranges: RangeServer
) -> None:
    site = make_asking(PASSWORD_CHECK_AT_SIGN_IN=True, BREACHED_PASSWORDS_ON_FAILURE="closed", limits=True)
    site.user("ann@example.com", password=GOOD)
    ranges.behaviour = _status(500)
    site.testing.clock.move(minutes=10)

    with site.testing.recorded() as told:
        answers = [site.login("ann@example.com", GOOD) for _ in range(7)]

    assert {answer.status_code for answer in answers} == {503}
    assert {type(event) for event in told} == {events.BreachCheckFailed, events.SignInFailed}
    ranges.behaviour = None
    site.testing.clock.move(seconds=10)
    assert site.login("ann@example.com", GOOD).status_code == 200


# Set-up


def test_an_own_way_to_ask_takes_the_place_of_ours(make_site: MakeSite) -> None:
    asked: list[str] = []

    def fetch(prefix: str) -> str:
        asked.append(prefix)
        return f"{digest(BREACHED)[5:]}:1"

    site = make_site(features=[*default_features(), BreachedPasswords(fetch=fetch)])

    assert register(site, BREACHED).status_code == 400
    assert asked == [digest(BREACHED)[:5]]


def test_what_an_own_way_raises_is_a_failure_whose_words_are_not_repeated(
    make_site: MakeSite, caplog: pytest.LogCaptureFixture
) -> None:
    def fetch(prefix: str) -> str:
        raise RuntimeError(f"no luck with {prefix}")

    site = make_site(features=[*default_features(), BreachedPasswords(fetch=fetch)])

    assert register(site, BREACHED).status_code == 201
    assert "(RuntimeError)" in caplog.text
    assert digest(BREACHED)[:5] not in caplog.text


def test_tests_ask_nobody_outside(make_site: MakeSite) -> None:
    site = make_site(features=[*default_features(), BreachedPasswords()])

    assert not site.testing.runtime.get(BreachService).enabled


@pytest.mark.parametrize(
    "url", ["http://ranges.example.com", "http://localhost.example.com", "ftp://ranges.example.com", "https://", "file:///etc",
            "https://ranges.example.com/?prefix=", "https://ranges.example.com/#"],
)  # fmt: skip
def test_an_unsafe_url_is_refused(url: str) -> None:
    app = Flask("host")
    app.config.update(SECRET_KEY=KEY, SQLALCHEMY_DATABASE_URI="sqlite://", ACCOUNTS_BREACHED_PASSWORDS_URL=url)

    with pytest.raises(ConfigurationError, match="ACCOUNTS_BREACHED_PASSWORDS_URL"):
        Accounts(SQLAlchemy(), app, features=[*default_features(), BreachedPasswords()])


def test_the_feature_is_off_unless_it_is_added(site: Site) -> None:
    with pytest.raises(ConfigurationError, match="add its feature"):
        site.testing.runtime.get(BreachService)
    assert site.testing.runtime.slow_password_checks == ()
