"""Whether a tag may become a release: it is the version, and the changelog's newest entry is that version's and has its day.

    python tools/check_tag.py v0.1.0

Without a tag, only whether the changelog's newest entry is about the version that the code says.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENTRY = re.compile(r"^## \[?(?P<version>[^\]\s]+)\]?(?: - (?P<day>.+))?$", re.MULTILINE)
VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)


def problems(version: str, changelog: str, tag: str | None = None) -> list[str]:
    """What is wrong with releasing `version` under `tag`, as sentences; `tag` is None before there is one."""
    entry = ENTRY.search(changelog)
    if entry is None:
        return ["CHANGELOG.md has no entry."]
    found = []
    coming = entry["version"].lower() == "unreleased"
    if not coming and entry["version"] != version:
        found.append(f"The code says version {version}; the newest entry of CHANGELOG.md is about {entry['version']}.")
    if tag is not None:
        if tag != f"v{version}":
            found.append(f"The tag {tag} is not v{version}, which is what the code says.")
        if coming or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", entry["day"] or ""):
            found.append(f"The newest entry of CHANGELOG.md has no day: write ## [{version}] - YYYY-MM-DD.")
    return found


def version(root: Path = ROOT) -> str:
    """The version that the code says."""
    text = (root / "src" / "flask_accounts" / "__init__.py").read_text(encoding="utf-8")
    return str(VERSION.search(text)[1])  # type: ignore[index]  # without it nothing can be built


def main() -> int:
    tag = sys.argv[1] if len(sys.argv) > 1 else None
    found = problems(version(), (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), tag)
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
