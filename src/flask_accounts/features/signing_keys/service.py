"""The life of a signing key: published, it signs, it is replaced and still verifies, it is forgotten."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import current_app

from ...core.at_rest import AtRest
from ...core.errors import ConfigurationError, Conflict, NotFound
from ...core.events import SigningKeyChanged
from ...core.feature import Service
from ...core.keys import ALWAYS, Key, KeySource, UnreadableKey, key_of, new_key, signing_key
from ...core.runtime import Runtime
from ...core.sealed_columns import SealedColumn
from ...core.sessions import SessionSettings
from .settings import SigningKeySettings
from .stores import PURPOSE, FixedKeys, KeyFolder, KeyTable, Store, Stored, WatchedKeys

NEVER = datetime.max.replace(tzinfo=UTC)
"""After all turns: a key that has none yet."""


@dataclass(frozen=True)
class KeyState:
    """A key, and where it is in its life: `next` (published), `scheduled`, `signing`, `retiring` (verifies) or `retired`."""

    kid: str
    algorithm: str
    state: str
    created_at: datetime | None = None
    signs_from: datetime | None = None
    verifies_until: datetime | None = None


class SigningKeyService(Service):
    """Makes, rotates and retires the keys that sign tokens."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.settings: SigningKeySettings = runtime.setting(SigningKeySettings)
        self.store: Store | None = None
        """Where keys are kept; None where the configuration holds them."""
        self.source: KeySource | None = None
        """What the core asks for them; None for the keys of `JWT_*`."""
        if self.settings.source == "config":
            if self.settings.keys:
                self.source = FixedKeys(self._configured())
            return
        if self.settings.source == "database":
            runtime.get(AtRest).vault(PURPOSE)  # refuses a secret that is too short now, and not at the first sign-in
        self.store = self._folder() if self.settings.source == "folder" else KeyTable(runtime)
        self.source = WatchedKeys(runtime, self.store, self.settings.refresh_after)

    def _configured(self) -> tuple[Key, ...]:
        found: list[Key] = []
        for place, secret in enumerate(self.settings.keys):
            try:
                key = key_of(secret.get_secret_value())
            except UnreadableKey as error:
                raise ConfigurationError(f"ACCOUNTS_SIGNING_KEYS[{place}]: {error}") from None
            if key.kid in {known.kid for known in found}:
                raise ConfigurationError(f"ACCOUNTS_SIGNING_KEYS[{place}]: this key stands there twice.")
            signs = key.private is not None and not any(known.signs_from for known in found)
            found.append(replace(key, signs_from=ALWAYS if signs else None))
        if not any(key.signs_from for key in found):
            raise ConfigurationError("ACCOUNTS_SIGNING_KEYS holds public keys only: nothing can be signed with them.")
        return tuple(found)

    def _folder(self) -> KeyFolder:
        if not self.settings.folder:
            raise ConfigurationError(
                "ACCOUNTS_SIGNING_SOURCE 'folder' needs ACCOUNTS_SIGNING_FOLDER, the path of a folder or a file."
            )
        folder = KeyFolder(self.settings.folder)
        try:
            seen = folder.look() if folder.path.exists() else ()
            folder.load(seen)
        except (UnreadableKey, OSError) as error:
            said = error if isinstance(error, UnreadableKey) else f"{folder.path}: {type(error).__name__}"
            raise ConfigurationError(f"ACCOUNTS_SIGNING_FOLDER: {said}") from None
        return folder

    # What there is

    def published(self) -> list[dict[str, str]]:
        """The public halves of all keys that verify or will, as JSON Web Keys; nothing where a shared secret signs."""
        ring = self.runtime.key_ring()
        return [key.jwk for key in ring.keys] if ring else []

    def states(self) -> list[KeyState]:
        """Every key in the order in which they signed and will, and where it is in its life."""
        now, ring = self.runtime.clock.now(), self.runtime.key_ring()
        if self.store is None:
            return [self._state(key, None, ring.signing if ring else None, now) for key in (ring.keys if ring else ())]
        stored = self._stored()
        kept = {each.key.kid for each in stored}
        older = [self._state(key, None, None, now) for key in (ring.keys if ring else ()) if key.kid not in kept]
        signing = signing_key([each.key for each in stored], now)
        turns = sorted(stored, key=lambda each: (each.key.signs_from or NEVER, each.key.verifies_until is None, each.created_at))
        return older + [self._state(each.key, each.created_at, signing, now) for each in turns]

    def _state(self, key: Key, created_at: datetime | None, signing: Key | None, now: datetime) -> KeyState:
        if not key.verifies(now):
            state = "retired"
        elif signing is not None and key.kid == signing.kid:
            state = "signing"
        elif key.signs_from is not None and key.signs_from > now:
            state = "scheduled"
        else:
            waits = key.private is not None and key.signs_from is None
            state = "next" if waits else "retiring"
        shown = None if key.signs_from == ALWAYS else key.signs_from
        return KeyState(key.kid, key.algorithms[0], state, created_at, shown, key.verifies_until)

    # What becomes of them

    def generate(self, algorithm: str | None = None) -> KeyState:
        """A new key, published. It signs once it is rotated in; at once where there is none that signs.

        `Conflict` where the configuration holds the keys.
        """
        store, now = self._store(), self.runtime.clock.now()
        first = signing_key([each.key for each in self._stored()], now) is None
        stored = Stored(new_key(algorithm or self.settings.algorithm, signs_from=now if first else None), now)
        store.add(stored)
        self._told(stored.key, "signs" if first else "published")
        return self._state(stored.key, now, stored.key if first else None, now)

    def rotate(self, *, hurry: bool = False) -> list[KeyState]:
        """Have the next key sign, made now if there is none, once it has been published for long enough; with `hurry`, at once.

        The keys before it verify until the tokens have run out that they have signed. Returns every key. `Conflict` while a rotation is
        under way (unless in a hurry), `ConcurrentChange`.
        """
        store, now = self._store(), self.runtime.clock.now()
        keys = self._stored()
        coming = [each for each in keys if each.key.signs_from is not None and each.key.signs_from > now]
        if coming and not hurry:
            raise Conflict(f"A rotation is under way: {coming[0].key.kid} signs from {_said(coming[0].key.signs_from)} on.")
        waiting = coming or [each for each in keys if each.key.private is not None and each.key.signs_from is None]
        if waiting:
            following = waiting[0]
        else:
            following = Stored(new_key(self.settings.algorithm), now)
            store.add(following)
        signing = signing_key([each.key for each in keys], now)
        starts = now if hurry or signing is None else max(now, following.created_at + self.settings.publish_for)
        started = replace(following.key, signs_from=starts)
        store.change(following, started)
        self._told(started, "signs")
        until = starts + self._keep_for() + self.settings.refresh_after
        for each in keys:
            key = each.key
            ran = key.signs_from is not None and key.signs_from <= now and key.verifies(now)
            if ran and (key.verifies_until is None or key.verifies_until > until):
                store.change(each, replace(key, verifies_until=until))
                self._told(key, "replaced")
        self._forget()
        return self.states()

    def retire(self, kid: str) -> None:
        """Have a key verify nothing from now on: what it has signed is refused at once, here, and elsewhere once they ask again.

        `NotFound`; `Conflict` for the key that signs: rotate in a hurry first.
        """
        store, now = self._store(), self.runtime.clock.now()
        keys = self._stored()
        found = next((each for each in keys if each.key.kid == kid and each.key.verifies(now)), None)
        if found is None:
            raise NotFound(f"There is no key {kid!r} that verifies.")
        signing = signing_key([each.key for each in keys], now)
        if signing is not None and signing.kid == kid:
            raise Conflict("This key signs. Have another one sign first: flask accounts keys rotate --now")
        store.change(found, replace(found.key, verifies_until=now))
        self._told(found.key, "retired")
        self._forget()

    def purge(self) -> int:
        """Delete the keys in the database that verify nothing any more; returns how many."""
        return self.store.purge(self.runtime.clock.now()) if isinstance(self.store, KeyTable) else 0

    def sealed(self) -> SealedColumn | None:
        """The private keys, where the database holds them."""
        return self.store.sealed() if isinstance(self.store, KeyTable) else None

    def _store(self) -> Store:
        if self.store is None:
            raise Conflict(
                "The app's configuration holds the keys: change ACCOUNTS_SIGNING_KEYS (or JWT_*), or set ACCOUNTS_SIGNING_SOURCE to 'folder' "
                "or 'database'."
            )
        return self.store

    def _stored(self) -> list[Stored]:
        store: Any = self._store()
        if isinstance(store, KeyFolder) and not store.path.exists():
            return []
        found: list[Stored] = store.load(store.look())
        return found

    def _keep_for(self) -> timedelta:
        if self.settings.keep_for is not None:
            return self.settings.keep_for
        access = current_app.config["JWT_ACCESS_TOKEN_EXPIRES"]
        access = access if isinstance(access, timedelta) else timedelta(seconds=access)
        absolute = self.runtime.setting(SessionSettings).absolute_lifetime
        return max(access, min(self.runtime.sessions.idle_lifetime, absolute))

    def _forget(self) -> None:
        if isinstance(self.source, WatchedKeys):
            self.source.forget()

    def _told(self, key: Key, change: str) -> None:
        now = self.runtime.clock.now()
        self.runtime.events.emit(SigningKeyChanged(at=now, kid=key.kid, algorithm=key.algorithms[0], change=change))
        self._forget()


def _said(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""
