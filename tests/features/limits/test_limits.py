"""Rate limits: what is counted, for whom, where, and what the answer says."""

from __future__ import annotations

import os
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from flask_accounts import Accounts, Client, ConfigurationError, default_features, opt_in_features
from flask_accounts.core.errors import TooManyRequests
from flask_accounts.core.gates import Entry
from flask_accounts.core.runtime import current_accounts
from flask_accounts.features.limits.models import LimitMixin
from flask_accounts.features.limits.service import LimitService
from flask_accounts.features.limits.settings import LimitSettings, parse
from flask_accounts.features.password.service import PasswordService
from flask_accounts.testing import PASSWORD, AccountsTesting
from tests.conftest import KEY, MakeSite, Site, bearer
from tests.features.mfa.tools import answered, enrolled
from tests.features.mfa.tools import asked as waiting

HOME = "192.0.2.7"
ONLY_LIMITS = {"ACCOUNTS_LOCKOUT_ENABLED": False}


def limited(make_site: MakeSite, *, url: str | None = None, **config: Any) -> Site:
    given = {f"ACCOUNTS_LIMITS_{name.upper()}": value for name, value in config.items()}
    return make_site(limits=True, config=ONLY_LIMITS | given, **({"url": url} if url else {}))


def login(site: Site, email: str = "ann@example.com", *, address: str = HOME, password: str = "wrong") -> TestResponse:  # noqa: S107  # nobody's
    return site.login(email, password, environ_base={"REMOTE_ADDR": address})


def register(site: Site, email: str, *, address: str = HOME) -> TestResponse:
    body = {"email": email, "password": PASSWORD}
    return site.client.post("/api/auth/register", json=body, environ_base={"REMOTE_ADDR": address})


def statuses(answers: list[TestResponse]) -> list[int]:
    return [answer.status_code for answer in answers]


# Who is counted


@pytest.mark.requirement("ASVS 6.3.1")
def test_one_address_is_limited_over_all_accounts_and_others_are_not(make_site: MakeSite) -> None:
    site = limited(make_site, login_address="3/minute")

    assert statuses([login(site, f"person{number}@example.com") for number in range(5)]) == [401] * 3 + [429] * 2
    assert login(site, address="192.0.2.8").status_code == 401


@pytest.mark.requirement("ASVS 6.3.1")
@pytest.mark.parametrize("there", [True, False], ids=["account", "no such account"])
def test_one_account_is_limited_over_all_addresses_and_spellings(make_site: MakeSite, *, there: bool) -> None:
    site = limited(make_site, login_account="3/minute")
    if there:
        site.user("ann@example.com")

    spelled = ["ann@example.com", "ANN@example.com", " ann@EXAMPLE.com", "ａnn@example.com", "Ann@example.com"]
    answers = [login(site, spelling, address=f"192.0.2.{number}") for number, spelling in enumerate(spelled)]

    assert statuses(answers) == [401] * 3 + [429] * 2
    assert login(site, "bob@example.com").status_code == 401


@pytest.mark.requirement("ASVS 6.6.3")
@pytest.mark.parametrize("of", ["account", "address"])
def test_answers_to_challenges_are_limited_over_all_sign_ins_that_wait(make_site: MakeSite, of: str) -> None:
    site = limited(make_site, **{f"challenge_{of}": "2/minute"})
    ann = enrolled(site)
    tokens = [waiting(site) for _ in range(3)]

    answers = [answered(site, token, code=ann.phone.wrong()) for token in tokens]

    assert statuses(answers) == [401, 401, 429]
    assert answered(site, tokens[0], code=ann.phone.code(1)).status_code == 429


def test_where_an_insert_returns_nothing_as_on_mysql_it_is_counted_all_the_same(
    make_site: MakeSite, every_database_url: str
) -> None:
    site = limited(make_site, url=every_database_url, login_address="3/minute;100/hour", login_account="2/minute")
    with site.app.app_context():
        site.db.engine.dialect.insert_returning = False

    assert statuses([login(site) for _ in range(4)]) == [401, 401, 429, 429]
    assert statuses([login(site, "bob@example.com"), login(site, "cid@example.com")]) == [429, 429]


def test_who_is_refused_by_its_address_uses_up_no_account(make_site: MakeSite) -> None:
    site = limited(make_site, login_address="2/minute", login_account="4/minute")
    site.user("ann@example.com")

    for _ in range(20):
        login(site, address="198.51.100.1")

    assert login(site, password=PASSWORD).status_code == 200


@pytest.mark.requirement("ASVS 2.4.1")
def test_every_action_has_its_limits(make_site: MakeSite) -> None:
    config = {f"{name}_account": "2/minute" for name in ("register", "refresh", "reauthenticate", "password_change")}
    site = limited(make_site, **config)
    site.user("ann@example.com")
    tokens = login(site, password=PASSWORD).get_json()
    access = bearer(tokens["access_token"])
    change = {"current_password": "wrong", "new_password": "a different horse"}

    def three(path: str, **kwargs: Any) -> list[int]:
        return [site.client.post(f"/api/auth/{path}", **kwargs).status_code for _ in range(3)]

    assert statuses([register(site, "ann@example.com") for _ in range(3)]) == [409, 409, 429]
    assert three("reauthenticate", json={"password": "wrong"}, headers=access) == [401, 401, 429]
    assert three("password/change", json=change, headers=access) == [401, 401, 429]
    assert three("refresh", headers=bearer(tokens["refresh_token"])) == [200, 200, 429]


@pytest.mark.requirement("ASVS 2.4.1")
@pytest.mark.parametrize("there", [True, False], ids=["account", "no such account"])
@pytest.mark.parametrize("path", ["password/forgot", "email/verify/resend", "unlock/request", "magic-link"])
def test_nobodys_mailbox_is_flooded_from_many_addresses(make_site: MakeSite, path: str, *, there: bool) -> None:
    site = make_site(limits=True, features=[*default_features(), *opt_in_features()])
    if there:
        site.user("ann@example.com")
    site.testing.outbox.clear()

    answers = [
        site.client.post(f"/api/auth/{path}", json={"email": "ann@example.com"}, environ_base={"REMOTE_ADDR": f"192.0.2.{number}"})
        for number in range(8)
    ]

    assert statuses(answers) == [202] * 5 + [429] * 3
    assert len(site.testing.outbox) == (5 if there else 0)


def test_an_action_of_another_feature_has_limits_too(make_site: MakeSite) -> None:
    def hits(site: Site, action: str) -> int:
        with site.app.app_context():
            for number in range(100):
                try:
                    current_accounts().enter(Entry(action, Client(HOME)))
                except TooManyRequests:
                    return number
        return 100

    site = limited(make_site, others_address="5/minute", extra={"export.address": "7/hour"})

    assert hits(site, "something") == 5
    assert hits(site, "export") == 7


def test_nothing_is_limited_where_the_setting_is_empty(make_site: MakeSite) -> None:
    site = limited(make_site, login_address="")

    answers = [login(site) for _ in range(80)]

    assert set(statuses(answers)) == {401}
    assert "RateLimit" not in answers[0].headers


# Windows and answers


@pytest.mark.requirement("RFC6585 4")
def test_the_answer_says_when_the_window_is_over(make_site: MakeSite) -> None:
    site = limited(make_site, login_address="2/minute;3/hour")
    login(site)
    site.testing.clock.move(seconds=20)
    login(site)

    answer = login(site)

    assert answer.status_code == 429
    assert answer.get_json()["code"] == "RATE_LIMITED"
    assert answer.headers["Retry-After"] == "40"
    assert answer.headers["RateLimit-Policy"] == '"login-address-60s";q=2;w=60, "login-address-3600s";q=3;w=3600'
    assert answer.headers["RateLimit"] == '"login-address-60s";r=0;t=40, "login-address-3600s";r=0;t=3580'
    site.testing.clock.move(seconds=39)
    assert login(site).status_code == 429
    site.testing.clock.move(seconds=1)
    answer = login(site)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3540")  # the hour has been used up meanwhile
    site.testing.clock.move(seconds=3540)
    assert login(site).status_code == 401


def test_an_answer_that_is_not_refused_says_what_is_left_to_the_address_and_nothing_of_the_account(make_site: MakeSite) -> None:
    site = limited(make_site, login_address="9/minute", login_account="5/minute")

    answer = login(site)

    assert answer.headers["RateLimit"] == '"login-address-60s";r=8;t=60'
    assert "account" not in answer.headers["RateLimit-Policy"]
    only_account = limited(make_site, login_address="", login_account="5/minute")
    assert "RateLimit" not in login(only_account).headers


@pytest.mark.requirement("ASVS 16.3.3")
def test_a_full_window_is_told_once(make_site: MakeSite) -> None:
    site = limited(make_site, login_address="2/minute")

    with site.testing.recorded() as events:
        for _ in range(10):
            login(site)

    told = [(event.name, vars(event).get("scope")) for event in events if event.name == "access.limited"]
    assert told == [("access.limited", "address")]


# Counts that stand


def test_a_registration_that_is_refused_is_counted(make_site: MakeSite) -> None:
    """A taken address rolls the request back; its count must stay, or addresses could be tried without end."""
    site = limited(make_site, register_address="3/minute")
    site.user("ann@example.com")

    assert statuses([register(site, "ann@example.com") for _ in range(5)]) == [409] * 3 + [429] * 2


def test_a_signed_in_caller_who_probes_for_taken_addresses_is_counted_too(make_site: MakeSite) -> None:
    """Here the request has read, and holds a connection, before anything is counted."""
    site = limited(make_site, register_address="3/minute")
    bob = site.client_for(site.user("bob@example.com"))

    answers = [bob.post("/api/users/", json={"email": "bob@example.com", "password": PASSWORD}) for _ in range(5)]

    assert statuses(answers) == [409] * 3 + [429] * 2


def test_hits_at_the_same_moment_are_all_counted(make_site: MakeSite, every_database_url: str) -> None:
    site = limited(make_site, url=every_database_url, login_address="10/minute;1000/hour", login_account="500/minute")
    barrier = threading.Barrier(30, timeout=30)

    def run(number: int) -> int:
        barrier.wait()
        return login(site, f"person{number % 3}@example.com").status_code

    with ThreadPoolExecutor(30) as pool:
        found = Counter(pool.map(run, range(30)))

    assert found == {401: 10, 429: 20}
    with site.app.app_context():
        table = site.testing.runtime.model(LimitMixin).__table__
        assert sorted(site.db.session.execute(sa.select(table.c.hits)).scalars())[-2:] == [30, 30]


def test_callers_who_hold_a_connection_do_not_starve_the_pool(
    make_site: MakeSite, every_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many callers as the pool has connections, each holding one when it is counted: none may wait for a second for ever."""
    site = make_site(
        limits=True,
        url=every_database_url,
        config=ONLY_LIMITS
        | {
            "SQLALCHEMY_ENGINE_OPTIONS": {"pool_size": 2, "max_overflow": 0, "pool_timeout": 1},
            "ACCOUNTS_LIMITS_ON_STORE_FAILURE": "closed",
        },
    )
    token = site.testing.sign_in(site.user("ann@example.com")).tokens.access_token
    runtime, barrier = site.testing.runtime, threading.Barrier(2, timeout=20)
    enter = runtime.enter

    def meet(entry: Entry) -> None:
        barrier.wait()
        enter(entry)

    monkeypatch.setattr(runtime, "enter", meet)

    def run(_: int) -> int:
        return site.client.post("/api/auth/reauthenticate", json={"password": PASSWORD}, headers=bearer(token)).status_code

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, range(2))) == [200, 200]


def test_two_workers_count_together(make_site: MakeSite, database_url: str) -> None:
    one, two = (limited(make_site, url=database_url, login_address="4/minute") for _ in range(2))
    two.testing.runtime.clock = one.testing.clock

    assert statuses([login(site) for site in (one, two, two, one, two, one)]) == [401] * 4 + [429] * 2


def test_a_database_in_memory_counts(make_site: MakeSite) -> None:
    site = limited(make_site, url="sqlite://", login_address="2/minute", reauthenticate_account="1/minute")
    ann = site.client_for(site.user("ann@example.com"))

    assert statuses([login(site) for _ in range(3)]) == [401, 401, 429]
    proofs = [ann.post("/api/auth/reauthenticate", json={"password": "wrong"}) for _ in range(2)]
    assert statuses(proofs) == [401, 429]


def test_host_code_that_has_begun_to_write_does_not_block_itself(make_site: MakeSite) -> None:
    def views(app: Flask, db: SQLAlchemy) -> None:
        @app.post("/own-login")
        def own_login() -> dict[str, Any]:
            runtime = current_accounts()
            runtime.users.execute(sa.update(runtime.users.table).values(username="x"))
            email = request.get_json()["email"]
            signed_in = runtime.get(PasswordService).sign_in(email=email, password=PASSWORD, client=Client(HOME))
            runtime.commit()
            return {"token": signed_in.tokens.access_token}

    site = make_site(limits=True, views=views)
    site.user("ann@example.com")

    answer = site.client.post("/own-login", json={"email": "ann@example.com"})

    assert answer.status_code == 200


def test_no_key_in_the_table_tells_an_address_or_a_name(make_site: MakeSite) -> None:
    site = limited(make_site, login_account="5/minute")

    login(site, "ann@example.com")

    with site.app.app_context():
        rows = site.db.session.execute(sa.select(site.testing.runtime.model(LimitMixin).__table__)).all()
    assert len(rows) == 3
    assert not any(word in str(row) for row in rows for word in ("ann", HOME))


def test_purge_deletes_the_windows_that_are_over(make_site: MakeSite) -> None:
    site = limited(make_site, login_address="2/minute;3/hour")
    login(site)

    site.testing.clock.move(minutes=2)
    assert "Deleted 1 row." in site.app.test_cli_runner().invoke(args=["accounts", "purge"]).output
    site.testing.clock.move(hours=1)
    assert "Deleted 1 row." in site.app.test_cli_runner().invoke(args=["accounts", "purge"]).output


# Stores


def test_memory_counts_in_windows(make_site: MakeSite) -> None:
    site = limited(make_site, login_address="2/minute", storage="memory")

    assert statuses([login(site) for _ in range(3)]) == [401, 401, 429]
    site.testing.clock.move(seconds=60)
    assert login(site).status_code == 401


@pytest.fixture
def redis_url() -> str:
    if "TEST_REDIS_URL" not in os.environ:
        pytest.skip("TEST_REDIS_URL is not set")
    return os.environ["TEST_REDIS_URL"]


def test_redis_counts_for_all_workers(make_site: MakeSite, redis_url: str) -> None:
    address = f"2001:db8:{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}::1"  # nobody else's: Redis keeps its own time
    one, two = (limited(make_site, login_address="4/minute", storage=redis_url) for _ in range(2))

    answers = [login(site, address=address) for site in (one, two, two, one, two)]

    assert statuses(answers) == [401] * 4 + [429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 61
    assert answers[-1].headers["RateLimit-Policy"] == '"login-address-60s";q=4;w=60'


def test_a_redis_that_is_away_lets_callers_pass_with_an_event_and_a_line_in_the_log(
    make_site: MakeSite, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("redis")
    site = limited(make_site, login_address="1/minute", storage="redis://:a-secret@127.0.0.1:9/0")

    with site.testing.recorded() as events:
        assert statuses([login(site) for _ in range(3)]) == [401] * 3
    site.testing.clock.move(seconds=6)
    login(site)

    assert [vars(event)["allowed"] for event in events if event.name == "limits.store_failed"] == [True]
    lines = [record for record in caplog.records if record.name == "flask_accounts.limits"]
    assert len(lines) == 2  # asked again after the pause, not at each request
    assert "a-secret" not in caplog.text


@pytest.mark.requirement("ASVS 16.5.3")
def test_a_store_that_is_away_closes_the_door_where_the_host_says_so(make_site: MakeSite) -> None:
    pytest.importorskip("redis")
    site = limited(make_site, storage="redis://127.0.0.1:9/0", on_store_failure="closed")

    answers = [login(site) for _ in range(2)]

    assert statuses(answers) == [503, 503]
    assert {answer.get_json()["code"] for answer in answers} == {"SERVICE_UNAVAILABLE"}


@pytest.mark.requirement("ASVS 16.5.3")
@pytest.mark.parametrize("choice", ["open", "closed"])
def test_without_the_accounts_own_database_the_door_is_closed(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    site = limited(make_site, on_store_failure=choice)

    def broken(work: object) -> None:
        raise OperationalError("INSERT", {}, Exception("gone"))

    monkeypatch.setattr(site.testing.runtime.aside, "run", broken)

    assert login(site).status_code == 503


# Set-up


@pytest.mark.parametrize("text", ["5", "five/minute", "5/minute;;x", "0/minute", "5/minute;6/minute", "5/fortnight", "-1/day"])
def test_what_is_no_limit_is_refused_at_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match="ACCOUNTS_LIMITS_LOGIN_ADDRESS"):
        Accounts(SQLAlchemy(), _app(ACCOUNTS_LIMITS_LOGIN_ADDRESS=text), features=[*default_features(), *opt_in_features()])


@pytest.mark.parametrize("storage", ["redsi", "nothing://there", "postgres"])
def test_what_is_no_store_is_refused_at_start(storage: str) -> None:
    with pytest.raises(ConfigurationError, match="ACCOUNTS_LIMITS_STORAGE"):
        Accounts(SQLAlchemy(), _app(ACCOUNTS_LIMITS_STORAGE=storage), features=[*default_features(), *opt_in_features()])


def test_an_extra_limit_names_its_action_and_kind() -> None:
    with pytest.raises(ConfigurationError, match="ACCOUNTS_LIMITS_EXTRA"):
        Accounts(
            SQLAlchemy(), _app(ACCOUNTS_LIMITS_EXTRA={"forgot": "5/minute"}), features=[*default_features(), *opt_in_features()]
        )


def test_the_stores_password_is_never_shown(make_site: MakeSite) -> None:
    pytest.importorskip("redis")
    site = limited(make_site, storage="redis://:a-secret@127.0.0.1:9/0")

    shown = site.app.test_cli_runner().invoke(args=["accounts", "settings"]).output

    assert "ACCOUNTS_LIMITS_STORAGE" in shown
    assert "a-secret" not in shown


def test_strings_mean_what_they_say() -> None:
    assert [(rule.amount, rule.get_expiry()) for rule in parse("5/minute; 100 per 2 hours;1000/day")] == [
        (5, 60), (100, 7200), (1000, 86400),
    ]  # fmt: skip
    assert parse("") == []
    assert all(parse(getattr(LimitSettings(), name)) is not None for name in LimitSettings.model_fields if "_address" in name)


def test_a_hosts_own_limiter_is_asked_beside(make_site: MakeSite) -> None:
    class Never:
        def hit(self, action: str, *, address: str | None, account: str | None) -> float | None:
            return 77

    site = make_site(limiter=Never(), limits=True)

    answer = login(site)

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "77")


def test_limits_are_off_in_tests_unless_asked_for() -> None:
    for asked in (False, True):
        app = _app()
        Accounts(SQLAlchemy(), app, features=[*default_features(), *opt_in_features()])
        testing = AccountsTesting(app, limits=asked)
        assert testing.runtime.get(LimitService).enabled is asked


def _app(**config: Any) -> Flask:
    app = Flask("host")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY=KEY, TESTING=True, **config)
    return app
