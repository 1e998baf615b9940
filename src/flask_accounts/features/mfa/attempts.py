"""Counting wrong answers to second factors, per account, over all factors and all doors (ASVS 6.6.3, NIST SP 800-63B-4 section 3.2.2).

Apart from the lockout, because whoever comes here has a right password or a session: neither may make wrong codes forgotten, and a
known network says nothing. A count is taken before the answer is looked at, in the transaction beside the request's, so that guesses
in parallel count each; a right answer takes them all back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

import sqlalchemy as sa

from ...core.aside import Overtaken
from ...core.errors import TooManyRequests
from ...core.events import Key, RateLimited
from ...core.feature import Service
from ...core.gates import Counted, Entry
from ...core.runtime import Runtime
from ...core.upserts import insert_or_leave
from .models import MfaMixin
from .settings import MfaSettings


class FactorAttempts(Service):
    """Says how long to wait after wrong answers."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._settings = runtime.setting(MfaSettings)
        self._table: sa.Table = runtime.model(MfaMixin).__table__

    def count(self, entry: Entry) -> Callable[[sa.Connection], Counted] | None:
        """How to count an answer to a factor."""
        key = entry.user_id
        if key is None:
            return None

        def work(connection: sa.Connection) -> Counted:
            return self._charge(connection, entry, key)

        return work

    def passed(self, entry: Entry) -> None:
        """The answer was right."""
        if entry.user_id is not None:
            self.clear(entry.user_id)

    def clear(self, key: Key) -> None:
        """Forget an account's wrong answers."""
        c = self._table.c
        clearing = sa.update(self._table).where(c.user_id == key, c.failures > 0)
        self.runtime.users.execute(clearing.values(failures=0, free_at=0, told_at=0))

    def _charge(self, connection: sa.Connection, entry: Entry, key: Key) -> Counted:
        table, now = self._table, _ms(self.runtime.clock.now())
        whose = table.c.user_id == key
        row = connection.execute(sa.select(table).where(whose)).mappings().first()
        if row is None:
            insert_or_leave(connection, table, [{"user_id": key, "failures": 0, "free_at": 0, "told_at": 0}])
        failures, free_at = (row["failures"], row["free_at"]) if row is not None else (0, 0)
        if free_at > now:
            telling = sa.update(table).where(whose, table.c.free_at == free_at, table.c.told_at != free_at).values(told_at=free_at)
            tell = bool(connection.execute(telling).rowcount)
            return Counted(partial(self._refuse, entry, (free_at - now) / 1000, tell), full=True)
        delay = self._settings.delay(failures + 1)
        counting = sa.update(table).where(whose, table.c.failures == failures, table.c.free_at == free_at)
        then = now + delay // timedelta(milliseconds=1) if delay else 0
        if not connection.execute(counting.values(failures=failures + 1, free_at=then)).rowcount:
            raise Overtaken
        return Counted(lambda: None)

    def _refuse(self, entry: Entry, wait: float, tell: bool) -> NoReturn:
        if tell:
            event: dict[str, Any] = {"user_id": entry.user_id, "client": entry.client, "at": self.runtime.clock.now()}
            self.runtime.events.emit(RateLimited(**event, action=entry.action, scope="mfa"))
            self.runtime.commit()
        raise TooManyRequests(wait)


def _ms(now: Any) -> int:
    return int(now.timestamp() * 1000)
