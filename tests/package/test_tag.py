"""What keeps a wrong tag from becoming a release."""

from __future__ import annotations

import pytest
from tools.check_tag import problems

DATED = "# Changelog\n\n## [1.2.0] - 2026-11-26\n\n### Added\n\n## [1.1.0] - 2026-01-01\n"
COMING = DATED.replace("2026-11-26", "unreleased")


def test_a_tag_of_the_version_with_a_dated_entry_may_be_released() -> None:
    assert problems("1.2.0", DATED, "v1.2.0") == []


@pytest.mark.parametrize(
    ("version", "changelog", "tag", "said"),
    [
        ("1.2.0", DATED, "v1.2.1", "is not v1.2.0"),
        ("1.2.0", DATED, "1.2.0", "is not v1.2.0"),
        ("1.2.1", DATED, "v1.2.1", "is about 1.2.0"),
        ("1.2.1", DATED, None, "is about 1.2.0"),
        ("1.2.0", COMING, "v1.2.0", "no day"),
        ("1.2.0", "## Unreleased\n\n" + DATED, "v1.2.0", "no day"),
        ("1.2.0", "# Changelog\n", None, "no entry"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(version: str, changelog: str, tag: str | None, said: str) -> None:
    [problem] = problems(version, changelog, tag)

    assert said in problem


def test_before_a_release_the_entry_needs_no_day() -> None:
    assert problems("1.2.0", COMING) == []
    assert problems("1.2.0", "## Unreleased\n\n" + DATED) == []
