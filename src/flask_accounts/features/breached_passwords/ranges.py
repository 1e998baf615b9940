"""The range API of Pwned Passwords: five hex digits go out, the rest of every known hash that begins with them comes back.

The answer is compared here, so who is asked learns one of a million buckets and not which password is in question
(k-anonymity). Padding hides from who watches the line how much was in the bucket; padding lines count 0.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
import unicodedata
import urllib.error
import urllib.request
from functools import partial
from typing import Any

from ...core.asking import NoAnswer, ask_within, read_bounded

PREFIX = 5
"""Hex digits that leave: 20 bits of 160."""
MAX_ANSWER = 512 * 1024
"""Most bytes of an answer that are read; a padded one has about 40 KiB."""
_LINE = re.compile(r"([0-9A-Fa-f]{35}):([0-9]{1,18})")


def sha1(password: str) -> str:
    """The SHA-1 of the form of `password` that is hashed (see `core.passwords`), in hex, as the lists of breaches have it."""
    form = unicodedata.normalize("NFC", password).encode()
    return hashlib.sha1(form, usedforsecurity=False).hexdigest().upper()


def times_seen(suffix: str, answer: str) -> int:
    """The count that `answer` has for `suffix`; `NoAnswer` if it is no answer of the range API.

    Every line is looked at, so that time does not tell where a match stood.
    """
    seen = 0
    for line in answer.splitlines():
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise NoAnswer("the answer is not a list of hashes")
        seen += int(match[2]) * hmac.compare_digest(match[1].upper(), suffix)
    return seen


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        """None, which makes an error of it: nobody else is asked than who was named."""


class RangeClient:
    """Asks over HTTPS with a verified certificate, by the proxy that the environment names, if it does."""

    def __init__(self, url: str, *, timeout: float, context: ssl.SSLContext | None = None) -> None:
        self._url, self._timeout = url, timeout
        verified = urllib.request.HTTPSHandler(context=context or ssl.create_default_context())
        self._opener = urllib.request.build_opener(_NoRedirect, verified)

    def __call__(self, prefix: str) -> str:
        """The lines for `prefix`; `NoAnswer`."""
        return ask_within(self._timeout, partial(self._ask, prefix), thread="flask_accounts.breached")

    def _ask(self, prefix: str, deadline: float) -> str:
        headers = {"Add-Padding": "true", "User-Agent": "flask-accounts", "Accept": "text/plain"}
        request = urllib.request.Request(f"{self._url}/{prefix}", headers=headers)  # noqa: S310  # the settings let https through only
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                if response.status != 200:
                    raise NoAnswer(f"status {response.status}")
                answer = read_bounded(response, MAX_ANSWER, deadline).decode("ascii")
        except urllib.error.HTTPError as error:
            error.close()
            raise NoAnswer(f"status {error.code}") from None
        if not answer.strip():
            raise NoAnswer("the answer is empty")  # the API has lines for every prefix
        return answer
