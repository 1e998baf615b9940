"""Which tests prove which security requirement: the `requirement` marks of the test tree, as a Markdown table.

    python tools/security_coverage.py                      prints the table
    python tools/security_coverage.py --output FILE        writes it

`asvs_page()` is the page of the documentation: chapters V6, V7, V9 and V10 of ASVS 5.0, requirement by requirement, with what is left to the
host (`tests/security/asvs.toml`).

Read from the source, not from a run: no test has to be imported. A mark counts on a test, on a class, as
a module's `pytestmark`, inside a parameter's `marks=`, and under a name that the module gives it.
"""

from __future__ import annotations

import argparse
import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KNOWN = ROOT / "tests" / "security" / "requirements.txt"
ASVS = ROOT / "tests" / "security" / "asvs.toml"
NOTES = {"host": "yours", "absent": "not offered", "partly": "in part"}
"""What a requirement's note is called on the page."""
Coverage = dict[str, list[str]]
"""The tests of each ID, as `path::name`."""


def known_requirements(path: Path = KNOWN) -> dict[str, dict[str, str]]:
    """The list of requirements: section -> ID -> short name, in the order of the file."""
    sections: dict[str, dict[str, str]] = {}
    blank_before = True
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if match := re.fullmatch(r"([A-Za-z0-9-]+ [0-9.]+) {2,}(\S.*)", line):
            if any(match[1] in names for names in sections.values()):
                raise ValueError(f"{path.name}:{number}: {match[1]} stands there twice")
            sections[next(reversed(sections))][match[1]] = match[2]
        elif line.startswith("# ") and blank_before:
            sections[line[2:]] = {}
        elif line and not line.startswith("#"):
            raise ValueError(f"{path.name}:{number}: not an ID, two blanks and a name: {line!r}")
        blank_before = not line
    return {title: names for title, names in sections.items() if names}


def coverage(tests: Path = ROOT / "tests") -> Coverage:
    """Every marked ID with the tests that carry it."""
    found: Coverage = defaultdict(list)
    for path in sorted(tests.rglob("test_*.py")):
        for name, requirement in _marks_in(ast.parse(path.read_text(), str(path))):
            test = f"{path.relative_to(tests.parent).as_posix()}::{name}"
            if test not in found[requirement]:
                found[requirement].append(test)
    return dict(found)


def table(sections: Mapping[str, Mapping[str, str]], found: Coverage) -> str:
    """The Markdown: one table a section, what has no test yet included."""
    notes = {requirement: about for _, rows in asvs_chapters().values() for requirement, about in rows.items()}
    lines = ["# Security requirements and their tests", ""]
    lines += [
        "Made by `tools/security_coverage.py` from the marks of the tests; IDs and names stand in `tests/security/requirements.txt`.",
        "",
    ]
    for title, names in sections.items():
        lines += [f"## {title}", "", "| Requirement | What must hold | Tests |", "|---|---|---|"]
        for requirement, name in names.items():
            said = [f"{NOTES[kind]}: {notes[requirement][kind]}" for kind in NOTES if kind in notes.get(requirement, {})]
            tests = "<br>".join([*said, *(f"`{test}`" for test in found.get(requirement, ()))]) or "none"
            lines.append(f"| {requirement} | {name} | {tests} |")
        lines.append("")
    return "\n".join(lines)


def asvs_chapters(path: Path = ASVS) -> dict[str, tuple[str, dict[str, dict[str, Any]]]]:
    """The chapters of ASVS that have a page: name -> title, and requirement -> its level and notes."""
    return {
        chapter: (content.pop("title"), {f"ASVS {number}": about for number, about in content.items()})
        for chapter, content in tomllib.loads(path.read_text()).items()
    }


def asvs_page() -> str:
    """The documentation's page on ASVS: each requirement with the tests that prove it, and whose it is otherwise."""
    names = {requirement: name for section in known_requirements().values() for requirement, name in section.items()}
    found, chapters = coverage(), asvs_chapters()
    rows = [(requirement, about) for _, requirements in chapters.values() for requirement, about in requirements.items()]
    counted = {"have tests": sum(requirement in found for requirement, _ in rows)} | {
        what: sum(kind in about and requirement not in found for requirement, about in rows)
        for kind, what in (
            ("host", "are yours"),
            ("absent", "are about what is not offered"),
            ("partly", "hold in part, without a test"),
        )
    }
    lines = [
        "# ASVS 5.0",
        "",
        "OWASP's Application Security Verification Standard 5.0.0, chapters V6, V7, V9 and V10, requirement by requirement: in short what",
        "each asks, and the tests that are marked with it. A test shows that something holds as shipped: what you change is yours to test,",
        "and so is what is left to you. The standard's own words stand [there](https://github.com/OWASP/ASVS/tree/v5.0.0/5.0/en).",
        "",
        f"Of {len(rows)} requirements {', '.join(f'{count} {what}' for what, count in counted.items())}.",
    ]
    for chapter, (title, requirements) in chapters.items():
        lines += [
            "",
            f"## {chapter} {title}",
            "",
            "| | level | what it asks | what proves it, or whose it is |",
            "|---|---|---|---|",
        ]
        for requirement, about in requirements.items():
            said = [f"**{NOTES[kind]}**: {about[kind]}" for kind in NOTES if kind in about]
            cell = "<br>".join([*said, *_by_file(found.get(requirement, []))])
            lines.append(f"| {requirement.removeprefix('ASVS ')} | {about['level']} | {names[requirement]} | {cell} |")
    return "\n".join(lines)


def _by_file(tests: list[str]) -> Iterator[str]:
    """Tests by file, their names as the sentences that they are."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for test in tests:
        path, _, name = test.partition("::")
        by_file[path].append(name.rpartition("::")[2].removeprefix("test_").replace("_", " "))
    for path, names in by_file.items():
        yield f"`{path}`: {'; '.join(names)}"


def _marks_in(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Test name and ID of every mark in a module."""
    named = {
        target.id: _ids(node.value)
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    whole = named.get("pytestmark", [])
    for node in module.body:
        yield from _marks_of(node, whole, named)


def _marks_of(node: ast.stmt, outer: list[str], named: Mapping[str, list[str]], prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.ClassDef):
        own = [each for decorator in node.decorator_list for each in _ids(decorator, named)]
        own += [each for inner in node.body if isinstance(inner, ast.Assign) for each in _ids(inner.value, named)]
        for inner in node.body:
            yield from _marks_of(inner, outer + own, named, f"{prefix}{node.name}::")
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
        own = [each for decorator in node.decorator_list for each in _ids(decorator, named)]
        for requirement in outer + own:
            yield prefix + node.name, requirement


def _ids(expression: ast.expr, named: Mapping[str, list[str]] | None = None) -> list[str]:
    """The arguments of every `...requirement(...)` call in an expression, and of the named marks it uses."""
    found: list[str] = []
    for node in ast.walk(expression):
        if isinstance(node, ast.Name) and named:
            found += named.get(node.id, [])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "requirement":
            for argument in node.args:
                if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                    raise ValueError(f"line {node.lineno}: write the ID of a requirement out, as a text")
                found.append(argument.value)
    return found


def main() -> None:
    """Print or write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, help="write the table to this file instead")
    output = parser.parse_args().output
    text = table(known_requirements(), coverage())
    if output:
        output.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
