"""What a contender has to offer to be asked: a server, and how its requests and answers look."""

from __future__ import annotations

import abc
import importlib
import importlib.metadata
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import requests
import sqlalchemy as sa
from werkzeug.serving import make_server

KEY = "a-signing-key-for-the-comparison-0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Tokens:
    """What a sign-in leaves with the client."""

    access: str
    refresh: str | None = None
    cookies: dict[str, str] = field(default_factory=dict)


def good(answer: requests.Response) -> bool:
    """Whether it is a success; being sent to a page to sign in is none."""
    return 200 <= answer.status_code < 300


class Contender(abc.ABC):
    """One library in one set-up. Methods that return None say that there is no such thing in that set-up."""

    name: ClassVar[str]
    distribution: ClassVar[str | None]
    """On PyPI; None for what we wrote ourselves."""
    setup: ClassVar[str]
    """What is set up, and what was added by us because the library leaves it to its users."""
    source: ClassVar[str]
    """The page of its documentation that the set-up is from."""
    verifies: ClassVar[str]
    """`module:name` or `module:Class.name` of the function that compares a password with its hash."""
    asgi: ClassVar[bool] = False
    variant: ClassVar[bool] = False
    """Whether it is another set-up of a contender, whose limits are asked about there."""

    @abc.abstractmethod
    def app(self, folder: Path, *, limits: bool) -> Any:
        """The WSGI or ASGI app, with its tables in `folder`. Without `limits`, what would slow down many requests is off."""

    @abc.abstractmethod
    def register(self, http: Http, email: str, password: str, **more: Any) -> requests.Response | None: ...

    def create(self, http: Http, email: str, password: str) -> None:
        """An account that can sign in; by registering, where that can be done."""
        answer = self.register(http, email, password)
        assert answer is not None, "make it by other means"
        assert good(answer), f"{self.name}: {answer.status_code} {answer.text}"

    @abc.abstractmethod
    def login(self, http: Http, email: str, password: str) -> requests.Response: ...

    @abc.abstractmethod
    def tokens(self, answer: requests.Response, before: Tokens | None = None) -> Tokens:
        """The tokens of an answer to a sign-in, or to a refresh of `before`."""

    @abc.abstractmethod
    def me(self, http: Http, tokens: Tokens) -> requests.Response: ...

    def refresh(self, http: Http, tokens: Tokens) -> requests.Response | None:
        return None

    def logout(self, http: Http, tokens: Tokens) -> requests.Response | None:
        return None

    def update(self, http: Http, tokens: Tokens, **more: Any) -> requests.Response | None:
        return None

    def forgot(self, http: Http, email: str) -> requests.Response | None:
        return None

    def change_password(self, http: Http, tokens: Tokens, old: str, new: str) -> requests.Response | None:
        return None

    def disable(self, email: str) -> bool:
        """As an administrator does; False where accounts are not the library's business."""
        return False

    @abc.abstractmethod
    def flags(self, email: str) -> dict[str, Any] | None:
        """What of the account must not be set by its owner, as stored; None without an account."""

    def sign_in(self, http: Http, email: str, password: str) -> Tokens:
        answer = self.login(http, email, password)
        assert good(answer), f"{self.name}: {answer.status_code} {answer.text}"
        return self.tokens(answer)

    def installed(self) -> str | None:
        """The version that is installed, an empty text for our own; None if it is not."""
        if self.distribution is None:
            return ""
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return None


class Http:
    """Requests to one server, with nothing kept between them but the connection."""

    def __init__(self, url: str) -> None:
        self._url, self._session = url, requests.Session()

    def __call__(
        self, method: str, path: str, *, token: str | None = None, tokens: Tokens | None = None,
        headers: dict[str, str] | None = None, **more: Any,
    ) -> requests.Response:  # fmt: skip
        self._session.cookies.clear()
        sent = {"Accept": "application/json"} | (headers or {})
        if tokens and tokens.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in tokens.cookies.items())
        if token:
            sent["Authorization"] = f"Bearer {token}"
        return self._session.request(method, self._url + path, headers=sent, timeout=120, allow_redirects=False, **more)


@dataclass
class Site:
    """A contender that runs."""

    contender: Contender
    url: str
    hashes: Counter
    statements: Counter
    stop: Callable[[], None]

    @property
    def http(self) -> Http:
        return Http(self.url)


@dataclass
class Counter:
    """How often something was done."""

    count: int = 0


def start(contender: Contender, folder: Path, *, limits: bool) -> Site:
    """Serve the contender on a free port of the loopback."""
    app = contender.app(folder, limits=limits)
    hashes, statements = _count_calls(contender.verifies), _count_statements()
    if contender.asgi:
        url, stop = _serve_asgi(app)
    else:
        server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url, stop = f"http://127.0.0.1:{server.port}", server.shutdown
    return Site(contender, url, hashes, statements, stop)


def _serve_asgi(app: Any) -> tuple[str, Callable[[], None]]:
    import socket

    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True).start()

    def stop() -> None:
        server.should_exit = True

    return f"http://127.0.0.1:{listener.getsockname()[1]}", stop


def _count_calls(path: str) -> Counter:
    """Count the calls of the function at `path` from now on."""
    counter = Counter()
    module, _, names = path.partition(":")
    *outer, name = names.split(".")
    owner: Any = importlib.import_module(module)
    for step in outer:
        owner = getattr(owner, step)
    real = getattr(owner, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        counter.count += 1
        return real(*args, **kwargs)

    setattr(owner, name, counted)
    return counter


def _count_statements() -> Counter:
    """Count what is sent to any database by SQLAlchemy or Django from now on."""
    counter = Counter()

    @sa.event.listens_for(sa.Engine, "before_cursor_execute")
    def by_sqlalchemy(*args: Any) -> None:
        counter.count += 1

    try:
        from django.db.backends.utils import CursorWrapper
    except ImportError:
        return counter
    execute = CursorWrapper.execute

    def by_django(self: Any, sql: str, params: Any = None) -> Any:
        counter.count += 1
        return execute(self, sql, params)

    CursorWrapper.execute = by_django
    return counter
