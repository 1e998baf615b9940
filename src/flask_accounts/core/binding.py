"""Bound to one browser: a secret that it alone holds, and without which what it began cannot be finished.

What is mailed can be passed on, talked out of somebody, opened by a scanner, or sent to a victim by an attacker who wants it
signed in as himself (login CSRF). None of these has the secret. A browser keeps it in a cookie that no script reads; a client
that takes its tokens in the body keeps it itself.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Response

from .http import Call
from .passwords import same_secret
from .tokens import Tokens, config, host_cookie


@dataclass(frozen=True)
class Binding:
    """What binds one kind of thing; `name` tells its cookie from others."""

    name: str
    cross_site: bool = False
    """The cookie comes along when another site sends the browser here: never `SameSite=Strict`."""

    @property
    def cookie(self) -> str:
        """The cookie's name."""
        return host_cookie(self.name)

    def keep(self, secret: str, lifetime: timedelta) -> Callable[[Response], None]:
        """What puts `secret` into the cookie of an answer."""

        def decorate(response: Response) -> None:
            response.set_cookie(
                self.cookie, secret, max_age=lifetime, path="/", httponly=True,
                secure=config.cookie_secure, samesite=self._same_site,
            )  # fmt: skip

        return decorate

    def drop(self, response: Response) -> None:
        """Expire the cookie."""
        response.delete_cookie(self.cookie, path="/", httponly=True, secure=config.cookie_secure, samesite=self._same_site)

    @property
    def _same_site(self) -> str:
        asked = str(config.cookie_samesite or "Lax")
        return "Lax" if self.cross_site and asked == "Strict" else asked

    def presented(self, call: Call[Any], in_body: str | None) -> str | None:
        """The secret that a request brings: the body's, where this client takes secrets there, or else the cookie's."""
        if in_body is not None and takes_body(call):
            return in_body
        return call.request.cookies.get(self.cookie)


def takes_body(call: Call[Any]) -> bool:
    """Whether secrets go to this client in the body: not where tokens go by cookies, so that no script reads any."""
    return call.runtime.get(Tokens).transport(call.request) != "cookies"


def new_secret() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def binds(stored: str | None, secret: str | None) -> bool:
    """Whether `secret` is the one that `stored` is the digest of. What is bound to nothing takes any."""
    return stored is None or (secret is not None and same_secret(stored, digest(secret)))
