"""A hasher that counts: how much work an answer took is compared by hash calls, not by clocks."""

from __future__ import annotations

from tests.conftest import Site


class CountingHasher:
    """Wraps the site's hasher; `calls` holds `hash` and `verify` in order."""

    def __init__(self, site: Site) -> None:
        bounded = site.testing.runtime.hasher
        self.inner = bounded.inner
        self.calls: list[str] = []
        bounded.inner = self

    def hash(self, password: str) -> str:
        self.calls.append("hash")
        return self.inner.hash(password)

    def verify(self, password: str, encoded: str) -> bool:
        self.calls.append("verify")
        return self.inner.verify(password, encoded)

    def needs_rehash(self, encoded: str) -> bool:
        return self.inner.needs_rehash(encoded)

    def taken(self) -> list[str]:
        """The calls since the last look."""
        found, self.calls = self.calls, []
        return found
