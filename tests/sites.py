"""Host apps with accounts for the tests: made one by one, or one of default settings that serves a test after another.

Making a site (its models, routes and tables) takes longer than most tests, so those that need nothing special share one. After each
test its database is emptied and its clock, hasher and outbox are new; a site that a test has changed otherwise is thrown away.
"""

from __future__ import annotations

import functools
import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import werkzeug.utils
from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from flask_accounts import Accounts, Feature, default_features, opt_in_features
from flask_accounts.core.runtime import EXTENSION, Runtime
from flask_accounts.testing import PASSWORD, AccountsTesting

KEY = "a-signing-key-for-tests-that-is-long-enough-0123456789abcdefghijkl"


class Statements(list[str]):
    """The SQL statements sent since this was last cleared; none before that, because an engine that is listened to works otherwise."""

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__()
        self._engine = engine
        self._listens = False

    def clear(self) -> None:
        """Begin (anew)."""
        super().clear()
        if not self._listens:
            sa.event.listen(self._engine, "before_cursor_execute", self._note)
            self._listens = True

    def rest(self) -> None:
        """Listen no more."""
        super().clear()
        if self._listens:
            sa.event.remove(self._engine, "before_cursor_execute", self._note)
            self._listens = False

    def _note(self, connection: object, cursor: object, text: str, *rest: object) -> None:
        self.append(text)


@dataclass
class Site:
    """A host app with accounts, its tables made."""

    app: Flask
    db: SQLAlchemy
    accounts: Accounts
    testing: AccountsTesting

    @functools.cached_property
    def statements(self) -> Statements:
        with self.app.app_context():
            return Statements(self.db.engine)

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

    def close(self, *, drop: bool = True) -> None:
        """Let go of its connections; on a server also of its tables."""
        with self.app.app_context():
            self.db.session.remove()
            if drop and self.db.engine.dialect.name != "sqlite":
                self.db.drop_all()
            for engine in self.db.engines.values():
                engine.dispose()


def build_site(
    url: str,
    *,
    config: dict[str, Any] | None = None,
    setup: Callable[[SQLAlchemy], dict[str, Any]] | None = None,
    views: Callable[[Flask, SQLAlchemy], None] | None = None,
    limits: bool = False,
    **kwargs: Any,
) -> Site:
    """A site on the database at `url`. The arguments are those of the fixture `make_site`."""
    db = SQLAlchemy()
    kwargs |= setup(db) if setup else {}
    accounts = Accounts(db, **kwargs)
    app = Flask("host")
    app.config.update(SQLALCHEMY_DATABASE_URI=url, SECRET_KEY=KEY, TESTING=True)
    app.config.update(config or {})
    accounts.init_app(app)
    if views:
        views(app, db)
    with app.app_context():
        db.create_all()
    return Site(app, db, accounts, AccountsTesting(app, limits=limits))


def every_feature() -> list[Feature]:
    """Those on by default, and those that a host has to choose."""
    # StrongPasswords and Passkeys need them: without them these tests are skipped. Not imported, since that is for the package to do.
    for name in ("zxcvbn_rs_py", "webauthn"):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(name=name)
    return [*default_features(), *opt_in_features()]


class SharedSite:
    """Lends a site of default settings to one test after another, in the state of a new one. `features` makes its features."""

    def __init__(self, url: str, features: Callable[[], list[Feature]] = default_features) -> None:
        self._url = sa.make_url(url)
        self._features = features
        self._site: Site | None = None
        self._before: dict[str, Any] = {}

    def lend(self) -> Site:
        """The site, its database empty."""
        if self._site is None:
            self._site = build_site(self._url.render_as_string(hide_password=False), features=self._features())
            self._keep()
        else:
            self._empty(self._site)
        self._site.testing = AccountsTesting(self._site.app)
        self._before = _state(self._site)
        return self._site

    def take_back(self) -> None:
        """The test is over. If it has changed more than rows, the next one gets a new site."""
        if self._site is None:
            return
        with self._site.app.app_context():
            self._site.db.session.remove()
        self._site.statements.rest()
        if _state(self._site) != self._before:
            self.close()

    def close(self) -> None:
        """Let go of the site and its tables."""
        if self._site is not None:
            self._site.close()
            self._site = None
            if self._file:
                self._file.unlink()

    @property
    def _file(self) -> Path | None:
        return Path(self._url.database or "") if self._url.drivername.startswith("sqlite") else None

    def _keep(self) -> None:
        """Keep a copy of the new database: SQLite's is emptied by putting it back."""
        if self._file:
            shutil.copyfile(self._file, self._file.with_suffix(".new"))

    def _empty(self, site: Site) -> None:
        with site.app.app_context():
            if self._file:
                site.db.engine.dispose()
                for journal in ("-journal", "-wal", "-shm"):
                    self._file.with_name(self._file.name + journal).unlink(missing_ok=True)
                shutil.copyfile(self._file.with_suffix(".new"), self._file)
                return
            try:
                with site.db.engine.begin() as connection:
                    _truncate(connection, list(site.db.metadata.tables.values()))
            except sa.exc.ProgrammingError:  # a test has dropped some
                site.db.drop_all()
                site.db.create_all()


def _truncate(connection: sa.Connection, tables: list[sa.Table]) -> None:
    """Empty the tables that have rows, and let their keys begin at 1 again."""
    quoted = {table: connection.dialect.identifier_preparer.format_table(table) for table in tables}
    asked = sa.text("SELECT " + ", ".join(f"EXISTS (SELECT 1 FROM {name})" for name in quoted.values()))
    full = [name for name, found in zip(quoted.values(), connection.execute(asked).one(), strict=True) if found]
    if connection.dialect.name == "postgresql":
        if full:
            connection.exec_driver_sql(f"TRUNCATE {', '.join(full)} RESTART IDENTITY CASCADE")
        return
    connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 0")
    for name in full:
        connection.exec_driver_sql(f"TRUNCATE {name}")
    connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 1")


def _state(site: Site) -> dict[str, Any]:
    """What a test could have changed of a site, by name; what is only made when first needed is left out."""
    runtime: Runtime = site.app.extensions[EXTENSION]
    with site.app.app_context():
        engines = list(site.db.engines.values())
    sessions = site.db.session.session_factory
    state: dict[str, Any] = {
        "config": dict(site.app.config),
        "extensions": {name: id(value) for name, value in site.app.extensions.items()},
        "routes": len(list(site.app.url_map.iter_rules())),
        "functions": [
            {scope: kept for scope, functions in registry.items() if (kept := _without_empty(functions))}
            for registry in (
                site.app.before_request_funcs, site.app.after_request_funcs, site.app.teardown_request_funcs,
                site.app.error_handler_spec, site.app.template_context_processors,
            )
        ],
        "teardown": list(site.app.teardown_appcontext_funcs),
        "listeners": [_listeners(target) for engine in engines for target in (engine, engine.pool)] + [_listeners(sessions())],
        "engines": [(engine.echo, engine.hide_parameters) for engine in engines],
        "sessions": (sessions.class_, dict(sessions.kw)),
    }  # fmt: skip
    for name, part in {
        "app": site.app,
        "runtime": runtime,
        **{str(kind): found for kind, found in runtime._services.items()},
    }.items():
        state[name] = {key: id(value) for key, value in vars(part).items() if not _made_late(part, key)}
    return state


def _listeners(target: Any) -> dict[str, int]:
    """How many listeners an engine or a pool has, by event."""
    dispatch = target.dispatch
    return {name: len(list(getattr(dispatch, name))) for name in dispatch._event_names}


def _without_empty(functions: Any) -> Any:
    """What is registered; Flask makes an empty place for each that it looks for (handlers by status, then by error)."""
    if isinstance(functions, dict):
        return {key: kept for key, value in functions.items() if (kept := _without_empty(value))}
    return list(functions) if isinstance(functions, list) else functions


def _made_late(part: object, name: str) -> bool:
    # `Tokens._known` holds the tokens that were verified: by their digests, so those of one test are no other's.
    if name in ("_got_first_request", "_known"):
        return True
    return isinstance(getattr(type(part), name, None), functools.cached_property | werkzeug.utils.cached_property)
