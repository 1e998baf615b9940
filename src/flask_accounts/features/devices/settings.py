"""Settings of what counts as a device that an account knows."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from ...core.settings import Settings


class DeviceSettings(Settings):
    """When a device is new. Whether its owner is told by mail says `ACCOUNTS_NOTICES_NEW_DEVICE`."""

    prefix: ClassVar[str] = "devices"

    known_for: timedelta = Field(default=timedelta(days=90), gt=timedelta(0))
    """How long a device stays known after a sign-in on it. Seconds, an ISO 8601 duration or a timedelta."""
    ipv4_prefix: int = Field(default=16, ge=1, le=32)
    """How many bits of an IPv4 address make its neighbourhood. Lines at home get a new address every few days, mostly near the last:
    the more bits, the more notices about nothing."""
    ipv6_prefix: int = Field(default=32, ge=1, le=128)
    """The same of IPv6; providers have about 32 bits each."""
