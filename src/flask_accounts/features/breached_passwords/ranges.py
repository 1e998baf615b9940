"""The range API of Pwned Passwords: five hex digits go out, the rest of every known hash that begins with them comes back.

The answer is compared here, so who is asked learns one of a million buckets and not which password is in question
(k-anonymity). Padding hides from who watches the line how much was in the bucket; padding lines count 0.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import queue
import re
import ssl
import threading
import time
import unicodedata
import urllib.error
import urllib.request
from typing import Any

PREFIX = 5
"""Hex digits that leave: 20 bits of 160."""
MAX_ANSWER = 512 * 1024
"""Most bytes of an answer that are read; a padded one has about 40 KiB."""
CHUNK = 16 * 1024
LATE = "no answer in time"
_LINE = re.compile(r"([0-9A-Fa-f]{35}):([0-9]{1,18})")


class RangeError(Exception):
    """There was no good answer. The message holds nothing of the question, so that it may be logged."""


def sha1(password: str) -> str:
    """The SHA-1 of the form of `password` that is hashed (see `core.passwords`), in hex, as the lists of breaches have it."""
    form = unicodedata.normalize("NFC", password).encode()
    return hashlib.sha1(form, usedforsecurity=False).hexdigest().upper()


def times_seen(suffix: str, answer: str) -> int:
    """The count that `answer` has for `suffix`; `RangeError` if it is no answer of the range API.

    Every line is looked at, so that time does not tell where a match stood.
    """
    seen = 0
    for line in answer.splitlines():
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise RangeError("the answer is not a list of hashes")
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
        """The lines for `prefix`; `RangeError`."""
        # A socket's timeout bounds each read and not the whole, and nothing bounds the look-up of a name: so the work is done
        # in a thread, and after `timeout` nobody waits for it any more.
        done: queue.SimpleQueue[str | RangeError] = queue.SimpleQueue()
        threading.Thread(target=self._work, args=(prefix, done), name="flask_accounts.breached", daemon=True).start()
        try:
            outcome = done.get(timeout=self._timeout)
        except queue.Empty:
            raise RangeError(LATE) from None
        if isinstance(outcome, RangeError):
            raise outcome
        return outcome

    def _work(self, prefix: str, done: queue.SimpleQueue[str | RangeError]) -> None:
        try:
            done.put(self._ask(prefix, time.monotonic() + self._timeout))
        except RangeError as error:
            done.put(error)
        except urllib.error.HTTPError as error:
            error.close()
            done.put(RangeError(f"status {error.code}"))
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None)
            cause = reason if isinstance(reason, Exception) else error
            done.put(RangeError(LATE if isinstance(cause, TimeoutError) else type(cause).__name__))

    def _ask(self, prefix: str, deadline: float) -> str:
        headers = {"Add-Padding": "true", "User-Agent": "flask-accounts", "Accept": "text/plain"}
        request = urllib.request.Request(f"{self._url}/{prefix}", headers=headers)  # noqa: S310  # the settings let https through only
        with self._opener.open(request, timeout=self._timeout) as response:
            if response.status != 200:
                raise RangeError(f"status {response.status}")
            answer = _read(response, deadline).decode("ascii")
        if not answer.strip():
            raise RangeError("the answer is empty")  # the API has lines for every prefix
        return answer


def _read(response: http.client.HTTPResponse, deadline: float) -> bytes:
    body = bytearray()
    while chunk := response.read1(CHUNK):
        body += chunk
        if len(body) > MAX_ANSWER:
            raise RangeError("the answer is too long")
        if time.monotonic() > deadline:
            raise RangeError(LATE)
    if response.length:  # what was announced and did not come
        raise RangeError("the answer is cut off")
    return bytes(body)
