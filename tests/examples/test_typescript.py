"""examples/typescript against a live app: the generated types, one renewal for all who wait, errors with their codes.

Needs Node.js 20 and npm's registry (or its cache); without them these tests are skipped and say so. Packages are installed once, in
the example's own `node_modules`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request, send_from_directory
from flask_sqlalchemy import SQLAlchemy
from werkzeug.serving import make_server

from flask_accounts import Accounts
from flask_accounts.testing import PASSWORD
from tests.browser import chromium
from tests.conftest import KEY, MakeSite, Site

from .npm import packages, run

__all__ = ["chromium"]

EXAMPLE = Path(__file__).parents[2] / "examples" / "typescript"
OWN = Path(__file__).parent / "typescript"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example and the tests' own programs, compiled against the types of the document. Built once for all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "typescript"
    with (EXAMPLE / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            modules = packages(EXAMPLE)
            folder.mkdir()
            (folder / "node_modules").symlink_to(modules)
            for file in (*EXAMPLE.glob("*.json"), *EXAMPLE.glob("*.ts"), *OWN.glob("*.ts")):
                if file.name != "schema.d.ts":
                    shutil.copy(file, folder)
            (folder / "openapi.json").write_text(document())
            # What `npm run types` and `npm run build` run.
            for command in (["openapi-typescript", "openapi.json", "-o", "schema.d.ts"], ["tsc"]):
                done = run(str(modules / ".bin" / command[0]), *command[1:], folder=folder)
                assert done.returncode == 0, done.stdout + done.stderr
            (folder / "done").touch()
    return folder / "dist"


def document() -> str:
    app = Flask("host")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY=KEY)
    Accounts(SQLAlchemy()).init_app(app)
    return app.test_client().get("/api/auth/openapi.json").text


IN_BROWSER = """async (body) => {
  const { browserApi } = await import("/files/dist/browser.js");
  const { unwrap } = await import("/files/dist/client.js");
  const api = browserApi();
  const signedIn = await api.POST("/api/auth/login", { body });
  const me = () => api.GET("/api/auth/me").then((answer) => answer.response.status);
  const readable = document.cookie.includes("__Host-access_token");
  await fetch("/test/later?minutes=20");
  const together = await Promise.all([me(), me(), me(), me(), me()]);
  const renamed = unwrap(await api.PATCH("/api/auth/me", { body: { username: "ada" } })).username;
  const out = (await api.POST("/api/auth/logout")).response.status;
  const after = await api.GET("/api/auth/me").then(unwrap).catch((error) => [error.name, error.problem.code]);
  const inBody = "access_token" in signedIn.data;
  return { signedIn: signedIn.response.status, inBody, readable, together, renamed, out, after };
}"""


@dataclass
class Live:
    """A site on the loopback, with what it was asked for."""

    site: Site
    url: str
    asked: Counter[str] = field(default_factory=Counter)

    def node(self, built: Path, program: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return run("node", str(built / program), folder=built, URL=self.url, **environ)


@contextlib.contextmanager
def serving(site: Site, built: Path) -> Iterator[Live]:
    """The site with a page, and with what tests ask of it, on a port of its own."""
    app, testing = site.app, site.testing

    @app.get("/test/later")
    def later() -> str:
        testing.clock.move(minutes=float(request.args["minutes"]))
        return ""

    @app.get("/test/end")
    def end() -> str:
        user = site.accounts.users.find(email="ada@example.com")
        site.accounts.sessions.revoke_all(user)
        site.db.session.commit()
        return ""

    @app.get("/test/proxy/<path:path>")
    def proxy(path: str) -> tuple[str, int]:
        return "<h1>Bad Gateway</h1>", 502

    @app.get("/")
    def page() -> str:
        imports = json.dumps({"imports": {"openapi-fetch": "/files/node_modules/openapi-fetch/dist/index.mjs"}})
        return f'<!doctype html><title>A page</title><link rel="icon" href="data:,"><script type="importmap">{imports}</script>'

    @app.get("/files/<path:name>")
    def files(name: str) -> Any:
        return send_from_directory(built.parent, name)

    server = make_server("127.0.0.1", 0, app, threaded=True)
    live = Live(site, f"http://127.0.0.1:{server.port}")

    @app.before_request
    def count() -> None:
        live.asked[request.path] += 1

    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield live
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def live(make_site: MakeSite, built: Path) -> Iterator[Live]:
    site = make_site()
    site.admin("ada@example.com")
    site.user("ben@example.com")
    with serving(site, built) as found:
        yield found


def test_the_program_signs_in_and_lists_the_accounts_and_shows_problems_with_the_input(live: Live, built: Path) -> None:
    done = live.node(built, "main.js", EMAIL="ada@example.com", PASSWORD=PASSWORD)
    refused = live.node(built, "main.js", EMAIL="ada@example.com", PASSWORD="wrong")

    today = f"{live.site.testing.clock.now():%Y-%m-%d}"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Signed in as ada@example.com (admin)",
        f"- ada@example.com, since {today}",
        f"- ben@example.com, since {today}",
        "username: Use letters and digits, with '.', '-' and '_' between them.",
    ]
    assert (refused.returncode, refused.stderr) == (1, "INVALID_CREDENTIALS: The credentials are not valid.\n")


def test_parallel_calls_share_one_renewal_and_a_session_that_is_over_ends_with_a_clear_error(live: Live, built: Path) -> None:
    done = live.node(built, "sessions.js", PASSWORD=PASSWORD)

    assert done.returncode == 0, done.stderr
    saw = json.loads(done.stdout)
    assert saw["wrongPassword"] == {
        "kind": "ProblemError", "code": "INVALID_CREDENTIALS", "message": "The credentials are not valid.",
    }  # fmt: skip
    assert saw["me"]["roles"] == ["admin"]
    assert saw["listed"] == ["ada@example.com", "ben@example.com"]
    assert saw["together"] == [saw["listed"]] * 8
    assert saw["renamed"]["username"] == "ada"
    assert saw["ended"] == {"kind": "SessionEnded", "code": "TOKEN_REVOKED", "message": "The token has been revoked."}
    assert saw["then"]["code"] == "TOKEN_MISSING"
    assert [(failure["kind"], failure["code"]) for failure in saw["tooOld"]] == [("SessionEnded", "TOKEN_EXPIRED")] * 3
    assert saw["proxied"] == {"kind": "ProblemError", "code": "NO_PROBLEM", "message": "BAD GATEWAY"}
    # One for the eight, one for the change, one that was too late for the three.
    assert live.asked["/api/auth/refresh"] == 3


def test_in_a_browser_the_cookies_are_renewed_once_and_changes_carry_the_csrf_token(
    make_site: MakeSite, built: Path, chromium: Any
) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["cookies"]})
    site.admin("ada@example.com")
    with serving(site, built) as live:
        page = chromium.new_context().new_page()
        page.goto(live.url)
        saw = page.evaluate(IN_BROWSER, {"email": "ada@example.com", "password": PASSWORD})
        cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}

    assert saw == {
        "signedIn": 200, "inBody": False, "readable": False, "together": [200] * 5, "renamed": "ada", "out": 200,
        "after": ["ProblemError", "TOKEN_MISSING"],
    }  # fmt: skip
    assert live.asked["/api/auth/refresh"] == 1
    assert cookies == {}


def test_the_lock_file_names_no_host_but_npms_own() -> None:
    lock = json.loads((EXAMPLE / "package-lock.json").read_text())

    found = [package["resolved"] for package in lock["packages"].values() if "resolved" in package]
    assert [url for url in found if not url.startswith("https://registry.npmjs.org/")] == []
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
