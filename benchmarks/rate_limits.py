"""What counting one entry costs in each store of the rate limits: the accounts' database, Redis (by the library `limits`), memory.

    python benchmarks/rate_limits.py                                                      # SQLite, and no Redis
    python benchmarks/rate_limits.py postgresql+psycopg://postgres@127.0.0.1/postgres --redis redis://127.0.0.1:6379/0

An entry has two windows, as a sign-in has by default. The stores take turns, and ratios are taken within a round. With `--threads` that
many count at once, each for addresses of its own. (Not named limits.py: run as a script, it would stand in the way of the library.)
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from protection import MANY, drop, place, ratios

from flask_accounts import Accounts, Client
from flask_accounts.core.gates import Entry
from flask_accounts.features.limits import Limits


def make_app(url: str, name: str, folder: str, storage: str, threads: int) -> Flask:
    """An app with nothing but the rate limits."""
    where, options = place(url, name, folder)
    app = Flask(name)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=where, SQLALCHEMY_ENGINE_OPTIONS=options | {"pool_size": threads}, SECRET_KEY="k" * 64
    )
    app.config.update(ACCOUNTS_LIMITS_STORAGE=storage, ACCOUNTS_LIMITS_LOGIN_ADDRESS=MANY)
    db = SQLAlchemy()
    Accounts(db, app, features=[Limits()])
    with app.app_context():
        db.create_all()
    return app


def count(app: Flask, thread: int, times: int) -> None:
    with app.app_context():
        runtime = app.extensions["accounts"]
        for number in itertools.islice(itertools.count(), times):
            runtime.enter(Entry("login", Client(f"10.{thread}.0.{number % 20}"), account="ann@example.com"))


def main() -> None:
    parser = argparse.ArgumentParser(description="What counting costs in each store.")
    parser.add_argument("url", nargs="?", default="sqlite://")
    parser.add_argument("--redis", help="also count in this Redis")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--count", type=int, default=50, help="entries of each thread in each round")
    asked = parser.parse_args()
    stores = {"memory": "memory", "database": "database"} | ({"Redis": asked.redis} if asked.redis else {})
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(asked.threads) as pool:
        apps = {name: make_app(asked.url, f"bench_{name.lower()}", folder, store, asked.threads) for name, store in stores.items()}
        costs: dict[str, list[tuple[float, float]]] = {name: [] for name in apps}
        for turn in range(asked.rounds + 1):
            order = list(apps)
            for name in order[turn % len(order) :] + order[: turn % len(order)]:
                begun, computed = time.perf_counter(), time.process_time()
                list(pool.map(lambda thread, app=apps[name]: count(app, thread, asked.count), range(asked.threads)))
                entries = asked.threads * asked.count / 1e3
                costs[name].append(((time.perf_counter() - begun) / entries, (time.process_time() - computed) / entries))
        print(f"{asked.url.partition(':')[0]}, {asked.threads} threads")
        base = "Redis" if asked.redis else "memory"
        for name, found in costs.items():
            clock, computing = (statistics.median(cost[which] for cost in found[1:]) for which in (0, 1))
            print(
                f"  {name:9} {clock:6.3f} ms an entry, ratio to {base} {ratios(found[1:], costs[base][1:], 0)};  computing {computing:.3f} ms"
            )
        for name, app in apps.items():
            with app.app_context():
                app.extensions["sqlalchemy"].engine.dispose()
            drop(asked.url, f"bench_{name.lower()}")


if __name__ == "__main__":
    main()
