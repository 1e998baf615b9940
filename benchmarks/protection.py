"""What the protection that is on by default costs: sign-ins, refreshes, registrations and forgotten passwords with rate limits, lockout and
audit log, in ratio to the same app without them.

    python benchmarks/protection.py                                                       # SQLite
    python benchmarks/protection.py postgresql+psycopg://postgres@127.0.0.1/postgres
    python benchmarks/protection.py mariadb+pymysql://root@127.0.0.1/mysql --argon2

Each app has a schema, a database or a file of its own, made for the purpose and dropped. All stand in one process and take turns, a few
requests each, and ratios are taken within a round, so that what else the machine does falls on all alike. The password hasher costs
nothing, so that the rest shows; with `--argon2` it is the one that apps have. Sign-ins are those of people at places they are known at.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from wsgi import post

from flask_accounts import Accounts, default_features
from flask_accounts.testing import PASSWORD, FastHasher

PEOPLE = 40
VARIANTS: dict[str, set[str]] = {
    "without": set(),
    "limits and lockout": {"limits", "lockout"},
    "audit": {"audit"},
    "all three": {"limits", "lockout", "audit"},
}
"""Which of the protecting features each app has."""
ALL = set().union(*VARIANTS.values())
MANY = "1000000/minute;10000000/hour"
NO_END = {
    f"ACCOUNTS_LIMITS_{name}": MANY
    for name in (
        "LOGIN_ADDRESS",
        "REGISTER_ADDRESS",
        "REFRESH_ADDRESS",
        "REFRESH_ACCOUNT",
        "FORGOT_ADDRESS",
        "OTHERS_ADDRESS",
        "OTHERS_ACCOUNT",
    )
}
"""The limits that are there by default, so high that nobody is refused."""


def place(url: str, name: str, folder: str) -> tuple[str, dict[str, Any]]:
    """A URL of an empty place of its own, and options for its engine."""
    if url.startswith("sqlite"):
        return f"sqlite:///{Path(folder) / name}.db", {}
    parsed = sa.make_url(url)
    engine = sa.create_engine(parsed, isolation_level="AUTOCOMMIT")
    kind = "SCHEMA" if parsed.get_backend_name() == "postgresql" else "DATABASE"
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP {kind} IF EXISTS {name}" + (" CASCADE" if kind == "SCHEMA" else "")))
        connection.execute(sa.text(f"CREATE {kind} {name}" + (" CHARACTER SET utf8mb4" if kind == "DATABASE" else "")))
    engine.dispose()
    if kind == "SCHEMA":
        return url, {"connect_args": {"options": f"-csearch_path={name}"}}
    return parsed.set(database=name).render_as_string(hide_password=False), {}


def drop(url: str, name: str) -> None:
    """Remove the place again."""
    if url.startswith("sqlite"):
        return
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        postgresql = engine.dialect.name == "postgresql"
        connection.execute(sa.text(f"DROP SCHEMA {name} CASCADE" if postgresql else f"DROP DATABASE {name}"))
    engine.dispose()


def make_app(url: str, name: str, folder: str, kept: set[str], hasher: Any) -> Flask:
    """An app with its people, each signed in once from an address of its own."""
    where, options = place(url, name, folder)
    app = Flask(name)
    app.config.update(SQLALCHEMY_DATABASE_URI=where, SQLALCHEMY_ENGINE_OPTIONS=options, SECRET_KEY="k" * 64)
    app.config.update(NO_END if "limits" in kept else {})
    db = SQLAlchemy()
    features = [feature for feature in default_features() if feature.name not in ALL - kept]
    accounts = Accounts(db, features=features, hasher=hasher, mailer=lambda message: None)
    accounts.init_app(app)
    with app.app_context():
        db.create_all()
        encoded = accounts.runtime.hasher.hash(PASSWORD)
        for number in range(PEOPLE):
            accounts.users.create(f"person{number}@example.com").password_hash = encoded
        db.session.commit()
    for number in range(PEOPLE):
        login(app, number)
    return app


def address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def login(app: Flask, number: int) -> None:
    who = number % PEOPLE
    post(app, "/api/auth/login", {"email": f"person{who}@example.com", "password": PASSWORD}, address=address(who))


def refresh(app: Flask, number: int) -> None:
    """The pair that the last refresh gave is exchanged; the first one is of a sign-in."""
    held = app.config.setdefault("HELD", [])
    if not held:
        held.append(post(app, "/api/auth/login", {"email": "person0@example.com", "password": PASSWORD}, address=address(0)))
    held[0] = post(app, "/api/auth/refresh", {"refresh_token": held[0]["refresh_token"]}, address=address(0))


def register(app: Flask, number: int) -> None:
    body = {"email": f"new{number}@example.com", "password": "seven brown foxes"}
    post(app, "/api/auth/register", body, address=address(number), expect=201)


def forgot(app: Flask, number: int) -> None:
    post(app, "/api/auth/password/forgot", {"email": f"person{number % PEOPLE}@example.com"}, address=address(number), expect=202)


ACTS: dict[str, Callable[[Flask, int], None]] = {"login": login, "refresh": refresh, "register": register, "forgot": forgot}


Cost = tuple[float, float]
"""Milliseconds a request: by the clock, and of this process's own computing, which others on the machine disturb less."""


def measure(apps: dict[str, Flask], act: Callable[[Flask, int], None], rounds: int, count: int) -> dict[str, list[Cost]]:
    """What a request costs, of each app in each round."""
    numbers: dict[str, Iterator[int]] = {name: itertools.count() for name in apps}
    costs: dict[str, list[Cost]] = {name: [] for name in apps}
    for number in range(rounds + 1):
        order = list(apps)
        turn = number % len(order)
        gc.collect()
        for name in order[turn:] + order[:turn]:
            begun, computed = time.perf_counter(), time.process_time()
            for _ in range(count):
                act(apps[name], next(numbers[name]))
            spent = time.perf_counter() - begun, time.process_time() - computed
            costs[name].append((spent[0] / count * 1e3, spent[1] / count * 1e3))
    return {name: found[1:] for name, found in costs.items()}  # the first round warms up


def ratios(found: list[Cost], base: list[Cost], which: int) -> str:
    """The median of the ratios within the rounds, and their quartiles."""
    low, middle, high = statistics.quantiles((one[which] / other[which] for one, other in zip(found, base, strict=True)), n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description="What limits, lockout and audit log cost.")
    parser.add_argument("url", nargs="?", default="sqlite://")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--count", type=int, default=10, help="requests of each app in each round")
    parser.add_argument("--argon2", action="store_true", help="with the password hasher that apps have")
    asked = parser.parse_args()
    hasher = None if asked.argon2 else FastHasher()
    with tempfile.TemporaryDirectory() as folder:
        names = {variant: "bench_" + variant.replace(" ", "_") for variant in VARIANTS}
        apps = {variant: make_app(asked.url, names[variant], folder, kept, hasher) for variant, kept in VARIANTS.items()}
        print(f"{sa.make_url(asked.url).get_backend_name()}, {'Argon2id' if asked.argon2 else 'a hasher that costs nothing'}")
        for action, act in ACTS.items():
            costs = measure(apps, act, asked.rounds, asked.count)
            print(action)
            for variant, found in costs.items():
                clock, computed = (statistics.median(cost[which] for cost in found) for which in (0, 1))
                by_clock, by_computing = (ratios(found, costs["without"], which) for which in (0, 1))
                print(f"  {variant:20} {clock:6.2f} ms, ratio {by_clock};  computing {computed:5.2f} ms, ratio {by_computing}")
        for variant, app in apps.items():
            with app.app_context():
                app.extensions["sqlalchemy"].engine.dispose()
            drop(asked.url, names[variant])


if __name__ == "__main__":
    main()
