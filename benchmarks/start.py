"""What the package costs a process before any request: time to import it, time to set up an app, resident memory.

    python benchmarks/start.py [--rounds 15]

Each figure is of fresh processes that take turns: one imports Flask, Flask-SQLAlchemy and Flask-JWT-Extended and serves one request
with a model and a token; the other the same and accounts on top. Times are processor time, memory is what is resident after the
request.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

BEFORE = """
import json, time
begun = time.process_time()
import flask, flask_sqlalchemy, flask_jwt_extended
"""
BARE = """
imported = time.process_time()
app = flask.Flask("bare")
app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", JWT_SECRET_KEY="k" * 64)
db = flask_sqlalchemy.SQLAlchemy(app)
flask_jwt_extended.JWTManager(app)
class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
with app.app_context():
    db.create_all()
    token = flask_jwt_extended.create_access_token("1")
app.get("/me")(flask_jwt_extended.jwt_required()(lambda: {}))
path = "/me"
"""
ACCOUNTS = """
import flask_accounts
imported = time.process_time()
app = flask.Flask("accounts")
app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", JWT_SECRET_KEY="k" * 64)
db = flask_sqlalchemy.SQLAlchemy()
accounts = flask_accounts.Accounts(db, app)
with app.app_context():
    db.create_all()
    ann = accounts.users.create("ann@example.com")
    db.session.commit()
    token = accounts.sessions.open(ann).tokens.access_token
    db.session.commit()
path = "/api/auth/me"
"""
AFTER = """
made = time.process_time()
assert app.test_client().get(path, headers={"Authorization": "Bearer " + token}).status_code == 200
resident = int(open("/proc/self/statm").read().split()[1]) * 4096
print(json.dumps([imported - begun, made - imported, resident / 2**20]))
"""


def measured(script: str) -> list[float]:
    """Seconds of importing, seconds of setting up, MiB resident."""
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + script + AFTER], check=True, capture_output=True, text=True
    )  # our own script
    found: list[float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=15)
    rounds = options.parse_args().rounds
    bare, accounts = zip(*((measured(BARE), measured(ACCOUNTS)) for _ in range(rounds)), strict=True)
    for name, found in (("without", bare), ("with accounts", accounts)):
        imports, sets_up, resident = (statistics.median(values) for values in zip(*found, strict=True))
        print(f"{name:14} import {imports * 1e3:6.0f} ms   set-up {sets_up * 1e3:6.0f} ms   resident {resident:6.1f} MiB")


if __name__ == "__main__":
    main()
