"""Flask-Migrate: one `migrate` finds every table, a second finds nothing, and what was generated runs as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flask_accounts import Accounts, SessionMixin, UserMixin, UuidKeyMixin
from flask_accounts.testing import AccountsTesting
from tests.hosts.conftest import MakeApp
from tests.inventory import TABLES

# The env.py that Flask-Migrate writes asks Flask-SQLAlchemy in its old way first.
pytestmark = pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning")

OURS = TABLES


def default(db: SQLAlchemy) -> dict[str, Any]:
    return {}


def uuid_keys(db: SQLAlchemy) -> dict[str, Any]:
    return {"user_key": "uuid7"}


def own_user(db: SQLAlchemy) -> dict[str, Any]:
    class User(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "people"
        nickname: Mapped[str | None] = mapped_column(sa.String(40))
        posts: Mapped[list[Any]] = relationship("Post", back_populates="author")

    class Post(db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "posts"
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str] = mapped_column(sa.String(100), nullable=False)
        author_id: Mapped[int] = mapped_column(sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False)
        author: Mapped[Any] = relationship("User", back_populates="posts")

    return {"user_model": User}


def own_uuid_user_and_session(db: SQLAlchemy) -> dict[str, Any]:
    class Person(UuidKeyMixin, UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "people"

    class Session(SessionMixin):
        country: Mapped[str | None] = mapped_column(sa.String(2), nullable=True)

    return {"user_model": Person, "models": {SessionMixin: Session}}


KINDS: dict[Callable[[SQLAlchemy], dict[str, Any]], set[str]] = {
    default: {"users"},
    uuid_keys: {"users"},
    own_user: {"people", "posts"},
    own_uuid_user_and_session: {"people"},
}


@dataclass
class Migrated:
    app: Flask
    db: SQLAlchemy
    accounts: Accounts
    folder: Path

    def revisions(self) -> list[Path]:
        return sorted((self.folder / "versions").glob("*.py"))

    def migrate(self) -> str:
        """Run `flask db migrate` and return what the new revision says; empty where it found nothing."""
        before = set(self.revisions())
        with self.app.app_context():
            flask_migrate.migrate(directory=str(self.folder))
        return "".join(path.read_text() for path in set(self.revisions()) - before)

    def upgrade(self) -> None:
        with self.app.app_context():
            flask_migrate.upgrade(directory=str(self.folder))

    def downgrade(self) -> None:
        with self.app.app_context():
            flask_migrate.downgrade(directory=str(self.folder), revision="base")

    def tables(self) -> set[str]:
        with self.app.app_context():
            return set(sa.inspect(self.db.engine).get_table_names()) - {"alembic_version"}


@contextmanager
def migrated(app: Flask, setup: Callable[[SQLAlchemy], dict[str, Any]], folder: Path) -> Iterator[Migrated]:
    db = SQLAlchemy()
    accounts = Accounts(db, **setup(db))
    accounts.init_app(app)
    flask_migrate.Migrate(app, db)
    site = Migrated(app, db, accounts, folder)
    with app.app_context():
        flask_migrate.init(directory=str(folder))
    # Alembic's template sets the whole process's logging up from alembic.ini; that is not for a test run.
    (folder / "env.py").write_text((folder / "env.py").read_text().replace("fileConfig(config.config_file_name)", ""))
    try:
        yield site
    finally:
        with app.app_context():
            db.session.remove()
            db.drop_all()
            with db.engine.begin() as connection:
                connection.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))


@pytest.mark.parametrize("setup", KINDS, ids=[kind.__name__ for kind in KINDS])
def test_migrations_are_found_once_run_unedited_and_go_back(
    setup: Callable[[SQLAlchemy], dict[str, Any]], every_database_url: str, make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(SQLALCHEMY_DATABASE_URI=every_database_url)
    with migrated(app, setup, tmp_path / "migrations") as site:
        first = site.migrate()

        assert set(re.findall(r"op\.create_table\('(\w+)'", first)) == OURS | KINDS[setup]
        assert "flask_accounts" not in first, "a migration stands without this package"
        site.upgrade()
        assert site.tables() == OURS | KINDS[setup]
        assert site.migrate() == "", "a second migrate finds nothing"
        assert len(site.revisions()) == 1

        testing = AccountsTesting(app)
        person = testing.make_user("ann@example.com", roles=["admin"])
        assert testing.client(person).get("/api/users/").get_json()["total"] == 1
        with app.app_context():
            site.accounts.users.create("bea@example.com")
            site.db.session.commit()

        site.downgrade()
        assert site.tables() == set()
        site.upgrade()
        assert site.tables() == OURS | KINDS[setup]


def test_create_all_makes_what_migrations_make(every_database_url: str, make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(SQLALCHEMY_DATABASE_URI=every_database_url)
    with migrated(app, default, tmp_path / "migrations") as site:
        with app.app_context():
            site.db.create_all()

        assert site.migrate() == ""
        assert site.revisions() == []


def test_microseconds_survive_on_every_database(every_database_url: str, make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(SQLALCHEMY_DATABASE_URI=every_database_url)
    moment = datetime(2026, 2, 3, 4, 5, 6, 123457, tzinfo=UTC)
    with migrated(app, default, tmp_path / "migrations") as site:
        site.migrate()
        site.upgrade()
        with app.app_context():
            site.db.session.add(site.accounts.User(email="ann@example.com", email_verified_at=moment))
            site.db.session.commit()
            site.db.session.remove()

            stored = site.db.session.scalars(sa.select(site.accounts.User.email_verified_at)).one()

    assert stored == moment
    assert stored.tzinfo is UTC


def test_times_of_another_zone_are_stored_as_the_same_moment(every_database_url: str, make_app: MakeApp, tmp_path: Path) -> None:
    moment = datetime.fromisoformat("2026-02-03T04:05:06.000001+05:30")
    app = make_app(SQLALCHEMY_DATABASE_URI=every_database_url)
    with migrated(app, default, tmp_path / "migrations") as site, app.app_context():
        site.db.create_all()
        site.db.session.add(site.accounts.User(email="ann@example.com", email_verified_at=moment))
        site.db.session.commit()
        found = sa.select(site.accounts.User.email).where(site.accounts.User.email_verified_at == moment.astimezone(UTC))

        assert site.db.session.scalars(found).one() == "ann@example.com"
