"""An app fit for production, copies of it that are unfit in one way each, and the doctor to see them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_accounts import Accounts, Deployment, Feature, current_accounts
from flask_accounts.core.checkups import Finding, examine
from tests.sites import every_feature as every_feature

KEYS = ("Vd8t5YxWqk2hZrJ0uM7nTgB4cLpX1sAeO9fQyK3iRw6", "Ng4mQ0zXb7KvRtY2eHsC9wUjL5pAfD1oI8kTqMxE6yZ")
"""Two random values, as `secrets.token_urlsafe(32)` makes them."""

FIT: Mapping[str, Any] = {
    "JWT_SECRET_KEY": KEYS[0],
    "SECRET_KEY": KEYS[1],
    "JWT_ENCODE_AUDIENCE": "blog",
    "JWT_ENCODE_ISSUER": "https://blog.commonplace.social",
    "JWT_TOKEN_LOCATION": ["cookies"],
    "PREFERRED_URL_SCHEME": "https",
    "SESSION_COOKIE_SECURE": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
    "ACCOUNTS_MAIL_HOST": "mail.commonplace.social",
    "ACCOUNTS_MAIL_SENDER": "Commonplace <accounts@commonplace.social>",
    "ACCOUNTS_MAIL_BASE_URL": "https://blog.commonplace.social/account",
    "ACCOUNTS_EMAIL_VERIFICATION_MODE": "required",
    "ACCOUNTS_PASSWORD_MIN_LENGTH": 15,
    "ACCOUNTS_PASSWORD_CONTEXT_WORDS": ("commonplace",),
    "ACCOUNTS_AUDIT_CHAIN_KEY": KEYS[0][::-1],
    "ACCOUNTS_MFA_REQUIRED": ["admin"],
    "ACCOUNTS_OPENAPI_ENABLED": False,
    "ACCOUNTS_API_KEYS_KEY_PREFIX": "commonplace",
    "ACCOUNTS_PASSKEYS_ORIGINS": ["https://blog.commonplace.social"],
}
"""The configuration of an app that is fit for production."""


class Talisman:
    """Stands for an extension that sends Strict-Transport-Security."""

    def hook(self, response: Any) -> Any:
        return response


Talisman.hook.__module__ = "flask_talisman.talisman"


@dataclass
class Clinic:
    """Makes apps and has them seen to."""

    folder: Path
    stored: Path
    """A database with the tables and an administrator, to copy."""
    accounts: Accounts
    """Those of apps that need none of their own: making them is what costs most."""
    made: list[tuple[Flask, Accounts]] = field(default_factory=list)

    def app(
        self,
        config: Mapping[str, Any] | None = None,
        *,
        accounts: Mapping[str, Any] | None = None,
        features: list[Feature] | None = None,
        url: str | None = None,
        before: Callable[[Flask], object] = lambda app: None,
        tuned: bool = True,
        proxied: bool = True,
        hsts: bool = True,
        routes: bool = False,
    ) -> Flask:
        """The fit app, but for what is said here."""
        if url is None:
            copied = self.folder / f"{len(self.made)}.db"
            shutil.copy(self.stored, copied)
            url = f"sqlite:///{copied}"
        app = Flask("blog", instance_path=str(self.folder))
        app.config.update({"SQLALCHEMY_DATABASE_URI": url, **_fit(features), **(config or {})})
        before(app)
        own = self._accounts(accounts, features)
        own.init_app(app, register_blueprints=routes)
        if tuned and url.startswith("sqlite:///"):
            with app.app_context():
                sa.event.listen(own.db.engine, "connect", _tune)
        if proxied:
            app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1)  # type: ignore[method-assign]  # as Flask's own documentation does
        if hsts:
            app.after_request(Talisman().hook)
        self.made.append((app, own))
        return app

    def _accounts(self, given: Mapping[str, Any] | None, features: list[Feature] | None) -> Accounts:
        if given is None and features is None:
            return self.accounts
        return Accounts(SQLAlchemy(), features=features or every_feature(), **(given or {}))

    def examine(self, app: Flask, *codes: str, environ: Mapping[str, str] | None = None, connect: bool = False) -> list[Finding]:
        """What the doctor finds; by these checks, or by all."""
        with app.app_context():
            accounts = next(accounts for made, accounts in self.made if made is app)
            asked = [each for each in accounts.checkups if not codes or each.code in codes]
            return list(examine(Deployment(app, current_accounts(), environ or {}, connect), asked).findings)


def _fit(features: list[Feature] | None) -> dict[str, Any]:
    """What makes an app fit that has these features; every one if they are not named."""
    there = {"api_keys", "passkeys"} if features is None else {feature.name for feature in features}
    left_out = tuple(f"ACCOUNTS_{name.upper()}_" for name in ("api_keys", "passkeys") if name not in there)
    return {name: value for name, value in FIT.items() if not name.startswith(left_out)}


def _tune(connection: Any, record: object) -> None:
    for pragma in ("foreign_keys = ON", "journal_mode = WAL", "busy_timeout = 5000"):
        connection.execute(f"PRAGMA {pragma}")


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Accounts]:
    """A database with every table and one administrator, and the accounts it is of."""
    file = tmp_path_factory.mktemp("clinic") / "stored.db"
    app = Flask("blog")
    app.config.update(FIT, SQLALCHEMY_DATABASE_URI=f"sqlite:///{file}", ACCOUNTS_MAIL_HOST=None)
    db = SQLAlchemy()
    accounts = Accounts(db, app, features=every_feature())
    with app.app_context():
        db.create_all()
        root = accounts.users.create("root@commonplace.social", None)
        accounts.roles.grant(root, "admin")
        db.session.commit()
        db.engine.dispose()
    return file, accounts


@pytest.fixture
def clinic(tmp_path: Path, stored: tuple[Path, Accounts]) -> Iterator[Clinic]:
    found = Clinic(tmp_path, *stored)
    yield found
    for app, accounts in found.made:
        with app.app_context():
            accounts.db.session.remove()
            for engine in accounts.db.engines.values():
                engine.dispose()
