"""A person's words for where a client is: "Firefox on Linux", and the neighbourhood of its address.

Hints for lists and notices, never a basis for letting somebody in: a client says what it likes.
"""

from __future__ import annotations

import ipaddress
import re

_BROWSERS = (
    (r"\bEdgA?/", "Edge"), (r"\bOPR/", "Opera"), (r"\bSamsungBrowser/", "Samsung Internet"), (r"\b(?:Firefox|FxiOS)/", "Firefox"),
    (r"\b(?:Chrome|CriOS|Chromium)/", "Chrome"), (r"\bVersion/.* Safari/", "Safari"), (r"^curl/", "curl"),
    (r"^python-(?:requests|httpx)/|^Python-urllib/", "Python"), (r"^okhttp/", "Android app"),
)  # fmt: skip
_SYSTEMS = (
    (r"\biPhone\b", "iPhone"), (r"\biPad\b", "iPad"), (r"\bAndroid\b", "Android"), (r"\bWindows\b", "Windows"),
    (r"\bMac OS X\b|\bMacintosh\b", "macOS"), (r"\bCrOS\b", "ChromeOS"), (r"\bLinux\b", "Linux"),
)  # fmt: skip


UNKNOWN = "Unknown device"


def device_name(user_agent: str | None) -> str:
    """The browser and system that `user_agent` claims, as far as they are well known."""
    text = user_agent or ""
    browser = next((name for pattern, name in _BROWSERS if re.search(pattern, text)), None)
    system = next((name for pattern, name in _SYSTEMS if re.search(pattern, text)), None)
    return " on ".join(name for name in (browser, system) if name) or UNKNOWN


def neighbourhood(address: str | None, ipv4_prefix: int, ipv6_prefix: int) -> str:
    """The network of `address` of so many bits, or `unknown`. An IPv4 address in IPv6 clothes is itself."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    prefix = ipv4_prefix if found.version == 4 else ipv6_prefix
    return str(ipaddress.ip_network((found, prefix), strict=False))
