"""What `pip install flask-accounts-api` alone brings is enough, and what needs an extra says which."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

import flask_accounts
from flask_accounts import Accounts, ConfigurationError, default_features, opt_in_features
from flask_accounts.features.passkeys import Passkeys
from tests.conftest import KEY, MakeSite

ROOT = Path(__file__).parent.parent.parent
QUICKSTART = ROOT / "examples" / "quickstart" / "app.py"
BROUGHT = {
    "docs": "flask_swagger_ui",
    "async": "asgiref",
    "otel": "opentelemetry",
    "passkeys": "webauthn",
    "redis": "redis",
    "zxcvbn": "zxcvbn_rs_py",
}
"""The module that each extra brings."""


@pytest.fixture(autouse=True)
def bare(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--no-extras"):
        pytest.skip("the extras are installed here: run `tox -e no-extras`")


def test_no_extra_is_installed() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert set(extras) == set(BROUGHT)
    assert [module for module in BROUGHT.values() if importlib.util.find_spec(module)] == []


def test_every_module_of_the_package_can_be_imported() -> None:
    names = [module.name for module in pkgutil.walk_packages(flask_accounts.__path__, "flask_accounts.")]

    assert len(names) > 50
    for name in names:
        importlib.import_module(name)


def test_the_quickstart_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET_KEY", KEY)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'quickstart.db'}")
    spec = importlib.util.spec_from_file_location("quickstart_app", QUICKSTART)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    client = module.create_app().test_client()
    ann = {"email": "ann@example.com", "password": "seven brown foxes"}

    assert client.post("/api/auth/register", json=ann).status_code == 201
    assert client.post("/api/auth/login", json=ann).status_code == 200


def test_strong_passwords_name_their_extra_at_start() -> None:
    features = [*default_features(), *opt_in_features()]
    app = Flask("bare")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY=KEY)

    with pytest.raises(ConfigurationError, match=re.escape("pip install 'flask-accounts-api[zxcvbn]'")):
        Accounts(SQLAlchemy(), app, features=features)


def test_passkeys_name_their_extra_at_start() -> None:
    app = Flask("bare")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY=KEY, ACCOUNTS_PASSKEYS_ORIGINS=["https://app.example.com"])

    with pytest.raises(ConfigurationError, match=re.escape("pip install 'flask-accounts-api[passkeys]'")):
        Accounts(SQLAlchemy(), app, features=[*default_features(), Passkeys()])


def test_the_docs_page_names_its_extra_and_the_document_is_there_without_it(make_site: MakeSite) -> None:
    client = make_site().client

    page = client.get("/api/auth/docs")

    assert page.status_code == 404
    assert "pip install 'flask-accounts-api[docs]'" in page.get_json()["detail"]
    assert client.get("/api/auth/openapi.json").get_json()["openapi"].startswith("3.1")


def test_without_opentelemetry_requests_are_served_as_ever(make_site: MakeSite) -> None:
    site = make_site()
    site.user("ann@example.com")

    assert site.login("ann@example.com").status_code == 200


def test_sessions_cached_with_marks_in_redis_name_their_extra_at_start(make_site: MakeSite) -> None:
    with pytest.raises(ConfigurationError, match=re.escape("pip install 'flask-accounts-api[redis]'")):
        make_site(config={"ACCOUNTS_SESSIONS_CACHE": "redis://127.0.0.1:6379/0"})


def test_a_limit_store_without_its_client_names_what_to_install(make_site: MakeSite) -> None:
    assert importlib.util.find_spec("redis") is None

    with pytest.raises(ConfigurationError, match=re.escape("pip install 'limits[redis]'")):
        make_site(config={"ACCOUNTS_LIMITS_STORAGE": "redis://127.0.0.1:6379/0"})
