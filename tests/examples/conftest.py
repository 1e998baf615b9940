"""The demo blog as an app under test: its tables made, cheap hashes, a movable clock, its own outbox."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from examples.demo import create_app
from examples.demo.models import Post, db
from flask import Flask
from flask.testing import FlaskClient

from flask_accounts import Runtime, current_accounts
from flask_accounts.testing import AccountsTesting


@dataclass
class Demo:
    """The blog, and what tests do with it."""

    app: Flask
    testing: AccountsTesting

    def person(self, username: str, **kwargs: Any) -> Any:
        return self.testing.make_user(f"{username}@example.com", username=username, **kwargs)

    def client(self, user: Any = None) -> FlaskClient:
        return self.testing.client(user)

    def post(self, author: Any, title: str = "A title", body: str = "A text.") -> int:
        with self.app.app_context():
            post = Post(title=title, body=body, author_id=author.id)
            db.session.add(post)
            db.session.commit()
            return post.id

    def count(self, model: type[Any]) -> int:
        with self.app.app_context():
            return db.session.scalar(db.select(db.func.count()).select_from(model)) or 0


def accounts_of(app: Flask) -> Runtime:
    with app.app_context():
        return current_accounts()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Where the blog is served if a test serves it. Links in mails lead there, so it is known before the app is made."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


@pytest.fixture
def limits() -> bool:
    """Whether attempts are limited; most tests try more than a person would."""
    return False


@pytest.fixture
def config() -> dict[str, Any]:
    """What a test wants configured otherwise."""
    return {}


@pytest.fixture
def demo(
    database_url: str,
    listener: socket.socket,
    limits: bool,
    config: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Demo]:
    """The blog in its testing configuration."""
    monkeypatch.setenv("DEMO_INSTANCE", str(tmp_path / "instance"))
    app = create_app(
        "testing", SQLALCHEMY_DATABASE_URI=database_url, CORS_ORIGINS=["https://friend.example"],
        ACCOUNTS_MAIL_BASE_URL=f"http://localhost:{listener.getsockname()[1]}", **config,
    )  # fmt: skip
    mail = accounts_of(app).mail
    with app.app_context():
        db.create_all()
    testing = AccountsTesting(app, limits=limits)
    testing.runtime.mail = mail  # the demo's outbox, as people see it
    yield Demo(app, testing)
    with app.app_context():
        db.session.remove()
        if db.engine.dialect.name != "sqlite":
            db.drop_all()
        db.engine.dispose()
