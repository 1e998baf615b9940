"""Flask-JWT-Extended as its own documentation uses it: user loading, refresh tokens, a blocklist in the database."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from flask import Flask, jsonify, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    current_user,
    get_jwt,
    get_jwt_identity,
    jwt_required,
)
from flask_sqlalchemy import SQLAlchemy
from werkzeug.security import check_password_hash, generate_password_hash

from ..contender import KEY, Contender, Http, Tokens


class JwtExtended(Contender):
    """Blocklist and automatic user loading; accounts and passwords are not its business, so those lines are ours."""

    name = "Flask-JWT-Extended"
    distribution = "Flask-JWT-Extended"
    setup = "Its examples for a blocklist in the database, refresh tokens and user loading; registration is not in it, so the columns are ours."
    source = "https://flask-jwt-extended.readthedocs.io/en/stable/blocklist_and_token_revoking.html"
    verifies = f"{__name__}:check_password_hash"

    def app(self, folder: Path, *, limits: bool) -> Any:
        app = self.flask = Flask("jwt_extended")
        app.config.update(SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'app.db'}", JWT_SECRET_KEY=KEY)
        db = self.db = SQLAlchemy(app)
        jwt = JWTManager(app)

        class User(db.Model):  # type: ignore[name-defined,misc]
            id = db.Column(db.Integer, primary_key=True)
            username = db.Column(db.String(80), unique=True, nullable=False)
            password_hash = db.Column(db.String(255), nullable=False)

        class TokenBlocklist(db.Model):  # type: ignore[name-defined,misc]
            id = db.Column(db.Integer, primary_key=True)
            jti = db.Column(db.String(36), nullable=False, index=True)
            type = db.Column(db.String(16), nullable=False)
            created_at = db.Column(db.DateTime, nullable=False)

        self.User = User

        @jwt.user_lookup_loader
        def load(header: Any, data: Any) -> Any:
            return db.session.get(User, int(data["sub"]))

        @jwt.token_in_blocklist_loader
        def is_revoked(header: Any, data: Any) -> bool:
            return db.session.query(TokenBlocklist.id).filter_by(jti=data["jti"]).scalar() is not None

        @app.post("/login")
        def login() -> Any:
            user = User.query.filter_by(username=request.json.get("username")).one_or_none()
            if not user or not check_password_hash(user.password_hash, request.json.get("password")):
                return jsonify("Wrong username or password"), 401
            identity = str(user.id)
            return jsonify(access_token=create_access_token(identity, fresh=True), refresh_token=create_refresh_token(identity))

        @app.post("/refresh")
        @jwt_required(refresh=True)
        def refresh() -> Any:
            return jsonify(access_token=create_access_token(identity=get_jwt_identity(), fresh=False))

        @app.delete("/logout")
        @jwt_required(verify_type=False)
        def logout() -> Any:
            token = get_jwt()
            db.session.add(TokenBlocklist(jti=token["jti"], type=token["type"], created_at=datetime.now(UTC)))
            db.session.commit()
            return jsonify(msg=f"{token['type'].capitalize()} token successfully revoked")

        @app.get("/who_am_i")
        @jwt_required()
        def who_am_i() -> Any:
            return jsonify(id=current_user.id, username=current_user.username)

        with app.app_context():
            db.create_all()
        return app

    def register(self, http: Http, email: str, password: str, **more: Any) -> None:
        return None

    def create(self, http: Http, email: str, password: str) -> None:
        with self.flask.app_context():
            self.db.session.add(self.User(username=email, password_hash=generate_password_hash(password)))
            self.db.session.commit()

    def login(self, http: Http, email: str, password: str) -> requests.Response:
        return http("POST", "/login", json={"username": email, "password": password})

    def tokens(self, answer: requests.Response, before: Tokens | None = None) -> Tokens:
        given = answer.json()
        return Tokens(given["access_token"], given.get("refresh_token") or (before.refresh if before else None))

    def me(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("GET", "/who_am_i", token=tokens.access)

    def refresh(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("POST", "/refresh", token=tokens.refresh)

    def logout(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("DELETE", "/logout", token=tokens.access)

    def flags(self, email: str) -> dict[str, Any] | None:
        with self.flask.app_context():
            user = self.User.query.filter_by(username=email).one_or_none()
            return user and {"username": user.username}
