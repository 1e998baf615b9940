"""Which devices an account knows. A sign-in reads with the account's own row; it writes on a new device, and once a day on a known one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_jsonable_python

from ...core.devices import device_name, neighbourhood
from ...core.events import Client, Key, SignedInOnNewDevice
from ...core.feature import Service
from ...core.gates import Fact, LoginAttempt
from ...core.models import UtcDateTime
from ...core.runtime import Runtime
from ...core.sessions import SessionState
from ...core.users import ACCOUNT, UserView
from .models import DeviceMixin
from .settings import DeviceSettings

SEEN, ANY = "device_seen_at", "device_any"
"""Names of the facts."""
EXACT = timedelta(days=1)
"""How exact `last_seen_at` is: so many sign-ins on a known device write nothing."""


class DeviceService(Service):
    """Learns devices and tells of new ones."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._settings = runtime.setting(DeviceSettings)
        self._table: sa.Table = runtime.model(DeviceMixin).__table__

    # The facts

    def seen_at(self) -> Fact:
        """When the account was last seen on the attempt's device."""
        c = self._table.c
        here = sa.and_(
            c.user_id == sa.bindparam(ACCOUNT), c.device == sa.bindparam("device_name"), c.network == sa.bindparam("device_network")
        )

        def place(attempt: LoginAttempt) -> Mapping[str, Any]:
            device, network = self._place(attempt.client)
            return {"device_name": device, "device_network": network}

        return Fact(sa.select(c.last_seen_at).where(here).scalar_subquery(), place)

    def has_any(self) -> Fact:
        """Whether the account was ever seen on a device."""
        return Fact(sa.exists(sa.select(self._table.c.device).where(self._table.c.user_id == sa.bindparam(ACCOUNT))))

    # The sign-in

    def complete(self, attempt: LoginAttempt, user: UserView, session: SessionState) -> None:
        """Note the device of a finished sign-in; `SignedInOnNewDevice` if it is new, unless it is the account's first."""
        now = self.runtime.clock.now()
        seen: datetime | None = attempt.facts[SEEN]
        if seen is not None and now - seen < self._settings.known_for:
            if now - seen >= EXACT:
                self._see_again(user.key, attempt.client, seen, now)
            return
        # Of two sign-ins on one new device at one time, the one whose row it is tells.
        noted = self._see(user.key, attempt.client, now) if seen is None else self._see_again(user.key, attempt.client, seen, now)
        if noted and attempt.facts[ANY]:
            self.runtime.events.emit(
                SignedInOnNewDevice(
                    user_id=user.key, actor_id=user.key, client=attempt.client, at=now, session_id=session.id,
                    device=device_name(attempt.client.user_agent),
                )
            )  # fmt: skip

    # The account

    def forget(self, user: Any) -> None:
        """Forget an account's devices. `user` is an object of the user class, a view or a key. The next sign-in counts as its first."""
        self.runtime.users.execute(sa.delete(self._table).where(self._table.c.user_id == self.runtime.users.key_of(user)))

    def export(self, key: Key) -> list[dict[str, Any]] | None:  # JSON values
        """What is kept of an account's devices, last seen first; None for nothing."""
        table = self._table
        shown = [table.c[name] for name in ("device", "network", "first_seen_at", "last_seen_at")]
        statement = (
            sa.select(*shown).where(table.c.user_id == key).order_by(table.c.last_seen_at.desc(), table.c.device, table.c.network)
        )
        exported: list[dict[str, Any]] = to_jsonable_python([dict(row) for row in self.runtime.users.execute(statement).mappings()])
        return exported or None

    def purge(self) -> int:
        """Delete the devices that are not known any more, of accounts that have one that is; returns how many.

        An account that has been asleep keeps its last: a sign-in that wakes it on a new device is the very one to tell of.
        """
        table, since = self._table, self.runtime.clock.now() - self._settings.known_for
        # Distinct in a table of its own, because MySQL does not read the table that it deletes from.
        awake = sa.select(table.c.user_id).where(table.c.last_seen_at > since).distinct().subquery("awake")
        gone = sa.delete(table).where(table.c.last_seen_at <= since, table.c.user_id.in_(sa.select(awake.c.user_id)))
        return self.runtime.users.execute(gone).rowcount

    def _see(self, key: Key, client: Client, now: datetime) -> bool:
        """A row for a device that has none; False if it has got one meanwhile."""
        table, users = self._table, self.runtime.users
        device, network = self._place(client)
        values = sa.select(
            users.key_column, sa.literal(device), sa.literal(network), sa.literal(now, UtcDateTime), sa.literal(now, UtcDateTime)
        ).where(users.key_column == key, ~sa.exists(sa.select(table.c.device).where(self._here(key, client))))
        names = ["user_id", "device", "network", "first_seen_at", "last_seen_at"]
        insert = sa.insert(table).from_select(names, values)
        return bool(users.execute(insert.execution_options(preserve_rowcount=True)).rowcount)

    def _see_again(self, key: Key, client: Client, seen: datetime, now: datetime) -> bool:
        """A later time in the device's row; False if somebody else has set it meanwhile."""
        same = sa.and_(self._here(key, client), self._table.c.last_seen_at == seen)
        return bool(self.runtime.users.execute(sa.update(self._table).where(same).values(last_seen_at=now)).rowcount)

    def _here(self, key: Key, client: Client) -> sa.ColumnElement[bool]:
        device, network = self._place(client)
        return sa.and_(self._table.c.user_id == key, self._table.c.device == device, self._table.c.network == network)

    def _place(self, client: Client) -> tuple[str, str]:
        settings = self._settings
        return device_name(client.user_agent), neighbourhood(client.address, settings.ipv4_prefix, settings.ipv6_prefix)
