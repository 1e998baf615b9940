"""Check-ups: what each of them looks for in an app as it is deployed, and the round that asks them all.

A check-up is a function of a `Deployment` that yields a `Problem` for each thing that is wrong, declared once with its code, its
severity and where to read on; its docstring says what it looks for, and why that matters. The core has some
(`core.production`), each feature its own, and a host may add more. They read; whatever one writes is rolled back.
"""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, ClassVar, Literal, get_args

import sqlalchemy as sa
import sqlalchemy.exc
from flask import Flask
from pydantic import Field, StringConstraints

from .errors import ConfigurationError
from .runtime import Runtime
from .settings import Settings

logger: logging.Logger = logging.getLogger("flask_accounts.doctor")

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Gravest first. `error`: unsafe, or broken. `warning`: unfit for most apps in production. `info`: worth a thought."""


class DoctorSettings(Settings):
    """What `flask accounts doctor` need not say again."""

    prefix: ClassVar[str] = "doctor"

    accepted: dict[str, Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]] = Field(default_factory=dict)
    """Risks that are taken knowingly: the code of each check with the reason, such as `{"sqlite": "One small machine."}`. They are
    shown apart and do not count. An unknown code is refused when the doctor runs."""


NOBODYS_DOMAINS = ("example.com", "example.org", "example.net", "example", "test", "invalid", "localhost")
"""Domains, and ends of domains, that are for documentation and tests (RFC 2606, RFC 6761)."""


@dataclass(frozen=True)
class Deployment:
    """An app as it runs: what check-ups look at."""

    app: Flask
    """The app."""
    runtime: Runtime
    """Its accounts: settings, models, services."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The environment of the process."""
    connect: bool = False
    """Whether other servers than the database may be asked."""

    @property
    def workers(self) -> int | None:
        """How many processes serve, where the environment says so (Gunicorn, uWSGI, Granian, Heroku's `WEB_CONCURRENCY`)."""
        return self._number("WEB_CONCURRENCY", "UWSGI_PROCESSES", "UWSGI_WORKERS", "GRANIAN_WORKERS", options=("-w", "--workers"))

    @property
    def threads(self) -> int | None:
        """How many threads serve in each process, where the environment says so."""
        return self._number("UWSGI_THREADS", "GRANIAN_BLOCKING_THREADS", options=("--threads",))

    def gunicorn(self, *options: str) -> str | None:
        """The value of an option in `GUNICORN_CMD_ARGS`, empty for one without a value; None where it is not there."""
        try:
            words = shlex.split(self.environ.get("GUNICORN_CMD_ARGS", ""))
        except ValueError:
            return None
        for word, following in zip(words, [*words[1:], ""], strict=False):
            name, given, value = word.partition("=")
            if name in options:
                return value if given else ("" if following.startswith("-") else following)
            if any(len(option) == 2 and word.startswith(option) for option in options):
                return word[2:]
        return None

    def _number(self, *variables: str, options: tuple[str, ...]) -> int | None:
        said = [self.gunicorn(*options), *(self.environ.get(name) for name in variables)]
        return next((int(text) for text in said if text and text.isdecimal()), None)

    @cached_property
    def unreachable(self) -> str | None:
        """Why the accounts' database does not answer; None if it does."""
        url = self.engine.url
        if self.engine.dialect.name == "sqlite" and url.database and ":memory:" not in url.database:
            # Connecting would make an empty file.
            file = re.sub(r"^file:|\?.*$", "", url.database)
            try:
                with open(file, "rb"):
                    pass
            except OSError as error:
                return type(error).__name__
        try:
            self.runtime.users.execute(sa.text("SELECT 1"))
        except sqlalchemy.exc.SQLAlchemyError as error:
            self.runtime.db.session.rollback()
            return type(getattr(error, "orig", None) or error).__name__
        return None

    @property
    def engine(self) -> sa.Engine:
        """The engine of the accounts' database."""
        bind = self.runtime.db.session.get_bind(**self.runtime.users.bind)
        return bind if isinstance(bind, sa.Engine) else bind.engine

    @cached_property
    def inspector(self) -> sa.Inspector:
        """The tables that are there, as they are."""
        return sa.inspect(self.engine)

    @cached_property
    def missing_tables(self) -> tuple[str, ...]:
        """Tables of the accounts that are not there."""
        schemas = {table.schema for table in self.runtime.tables}
        there = {(schema, name) for schema in schemas for name in self.inspector.get_table_names(schema)}
        return tuple(sorted(table.fullname for table in self.runtime.tables if (table.schema, table.name) not in there))


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: what was found, never a secret's value, and exactly what to do about it."""

    found: str
    """What is so, in a sentence."""
    remedy: str
    """What to do: the exact setting and value, or the command."""
    severity: Severity | None = None
    """Where this one is graver or lighter than its check-up says."""


Ask = Callable[[Deployment], Iterable[Problem]]


@dataclass(frozen=True)
class Checkup:
    """One check: make it with `@checkup(...)`."""

    code: str
    """Its stable name."""
    severity: Severity
    """`error`, `warning` or `info`."""
    area: str
    """The heading it is shown under."""
    looks_for: str
    """What it looks for: the docstring's first line."""
    why: str
    """Why that matters: the rest of the docstring."""
    source: str
    """The rule behind it; may be empty."""
    docs: str
    """The page to read on; may be empty."""
    ask: Ask = field(repr=False)
    """Does it: yields a `Problem` for each thing that is wrong."""
    reads_tables: bool = False
    """Whether it is left out where the database does not answer or lacks tables."""


@dataclass(frozen=True)
class Finding:
    """What a check-up found, as the doctor says it."""

    code: str
    severity: Severity
    area: str
    found: str
    why: str
    source: str
    remedy: str
    docs: str


def checkup(
    code: str, severity: Severity, *, area: str, docs: str = "", source: str = "", reads_tables: bool = False
) -> Callable[[Ask], Checkup]:
    """Declare a check-up.

    `code` names it for good, in small letters with hyphens; `area` is the heading that it is shown under; `docs` the page to read on;
    `source` the rule behind it (ASVS, RFC). One that `reads_tables` is left out where the database does not answer or lacks tables.
    The first line of the function's docstring says what it looks for, the rest why that matters. Raises `ConfigurationError` if
    something of this is missing.
    """

    def declare(ask: Ask) -> Checkup:
        looks_for, _, why = (ask.__doc__ or "").strip().partition("\n")
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) or severity not in SEVERITIES or not looks_for:
            raise ConfigurationError(
                f"The check-up {code!r} needs a code of small letters and hyphens, a severity ({', '.join(SEVERITIES)}) and a docstring "
                "that says what it looks for."
            )
        return Checkup(code, severity, area, looks_for, " ".join(why.split()), source, docs, ask, reads_tables)

    return declare


FAILED = Checkup(
    code="failed-check", severity="error", area="doctor", looks_for="A check that could not be done.",
    why="What it would have found, nobody knows.", source="", docs="docs/reference/doctor.md", ask=lambda deployment: (),
)  # fmt: skip
"""Stands for those that raise."""


@dataclass(frozen=True)
class Diagnosis:
    """What a round of check-ups has found."""

    findings: tuple[Finding, ...]
    skipped: tuple[str, ...]
    """Codes of those that could not be asked, because they read tables."""


def examine(deployment: Deployment, checkups: Sequence[Checkup]) -> Diagnosis:
    """Ask all of `checkups`, inside the app's context. One that raises is a finding itself and stops no other; nothing is committed."""
    findings: list[Finding] = []
    skipped: list[str] = []
    for each in checkups:
        if each.reads_tables and (deployment.unreachable or deployment.missing_tables):
            skipped.append(each.code)
            continue
        try:
            findings += [_finding(each, problem) for problem in each.ask(deployment)]
        except Exception as error:
            # Its words might quote a secret, an address or a whole statement.
            logger.debug("The check %s failed.", each.code, exc_info=error)
            said = f"The check {each.code} failed: {type(error).__name__}."
            failed = replace(FAILED, area=each.area)
            findings.append(_finding(failed, Problem(said, "Log flask_accounts.doctor at the level DEBUG to see where.")))
        finally:
            deployment.runtime.db.session.rollback()
    return Diagnosis(tuple(findings), tuple(skipped))


def _finding(of: Checkup, problem: Problem) -> Finding:
    return Finding(
        of.code, problem.severity or of.severity, of.area, problem.found, of.why, of.source, problem.remedy, of.docs
    )  # fmt: skip


def check_checkups(checkups: Sequence[Checkup]) -> None:
    """Refuse what is no check-up, and two of one code."""
    codes: set[str] = {FAILED.code}
    for each in checkups:
        if not isinstance(each, Checkup):
            raise ConfigurationError(f"{each!r} is not a check-up. Declare the function with @checkup(code, severity, area=...).")
        if each.code in codes:
            raise ConfigurationError(f"There are two check-ups {each.code!r}; give one of them another code.")
        codes.add(each.code)
