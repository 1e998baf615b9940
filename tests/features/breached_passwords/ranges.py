"""A range server in the test's own process: answers as Pwned Passwords does, or as badly as it is told to."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behaviour = Callable[["Handler"], None]


def digest(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


class RangeServer:
    """Knows `counts` (password to count) and notes what it was asked."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.asked: list[str] = []
        """The path of every request."""
        self.headers: list[dict[str, str]] = []
        self.reached = threading.Event()
        """Set once it was asked anything: who asks may have given up before."""
        self.behaviour: Behaviour | None = None
        """What to do in place of a proper answer."""
        self.released = threading.Event()
        """Lets a server that hangs go."""
        self.url = ""

    def lines(self, prefix: str) -> list[str]:
        known = [f"{digest(word)[5:]}:{count}" for word, count in self.counts.items() if digest(word)[:5] == prefix]
        padding = [f"{digest(f'padding {number}')[5:]}:0" for number in range(800)]
        return sorted([*known, *padding])


class Handler(BaseHTTPRequestHandler):
    ranges: RangeServer

    def do_GET(self) -> None:  # the library's name
        self.ranges.asked.append(self.path)
        self.ranges.headers.append(dict(self.headers.items()))
        self.ranges.reached.set()
        if self.ranges.behaviour:
            self.ranges.behaviour(self)
        else:
            self.send("\r\n".join(self.ranges.lines(self.path.rpartition("/")[2])))

    def send(self, text: str, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: object) -> None:
        """Nothing on the console."""


@contextmanager
def range_server(context: ssl.SSLContext | None = None) -> Iterator[RangeServer]:
    ranges = RangeServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OwnHandler", (Handler,), {"ranges": ranges}))
    server.daemon_threads = True
    server.handle_error = lambda *args: None  # type: ignore[method-assign]  # clients that hang up are part of the tests
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    ranges.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}/range"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield ranges
    finally:
        ranges.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
