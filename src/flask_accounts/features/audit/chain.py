"""The hash chains that a removed, altered or invented event breaks.

One chain for all would make every writer wait for the one before. Here each transaction that writes
events borrows a chain from its process, alone, and gives it back once it has committed: its end is
known in memory, so chaining costs no statement and no lock, and nobody waits for anybody. There are as
many chains as writers at once. A chain whose transaction did not commit is not used again, since its end
in the database is not known for sure; neither is one that lay idle, so that no chain spans a purge.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from flask import current_app
from pydantic import SecretStr

from ...core.runtime import Runtime
from .settings import AuditSettings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
IDLE = timedelta(hours=1)
"""A chain that was not used for so long is not used again; far less than the shortest retention."""
START = b""
"""What stands for the `mac` before a chain's first event."""

_HELD = "flask_accounts.audit_chains"


def tick_of(at: datetime) -> int:
    """`at` as the upper 60 bits of an event's id: milliseconds, and 12 bits of their fraction (RFC 9562 section 6.2, method 3)."""
    milliseconds, rest = divmod((at - EPOCH) // timedelta(microseconds=1), 1000)
    return max(0, milliseconds << 12 | rest * 4096 // 1000)


def id_of(tick: int, random: int = 0) -> UUID:
    """The version 7 UUID of a tick; without `random` the lowest of that tick, for bounds."""
    tick = min(tick, (1 << 60) - 1)
    return UUID(int=(tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0x2 << 62 | random)


def floor_of(at: datetime) -> UUID:
    """The lowest id an event of this time can have."""
    return id_of(tick_of(at))


class Ticks:
    """Ticks that rise with every call, also while the clock stands still; across threads."""

    BACK: int = 10_000 << 12
    """If the clock is set back by more (ten seconds), it is followed."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self, at: datetime) -> int:
        """The tick of `at`, or the next one that is free."""
        tick = tick_of(at)
        with self._lock:
            if tick <= self._last < tick + self.BACK:
                tick = self._last + 1
            self._last = tick
        return tick


class Keyring:
    """The key of the chain and those before it, derived from settings of the current app."""

    def __init__(self, runtime: Runtime) -> None:
        self._settings = runtime.setting(AuditSettings)
        self._keys: tuple[bytes, ...] = ()

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The present key first."""
        if not self._keys:
            own = self._settings.chain_key
            present: Any = own.get_secret_value() if own else _signing_key()
            former: list[SecretStr] = list(self._settings.previous_keys)
            self._keys = tuple(_derive(secret) for secret in (present, *(key.get_secret_value() for key in former)))
        return self._keys

    def sign(self, text: bytes) -> bytes:
        """The MAC of `text` by the present key."""
        return hmac.digest(self.keys[0], text, "sha256")

    def signed(self, text: bytes, mac: bytes) -> bool:
        """Whether `mac` is of `text`, by any of the keys."""
        return any(hmac.compare_digest(hmac.digest(key, text, "sha256"), mac) for key in self.keys)


def _signing_key() -> Any:  # text or bytes, as the host wrote it
    config = current_app.config
    return config.get("JWT_SECRET_KEY") or config.get("JWT_PRIVATE_KEY") or current_app.secret_key


def _derive(secret: str | bytes) -> bytes:
    raw = secret.encode() if isinstance(secret, str) else bytes(secret)
    return hmac.digest(raw, b"flask_accounts: key of the audit log, version 1", "sha256")


@dataclass
class Chain:
    """A chain in use: its last number and MAC, and the tick of its last event."""

    id: UUID
    number: int = 0
    mac: bytes = START
    tick: int = 0

    def fits(self, tick: int) -> bool:
        """Whether an event of this tick may follow: later than the last, and not by too much."""
        return not self.number or 0 < tick - self.tick < (IDLE // timedelta(milliseconds=1)) << 12


class Chains:
    """The chains of one app in this process, lent to transactions."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._free: list[Chain] = []
        self._process = os.getpid()

    def borrow(self, tick: int) -> Chain:
        """The chain of the current transaction; each savepoint has its own, since it can be rolled back alone."""
        session = self._runtime.db.session()
        nested = session.get_nested_transaction()
        transaction = nested or session.get_transaction() or session.begin()
        held: dict[object, Chain] = session.info.setdefault(_HELD, {})
        chain = held.get(transaction)
        if chain is None or not chain.fits(tick):
            if nested is None:
                held.clear()  # of transactions that are over
            chain = held[transaction] = self._take(tick)
            # Not called if the transaction, or the savepoint, is rolled back: the chain then ends where it last committed.
            self._runtime.events.after_commit(partial(self._give_back, chain))
        return chain

    def _take(self, tick: int) -> Chain:
        if self._process != os.getpid():  # forked: the parent goes on with these
            self._process, self._free = os.getpid(), []
        while True:
            try:
                chain = self._free.pop()  # the last given back, so that few are in use
            except IndexError:
                return Chain(uuid4())
            if chain.fits(tick):
                return chain

    def _give_back(self, chain: Chain) -> None:
        self._free.append(chain)


def salted(salt: bytes, *parts: str | None) -> bytes:
    """The digest of a part of a row that may be erased."""
    return hashlib.sha256(salt + canonical(parts)).digest()


def new_salt() -> bytes:
    """128 random bits."""
    return secrets.token_bytes(16)


def canonical(parts: Iterable[str | int | None]) -> bytes:
    """Bytes that no other sequence of values has."""
    return json.dumps(list(parts), separators=(",", ":")).encode()


def signed_text(row: Any, before: bytes) -> bytes:
    """What the MAC of an event's row covers: all that erasure leaves, and the MAC before it."""
    return canonical(
        (
            "event",
            str(row["id"]),
            row["at"].astimezone(UTC).isoformat(timespec="microseconds"),
            row["name"],
            row["outcome"],
            row["subject"],
            row["actor"],
            row["session_id"] and str(row["session_id"]),
            row["details"],
            row["client_digest"] and row["client_digest"].hex(),
            row["personal_digest"] and row["personal_digest"].hex(),
            str(row["chain"]),
            row["number"],
            before.hex(),
        )
    )
