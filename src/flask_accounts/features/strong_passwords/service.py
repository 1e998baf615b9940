"""How strong a password is, by zxcvbn (Wheeler, "zxcvbn: Low-Budget Password Strength Estimation", USENIX Security 2016)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...core.errors import FieldProblem
from ...core.feature import Service
from ...core.policies import PasswordContext
from ...core.runtime import Runtime
from .settings import StrongPasswordSettings

if TYPE_CHECKING:
    from zxcvbn_rs_py import Entropy

PACKAGE = "zxcvbn_rs_py"
"""What the extra installs: the Rust implementation, with the scores of the original at a sixth of the time of the one in Python."""
JUDGED = 40
"""Characters that are judged. The time grows with the square of them, and for many look-alike characters (`4@8({[`) faster: 40 cost at
most 0.13 s where 100 cost 0.6 s, and no other thread runs meanwhile. Who has to guess the whole has to guess its beginning
too, so what is left out makes no password weaker than is said."""
_PARTS = re.compile(r"[^\W_]+")


class StrengthService(Service):
    """Estimates how many guesses a password stands, in the eyes of one who knows whose it is."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._least = runtime.setting(StrongPasswordSettings).min_score

    def check(self, password: str, context: PasswordContext) -> FieldProblem | None:
        """The password check: refuses what scores less than `ACCOUNTS_STRONG_PASSWORDS_MIN_SCORE`, and says what would help."""
        estimate = self._estimate(password, context)
        if int(estimate.score) >= self._least:
            return None
        return FieldProblem("password", "password_guessable", " ".join(_reasons(estimate)))

    def score(self, password: str, context: PasswordContext | None = None) -> int:
        """From 0, guessed at once, to 4; such as for a meter of the host's. Passwords are judged by their first 40 characters."""
        return int(self._estimate(password, context or PasswordContext()).score)

    def _estimate(self, password: str, context: PasswordContext) -> Entropy:
        from zxcvbn_rs_py import zxcvbn  # at the first password: an app starts without its lists of words

        form = unicodedata.normalize("NFC", password)[:JUDGED]  # the form that is hashed
        known = sorted(set(self._words(context)))
        return zxcvbn(_encodable(form), [_encodable(word) for word in known])

    def _words(self, context: PasswordContext) -> Iterator[str]:
        """What an attacker knows: the address, the username, the app's words and its name, each whole and in parts."""
        for text in (context.email or "", context.username or "", *context.words, self.runtime.letters.product):
            form = unicodedata.normalize("NFC", text)
            yield from (form, *_PARTS.findall(form))


def _reasons(estimate: Entropy) -> Iterator[str]:
    yield "This password is easy to guess."
    feedback = estimate.feedback
    if feedback is not None:
        if feedback.warning is not None:
            yield str(feedback.warning)
        yield from (str(suggestion) for suggestion in feedback.suggestions)


def _encodable(text: str) -> str:
    """Lone surrogates, which host code may pass, replaced."""
    return text.encode("utf-8", "replace").decode()
