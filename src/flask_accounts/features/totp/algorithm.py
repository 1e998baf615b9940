"""TOTP (RFC 6238) over HOTP (RFC 4226): values in, values out.

Six digits, SHA-1 and 30 seconds are what all authenticator apps understand; many take what else the URI says for that. HMAC-SHA-1 is not
touched by what is known against SHA-1 (RFC 6194 section 3.3).
"""

from __future__ import annotations

import base64
import hmac
import re
from datetime import datetime
from urllib.parse import quote

DIGITS, PERIOD = 6, 30
SECRET = 20
"""Bytes of a secret: 160 bits (RFC 4226 section 4, R6)."""


def hotp(secret: bytes, counter: int, digits: int = DIGITS, algorithm: str = "sha1") -> str:
    """The code of a counter."""
    digest = hmac.digest(secret, counter.to_bytes(8, "big"), algorithm)
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**digits:0{digits}}"


def step_at(now: datetime) -> int:
    """The step of a moment."""
    return int(now.timestamp()) // PERIOD


def matching_step(secret: bytes, code: str, now: datetime, *, drift: int, after: int = -1) -> int | None:
    """The step, of those within `drift` of `now` and later than `after`, whose code this is; None if there is none.

    `code` as people type it, with blanks or a hyphen; other digits than ASCII's are none. Looks at all steps, whichever it is.
    """
    digits = re.sub(r"[ -]", "", code)
    if not re.fullmatch(rf"[0-9]{{{DIGITS}}}", digits):
        return None
    present = step_at(now)
    found = [
        step
        for step in range(present - drift, present + drift + 1)
        if step >= 0 and hmac.compare_digest(hotp(secret, step), digits)
    ]
    return next((step for step in found if step > after), None)


def shown(secret: bytes) -> str:
    """The secret in base 32, for who types it."""
    return base64.b32encode(secret).decode().rstrip("=")


def uri(secret: bytes, *, issuer: str, account: str) -> str:
    """The otpauth URI that authenticator apps read (Google Authenticator, Key Uri Format)."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='@')}"
    return (
        f"otpauth://totp/{label}?secret={shown(secret)}&issuer={quote(issuer, safe='')}"
        f"&algorithm=SHA1&digits={DIGITS}&period={PERIOD}"
    )
