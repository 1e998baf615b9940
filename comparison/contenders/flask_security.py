"""Flask-Security by its quick start with tokens; and with generic responses and refresh tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import flask_mailman
import requests
from flask import Flask, jsonify
from flask_security import Security, SQLAlchemyUserDatastore, auth_required, current_user, hash_password
from flask_security.models import fsqla_v4 as fsqla
from flask_sqlalchemy import SQLAlchemy

from ..contender import KEY, Contender, Http, Tokens


class FlaskSecurity(Contender):
    """Registration, recovery and change switched on; authentication tokens, as for a client without cookies."""

    name = "Flask-Security"
    distribution = "Flask-Security"
    setup = "Its quick start with the features switched on that are asked about; authentication tokens, no CSRF as there are no cookies."
    source = "https://flask-security.readthedocs.io/en/stable/quickstart.html"
    verifies = "flask_security.core:UserMixin.verify_and_update_password"
    config: ClassVar[dict[str, Any]] = {}

    def app(self, folder: Path, *, limits: bool) -> Any:
        app = self.flask = Flask("flask_security_app")
        app.config.update(
            SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'app.db'}", SECRET_KEY=KEY, SECURITY_PASSWORD_SALT="146585145368132386173505678016728509634",
            SECURITY_REGISTERABLE=True, SECURITY_RECOVERABLE=True, SECURITY_CHANGEABLE=True, WTF_CSRF_ENABLED=False, MAIL_BACKEND="dummy",
            SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False}, SECURITY_USE_REGISTER_V2=True, SECURITY_PASSWORD_CONFIRM_REQUIRED=False,
        )  # fmt: skip
        app.config.update(self.config)
        flask_mailman.Mail(app)
        db = self.db = SQLAlchemy(app)
        fsqla.FsModels.set_db_info(db)

        class Role(db.Model, fsqla.FsRoleMixin):  # type: ignore[name-defined,misc]
            pass

        class FsRefreshTracker(db.Model, fsqla.FsRefreshTrackerMixin):  # type: ignore[name-defined,misc]
            pass

        class WebAuthn(db.Model, fsqla.FsWebAuthnMixin):  # type: ignore[name-defined,misc]
            pass

        class User(db.Model, fsqla.FsUserMixin):  # type: ignore[name-defined,misc]
            pass

        self.store = SQLAlchemyUserDatastore(db, User, Role, WebAuthn, FsRefreshTracker)
        Security(app, self.store)

        @app.get("/me")
        @auth_required("token")
        def me() -> Any:
            return jsonify(email=current_user.email)

        with app.app_context():
            db.create_all()
        return app

    def register(self, http: Http, email: str, password: str, **more: Any) -> requests.Response:
        return http("POST", "/register", json={"email": email, "password": password, **more})

    def create(self, http: Http, email: str, password: str) -> None:
        with self.flask.app_context():
            self.store.create_user(email=email, password=hash_password(password), confirmed_at=datetime.now(UTC))
            self.db.session.commit()

    def login(self, http: Http, email: str, password: str) -> requests.Response:
        return http("POST", "/login?include_auth_token", json={"email": email, "password": password})

    def tokens(self, answer: requests.Response, before: Tokens | None = None) -> Tokens:
        user = answer.json()["response"]["user"]
        return Tokens(user["authentication_token"], user.get("refresh_token"))

    def _with(self, tokens: Tokens) -> dict[str, str]:
        return {"Authentication-Token": tokens.access}

    def me(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("GET", "/me", headers=self._with(tokens))

    def logout(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("POST", "/logout", headers=self._with(tokens), json={})

    def forgot(self, http: Http, email: str) -> requests.Response:
        return http("POST", "/reset", json={"email": email})

    def change_password(self, http: Http, tokens: Tokens, old: str, new: str) -> requests.Response:
        body = {"password": old, "new_password": new, "new_password_confirm": new}
        return http("POST", "/change", headers=self._with(tokens), json=body)

    def disable(self, email: str) -> bool:
        with self.flask.app_context():
            self.store.deactivate_user(self.store.find_user(email=email))
            self.db.session.commit()
        return True

    def flags(self, email: str) -> dict[str, Any] | None:
        with self.flask.app_context():
            user = self.store.find_user(email=email)
            return user and {"active": user.active, "roles": [role.name for role in user.roles], "confirmed": user.confirmed_at}


class FlaskSecurityTuned(FlaskSecurity):
    """With what its documentation offers for this."""

    variant = True
    name = "Flask-Security, generic responses and refresh tokens"
    setup = "`SECURITY_RETURN_GENERIC_RESPONSES` with `SECURITY_CONFIRMABLE`, `SECURITY_REFRESH_TOKEN` (in bodies), and an hour for authentication tokens."
    source = "https://flask-security.readthedocs.io/en/stable/configuration.html"
    config: ClassVar[dict[str, Any]] = {
        "SECURITY_RETURN_GENERIC_RESPONSES": True, "SECURITY_CONFIRMABLE": True, "SECURITY_REFRESH_TOKEN": True, "SECURITY_REFRESH_TOKEN_COOKIE_NAME": None,
        "SECURITY_TOKEN_MAX_AGE": 3600,
    }  # fmt: skip

    def refresh(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("POST", "/refresh-token", json={"refresh_token": tokens.refresh})

    def logout(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("POST", "/logout", headers=self._with(tokens), json={"refresh_token": tokens.refresh})
