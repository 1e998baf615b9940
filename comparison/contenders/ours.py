"""flask_accounts, by its README; and with proved addresses asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts

from ..contender import KEY, Contender, Http, Tokens


class Ours(Contender):
    """As the README's three lines set it up."""

    name = "flask_accounts"
    distribution = None
    setup = "The three lines that README and quickstart begin with; a mailer that sends nothing."
    source = "docs/quickstart.md"
    verifies = "argon2:PasswordHasher.verify"
    config: dict[str, Any] = {}

    def app(self, folder: Path, *, limits: bool) -> Any:
        self.flask, self.db = Flask("ours"), SQLAlchemy()
        self.flask.config.update(SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'app.db'}", SECRET_KEY=KEY, **self.config)
        if not limits:
            self.flask.config.update(ACCOUNTS_LIMITS_ENABLED=False, ACCOUNTS_LOCKOUT_ENABLED=False)
        self.accounts = Accounts(self.db)
        self.accounts.init_app(self.flask, mailer=Nobody())
        with self.flask.app_context():
            self.db.create_all()
        return self.flask

    def register(self, http: Http, email: str, password: str, **more: Any) -> requests.Response:
        return http("POST", "/api/auth/register", json={"email": email, "password": password, **more})

    def create(self, http: Http, email: str, password: str) -> None:
        with self.flask.app_context():
            self.accounts.users.create(email, password, email_verified=True)
            self.db.session.commit()

    def login(self, http: Http, email: str, password: str) -> requests.Response:
        return http("POST", "/api/auth/login", json={"email": email, "password": password})

    def tokens(self, answer: requests.Response, before: Tokens | None = None) -> Tokens:
        return Tokens(answer.json()["access_token"], answer.json()["refresh_token"])

    def me(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("GET", "/api/auth/me", token=tokens.access)

    def refresh(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("POST", "/api/auth/refresh", token=tokens.refresh)

    def logout(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("POST", "/api/auth/logout", token=tokens.access)

    def update(self, http: Http, tokens: Tokens, **more: Any) -> requests.Response:
        return http("PATCH", "/api/auth/me", token=tokens.access, json=more)

    def forgot(self, http: Http, email: str) -> requests.Response:
        return http("POST", "/api/auth/password/forgot", json={"email": email})

    def change_password(self, http: Http, tokens: Tokens, old: str, new: str) -> requests.Response:
        body = {"current_password": old, "new_password": new}
        return http("POST", "/api/auth/password/change", token=tokens.access, json=body)

    def disable(self, email: str) -> bool:
        with self.flask.app_context():
            self.accounts.users.disable(self.accounts.users.find(email=email))
            self.db.session.commit()
        return True

    def flags(self, email: str) -> dict[str, Any] | None:
        with self.flask.app_context():
            user = self.db.session.execute(self.db.select(self.accounts.User).filter_by(email=email)).scalar()
            return user and {"is_active": user.is_active, "roles": [role.name for role in self.accounts.roles.of(user)]}


class Nobody:
    """A mailer that sends nothing."""

    def send(self, message: Any) -> None:
        pass


class OursVerified(Ours):
    """Where an address has to be proved before the first sign-in."""

    variant = True
    name = "flask_accounts, addresses to be proved"
    setup = '`ACCOUNTS_EMAIL_VERIFICATION_MODE = "required"`.'
    source = "docs/how-to/mail-and-recovery.md"
    config = {"ACCOUNTS_EMAIL_VERIFICATION_MODE": "required", "ACCOUNTS_MAIL_BASE_URL": "https://app.example.com"}
