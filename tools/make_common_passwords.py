"""Make `src/flask_accounts/data/common_passwords.txt.gz` from the lists that Django and zxcvbn ship.

python -m venv /tmp/lists && /tmp/lists/bin/pip install django zxcvbn
/tmp/lists/bin/python tools/make_common_passwords.py
"""

from __future__ import annotations

import gzip
import unicodedata
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

TARGET = Path(__file__).parent.parent / "src" / "flask_accounts" / "data" / "common_passwords.txt.gz"
RUNS = (
    "0123456789",
    "1234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "1q2w3e4r5t6y7u8i9o0p",
    "qazwsxedcrfvtgbyhnujmikolp",
)


def folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def listed() -> Iterator[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    packed = resources.files("django.contrib").joinpath("auth", "common-passwords.txt.gz").read_bytes()
    yield from gzip.decompress(packed).decode().split("\n")
    yield from FREQUENCY_LISTS["passwords"]


def habits(short: list[str]) -> Iterator[str]:
    for word in short:
        yield word * 2
        yield word * 3
    for run in RUNS:
        endless = run * 4
        for length in range(8, 33):
            yield endless[:length]
            yield endless[:length][::-1]
    for char in "0123456789abcdefghijklmnopqrstuvwxyz":
        for length in range(8, 33):
            yield char * length


def main() -> None:
    words = [folded(word.strip()) for word in listed()]
    words = list(dict.fromkeys(word for word in words if word))
    chosen = sorted({word for word in [*words, *habits(words[:2000])] if len(word) >= 8})
    with gzip.GzipFile(TARGET, "wb", compresslevel=9, mtime=0) as file:
        file.write("\n".join(chosen).encode())
    print(f"{len(chosen)} passwords, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
