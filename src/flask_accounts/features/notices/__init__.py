"""Security notices: the owner is told by mail when something about the account changes (ASVS 6.3.5, 6.3.7).

A changed address is told to the old one by the feature `email_change`, with the means to undo it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from ...core.checkups import Checkup, Deployment, Problem, checkup
from ...core.devices import UNKNOWN
from ...core.events import (
    Client,
    Event,
    FactorChanged,
    Listener,
    PasswordChanged,
    RecoveryCodeUsed,
    RefreshTokenReused,
    SecondFactorFailed,
    SignedInOnNewDevice,
)
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
    new_device: bool = True
    """Somebody signed in on a device that the account has not used before (the feature Devices)."""
    factor_changed: bool = True
    """A second factor or another way to sign in was added or removed (`FactorChanged`)."""
    recovery_code_used: bool = True
    """A recovery code was used, with how many are left."""
    second_factor_failed: bool = True
    """A right password was followed by wrong answers only, as many as one sign-in may give."""
    link_path: str | None = "forgot-password"
    """The page, below `ACCOUNTS_MAIL_BASE_URL`, where whoever did not do it asks for a new password; None leaves the link out."""


@checkup("notices-off", "warning", area="accounts", docs="docs/how-to/mail-and-recovery.md", source="ASVS 6.3.5, ASVS 6.3.7")
def notices_off(deployment: Deployment) -> Iterator[Problem]:
    """Security notices that are switched off.

    The owner of a stolen account is the last to know.
    """
    settings = deployment.runtime.setting(NoticeSettings)
    off = [NoticeSettings.key(name) for name in NoticeSettings.model_fields if getattr(settings, name) is False]
    if off:
        yield Problem(f"Off: {', '.join(off)}.", "Leave them out.")


class Notices(Feature):
    """Mails that tell an owner what happened to the account."""

    name: ClassVar[str] = "notices"
    settings: ClassVar[tuple[type[Settings], ...]] = (NoticeSettings,)
    checkups: ClassVar[tuple[Checkup, ...]] = (notices_off,)
    templates: ClassVar[bool] = True
    mail_samples: ClassVar[Mapping[str, Any]] = {
        "device": "Firefox on Linux", "address": "203.0.113.7", "time": "2026-05-04 17:30 UTC", "factor": "totp", "change": "added",
        "left": 3,
    }  # fmt: skip

    def listeners(self, runtime: Runtime) -> Sequence[Listener]:
        """Written in the event's transaction, sent after its commit."""

        def listen(event: Event) -> None:
            name, context = _NOTICES.get(type(event), (None, None))
            if name is None or context is None or event.user_id is None or not runtime.mail.available:
                return
            settings = runtime.setting(NoticeSettings)
            user = runtime.users.view(event.user_id) if getattr(settings, name) else None
            if user is not None:
                link = runtime.letters.link(settings.link_path) if settings.link_path else None
                runtime.write(name, user, client=event.client, link=link, **context(event))

        return (listen,)


def _nothing(event: Event) -> dict[str, Any]:
    return {}


def _device(event: Event) -> dict[str, Any]:
    # The words of `device_name` and no user agent: whoever signs in could write into a mail of ours with it.
    device = getattr(event, "device", UNKNOWN)
    return _where(event) | {"device": None if device == UNKNOWN else device}


def _factor(event: Event) -> dict[str, Any]:
    return _where(event) | {"factor": getattr(event, "factor", ""), "change": getattr(event, "change", "")}


def _left(event: Event) -> dict[str, Any]:
    return _where(event) | {"left": getattr(event, "left", 0)}


def _where(event: Event) -> dict[str, Any]:
    return {"time": f"{event.at:%Y-%m-%d %H:%M} UTC" if event.at else None, "address": _address(event.client)}


def _address(client: Client | None) -> str | None:
    """The client's address, if it is one: a proxy that is set up badly hands on what a client has made up."""
    try:
        return str(ipaddress.ip_address(client.address or "")) if client else None
    except ValueError:
        return None


_NOTICES: Mapping[type[Event], tuple[str, Callable[[Event], dict[str, Any]]]] = {
    PasswordChanged: ("password_changed", _nothing),
    RefreshTokenReused: ("token_reused", _nothing),
    SignedInOnNewDevice: ("new_device", _device),
    FactorChanged: ("factor_changed", _factor),
    RecoveryCodeUsed: ("recovery_code_used", _left),
    SecondFactorFailed: ("second_factor_failed", _where),
}
"""Each event with the name of its mail, which is that of its setting, and what the mail shows."""
