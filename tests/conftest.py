"""Databases and sites for the tests.

The suite runs on SQLite, or with `--database postgresql` or `--database mariadb` on those, whole. Tests
that use `every_database_url` also run on each server that TEST_POSTGRES_URL and TEST_MARIADB_URL name.
Every worker has a database of its own on the server, so runs do not meet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.bare import Bare
from tests.sites import KEY, SharedSite, Site, build_site, every_feature

__all__ = ["KEY", "MakeSite", "Site", "bearer"]
SERVERS = {"postgresql": "TEST_POSTGRES_URL", "mariadb": "TEST_MARIADB_URL"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-extras", action="store_true", help="skip tests that import more than the package brings")
    parser.addoption("--database", choices=["sqlite", *SERVERS], default="sqlite", help="run the whole suite on this database")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--no-extras"):
        config.pluginmanager.register(Bare())


def pytest_report_header(config: pytest.Config) -> list[str]:
    said = [
        f"{name}: {'from ' + variable if variable in os.environ else 'not tested, ' + variable + ' is not set'}"
        for name, variable in SERVERS.items()
    ]
    return [f"suite on {config.getoption('--database')}; {'; '.join(said)}"]


ServerUrls = Callable[..., str]


@pytest.fixture(scope="session")
def server_urls() -> Iterator[ServerUrls]:
    """The URL of this worker's own database on a server, or by a suffix of another one; skips where the server is not named."""
    made: dict[tuple[str, str], tuple[sa.Engine, str]] = {}

    def url(name: str, suffix: str = "") -> str:
        variable = SERVERS[name]
        if variable not in os.environ:
            pytest.skip(f"{variable} is not set")
        if (name, suffix) not in made:
            base = sa.make_url(os.environ[variable])
            database = f"flask_accounts_{os.getpid()}{suffix}"
            engine = sa.create_engine(base, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                charset = " CHARACTER SET utf8mb4" if name == "mariadb" else ""
                connection.execute(sa.text(f"CREATE DATABASE {database}{charset}"))
            made[name, suffix] = (engine, database)
        return sa.make_url(os.environ[variable]).set(database=made[name, suffix][1]).render_as_string(hide_password=False)

    yield url
    for (name, _), (engine, database) in made.items():
        with engine.connect() as connection:
            force = " WITH (FORCE)" if name == "postgresql" else ""
            connection.execute(sa.text(f"DROP DATABASE {database}{force}"))
        engine.dispose()


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path, server_urls: ServerUrls) -> str:
    """The database the suite runs on. A file on SQLite, so that threads share it."""
    name = request.config.getoption("--database")
    return f"sqlite:///{tmp_path / 'test.db'}" if name == "sqlite" else server_urls(name)


@pytest.fixture(params=["sqlite", *SERVERS])
def every_database_url(request: pytest.FixtureRequest, tmp_path: Path, server_urls: ServerUrls) -> str:
    """Each database there is, in turn."""
    name: str = request.param
    return f"sqlite:///{tmp_path / 'test.db'}" if name == "sqlite" else server_urls(name)


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

    def make(*, url: str = database_url, **kwargs: Any) -> Site:
        made.append(build_site(url, **kwargs))
        return made[-1]

    yield make
    for site in made:
        site.close()


MakeUrl = Callable[[str], str]


@pytest.fixture(scope="session")
def shared_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, server_urls: ServerUrls) -> MakeUrl:
    """The URL of a database for a site that tests share, by the site's name."""
    kind = request.config.getoption("--database")

    def url(name: str) -> str:
        return f"sqlite:///{tmp_path_factory.mktemp(name) / 'test.db'}" if kind == "sqlite" else server_urls(kind, f"_{name}")

    return url


@pytest.fixture(scope="session")
def shared_site(shared_url: MakeUrl) -> Iterator[SharedSite]:
    """The site of default settings that tests share."""
    shared = SharedSite(shared_url("shared"))
    yield shared
    shared.close()


@pytest.fixture(scope="session")
def shared_opted_in(shared_url: MakeUrl) -> Iterator[SharedSite]:
    """The one with every feature; see `tests.opted_in`."""
    shared = SharedSite(shared_url("opted_in"), every_feature)
    yield shared
    shared.close()


@pytest.fixture
def site(shared_site: SharedSite) -> Iterator[Site]:
    """A site of default settings, its database empty. It may have answered before: own views need `make_site(views=...)`."""
    yield shared_site.lend()
    shared_site.take_back()
