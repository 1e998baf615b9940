"""Bare Flask apps for tests that set accounts up themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from tests.conftest import KEY

MakeApp = Callable[..., Flask]


@pytest.fixture
def make_app() -> Iterator[MakeApp]:
    """Makes an app with a signing key and a database in memory; a config value of None leaves the key out."""
    made: list[Flask] = []

    def make(**config: Any) -> Flask:
        app = Flask(f"host{len(made)}")
        settings = {"SQLALCHEMY_DATABASE_URI": "sqlite://", "SECRET_KEY": KEY, "TESTING": True} | config
        app.config.update({name: value for name, value in settings.items() if value is not None})
        made.append(app)
        return app

    yield make
    for app in made:
        db: SQLAlchemy | None = app.extensions.get("sqlalchemy")
        if db is None:
            continue
        with app.app_context():
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()
