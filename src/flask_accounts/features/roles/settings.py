"""Settings of roles."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from ...core.settings import Settings


class RoleSettings(Settings):
    """Which role administers, and which permissions the host's own code asks for."""

    prefix: ClassVar[str] = "roles"

    admin_role: str = Field(default="admin", pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")
    """The administrators' role: it holds every permission (`*`), cannot be removed or weakened, and never loses its last member."""
    permissions: tuple[str, ...] = ()
    """Permissions of the host's own, such as `posts:publish`, that roles may hold."""
