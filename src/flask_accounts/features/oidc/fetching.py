"""Asking an identity provider over HTTP: with a time for the whole, a bounded answer, no redirects, and no surprise about who is asked.

What a provider's metadata names is asked over HTTPS only, and only where it lies on the provider's own host, on one that the app names, or
outside private networks: the addresses are looked up once, checked, and connected to as they were checked (ASVS 1.3.6). Environment variables
for proxies are not followed.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import re
import socket
import ssl
import time
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from ...core.asking import NoAnswer, ask_within, read_bounded

MAX_ANSWER = 256 * 1024
"""Most bytes of an answer that are read."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Refused(Exception):
    """The provider answered with an OAuth error; `code` is its code, as far as it looks like one."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"status {status}, {code}")
        self.status = status
        self.code = code


def is_safe(url: str) -> bool:
    """Whether `url` is an absolute HTTPS URL without user, password and fragment; HTTP is for the loopback only."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises for what is no port
    except ValueError:
        return False
    plain = parts.username is None and parts.password is None and not parts.fragment and url.isprintable() and " " not in url
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    return bool(plain and secure and parts.hostname and "\\" not in url)


class Fetcher:
    """Asks one provider. `hosts` may lie in private networks; `timeout` is in seconds and for each answer as a whole."""

    def __init__(self, hosts: tuple[str, ...], *, timeout: float, context: ssl.SSLContext | None = None) -> None:
        self._hosts = tuple(host.lower() for host in hosts)
        self._timeout = timeout
        self._context = context

    def get(self, url: str, *, token: str | None = None) -> Any:  # a JSON value
        """The JSON at `url`, asked for with a bearer token if one is given; `NoAnswer`, `Refused`."""
        return self._json("GET", url, None, {"Authorization": f"Bearer {token}"} if token else {})

    def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Any:  # a JSON value
        """The JSON that the form is answered with; `NoAnswer`, `Refused`."""
        body = urlencode(form).encode()
        return self._json("POST", url, body, {**headers, "Content-Type": "application/x-www-form-urlencoded"})

    def _json(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Any:
        if not is_safe(url):
            raise NoAnswer("an address that is not safe to ask")
        ask = partial(self._ask, method, urlsplit(url), body, headers)
        status, answer = ask_within(self._timeout, ask, thread="flask_accounts.oidc")
        found = _parsed(answer)
        if status != 200 or (isinstance(found, dict) and "error" in found):
            if status < 500 and isinstance(found, dict) and isinstance(found.get("error"), str):
                raise Refused(status, _code(found["error"]))
            raise NoAnswer(f"status {status}")
        if found is None:
            raise NoAnswer("the answer is not JSON")
        return found

    def _ask(
        self, method: str, url: SplitResult, body: bytes | None, headers: Mapping[str, str], deadline: float
    ) -> tuple[int, bytes]:
        host, secure = url.hostname or "", url.scheme == "https"
        port = url.port or (443 if secure else 80)
        connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        connection.sock = self._connect(host, port, deadline)
        try:
            if secure:
                connection.sock = (self._context or ssl.create_default_context()).wrap_socket(connection.sock, server_hostname=host)
            target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            name = f"[{host}]" if ":" in host else host
            asked = {
                "Host": name if url.port is None else f"{name}:{url.port}", "Accept": "application/json",
                "User-Agent": "flask-accounts", **headers,
            }  # fmt: skip
            connection.request(method, target, body=body, headers=asked)
            with connection.getresponse() as response:
                return response.status, read_bounded(response, MAX_ANSWER, deadline)
        finally:
            connection.close()

    def _connect(self, host: str, port: int, deadline: float) -> socket.socket:
        """A connection to an address of `host` that may be asked."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if host.lower() not in self._hosts and not all(_is_public(str(address[4][0])) for address in found):
            raise NoAnswer(f"{host} lies in a private network")
        problem: OSError | None = None
        for family, kind, protocol, _, address in found:
            made = socket.socket(family, kind, protocol)
            try:
                made.settimeout(max(0.001, deadline - time.monotonic()))
                made.connect(address)
            except OSError as error:
                problem = error
                made.close()
                continue
            return made
        raise problem or NoAnswer("no address")


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_global) and not found.is_multicast


def _parsed(answer: bytes) -> Any:  # a JSON value, None for what is none
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(answer.decode())
    return None


def _code(text: str) -> str:
    """An error's code for the log, if it looks like those of RFC 6749: nothing that could pass for another line, and no token."""
    return text if re.fullmatch(r"[a-z_]{1,64}", text) else "an error"
