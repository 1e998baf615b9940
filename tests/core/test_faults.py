"""A database that is away, overtaken or full: 503 or begun anew, never a 500; what was answered is true, and mistakes surface."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg.errors
import pymysql
import pytest
import sqlalchemy as sa
from flask import Flask
from flask_jwt_extended import jwt_required
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from flask_accounts import current_user, is_authenticated, login_required
from flask_accounts.core import events, faults
from flask_accounts.core.errors import InternalError, ServiceUnavailable
from flask_accounts.core.runtime import Runtime
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer

NEW = {"email": "new@example.com", "password": PASSWORD}
Kill = Callable[[], None]


def views(app: Flask, db: SQLAlchemy) -> None:
    """A host's own, behind each of our doors."""
    app.add_url_rule("/required", "required", login_required(lambda: "in"))
    app.add_url_rule("/jwt", "jwt", jwt_required()(lambda: "in"))
    app.add_url_rule("/touched", "touched", lambda: current_user.email)
    app.add_url_rule("/asked", "asked", lambda: str(is_authenticated()))


HOST_PATHS = ["/required", "/jwt", "/touched", "/asked"]


@pytest.fixture(params=["postgresql", "mariadb"])
def server_url(request: pytest.FixtureRequest, server_urls: Callable[[str], str]) -> str:
    """Each server there is, in turn."""
    return server_urls(request.param)


def killer(site: Site) -> Kill:
    """Ends, from the server's side, every connection that the site has."""

    def kill() -> None:
        engine = sa.create_engine(site.db.engine.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(
                    sa.text(
                        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
            else:
                others = "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
                for (number,) in connection.execute(sa.text(others)).all():
                    connection.execute(sa.text(f"KILL {number:d}"))

    with site.app.app_context():
        site.db.engine  # noqa: B018  # made before it is asked for outside a request
    return lambda: _within(site, kill)


def _within(site: Site, act: Callable[[], None]) -> None:
    with site.app.app_context():
        act()


def once(act: Callable[[], object]) -> Callable[..., None]:
    """Does `act` when it is called for the first time."""
    waiting = [act]

    def first(*_: Any) -> None:
        if waiting:
            waiting.pop()()

    return first


def accounts(site: Site, email: str) -> int:
    with site.app.app_context():
        table = site.testing.runtime.users.table
        count = sa.select(sa.func.count()).select_from(table).where(table.c.email == email)
        return site.db.session.execute(count).scalar_one()


def refused(answer: TestResponse, *, soon: bool = False) -> bool:
    """Whether it is a 503 as clients know it, which says nothing of the inside."""
    problem = answer.get_json()
    assert answer.status_code == 503, answer.text
    assert (answer.mimetype, problem["code"]) == ("application/problem+json", "SERVICE_UNAVAILABLE")
    assert not any(word in answer.text.lower() for word in ("sql", "traceback", "connection to", "select", "insert"))
    return bool(answer.headers["Retry-After"] == ("1" if soon else "5"))


# Connections that break


def test_connections_that_the_server_has_ended_are_replaced_without_a_client_noticing(make_site: MakeSite, server_url: str) -> None:
    site = make_site(url=server_url, limits=True)
    ann = site.user("ann@example.com")
    tokens = site.tokens("ann@example.com")
    client, kill = site.client_for(ann), killer(site)

    kill()
    assert client.get("/api/auth/me").status_code == 200
    kill()
    assert site.login("ann@example.com").status_code == 200
    kill()
    assert site.client.post("/api/auth/register", json=NEW).status_code == 201
    kill()
    assert site.client.post("/api/auth/logout", headers=bearer(tokens["access_token"])).status_code == 200
    assert site.client.get("/api/auth/me", headers=bearer(tokens["access_token"])).status_code == 401


def test_a_request_whose_connection_breaks_half_way_is_begun_anew_and_done_once(make_site: MakeSite, server_url: str) -> None:
    site = make_site(url=server_url)
    site.testing.runtime.events.listen(once(killer(site)))

    answer = site.client.post("/api/auth/register", json=NEW)

    assert answer.status_code == 201, answer.text
    assert accounts(site, NEW["email"]) == 1


def test_a_commit_whose_connection_breaks_is_not_repeated_and_said_to_be_in_doubt(make_site: MakeSite, server_url: str) -> None:
    """The first try may have been carried out: only the client can decide to do it again."""
    site = make_site(url=server_url)
    tries: list[str] = []

    def note(event: events.Event) -> None:
        tries.append(event.name)

    site.testing.runtime.events.listen(note)
    kill = once(killer(site))
    with site.app.app_context():
        sa.event.listen(site.db.engine, "commit", lambda connection: kill() if tries else None)

    answer = site.client.post("/api/auth/register", json=NEW)

    assert refused(answer)
    assert "not known whether" in answer.get_json()["detail"]
    assert tries.count("user.registered") == 1
    assert site.client.post("/api/auth/register", json=NEW).status_code == 201


def test_a_refusal_stays_what_it_is_when_there_is_no_connection_left_to_roll_back_with(
    make_site: MakeSite, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(url=server_url)
    ann = site.client_for(site.user("ann@example.com"))
    boss = site.client_for(site.admin())
    kill = killer(site)
    find = site.testing.runtime.sessions.find

    def find_and_break(*args: Any) -> Any:
        found = find(*args)
        kill()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(site.testing.runtime.sessions, "find", find_and_break)
        answer = ann.delete("/api/auth/sessions/nonsense")

    assert answer.status_code == 404
    assert boss.get("/api/users").status_code == 200


def test_hosts_views_do_not_notice_a_pooled_connection_that_broke_where_nothing_was_begun(
    make_site: MakeSite, server_url: str
) -> None:
    site = make_site(url=server_url, views=views)
    ann, kill = site.client_for(site.user("ann@example.com")), killer(site)
    for path in HOST_PATHS:
        assert ann.get(path).status_code == 200

        kill()

        assert ann.get(path).status_code == 200


def test_hosts_views_answer_503_for_a_broken_connection_and_work_again(make_site: MakeSite, server_url: str) -> None:
    site = make_site(url=server_url, views=views)
    site.statements.clear()  # so that the read is SQLAlchemy's own, which does not try a second connection
    ann, kill = site.client_for(site.user("ann@example.com")), killer(site)
    for path in HOST_PATHS:
        assert ann.get(path).status_code == 200

        kill()

        assert refused(ann.get(path))
        assert ann.get(path).status_code == 200


def test_a_receiver_that_loses_the_database_after_the_commit_changes_no_answer(
    make_site: MakeSite, server_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = make_site(url=server_url)
    kill = killer(site)

    def read_and_lose(app: Flask, event: events.Event) -> None:
        site.db.session.execute(sa.text("SELECT 1"))
        kill()

    def lose_and_read(app: Flask, event: events.Event) -> None:
        site.db.session.execute(sa.text("SELECT 1"))
        kill()
        site.db.session.execute(sa.text("SELECT 1"))

    with events.UserRegistered.signal.connected_to(read_and_lose), events.UserRegistered.signal.connected_to(lose_and_read):
        answer = site.client.post("/api/auth/register", json=NEW)

    assert answer.status_code == 201, answer.text
    assert accounts(site, NEW["email"]) == 1
    assert [message for message in caplog.messages if "receiver" in message] == [
        "A receiver of user.registered could not reach the database."
    ]


# No room, no lock, no right to write


def test_without_a_free_connection_in_the_pool_it_is_a_503_until_there_is_one(make_site: MakeSite, every_database_url: str) -> None:
    pool = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.05, "poolclass": sa.QueuePool}
    site = make_site(url=every_database_url, views=views, config={"SQLALCHEMY_ENGINE_OPTIONS": pool})
    ann = site.client_for(site.user("ann@example.com"))
    with site.app.app_context():
        engine = site.db.engine

    with engine.connect():
        answers = [ann.get(path) for path in ["/api/auth/me", "/api/users", *HOST_PATHS]]
        answers.append(site.client.post("/api/auth/register", json=NEW))

    assert all(refused(answer, soon=True) for answer in answers)
    assert {ann.get(path).status_code for path in HOST_PATHS} == {200}
    assert site.client.post("/api/auth/register", json=NEW).status_code == 201


IMPATIENT: dict[str, dict[str, Any]] = {
    "postgresql": {"options": "-c lock_timeout=50"},
    "mysql": {"init_command": "SET innodb_lock_wait_timeout = 0"},
    "sqlite": {"timeout": 0.01},
}


def test_a_lock_that_is_not_to_be_had_is_a_503(
    make_site: MakeSite, every_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "PATIENCE", 0)
    dialect = sa.make_url(every_database_url).get_backend_name().replace("mariadb", "mysql")
    site = make_site(
        url=every_database_url, config={"SQLALCHEMY_ENGINE_OPTIONS": {"connect_args": IMPATIENT[dialect], "pool_size": 2}}
    )
    client = site.client_for(site.user("ann@example.com"))
    table = site.testing.runtime.users.table
    other = sa.create_engine(every_database_url, poolclass=sa.NullPool)

    with other.begin() as holding:
        holding.execute(sa.update(table).values(updated_at=sa.func.now()))
        assert refused(client.patch("/api/auth/me", json={"username": "ann"}), soon=dialect == "sqlite")

    assert client.patch("/api/auth/me", json={"username": "ann"}).status_code == 200


def test_a_standby_that_does_not_write_is_a_503(make_site: MakeSite, server_urls: Callable[[str], str]) -> None:
    """After a failover, connections may lead to the old primary for a while."""
    site = make_site(url=server_urls("postgresql"))

    def read_only(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    with site.app.app_context():
        sa.event.listen(site.db.engine, "begin", read_only)

    assert refused(site.client.post("/api/auth/register", json=NEW))

    with site.app.app_context():
        sa.event.remove(site.db.engine, "begin", read_only)
    assert site.client.post("/api/auth/register", json=NEW).status_code == 201


# SQLite with others who write


def _busy_site(make_site: MakeSite, tmp_path: Path) -> Site:
    """A site whose connections do not wait for a lock at all."""
    return make_site(
        url=f"sqlite:///{tmp_path / 'busy.db'}", config={"SQLALCHEMY_ENGINE_OPTIONS": {"connect_args": {"timeout": 0}}}
    )


def test_sqlite_held_by_somebody_else_is_tried_again_after_a_pause(
    make_site: MakeSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = _busy_site(make_site, tmp_path)
    other = sqlite3.connect(tmp_path / "busy.db", isolation_level=None)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            other.execute("COMMIT")

    monkeypatch.setattr(time, "sleep", pause)
    other.execute("BEGIN IMMEDIATE")

    answer = site.client.post("/api/auth/register", json=NEW)
    other.close()

    assert answer.status_code == 201, answer.text
    assert len(pauses) == 2


def real_transactions(site: Site) -> None:
    """SQLAlchemy's recipe for SQLite: a transaction begins with its first statement, also where that only reads."""

    def by_hand(connection: sqlite3.Connection, record: object) -> None:
        connection.isolation_level = None

    with site.app.app_context():
        site.db.engine.dispose()
        sa.event.listen(site.db.engine, "connect", by_hand)
        sa.event.listen(site.db.engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))


def test_who_reads_before_writing_in_one_sqlite_transaction_is_begun_anew_when_others_write_between(
    make_site: MakeSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With real transactions, WAL refuses such a write at once, however long it may wait (BUSY_SNAPSHOT)."""
    site = make_site(url=f"sqlite:///{tmp_path / 'wal.db'}", limits=True)
    other = sqlite3.connect(tmp_path / "wal.db", isolation_level=None)
    other.executescript("PRAGMA journal_mode = WAL; CREATE TABLE others (x)")

    real_transactions(site)
    client = site.client_for(site.user("ann@example.com"))
    find, write = site.testing.runtime.sessions.find, once(lambda: other.execute("INSERT INTO others VALUES (1)"))

    def find_while_others_write(*args: Any) -> Any:
        found = find(*args)
        write()
        return found

    monkeypatch.setattr(site.testing.runtime.sessions, "find", find_while_others_write)

    answer = client.patch("/api/auth/me", json={"username": "ann"})
    other.close()

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("journal", "real"), [("delete", False), ("wal", False), ("wal", True)])
def test_eight_who_write_to_sqlite_at_once_never_meet_its_lock(
    make_site: MakeSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: str, real: bool
) -> None:
    monkeypatch.setattr(faults, "PATIENCE", 60)  # this machine may be slow; how long one waits is another test's business
    with contextlib.closing(sqlite3.connect(tmp_path / "eight.db")) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
    site = make_site(
        url=f"sqlite:///{tmp_path / 'eight.db'}?timeout=60", limits=True, config={"ACCOUNTS_LIMITS_REGISTER_ADDRESS": ""}
    )
    if real:
        real_transactions(site)

    def live(number: int) -> list[int]:
        person = {"email": f"p{number}@example.com", "password": PASSWORD}
        client = site.app.test_client()
        answers = [client.post("/api/auth/register", json=person), client.post("/api/auth/login", json=person)]
        headers = bearer(answers[-1].get_json()["access_token"])
        answers.append(client.patch("/api/auth/me", json={"username": f"p{number}"}, headers=headers))
        answers.append(client.post("/api/auth/logout", headers=headers))
        return [answer.status_code for answer in answers]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(live, range(16)))

    assert found == [[201, 200, 200, 200]] * 16


def test_what_is_overtaken_again_and_again_is_a_503(make_site: MakeSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = _busy_site(make_site, tmp_path)
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    other = sqlite3.connect(tmp_path / "busy.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    answer = site.client.post("/api/auth/register", json=NEW)
    other.close()

    assert refused(answer, soon=True)
    assert len(pauses) == faults.TRIES - 1
    assert all(0 <= pause <= 1 for pause in pauses)


# What is a fault, and what a mistake


def from_sqlite(code: int) -> Exception:
    error = sqlite3.OperationalError("of sqlite")
    error.sqlite_errorcode = code
    return error


def wrapped(original: Exception) -> sa.exc.DBAPIError:
    """As SQLAlchemy would raise it."""
    kind = getattr(sa.exc, next(base.__name__ for base in type(original).__mro__ if hasattr(sa.exc, base.__name__)))
    error: sa.exc.DBAPIError = kind("SELECT 1", {}, original)
    return error


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("connection failed: Connection refused"),
        psycopg.errors.AdminShutdown("57P01"),
        psycopg.errors.CannotConnectNow("57P03"),
        psycopg.errors.TooManyConnections("53300"),
        psycopg.errors.DiskFull("53100"),
        psycopg.errors.LockNotAvailable("55P03"),
        psycopg.errors.QueryCanceled("57014"),
        psycopg.errors.IdleInTransactionSessionTimeout("25P03"),
        psycopg.errors.ReadOnlySqlTransaction("25006"),
        psycopg.errors.DeadlockDetected("40P01"),
        psycopg.errors.SerializationFailure("40001"),
        pymysql.err.InterfaceError(0, ""),
        pymysql.err.OperationalError(1040, "Too many connections"),
        pymysql.err.OperationalError(1205, "Lock wait timeout exceeded"),
        pymysql.err.OperationalError(1213, "Deadlock found"),
        pymysql.err.OperationalError(2003, "Can't connect to MySQL server"),
        from_sqlite(sqlite3.SQLITE_BUSY),
        from_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT),
        from_sqlite(sqlite3.SQLITE_FULL),
        from_sqlite(sqlite3.SQLITE_IOERR_WRITE),
    ],
    ids=lambda error: f"{type(error).__name__}: {error}",
)
def test_what_goes_by_without_a_change_of_the_code_is_a_fault(error: Exception) -> None:
    found = faults.unavailable(wrapped(error))

    assert found is not None
    assert found.code == 503


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.UndefinedTable("42P01"),
        psycopg.errors.SyntaxError("42601"),
        psycopg.errors.InFailedSqlTransaction("25P02"),
        psycopg.errors.UniqueViolation("23505"),
        pymysql.err.ProgrammingError(1146, "Table doesn't exist"),
        pymysql.err.OperationalError(1054, "Unknown column"),
        from_sqlite(sqlite3.SQLITE_ERROR),
    ],
    ids=lambda error: f"{type(error).__name__}: {error}",
)
def test_what_is_a_mistake_in_the_code_is_no_fault(error: Exception) -> None:
    assert faults.unavailable(wrapped(error)) is None
    assert not faults.is_overtaken(wrapped(error))


def test_missing_tables_are_no_503_but_an_error_of_ours_and_in_debug_an_exception(make_site: MakeSite) -> None:
    site = make_site()
    with site.app.app_context():
        site.db.drop_all()

    with pytest.raises(sa.exc.DBAPIError):
        site.client.post("/api/auth/register", json=NEW)
    site.testing.runtime.debug = False
    answer = site.client.post("/api/auth/register", json=NEW)

    assert (answer.status_code, answer.get_json()["code"]) == (500, InternalError.error_code)


def test_a_host_that_misuses_the_database_gets_its_own_error(make_site: MakeSite) -> None:
    def misuse(app: Flask, db: SQLAlchemy) -> None:
        @app.get("/misuse")
        @login_required
        def misuse() -> str:
            db.session.execute(sa.text("SELECT * FROM nowhere"))
            return ""

    site = make_site(views=misuse)
    ann = site.client_for(site.user("ann@example.com"))

    with pytest.raises(sa.exc.DBAPIError, match="nowhere"):
        ann.get("/misuse")


def test_the_log_says_what_the_driver_says_and_neither_statement_nor_parameters(caplog: pytest.LogCaptureFixture) -> None:
    error = sa.exc.OperationalError(
        "SELECT secret", {"password": "s3cret"}, psycopg.errors.LockNotAvailable("canceling statement\nLINE 1: SELECT secret")
    )

    faults.unavailable(error)

    assert caplog.messages == ["The database is not available: LockNotAvailable: canceling statement"]
    assert "s3cret" not in str(error)


def test_commits_say_when_they_are_in_doubt(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise sa.exc.OperationalError("COMMIT", {}, Exception("gone"), connection_invalidated=True)

    runtime: Runtime = site.testing.runtime
    with site.app.app_context():
        monkeypatch.setattr(runtime.db.session, "commit", broken)
        with pytest.raises(ServiceUnavailable, match="not known whether"):
            runtime.commit()
