"""Counting what is tried, and saying no."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache, partial
from typing import NoReturn

import limits
import sqlalchemy as sa
from flask import Response, after_this_request, current_app, has_request_context

from ...core.errors import ServiceUnavailable, TooManyRequests
from ...core.events import Client, Key, LimitStoreFailed, RateLimited
from ...core.feature import Service
from ...core.gates import Counted, Entry
from ...core.runtime import Runtime
from .models import LimitMixin
from .settings import KINDS, LimitSettings, parse
from .settings import LimitText as LimitText
from .stores import Count, Counter, RemoteStore, Store, StoreFailure, Table, full, open_store

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
        self._own_rules = lru_cache(1024)(parse)
        self._open = settings.on_store_failure == "open"
        self._asleep_until: datetime | None = None

    @property
    def in_database(self) -> bool:
        """Whether the accounts' own database is where is counted."""
        return self._store is None

    def store_answers(self) -> bool:
        """Whether the store outside is there; True where there is none."""
        return not isinstance(self._store, RemoteStore) or self._store.answers()

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
        if groups and self._store is not None:
            self._ask(self._store, entry, groups)

    def _ask(self, store: Store, entry: Entry, groups: Sequence[Group]) -> None:
        now = self.runtime.clock.now()
        if self._asleep_until is not None and now < self._asleep_until:
            if not self._open:
                raise ServiceUnavailable
            return
        try:
            found = store.count(_counters(groups), _ms(now))
        except StoreFailure as failure:
            self._failed(entry, now, failure)
            return
        self._asleep_until = None
        self._outcome(entry, groups, found, now).then()

    def hit(self, action: str, who: str, texts: Sequence[str], client: Client, *, user_id: Key) -> None:
        """Count a use of something that has limits of its own, such as an API key: `who` names it, `texts` are limits like `100/minute`.

        Raises `TooManyRequests`; what the request's transaction holds is undone then. A store that is down is dealt with as for others.
        """
        rules = {rule.key_for(): rule for text in texts for rule in self._own_rules(text)} if self.enabled else {}
        if not rules:
            return
        groups = [self._group("key", action, who, list(rules.values()))]
        entry = Entry(action, client, account=who, user_id=user_id)
        if self._store is not None:
            self._ask(self._store, entry, groups)
            return
        now = self.runtime.clock.now()
        found = self.runtime.aside.run(lambda connection: self._in_table.count(connection, _counters(groups), _ms(now)))
        self._outcome(entry, groups, found, now).then()

    def fits(self, text: str) -> bool:
        """Whether `text` is a limit such as `5/minute;100/day`."""
        try:
            return bool(parse(text))
        except ValueError:
            return False

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
            groups.append(self._group(kind, entry.action, who, rules))
        return groups

    def _group(self, kind: str, action: str, who: str, rules: Sequence[limits.RateLimitItem]) -> Group:
        return Group(
            kind,
            tuple(f"{action}-{kind}-{rule.get_expiry()}s" for rule in rules),
            # The app's name keeps apps apart that share a store.
            tuple(
                Counter(_digest(rule.key_for(current_app.name, action, kind, who)), rule.amount, rule.get_expiry())
                for rule in rules
            ),
        )

    def _outcome(self, entry: Entry, groups: Sequence[Group], found: Sequence[Sequence[Count]], now: datetime) -> Counted:
        for group, counts in zip(groups, found, strict=False):
            if full(group.counters, counts):
                return Counted(partial(self._refuse, entry, group, counts, now), full=True)
        return Counted(partial(_show, groups[0], found[0]))

    def _refuse(self, entry: Entry, group: Group, counts: Sequence[Count], now: datetime) -> NoReturn:
        beyond = [count for counter, count in zip(group.counters, counts, strict=True) if count.hits > counter.most]
        if any(count.hits == counter.most + 1 for counter, count in zip(group.counters, counts, strict=True)):
            if group.kind == "key":
                self.runtime.db.session.rollback()  # it may be found out in the middle of a view
            self.runtime.events.emit(
                RateLimited(user_id=entry.user_id, client=entry.client, at=now, action=entry.action, scope=group.kind)
            )
            self.runtime.commit()
        raise TooManyRequests(max(count.resets_in for count in beyond), headers=_headers(group, counts))

    def _failed(self, entry: Entry, now: datetime, failure: StoreFailure) -> None:
        first, self._asleep_until = self._asleep_until is None, now + PAUSE
        logger.error(
            "The store of the rate limits does not answer: %s.",
            "callers pass uncounted" if self._open else "callers are refused",
            exc_info=failure if first else None,  # an outage is one trace, and a line each time that it goes on
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
    """Tell the caller what is left to it. Only of its own address or key: what is left of an account would tell of others' tries."""
    if group.kind == "account" or not has_request_context():
        return

    def add(response: Response) -> Response:
        for name, value in _headers(group, counts).items():
            response.headers.setdefault(name, value)
        return response

    after_this_request(add)
