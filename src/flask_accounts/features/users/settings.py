"""Settings of accounts and their lists."""

from __future__ import annotations

from typing import ClassVar, Literal

from ...core.settings import Settings


class UserSettings(Settings):
    """Who may see the list of accounts."""

    prefix: ClassVar[str] = "users"

    directory: Literal["admin", "authenticated"] = "admin"
    """`admin`: only holders of `users:read` list accounts. `authenticated`: every signed-in person lists the public fields of active ones."""
