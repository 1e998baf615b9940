"""Schemathesis makes requests of the document, right ones and wrong ones, and finds nothing.

All its checks, against a live server, as nobody, as a user and as an administrator. Bounded for every day;
`SCHEMATHESIS_EXAMPLES=200` looks longer. See `schemathesis.toml` and `schemathesis_hooks.py` for what it is told.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from flask import request
from werkzeug.serving import make_server

from flask_accounts.core.clock import SystemClock
from tests.conftest import MakeSite, Site

HERE = Path(__file__).parent
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES")
DAILY = {
    # Most of what can be got wrong is behind a sign-in with every permission.
    "administrator": ["--max-examples", "3"],
    "user": ["--phases", "fuzzing,stateful", "--max-examples", "4"],
    "nobody": ["--phases", "fuzzing,stateful", "--max-examples", "4"],
}


def add_token_view(site: Site) -> None:
    """`/test-token?role=&kind=` signs the person of a role in, and mends what a request has done to that account."""
    db, testing, keys = site.db, site.testing, dict[str, Any]()

    @site.app.get("/test-token")
    def token() -> str:
        role = request.args["role"]
        names = ["admin", "editor"] if role == "administrator" else []
        user = testing.runtime.users.get(keys[role]) if role in keys else None
        if user is None:
            user = testing.make_user(f"{role}{time.monotonic_ns()}@people.example", roles=names)
            keys[role] = user.id
        user.is_active = True
        site.accounts.roles.grant(user, *names)
        db.session.commit()
        pair = testing.sign_in(user).tokens
        return pair.refresh_token if request.args["kind"] == "refresh" else pair.access_token


@pytest.fixture
def address(make_site: MakeSite) -> Iterator[str]:
    """The address of a live site."""
    site = make_site()
    site.testing.runtime.clock = SystemClock()
    with site.app.app_context():
        engine = site.db.engine

    @sa.event.listens_for(engine, "connect")
    def careless(connection: Any, record: Any) -> None:
        if engine.dialect.name == "sqlite":
            connection.execute("PRAGMA synchronous=OFF")  # thousands of commits, and no power cut to fear

    engine.dispose()
    add_token_view(site)
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    site.client.get("/test-token?role=administrator&kind=access")
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("role", DAILY)
def test_schemathesis_finds_nothing(role: str, address: str, tmp_path: Path) -> None:
    """Every check on every operation: no 500, nothing undocumented, nothing accepted or refused against the document."""
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "run", "--no-color"]
    budget = ["--max-examples", EXAMPLES] if EXAMPLES else DAILY[role]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
        "PYTHONPATH": str(HERE),
        "ACCOUNTS_TEST_ROLE": role,
        "ACCOUNTS_TEST_TOKENS": f"{address}/test-token",
    }

    result = subprocess.run(
        [*command, "--checks", "all", *budget, f"{address}/api/auth/openapi.json"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout[-20_000:] + result.stderr[-5_000:]
    document = requests.get(f"{address}/api/auth/openapi.json", timeout=30).json()
    operations = sum(len(methods) for methods in document["paths"].values())
    assert f"Tested: {operations}" in result.stdout
