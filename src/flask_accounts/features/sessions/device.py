"""A person's words for a user agent: "Firefox on Linux". A hint in a list, never a basis for a decision."""

from __future__ import annotations

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


def device_name(user_agent: str | None) -> str:
    """The browser and system that `user_agent` claims, as far as they are well known."""
    text = user_agent or ""
    browser = next((name for pattern, name in _BROWSERS if re.search(pattern, text)), None)
    system = next((name for pattern, name in _SYSTEMS if re.search(pattern, text)), None)
    return " on ".join(name for name in (browser, system) if name) or "Unknown device"
