"""Settings of the audit log."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from ...core.settings import Settings

MINIMUM_KEY = 32


class AuditSettings(Settings):
    """What the audit log keeps, for how long, and which key protects it."""

    prefix: ClassVar[str] = "audit"

    retention_days: Annotated[int, Field(ge=0)] = 365
    """Days that `flask accounts purge` keeps events for; 0 keeps them for good."""
    export_limit: Annotated[int, Field(ge=0)] = 10_000
    """Most events that an account's export holds, the newest of those about the account and of those it caused; 0 for all. The owner finds older ones at `GET /me/events`."""
    record_refreshes: bool = False
    """Write a row for every token refresh too. It costs each refresh one INSERT; without it a refresh is only logged."""
    record_unknown_logins: bool = False
    """Keep what was typed as address or username where no account has it. People type passwords there by mistake, so only a keyed tag is kept by default: equal for equal logins."""
    chain_key: SecretStr | None = None
    """Secret of the hash chain, 32 characters or more. Without it, one is derived from the signing key; set it if you rotate that one."""
    previous_keys: tuple[SecretStr, ...] = ()
    """Earlier values of the key (or of the signing key it was derived from), by which older events still verify."""

    @field_validator("chain_key", "previous_keys")
    @classmethod
    def _long_enough(cls, value: Any) -> Any:  # a secret, several, or None
        for key in value if isinstance(value, tuple) else (value,):
            if key is not None and len(key.get_secret_value()) < MINIMUM_KEY:
                raise PydanticCustomError("key_short", "A key has at least {least} characters", {"least": MINIMUM_KEY})
        return value
