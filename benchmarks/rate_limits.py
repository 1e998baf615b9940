"""What rate limits and lockout cost: sign-ins a second with and without them, and the stores of the rate limits side by side.

    python benchmarks/rate_limits.py [--url sqlite:////tmp/bench.db] [--redis redis://127.0.0.1:6379/0] [--seconds 3]

The hasher costs nothing here, so that the counting shows; with Argon2id it is a few percent of a sign-in.
(Not named limits.py: run as a script, it would stand in the way of the library of that name.)
One thread, Flask's test client; runs take turns and each figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts
from flask_accounts.core.clock import SystemClock
from flask_accounts.core.passwords import Argon2Hasher
from flask_accounts.testing import PASSWORD, AccountsTesting

HIGH = {f"ACCOUNTS_LIMITS_{name}": "100000000/minute;1000000000/hour" for name in ("LOGIN_ADDRESS",)}
ROUNDS = 5


def make_site(url: str, *, fast: bool, limits: bool, **config: Any) -> Flask:
    app = Flask("bench")
    app.config.update(SQLALCHEMY_DATABASE_URI=url, SECRET_KEY="k" * 64, TESTING=True, **HIGH, **config)
    app.config["ACCOUNTS_SESSIONS_MAX_PER_USER"] = 1_000_000
    db = SQLAlchemy()
    Accounts(db, app)
    with app.app_context():
        db.create_all()
    testing = AccountsTesting(app, limits=limits)
    testing.runtime.clock = SystemClock()
    if not fast:
        testing.runtime.hasher.inner = Argon2Hasher()
    with app.app_context():
        if testing.runtime.users.find(email="ann@example.com") is None:
            testing.make_user("ann@example.com")
        testing.runtime.users.replace_hash(
            1, testing.runtime.users.credentials(1).password_hash, testing.runtime.hasher.hash(PASSWORD), SystemClock().now()
        )
        testing.runtime.commit()
    return app


def rate(app: Flask, seconds: float) -> float:
    """Sign-ins a second."""
    client = app.test_client()
    with app.app_context():
        runtime = app.extensions["accounts"]
        runtime.users.execute(sa.delete(runtime.sessions.model.__table__))  # so that no run has more rows than another
        runtime.commit()
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        answer = client.post("/api/auth/login", json={"email": "ann@example.com", "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        done += 1
    return done / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what counting costs.")
    parser.add_argument("--url", help="an empty database; without one, SQLite in a file of its own")
    parser.add_argument("--redis", help="also count in this Redis")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--argon2", action="store_true", help="with the real hasher")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = asked.url or f"sqlite:///{Path(folder) / 'bench.db'}"
        only_limits = {"ACCOUNTS_LOCKOUT_ENABLED": False}
        kinds: dict[str, dict[str, Any]] = {
            "neither": {"limits": False},
            "limits (database)": {"limits": True, **only_limits},
            "limits (memory)": {"limits": True, **only_limits, "ACCOUNTS_LIMITS_STORAGE": "memory"},
            "lockout": {"limits": True, "ACCOUNTS_LIMITS_ENABLED": False},
            "limits (database) and lockout": {"limits": True},
        }
        if asked.redis:
            kinds["limits (Redis)"] = {"limits": True, **only_limits, "ACCOUNTS_LIMITS_STORAGE": asked.redis}
            kinds["limits (Redis) and lockout"] = {"limits": True, "ACCOUNTS_LIMITS_STORAGE": asked.redis}
        sites = {name: make_site(url, fast=not asked.argon2, **kind) for name, kind in kinds.items()}
        found: dict[str, list[float]] = {name: [] for name in sites}
        for _ in range(ROUNDS):
            for name, app in sites.items():
                found[name].append(rate(app, asked.seconds / ROUNDS))
        base = statistics.median(found["neither"])
        print(f"{sa.make_url(url).get_backend_name()}, {'Argon2id' if asked.argon2 else 'a hasher that costs nothing'}")
        for name, rates in found.items():
            middle = statistics.median(rates)
            print(f"{name:32} {middle:8.1f} sign-ins/s  x{middle / base:.2f}  +{1000 / middle - 1000 / base:.2f} ms")


if __name__ == "__main__":
    main()
