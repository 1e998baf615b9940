"""The docs page: Swagger UI from this host alone, which authorises and calls the API in a real browser."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import shutil
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, sync_playwright
from werkzeug.serving import make_server

from flask_accounts.core.clock import SystemClock
from tests.conftest import MakeSite, Site

QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PREFIX = {"ACCOUNTS_AUTH_URL_PREFIX": "/v1/people/auth"}


def test_the_page_and_its_files_are_served_with_a_policy_of_this_host_only(site: Site) -> None:
    page = site.client.get("/api/auth/docs")

    assert (page.status_code, page.mimetype) == (200, "text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy
    for link in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        answer = site.client.get(f"/api/auth/{link}")
        assert answer.status_code == 200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_with_a_slash_at_the_end_it_sends_to_the_page_by_a_relative_link(site: Site) -> None:
    answer = site.client.get("/api/auth/docs/")

    assert (answer.status_code, answer.headers["Location"]) == (308, "../docs")


@pytest.mark.requirement("ASVS 5.3.2")
@pytest.mark.parametrize(
    "name", ["../__init__.py", "..%2f__init__.py", "index.html", "swagger-ui.css.map", "%00", ".", "start.js.map"]
)
def test_path_traversal_and_other_files_are_not_found(site: Site, name: str) -> None:
    assert site.client.get(f"/api/auth/docs/{name}").status_code == 404


def test_without_the_extra_the_page_says_how_to_install_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    answer = site.client.get("/api/auth/docs")

    assert answer.status_code == 404
    assert "pip install 'flask-accounts-api[docs]'" in answer.get_json()["detail"]
    assert site.client.get("/api/auth/docs/swagger-ui.css").status_code == 404
    assert site.client.get("/api/auth/openapi.json").status_code == 200


@pytest.mark.requirement("ASVS 13.4.5")
@pytest.mark.parametrize("path", ["openapi.json", "docs", "docs/", "docs/start.js", "docs/swagger-ui.css"])
def test_switched_off_nothing_of_it_is_there(make_site: MakeSite, path: str) -> None:
    site = make_site(config={"ACCOUNTS_OPENAPI_ENABLED": False})

    assert site.client.get(f"/api/auth/{path}").status_code == 404


def test_the_title_is_a_setting(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_OPENAPI_TITLE": "People of the shop"})

    assert site.client.get("/api/auth/openapi.json").get_json()["info"]["title"] == "People of the shop"


@contextlib.contextmanager
def live(site: Site) -> Iterator[str]:
    site.testing.runtime.clock = SystemClock()
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield browser.new_page(viewport={"width": 1280, "height": 900})
        browser.close()


@pytest.mark.parametrize(
    ("config", "path"),
    [({}, "/api/auth/docs"), ({}, "/api/auth/docs/"), (PREFIX, "/v1/people/auth/docs")],
    ids=["", "slash", "prefix"],
)
def test_a_person_authorises_and_calls_the_api(make_site: MakeSite, page: Page, config: dict[str, str], path: str) -> None:
    site = make_site(config=config)
    token = site.testing.sign_in(site.user("ann@example.com")).tokens.access_token
    hosts: set[str] = set()
    errors: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))

    with live(site) as address:
        page.goto(address + path)
        page.get_by_role("button", name="Authorize").first.click()
        page.locator(".auth-container input").first.fill(token)
        page.locator(".auth-btn-wrapper .authorize").first.click()
        page.locator(".auth-btn-wrapper .btn-done").first.click()
        operation = page.locator("#operations-auth-auth_me_get")
        operation.locator(".opblock-summary-control").click()
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_role("button", name="Execute").click()
        answer = operation.locator(".live-responses-table .response")
        status = answer.locator(".response-col_status").inner_text()
        body = answer.locator(".highlight-code").first.inner_text()
        here = urlsplit(address).netloc

    assert status.strip().startswith("200")
    assert "ann@example.com" in body
    assert hosts - {""} == {here}, "a request to another host"
    assert errors == []
