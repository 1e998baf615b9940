"""Settings of API keys."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from ...core.settings import Settings
from ..limits.service import LimitText


def _fit(prefix: str) -> str:
    if not 2 <= len(prefix) <= 24 or not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", prefix):
        raise ValueError("is not 2 to 24 lower-case letters and digits, with '_' between them, such as 'acme_live'")
    return prefix


KeyPrefix = Annotated[str, AfterValidator(_fit)]


class ApiKeySettings(Settings):
    """What API keys look like, how long they live and what ends them."""

    prefix: ClassVar[str] = "api_keys"

    key_prefix: KeyPrefix = "fak"
    """What every key begins with, and by which scanners of published code know whose it is: name it after your app, such as `acme`."""
    previous_key_prefixes: tuple[KeyPrefix, ...] = ()
    """Earlier values of it, whose keys are still good."""
    header: str = Field(default="X-API-Key", pattern=r"^[A-Za-z0-9-]*$", max_length=64)
    """Where a key may be sent beside `Authorization: Bearer`; nowhere else if empty."""
    lifetime: timedelta = Field(default=timedelta(days=90), gt=timedelta(0))
    """How long a key is good whose maker does not say. Seconds, an ISO 8601 duration or a timedelta."""
    max_lifetime: timedelta | None = Field(default=timedelta(days=365), gt=timedelta(0))
    """How long a key may be good at most; None lets people make keys that never expire."""
    max_per_user: int = Field(default=20, ge=1)
    """Most keys one account has at once; those that have expired do not count."""
    limit: LimitText = ""
    """How often each key may be used, such as `600/minute`, beside what its maker says; empty for no limit. A use that is counted costs
    a write."""
    password_change: Literal["revoke", "reset", "keep"] = "revoke"  # noqa: S105  # a choice
    """What a new password of their owner does to keys: `revoke` ends them all, so that whoever had got in is out altogether; `reset` ends
    them where the password was forgotten or taken away, and keeps them where the owner knew the one before; `keep` keeps them. A
    password that is set by mail where nobody had proved the address ends them always. Accounts of programs have no password."""
    notice: bool = True
    """Whether owners are told by mail of a new key."""
    link_path: str | None = None
    """The page, below `ACCOUNTS_MAIL_BASE_URL`, where owners see and revoke their keys; None leaves the link out of the mail."""

    @model_validator(mode="after")
    def _ordered(self) -> ApiKeySettings:
        if self.max_lifetime is not None and self.lifetime > self.max_lifetime:
            raise PydanticCustomError("lifetime_long", "lifetime is longer than max_lifetime")
        return self

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What keys begin with that are taken, that of new ones first."""
        return (self.key_prefix, *self.previous_key_prefixes)
