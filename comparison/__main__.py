"""Runs every contender that is installed and prints the tables; `--write` puts them into the page, `--check` compares."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .contenders import ALL
from .probes import PROBES

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "explanation" / "comparison.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
MISSING = 3
FIGURE = re.compile(r"\d+(?:\.\d+)?(?= times as long)|(?<=, )\d+(?= answers of status)")
"""What differs from run to run and from machine to machine."""


def ask(path: str, only: list[str]) -> dict[str, Any] | None:
    """What one contender answers; None if it is not installed."""
    found: dict[str, Any] = {}
    for limits in ("free", "limits"):
        command = [sys.executable, "-m", "comparison.run", path, limits, *only]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)  # noqa: S603  # our own
        if done.returncode == MISSING:
            print(f"{path}: not installed: {done.stderr.strip()}", file=sys.stderr)
            return None
        if done.returncode:
            raise SystemExit(f"{path} ({limits}) failed:\n{done.stdout}{done.stderr}")
        said = json.loads(done.stdout.splitlines()[-1])
        found = said | {"answers": found.get("answers", {}) | said["answers"]}
    print(f"{path}: done", file=sys.stderr)
    return found


def tables(found: list[dict[str, Any]]) -> str:
    """The part of the page that is measured."""
    lines = ["### What was asked", "", "| contender | version | set-up |", "|---|---|---|"]
    for one in found:
        source = one["source"]
        link = source if source.startswith("http") else f"../../{source}"
        lines.append(f"| {one['name']} | {one['version'] or 'of this checkout'} | {one['setup']} [Source]({link}) |")
    for probe in PROBES:
        rows = [f"| {one['name']} | {one['answers'][probe.name]} |" for one in found if probe.name in one["answers"]]
        if rows:
            lines += ["", f"### {probe.title}", "", probe.said, "", "| contender | answer |", "|---|---|", *rows]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Exit status 1 if `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m comparison", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    parser.add_argument("--check", action="store_true", help="fail if the page says something else")
    parser.add_argument("--only", action="append", default=[], metavar="PROBE", choices=[probe.name for probe in PROBES])
    parser.add_argument("--contender", action="append", default=[], metavar="MODULE:CLASS", choices=ALL)
    given = parser.parse_args()
    with ThreadPoolExecutor(1) as pool:
        answers = list(pool.map(lambda path: ask(path, given.only), given.contender or ALL))
    found = [answer for answer in answers if answer is not None]
    if given.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(before + BEGIN + "\n" + tables(found) + "\n" + END + rest.partition(END)[2], encoding="utf-8")
        return 0
    if given.check:
        return check(found)
    print(tables(found))
    return 0


def check(found: list[dict[str, Any]]) -> int:
    """Compare what was measured with what the page says, row by row, without the figures that no two runs share."""
    page = FIGURE.sub("N", PAGE.read_text(encoding="utf-8"))
    sections = {part.partition("\n")[0]: part for part in page.split("\n### ")}
    wrong = 0
    for probe in PROBES:
        for one in found:
            row = FIGURE.sub("N", f"| {one['name']} | {one['answers'].get(probe.name)} |")
            if probe.name in one["answers"] and row not in sections[probe.title]:
                wrong += 1
                print(f"{probe.title}: measured is {row}, the page says something else", file=sys.stderr)
    print(f"{len(found)} of {len(ALL)} contenders asked; {wrong} rows differ from {PAGE.relative_to(ROOT)}")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
