"""What a key looks like: `<prefix>_<43 characters><6 characters>`, as scanners of published code want it.

The 43 are 256 random bits in base 62, the 6 a CRC-32 of all before them (the form of GitHub's tokens). So a scanner finds keys by one
regular expression with next to no false alarms, and what was mistyped or made up is refused without asking the database. The checksum
is no secret and protects nothing: whoever knows the form can compute it.
"""

from __future__ import annotations

import hashlib
import secrets
import zlib
from collections.abc import Sequence

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BITS = 256
BODY, CHECKSUM = 43, 6
"""Characters: the fewest that hold 256 and 32 bits in base 62."""
HINT = 4
"""Characters of the random part that are kept to tell keys apart: 24 bits of 256."""


def new_secret(prefix: str) -> str:
    """A key that nobody has."""
    start = f"{prefix}_{_base62(secrets.randbits(BITS), BODY)}"
    return start + checksum(start)


def checksum(start: str) -> str:
    """The last characters of a key that begins with `start`."""
    return _base62(zlib.crc32(start.encode()), CHECKSUM)


def is_formed(text: str, prefixes: Sequence[str]) -> bool:
    """Whether `text` could be a key that begins with one of `prefixes`."""
    prefix, _, rest = text.rpartition("_")
    if prefix not in prefixes or len(rest) != BODY + CHECKSUM or not (rest.isascii() and rest.isalnum()):
        return False
    return checksum(text[:-CHECKSUM]) == text[-CHECKSUM:]


def hint_of(secret: str) -> str:
    """The beginning of a key, by which its owner recognises it."""
    prefix, _, rest = secret.rpartition("_")
    return f"{prefix}_{rest[:HINT]}"


def digest(secret: str) -> str:
    """What is kept of a key: 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(DIGITS[digit])
    return "".join(reversed(digits))
