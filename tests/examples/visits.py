"""Somebody's browser at the served blog. The browser is whatever Chromium the machine has."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from werkzeug.serving import make_server

from flask_accounts.testing import PASSWORD

from .conftest import Demo

playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
expect = playwright.expect
expect.set_options(timeout=15_000)

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
# What Chromium writes to the console for every answer of 400 and above, also where the page expects it.
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")


@dataclass
class Visit:
    """Somebody's browser at the blog, and what it saw go wrong."""

    page: Any
    url: str
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    other: str = "blob:"
    """Another host that the browser may go to."""

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self._console(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.on("request", lambda request: self._request(request.method, request.url))
        self.page.on("response", lambda response: self._response(response.status, response.url))

    def _console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not REFUSED.match(text) and self.page.url.startswith(self.url):
            self.complaints.append(f"{kind}: {text}")

    def _request(self, method: str, url: str) -> None:
        self.requests.append(f"{method} {url.removeprefix(self.url)}")
        if not url.startswith((self.url, self.other, "blob:", "data:")) and not self.page.url.startswith(self.other):
            self.complaints.append(f"went to another host: {url}")

    def _response(self, status: int, url: str) -> None:
        if status >= 500:
            self.complaints.append(f"{status}: {url}")

    def go(self, path: str) -> None:
        self.page.goto(f"{self.url}/#{path}")

    def heading(self, text: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(text)

    def says(self, text: str) -> None:
        expect(self.page.locator("#said")).to_have_text(text)

    def fill(self, **values: str) -> None:
        for name, value in values.items():
            self.page.locator(f"form [name={name}]").fill(value)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).first.click()

    def mail(self, to: str, subject: str) -> Visit:
        """Another tab of the same browser, at the newest mail of that subject in the outbox."""
        tab = Visit(self.page.context.new_page(), self.url, self.complaints, self.requests)
        tab.page.goto(f"{self.url}/outbox")
        mails = tab.page.get_by_role("listitem").filter(has_text=f"to {to} ").filter(has_text=subject)
        mails.first.get_by_role("link").click()
        expect(tab.page.get_by_role("heading", level=1)).to_contain_text(subject)
        return tab

    def by_mail(self, to: str, subject: str) -> Visit:
        """The page that the link of that mail leads to, in another tab."""
        tab = self.mail(to, subject)
        tab.page.locator(".mail-text a").click()
        expect(tab.page).not_to_have_url(re.compile("/outbox/"))
        return tab

    @property
    def letter(self) -> Any:
        """The mail that this tab shows, as most people see it."""
        return self.page.frame_locator("iframe.mail")

    def sign_in(self, login: str, password: str = PASSWORD) -> None:
        self.go("/sign-in")
        self.fill(login=login, password=password)
        self.press("Sign in")
        expect(self.page.locator(".chip")).to_be_visible()


Visitor = Callable[..., Visit]


@pytest.fixture
def visit(chromium: Any, demo: Demo, listener: socket.socket) -> Iterator[Visitor]:
    """Opens browsers at the served blog; whatever they complained of fails the test."""
    port = listener.getsockname()[1]
    server = make_server("127.0.0.1", port, demo.app, threaded=True, fd=listener.fileno())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    visits: list[Visit] = []
    contexts = []

    def open_browser(**options: Any) -> Visit:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(15_000)
        contexts.append(context)
        visits.append(Visit(context.new_page(), f"http://localhost:{port}"))
        return visits[-1]

    yield open_browser
    for context in contexts:
        context.close()
    server.shutdown()
    thread.join()
    server.server_close()
    assert [complaint for visited in visits for complaint in visited.complaints] == []
