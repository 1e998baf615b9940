"""Counting what is tried, and saying no."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import NoReturn

import sqlalchemy as sa
from flask import Response, after_this_request, current_app, has_request_context

from ...core.errors import ServiceUnavailable, TooManyRequests
from ...core.events import LimitStoreFailed, RateLimited
from ...core.feature import Service
from ...core.gates import Counted, Entry
from ...core.runtime import Runtime
from .models import LimitMixin
from .settings import KINDS, LimitSettings, parse
from .stores import Count, Counter, Store, StoreFailure, Table, full, open_store

logger: logging.Logger = logging.getLogger("flask_accounts.limits")

PAUSE = timedelta(seconds=5)
"""How long a store that failed is not asked again: a dead one must not slow every sign-in."""


@dataclass(frozen=True)
class Group:
    """The windows of one action for one kind of key."""

    kind: str
    names: tuple[str, ...]
    counters: tuple[Counter, ...]


class LimitService(Service):
    """Counts per client address and per account, by the strings in `LimitSettings`."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        settings = runtime.setting(LimitSettings)
        self.enabled: bool = settings.enabled
        """Off lets everything pass uncounted. Changed by test tools only."""
        self._table: sa.Table = runtime.model(LimitMixin).__table__
        self._in_table = Table(self._table)
        self._store: Store | None = open_store(settings.storage.get_secret_value())
        """None where the table is counted in."""
        self._rules = cache(lambda action, kind: parse(settings.text(action, kind)))
        self._open = settings.on_store_failure == "open"
        self._asleep_until: datetime | None = None

    @property
    def in_database(self) -> bool:
        """Whether the accounts' own database is where is counted."""
        return self._store is None

    def count(self, entry: Entry) -> Callable[[sa.Connection], Counted] | None:
        """How to count an entry in the table."""
        groups = self._groups(entry) if self.enabled else []
        if not groups:
            return None
        now = self.runtime.clock.now()

        def work(connection: sa.Connection) -> Counted:
            return self._outcome(entry, groups, self._in_table.count(connection, _counters(groups), _ms(now)), now)

        return work

    def check(self, entry: Entry) -> None:
        """Count an entry in the store. Raises `TooManyRequests`, or `ServiceUnavailable` where the store is down and that closes the
        door.
        """
        groups = self._groups(entry) if self.enabled else []
        if not groups or self._store is None:
            return
        now = self.runtime.clock.now()
        if self._asleep_until is not None and now < self._asleep_until:
            if not self._open:
                raise ServiceUnavailable
            return
        try:
            found = self._store.count(_counters(groups), _ms(now))
        except StoreFailure as failure:
            self._failed(entry, now, failure)
            return
        self._asleep_until = None
        self._outcome(entry, groups, found, now).then()

    def purge(self) -> int:
        """Delete the counts of windows that are over; returns how many."""
        now = _ms(self.runtime.clock.now())
        return self.runtime.users.execute(sa.delete(self._table).where(self._table.c.resets_at <= now)).rowcount

    def _groups(self, entry: Entry) -> list[Group]:
        whose = {"address": entry.client.network, "account": entry.account}
        groups = []
        for kind in KINDS:
            rules = self._rules(entry.action, kind)
            who = whose[kind]
            if who is None or not rules:
                continue
            groups.append(
                Group(
                    kind,
                    tuple(f"{entry.action}-{kind}-{rule.get_expiry()}s" for rule in rules),
                    # The app's name keeps apps apart that share a store.
                    tuple(
                        Counter(_digest(rule.key_for(current_app.name, entry.action, kind, who)), rule.amount, rule.get_expiry())
                        for rule in rules
                    ),
                )
            )
        return groups

    def _outcome(self, entry: Entry, groups: Sequence[Group], found: Sequence[Sequence[Count]], now: datetime) -> Counted:
        for group, counts in zip(groups, found, strict=False):
            if full(group.counters, counts):
                return Counted(partial(self._refuse, entry, group, counts, now), full=True)
        return Counted(partial(_show, groups[0], found[0]))

    def _refuse(self, entry: Entry, group: Group, counts: Sequence[Count], now: datetime) -> NoReturn:
        beyond = [count for counter, count in zip(group.counters, counts, strict=True) if count.hits > counter.most]
        if any(count.hits == counter.most + 1 for counter, count in zip(group.counters, counts, strict=True)):
            self.runtime.events.emit(
                RateLimited(user_id=entry.user_id, client=entry.client, at=now, action=entry.action, scope=group.kind)
            )
            self.runtime.commit()
        raise TooManyRequests(max(count.resets_in for count in beyond), headers=_headers(group, counts))

    def _failed(self, entry: Entry, now: datetime, failure: StoreFailure) -> None:
        self._asleep_until = now + PAUSE
        logger.error(
            "The store of the rate limits does not answer: %s.",
            "callers pass uncounted" if self._open else "callers are refused",
            exc_info=failure,
        )
        self.runtime.events.emit(LimitStoreFailed(client=entry.client, at=now, allowed=self._open))
        self.runtime.commit()
        if not self._open:
            raise ServiceUnavailable


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _ms(now: datetime) -> int:
    return int(now.timestamp() * 1000)


def _counters(groups: Sequence[Group]) -> list[tuple[Counter, ...]]:
    return [group.counters for group in groups]


def _headers(group: Group, counts: Sequence[Count]) -> dict[str, str]:
    """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers)."""
    rows = list(zip(group.names, group.counters, counts, strict=True))
    return {
        "RateLimit-Policy": ", ".join(f'"{name}";q={counter.most};w={counter.seconds}' for name, counter, _ in rows),
        "RateLimit": ", ".join(
            f'"{name}";r={max(0, counter.most - count.hits)};t={max(0, round(count.resets_in + 0.5))}'
            for name, counter, count in rows
        ),
    }


def _show(group: Group, counts: Sequence[Count]) -> None:
    """Tell the caller what is left to it. Only of its own address: what is left of an account would tell of others' tries."""
    if group.kind != "address" or not has_request_context():
        return

    def add(response: Response) -> Response:
        for name, value in _headers(group, counts).items():
            response.headers.setdefault(name, value)
        return response

    after_this_request(add)
