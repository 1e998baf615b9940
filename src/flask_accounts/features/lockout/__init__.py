"""Lockout: guessing a password is stopped, and its owner is not locked out by it. On by default.

Three counts of wrong passwords stand side by side:

- an account from one address: some free tries, then waits that double;
- an account from all addresses where it never signed in: a far higher cap a day, whatever the number of addresses;
- one address over all accounts, which stops lists of stolen passwords.

Where the account has signed in before, only the first counts: strangers cannot use up the owner's tries. A count
is taken before the password is looked at and given back if it was right, so guesses in parallel count each.
Accounts that do not exist are counted like those that do. Sessions that are open stay open.

Who reads the account's mail is never locked out: a mailed link, or a password reset, makes the wrong passwords forgotten and
the place where it was followed one of the account's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import click

from ...core.checkups import Checkup
from ...core.events import Key, Listener
from ...core.feature import Feature, Service
from ...core.gates import EntryCount, EntryPass
from ...core.http import Route
from ...core.one_time import ONE_TIME_TABLE, OneTimeTokenMixin
from ...core.runtime import Runtime
from ...core.settings import Settings
from .checkup import CHECKUPS
from .cli import unlock
from .models import LockoutMixin
from .routes import ROUTES, USERS_ROUTES
from .service import LockoutService
from .settings import LockoutSettings


class Lockout(Feature):
    """Waits after wrong passwords."""

    name: ClassVar[str] = "lockout"
    requires: ClassVar[tuple[str, ...]] = ("roles",)
    settings: ClassVar[tuple[type[Settings], ...]] = (LockoutSettings,)
    tables: ClassVar[dict[type, str]] = {LockoutMixin: "accounts_lockouts", OneTimeTokenMixin: ONE_TIME_TABLE}
    services: ClassVar[tuple[type[Service], ...]] = (LockoutService,)
    auth_routes: ClassVar[tuple[Route, ...]] = ROUTES
    users_routes: ClassVar[tuple[Route, ...]] = USERS_ROUTES
    commands: ClassVar[tuple[click.Command, ...]] = (unlock,)
    templates: ClassVar[bool] = True
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS

    def entry_counts(self, runtime: Runtime) -> Sequence[EntryCount]:
        """Count every try as wrong until it proves right."""
        return (runtime.get(LockoutService).count,)

    def entry_passes(self, runtime: Runtime) -> Sequence[EntryPass]:
        """Give back what a right password was charged."""
        return (runtime.get(LockoutService).passed,)

    def listeners(self, runtime: Runtime) -> Sequence[Listener]:
        """Learn where accounts sign in from, and who has proved to be the owner by a reset."""
        return (runtime.get(LockoutService).hear,)

    def export(self, runtime: Runtime, key: Key) -> Any:
        """Where the account signs in from, and what was tried on it."""
        return runtime.get(LockoutService).export(key) or None

    def erase(self, runtime: Runtime, key: Key) -> None:
        """Forget an account that is being deleted."""
        runtime.get(LockoutService).forget(key)

    def purge(self, runtime: Runtime) -> int:
        """Delete the rows that say nothing any more."""
        return runtime.get(LockoutService).purge()
