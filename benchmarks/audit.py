"""What the audit log costs: sign-ins a second with it, in ratio to the same app without it.

    python benchmarks/audit.py postgresql+psycopg://postgres@127.0.0.1/bench

Makes (and drops) all tables in the database it is given, so give it an empty one. The same app stands
there three times over, in schemas of its own: without the feature, with plain rows in place of chained
ones, and with the feature as it is. Threads sign in as fast as they can, through WSGI, with a password
hasher that costs nothing, so that the rest is what counts (or, with `--argon2`, with the one apps have). Rounds take turns, and ratios are taken within
a round, so that what else the machine does falls on all alike.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import statistics
import threading
import time
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from wsgi import post

from flask_accounts import Accounts
from flask_accounts.core.events import Event
from flask_accounts.extension import default_features
from flask_accounts.features.audit import Audit
from flask_accounts.features.audit.chain import id_of
from flask_accounts.features.audit.service import AuditService
from flask_accounts.testing import PASSWORD, FastHasher

ACCOUNTS = 200


class PlainAudit(AuditService):
    """Rows without chain, salts and MACs: what the chain is measured against."""

    def record(self, event: Event) -> None:
        row, _ = self._row(event)
        tick = self._ticks.next(row["at"])
        chain = id_of(0)
        self.runtime.users.execute(self._insert, row | {"id": id_of(tick, tick), "chain": chain, "number": 1, "mac": b""})


def make_app(url: str, schema: str, threads: int, *, hasher: Any = None, **kwargs: Any) -> Flask:
    """An app on tables of its own, with its accounts made."""
    db = SQLAlchemy()
    accounts = Accounts(db, hasher=hasher, **kwargs)
    app = Flask(schema)
    options: dict[str, Any] = {"pool_size": threads, "max_overflow": 4}
    if url.startswith("postgresql"):
        options["connect_args"] = {"options": f"-csearch_path={schema}"}
    app.config.update(SQLALCHEMY_DATABASE_URI=url, SQLALCHEMY_ENGINE_OPTIONS=options, SECRET_KEY="k" * 64)
    app.config["ACCOUNTS_PASSWORD_MAX_CONCURRENT_HASHES"] = threads * 2
    app.config["ACCOUNTS_LIMITS_LOGIN_ADDRESS"] = "1000000/minute;10000000/hour"
    accounts.init_app(app)
    with app.app_context():
        if url.startswith("postgresql"):
            with db.engine.begin() as connection:
                connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
        db.drop_all()
        db.create_all()
        encoded = accounts.runtime.hasher.hash(PASSWORD)
        for number in range(ACCOUNTS):
            accounts.users.create(f"person{number}@example.com").password_hash = encoded
        db.session.commit()
    return app


def sign_in(app: Flask, number: int) -> None:
    """One sign-in, over WSGI."""
    post(app, "/api/auth/login", {"email": f"person{number % ACCOUNTS}@example.com", "password": PASSWORD})


def rate(app: Flask, threads: int, count: int) -> tuple[float, float]:
    """Sign-ins a second, `count` in all; and by the second of this process's own computing, which others on the machine disturb less."""
    numbers = itertools.count()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            while (number := next(numbers)) < count:
                sign_in(app, number)
        except BaseException as error:
            failed.append(error)
            raise

    workers = [threading.Thread(target=work) for _ in range(threads)]
    gc.collect()
    began, computed = time.perf_counter(), time.process_time()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    spent, computing = time.perf_counter() - began, time.process_time() - computed
    assert not failed, failed
    return count / spent, count / computing


def main() -> None:
    parser = argparse.ArgumentParser(description="What the audit log costs.")
    parser.add_argument("url")
    parser.add_argument("--threads", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--count", type=int, default=150, help="sign-ins in each round")
    parser.add_argument(
        "--argon2", action="store_true", help="with the password hasher that apps have, not the one that costs nothing"
    )
    asked = parser.parse_args()
    hasher = None if asked.argon2 else FastHasher()
    most = max(asked.threads)
    without = [feature for feature in default_features() if not isinstance(feature, Audit)]
    apps = {
        "without": make_app(asked.url, "bench_without", most, hasher=hasher, features=without),
        "plain rows": make_app(asked.url, "bench_plain", most, hasher=hasher, services={AuditService: PlainAudit}),
        "chained": make_app(asked.url, "bench_chained", most, hasher=hasher),
    }
    for app in apps.values():
        rate(app, most, asked.count)  # warm
    for threads in asked.threads:
        rates: dict[str, list[tuple[float, float]]] = {name: [] for name in apps}
        for number in range(asked.rounds):
            order = list(apps)
            for name in order[number % 3 :] + order[: number % 3]:
                rates[name].append(rate(apps[name], threads, asked.count))
        print(f"{threads} threads, {asked.rounds} rounds of {asked.count} sign-ins each")
        for name, found in rates.items():
            print(f"  {name:10}  median {statistics.median(one[0] for one in found):6.1f}/s")
        for name, base in (("plain rows", "without"), ("chained", "without"), ("chained", "plain rows")):
            for which, said in ((0, "by the clock"), (1, "by computing")):
                ratios = sorted(one[which] / other[which] for one, other in zip(rates[name], rates[base], strict=True))
                low, middle, high = statistics.quantiles(ratios, n=4)
                print(
                    f"  {name} to {base}, {said}: ratio {middle:.3f}, quartiles {low:.3f} to {high:.3f}, "
                    f"range {ratios[0]:.3f} to {ratios[-1]:.3f}"
                )
    for app in apps.values():
        with app.app_context():
            db = app.extensions["sqlalchemy"]
            db.drop_all()
            db.engine.dispose()


if __name__ == "__main__":
    main()
