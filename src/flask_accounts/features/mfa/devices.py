"""Remembered devices: where the owner wants it and the app allows it, a device is asked for the second factor but now and then.

The device keeps a secret, in a cookie that no script reads or in the client's own store; here lies its digest. It opens nothing by itself:
the first credential is asked for as ever, and the session counts as authenticated when the device last proved both factors, so that
nothing that asks for recent authentication lets it pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic_core import to_jsonable_python

from ...core.binding import digest, new_secret
from ...core.devices import device_name
from ...core.errors import NotFound
from ...core.events import Client, DeviceRemembered, DevicesForgotten, Key
from ...core.feature import Service
from ...core.gates import Fact, LoginAttempt
from ...core.models import UtcDateTime, uuid7
from ...core.runtime import Runtime
from ...core.users import ACCOUNT
from .models import RememberedDeviceMixin
from .settings import MfaSettings

PROVED = "mfa_device_proved_at"
"""The name of the fact."""
MOST = 20
"""Most devices that one account has remembered; one more and the oldest is forgotten."""


@dataclass(frozen=True)
class Device:
    """A remembered device."""

    id: UUID
    device: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


_COLUMNS = tuple(Device.__dataclass_fields__)


class RememberedDevices(Service):
    """Remembers devices and forgets them."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._table: sa.Table = runtime.model(RememberedDeviceMixin).__table__

    @property
    def on(self) -> bool:
        """Whether the app remembers any."""
        return bool(self.runtime.setting(MfaSettings).remember_for)

    def fact(self) -> Fact:
        """When both factors were last proved on the device that signs in, if it is remembered."""
        c = self._table.c
        here = sa.and_(
            c.user_id == sa.bindparam(ACCOUNT), c.secret_hash == sa.bindparam("mfa_device"),
            c.expires_at > sa.bindparam("mfa_now", type_=UtcDateTime),
        )  # fmt: skip

        def values(attempt: LoginAttempt) -> Mapping[str, Any]:
            return {"mfa_device": attempt.client.device or "", "mfa_now": self.runtime.clock.now()}

        return Fact(sa.select(c.created_at).where(here).scalar_subquery(), values)

    def remember(self, key: Key, client: Client) -> tuple[str, Device]:
        """Remember the device that asks: the secret that it keeps, and what is known of it. `NotFound` where the app remembers none."""
        span = self.runtime.setting(MfaSettings).remember_for
        if not span:
            raise NotFound("Devices are not remembered here.")
        secret, now = new_secret(), self.runtime.clock.now()
        made = Device(uuid7(now), device_name(client.user_agent), now, now, now + span)
        for old in self.of(key)[MOST - 1 :]:
            self._delete(key, self._table.c.id == old.id)
        values = {name: getattr(made, name) for name in _COLUMNS} | {"user_id": key, "secret_hash": digest(secret)}
        self.runtime.users.execute(sa.insert(self._table).values(values))
        told: dict[str, Any] = {"user_id": key, "actor_id": key, "client": client, "at": now}
        self.runtime.events.emit(DeviceRemembered(**told, device=made.device, until=made.expires_at))
        return secret, made

    def used(self, attempt: LoginAttempt) -> None:
        """Note that a sign-in was not asked on its device."""
        using = sa.update(self._table).where(self._table.c.secret_hash == (attempt.client.device or ""))
        self.runtime.users.execute(using.values(last_used_at=self.runtime.clock.now()))

    def of(self, key: Key) -> list[Device]:
        """The account's devices, last used first."""
        c, now = self._table.c, self.runtime.clock.now()
        columns = [c[name] for name in _COLUMNS]
        found = sa.select(*columns).where(c.user_id == key, c.expires_at > now).order_by(c.last_used_at.desc(), c.id.desc())
        return [Device(**row) for row in self.runtime.users.execute(found).mappings()]

    def forget(self, key: Key, device_id: UUID, *, actor_id: Key | None = None, client: Client | None = None) -> None:
        """Forget one of an account's devices; `NotFound`."""
        if not self._delete(key, self._table.c.id == device_id):
            raise NotFound
        self._tell(key, 1, actor_id, client)

    def forget_all(self, key: Key, *, actor_id: Key | None = None, client: Client | None = None) -> None:
        """Forget all devices of an account."""
        if number := self._delete(key):
            self._tell(key, number, actor_id, client)

    def erase(self, key: Key) -> None:
        """The same without a word, of an account that is being deleted."""
        self._delete(key)

    def export(self, key: Key) -> list[dict[str, Any]]:  # JSON values
        """The account's devices, without what they keep."""
        exported: list[dict[str, Any]] = to_jsonable_python(self.of(key))
        return exported

    def purge(self) -> int:
        """Delete those whose time is over; returns how many."""
        over = self._table.c.expires_at <= self.runtime.clock.now()
        return self.runtime.users.execute(sa.delete(self._table).where(over)).rowcount

    def _delete(self, key: Key, *which: sa.ColumnElement[bool]) -> int:
        return self.runtime.users.execute(sa.delete(self._table).where(self._table.c.user_id == key, *which)).rowcount

    def _tell(self, key: Key, number: int, actor_id: Key | None, client: Client | None) -> None:
        now = self.runtime.clock.now()
        self.runtime.events.emit(DevicesForgotten(user_id=key, actor_id=actor_id, client=client, at=now, number=number))
