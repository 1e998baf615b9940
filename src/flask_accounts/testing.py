"""What hosts need to test their own views: accounts in a line, clients signed in, a fast hasher, a movable clock.

    from flask_accounts.testing import AccountsTesting

    testing = AccountsTesting(app)                      # app.testing must be on
    ann = testing.make_user("ann@example.com", roles=["admin"])
    answer = testing.client(ann).get("/api/auth/me")
    testing.clock.move(minutes=16)                      # the access token has expired

With pytest the installed plugin has the same as fixtures; see `flask_accounts.pytest_plugin`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask, has_app_context
from flask.testing import FlaskClient

from .core.errors import ConfigurationError
from .core.events import Client, Event, event_types
from .core.login import SignIn
from .core.mail import MailRoom, MailSettings, MemoryMailer, Message
from .core.passwords import same_secret
from .core.runtime import EXTENSION, Runtime
from .features.breached_passwords.ranges import RangeClient
from .features.breached_passwords.service import BreachService
from .features.limits.service import LimitService
from .features.lockout.service import LockoutService
from .features.roles.service import RoleService
from .features.sessions.service import SessionService
from .features.totp.algorithm import hotp, step_at
from .features.users.service import UserService

PASSWORD = "correct horse battery staple"  # noqa: S105  # everybody's password in tests
"""The password of accounts made without one."""


class FastHasher:
    """A `Hasher` that costs nothing and protects nothing: for tests only."""

    def hash(self, password: str) -> str:
        """A salted SHA-256."""
        salt = secrets.token_hex(4)
        return f"test${salt}${hashlib.sha256((salt + password).encode()).hexdigest()}"

    def verify(self, password: str, encoded: str) -> bool:
        """Whether `encoded` was made of `password`."""
        scheme, _, rest = encoded.partition("$")
        salt, _, digest = rest.partition("$")
        return scheme == "test" and same_secret(digest, hashlib.sha256((salt + password).encode()).hexdigest())

    def needs_rehash(self, encoded: str) -> bool:
        """True for hashes of other schemes."""
        return not encoded.startswith("test$")


class MovableClock:
    """A `Clock` that stands still until it is moved."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime.now(UTC)

    def now(self) -> datetime:
        """The time it stands at."""
        return self._now

    def move(self, span: timedelta | None = None, **units: float) -> None:
        """Move by a `timedelta`, or by its units: `move(minutes=16)`."""
        self._now += span if span is not None else timedelta(**units)


class AccountsTesting:
    """The test tools of one app. Puts a fast hasher, a movable clock and an outbox in place; needs `app.testing`.

    Tests sign in often and from one address, so rate limits and lockout are off unless `limits` asks for them. They ask nobody
    outside either: the feature `BreachedPasswords` refuses nothing, unless it has a `fetch=` of its own.
    """

    def __init__(self, app: Flask, *, clock: MovableClock | None = None, limits: bool = False) -> None:
        if not app.testing:
            raise RuntimeError("AccountsTesting weakens the app's password hashes: set app.testing = True first.")
        self.app = app
        self.runtime: Runtime = app.extensions[EXTENSION]
        self.clock: MovableClock = clock or MovableClock()
        self._mailer = MemoryMailer()
        self._names = itertools.count(1)
        self.runtime.clock = self.clock
        self.runtime.hasher.inner = FastHasher()
        self.runtime.mail = MailRoom(self._mailer, self.runtime.events, app, MailSettings(background=False))
        for kind in (LimitService, LockoutService):
            with contextlib.suppress(ConfigurationError):  # the host has left the feature out
                self.runtime.get(kind).enabled = limits and self.runtime.get(kind).enabled
        with contextlib.suppress(ConfigurationError):
            breaches = self.runtime.get(BreachService)
            breaches.enabled = not isinstance(breaches.fetch, RangeClient)

    @property
    def outbox(self) -> list[Message]:
        """Every mail sent so far."""
        return self._mailer.outbox

    def make_user(
        self,
        email: str | None = None,
        *,
        password: str | None = PASSWORD,
        roles: Iterable[str] = (),
        permissions: Iterable[str] = (),
        **fields: Any,
    ) -> Any:
        """An account, committed: an object of the user class with its columns loaded.

        `roles` that are not there yet are made; `permissions` are given by a role made for the purpose;
        `fields` go to `UserService.create` (`username=`, `is_active=`, own columns).
        """
        outside = not has_app_context()
        with self._context():
            services, db = self.runtime, self.runtime.db
            user = services.get(UserService).create(email or f"person{next(self._names)}@example.com", password, **fields)
            self._grant(user, tuple(roles), tuple(permissions))
            db.session.commit()
            db.session.refresh(user)
            if outside:
                db.session.expunge(user)
            return user

    def sign_in(self, user: Any, *, user_agent: str | None = None, amr: tuple[str, ...] = ("pwd",)) -> SignIn:
        """A new session for the account, with its tokens. `amr`: by which methods; `("pwd", "otp", "mfa")` for two factors."""
        with self._context():
            signed_in = self.runtime.get(SessionService).open(user, amr=amr, client=Client("127.0.0.1", user_agent))
            self.runtime.commit()
            return signed_in

    def client(self, user: Any = None, *, amr: tuple[str, ...] = ("pwd",)) -> FlaskClient:
        """A test client; with a `user`, one that sends that account's access token with every request. `amr`: as for `sign_in`."""
        client = self.app.test_client()
        if user is not None:
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {self.sign_in(user, amr=amr).tokens.access_token}"
        return client

    def totp_code(self, secret: str) -> str:
        """The code that an authenticator app with this `secret` (base 32) shows by the app's clock. Move that before the next: each is good once."""
        return hotp(base64.b32decode(secret), step_at(self.clock.now()))

    @contextlib.contextmanager
    def recorded(self) -> Iterator[list[Event]]:
        """The events whose transactions commit meanwhile, in order."""
        found: list[Event] = []

        def receive(sender: Flask, event: Event) -> None:
            found.append(event)

        with contextlib.ExitStack() as stack:
            for kind in event_types():
                stack.enter_context(kind.signal.connected_to(receive, sender=self.app))
            yield found

    def _grant(self, user: Any, roles: tuple[str, ...], permissions: tuple[str, ...]) -> None:
        service = self.runtime.get(RoleService)
        there = {role.name for role in service.all()}
        for name in roles:
            if name not in there and name != service.admin_role:
                service.create(name)
        if permissions:
            name = f"test-{secrets.token_hex(6)}"
            service.create(name, permissions=permissions)
            roles = (*roles, name)
        if roles:
            service.grant(user, *roles)

    @contextlib.contextmanager
    def _context(self) -> Iterator[None]:
        if has_app_context():
            yield
        else:
            with self.app.app_context():
                yield
