"""flask-praetorian by its tutorial and its example for refreshing and a blacklist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flask_praetorian
import requests
from flask import Flask, jsonify, request
from flask_sqlalchemy import SQLAlchemy

from ..contender import KEY, Contender, Http, Tokens


class Praetorian(Contender):
    """The examples "basic", "refresh" and "blacklist" as one app."""

    name = "flask-praetorian"
    distribution = "flask-praetorian"
    setup = "Its examples for the basics, refreshing and a blacklist; one token that can be refreshed once it has expired."
    source = "https://flask-praetorian.readthedocs.io/en/latest/tutorials/index.html"
    verifies = "flask_praetorian:Praetorian._verify_password"

    def app(self, folder: Path, *, limits: bool) -> Any:
        app = self.flask = Flask("praetorian")
        app.config.update(
            SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'app.db'}", SECRET_KEY=KEY, JWT_ACCESS_LIFESPAN={"hours": 24},
            JWT_REFRESH_LIFESPAN={"days": 30},
        )  # fmt: skip
        db = self.db = SQLAlchemy(app)
        self.guard = guard = flask_praetorian.Praetorian()
        blacklist: set[str] = set()

        class User(db.Model):  # type: ignore[name-defined,misc]
            id = db.Column(db.Integer, primary_key=True)
            username = db.Column(db.String(255), unique=True)
            hashed_password = db.Column(db.String(255))
            roles = db.Column(db.String(255))
            is_active = db.Column(db.Boolean, default=True, server_default="true")

            @property
            def identity(self) -> Any:
                return self.id

            @property
            def rolenames(self) -> list[str]:
                return self.roles.split(",") if self.roles else []

            @property
            def password(self) -> Any:
                return self.hashed_password

            @classmethod
            def lookup(cls, username: str) -> Any:
                return cls.query.filter_by(username=username).one_or_none()

            @classmethod
            def identify(cls, id: int) -> Any:
                return db.session.get(cls, id)

            def is_valid(self) -> bool:
                return bool(self.is_active)

        self.User = User
        guard.init_app(app, User, is_blacklisted=blacklist.__contains__)

        @app.post("/login")
        def login() -> Any:
            given = request.get_json(force=True)
            user = guard.authenticate(given.get("username"), given.get("password"))
            return jsonify(access_token=guard.encode_jwt_token(user))

        @app.post("/blacklist_token")
        def blacklist_token() -> Any:
            data = guard.extract_jwt_token(guard.read_token_from_header())
            blacklist.add(data["jti"])
            return jsonify(message="token blacklisted")

        @app.get("/protected")
        @flask_praetorian.auth_required
        def protected() -> Any:
            return jsonify(message=flask_praetorian.current_user().username)

        with app.app_context():
            db.create_all()
        return app

    def register(self, http: Http, email: str, password: str, **more: Any) -> None:
        return None

    def create(self, http: Http, email: str, password: str) -> None:
        with self.flask.app_context():
            hashed = self.guard.hash_password(password)
            self.db.session.add(self.User(username=email, hashed_password=hashed, roles="operator"))
            self.db.session.commit()

    def login(self, http: Http, email: str, password: str) -> requests.Response:
        return http("POST", "/login", json={"username": email, "password": password})

    def tokens(self, answer: requests.Response, before: Tokens | None = None) -> Tokens:
        return Tokens(answer.json()["access_token"])

    def me(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("GET", "/protected", token=tokens.access)

    def logout(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("POST", "/blacklist_token", token=tokens.access)

    def disable(self, email: str) -> bool:
        with self.flask.app_context():
            self.User.query.filter_by(username=email).one().is_active = False
            self.db.session.commit()
        return True

    def flags(self, email: str) -> dict[str, Any] | None:
        with self.flask.app_context():
            user = self.User.query.filter_by(username=email).one_or_none()
            return user and {"is_active": user.is_active, "roles": user.roles}
