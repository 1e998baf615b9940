"""Where keys are kept: in a folder, or in the database. The core asks a `WatchedKeys`, which looks there seldom."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from ...core.at_rest import AtRest, Unreadable, Vault
from ...core.direct import DirectRead
from ...core.errors import ConcurrentChange, Conflict
from ...core.forks import in_child
from ...core.keys import ALWAYS, Key, UnreadableKey, key_of, private_jwk
from ...core.runtime import Runtime
from ...core.sealed_columns import SealedColumn
from .models import SigningKeyMixin

logger: logging.Logger = logging.getLogger("flask_accounts.keys")

LOOK_AGAIN = timedelta(seconds=5)
"""How long after a look none follows, however many unknown keys tokens name."""
PURPOSE = "signing keys"


@dataclass(frozen=True)
class Stored:
    """A key where it is kept."""

    key: Key
    created_at: datetime


class Store(Protocol):
    """Keeps keys."""

    def look(self) -> Hashable:
        """What tells whether anything has changed, and `load` what there is; cheap."""
        ...

    def load(self, seen: Any) -> list[Stored]:  # what `look` gave
        """The keys that were seen, in the order in which, of several that sign from the same moment, the last one does."""
        ...

    def add(self, stored: Stored) -> None:
        """Keep a new key."""
        ...

    def change(self, old: Stored, key: Key) -> None:
        """Keep new times of a key; `ConcurrentChange` if somebody else has changed them meanwhile."""
        ...

    def remove(self, kid: str) -> None:
        """Forget a key."""
        ...


class KeyFolder:
    """Keys in the files of a folder, or in one file: PEM, or a JWK that may say by `nbf` and `exp` from when and until when.

    A private JWK whose `key_ops` do not say `sign` is published and does not sign yet (RFC 7517 section 4.3). Raises `UnreadableKey`,
    with the file's name, for what is no key, and `OSError`.
    """

    def __init__(self, path: str) -> None:
        self.path: Path = Path(path)

    def look(self) -> Hashable:
        """Names, times and sizes of the files."""
        found = []
        for file in self.files():
            state = file.stat()
            found.append((file, state.st_mtime_ns, state.st_size, state.st_ino))
        return tuple(found)

    def files(self) -> list[Path]:
        """The files of keys, by name. What begins with a dot is somebody's scaffolding (Kubernetes has `..data`)."""
        if not self.path.is_dir():
            return [self.path]
        return sorted(file for file in self.path.iterdir() if not file.name.startswith(".") and file.is_file())

    def load(self, seen: Any) -> list[Stored]:
        """What the files hold."""
        return [self._read(file, modified) for file, modified, *_ in seen]

    def _read(self, file: Path, modified: int) -> Stored:
        text = file.read_text(encoding="utf-8", errors="replace")
        members: dict[str, Any] = {}
        if text.lstrip().startswith("{"):
            with contextlib.suppress(ValueError, RecursionError):
                members = json.loads(text)
        try:
            key = key_of(text)
        except UnreadableKey as error:
            raise UnreadableKey(f"{file}: {error}") from None
        if key.signs_from is None and "sign" in members.get("key_ops", ["sign"]):
            key = replace(key, signs_from=ALWAYS)
        made = members.get("iat")
        created = made if isinstance(made, int) and not isinstance(made, bool) and 0 <= made < 2**35 else modified // 10**9
        return Stored(key, datetime.fromtimestamp(created, UTC))

    def add(self, stored: Stored) -> None:
        """A new file, that its owner alone can read."""
        self._write(self._place() / f"{stored.created_at:%Y%m%dT%H%M%SZ}-{stored.key.kid[:8]}.json", stored)

    def change(self, old: Stored, key: Key) -> None:
        """The file anew. One in PEM becomes a JWK, which has room for the times."""
        for file in self.files():
            if self._read(file, 0).key.kid == key.kid:
                made = file if file.suffix == ".json" else file.with_name(file.name + ".json")
                self._write(made, Stored(key, old.created_at))
                if made != file:
                    file.unlink()
                return
        raise ConcurrentChange

    def remove(self, kid: str) -> None:
        """Delete the file."""
        for file in self.files():
            if self._read(file, 0).key.kid == kid:
                file.unlink()

    def _place(self) -> Path:
        if self.path.exists() and not self.path.is_dir():
            raise Conflict(f"{self.path} is one file. Put it into a folder, and name that in ACCOUNTS_SIGNING_FOLDER.")
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.path

    def _write(self, file: Path, stored: Stored) -> None:
        key = stored.key
        members = private_jwk(key) if key.private is not None else {**key.jwk, **_times(key)}
        members |= {"iat": int(stored.created_at.timestamp())}
        if key.private is not None:
            members["key_ops"] = ["sign"] if key.signs_from is not None else ["verify"]
        passing = file.with_name(f".{file.name}.new")
        descriptor = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(json.dumps(members, indent=1) + "\n")
        passing.replace(file)


def _times(key: Key) -> dict[str, int]:
    return {} if key.verifies_until is None else {"exp": int(key.verifies_until.timestamp())}


class KeyTable:
    """Keys in the database, sealed. A row that does not open is left out, and told of in the log."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._table: sa.Table = runtime.model(SigningKeyMixin).__table__
        columns = [column.label(column.name) for column in self._table.columns]
        self._all = DirectRead(sa.select(*columns).order_by(self._table.c.created_at, self._table.c.kid))

    @property
    def vault(self) -> Vault:
        """What seals."""
        return self._runtime.get(AtRest).vault(PURPOSE)

    def look(self) -> Hashable:
        """The rows, as they lie there."""
        rows = self._runtime.users.fetch_all(self._all, {})
        names = [column.name for column in self._table.columns]
        return tuple(tuple(row[name] for name in names) for row in rows)

    def load(self, seen: Any) -> list[Stored]:
        """The rows that open."""
        vault, found = self.vault, []
        for kid, sealed, created_at, signs_from, verifies_until in seen:
            try:
                key = key_of(vault.open(sealed, kid), signs_from=signs_from, verifies_until=verifies_until)
            except (Unreadable, UnreadableKey):
                logger.error("The signing key %s does not open: it was sealed under another secret, or altered.", kid)
                continue
            if key.kid == kid:
                found.append(Stored(key, created_at))
        return found

    def add(self, stored: Stored) -> None:
        """A new row."""
        key = stored.key
        sealed = self.vault.seal(_plain(key), key.kid)
        self._runtime.users.execute(
            sa.insert(self._table).values(
                kid=key.kid,
                sealed=sealed,
                created_at=stored.created_at,
                signs_from=key.signs_from,
                verifies_until=key.verifies_until,
            )
        )

    def change(self, old: Stored, key: Key) -> None:
        """New times in the row."""
        table, was = self._table, old.key
        same = [
            table.c[name].is_(None) if value is None else table.c[name] == value
            for name, value in (("signs_from", was.signs_from), ("verifies_until", was.verifies_until))
        ]
        changed = sa.update(table).where(table.c.kid == key.kid, *same)
        if not self._runtime.users.execute(changed.values(signs_from=key.signs_from, verifies_until=key.verifies_until)).rowcount:
            raise ConcurrentChange

    def remove(self, kid: str) -> None:
        """Delete the row."""
        self._runtime.users.execute(sa.delete(self._table).where(self._table.c.kid == kid))

    def sealed(self) -> SealedColumn:
        """The private keys, as they lie in the table."""
        return SealedColumn(self._runtime.users, self._table.c.kid, self._table.c.sealed, self.vault, str)

    def purge(self, now: datetime) -> int:
        """Delete the keys that verify nothing any more; returns how many."""
        return self._runtime.users.execute(sa.delete(self._table).where(self._table.c.verifies_until <= now)).rowcount


def _plain(key: Key) -> bytes:
    # The times stand in columns of their own.
    return json.dumps(private_jwk(replace(key, signs_from=None, verifies_until=None))).encode()


class FixedKeys:
    """Keys of the app's configuration: a source that never changes."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self._keys = keys

    def keys(self) -> tuple[Key, ...]:
        """Every key."""
        return self._keys

    def look_again(self) -> tuple[Key, ...]:
        """The same."""
        return self._keys


class WatchedKeys:
    """The keys of a store as a source of the core: looked for at first need, again every `refresh_after`, and after a token with an
    unknown key at most every `LOOK_AGAIN`. Of several threads one looks. While the store cannot be read, what is known counts on.
    """

    def __init__(self, runtime: Runtime, store: Store, refresh_after: timedelta) -> None:
        self._runtime, self._store, self._refresh_after = runtime, store, refresh_after
        self._begin()
        in_child(self, WatchedKeys._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._keys: tuple[Key, ...] | None = None
        self._seen: Hashable = None
        self._looked_at = ALWAYS
        self._due = ALWAYS

    def keys(self) -> tuple[Key, ...]:
        """Every key."""
        now, keys = self._runtime.clock.now(), self._keys
        return keys if keys is not None and self._looked_at <= now < self._due else self._look(now)

    def look_again(self) -> tuple[Key, ...]:
        """Every key, as they are now or were a moment ago."""
        now, keys = self._runtime.clock.now(), self._keys
        return keys if keys is not None and self._looked_at <= now < self._looked_at + LOOK_AGAIN else self._look(now)

    def forget(self) -> None:
        """Look at the next need: this process has changed something."""
        self._due = ALWAYS

    def _look(self, now: datetime) -> tuple[Key, ...]:
        known = self._keys
        if not self._lock.acquire(blocking=known is None):
            return known or ()
        try:
            seen = self._store.look()
            if self._keys is None or seen != self._seen:
                self._keys = tuple(stored.key for stored in self._store.load(seen))
                self._seen = seen
            self._due = now + self._refresh_after
        except (OSError, UnreadableKey, SQLAlchemyError) as error:
            # A statement that fails breaks the transaction it is in, and whoever began that has to hear of it.
            if known is None and isinstance(error, FileNotFoundError):  # there is no such folder yet
                self._keys, self._due = (), now + LOOK_AGAIN
                return ()
            if known is None or (isinstance(error, SQLAlchemyError) and self._runtime.db.session().in_transaction()):
                raise
            logger.error("The signing keys cannot be read (%s); those that are known count on.", type(error).__name__)
            self._due = now + LOOK_AGAIN
        finally:
            self._looked_at = now
            self._lock.release()
        return self._keys or ()
