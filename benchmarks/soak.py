"""Many threads use one app for minutes: nothing fails, every answer fits what was done before, memory does not grow.

    python benchmarks/soak.py [--url URL] [--minutes 3] [--threads 8]

Each thread is a person after the other: registers, signs in, reads the own account, refreshes, signs in a second time, logs out, signs
in with a wrong password, is switched off by host code. After each act it asks whether its tokens are good for what they should be and
for nothing else. It ends with 1 at the first 5xx or answer that does not fit. Memory is what is resident: after a fifth of the time,
when pools and caches are warm, and at the end.
"""

from __future__ import annotations

import argparse
import collections
import gc
import itertools
import logging
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from flask_accounts import Accounts
from flask_accounts.testing import PASSWORD, FastHasher

MANY = "1000000/minute"
LIMITS = ("LOGIN_ADDRESS", "LOGIN_ACCOUNT", "REGISTER_ADDRESS", "OTHERS_ADDRESS", "OTHERS_ACCOUNT")
WRONG = "no such horse at all"


class Unfit(Exception):
    """An answer that does not fit what was done before."""


class Person:
    """One account and what its tokens should be good for."""

    def __init__(self, app: Flask, accounts: Accounts, number: int, counts: collections.Counter[str]) -> None:
        self.app = app
        self.accounts = accounts
        self.client: FlaskClient = app.test_client()
        # Everybody comes from elsewhere: many wrong passwords from one place are held back.
        self.client.environ_base["REMOTE_ADDR"] = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        self.credentials = {"email": f"person{number}@example.com", "password": PASSWORD}
        self.counts = counts
        self.key: Any = None

    def ask(self, method: str, path: str, expect: int, token: str | None = None, json: Any = None) -> Any:
        """The answer's JSON; `Unfit` if its status is not what must come."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer: TestResponse = self.client.open(f"/api/auth/{path}", method=method, headers=headers, json=json)
        self.counts[f"{method} {path} {answer.status_code}"] += 1
        if answer.status_code != expect:
            raise Unfit(f"{method} {path} of {self.credentials['email']}: {answer.status_code} instead of {expect}, {answer.text}")
        return answer.get_json(silent=True)

    def good(self, pair: dict[str, str]) -> None:
        """The access token shows this very person."""
        if self.ask("GET", "me", 200, pair["access_token"])["email"] != self.credentials["email"]:
            raise Unfit(f"{self.credentials['email']} saw somebody else's account.")

    def dead(self, *pairs: dict[str, str]) -> None:
        """Neither token is good for anything any more."""
        for pair in pairs:
            self.ask("GET", "me", 401, pair["access_token"])
            self.ask("POST", "refresh", 401, json={"refresh_token": pair["refresh_token"]})

    def live(self, chance: random.Random) -> None:
        """A life from registration to the end of every session."""
        self.key = self.ask("POST", "register", 201, json=self.credentials)["user"]["id"]
        self.ask("POST", "register", 409, json=self.credentials)
        self.ask("POST", "login", 401, json=self.credentials | {"password": WRONG})
        pair, other = (self.ask("POST", "login", 200, json=self.credentials) for _ in range(2))
        for _ in range(chance.randint(1, 8)):
            self.good(pair)
            if chance.random() < 0.4:
                pair = self.ask("POST", "refresh", 200, json={"refresh_token": pair["refresh_token"]})
        self.good(other)
        self.ask("POST", "logout", 200, other["access_token"])
        self.dead(other)
        self.good(pair)
        if chance.random() < 0.5:
            self.ask("POST", "logout", 200, pair["access_token"])
        else:
            with self.app.app_context():
                self.accounts.users.disable(self.key)
                self.accounts.db.session.commit()
            self.ask("POST", "login", 403, json=self.credentials)
        self.dead(pair)


def make_app(url: str, threads: int) -> tuple[Flask, Accounts]:
    """An app with accounts, empty tables and limits that refuse nobody."""
    app = Flask("soak")
    options: dict[str, Any] = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_size": threads}
    app.config.update(SQLALCHEMY_DATABASE_URI=url, SQLALCHEMY_ENGINE_OPTIONS=options, SECRET_KEY="k" * 64)
    app.config.update({f"ACCOUNTS_LIMITS_{name}": MANY for name in LIMITS})
    db = SQLAlchemy()
    accounts = Accounts(db, hasher=FastHasher())
    accounts.init_app(app, mailer=lambda message: None)
    with app.app_context():
        db.drop_all()
        db.create_all()
        if url.startswith("sqlite"):
            with db.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    return app, accounts


def resident() -> float:
    """MiB of this process that are in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def main() -> int:
    """Soak and tell."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--url")
    options.add_argument("--minutes", type=float, default=3)
    options.add_argument("--threads", type=int, default=8)
    given = options.parse_args()
    logging.getLogger("flask_accounts").setLevel(logging.ERROR)  # refusals are told by the thousand
    with tempfile.TemporaryDirectory() as folder:
        app, accounts = make_app(given.url or f"sqlite:///{Path(folder) / 'soak.db'}", given.threads)
        numbers, counts, failed = itertools.count(), collections.Counter[str](), list[BaseException]()
        end = time.monotonic() + given.minutes * 60

        def work(seed: int) -> None:
            chance = random.Random(seed)  # noqa: S311  # what is done next, no secret
            while time.monotonic() < end and not failed:
                try:
                    Person(app, accounts, next(numbers), counts).live(chance)
                except Exception as error:  # told below, by the main thread
                    failed.append(error)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(given.threads)]
        for thread in threads:
            thread.start()
        while time.monotonic() < end - given.minutes * 48 and not failed:
            time.sleep(0.2)
        warm = resident()
        for thread in threads:
            thread.join()
        after = resident()
        with app.app_context():
            name = accounts.db.engine.url.get_backend_name()
            accounts.db.engine.dispose()
    for what, number in sorted(counts.items()):
        print(f"{number:8} {what}")
    print(f"{name}: {sum(counts.values())} requests, {given.threads} threads, {given.minutes} minutes")
    print(f"resident {warm:.1f} MiB warm, {after:.1f} MiB at the end: {after - warm:+.1f} MiB")
    for error in failed:
        print(f"FAILED: {error!r}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
