"""Rate limits: how often one client address, or one account, may try what touches a credential. On by default.

What counts *wrong* passwords, and tells the owner's own places from strangers', is the feature `lockout`.
They are two because they answer different questions (how much traffic, how many guesses), keep their
counts in different places (any store; the accounts' own database) and are left out or replaced apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...core.checkups import Checkup
from ...core.feature import Feature, Service
from ...core.gates import EntryCheck, EntryCount
from ...core.runtime import Runtime
from ...core.settings import Settings
from .checkup import CHECKUPS
from .models import LimitMixin
from .service import LimitService
from .settings import LimitSettings


class Limits(Feature):
    """Rate limits per client address and per account."""

    name: ClassVar[str] = "limits"
    settings: ClassVar[tuple[type[Settings], ...]] = (LimitSettings,)
    tables: ClassVar[dict[type, str]] = {LimitMixin: "accounts_limits"}
    services: ClassVar[tuple[type[Service], ...]] = (LimitService,)
    checkups: ClassVar[tuple[Checkup, ...]] = CHECKUPS

    def entry_checks(self, runtime: Runtime) -> Sequence[EntryCheck]:
        """Count what is tried in another store than the database."""
        service = runtime.get(LimitService)
        return () if service.in_database else (service.check,)

    def entry_counts(self, runtime: Runtime) -> Sequence[EntryCount]:
        """Count what is tried in the database."""
        service = runtime.get(LimitService)
        return (service.count,) if service.in_database else ()

    def purge(self, runtime: Runtime) -> int:
        """Delete the counts of windows that are over."""
        return runtime.get(LimitService).purge()
