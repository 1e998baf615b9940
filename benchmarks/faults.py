"""What becomes of requests while parts of a deployment fail: nothing that was answered may turn out untrue.

    python benchmarks/faults.py                      all scenes, 20 seconds each
    python benchmarks/faults.py --seconds 180 load   minutes of load, with wrk

Starts, in a folder of its own and on ports of its own, PostgreSQL (initdb, pg_ctl), Redis and gunicorn with the configuration of
`examples/deploy`: 4 workers of 4 threads. Needs those programs, for `load` also wrk; run as root, PostgreSQL runs as the user `postgres`.

Eight clients register, sign in, change their name and sign out, without a pause, while a scene breaks something and mends it. Then
everything they were told is compared with the database: who got a 201 has an account with the name of the last 200, and whoever got a
200 for signing out gets a 401 with that session's token. Answers other than those and 503 with problem details are errors.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

ROOT = Path(__file__).parent.parent
CLIENTS, WORKERS, THREADS = 8, 4, 4
SIGN_INS = 40
"""Accounts that sign in under `load`."""
PASSWORD = "seven brown foxes on a hill"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class Postgres:
    """A cluster of its own, to be stopped and started at will."""

    def __init__(self, folder: Path) -> None:
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        self._bin = f"{versions[-1]}/" if versions else ""
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        self._data, self.port = folder / "cluster", free_port()
        folder.chmod(0o755)
        self._data.mkdir()
        if self._as:
            shutil.chown(self._data, "postgres")
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "postgres")
        self.start()
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"
        self.engine = sa.create_engine(self.url, poolclass=sa.NullPool)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=100"
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._data / "log"), "-w", "-o", options, "start")

    def stop(self, mode: str) -> None:
        """`fast` ends connections in order, `immediate` is a crash."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def connections(self) -> dict[str, int]:
        statement = "SELECT coalesce(state, '-') AS state, count(*) AS number FROM pg_stat_activity WHERE backend_type = 'client backend' " \
                    "AND pid <> pg_backend_pid() GROUP BY 1"  # fmt: skip
        with self.engine.connect() as connection:
            return {row.state: row.number for row in connection.execute(sa.text(statement))}

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._as, self._bin + program, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
        )


class Redis:
    """A server of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclass
class Site:
    """gunicorn, and what it stands on."""

    folder: Path
    postgres: Postgres
    redis: Redis
    port: int = field(default_factory=free_port)

    @contextlib.contextmanager
    def serving(self, **settings: str) -> Iterator[None]:
        """gunicorn with the shipped configuration. The hash is made cheap, so that the database and not the processor is loaded."""
        environment = {
            **os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "SECRET_KEY": "k" * 48, "DATABASE_URL": self.postgres.url,
            "BIND": f"127.0.0.1:{self.port}", "WEB_CONCURRENCY": str(WORKERS), "WEB_THREADS": str(THREADS),
            "ACCOUNTS_MAIL_HOST": "127.0.0.1", "ACCOUNTS_MAIL_PORT": "9", "ACCOUNTS_MAIL_BASE_URL": "https://blog.example",
            "ACCOUNTS_LIMITS_STORAGE": f"redis://127.0.0.1:{self.redis.port}/0", "FLASK_APP": "examples.deploy.wsgi",
            "ACCOUNTS_PASSWORD_MEMORY_COST": "8192", "ACCOUNTS_PASSWORD_TIME_COST": "1",
            "ACCOUNTS_PASSWORD_MAX_CONCURRENT_HASHES": "16", **settings,
        }  # fmt: skip
        subprocess.run(
            [sys.executable, "-m", "flask", "db", "upgrade"], cwd=self.folder, env=environment, check=True, capture_output=True
        )
        command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "examples/deploy/gunicorn.conf.py")]
        with (self.folder / "gunicorn.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        try:
            until(lambda: client_of(self, 0).get("/healthz") == 200)
            yield
        finally:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(child) for child in children.split()]


def until(holds: Callable[[], bool], seconds: float = 60) -> float:
    """How long it took until `holds`, in seconds."""
    begun = time.monotonic()
    while time.monotonic() < begun + seconds:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if holds():
                return time.monotonic() - begun
        time.sleep(0.05)
    raise SystemExit(f"Waited {seconds} seconds in vain.")


@dataclass
class Client:
    """One person after the other, from one address; what each was told."""

    site: Site
    number: int
    told: list[dict[str, str | None]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    last_success: float = 0
    slowest: float = 0

    def get(self, path: str, token: str | None = None) -> int:
        return self._send("GET", path, None, token)[0]  # not counted

    def live(self, over: threading.Event) -> None:
        for turn in itertools.count():
            if over.is_set():
                return
            self._one(f"p{self.number}x{turn}x{time.time_ns()}")

    def _one(self, name: str) -> None:
        person = {"email": f"{name}@example.com", "username": name, "password": PASSWORD}
        if self.call("POST", "/api/auth/register", person)[0] != 201:
            return
        known: dict[str, str | None] = {"email": person["email"], "bio": ""}
        self.told.append(known)
        status, body = self.call("POST", "/api/auth/login", {"email": person["email"], "password": PASSWORD})
        if status != 200:
            return
        token = body["access_token"]
        status, _ = self.call("PATCH", "/api/auth/me", {"bio": name}, token)
        known["bio"] = name if status == 200 else None  # None: not known
        if self.call("POST", "/api/auth/logout", {}, token)[0] == 200:
            self.ended.append(token)

    def call(self, method: str, path: str, body: Any, token: str | None = None) -> tuple[int, Any]:
        begun = time.monotonic()
        try:
            status, answer, kind = self._send(method, path, body, token)
        except (OSError, http.client.HTTPException) as error:
            self.counts[type(error).__name__] += 1
            time.sleep(0.02)
            return 0, None
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self.counts[str(status)] += 1
        if status in (200, 201):
            self.last_success = time.monotonic()
        elif status == 503:
            if kind != "application/problem+json" or json.loads(answer)["code"] != "SERVICE_UNAVAILABLE":
                self.wrong.append(f"{method} {path}: 503 without problem details")
            time.sleep(0.02)
        else:
            self.wrong.append(f"{method} {path}: {status} {answer[:200]!r}")
        return status, json.loads(answer) if answer else None

    def _send(self, method: str, path: str, body: Any, token: str | None) -> tuple[int, bytes, str | None]:
        # An address for each request: what is tried here is not the limits' figures.
        headers = {
            "Content-Type": "application/json", "X-Token-Transport": "headers",
            "X-Forwarded-For": f"10.{self.number}.{time.time_ns() // 7 % 256}.{time.time_ns() // 1000 % 256}",
        }  # fmt: skip
        if token:
            headers["Authorization"] = f"Bearer {token}"
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=60)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.getheader("Content-Type")


def client_of(site: Site, number: int) -> Client:
    return Client(site, number)


@contextlib.contextmanager
def crowd(site: Site) -> Iterator[list[Client]]:
    """Eight clients at work; afterwards what they were told is held against what is."""
    clients, over = [client_of(site, number) for number in range(1, CLIENTS + 1)], threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        lives = [pool.submit(client.live, over) for client in clients]
        try:
            yield clients
        finally:
            over.set()
        for life in lives:
            life.result()


def check(site: Site, clients: list[Client], database: sa.Engine) -> list[str]:
    """What is not as it was told."""
    problems = [problem for client in clients for problem in client.wrong]
    with database.connect() as connection:
        rows = connection.execute(sa.text("SELECT email, bio FROM people")).all()
    stored: dict[str, str] = {row.email: row.bio for row in rows}
    for client in clients:
        for known in client.told:
            email, bio = known["email"], known["bio"]
            if email not in stored:
                problems.append(f"{email} was told 201 and is not there")
            elif bio is not None and stored[str(email)] != bio:
                problems.append(f"{email} was told 200 for {bio!r}; stored is {stored[str(email)]!r}")
        for token in client.ended:
            if client.get("/api/auth/me", token) != 401:
                problems.append("a session that was ended with 200 is alive")
    log = (site.folder / "gunicorn.log").read_text()
    problems += [f"in the log: {line}" for line in re.findall(r"^.*(?:Unexpected error|Exception on /).*$", log, re.MULTILINE)]
    return problems


def scene(site: Site, name: str, seconds: float, act: Callable[[], None], **settings: str) -> bool:
    """Load, the fault in the middle of it, the figures and the verdict."""
    with site.serving(**settings):
        with crowd(site) as clients:
            time.sleep(seconds / 3)
            act()
            mended = time.monotonic()
            until(lambda: all(client.last_success > mended for client in clients))
            again = time.monotonic() - mended
            time.sleep(seconds / 3)
        url = settings.get("DATABASE_URL", site.postgres.url)
        problems = check(site, clients, sa.create_engine(url, poolclass=sa.NullPool))
        connections = site.postgres.connections()
    counts: Counter[str] = sum((client.counts for client in clients), Counter())
    told, ended = sum(len(client.told) for client in clients), sum(len(client.ended) for client in clients)
    print(f"\n{name}: {dict(sorted(counts.items()))}")
    print(
        f"  held against the database: {told} accounts, {ended} ended sessions; slowest answer {max(c.slowest for c in clients):.1f} s"
    )
    print(f"  all clients served again {again:.1f} s after it was mended; connections {connections}")
    leaked = {state: number for state, number in connections.items() if state != "idle"}
    if leaked or sum(connections.values()) > WORKERS * 2 * (THREADS + 2):
        problems.append(f"connections were left behind: {connections}")
    for problem in problems[:10]:
        print(f"  WRONG: {problem}")
    print(f"  {'nothing was untrue' if not problems else f'{len(problems)} problems'}")
    return not problems


def kill_workers(site: Site, seconds: float) -> None:
    for _ in range(max(3, int(seconds / 5))):
        os.kill(site.workers()[0], signal.SIGKILL)
        time.sleep(1)


def restart(site: Site, mode: str) -> None:
    site.postgres.stop(mode)
    time.sleep(2)
    site.postgres.start()


def without_redis(site: Site) -> None:
    site.redis.stop()
    time.sleep(6)
    site.redis.start()


def load(site: Site, seconds: float) -> bool:
    """Minutes of wrk: own account, and one sign-in in ten."""
    script = site.folder / "load.lua"
    with site.serving():
        reader = client_of(site, 1)
        for number in range(SIGN_INS + 1):
            person = {"email": f"load{number}@example.com", "username": f"load{number}", "password": PASSWORD}
            reader.call("POST", "/api/auth/register", person)
        # The one whose token is used signs in once: an account has so many sessions, and the oldest ends for one too many.
        _, body = reader.call("POST", "/api/auth/login", {"email": "load0@example.com", "password": PASSWORD})
        login = json.dumps({"email": "load%d@example.com", "password": PASSWORD}).replace('"', '\\"')
        script.write_text(
            f'local n, token, login = 0, "Bearer {body["access_token"]}", "{login}"\n'
            "function request()\n  n = n + 1\n"
            '  local from = "10." .. math.random(0, 255) .. "." .. math.random(0, 255) .. "." .. math.random(0, 255)\n'
            '  if n % 10 == 0 then return wrk.format("POST", "/api/auth/login", {["Content-Type"] = "application/json", '
            '["X-Token-Transport"] = "headers", ["X-Forwarded-For"] = from}, '
            f"login:format(math.random(1, {SIGN_INS}))) end\n"
            '  return wrk.format("GET", "/api/auth/me", {Authorization = token, ["X-Forwarded-For"] = from})\nend\n'
            "local threads = {}\nfunction setup(thread) table.insert(threads, thread) end\n"
            "function init() statuses = {} end\n"
            "function response(status) statuses[status] = (statuses[status] or 0) + 1 end\n"
            'function done() for _, thread in ipairs(threads) do for status, count in pairs(thread:get("statuses")) do '
            'io.write("status " .. status .. " " .. count .. "\\n") end end end\n'
        )
        highest: Counter[str] = Counter()
        command = ["wrk", "-t2", "-c16", f"-d{int(seconds)}s", "--latency", "-s", str(script), f"http://127.0.0.1:{site.port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wrk:
            while wrk.poll() is None:
                now = site.postgres.connections()
                highest["connections"] = max(highest["connections"], sum(now.values()))
                time.sleep(1)
            assert wrk.stdout is not None
            said = wrk.stdout.read()
        time.sleep(1)
        after = site.postgres.connections()
    statuses: Counter[str] = Counter()
    for status, count in re.findall(r"^status (\d+) (\d+)$", said, re.MULTILINE):
        statuses[status] += int(count)
    print(f"\nload: {dict(statuses)}; connections at most {highest['connections']}, afterwards {after}")
    print("".join(f"  {line}\n" for line in said.splitlines() if re.search(r"Requests/sec|%|Socket", line)))
    return set(statuses) == {"200"} and "Socket errors" not in said and set(after) <= {"idle"}


def main() -> None:
    names = ("load", "kill", "restart", "crash", "pool", "redis", "sqlite")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", default=[], help=f"of {', '.join(names)}; without one, all")
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        site = Site(folder, Postgres(folder), Redis())
        small = {"DATABASE_POOL_SIZE": "1", "DATABASE_MAX_OVERFLOW": "0", "DATABASE_POOL_TIMEOUT": "0.02"}
        sqlite = {
            "DATABASE_URL": f"sqlite:///{folder / 'site.db'}", "WEB_CONCURRENCY": "8", "WEB_THREADS": "1",
            "ACCOUNTS_LIMITS_STORAGE": "database",
        }  # fmt: skip
        scenes: dict[str, Callable[[], bool]] = {
            "load": lambda: load(site, given.seconds),
            "kill": lambda: scene(site, "kill -9 of workers", given.seconds, lambda: kill_workers(site, given.seconds)),
            "restart": lambda: scene(site, "PostgreSQL restarted (fast)", given.seconds, lambda: restart(site, "fast")),
            "crash": lambda: scene(site, "PostgreSQL crashed (immediate)", given.seconds, lambda: restart(site, "immediate")),
            "pool": lambda: scene(site, "a pool of one connection for four threads", given.seconds, lambda: None, **small),
            "sqlite": lambda: scene(site, "SQLite with eight processes that write", given.seconds, lambda: None, **sqlite),
            "redis": lambda: scene(site, "Redis away for 6 seconds", given.seconds, lambda: without_redis(site)),
        }
        try:
            good = [scenes[name]() for name in given.scenes or names]
        finally:
            site.redis.stop()
            site.postgres.stop("immediate")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
