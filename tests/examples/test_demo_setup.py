"""The demo's configurations, seeds and migrations."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import flask
import flask_migrate
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from click.testing import CliRunner
from examples.demo import create_app
from examples.demo.__main__ import main
from examples.demo.models import Post, User, db

from flask_accounts import ConfigurationError
from flask_accounts.testing import AccountsTesting

from .conftest import Demo

KEY = "a-key-from-the-environment-0123456789abcdef"
MAIL = {"ACCOUNTS_MAIL_HOST": "mail.example", "ACCOUNTS_MAIL_BASE_URL": "https://blog.example"}
VARIABLES = ("DEMO_ENVIRONMENT", "SECRET_KEY", "DATABASE_URL", "CORS_ORIGINS", "DEMO_INSTANCE", "FLASK_DEBUG", *MAIL)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder to start in, and an environment that says nothing."""
    for name in VARIABLES:
        # Set first, so that what a `.env` file adds is taken away again.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEMO_INSTANCE", str(tmp_path / "instance"))
    return tmp_path


@pytest.fixture
def live(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, and an environment that says all that production needs."""
    for name, value in {"SECRET_KEY": KEY, "DATABASE_URL": f"sqlite:///{bare / 'blog.db'}", **MAIL}.items():
        monkeypatch.setenv(name, value)
    return bare


# Configuration


def test_what_is_not_said_is_production_and_production_needs_its_key(bare: Path) -> None:
    with pytest.raises(RuntimeError, match="Set SECRET_KEY for production, or DEMO_ENVIRONMENT=development"):
        create_app()


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL", *MAIL])
def test_production_says_what_is_missing(live: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)

    with pytest.raises(RuntimeError, match=f"Set {name} for production"):
        create_app("production")


def test_production_refuses_a_short_key(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "short")

    with pytest.raises(ConfigurationError, match="5 bytes"):
        create_app("production")


def test_production_takes_its_values_from_a_dotenv_file(bare: Path) -> None:
    (bare / ".env").write_text(
        f"DEMO_ENVIRONMENT=production\nSECRET_KEY={KEY}\nDATABASE_URL=sqlite://\nCORS_ORIGINS=https://a.example, https://b.example\n"
        "ACCOUNTS_MAIL_HOST=mail.example\nACCOUNTS_MAIL_PORT=465\nACCOUNTS_MAIL_BASE_URL=https://blog.example\n"
    )

    app = create_app()

    assert (app.config["SECRET_KEY"], app.config["SQLALCHEMY_DATABASE_URI"]) == (KEY, "sqlite://")
    assert app.config["CORS_ORIGINS"] == ["https://a.example", "https://b.example"]
    assert not app.debug
    assert app.config["ACCOUNTS_MAIL_PORT"] == "465"
    assert app.config["JWT_COOKIE_SECURE"] is True
    assert app.config["JWT_ACCESS_COOKIE_NAME"] == "__Host-access_token"
    assert "max-age=31536000" in app.test_client().get("/", buffered=True).headers["Strict-Transport-Security"]


def test_the_environment_wins_over_the_dotenv_file(live: Path) -> None:
    (live / ".env").write_text("DEMO_ENVIRONMENT=production\nSECRET_KEY=from-the-file\n")

    assert create_app().config["SECRET_KEY"] == KEY


def test_development_keeps_a_random_key_that_only_its_owner_reads(bare: Path) -> None:
    first, second = create_app("development"), create_app("development")

    file = bare / "instance" / "development_key"
    assert first.config["SECRET_KEY"] == second.config["SECRET_KEY"] == file.read_text()
    assert len(file.read_text()) >= 48
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_unknown_environment_is_refused_by_name(bare: Path) -> None:
    with pytest.raises(RuntimeError, match=r"no environment 'staging'.*development, testing, production"):
        create_app("staging")


# Seeds


def test_the_seed_prints_logins_that_work_and_adds_nothing_twice(demo: Demo) -> None:
    runner = demo.app.test_cli_runner()

    first = runner.invoke(args=["seed"])
    counts = demo.count(User), demo.count(Post)
    second = runner.invoke(args=["seed"])

    assert first.exit_code == 0, first.output
    assert second.output == first.output
    assert (demo.count(User), demo.count(Post)) == counts
    for line in first.output.splitlines():
        email, password, _ = line.split(maxsplit=2)
        assert demo.client().post("/api/auth/login", json={"email": email, "password": password}).status_code == 200
    file = Path(demo.app.instance_path) / "demo_logins.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_seed_makes_an_administrator_and_a_moderator_and_nobody_else(demo: Demo) -> None:
    demo.app.test_cli_runner().invoke(args=["seed"])

    users = demo.client(demo.person("ada", roles=["admin"])).get("/api/users?per_page=100").get_json()["users"]

    assert {user["username"]: user["roles"] for user in users if user["roles"]} == {
        "ada": ["admin"], "admin": ["admin"], "mira": ["moderator"],
    }  # fmt: skip


@pytest.mark.requirement("ASVS 6.3.2")
def test_no_demo_accounts_are_made_in_production(live: Path) -> None:
    app = create_app("production")
    with app.app_context():
        db.create_all()

        run = app.test_cli_runner().invoke(args=["seed"])

        assert run.exit_code == 1
        assert "for development only" in run.output
        assert db.session.scalars(db.select(User)).all() == []
        db.engine.dispose()


@pytest.mark.requirement("ASVS 6.3.2")
def test_trying_the_demo_out_on_a_production_database_is_refused(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_ENVIRONMENT", "production")

    result = CliRunner().invoke(main, [])

    assert result.exit_code == 1
    assert "for development only" in result.output
    with sa.create_engine(f"sqlite:///{live / 'blog.db'}", poolclass=sa.NullPool).connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM people")) == 0


# Migrations


def differences() -> list[object]:
    with db.engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), db.metadata))


def test_the_committed_migrations_make_every_table_and_take_it_away_again(every_database_url: str, bare: Path) -> None:
    app = create_app("testing", SQLALCHEMY_DATABASE_URI=every_database_url)
    with app.app_context():
        flask_migrate.upgrade()
        made, missing = set(sa.inspect(db.engine).get_table_names()), differences()
        AccountsTesting(app)
        seeded = app.test_cli_runner().invoke(args=["seed"])
        db.session.remove()
        flask_migrate.downgrade(revision="base")
        left = set(sa.inspect(db.engine).get_table_names())
        with db.engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE alembic_version"))
        db.engine.dispose()

    assert {"people", "posts", "accounts_sessions", "accounts_roles", "accounts_user_roles"} <= made
    assert missing == []
    assert seeded.exit_code == 0, seeded.output
    assert left == {"alembic_version"}


def test_one_command_prepares_everything_and_serves_on_the_own_machine(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: dict[str, object] = {}

    def run(app: flask.Flask, host: str, port: int, **options: object) -> None:
        with app.app_context():
            served.update(host=host, port=port, posts=db.session.scalar(db.select(db.func.count(Post.id))), **options)
            db.engine.dispose()

    monkeypatch.setattr(flask.Flask, "run", run)

    result = CliRunner().invoke(main, ["--port", "5999"])

    assert result.exit_code == 0, result.output
    assert "admin@example.com" in result.output
    assert "http://localhost:5999/outbox" in result.output
    assert served == {"host": "127.0.0.1", "port": 5999, "posts": 6, "debug": False, "threaded": True}


# What the doctor says


def doctor(app: flask.Flask) -> dict[str, set[str]]:
    found = json.loads(app.test_cli_runner().invoke(args=["accounts", "doctor", "--json"]).output)["findings"]
    return {severity: {each["code"] for each in found if each["severity"] == severity} for severity in ("error", "warning")}


def test_the_doctor_finds_the_demo_in_development_unfit_for_production(bare: Path) -> None:
    app = create_app("development")
    with app.app_context():
        db.create_all()

    assert doctor(app) == {
        "error": {"debug-mode", "cookies-without-secure", "links-to-nowhere", "local-passkeys", "migrations-pending"},
        "warning": {"flask-session-cookie", "sqlite-journal", "no-administrator", "unproved-registration"},
    }


def test_the_doctor_tells_the_demo_in_production_of_its_migrations_and_the_addresses_that_are_nobodys(live: Path) -> None:
    app = create_app("production")
    with app.app_context():
        db.create_all()

    assert doctor(app) == {
        "error": {"guessable-signing-key", "links-to-nowhere", "migrations-pending"},  # this test's own key and addresses
        "warning": {"flask-session-cookie", "sqlite-journal", "mail-sender", "no-administrator", "unproved-registration"},
    }
