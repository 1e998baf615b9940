"""Settings of impersonation."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from ...core.settings import Settings


class ImpersonationSettings(Settings):
    """How long somebody may act in another's place, and who hears of it."""

    prefix: ClassVar[str] = "impersonation"

    lifetime: timedelta = Field(default=timedelta(minutes=30), gt=timedelta(0), le=timedelta(hours=4))
    """How long it lasts, whatever is done meanwhile; there is no refresh. Seconds, an ISO 8601 duration or a timedelta."""
    notice: bool = True
    """Whether the owner is told by mail that it has begun."""
    harmless_roles: tuple[str, ...] = ()
    """Roles without permissions that open nothing, such as `customer`. Any other one without permissions may be what your views ask for by
    its name, so who has it is impersonated only by who has it too."""
