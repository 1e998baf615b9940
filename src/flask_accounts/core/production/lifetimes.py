"""Check-ups of how long tokens and sessions live, and whom tokens are for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from flask import current_app

from ..checkups import Deployment, Problem, checkup
from ..sessions import SessionSettings
from ..tokens import config

AREA = "tokens"
DOCS = "docs/explanation/sessions-and-rotation.md"
HOUR, MONTH = timedelta(hours=1), timedelta(days=30)


@checkup("long-access-tokens", "warning", area=AREA, docs=DOCS, source="RFC 6750 section 5.3")
def long_access_tokens(deployment: Deployment) -> Iterator[Problem]:
    """Access tokens that live longer than an hour.

    Who steals one has it that long, unless somebody notices and ends the session. What checks tokens elsewhere, without asking this
    app, takes them until they expire.
    """
    lifetime = config.access_expires
    if not isinstance(lifetime, timedelta) or lifetime > HOUR:
        yield Problem(f"JWT_ACCESS_TOKEN_EXPIRES is {lifetime}.", "Set JWT_ACCESS_TOKEN_EXPIRES = timedelta(minutes=15).")


@checkup("long-sessions", "warning", area=AREA, docs=DOCS, source="SP 800-63B-4 section 2.1.3, ASVS 7.3.2")
def long_sessions(deployment: Deployment) -> Iterator[Problem]:
    """Sessions that last longer than 30 days, however much they are used.

    A device that was lost or sold stays signed in.
    """
    lifetime = deployment.runtime.setting(SessionSettings).absolute_lifetime
    if lifetime > MONTH:
        yield Problem(
            f"ACCOUNTS_SESSIONS_ABSOLUTE_LIFETIME is {lifetime.days} days.",
            "Set ACCOUNTS_SESSIONS_ABSOLUTE_LIFETIME = timedelta(days=30).",
        )


@checkup("no-idle-timeout", "info", area=AREA, docs=DOCS, source="ASVS 7.3.1")
def no_idle_timeout(deployment: Deployment) -> Iterator[Problem]:
    """Sessions that nobody has used for long, and that stay open.

    Without a time of their own for inactivity, forgotten sessions last as long as any.
    """
    idle, absolute = config.refresh_expires, deployment.runtime.setting(SessionSettings).absolute_lifetime
    if not isinstance(idle, timedelta) or idle >= absolute:
        yield Problem(
            f"JWT_REFRESH_TOKEN_EXPIRES ({idle}) is not below the absolute lifetime ({absolute}).",
            "Set JWT_REFRESH_TOKEN_EXPIRES = timedelta(days=14).",
        )


@checkup("cached-sessions", "info", area=AREA, docs=DOCS, source="ASVS 7.4.1")
def cached_sessions(deployment: Deployment) -> Iterator[Problem]:
    """Sessions that each process keeps in a cache of its own.

    One that was ended still reads by way of the other processes, until its time in their caches is over. It writes nothing meanwhile.
    """
    settings = deployment.runtime.setting(SessionSettings)
    if settings.cache.get_secret_value() == "memory":
        yield Problem(
            f"ACCOUNTS_SESSIONS_CACHE is memory, for {settings.cache_for.total_seconds():g} seconds.",
            "With several processes, set ACCOUNTS_SESSIONS_CACHE to a redis:// URL, or leave it out.",
        )


@checkup("wide-grace-window", "warning", area=AREA, docs=DOCS, source="RFC 9700 section 4.14.2")
def wide_grace_window(deployment: Deployment) -> Iterator[Problem]:
    """A refresh token that works again for more than a minute after it was used.

    A thief who uses the token in that time is not noticed.
    """
    window = deployment.runtime.setting(SessionSettings).grace_window
    if window > timedelta(minutes=1):
        yield Problem(f"ACCOUNTS_SESSIONS_GRACE_WINDOW is {window}.", "Set ACCOUNTS_SESSIONS_GRACE_WINDOW = timedelta(seconds=10).")


@checkup("long-freshness", "warning", area=AREA, docs=DOCS, source="ASVS 7.5.1")
def long_freshness(deployment: Deployment) -> Iterator[Problem]:
    """Sessions that count as recently authenticated for more than an hour.

    Who sits down at an unlocked screen can change the password's owner: address, password, ways to sign in.
    """
    span = deployment.runtime.setting(SessionSettings).fresh_for
    if span > HOUR:
        yield Problem(f"ACCOUNTS_SESSIONS_FRESH_FOR is {span}.", "Set ACCOUNTS_SESSIONS_FRESH_FOR = timedelta(minutes=15).")


@checkup("wide-leeway", "warning", area=AREA, docs=DOCS, source="RFC 7519 section 4.1.4")
def wide_leeway(deployment: Deployment) -> Iterator[Problem]:
    """Tokens that are taken for more than five minutes after they have expired.

    Leeway is for clocks that disagree a little; each second of it is added to every token's life.
    """
    leeway = current_app.config["JWT_DECODE_LEEWAY"]
    seconds = leeway.total_seconds() if isinstance(leeway, timedelta) else leeway
    if seconds > 300:
        yield Problem(f"JWT_DECODE_LEEWAY is {leeway}.", "Set JWT_DECODE_LEEWAY = 10, and synchronise the clocks (NTP).")


@checkup("tokens-for-anybody", "info", area=AREA, docs=DOCS, source="ASVS 9.2.3, RFC 8725 section 3.9")
def tokens_for_anybody(deployment: Deployment) -> Iterator[Problem]:
    """Tokens that do not say who made them and for whom.

    Two apps that share a key take each other's tokens.
    """
    missing = [
        name
        for name, value in (("JWT_ENCODE_AUDIENCE", config.encode_audience), ("JWT_ENCODE_ISSUER", config.encode_issuer))
        if not value
    ]
    if missing:
        yield Problem(f"Not set: {', '.join(missing)}.", "Set JWT_ENCODE_AUDIENCE and JWT_ENCODE_ISSUER to this app's name or URL.")
