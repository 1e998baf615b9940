"""The shipped deployment, for real: one walk through nginx, gunicorn and PostgreSQL; and what can be checked of the rest by reading it."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from examples.deploy.configuration import from_environment

from .checkers import tool
from .deployed import FOLDER, NAME, ROOT, Answer, Browser, Deployed, deployed, until

PASSWORD = "seven brown foxes on a hill"
HSTS = "max-age=31536000; includeSubDomains"
FORGED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example", "Forwarded": "for=203.0.113.9;host=evil.example"}


def test_the_deployed_site_from_the_first_visitor_to_the_last_fault(tmp_path: Path) -> None:
    """One walk and not ten tests, since what takes long is to build the site."""
    with deployed(tmp_path, ACCOUNTS_LIMITS_LOGIN_ADDRESS="12/minute") as site:
        plain_http_leads_to_https_and_other_names_nowhere(site)
        ann = people_register_with_cookies_that_only_this_host_gets(site)
        a_request_without_the_csrf_token_is_refused(ann)
        the_address_is_the_one_nginx_saw_whatever_the_client_says(site)
        logged_out_is_logged_out(site)
        limits_count_by_the_real_address(site)
        new_workers_take_over_without_a_lost_request(site)
        a_worker_that_dies_in_the_middle_takes_nothing_with_it(site)
        without_the_database_it_is_503_and_with_it_all_is_well_again(site)
        connections_are_not_left_behind(site)
        without_the_app_nginx_says_what_the_app_would_say(site)
        assert "Traceback" not in site.log()


def account(name: str) -> dict[str, str]:
    return {"email": f"{name}@example.com", "username": name, "password": PASSWORD}


def sign_in(browser: Browser, name: str, password: str = PASSWORD, **headers: str) -> Answer:
    return browser.send("POST", "/api/auth/login", {"email": f"{name}@example.com", "password": password}, headers=headers)


def is_unavailable(answer: Answer) -> bool:
    """Whether it is our 503, with its headers."""
    return (
        (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")
        and answer.headers["Content-Type"] == "application/problem+json"
        and answer.headers["Retry-After"].isdigit()
        and answer.headers.get_all("Strict-Transport-Security") == [HSTS]
    )


# The steps


def plain_http_leads_to_https_and_other_names_nowhere(site: Deployed) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", site.http_port, timeout=10)) as plain:
        plain.request("GET", "/api/auth/me?x=1", headers={"Host": NAME})
        answer = plain.getresponse()
        assert (answer.status, answer.headers["Location"]) == (308, f"https://{NAME}/api/auth/me?x=1")
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", site.http_port, timeout=10)) as other:
        other.request("GET", "/", headers={"Host": "evil.example"})
        with pytest.raises(http.client.RemoteDisconnected):
            other.getresponse()
    stranger = http.client.HTTPSConnection("127.0.0.1", site.https_port, context=site.trust, timeout=10)
    with contextlib.closing(stranger), pytest.raises(ssl.SSLError):
        stranger.request("GET", "/")


def people_register_with_cookies_that_only_this_host_gets(site: Deployed) -> Browser:
    ann = site.browser()
    answer = ann.send("POST", "/api/auth/register", account("ann"))
    assert answer.status == 201, answer.body
    assert "access_token" not in answer.json
    cookies = {line.split("=")[0]: line for line in answer.headers.get_all("Set-Cookie") or ()}
    for name in ("__Host-access_token", "__Host-refresh_token"):
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookies[name].split("; ")), cookies[name]
    assert ann.send("GET", "/api/auth/me").json["email"] == "ann@example.com"
    page = ann.send("GET", "/")
    assert page.headers.get_all("Strict-Transport-Security") == [HSTS]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert re.fullmatch(r"nginx", page.headers["Server"])
    return ann


def a_request_without_the_csrf_token_is_refused(ann: Browser) -> None:
    answer = ann.send("PATCH", "/api/auth/me", {"bio": "by somebody else"}, csrf=False)
    assert (answer.status, answer.code) == (403, "CSRF_FAILED")
    assert ann.send("PATCH", "/api/auth/me", {"bio": "by me"}).json["bio"] == "by me"


def the_address_is_the_one_nginx_saw_whatever_the_client_says(site: Deployed) -> None:
    guest = site.browser("127.0.0.7")
    assert sign_in(guest, "ann", **FORGED).status == 200
    sessions = guest.send("GET", "/api/auth/sessions", headers=FORGED).json["sessions"]
    assert {session["ip_address"] for session in sessions} == {"127.0.0.1", "127.0.0.7"}


def logged_out_is_logged_out(site: Deployed) -> None:
    guest = site.browser()
    assert sign_in(guest, "ann").status == 200
    kept = dict(guest.cookies)
    assert guest.send("POST", "/api/auth/logout").status == 200
    assert not {name for name in guest.cookies if "access_token" in name}
    guest.cookies = kept
    assert guest.send("GET", "/api/auth/me").code == "TOKEN_REVOKED"


def limits_count_by_the_real_address(site: Deployed) -> None:
    guesser, owner = site.browser("127.0.0.8"), site.browser("127.0.0.9")
    answers = [
        sign_in(guesser, f"nobody{number}", "wrong", **{"X-Forwarded-For": f"203.0.113.{number}"}).status for number in range(14)
    ]
    assert Counter(answers) == {401: 12, 429: 2}
    assert sign_in(owner, "ann", **{"X-Forwarded-For": "127.0.0.8"}).status == 200


@contextlib.contextmanager
def traffic(site: Deployed) -> Iterator[Counter[int | str]]:
    """Four people who read and write all the while; what became of their requests."""
    found: Counter[int | str] = Counter()
    over, begun = threading.Event(), threading.Barrier(5, timeout=30)

    def person(number: int) -> None:
        browser = site.browser(f"127.0.1.{number}")
        assert sign_in(browser, "ann").status == 200
        begun.wait()
        while not over.is_set():
            for method, body in (("GET", None), ("PATCH", {"bio": f"of {number}"})):
                try:
                    found[browser.send(method, "/api/auth/me", body).status] += 1
                except (OSError, http.client.HTTPException) as error:
                    found[repr(error)] += 1

    with ThreadPoolExecutor(4) as pool:
        people = [pool.submit(person, number) for number in range(1, 5)]
        begun.wait()
        try:
            yield found
        finally:
            over.set()
        for one in people:
            one.result()


def new_workers_take_over_without_a_lost_request(site: Deployed) -> None:
    before = site.workers()
    with traffic(site) as found:
        site.gunicorn.send_signal(signal.SIGHUP)
        until(lambda: len(site.workers()) == 2 and not site.workers() & before, "A new generation of workers")
        served = found.total()
        until(lambda: found.total() >= served + 20, "Traffic with the new workers")
    assert set(found) == {200}, found


def a_worker_that_dies_in_the_middle_takes_nothing_with_it(site: Deployed) -> None:
    browser = site.browser()
    assert sign_in(browser, "ann").status == 200
    engine = sa.create_engine(site.server.url.set(database=site.database), poolclass=sa.NullPool)
    waiting = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{site.database}' AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor(1) as pool, engine.begin() as holding:
        holding.execute(sa.text("SELECT id FROM people FOR UPDATE"))
        half_way = pool.submit(browser.send, "PATCH", "/api/auth/me", {"bio": "half-way"})
        until(lambda: site.scalar(waiting) == 1, "A request that waits for the lock")
        for worker in site.workers():
            os.kill(worker, signal.SIGKILL)
        assert is_unavailable(half_way.result())
    until(lambda: browser.send("GET", "/api/auth/me").status == 200, "A new worker")
    assert browser.send("GET", "/api/auth/me").json["bio"] != "half-way"


def without_the_database_it_is_503_and_with_it_all_is_well_again(site: Deployed) -> None:
    browser, guest = site.browser(), site.browser()
    assert sign_in(browser, "ann").status == 200
    with site.database_away():
        assert site.browser().send("GET", "/healthz").status == 503
        assert is_unavailable(browser.send("GET", "/api/auth/me"))
        assert is_unavailable(guest.send("POST", "/api/auth/register", account("bob")))
        assert is_unavailable(browser.send("POST", "/api/posts", {"title": "A title", "body": "A text."}))
    assert site.browser().send("GET", "/healthz").json == {"status": "ok"}
    assert browser.send("GET", "/api/auth/me").status == 200
    assert guest.send("POST", "/api/auth/register", account("bob")).status == 201


def connections_are_not_left_behind(site: Deployed) -> None:
    """Two workers, two pools each, of four connections and two more; and none of them in a transaction."""
    own = f"FROM pg_stat_activity WHERE datname = '{site.database}'"
    assert site.scalar(f"SELECT count(*) {own}") <= 2 * 2 * 6
    until(lambda: site.scalar(f"SELECT count(*) {own} AND state <> 'idle'") == 0, "The end of every transaction")


def without_the_app_nginx_says_what_the_app_would_say(site: Deployed) -> None:
    site.gunicorn.send_signal(signal.SIGTERM)
    assert site.gunicorn.wait(30) == 0
    assert is_unavailable(site.browser().send("GET", "/api/auth/me"))


# What is only read


def test_the_dockerfile_has_nothing_that_hadolint_warns_of() -> None:
    checked = subprocess.run([tool("hadolint"), str(FOLDER / "Dockerfile")], capture_output=True, text=True, check=False)

    assert (checked.returncode, checked.stdout) == (0, ""), checked.stdout + checked.stderr


def test_the_compose_file_is_one_by_its_specification() -> None:
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(FOLDER / "compose.yaml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_images_are_named_by_a_version_and_the_app_is_not_root() -> None:
    dockerfile, compose = (FOLDER / "Dockerfile").read_text(), (FOLDER / "compose.yaml").read_text()
    bases = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    images = re.findall(r"^    image: (\S+)", compose, re.MULTILINE)

    assert len(bases) == 2
    assert len(images) == 3
    assert all(re.search(r":\d+\.?\d*-\w+", image) for image in [*bases, *images])
    assert re.findall(r"^USER (\d+)$", dockerfile, re.MULTILINE) == ["10001"]


def test_what_the_image_copies_is_there_and_what_is_secret_is_left_out() -> None:
    dockerfile = (FOLDER / "Dockerfile").read_text()
    copied = [name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE) for name in line.split()]

    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert "**/.env" in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()


def test_the_example_of_an_environment_names_what_compose_reads_and_nothing_else() -> None:
    read = set(re.findall(r"\$\{(\w+)", (FOLDER / "compose.yaml").read_text()))
    named = set(re.findall(r"^(\w+)=", (FOLDER / ".env.example").read_text(), re.MULTILINE))

    assert named == read


# Configuration


def test_every_setting_may_come_from_the_environment_and_lists_come_as_json() -> None:
    given = from_environment(
        {
            "DATABASE_URL": "postgresql+psycopg://accounts@database/accounts", "WEB_THREADS": "8", "ACCOUNTS_MAIL_SENDER": "",
            "ACCOUNTS_TOKENS_PREVIOUS_KEYS": '["an older key"]', "JWT_ALGORITHM": "HS512", "HOME": "/root",
        }
    )  # fmt: skip

    options = given.pop("SQLALCHEMY_ENGINE_OPTIONS")
    assert given == {"ACCOUNTS_TOKENS_PREVIOUS_KEYS": ["an older key"], "JWT_ALGORITHM": "HS512"}
    assert options["pool_size"] == 8
    assert "-c statement_timeout=10s" in options["connect_args"]["options"]


def test_a_misspelt_setting_ends_the_start_and_says_which(tmp_path: Path) -> None:
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]), "SECRET_KEY": "k" * 48,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'site.db'}", "ACCOUNTS_MAIL_HOST": "mail.example",
        "ACCOUNTS_MAIL_BASE_URL": f"https://{NAME}", "ACCOUNTS_LIMITS_STORE": "memory",
    }  # fmt: skip

    command = [sys.executable, "-m", "gunicorn", "-c", str(FOLDER / "gunicorn.conf.py")]
    started = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60)

    assert started.returncode != 0
    assert "ACCOUNTS_LIMITS_STORE" in started.stderr
