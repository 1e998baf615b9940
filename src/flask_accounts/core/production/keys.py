"""Check-ups of the keys that sign: whoever knows one is everybody."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from ..checkups import Deployment, Problem, checkup
from ..cli import counted
from ..jwt_extended import PassingKey
from ..tokens import KEY_PAIR, MINIMUM_KEY, Tokens, TokenSettings, config

AREA = "keys"
DOCS = "docs/how-to/deployment.md#keys"
MAKE_ONE = "the output of: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
ENOUGH_BITS = 128

PRINTED = (
    # In the documentation of Flask, FastAPI and jwt.io, and in tutorials that thousands have followed.
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "5791628bb0b13ce0c676dfde280ba245",
    "a-string-secret-at-least-256-bits-long",
)
"""Keys that look random and are known to all."""
WORDS = re.compile(
    rb"secret|change|default|example|password|passphrase|signing|insecure|please|production|develop|localhost|random|replace|"
    rb"string|testing|flask|token|admin|(?:^|[-_ .])(?:dev|test|key|your)(?:[-_ .]|$)"
)
"""What people put into keys that they type. It is in a random key of 64 characters once in some 100 000 times."""
ALPHABETS = ((rb"\d+", 10), (rb"[\da-f]+|[\dA-F]+", 16), (rb"[a-z]+|[A-Z]+", 26), (rb"[a-z\d]+|[A-Z\d]+", 36), (rb"[\w-]+", 64))


def why_guessable(key: str | bytes) -> str | None:
    """Why somebody could find a key by trying; None for one that looks random."""
    raw = key.encode() if isinstance(key, str) else key
    if raw.decode("latin-1") in PRINTED:
        return "is printed in a tutorial"
    if raw in (raw + raw)[1:-1]:
        return "repeats itself"
    if len(set(raw)) < 10:
        return "has fewer than ten different characters"
    if WORDS.search(raw.lower()):
        return "is made of words"
    if _bits(raw) < ENOUGH_BITS:
        return f"has fewer than {ENOUGH_BITS} bits, even if it is random"
    return None


def _bits(raw: bytes) -> float:
    size = next((size for pattern, size in ALPHABETS if re.fullmatch(pattern, raw)), 256)
    return len(raw) * math.log2(size)


@checkup("random-signing-key", "error", area=AREA, docs=DOCS)
def random_signing_key(deployment: Deployment) -> Iterator[Problem]:
    """A signing key that was made at start, because none is set.

    Every process has another one, and at each restart everybody is signed out.
    """
    if isinstance(deployment.app.config.get("JWT_SECRET_KEY"), PassingKey):
        yield Problem("There is no signing key; this process has made one for itself.", f"Set JWT_SECRET_KEY to {MAKE_ONE}")


@checkup("short-signing-key", "error", area=AREA, docs=DOCS, source="RFC 7518 section 3.2, RFC 8725 section 3.5")
def short_signing_key(deployment: Deployment) -> Iterator[Problem]:
    """A signing key with fewer bytes than its algorithm needs.

    Whoever has one token can try keys at home, and with the right one signs in as anybody.
    """
    needed, key = MINIMUM_KEY.get(config.algorithm), _signing_key(deployment)
    if needed and len(key) < needed:
        yield Problem(
            f"{_name(deployment)} has {len(key)} bytes; {config.algorithm} needs {needed}.", f"Set JWT_SECRET_KEY to {MAKE_ONE}"
        )


@checkup("guessable-signing-key", "error", area=AREA, docs=DOCS, source="RFC 8725 section 3.5, ASVS 11.5.1")
def guessable_signing_key(deployment: Deployment) -> Iterator[Problem]:
    """A signing key that can be guessed: from a tutorial, made of words, or repeating itself.

    Whoever has one token can try keys at home, and with the right one signs in as anybody.
    """
    if config.algorithm not in MINIMUM_KEY:
        return
    if why := why_guessable(_signing_key(deployment)):
        yield Problem(f"{_name(deployment)} {why}.", f"Set JWT_SECRET_KEY to {MAKE_ONE}")
    for key in deployment.runtime.setting(TokenSettings).previous_keys:
        if why := why_guessable(key.get_secret_value()):
            yield Problem(
                f"A key of the past, which still verifies, {why}.", "Take it out of ACCOUNTS_TOKENS_PREVIOUS_KEYS at once."
            )


@checkup("guessable-secret-key", "error", area=AREA, docs=DOCS, source="ASVS 11.5.1")
def guessable_secret_key(deployment: Deployment) -> Iterator[Problem]:
    """A `SECRET_KEY` that can be guessed, where tokens are signed with another one.

    Flask signs its session cookies with it, and much else does: with the key anybody makes them up.
    """
    secret = deployment.app.secret_key
    if secret and _raw(secret) != _signing_key(deployment) and (why := why_guessable(secret)):
        yield Problem(f"SECRET_KEY {why}.", f"Set SECRET_KEY to {MAKE_ONE}")


@checkup("one-key-for-all", "info", area=AREA, docs=DOCS, source="NIST SP 800-57 part 1 section 5.2")
def one_key_for_all(deployment: Deployment) -> Iterator[Problem]:
    """One key for tokens and for Flask's session cookies.

    What leaks in one place is lost in the other, and neither can be changed alone.
    """
    secret = deployment.app.secret_key
    if secret and config.algorithm in MINIMUM_KEY and _raw(secret) == _signing_key(deployment):
        yield Problem("Tokens are signed with SECRET_KEY.", f"Set JWT_SECRET_KEY to another value, {MAKE_ONE}")


@checkup("previous-keys", "info", area=AREA, docs=DOCS, source="ASVS 11.2.2")
def previous_keys(deployment: Deployment) -> Iterator[Problem]:
    """Keys of the past that still verify.

    Whoever has an old key signs in as anybody, for as long as it is kept.
    """
    kept = len(deployment.runtime.setting(TokenSettings).previous_keys)
    if kept:
        yield Problem(
            f"ACCOUNTS_TOKENS_PREVIOUS_KEYS holds {kept}.",
            f"Take a key out {config.refresh_expires or 'an absolute lifetime of sessions'} after the change (JWT_REFRESH_TOKEN_EXPIRES).",
        )


@checkup("several-algorithms", "warning", area=AREA, docs=DOCS, source="RFC 8725 section 3.1, ASVS 9.1.2")
def several_algorithms(deployment: Deployment) -> Iterator[Problem]:
    """Tokens that are taken under another algorithm than they are signed with.

    The fewer there are, the less there is to attack.
    """
    others = sorted(set(config.decode_algorithms) - {config.algorithm})
    if others:
        yield Problem(
            f"Tokens are signed with {config.algorithm}; {', '.join(others)} is taken too.", "Leave JWT_DECODE_ALGORITHMS out."
        )


@checkup("small-key-pair", "error", area=AREA, docs=DOCS, source="RFC 7518 section 3.3")
def small_key_pair(deployment: Deployment) -> Iterator[Problem]:
    """An RSA key of fewer than 2048 bits.

    Such keys can be factored.
    """
    if config.algorithm not in KEY_PAIR or config.algorithm[:2] not in ("RS", "PS"):
        return
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    bits = getattr(load_pem_public_key(_raw(deployment.app.config["JWT_PUBLIC_KEY"])), "key_size", 0)
    if bits < 2048:
        yield Problem(f"JWT_PUBLIC_KEY has {bits} bits.", "Make a new pair: openssl genrsa -out key.pem 3072")


@checkup("sealed-rows", "error", area=AREA, docs="docs/how-to/change-secrets.md", source="ASVS 13.3.1", reads_tables=True)
def sealed_rows(deployment: Deployment) -> Iterator[Problem]:
    """What is kept sealed in the database and opens no more, or only by an older secret.

    A second factor that does not open lets its owner in no more, and a key that does not open signs and verifies nothing. Older
    secrets must stay configured until all is sealed anew.
    """
    for each in deployment.runtime.sealed_columns():
        _, older, unknown = each.seals()
        if unknown:
            yield Problem(
                f"{each.name}: {counted(unknown, 'row')} cannot be opened.",
                "Put the secret that sealed them behind the first of ACCOUNTS_AT_REST_KEYS (or into SECRET_KEY_FALLBACKS), and run flask accounts reseal.",
            )
        if older:
            yield Problem(
                f"{each.name}: {counted(older, 'row')} sealed by an older secret.", "Run flask accounts reseal.", severity="info"
            )


@checkup("jwt-manager-replaced", "error", area=AREA, docs="docs/how-to/flask-jwt-extended.md")
def jwt_manager_replaced(deployment: Deployment) -> Iterator[Problem]:
    """A `JWTManager(app)` that was made after `accounts.init_app(app)`.

    Plain `@jwt_required()` takes tokens then that were revoked, and sign-in fails.
    """
    if not deployment.runtime.get(Tokens).manages(deployment.app):
        yield Problem(
            "Another JWTManager has taken the place of ours.",
            "Call JWTManager(app) before accounts.init_app(app), or leave it out.",
        )


def _signing_key(deployment: Deployment) -> bytes:
    return _raw(deployment.app.config.get("JWT_SECRET_KEY") or deployment.app.secret_key or b"")


def _name(deployment: Deployment) -> str:
    return "The signing key (JWT_SECRET_KEY)" if deployment.app.config.get("JWT_SECRET_KEY") else "The signing key (SECRET_KEY)"


def _raw(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else key
