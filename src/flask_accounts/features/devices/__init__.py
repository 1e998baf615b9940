"""Devices: which kinds of browsers an account signs in with, and from about where, so that a new one is told of (ASVS 6.3.5).

A device is what a client says it is (the browser and the system, without versions) in the neighbourhood of its address. It decides
about an event and a notice and never about who gets in: whoever knows the password can claim to be any browser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...core.events import AccountClaimed, Event, Key, Listener
from ...core.feature import Feature, Service
from ...core.gates import Completion, Fact
from ...core.runtime import Runtime
from ...core.settings import Settings
from .models import DeviceMixin
from .service import ANY, SEEN, DeviceService
from .settings import DeviceSettings


class Devices(Feature):
    """Tells of sign-ins on devices that an account has not used before."""

    name: ClassVar[str] = "devices"
    settings: ClassVar[tuple[type[Settings], ...]] = (DeviceSettings,)
    tables: ClassVar[dict[type, str]] = {DeviceMixin: "accounts_devices"}
    services: ClassVar[tuple[type[Service], ...]] = (DeviceService,)

    def sign_in_facts(self, runtime: Runtime) -> Mapping[str, Fact]:
        """When the device was seen, and whether any was, read with the account."""
        service = runtime.get(DeviceService)
        return {SEEN: service.seen_at(), ANY: service.has_any()}

    def completions(self, runtime: Runtime) -> Sequence[Completion]:
        """Once the session is open the device is the account's own, and a new one is told of."""
        return (runtime.get(DeviceService).complete,)

    def listeners(self, runtime: Runtime) -> Sequence[Listener]:
        """The devices of whoever had the account before its owner came are not the owner's."""

        def listen(event: Event) -> None:
            if isinstance(event, AccountClaimed) and event.user_id is not None:
                runtime.get(DeviceService).forget(event.user_id)

        return (listen,)

    def erase(self, runtime: Runtime, key: Key) -> None:
        """Forget the devices of an account that is being deleted."""
        runtime.get(DeviceService).forget(key)

    def export(self, runtime: Runtime, key: Key) -> Any:
        """The devices of an account, last seen first."""
        return runtime.get(DeviceService).export(key)

    def purge(self, runtime: Runtime) -> int:
        """Delete the devices that were not seen for long."""
        return runtime.get(DeviceService).purge()
