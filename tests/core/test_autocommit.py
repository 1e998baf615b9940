"""The read that authenticates a request needs no transaction, sees what is committed, and keeps to where the host's sessions are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.pool import QueuePool

from flask_accounts import current_user, login_required
from flask_accounts.core.sessions import SessionMixin
from tests.conftest import MakeSite, Site


@contextlib.contextmanager
def transactions(site: Site) -> Iterator[list[str]]:
    """What is begun and ended in the database meanwhile, beside the statements."""
    seen: list[str] = []
    with site.app.app_context():
        engine = site.db.engine

    def note(name: str) -> Any:
        def listener(connection: sa.Connection) -> None:
            level = connection.get_execution_options().get("isolation_level")
            seen.append(f"{name} {level or 'transaction'}")

        return listener

    heard = {name: note(name) for name in ("begin", "rollback", "commit")}
    for name, listener in heard.items():
        sa.event.listen(engine, name, listener)
    yield seen
    for name, listener in heard.items():
        sa.event.remove(engine, name, listener)


def test_an_authenticated_request_costs_one_round_trip_on_postgresql(make_site: MakeSite, server_urls: Any) -> None:
    """In autocommit the driver sends neither BEGIN nor ROLLBACK, and PostgreSQL itself counts one transaction: the statement's own."""
    site = make_site(url=server_urls("postgresql"))
    ann = site.client_for(site.user("ann@example.com"))
    ann.get("/api/auth/me")  # what a connection costs once
    with site.app.app_context():
        pooled = site.db.engine.raw_connection()
        driver: Any = pooled.dbapi_connection
        pooled.close()

    sent: list[bytes] = []
    execute = type(driver)._exec_command

    def noted(self: Any, command: bytes, *rest: Any) -> Any:
        sent.append(command)
        return execute(self, command, *rest)

    with pytest.MonkeyPatch.context() as patch:  # what psycopg sends of its own: BEGIN, COMMIT, ROLLBACK
        patch.setattr(type(driver), "_exec_command", noted)
        with transactions(site) as seen:
            answer = ann.get("/api/auth/me")

    assert answer.status_code == 200
    assert sent == []
    assert {text.split()[1] for text in seen} == {"AUTOCOMMIT"}


@pytest.mark.parametrize("own", [None, "SERIALIZABLE", "AUTOCOMMIT"])
def test_a_read_leaves_the_connection_as_the_host_has_set_it_up(make_site: MakeSite, server_urls: Any, own: str | None) -> None:
    site = make_site(url=server_urls("postgresql"), config={"SQLALCHEMY_ENGINE_OPTIONS": {"isolation_level": own} if own else {}})
    ann = site.client_for(site.user("ann@example.com"))

    def state() -> tuple[object, object]:
        with site.app.app_context():
            pooled = site.db.engine.raw_connection()
            driver: Any = pooled.dbapi_connection
            pooled.close()
        return driver.autocommit, driver.isolation_level

    before = state()
    assert ann.get("/api/auth/me").status_code == 200

    assert state() == before
    assert before[0] == (own == "AUTOCOMMIT")


def test_autocommit_ends_with_the_read(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url)
    ann = site.user("ann@example.com")
    assert site.client_for(ann).get("/api/auth/me").status_code == 200

    with site.app.app_context():
        site.db.session.execute(sa.update(site.accounts.User).values(username="changed"))
        site.db.session.rollback()
        assert site.accounts.users.get(ann.id).username != "changed"


def host_views(app: Flask, db: SQLAlchemy) -> None:
    @app.get("/writes")
    @login_required
    def writes() -> str:
        current_user.username = "written"
        db.session.commit()
        return str(current_user.username)


def test_a_view_has_a_transaction_of_its_own_after_it(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url, views=host_views)
    ann = site.user("ann@example.com")

    assert site.client_for(ann).get("/writes").get_data(as_text=True) == "written"
    with site.app.app_context():
        assert site.accounts.users.get(ann.id).username == "written"


def test_it_sees_what_was_committed_a_moment_ago(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url)
    user = site.user("ann@example.com")
    ann, table = site.client_for(user), site.testing.runtime.model(SessionMixin).__table__
    assert ann.get("/api/auth/me").status_code == 200

    with site.app.app_context(), site.db.engine.begin() as elsewhere:
        elsewhere.execute(sa.delete(table))

    assert ann.get("/api/auth/me").get_json()["code"] == "TOKEN_REVOKED"


def test_one_connection_is_enough_however_a_view_goes_on(make_site: MakeSite, tmp_path: Any) -> None:
    """A thread that held one connection and waited for another would wait for ever here."""
    pool = {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0, "pool_timeout": 0.2}
    site = make_site(config={"SQLALCHEMY_ENGINE_OPTIONS": pool}, url=f"sqlite:///{tmp_path / 'one.db'}", views=host_views)
    ann = site.client_for(site.user("ann@example.com"))

    assert [ann.get("/writes").status_code, ann.get("/api/auth/me").status_code] == [200, 200]


def test_in_an_open_transaction_it_joins_and_sees_what_is_not_committed(site: Site) -> None:
    user = site.user("ann@example.com")
    principal = site.testing.sign_in(user)
    runtime = site.testing.runtime
    with site.app.app_context():
        site.db.session.execute(sa.update(site.accounts.User).values(username="uncommitted"))

        found = runtime.sessions.standing(principal.session.id)

        assert found is not None
        assert found[1].username == "uncommitted"


def test_where_the_host_bound_its_engine_to_a_connection_that_one_is_used(site: Site) -> None:
    """The usual way for tests to undo everything at their end."""
    ann = site.client_for(site.user("ann@example.com"))
    ann.get("/api/auth/me")  # also where the ways have been learned before
    with site.app.app_context():
        engines: Any = site.db.engines
        engine = engines[None]
        with engine.connect() as connection, connection.begin() as outer:
            engines[None] = connection  # as the fixtures of hosts do
            try:
                connection.execute(sa.update(site.accounts.User).values(username="inside"))
                inside = ann.get("/api/auth/me").get_json()["username"]
            finally:
                engines[None] = engine
                outer.rollback()
    assert inside == "inside"
    assert ann.get("/api/auth/me").get_json()["username"] is None


@pytest.mark.parametrize("name", ["after_begin", "do_orm_execute"])
def test_where_the_host_listens_to_its_sessions_they_are_asked(site: Site, name: str) -> None:
    """Row-level security is often set up by `SET LOCAL` when a transaction begins: a read beside the session would find nothing."""
    ann = site.client_for(site.user("ann@example.com"))
    ann.get("/api/auth/me")  # also where the listener comes late
    heard: list[object] = []
    sa.event.listen(site.db.session, name, lambda *arguments: heard.append(arguments))

    ann.get("/api/auth/me")

    assert len(heard) == 1


def test_a_session_that_picks_its_database_itself_is_asked_on_every_request(site: Site, tmp_path: Any) -> None:
    """As where each tenant has a database: the answer of one request is not kept for the next."""
    ann = site.client_for(site.user("ann@example.com"))
    other = sa.create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    site.db.metadata.create_all(other)
    with site.app.app_context():
        usual = site.db.engine
    chosen: list[sa.Engine] = [usual]
    kind = site.db.session.session_factory.class_
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "get_bind", lambda self, *args, **kwargs: chosen[0])
        first = ann.get("/api/auth/me").status_code
        chosen[0] = other
        second = ann.get("/api/auth/me").status_code
    other.dispose()

    assert [first, second] == [200, 401]


def test_a_factory_that_is_configured_anew_counts_at_once(site: Site) -> None:
    ann = site.client_for(site.user("ann@example.com"))
    ann.get("/api/auth/me")
    made: list[object] = []
    usual = site.db.session.session_factory.class_

    class Mine(usual):  # type: ignore[misc,valid-type]  # made by SQLAlchemy
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            made.append(kwargs.get("info"))
            super().__init__(*args, **kwargs)

    site.db.session.session_factory.class_ = Mine
    site.db.session.session_factory.configure(info={"mine": True})

    assert ann.get("/api/auth/me").status_code == 200
    assert made == [{"mine": True}]


def test_users_in_another_bind_are_found_there(make_site: MakeSite, tmp_path: Any) -> None:
    from flask_accounts import UserMixin

    def setup(db: SQLAlchemy) -> dict[str, Any]:
        class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]  # Flask-SQLAlchemy's own base
            __bind_key__ = "people"

        return {"user_model": Person}

    binds = {"people": f"sqlite:///{tmp_path / 'people.db'}"}
    site = make_site(config={"SQLALCHEMY_BINDS": binds}, setup=setup, url="sqlite://")
    ann = site.client_for(site.user("ann@example.com"))

    assert ann.get("/api/auth/me").status_code == 200


def test_a_database_in_memory_keeps_its_one_connection(make_site: MakeSite) -> None:
    site = make_site(url="sqlite://", views=host_views)
    ann = site.client_for(site.user("ann@example.com"))

    assert [ann.get("/writes").status_code, ann.get("/api/auth/me").status_code] == [200, 200]
