"""examples/quickstart runs as its docstring says, and holds nobody's default key."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from flask_accounts.testing import PASSWORD, AccountsTesting

FILE = Path(__file__).parents[2] / "examples" / "quickstart" / "app.py"


@pytest.fixture
def quickstart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setenv("SECRET_KEY", "a-key-from-the-environment-0123456789abcdef")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'quickstart.db'}")
    spec = importlib.util.spec_from_file_location("quickstart_app", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "quickstart_app", module)
    spec.loader.exec_module(module)
    return module


def test_a_person_registers_signs_in_and_is_greeted(quickstart: ModuleType) -> None:
    app = quickstart.create_app()
    app.testing = True
    AccountsTesting(app)
    client = app.test_client()

    registered = client.post("/api/auth/register", json={"email": "ann@example.com", "password": PASSWORD})
    tokens = client.post("/api/auth/login", json={"email": "ann@example.com", "password": PASSWORD}).get_json()
    greeted = client.get("/hello", headers={"Authorization": f"Bearer {tokens['access_token']}"})

    assert registered.status_code == 201
    assert greeted.get_json() == {"message": "Hello, ann@example.com!"}
    assert client.get("/hello").status_code == 401
    assert app.config["SECRET_KEY"] == os.environ["SECRET_KEY"]


@pytest.mark.requirement("ASVS 6.3.2")
def test_a_fresh_install_has_no_accounts(quickstart: ModuleType) -> None:
    app = quickstart.create_app()

    with app.app_context():
        assert list(quickstart.db.session.scalars(quickstart.db.select(quickstart.accounts.User))) == []


def test_the_key_is_random_kept_and_readable_by_its_owner_only(quickstart: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "instance" / "secret_key"

    key = quickstart.kept_key(file)

    assert len(key) >= 48
    assert quickstart.kept_key(file) == key
    assert quickstart.kept_key(tmp_path / "other" / "secret_key") != key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_flask_runs_it_without_any_set_up(tmp_path: Path) -> None:
    file = Path(shutil.copy(FILE, tmp_path))
    environ = {name: value for name, value in os.environ.items() if name not in ("SECRET_KEY", "DATABASE_URL", "FLASK_DEBUG")}

    run = subprocess.run(
        [sys.executable, "-m", "flask", "--app", str(file), "routes"],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert "/hello" in run.stdout
    assert (tmp_path / "instance" / "quickstart.db").exists()


def test_the_doctor_says_what_the_quickstart_leaves_to_do_before_production(quickstart: ModuleType) -> None:
    found = json.loads(quickstart.create_app().test_cli_runner().invoke(args=["accounts", "doctor", "--json"]).output)["findings"]

    codes = {
        severity: {each["code"] for each in found if each["severity"] == severity} for severity in ("error", "warning", "info")
    }
    assert codes == {
        "error": {"guessable-signing-key"},  # this test's own; the app makes itself a random one
        "warning": {"flask-session-cookie", "sqlite-journal", "no-mailer", "no-administrator", "unproved-registration"},
        "info": {
            "no-proxy-fix", "url-scheme", "no-hsts", "one-key-for-all", "tokens-for-anybody", "flask-session-cookie", "sqlite",
            "sqlite-foreign-keys", "short-passwords", "breaches-not-asked", "no-context-words", "audit-key-derived", "public-contract",
        },
    }  # fmt: skip
