"""What the routes of second factors take and show."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from ...core.schemas import ABSENT, Output


class HeldFactorSchema(Output):
    """A second factor of the account."""

    name: str = Field(examples=["totp"])
    """What challenges call it."""
    since: datetime
    """Since when the account has it."""


class MfaSchema(Output):
    """The second factors of an account."""

    enabled: bool
    """Whether the account is asked for one."""
    required: bool
    """Whether it must have one."""
    enrol_by: datetime | None
    """Until when it may do without, if it must have one and has none."""
    factors: list[HeldFactorSchema]
    """Those that it has."""
    available: list[str] = Field(examples=[["totp"]])
    """Those that there are."""
    recovery_codes: int
    """How many recovery codes are left."""
    remember_devices_for: int
    """How many seconds a device is not asked again, if that is wanted; 0: always asked."""


class RecoveryCodesSchema(Output):
    """Recovery codes, shown this once."""

    recovery_codes: list[str] = Field(examples=[["7Q2M8K-0VD3XA-PNC9T4-E6HBZW"]])


class RememberedDeviceSchema(Output):
    """A device that is not asked for a second factor."""

    id: UUID
    device: str
    """Browser and system as the client named itself."""
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


class DeviceListSchema(Output):
    """Remembered devices, last used first."""

    devices: list[RememberedDeviceSchema]


class NewDeviceSchema(RememberedDeviceSchema):
    """The device that was just remembered."""

    device_token: str | None = Field(default=None, json_schema_extra={ABSENT: True})
    """What this client sends as `X-Device-Token` when it signs in. Absent where tokens go by cookies: there a cookie holds it."""
