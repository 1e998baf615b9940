"""Check-ups of the keys that sign tokens."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import timedelta

from ...core.checkups import Checkup, Deployment, Problem, checkup
from .service import SigningKeyService
from .stores import KeyFolder

AREA = "keys"
DOCS = "docs/how-to/signing-keys.md"
OLD = timedelta(days=365)
"""Age at which a key is due."""


@checkup("no-signing-key", "error", area=AREA, docs=DOCS, reads_tables=True)
def no_signing_key(deployment: Deployment) -> Iterator[Problem]:
    """A folder or a table of keys without one that signs.

    Nobody can sign in: every attempt is answered by a 503.
    """
    ring = deployment.runtime.key_ring()
    if ring is not None and ring.signing is None:
        yield Problem("There is no key that signs tokens.", "Run: flask accounts keys generate")


@checkup(
    "old-signing-key", "warning", area=AREA, docs=DOCS, source="ASVS 11.2.2, NIST SP 800-57 part 1 section 5.3.6", reads_tables=True
)
def old_signing_key(deployment: Deployment) -> Iterator[Problem]:
    """A key that has signed for more than a year.

    The longer it is in use, the more have had the chance to copy it, and a rotation that nobody has practised fails on the day it matters.
    """
    service, now = deployment.runtime.get(SigningKeyService), deployment.runtime.clock.now()
    for key in service.states() if service.store else ():
        began = key.signs_from or key.created_at
        if key.state == "signing" and began is not None and now - began > OLD:
            yield Problem(f"The key {key.kid[:8]} has signed since {began:%Y-%m-%d}.", "Run: flask accounts keys rotate")


@checkup(
    "weak-signing-key",
    "error",
    area=AREA,
    docs=DOCS,
    source="RFC 7518 section 3.3, NIST SP 800-57 part 1 section 5.6.1",
    reads_tables=True,
)
def weak_signing_key(deployment: Deployment) -> Iterator[Problem]:
    """An RSA key of fewer than 2048 bits, among those that sign or still verify.

    Such keys can be factored, and whoever has done it signs in as anybody.
    """
    ring = deployment.runtime.key_ring() if deployment.runtime.get(SigningKeyService).source else None
    for key in ring.keys if ring else ():
        bits = getattr(key.public, "key_size", 0)
        if key.jwk["kty"] == "RSA" and bits < 2048:
            yield Problem(
                f"The key {key.kid[:8]} has {bits} bits.", "Rotate it out, and retire it: flask accounts keys rotate --now"
            )


@checkup("readable-key-file", "error", area=AREA, docs=DOCS, source="ASVS 13.3.1")
def readable_key_file(deployment: Deployment) -> Iterator[Problem]:
    """Files of private keys that other users of the machine can read.

    Whoever reads one signs in as anybody.
    """
    store = deployment.runtime.get(SigningKeyService).store
    if not isinstance(store, KeyFolder) or not store.path.exists():
        return
    for file in store.files():
        mode = file.stat().st_mode
        if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP) and b"PUBLIC KEY" not in file.read_bytes():
            yield Problem(f"{file} has the mode {stat.S_IMODE(mode):o}.", f"Run: chmod 600 {file}")


@checkup("unnamed-issuer", "warning", area=AREA, docs=DOCS, source="RFC 8725 section 3.8, ASVS 9.2.3")
def unnamed_issuer(deployment: Deployment) -> Iterator[Problem]:
    """Published keys, and tokens that do not say who made them or for whom.

    Other services verify them by these keys, and cannot tell those that are for them from those for somebody else.
    """
    config = deployment.app.config
    missing = [name for name in ("JWT_ENCODE_ISSUER", "JWT_ENCODE_AUDIENCE") if not config.get(name)]
    pairs = deployment.runtime.get(SigningKeyService).source is not None or config.get("JWT_PRIVATE_KEY")
    if pairs and missing:
        yield Problem(
            f"Not set: {', '.join(missing)}.",
            "Set JWT_ENCODE_ISSUER to this app's URL, and JWT_ENCODE_AUDIENCE to the names of the services that its tokens are for.",
        )


CHECKUPS: tuple[Checkup, ...] = (
    no_signing_key, old_signing_key, weak_signing_key, readable_key_file, unnamed_issuer,
)  # fmt: skip
