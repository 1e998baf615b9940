"""What an authenticated request costs beside one that is not, and beside the usual ways to build it.

    python benchmarks/own_account.py [--url URL ...] [--rounds 200] [--instructions]

A folder's SQLite file if no URL is given. All contenders run interleaved in one process, through the WSGI interface, and answer with
the same JSON:

    bare view            no authentication at all
    token only           Flask-JWT-Extended's `@jwt_required()` without a database: a token that nobody can revoke
    guide                the design of most guides: `@jwt_required()`, a query whether the `jti` is revoked, a query for the user
    GET /me              ours: session, account, roles and permissions asked for on every request
    cached               the same with `ACCOUNTS_SESSIONS_CACHE` in memory, which trades some seconds of instant revocation
    login_required       a view of the host's behind our `@login_required`
    jwt_required         a view of the host's behind plain `@jwt_required()` of an app with accounts

Printed are medians in microseconds, by the clock and of computing (processor time of this process, without the database server's), and
the ratios to `token only` with their quartiles. With `--instructions` instructions are counted instead, with valgrind: slow, and the
same on every run, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask, Response, jsonify
from flask_jwt_extended import JWTManager, create_access_token, current_user, get_jwt_identity, jwt_required
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import EnvironBuilder

from flask_accounts import Accounts, login_required

KEY = "a-signing-key-for-benchmarks-that-is-long-enough-0123456789"
BASE = "token only"
REQUESTS = 10
"""Requests a round and contender."""
COUNTED = (20, 120)
"""Requests under valgrind: the difference of the two runs leaves out what happens once."""
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


def cached(url: str, token: str) -> dict[str, Call]:
    """The same account and token in an app that remembers sessions for some seconds."""
    app = Flask("cached")
    app.config.update(SQLALCHEMY_DATABASE_URI=url, SECRET_KEY=KEY, ACCOUNTS_SESSIONS_CACHE="memory")
    Accounts(SQLAlchemy(), app)
    return {"cached": caller(app, "/api/auth/me", token)}


def ours(url: str) -> tuple[dict[str, Call], dict[str, Any]]:
    """What is authenticated by accounts, and the body of all answers."""
    app = Flask("ours")
    app.config.update(SQLALCHEMY_DATABASE_URI=url, SECRET_KEY=KEY)
    db = SQLAlchemy()
    accounts = Accounts(db, app)

    @app.get("/login-required")
    @login_required
    def guarded() -> Response:
        return jsonify(body)

    @app.get("/jwt-required")
    @jwt_required()
    def plain() -> Response:
        return jsonify(body)

    with app.app_context():
        db.drop_all()
        db.create_all()
        ann = accounts.users.create("ann@example.com", "seven brown foxes")
        accounts.roles.grant(ann, "admin")
        db.session.commit()
        token = accounts.sessions.open(ann).tokens.access_token
        db.session.commit()
        body: dict[str, Any] = ann.to_dict()
    paths = {"GET /me": "/api/auth/me", "login_required": "/login-required", "jwt_required": "/jwt-required"}
    return {name: caller(app, path, token) for name, path in paths.items()} | cached(url, token), body


def without_database(body: dict[str, Any]) -> dict[str, Call]:
    """The body without an account, and behind a token that is only verified."""
    app = Flask("without_database")
    app.config.update(SECRET_KEY=KEY)
    JWTManager(app)

    @app.get("/bare")
    def bare() -> Response:
        return jsonify(body)

    @app.get("/token")
    @jwt_required()
    def token() -> Response:
        get_jwt_identity()
        return jsonify(body)

    with app.app_context():
        access = create_access_token("1")
    return {"bare view": caller(app, "/bare", access), BASE: caller(app, "/token", access)}


def guide(url: str, body: dict[str, Any]) -> dict[str, Call]:
    """Revocable tokens as Flask-JWT-Extended's documentation and most guides build them: two ORM queries a request."""
    app = Flask("guide")
    app.config.update(SQLALCHEMY_DATABASE_URI=url, SECRET_KEY=KEY)
    db = SQLAlchemy(app)
    manager = JWTManager(app)

    class GuideUser(db.Model):  # type: ignore[name-defined,misc]  # Flask-SQLAlchemy's own base
        id = sa.Column(sa.Integer, primary_key=True)
        email = sa.Column(sa.String(255), unique=True)
        username = sa.Column(sa.String(64))
        password_hash = sa.Column(sa.String(255))

    class RevokedJti(db.Model):  # type: ignore[name-defined,misc]  # as above
        id = sa.Column(sa.Integer, primary_key=True)
        jti = sa.Column(sa.String(36), index=True)

    @manager.token_in_blocklist_loader
    def revoked(header: dict[str, Any], claims: dict[str, Any]) -> bool:
        return db.session.query(RevokedJti.id).filter_by(jti=claims["jti"]).scalar() is not None

    @manager.user_lookup_loader
    def user(header: dict[str, Any], claims: dict[str, Any]) -> Any:  # the model is local
        return GuideUser.query.filter_by(id=int(claims["sub"])).one_or_none()

    @app.get("/guide")
    @jwt_required()
    def view() -> Response:
        return jsonify(body | {"id": current_user.id, "email": current_user.email})

    with app.app_context():
        db.drop_all()
        db.create_all()
        db.session.add(GuideUser(id=body["id"], email=body["email"]))
        db.session.commit()
        access = create_access_token(str(body["id"]))
    return {"guide": caller(app, "/guide", access)}


def contenders(url: str) -> dict[str, Call]:
    """All that is compared, by name."""
    mine, body = ours(url)
    return {**without_database(body), **guide(url, body), **mine}


def measured(calls: dict[str, Call], rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Microseconds a request in each round: by the clock, and of computing."""
    clock: dict[str, list[float]] = {name: [] for name in calls}
    computing: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(REQUESTS):
            call()
    for _ in range(rounds):
        for name, call in calls.items():
            begun, used = time.perf_counter(), time.process_time()
            for _ in range(REQUESTS):
                call()
            clock[name].append((time.perf_counter() - begun) / REQUESTS * 1e6)
            computing[name].append((time.process_time() - used) / REQUESTS * 1e6)
    return clock, computing


def report(clock: dict[str, list[float]], computing: dict[str, list[float]], base: str = BASE) -> None:
    """A line for each contender, with its ratios to `base`."""
    print(f"{'':20}{'us':>8}{'ratio':>8}  {'quartiles':14}{'us comp.':>10}{'ratio':>8}  quartiles")
    for name in clock:
        line = f"{name:20}"
        for times in (clock, computing):
            ratios = [mine / base for mine, base in zip(times[name], times[base], strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            line += f"{statistics.median(times[name]):8.0f}{middle:8.2f}  {f'{low:.2f} to {high:.2f}':16}"
        print(line)


def instructions(url: str) -> None:
    """Instructions a request of each contender, counted by valgrind in processes of their own."""
    names = list(contenders(url))
    counts: dict[str, float] = {}
    for name in names:
        few, many = (_counted(url, name, requests) for requests in COUNTED)
        counts[name] = (many - few) / (COUNTED[1] - COUNTED[0])
    for name, count in counts.items():
        print(f"{name:16}{count / 1000:10.0f} thousand instructions{count / counts[BASE]:8.2f}")


def _counted(url: str, name: str, requests: int) -> int:
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    script = [sys.executable, __file__, "--url", url, "--only", name, "--requests", str(requests)]
    steady = os.environ | {"PYTHONHASHSEED": "0"}
    said = subprocess.run([*command, *script], check=True, capture_output=True, text=True, env=steady)  # our own script
    found = re.search(r"I +refs: +([\d,]+)", said.stderr)
    assert found, said.stderr
    return int(found[1].replace(",", ""))


def urls(given: list[str] | None) -> Iterator[str]:
    """The databases to measure on."""
    if given:
        yield from given
        return
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{Path(folder) / 'bench.db'}"


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--url", action="append")
    options.add_argument("--rounds", type=int, default=200)
    options.add_argument("--instructions", action="store_true")
    options.add_argument("--only", help=argparse.SUPPRESS)
    options.add_argument("--requests", type=int, default=0, help=argparse.SUPPRESS)
    given = options.parse_args()
    for url in urls(given.url):
        if given.only:
            call = contenders(url)[given.only]
            for _ in range(given.requests):
                call()
            continue
        print(sa.make_url(url).get_backend_name())
        if given.instructions:
            instructions(url)
        else:
            report(*measured(contenders(url), given.rounds))


if __name__ == "__main__":
    main()
