"""Settings of registration."""

from __future__ import annotations

from typing import ClassVar

from ...core.settings import Settings


class RegistrationSettings(Settings):
    """Whether people may register, and what they get."""

    prefix: ClassVar[str] = "registration"

    open: bool = True
    """Anybody may register. Off: only holders of `users:write`, commands and host code make accounts."""
    sign_in: bool = False
    """Registering also signs in: the answer then carries tokens."""
    username_required: bool = False
    """A username must be given."""
