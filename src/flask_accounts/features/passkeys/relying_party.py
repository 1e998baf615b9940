"""The relying party: for which domain passkeys are made, and which pages may ask for them. Settings decide, never a request."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...core.errors import ConfigurationError
from .settings import PasskeySettings

LOCAL = "localhost"
SUFFIXES = frozenset({
    "co.uk", "org.uk", "com.au", "com.br", "co.jp", "co.nz", "co.za", "co.in", "com.cn", "github.io", "gitlab.io", "herokuapp.com",
    "vercel.app", "netlify.app", "pages.dev", "workers.dev", "web.app", "azurewebsites.net", "onrender.com", "fly.dev",
})  # fmt: skip
"""Public suffixes that are likely to be taken for a domain of one's own. Browsers know all of them and refuse the rest."""
ANDROID = re.compile(r"android:apk-key-hash:[A-Za-z0-9_-]{43}")
"""What an Android app calls its origin."""
LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


@dataclass(frozen=True)
class RelyingParty:
    """For whom passkeys are."""

    id: str
    """The RP ID: a domain."""
    name: str
    origins: tuple[str, ...]
    """On that domain or below it."""
    related: tuple[str, ...] = ()
    """Elsewhere."""
    any_local_port: bool = False
    """In debug mode: every port of localhost."""

    def takes(self, origin: str) -> bool:
        """Whether a page of `origin`, as a browser says it, may ask for passkeys."""
        if self.any_local_port and re.fullmatch(r"http://localhost(:[1-9][0-9]{0,4})?", origin):
            return True
        return origin in self.origins or origin in self.related


def relying_party(settings: PasskeySettings, *, product: str, base_url: str | None, debug: bool) -> RelyingParty:
    """What the settings come to. `base_url` is where links in mails lead. Raises `ConfigurationError` for what no browser would take."""
    given = [_origin(text, "origins") for text in settings.origins]
    name = settings.rp_name or product
    if not given and settings.rp_id is None and base_url is None:
        if debug:
            return RelyingParty(LOCAL, name, (), any_local_port=True)
        raise ConfigurationError(
            "The feature Passkeys must know for which site passkeys are: set ACCOUNTS_PASSKEYS_ORIGINS = ['https://app.example.com'], "
            "and ACCOUNTS_PASSKEYS_RP_ID if they are for a domain above it."
        )
    if not given and base_url is not None:
        parts = urlsplit(base_url)
        given = [_origin(f"{parts.scheme}://{parts.netloc}", "origins (taken from ACCOUNTS_MAIL_BASE_URL)")]
    rp_id = settings.rp_id if settings.rp_id is not None else next((host for origin in given if (host := _host(origin))), "")
    _check_domain(rp_id)
    if not given:
        given = [f"https://{rp_id}"] if rp_id != LOCAL else []
    for origin in given:
        host = _host(origin)
        if host is not None and not _is_below(host, rp_id):
            raise ConfigurationError(
                f"{PasskeySettings.key('origins')}: {origin} is neither on {rp_id} (the RP ID) nor below it. If it uses the same passkeys "
                f"all the same, it belongs to {PasskeySettings.key('related_origins')}."
            )
    return RelyingParty(rp_id, name, tuple(given), _related(settings.related_origins, rp_id), any_local_port=not given)


def _related(texts: Sequence[str], rp_id: str) -> tuple[str, ...]:
    found = tuple(_origin(text, "related_origins") for text in texts)
    for origin in found:
        host = _host(origin)
        if host is None or _is_below(host, rp_id):
            raise ConfigurationError(
                f"{PasskeySettings.key('related_origins')}: {origin} belongs to {PasskeySettings.key('origins')}, since it is no "
                f"page of another domain than {rp_id}."
            )
    return found


def _origin(text: str, setting: str) -> str:
    """An origin as browsers write it (WHATWG HTML, section 7.1.1); `ConfigurationError`."""
    if ANDROID.fullmatch(text):
        return text
    said = f"{PasskeySettings.key(setting) if ' ' not in setting else 'ACCOUNTS_PASSKEYS_ORIGINS' + setting.removeprefix('origins')}: {text!r}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise ConfigurationError(f"{said} is no origin. One is like https://app.example.com.")
    if _is_address(host):
        raise ConfigurationError(
            f"{said}: passkeys are for domains, not for IP addresses. On your own machine, use http://localhost."
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_below(host, LOCAL)):
        raise ConfigurationError(f"{said} must begin with https:// (http:// only for localhost).")
    if not all(map(LABEL.fullmatch, host.split("."))):
        raise ConfigurationError(f"{said} has no host that browsers would write so; write other letters in punycode.")
    usual = 443 if parts.scheme == "https" else 80
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, usual) else "")


def _check_domain(rp_id: str) -> None:
    said = f"{PasskeySettings.key('rp_id')}: {rp_id!r}"
    if _is_address(rp_id):
        raise ConfigurationError(f"{said}: passkeys are for domains, not for IP addresses. On your own machine, use localhost.")
    if not rp_id or not all(map(LABEL.fullmatch, rp_id.split("."))):
        raise ConfigurationError(
            f"{said} is no domain. One is like example.com: without scheme and port, in small letters, others in punycode."
        )
    if ("." not in rp_id and rp_id != LOCAL) or rp_id in SUFFIXES:
        raise ConfigurationError(f"{said} is a suffix under which anybody may have a site: no browser makes passkeys for it.")


def _host(origin: str) -> str | None:
    return urlsplit(origin).hostname if not ANDROID.fullmatch(origin) else None


def _is_below(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
