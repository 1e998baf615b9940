"""Databases and sites for the tests.

The suite runs on SQLite, or with `--database postgresql` or `--database mariadb` on those, whole. Tests
that use `every_database_url` also run on each server that TEST_POSTGRES_URL and TEST_MARIADB_URL name.
Every worker has a database of its own on the server, so runs do not meet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from flask_accounts import Accounts
from flask_accounts.testing import PASSWORD, AccountsTesting

SERVERS = {"postgresql": "TEST_POSTGRES_URL", "mariadb": "TEST_MARIADB_URL"}
KEY = "a-signing-key-for-tests-that-is-long-enough-0123456789abcdefghijkl"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=["sqlite", *SERVERS], default="sqlite", help="run the whole suite on this database")


def pytest_report_header(config: pytest.Config) -> list[str]:
    said = [
        f"{name}: {'from ' + variable if variable in os.environ else 'not tested, ' + variable + ' is not set'}"
        for name, variable in SERVERS.items()
    ]
    return [f"suite on {config.getoption('--database')}; {'; '.join(said)}"]


@pytest.fixture(scope="session")
def server_urls() -> Iterator[Callable[[str], str]]:
    """The URL of this worker's own database on a server; skips where the server is not named."""
    made: dict[str, tuple[sa.Engine, str]] = {}

    def url(name: str) -> str:
        variable = SERVERS[name]
        if variable not in os.environ:
            pytest.skip(f"{variable} is not set")
        if name not in made:
            base = sa.make_url(os.environ[variable])
            database = f"flask_accounts_{os.getpid()}"
            engine = sa.create_engine(base, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                charset = " CHARACTER SET utf8mb4" if name == "mariadb" else ""
                connection.execute(sa.text(f"CREATE DATABASE {database}{charset}"))
            made[name] = (engine, database)
        return sa.make_url(os.environ[variable]).set(database=made[name][1]).render_as_string(hide_password=False)

    yield url
    for name, (engine, database) in made.items():
        with engine.connect() as connection:
            force = " WITH (FORCE)" if name == "postgresql" else ""
            connection.execute(sa.text(f"DROP DATABASE {database}{force}"))
        engine.dispose()


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path, server_urls: Callable[[str], str]) -> str:
    """The database the suite runs on. A file on SQLite, so that threads share it."""
    name = request.config.getoption("--database")
    return f"sqlite:///{tmp_path / 'test.db'}" if name == "sqlite" else server_urls(name)


@pytest.fixture(params=["sqlite", *SERVERS])
def every_database_url(request: pytest.FixtureRequest, tmp_path: Path, server_urls: Callable[[str], str]) -> str:
    """Each database there is, in turn."""
    name: str = request.param
    return f"sqlite:///{tmp_path / 'test.db'}" if name == "sqlite" else server_urls(name)


@dataclass
class Site:
    """A host app with accounts, its tables made."""

    app: Flask
    db: SQLAlchemy
    accounts: Accounts
    testing: AccountsTesting
    statements: list[str]
    """Every SQL statement sent since it was last cleared."""

    @property
    def client(self) -> FlaskClient:
        """A client that is not signed in."""
        return self.app.test_client()

    def user(self, email: str | None = None, **kwargs: Any) -> Any:
        return self.testing.make_user(email, **kwargs)

    def admin(self, email: str = "admin@example.com") -> Any:
        return self.testing.make_user(email, roles=["admin"])

    def client_for(self, user: Any) -> FlaskClient:
        return self.testing.client(user)

    def login(self, email: str, password: str = PASSWORD, **kwargs: Any) -> TestResponse:
        return self.client.post("/api/auth/login", json={"email": email, "password": password}, **kwargs)

    def tokens(self, email: str, password: str = PASSWORD) -> dict[str, Any]:
        answer = self.login(email, password)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.get_json()
        return body


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(database_url: str) -> Iterator[MakeSite]:
    """Makes a site: `make_site(accounts_kwargs..., config={...}, setup=lambda db: {...})`.

    `setup` gets the db before the Accounts is made (to declare models) and returns further arguments for it;
    `limits` leaves rate limits and lockout on; `views` gets the app and the db (to add the host's own views) before the first request.
    """
    made: list[Site] = []

    def make(
        *,
        config: dict[str, Any] | None = None,
        setup: Callable[[SQLAlchemy], dict[str, Any]] | None = None,
        views: Callable[[Flask, SQLAlchemy], None] | None = None,
        url: str = database_url,
        limits: bool = False,
        **kwargs: Any,
    ) -> Site:
        db = SQLAlchemy()
        kwargs |= setup(db) if setup else {}
        accounts = Accounts(db, **kwargs)
        app = Flask("host")
        app.config.update(SQLALCHEMY_DATABASE_URI=url, SECRET_KEY=KEY, TESTING=True)
        app.config.update(config or {})
        accounts.init_app(app)
        if views:
            views(app, db)
        statements: list[str] = []
        with app.app_context():
            db.create_all()
            sa.event.listen(db.engine, "before_cursor_execute", lambda c, cursor, text, *rest: statements.append(text))
        made.append(Site(app, db, accounts, AccountsTesting(app, limits=limits), statements))
        return made[-1]

    yield make
    for site in made:
        with site.app.app_context():
            site.db.session.remove()
            if not str(site.db.engine.url).startswith("sqlite"):
                site.db.drop_all()
            for engine in site.db.engines.values():
                engine.dispose()


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A site of default settings."""
    return make_site()
