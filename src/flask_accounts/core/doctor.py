"""`flask accounts doctor`: asks every check-up and says what is unsafe or unfit in production, for people and for CI."""

from __future__ import annotations

import difflib
import os
import shutil
import textwrap
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import click
from flask import Flask, current_app

from .checkups import FAILED, SEVERITIES, Checkup, Deployment, Diagnosis, DoctorSettings, Finding, Severity, examine
from .cli import as_json, command, counted, show
from .runtime import Runtime

FORMAT = 1
"""The version of what `--json` prints. Members may be added; a change of one that is there makes it 2."""
WIDTH = 100
COLOURS: Mapping[Severity, str] = {"error": "red", "warning": "yellow", "info": "blue"}


@dataclass(frozen=True)
class Accepted:
    """A finding that does not count, and why."""

    finding: Finding
    reason: str


@dataclass(frozen=True)
class Report:
    """What the doctor says."""

    findings: Sequence[Finding]
    accepted: Sequence[Accepted]
    skipped: Sequence[str]
    checks: int
    fail_on: str

    @property
    def counts(self) -> Counter[str]:
        """How many findings there are of each severity."""
        return Counter(finding.severity for finding in self.findings)

    @property
    def ok(self) -> bool:
        """Whether nothing is as grave as `fail_on`."""
        if self.fail_on == "never":
            return True
        return not any(self.counts[severity] for severity in SEVERITIES[: SEVERITIES.index(cast(Severity, self.fail_on)) + 1])


def doctor_command(checkups: Sequence[Checkup]) -> click.Command:
    """The command over these check-ups."""

    @command("doctor", help="Say what is unsafe or unfit in production, and what to do about it. Changes nothing.")
    @click.option(
        "--fail-on", type=click.Choice(["error", "warning", "never"]), default="error", show_default=True,
        help="Exit with 1 if there is a finding as grave as this.",
    )  # fmt: skip
    @click.option("--ignore", "ignored", multiple=True, metavar="CODE", help="Leave a check out; may be repeated.")
    @click.option("--connect", is_flag=True, help="Also try the mail server and the limits' store. Nothing is sent.")
    @click.option("--list", "listed", is_flag=True, help="List the checks and do none.")
    @as_json
    def doctor(
        runtime: Runtime, fail_on: str, ignored: tuple[str, ...], connect: bool, listed: bool, as_json: bool
    ) -> None:  # fmt: skip
        if listed:
            columns = ("code", "severity", "area", "looks_for")
            rows = [
                {name: getattr(each, name) for name in (*columns, "why", "source", "docs")}
                for each in sorted((*checkups, FAILED), key=lambda each: each.code)
            ]
            show(rows, as_json=as_json, columns=columns)
            return
        known = {each.code for each in (*checkups, FAILED)}
        accepted = dict.fromkeys(ignored, "--ignore") | runtime.setting(DoctorSettings).accepted
        _refuse_unknown(ignored, known, "--ignore")
        _refuse_unknown(runtime.setting(DoctorSettings).accepted, known, "ACCOUNTS_DOCTOR_ACCEPTED")
        app = cast(Flask, current_app._get_current_object())  # type: ignore[attr-defined]  # the proxy's
        report = _report(examine(Deployment(app, runtime, dict(os.environ), connect), checkups), accepted, len(checkups), fail_on)
        if as_json:
            show(_document(report), as_json=True)
        else:
            _tell(report)
        if not report.ok:
            raise click.exceptions.Exit(1)

    return doctor


def _refuse_unknown(codes: Iterable[str], known: Collection[str], where: str) -> None:
    for code in codes:
        if code not in known:
            nearest = difflib.get_close_matches(code, known, n=1)
            hint = f"Did you mean {nearest[0]}?" if nearest else "--list shows those there are."
            raise click.BadParameter(f"There is no check {code!r}. {hint}", param_hint=where)


def _report(diagnosis: Diagnosis, accepted: Mapping[str, str], checks: int, fail_on: str) -> Report:
    return Report(
        findings=[finding for finding in diagnosis.findings if finding.code not in accepted],
        accepted=[Accepted(finding, accepted[finding.code]) for finding in diagnosis.findings if finding.code in accepted],
        skipped=[code for code in diagnosis.skipped if code not in accepted],
        checks=checks,
        fail_on=fail_on,
    )


def _document(report: Report) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "ok": report.ok,
        "fail_on": report.fail_on,
        "checks": report.checks,
        "counts": {severity: report.counts[severity] for severity in SEVERITIES},
        "findings": [asdict(finding) for finding in report.findings],
        "accepted": [asdict(each.finding) | {"reason": each.reason} for each in report.accepted],
        "skipped": list(report.skipped),
    }


def _tell(report: Report) -> None:
    for area in dict.fromkeys(finding.area for finding in report.findings):
        _echo(click.style(area.capitalize(), bold=True))
        for finding in sorted(
            (each for each in report.findings if each.area == area), key=lambda each: SEVERITIES.index(each.severity)
        ):
            _echo("")
            _echo(f"  {click.style(finding.severity, fg=COLOURS[finding.severity], bold=True)} {finding.code}")
            for label, text in _lines(finding):
                _echo(_wrapped(label, text))
        _echo("")
    for each in report.accepted:
        _echo(f"accepted {each.finding.code}: {each.finding.found} ({each.reason})")
    if report.skipped:
        _echo(_wrapped("Not checked without the tables", ", ".join(report.skipped), indent=0))
    if report.accepted or report.skipped:
        _echo("")
    _echo(_last(report))


def _lines(finding: Finding) -> list[tuple[str, str]]:
    why = f"{finding.why} ({finding.source})" if finding.source else finding.why
    lines = [("found", finding.found), ("why", why), ("remedy", finding.remedy), ("more", finding.docs)]
    return [(label, text) for label, text in lines if text]


def _wrapped(label: str, text: str, indent: int = 4) -> str:
    begin = " " * indent + f"{label}: "
    width = max(40, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))
    return textwrap.fill(
        text, width, initial_indent=begin, subsequent_indent=" " * (indent + 2), break_long_words=False, break_on_hyphens=False
    )


def _last(report: Report) -> str:
    counts = report.counts
    said = [counted(counts["error"], "error"), counted(counts["warning"], "warning"), f"{counts['info']} info"]
    if report.accepted:
        said.append(f"{len(report.accepted)} accepted")
    return f"{', '.join(said)}; {counted(report.checks, 'check')}."


def _echo(text: str) -> None:
    # click leaves colours out where nobody would see them; https://no-color.org is for us to heed.
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)
