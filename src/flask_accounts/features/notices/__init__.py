"""Security notices: the owner is told by mail when something about the account changes (ASVS 6.3.7).

A changed address is told to the old one by the feature `email_change`, with the means to undo it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...core.events import Event, Listener, PasswordChanged, RefreshTokenReused
from ...core.feature import Feature
from ...core.runtime import Runtime
from ...core.settings import Settings


class NoticeSettings(Settings):
    """Which notices are sent, where mail is set up."""

    prefix: ClassVar[str] = "notices"

    password_changed: bool = True
    """The password was changed, reset or set by an administrator's command."""
    token_reused: bool = True
    """A refresh token was used twice and its session ended."""


class Notices(Feature):
    """Mails that tell an owner what happened to the account."""

    name: ClassVar[str] = "notices"
    settings: ClassVar[tuple[type[Settings], ...]] = (NoticeSettings,)
    templates: ClassVar[bool] = True

    def listeners(self, runtime: Runtime) -> Sequence[Listener]:
        """Written in the event's transaction, sent after its commit."""

        def listen(event: Event) -> None:
            settings = runtime.setting(NoticeSettings)
            if not runtime.mail.available or event.user_id is None:
                return
            if isinstance(event, PasswordChanged) and settings.password_changed:
                _tell(runtime, "password_changed", event)
            elif isinstance(event, RefreshTokenReused) and settings.token_reused:
                _tell(runtime, "token_reused", event)

        return (listen,)


def _tell(runtime: Runtime, name: str, event: Event) -> None:
    user = runtime.users.view(event.user_id) if event.user_id is not None else None
    if user is not None:
        runtime.write(name, user, client=event.client)
