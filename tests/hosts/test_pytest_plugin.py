"""The pytest plugin in a host's own test suite, run in a process of its own as a host runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONFTEST = """
import pytest
from flask import Flask
from flask_accounts import Accounts
from flask_sqlalchemy import SQLAlchemy


@pytest.fixture
def app():
    app = Flask("shop")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY="k" * 48, TESTING={testing})
    db = SQLAlchemy()
    Accounts(db, app)
    with app.app_context():
        db.create_all()
    yield app
    with app.app_context():
        db.engine.dispose()
"""

TESTS = """
from flask_accounts import Message


def test_make_user_and_client_for(make_user, client_for):
    ann = make_user("ann@example.com", roles=["admin"])
    assert client_for(ann).get("/api/users/").get_json()["total"] == 1
    assert client_for().get("/api/auth/me").status_code == 401


def test_each_test_starts_anew(make_user, client_for):
    assert client_for(make_user("ann@example.com", permissions=["users:read"])).get("/api/users/").get_json()["total"] == 1


def test_clock(make_user, client_for, accounts_clock):
    client = client_for(make_user())
    accounts_clock.move(minutes=16)
    assert client.get("/api/auth/me").get_json()["code"] == "TOKEN_EXPIRED"


def test_outbox(app, accounts_outbox, accounts_testing):
    runtime = app.extensions["accounts"]
    with app.app_context():
        runtime.mail.send(Message("ann@example.com", "Hello", "Hello"))
        runtime.commit()
    assert [message.subject for message in accounts_outbox] == ["Hello"]
    assert accounts_testing.outbox == accounts_outbox


def test_recorded(accounts_testing, make_user):
    with accounts_testing.recorded() as recorded:
        make_user()
    assert [event.name for event in recorded] == ["user.registered"]
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Without the plugins of this very suite; the entry point of flask_accounts is what is tested.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def host(folder: Path, *, testing: bool = True) -> Path:
    (folder / "conftest.py").write_text(CONFTEST.replace("{testing}", str(testing)))
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (folder / "test_shop.py").write_text(TESTS)
    return folder


def test_a_hosts_tests_use_the_fixtures_without_any_set_up(tmp_path: Path) -> None:
    result = run(host(tmp_path))

    assert result.returncode == 0, result.stdout + result.stderr
    assert "5 passed" in result.stdout


def test_an_app_that_is_not_in_testing_is_refused_with_the_remedy(tmp_path: Path) -> None:
    result = run(host(tmp_path, testing=False), "-k", "test_clock")

    assert result.returncode == 1
    assert "set app.testing = True first" in result.stdout


def test_the_fixtures_are_listed_with_their_sentences(tmp_path: Path) -> None:
    result = run(host(tmp_path), "--fixtures")

    for fixture, said in {
        "accounts_testing": "The test tools of the host's `app`.",
        "accounts_clock": "The app's clock",
        "accounts_outbox": "Every mail the app has sent.",
        "make_user": "Makes an account",
        "client_for": "Makes a test client signed in",
    }.items():
        assert f"{fixture} --" in result.stdout
        assert said in result.stdout


def test_a_suite_without_accounts_is_not_disturbed(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n\n\ndef test_other():\n    assert 'flask_accounts.testing' not in sys.modules\n"
    )

    result = run(tmp_path, "-W", "error")

    assert result.returncode == 0, result.stdout + result.stderr
