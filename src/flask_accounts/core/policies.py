"""What makes a password, an e-mail address or a username fit: ordered checks, and the canonical forms.

A password check is a callable `check(password, context) -> FieldProblem | None`; `Accounts(password_checks=[...])`
adds a host's own after the built-in ones. There are no composition rules (ASVS 6.2.5).
"""

from __future__ import annotations

import gzip
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import email_validator

from .errors import FieldProblem, ValidationError
from .passwords import MAX_LENGTH

MAX_EMAIL = 254
"""Longest e-mail address, in characters (RFC 5321 section 4.5.3.1.3, as corrected by erratum 1690)."""
MIN_USERNAME, MAX_USERNAME = 2, 64


@dataclass(frozen=True)
class PasswordContext:
    """What a password is judged against: whose it would be, and words that say too much."""

    email: str | None = None
    username: str | None = None
    words: Sequence[str] = ()


PasswordCheck = Callable[[str, PasswordContext], FieldProblem | None]
"""Given a new password, as typed, and what it may not be like: a problem to tell, or None where the password is fit."""


def check_password(password: str, context: PasswordContext, checks: Iterable[PasswordCheck], *, field: str = "password") -> None:
    """Raise `ValidationError` with the first problem each check finds; the reason is always said."""
    problems = [problem for check in checks if (problem := check(password, context))]
    if problems:
        raise ValidationError([FieldProblem(field, problem.code, problem.message) for problem in problems])


def length_check(minimum: int) -> PasswordCheck:
    """Between `minimum` and 256 characters, counted in code points (ASVS 6.2.1, 6.2.9)."""

    def check(password: str, context: PasswordContext) -> FieldProblem | None:
        length = len(unicodedata.normalize("NFC", password))
        if length < minimum:
            return FieldProblem("password", "password_too_short", f"Use at least {minimum} characters.")
        if length > MAX_LENGTH:
            return FieldProblem("password", "password_too_long", f"Use at most {MAX_LENGTH} characters.")
        return None

    return check


def common_check(password: str, context: PasswordContext) -> FieldProblem | None:
    """Refuse passwords that are among the first an attacker tries (ASVS 6.2.4), also with their case changed."""
    if len(password) <= MAX_LENGTH and folded(password) in common_passwords():
        return FieldProblem("password", "password_common", "This password is among those tried first. Choose another.")
    return None


def likeness_check(password: str, context: PasswordContext) -> FieldProblem | None:
    """Refuse passwords that are the e-mail address, the username or a context word in disguise (ASVS 6.2.11)."""
    if len(password) > MAX_LENGTH:
        return None
    bare = _letters(password)
    local, _, domain = (context.email or "").partition("@")
    names = [context.email or "", local, domain, domain.partition(".")[0], context.username or "", *context.words]
    for name in {_letters(name) for name in names}:
        if len(name) >= 4 and (bare == name or bare == name[::-1] or (name in bare and len(bare) < 2 * len(name))):
            return FieldProblem("password", "password_like_account", "This password is too much like your name or address.")
    return None


@cache
def common_passwords() -> frozenset[str]:
    """The packaged list, folded; its sources stand in `data/README.md`."""
    packed = resources.files("flask_accounts.data").joinpath("common_passwords.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode().split("\n"))


def folded(text: str) -> str:
    """NFKC and case-folded: the form in which usernames are compared and common passwords are looked up."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def normalise_email(address: str) -> str:
    """The canonical form of an e-mail address: NFKC, lower case, international domains in Unicode.

    Dots and plus-parts are kept: they tell mailboxes apart at most providers. Raises ValueError with a
    sentence for what is not an address.
    """
    if len(address) > MAX_EMAIL:
        raise ValueError(f"An e-mail address has at most {MAX_EMAIL} characters.")
    form = email_form(address)
    try:
        # `test_environment` lets the reserved domain `.test` through; mail to it goes nowhere (RFC 2606).
        checked = email_validator.validate_email(form, check_deliverability=False, test_environment=True)
    except email_validator.EmailNotValidError as error:
        raise ValueError(str(error)) from None
    canonical = email_form(checked.normalized)
    if len(canonical) > MAX_EMAIL:
        raise ValueError(f"An e-mail address has at most {MAX_EMAIL} characters.")
    return canonical


def email_form(address: str) -> str:
    """NFKC and lower case, without judging: the form to look an address up by."""
    # Lower case and not case folding: folding would turn one deliverable address into another (ß to ss).
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", address.strip()).lower())


_USERNAME = re.compile(r"[^\W_](?:[\w.\-]*[^\W_])?\Z")


def check_username(username: str) -> str:
    """The username, in NFKC, if it is fit; ValueError with a sentence if not.

    Letters and digits of one script (UTS 39 section 5.1), with `.`, `-` and `_` between them. No `@`:
    a username must never look like somebody's address (ASVS 6.8.1).
    """
    name = unicodedata.normalize("NFKC", username)
    if not MIN_USERNAME <= len(name) <= MAX_USERNAME or len(folded(name)) > MAX_USERNAME:
        raise ValueError(f"Use {MIN_USERNAME} to {MAX_USERNAME} characters.")
    if not _USERNAME.match(name):
        raise ValueError("Use letters and digits, with '.', '-' and '_' between them.")
    if not is_single_script(name):
        raise ValueError("Use letters of one script only.")
    return name


# Scripts that are written together in ordinary text (UTS 39 section 5.1, highly restrictive, less Latin).
_TOGETHER = (
    frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}),
    frozenset({"CJK", "HANGUL"}),
    frozenset({"CJK", "BOPOMOFO"}),
)


def is_single_script(text: str) -> bool:
    """Whether all letters are of one script, as far as Unicode names tell (UTS 39 section 5.1)."""
    scripts = {unicodedata.name(char, "?").split()[0].split("-")[0] for char in text if char.isalpha()}
    return len(scripts) <= 1 or any(scripts <= group for group in _TOGETHER)


def _letters(text: str) -> str:
    return "".join(char for char in folded(text) if char.isalnum())
