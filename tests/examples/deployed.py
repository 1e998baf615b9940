"""The demo as it is deployed: nginx with TLS, gunicorn and a database of its own, as ordinary processes in a folder."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import string
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import trustme

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "examples" / "deploy"
NAME = "blog.example"
SBIN = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])

FRAME = """
daemon off; worker_processes 1; pid nginx.pid; error_log nginx.log warn;{user}
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include site.conf;
}}
"""
"""What the image of nginx brings around the site."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def until(holds: Callable[[], bool], what: str, *, seconds: float = 30) -> None:
    """Wait for another process; fails, saying what did not come."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if holds():
            return
        pause.wait(0.05)
    raise AssertionError(f"{what} did not come in {seconds} seconds.")


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The problem's stable code."""
        return str(self.json["code"])


class _Connection(http.client.HTTPSConnection):
    """To the site's name, which no name server knows."""

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._context.wrap_socket(self.sock, server_hostname=NAME)  # type: ignore[attr-defined]  # as the base class does


@dataclass
class Browser:
    """Keeps cookies as a browser does, and sends the CSRF token as the page's script does."""

    port: int
    trust: ssl.SSLContext
    address: str = "127.0.0.1"
    cookies: dict[str, str] = field(default_factory=dict)

    def send(
        self, method: str, path: str, body: Any = None, *, csrf: bool = True, headers: Mapping[str, str] | None = None
    ) -> Answer:
        sent = {"Host": NAME, "Content-Type": "application/json"} | dict(headers or {})
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if csrf and "csrf_access_token" in self.cookies:
            sent["X-CSRF-TOKEN"] = self.cookies["csrf_access_token"]
        connection = _Connection("127.0.0.1", self.port, context=self.trust, timeout=30, source_address=(self.address, 0))
        with contextlib.closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        for line in answer.headers.get_all("Set-Cookie") or ():
            for name, morsel in SimpleCookie(line).items():
                if morsel.value:
                    self.cookies[name] = morsel.value
                else:
                    self.cookies.pop(name, None)
        return answer


@dataclass
class Deployed:
    """The running site."""

    folder: Path
    gunicorn: subprocess.Popen[bytes]
    http_port: int
    https_port: int
    app_port: int
    trust: ssl.SSLContext
    server: sa.Engine
    database: str

    def browser(self, address: str = "127.0.0.1") -> Browser:
        return Browser(self.https_port, self.trust, address)

    def workers(self) -> set[int]:
        """The processes of gunicorn's workers."""
        children = Path(f"/proc/{self.gunicorn.pid}/task/{self.gunicorn.pid}/children").read_text()
        return {int(child) for child in children.split()}

    def scalar(self, statement: str) -> Any:
        """Ask the server."""
        with self.server.connect() as connection:
            return connection.scalar(sa.text(statement))

    def log(self) -> str:
        """What gunicorn and the app have said."""
        return (self.folder / "gunicorn.log").read_text()

    @contextlib.contextmanager
    def database_away(self) -> Iterator[None]:
        """Nobody is let into the site's database, and who is in is thrown out."""
        away = f"ALTER DATABASE {self.database} WITH ALLOW_CONNECTIONS"
        with self.server.connect() as connection:
            connection.execute(sa.text(f"{away} false"))
            connection.execute(
                sa.text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = :name"),
                {"name": self.database},
            )
            yield
            connection.execute(sa.text(f"{away} true"))


@contextlib.contextmanager
def deployed(folder: Path, **settings: str) -> Iterator[Deployed]:
    """The site of `examples/deploy`, with further `settings` in its environment. Skips where a part of it is not to be had."""
    nginx, url = shutil.which("nginx", path=SBIN), os.environ.get("TEST_POSTGRES_URL")
    if nginx is None:
        pytest.skip("there is no nginx on this machine")
    if url is None:
        pytest.skip("TEST_POSTGRES_URL is not set")
    if not Path("/proc/self/task").is_dir():
        pytest.skip("there is no /proc here, by which gunicorn's workers are found")
    with contextlib.ExitStack() as stack:
        database = f"flask_accounts_deployed_{os.getpid()}"
        server = stack.enter_context(_database(url, database))
        own = sa.make_url(url).set(drivername="postgresql+psycopg", database=database).render_as_string(hide_password=False)
        app_port, http_port, https_port = free_port(), free_port(), free_port()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ACCOUNTS_", "JWT_", "FLASK_"))},
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]), "DEMO_INSTANCE": str(folder / "instance"),
            "SECRET_KEY": "a-key-for-the-deployed-test-0123456789abcdef", "DATABASE_URL": own, "BIND": f"127.0.0.1:{app_port}",
            "WEB_CONCURRENCY": "2", "ACCOUNTS_MAIL_HOST": "127.0.0.1", "ACCOUNTS_MAIL_PORT": "9",
            "ACCOUNTS_MAIL_BASE_URL": f"https://{NAME}", "FLASK_APP": "examples.deploy.wsgi", **settings,
        }  # fmt: skip
        if "TEST_REDIS_URL" in os.environ:
            environment.setdefault("ACCOUNTS_LIMITS_STORAGE", os.environ["TEST_REDIS_URL"])
        released = subprocess.run(
            [sys.executable, "-m", "flask", "db", "upgrade"], cwd=folder, env=environment, capture_output=True, check=False
        )
        assert released.returncode == 0, released.stderr.decode()
        gunicorn = stack.enter_context(_process(
            [sys.executable, "-m", "gunicorn", "-c", str(FOLDER / "gunicorn.conf.py")], folder, environment, "gunicorn.log"
        ))  # fmt: skip
        trust = _configure_nginx(folder, app_port, http_port, https_port)
        stack.enter_context(_process([nginx, "-p", str(folder), "-c", "nginx.conf"], folder, environment, "nginx.out"))
        site = Deployed(folder, gunicorn, http_port, https_port, app_port, trust, server, database)
        until(lambda: _is_up(site), f"The site ({site.log()})")
        yield site


def _is_up(site: Deployed) -> bool:
    assert site.gunicorn.poll() is None, site.log()
    try:
        return site.browser().send("GET", "/healthz").status == 200
    except OSError:
        return False


@contextlib.contextmanager
def _database(url: str, name: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        yield engine
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@contextlib.contextmanager
def _process(command: list[str], folder: Path, environment: Mapping[str, str], log: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / log).open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, env=dict(environment), stdout=said, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _configure_nginx(folder: Path, app_port: int, http_port: int, https_port: int) -> ssl.SSLContext:
    """The shipped site with this machine's values filled in, as the image of nginx does it."""
    authority = trustme.CA()
    issued = authority.issue_cert(NAME)
    issued.private_key_pem.write_to_path(folder / "privkey.pem")
    for number, part in enumerate(issued.cert_chain_pems):
        part.write_to_path(folder / "fullchain.pem", append=number > 0)
    values = {
        "SERVER_NAME": NAME, "APP_ADDRESS": f"127.0.0.1:{app_port}", "HTTP_PORT": f"127.0.0.1:{http_port}",
        "HTTPS_PORT": f"127.0.0.1:{https_port}", "CERTIFICATES": str(folder), "FLOOD_RATE": "500r/s",
    }  # fmt: skip
    site = string.Template((FOLDER / "nginx" / "site.conf.template").read_text()).safe_substitute(values)
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(FRAME.format(user=" user root;" if os.geteuid() == 0 else ""))
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    return trust
