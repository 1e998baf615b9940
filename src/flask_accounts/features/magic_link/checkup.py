"""Check-ups of the sign-in by mail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .settings import MagicLinkSettings

AREA = "accounts"
DOCS = "docs/how-to/sign-in-by-mail.md"


@checkup("long-magic-links", "warning", area=AREA, docs=DOCS, source="ASVS 6.5.5")
def long_magic_links(deployment: Deployment) -> Iterator[Problem]:
    """Mails that sign in for longer than ten minutes.

    Whoever comes upon one in time, and has the browser, is in.
    """
    lifetime = deployment.runtime.setting(MagicLinkSettings).lifetime
    if lifetime > timedelta(minutes=10):
        yield Problem(f"ACCOUNTS_MAGIC_LINK_LIFETIME is {lifetime}.", "Leave ACCOUNTS_MAGIC_LINK_LIFETIME out.")


@checkup("unbound-magic-links", "warning", area=AREA, docs=DOCS, source="ASVS 6.6.2")
def unbound_magic_links(deployment: Deployment) -> Iterator[Problem]:
    """Mailed links that work in any browser.

    Whoever gets hold of one is in, and whoever opens an attacker's is signed in as the attacker.
    """
    if not deployment.runtime.setting(MagicLinkSettings).bind_browser:
        yield Problem("ACCOUNTS_MAGIC_LINK_BIND_BROWSER is False.", "Leave ACCOUNTS_MAGIC_LINK_BIND_BROWSER out.")


CHECKUPS: tuple[Checkup, ...] = (long_magic_links, unbound_magic_links)
