"""What an import costs: rows a second, and memory by the number of rows.

    python benchmarks/import_users.py sqlite:////tmp/bench.db --rows 10000 100000
    python benchmarks/import_users.py postgresql+psycopg://postgres@127.0.0.1/bench --rows 10000 100000

Makes (and drops) all tables in the database it is given, so give it an empty one. Each import is a process of its own, on a CSV file
with addresses, usernames, hashes of werkzeug, times and a role for each tenth row; one row in a hundred is refused. Peak memory is the
most that the process held resident, beside what it held before the import began.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts

HASH = "pbkdf2:sha256:600000$KEVU34IimhOWSGn7$bfa64d46a8d0091f6616a420dce6928dd2283002e0e5f016ded9174b1a144b94"


def write(path: Path, rows: int) -> None:
    """The file to import."""
    with path.open("w", encoding="utf-8") as file:
        file.write("email,username,password_hash,is_active,email_verified,created_at,roles\n")
        for number in range(rows):
            email = f"person{number}@example.com" if number % 100 else f"person{number}"
            role = "reader" if number % 10 == 0 else ""
            file.write(f"{email},person{number},{HASH},true,true,2020-01-02T03:04:05Z,{role}\n")


def measure(url: str, path: str, batch: str) -> None:
    """One import, in this process; prints what it cost."""
    db = SQLAlchemy()
    app = Flask("bench")
    app.config.update(SQLALCHEMY_DATABASE_URI=url, SECRET_KEY="k" * 64)
    Accounts(db, app)
    with app.app_context():
        db.drop_all()
        db.create_all()
    runner = app.test_cli_runner()
    runner.invoke(args=["accounts", "import-users", "--help"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, computed = time.perf_counter(), time.process_time()
    done = runner.invoke(args=["accounts", "import-users", path, "--create-roles", "--json", "--batch-size", batch])
    spent, computing = time.perf_counter() - began, time.process_time() - computed
    report = json.loads(done.stdout)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with app.app_context():
        db.session.remove()
        db.drop_all()
        db.engine.dispose()
    rows = report["rows"]
    print(json.dumps({"rows": rows, "imported": report["imported"], "clock": rows / spent, "computing": rows / computing,
                      "before": before / 1024, "peak": peak / 1024}))  # fmt: skip


def main() -> None:
    if sys.argv[1] == "--one":
        return measure(*sys.argv[2:])
    parser = argparse.ArgumentParser(description="What an import costs.")
    parser.add_argument("url")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--batch-size", default="1000")
    asked = parser.parse_args()
    for rows in asked.rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "users.csv"
            write(path, rows)
            one = [sys.executable, __file__, "--one", asked.url, str(path), asked.batch_size]
            said = subprocess.run(one, capture_output=True, text=True, check=False)  # this very script
            assert said.returncode == 0, said.stderr
            found = json.loads(said.stdout.splitlines()[-1])
            print(
                f"{rows:8} rows: {found['clock']:7.0f}/s by the clock, {found['computing']:7.0f}/s by computing, "
                f"{found['before']:.0f} MB before, {found['peak']:.0f} MB at the peak; imported {found['imported']}"
            )
    return None


if __name__ == "__main__":
    main()
