"""What a request costs: `GET /me` beside a bare Flask view and beside Flask-JWT-Extended without a database.

    python benchmarks/own_account.py [--url sqlite:////tmp/bench.db] [--rounds 60]

All three run interleaved in one process, through the WSGI interface. Printed are medians in microseconds and ratios with their
quartiles. Flask-JWT-Extended without a database is the price of a token that nobody can revoke; ours asks for the session, the
account and its roles on every request.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify
from flask_jwt_extended import JWTManager, create_access_token, jwt_required
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import EnvironBuilder

from flask_accounts import Accounts

KEY = "a-signing-key-for-benchmarks-that-is-long-enough-0123456789"
REQUESTS = 30
"""Requests a round and contender."""
Call = Callable[[], None]


def caller(app: Flask, path: str, token: str) -> Call:
    """One request, from the WSGI environment to the last byte."""
    environ = EnvironBuilder(path=path, headers={"Authorization": f"Bearer {token}"}).get_environ()

    def call() -> None:
        said: list[str] = []
        answer = app({**environ, "wsgi.input": io.BytesIO()}, lambda status, headers, error=None: said.append(status))
        b"".join(answer)
        answer.close()
        assert said[0].startswith("200"), said

    return call


def ours(url: str) -> tuple[Call, dict[str, Any]]:
    """`GET /me`, and the body it answers with."""
    app = Flask("ours")
    app.config.update(SQLALCHEMY_DATABASE_URI=url, SECRET_KEY=KEY)
    db = SQLAlchemy()
    accounts = Accounts(db, app)
    with app.app_context():
        db.drop_all()
        db.create_all()
        ann = accounts.users.create("ann@example.com", "seven brown foxes")
        db.session.commit()
        token = accounts.sessions.open(ann).tokens.access_token
        db.session.commit()
        body: dict[str, Any] = ann.to_dict()
    return caller(app, "/api/auth/me", token), body


def peers(body: dict[str, Any]) -> dict[str, Call]:
    """The same body without an account, and behind a token that is only verified."""
    app = Flask("peers")
    app.config.update(SECRET_KEY=KEY)
    JWTManager(app)

    @app.get("/bare")
    def bare() -> Response:
        return jsonify(body)

    @app.get("/token")
    @jwt_required()
    def token() -> Response:
        return jsonify(body)

    with app.app_context():
        access = create_access_token("1")
    return {"bare view": caller(app, "/bare", access), "Flask-JWT-Extended": caller(app, "/token", access)}


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--url")
    options.add_argument("--rounds", type=int, default=60)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        me, body = ours(given.url or f"sqlite:///{Path(folder) / 'bench.db'}")
        contenders = {**peers(body), "GET /me": me}
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(given.rounds):
            for name, call in contenders.items():
                begun = time.perf_counter()
                for _ in range(REQUESTS):
                    call()
                times[name].append((time.perf_counter() - begun) / REQUESTS * 1e6)
    for name, values in times.items():
        print(f"{name:20} {statistics.median(values):8.0f} us")
    for base in ("bare view", "Flask-JWT-Extended"):
        ratios = [mine / theirs for mine, theirs in zip(times["GET /me"], times[base], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"GET /me : {base} = {middle:.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
