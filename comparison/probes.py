"""The questions. Each is asked of a running server and answers with what was measured, in a few words."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from .contender import Http, Site, Tokens, good

PASSWORD, OTHER = "seven brown foxes jump", "a rather different horse"
GRACE = 11.0
"""Seconds that make a token late for every contender; the longest grace window of any is ten."""
ROUNDS, TIMED, GUESSES = 4, 7, 50
NONE = "no refresh tokens"


@dataclass(frozen=True)
class Probe:
    """A question: its heading, what is done, and what the answers mean."""

    name: str
    title: str
    said: str
    ask: Callable[[Site], str]
    limits: bool = False
    """Whether the contender's own limits are left on."""


def _person(site: Site, name: str, password: str = PASSWORD) -> str:
    email = f"{name}@example.com"
    site.contender.create(site.http, email, password)
    return email


def _ok(answer: requests.Response | None) -> bool:
    return answer is not None and good(answer)


def _refresh(site: Site, tokens: Tokens) -> tuple[requests.Response, Tokens | None]:
    answer = site.contender.refresh(site.http, tokens)
    assert answer is not None
    return answer, site.contender.tokens(answer, tokens) if good(answer) else None


def _has_refresh(site: Site, tokens: Tokens) -> bool:
    return tokens.refresh is not None and site.contender.refresh(site.http, tokens) is not None


def concurrent_refresh(site: Site) -> str:
    """Two threads use one refresh token at the same moment; what came of it is used on, one after the other, much later."""
    email = _person(site, "race")
    if not _has_refresh(site, site.contender.sign_in(site.http, email, PASSWORD)):
        return NONE
    pairs: list[list[tuple[requests.Response, Tokens | None]]] = []
    rotates = False
    for _ in range(ROUNDS):
        tokens = site.contender.sign_in(site.http, email, PASSWORD)
        barrier, found = threading.Barrier(2), list[tuple[requests.Response, Tokens | None]]()

        def go(tokens: Tokens = tokens, barrier: threading.Barrier = barrier, found: list[Any] = found) -> None:
            contender, http = site.contender, Http(site.url)
            barrier.wait()
            answer = contender.refresh(http, tokens)
            assert answer is not None
            found.append((answer, contender.tokens(answer, tokens) if good(answer) else None))

        threads = [threading.Thread(target=go) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rotates = rotates or any(after and after.refresh != tokens.refresh for _, after in found)
        pairs.append(found)
    if not rotates:
        return "both served; the token stays the same"
    served = [sum(after is not None for _, after in pair) for pair in pairs]
    failed = sum(answer.status_code >= 500 for pair in pairs for answer, _ in pair)
    going = [[after for _, after in pair if after] for pair in pairs]
    advanced = [_refresh(site, chain[0])[1] if chain else None for chain in going]
    time.sleep(GRACE)
    branches = []
    for chain, first in zip(going, advanced, strict=True):
        second = len(chain) > 1 and _refresh(site, chain[1])[1] is not None
        own = first is not None and _refresh(site, first)[1] is not None
        branches.append(int(second) + int(own))
    both = "both served" if min(served) == 2 else "one served, one refused" if max(served) == 1 else "one or both served"
    if min(served) == 0:
        both += ", sometimes none"
    if failed:
        both += f", {failed} answers of status 500 in {ROUNDS} rounds"
    most = max(branches)
    if most > 1:
        return f"{both}; two lines of tokens live on"
    if most == 1:
        return f"{both}; one line of tokens lives on"
    return f"{both}; " + (
        "one line of tokens, whose second copy ends the session when it comes late" if min(served) == 2 else "nothing lives on"
    )


def lost_answer(site: Site) -> str:
    """A refresh whose answer never arrives: the client sends the same token again at once, and goes on with what it gets."""
    tokens = site.contender.sign_in(site.http, _person(site, "lost"), PASSWORD)
    if not _has_refresh(site, tokens):
        return NONE
    tokens = site.contender.sign_in(site.http, "lost@example.com", PASSWORD)
    _refresh(site, tokens)
    answer, after = _refresh(site, tokens)
    if after is None:
        return f"signed out ({answer.status_code})"
    return (
        "stays signed in" if _ok(site.contender.me(site.http, after)) and _refresh(site, after)[1] else "signed out a little later"
    )


def stolen_refresh(site: Site) -> str:
    """Somebody has a copy of a refresh token. Its owner refreshes twice; later the copy is used."""
    tokens = site.contender.sign_in(site.http, _person(site, "theft"), PASSWORD)
    if not _has_refresh(site, tokens):
        return NONE
    tokens = site.contender.sign_in(site.http, "theft@example.com", PASSWORD)
    owner = _refresh(site, tokens)[1]
    owner = owner and _refresh(site, owner)[1]
    time.sleep(GRACE)
    _, thief = _refresh(site, tokens)
    still = owner is not None and _refresh(site, owner)[1] is not None
    if thief is not None:
        return "the thief is served, and so is the owner" if still else "the thief is served, the owner is not"
    return "refused; nothing more happens" if still else "refused, and the session ends: theft is noticed"


def guessing(site: Site) -> str:
    """50 wrong passwords for one account from one address, as fast as they go; then the right one from there."""
    email = _person(site, "guess")
    http, before, answers = site.http, site.hashes.count, []
    for number in range(GUESSES):
        answers.append(site.contender.login(http, email, f"wrong password {number}").status_code)
    looked = site.hashes.count - before
    last = answers[-1]
    right = site.contender.login(http, email, PASSWORD).status_code
    refused = "" if looked >= GUESSES else f", then {last}"
    return f"{looked} of {GUESSES} are compared with the hash{refused}; the right one then: {right}"


def _compare(site: Site, send: Callable[[Http, str], requests.Response | None], known: list[str], unknown: list[str]) -> str | None:
    """Whether the answers differ for known and unknown addresses, or the time they take."""
    http = site.http
    first = send(http, known[0])
    if first is None:
        return None
    send(http, unknown[0])
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    seen: dict[str, set[tuple[int, str]]] = {"known": set(), "unknown": set()}
    for pair in zip(known[1:], unknown[1:], strict=True):
        for kind, email in zip(("known", "unknown"), pair, strict=True):
            begun = time.perf_counter()
            answer = send(http, email)
            times[kind].append(time.perf_counter() - begun)
            assert answer is not None
            seen[kind].add((answer.status_code, _without_names(answer, email)))
    (status, _), (other, _) = next(iter(seen["known"])), next(iter(seen["unknown"]))
    ratio = statistics.median(times["known"]) / statistics.median(times["unknown"])
    time_said = "in the same time" if 0.6 < ratio < 1.6 else f"{ratio:.2g} times as long for a known one"
    if status != other:
        return f"tells: {status} for known, {other} for unknown addresses"
    if seen["known"] != seen["unknown"]:
        return f"tells by the text ({status})"
    return f"same answer ({status}), {time_said}"


def _without_names(answer: requests.Response, email: str) -> str:
    """An answer's text without what belongs to the one address or the one moment."""
    try:
        body = answer.json()
    except ValueError:
        return answer.text.replace(email, "")
    return str(_shape(body, email))


def _shape(value: Any, email: str) -> Any:
    if isinstance(value, dict):
        hidden = ("id", "csrf_token", "expires_in", "created_at", "updated_at", "meta")
        return {key: None if key in hidden else _shape(item, email) for key, item in value.items()}
    if isinstance(value, list):
        return [_shape(item, email) for item in value]
    return "…" if isinstance(value, str) and email.partition("@")[0] in value else value


def _addresses(site: Site, name: str) -> tuple[list[str], list[str]]:
    """As many addresses with an account, the same ones for every question, as without."""
    known = [f"known{number}@example.com" for number in range(TIMED)]
    for email in known:
        if not site.contender.flags(email):
            site.contender.create(site.http, email, PASSWORD)
    return known, [f"nobody-{name}{number}@example.com" for number in range(TIMED)]


def enumeration_login(site: Site) -> str:
    """Sign-ins with a wrong password, for addresses with and without an account."""
    known, unknown = _addresses(site, "in")
    return str(_compare(site, lambda http, email: site.contender.login(http, email, "not the password"), known, unknown))


def enumeration_register(site: Site) -> str:
    """Registrations of addresses with and without an account."""
    known, unknown = _addresses(site, "up")
    return _compare(site, lambda http, email: site.contender.register(http, email, OTHER), known, unknown) or "no registration"


def enumeration_forgot(site: Site) -> str:
    """Asking for a password reset, for addresses with and without an account."""
    known, unknown = _addresses(site, "forgot")
    return _compare(site, site.contender.forgot, known, unknown) or "no password reset"


EXTRA: dict[str, Any] = {
    "is_admin": True, "is_superuser": True, "is_staff": True, "is_active": False, "active": False, "is_verified": True,
    "email_verified": True, "role": "admin", "roles": ["admin"], "id": 4242,
}  # fmt: skip


def mass_assignment(site: Site) -> str:
    """A registration, and a change of the own account, each once for every member that nobody may set himself."""
    contender, said = site.contender, []
    plain = contender.register(site.http, "plain@example.com", PASSWORD)
    if plain is None:
        said.append("no registration")
    else:
        before, taken, refused = contender.flags("plain@example.com"), [], 0
        for number, (name, value) in enumerate(EXTRA.items()):
            email = f"mass{number}@example.com"
            answer = contender.register(site.http, email, PASSWORD, **{name: value})
            refused += answer is not None and answer.status_code in (400, 422)
            after = contender.flags(email)
            taken += [name] if after is not None and after != before else []
        said.append("registering: " + _taken(taken, refused))
    _person(site, "change")
    tokens = contender.sign_in(site.http, "change@example.com", PASSWORD)
    if contender.update(site.http, tokens, is_admin=True) is not None:
        before, taken, refused = {}, [], 0
        for number, (name, value) in enumerate(EXTRA.items()):
            email = _person(site, f"change{number}")
            before = contender.flags(email)
            answer = contender.update(site.http, contender.sign_in(site.http, email, PASSWORD), **{name: value})
            refused += answer is not None and answer.status_code in (400, 422)
            taken += [name] if contender.flags(email) != before else []
        said.append("changing: " + _taken(taken, refused))
    return "; ".join(said)


def _taken(taken: list[str], refused: int) -> str:
    if taken:
        return "sets " + ", ".join(f"`{name}`" for name in taken)
    return "refused" if refused == len(EXTRA) else "ignored"


def _alive(site: Site, tokens: Tokens) -> str:
    access = _ok(site.contender.me(site.http, tokens))
    refresh = _has_refresh(site, tokens) and _ok(site.contender.refresh(site.http, tokens))
    if not tokens.refresh:
        return "still good" if access else "dead"
    return {
        (True, True): "both tokens still good",
        (True, False): "access token still good",
        (False, True): "refresh token still good",
        (False, False): "dead",
    }[(access, refresh)]


def logout(site: Site) -> str:
    """A sign-out with the access token; then both tokens are tried."""
    tokens = site.contender.sign_in(site.http, _person(site, "out"), PASSWORD)
    answer = site.contender.logout(site.http, tokens)
    if answer is None:
        return "no sign-out"
    return _alive(site, tokens)


def disabled(site: Site) -> str:
    """An administrator switches the account off; then the tokens it had are tried."""
    email = _person(site, "off")
    tokens = site.contender.sign_in(site.http, email, PASSWORD)
    if not site.contender.disable(email):
        return "left to you"
    return _alive(site, tokens)


def password_change(site: Site) -> str:
    """The password is changed; then the tokens of another session of the account are tried."""
    email = _person(site, "change-password")
    thief, owner = (site.contender.sign_in(site.http, email, PASSWORD) for _ in range(2))
    answer = site.contender.change_password(site.http, owner, PASSWORD, OTHER)
    if answer is None:
        return "no password change"
    assert good(answer), answer.text
    return _alive(site, thief)


def statements(site: Site) -> str:
    """SQL statements of a request for the own account, when nothing is cold any more."""
    http = site.http
    tokens = site.contender.sign_in(http, _person(site, "count"), PASSWORD)
    for _ in range(3):
        assert good(site.contender.me(http, tokens))
    before = site.statements.count
    for _ in range(10):
        site.contender.me(http, tokens)
    return f"{(site.statements.count - before) / 10:g}"


PROBES = (
    Probe(
        "concurrent-refresh",
        "Two refreshes at the same moment",
        "Two tabs, or an app and its background job. Good is that both are served "
        "and that one session, with one line of tokens, remains.",
        concurrent_refresh,
    ),
    Probe(
        "lost-answer",
        "A refresh whose answer is lost",
        "A phone in a tunnel sends the same refresh token again at once. Good is that it stays signed in.",
        lost_answer,
    ),
    Probe(
        "stolen-refresh",
        "A stolen refresh token",
        "The owner has refreshed twice; 11 seconds later a copy of the first token is used. Good is "
        "that the copy is refused and that somebody notices.",
        stolen_refresh,
    ),
    Probe(
        "guessing",
        "Guessing one password",
        "50 wrong passwords for one account from one address, as fast as they go, then the right one from the "
        "same place. Good is that few reach the hash; that the owner is held back at the guesser's address is the price.",
        guessing,
        limits=True,
    ),
    Probe(
        "enumeration-login",
        "Signing in: does it tell who has an account?",
        "A wrong password for 6 addresses with an account and 6 without.",
        enumeration_login,
    ),
    Probe("enumeration-register", "Registering: does it tell?", "6 addresses with an account, 6 without.", enumeration_register),
    Probe(
        "enumeration-forgot",
        "Forgotten passwords: does it tell?",
        "6 addresses with an account, 6 without; the mail itself goes nowhere.",
        enumeration_forgot,
    ),
    Probe(
        "mass-assignment",
        "Members that nobody may set himself",
        "One request for each of `" + "`, `".join(EXTRA) + "`. Looked at is what is stored.",
        mass_assignment,
    ),
    Probe("logout", "After signing out", "With the access token, as a client does; then both tokens are tried.", logout),
    Probe("disabled", "After an administrator switches the account off", "The tokens that were there are tried.", disabled),
    Probe("password-change", "After a password change", "The tokens of another session of the account are tried.", password_change),
    Probe("statements", "SQL statements of an authenticated request", "Reading the own account, ten times, on SQLite.", statements),
)
