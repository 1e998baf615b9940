"""Whether a password is known from a breach, without telling anybody which password it is."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from ...core.asking import NoAnswer
from ...core.errors import FieldProblem, ServiceUnavailable
from ...core.events import BreachCheckFailed
from ...core.feature import Service
from ...core.policies import PasswordContext
from ...core.runtime import Runtime
from .ranges import PREFIX, RangeClient, sha1, times_seen
from .settings import BreachedPasswordSettings

logger: logging.Logger = logging.getLogger("flask_accounts.breached_passwords")

Fetch = Callable[[str], str]
"""Takes the first five hex digits of a SHA-1, gives the lines `SUFFIX:COUNT` of all known hashes that begin with them; raises
whatever it likes where it cannot."""

PAUSE = timedelta(seconds=10)
"""How long a service that failed is not asked again: a dead one must not slow every registration."""
KEPT, KEPT_FOR = 64, timedelta(minutes=10)
"""How many answers are kept in this process, and how long: a form that is sent twice asks once."""


class BreachService(Service):
    """Asks for ranges, remembers the latest for a while, and leaves a service that fails alone."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._settings = runtime.setting(BreachedPasswordSettings)
        self.enabled: bool = True
        """Off asks nobody. Changed by test tools only."""
        self.fetch: Fetch = RangeClient(self._settings.url, timeout=self._settings.timeout)
        """Whom to ask."""
        self._answers: OrderedDict[str, tuple[datetime, str]] = OrderedDict()
        self._lock = threading.Lock()
        self._asleep_until: datetime | None = None

    def check(self, password: str, context: PasswordContext) -> FieldProblem | None:
        """The password check. `ServiceUnavailable` where nobody answers and that closes the door."""
        seen = self.times_seen(password) if self.enabled else None
        if seen is None or seen < self._settings.least_count:
            return None
        return FieldProblem("password", "password_breached", "This password is known from a data breach. Choose another.")

    def times_seen(self, password: str) -> int | None:
        """How often `password` is in breaches; None where nobody answers and that lets it pass."""
        digest = sha1(password)
        prefix, suffix = digest[:PREFIX], digest[PREFIX:]
        now = self.runtime.clock.now()
        kept = self._kept(prefix, now)
        if kept is not None:
            return times_seen(suffix, kept)
        if self._asleep_until is not None and now < self._asleep_until:
            self._insist()
            return None
        try:
            answer = self.fetch(prefix)
            seen = times_seen(suffix, answer)
        except Exception as error:  # a host's own fetch raises what it likes
            # No traceback and no message of others: the prefix could stand in it, and beside an account it narrows guessing.
            self._failed(now, str(error) if isinstance(error, NoAnswer) else type(error).__name__)
            return None
        self._asleep_until = None
        self._keep(prefix, answer, now)
        return seen

    def _failed(self, now: datetime, reason: str) -> None:
        self._asleep_until = now + PAUSE
        allowed = self._settings.on_failure == "open"
        logger.error(
            "Nobody says whether passwords are breached (%s): %s.", reason, "they pass unasked" if allowed else "they are refused"
        )
        if not allowed:
            self.runtime.db.session.rollback()  # what must be told is told; of the rest nothing is done
        self.runtime.events.emit(BreachCheckFailed(at=now, reason=reason, allowed=allowed))
        if not allowed:
            self.runtime.commit()
        self._insist()

    def _insist(self) -> None:
        if self._settings.on_failure == "closed":
            raise ServiceUnavailable("Passwords cannot be checked at the moment.", retry_after=int(PAUSE.total_seconds()))

    def _kept(self, prefix: str, now: datetime) -> str | None:
        with self._lock:
            until, answer = self._answers.get(prefix, (now, ""))
            return answer if now < until else None

    def _keep(self, prefix: str, answer: str, now: datetime) -> None:
        with self._lock:
            self._answers[prefix] = now + KEPT_FOR, answer
            self._answers.move_to_end(prefix)
            while len(self._answers) > KEPT:
                self._answers.popitem(last=False)
