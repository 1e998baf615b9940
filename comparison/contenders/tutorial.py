"""The usual tutorial design, written by us: what the many "JWT login with Flask" articles end up with. Nobody's library."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import jwt
import requests
from flask import Flask, g, jsonify, request
from flask_sqlalchemy import SQLAlchemy
from werkzeug.security import check_password_hash, generate_password_hash

from ..contender import KEY, Contender, Http, Tokens


class Tutorial(Contender):
    """PyJWT, a decorator, `User(**request.json)`, a set of revoked tokens."""

    name = "the usual tutorial design"
    distribution = None
    setup = (
        "Written by us after the pattern of many articles: PyJWT in a decorator, `User(**data)`, a set of revoked tokens in memory."
    )
    source = "comparison/contenders/tutorial.py"
    verifies = f"{__name__}:check_password_hash"

    def app(self, folder: Path, *, limits: bool) -> Any:
        app = self.flask = Flask("tutorial")
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder / 'app.db'}"
        db = self.db = SQLAlchemy(app)
        revoked: set[str] = set()

        class User(db.Model):  # type: ignore[name-defined,misc]
            id = db.Column(db.Integer, primary_key=True)
            email = db.Column(db.String(120), unique=True, nullable=False)
            password = db.Column(db.String(255), nullable=False)
            is_admin = db.Column(db.Boolean, default=False)
            is_active = db.Column(db.Boolean, default=True)

        self.User = User

        def token(user_id: int, kind: str, lifetime: timedelta) -> str:
            claims = {"sub": str(user_id), "type": kind, "jti": uuid.uuid4().hex, "exp": datetime.now(UTC) + lifetime}
            return jwt.encode(claims, KEY, algorithm="HS256")

        def token_required(kind: str) -> Any:
            def decorate(view: Any) -> Any:
                @wraps(view)
                def wrapper() -> Any:
                    try:
                        raw = request.headers["Authorization"].split()[1]
                        g.claims = jwt.decode(raw, KEY, algorithms=["HS256"])
                    except Exception:
                        return jsonify(message="Token is invalid"), 401
                    if g.claims["type"] != kind or g.claims["jti"] in revoked:
                        return jsonify(message="Token is invalid"), 401
                    return view()

                return wrapper

            return decorate

        @app.post("/register")
        def register() -> Any:
            data = request.json
            if User.query.filter_by(email=data["email"]).first():
                return jsonify(message="User already exists"), 400
            db.session.add(User(**{**data, "password": generate_password_hash(data["password"])}))
            db.session.commit()
            return jsonify(message="User created"), 201

        @app.post("/login")
        def login() -> Any:
            user = User.query.filter_by(email=request.json["email"]).first()
            if not user:
                return jsonify(message="User not found"), 404
            if not check_password_hash(user.password, request.json["password"]):
                return jsonify(message="Wrong password"), 401
            return jsonify(
                access_token=token(user.id, "access", timedelta(minutes=15)),
                refresh_token=token(user.id, "refresh", timedelta(days=30)),
            )

        @app.post("/refresh")
        @token_required("refresh")
        def refresh() -> Any:
            return jsonify(access_token=token(g.claims["sub"], "access", timedelta(minutes=15)))

        @app.post("/logout")
        @token_required("access")
        def logout() -> Any:
            revoked.add(g.claims["jti"])
            return jsonify(message="Logged out")

        @app.get("/me")
        @token_required("access")
        def me() -> Any:
            user = db.session.get(User, int(g.claims["sub"]))
            return jsonify(email=user.email, is_admin=user.is_admin)

        @app.put("/me")
        @token_required("access")
        def update() -> Any:
            user = db.session.get(User, int(g.claims["sub"]))
            for key, value in request.json.items():
                setattr(user, key, value)
            db.session.commit()
            return jsonify(email=user.email)

        @app.put("/password")
        @token_required("access")
        def password() -> Any:
            user = db.session.get(User, int(g.claims["sub"]))
            user.password = generate_password_hash(request.json["password"])
            db.session.commit()
            return jsonify(message="Changed")

        with app.app_context():
            db.create_all()
        return app

    def register(self, http: Http, email: str, password: str, **more: Any) -> requests.Response:
        return http("POST", "/register", json={"email": email, "password": password, **more})

    def login(self, http: Http, email: str, password: str) -> requests.Response:
        return http("POST", "/login", json={"email": email, "password": password})

    def tokens(self, answer: requests.Response, before: Tokens | None = None) -> Tokens:
        given = answer.json()
        return Tokens(given["access_token"], given.get("refresh_token") or (before.refresh if before else None))

    def me(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("GET", "/me", token=tokens.access)

    def refresh(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("POST", "/refresh", token=tokens.refresh)

    def logout(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("POST", "/logout", token=tokens.access)

    def update(self, http: Http, tokens: Tokens, **more: Any) -> requests.Response:
        return http("PUT", "/me", token=tokens.access, json=more)

    def change_password(self, http: Http, tokens: Tokens, old: str, new: str) -> requests.Response:
        return http("PUT", "/password", token=tokens.access, json={"password": new})

    def disable(self, email: str) -> bool:
        with self.flask.app_context():
            self.User.query.filter_by(email=email).one().is_active = False
            self.db.session.commit()
        return True

    def flags(self, email: str) -> dict[str, Any] | None:
        with self.flask.app_context():
            user = self.User.query.filter_by(email=email).one_or_none()
            return user and {"is_admin": user.is_admin, "is_active": user.is_active}
