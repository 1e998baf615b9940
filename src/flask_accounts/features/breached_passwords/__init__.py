"""Breached passwords: what is known from data breaches is refused (ASVS 6.2.12). Opt-in, since it asks somebody outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...core.feature import Feature, Service
from ...core.policies import PasswordCheck
from ...core.runtime import Runtime
from ...core.settings import Settings
from .service import BreachService, Fetch
from .settings import BreachedPasswordSettings


class BreachedPasswords(Feature):
    """Refuses passwords that Have I Been Pwned, or who else is asked, has seen.

    `fetch`: an own way to ask, in place of HTTPS to `ACCOUNTS_BREACHED_PASSWORDS_URL`; it takes the first five hex digits of a
    SHA-1 and gives the lines `SUFFIX:COUNT` of the hashes that begin with them.
    """

    name: ClassVar[str] = "breached_passwords"
    settings: ClassVar[tuple[type[Settings], ...]] = (BreachedPasswordSettings,)
    services: ClassVar[tuple[type[Service], ...]] = (BreachService,)

    def __init__(self, *, fetch: Fetch | None = None) -> None:
        self._fetch = fetch

    def slow_password_checks(self, runtime: Runtime) -> Sequence[PasswordCheck]:
        """Asked last, and only about what is about to be set (or, where the app wants that, used)."""
        service = runtime.get(BreachService)
        if self._fetch is not None:
            service.fetch = self._fetch
        return (service.check,)
