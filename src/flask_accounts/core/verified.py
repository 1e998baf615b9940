"""Access tokens whose signature was found good a moment ago, so that it is computed once and not on every request.

A signature that is good stays good as long as what it was judged by is the same: keys, algorithms, audience, issuer. All that can
change about a token is asked anew on each request: its times, its session, its account. What is kept is the digest of the token
and its claims: no token lies in memory to be stolen.
"""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

Claims = dict[str, Any]  # what the issuer put in


class VerifiedTokens:
    """The claims of the tokens used last: `size` at least, twice as many at most. For any number of threads.

    `basis` is what they were judged by. There is no lock: what threads do at the same moment costs a token its place at worst.
    """

    def __init__(self, basis: object, size: int) -> None:
        self._basis = copy.deepcopy(basis)  # a list in the app's config may be changed in place
        self._size = size
        self._newer: dict[bytes, str] = {}
        self._older: dict[bytes, str] = {}

    def judged_by(self, basis: object) -> bool:
        """Whether the tokens were judged by just this."""
        return bool(self._basis == basis)

    def get(self, token: str) -> Claims | None:
        """The claims of a token that was found good; None if it is not known. They are the caller's own to change."""
        digest = _digest(token)
        kept = self._newer.get(digest)
        if kept is None:
            kept = self._older.get(digest)
            if kept is None:
                return None
            self._put(digest, kept)
        claims: Claims = json.loads(kept)
        return claims

    def keep(self, token: str, claims: Claims) -> None:
        """Remember that `token` was found good."""
        if self._size:
            self._put(_digest(token), json.dumps(claims))

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)

    def _put(self, digest: bytes, kept: str) -> None:
        if len(self._newer) >= self._size:
            self._older, self._newer = self._newer, {}
        self._newer[digest] = kept


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
