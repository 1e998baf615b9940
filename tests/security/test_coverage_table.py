"""The marks that tie tests to security requirements: every ID is a real one, and the table shows them all."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools.security_coverage import NOTES, asvs_chapters, coverage, known_requirements, table

MODULE = """
import pytest

pytestmark = pytest.mark.requirement("ASVS 1.1.1")
theft = pytest.mark.requirement("ASVS 2.2.2")


@pytest.mark.requirement("ASVS 3.3.3", "ASVS 4.4.4")
@theft
def test_one(): ...


class TestMany:
    pytestmark = [pytest.mark.requirement("ASVS 5.5.5")]

    @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.requirement("ASVS 6.6.6"))])
    async def test_two(self, x): ...


def helper(): ...
"""


def test_every_marked_requirement_is_a_known_one() -> None:
    known = {requirement for names in known_requirements().values() for requirement in names}

    unknown = {requirement: tests for requirement, tests in coverage().items() if requirement not in known}

    assert not unknown, f"not in tests/security/requirements.txt: {unknown}"


def test_the_table_names_every_requirement_and_every_test() -> None:
    sections, found = known_requirements(), coverage()

    text = table(sections, found)

    for names in sections.values():
        for requirement, name in names.items():
            assert f"| {requirement} | {name} |" in text
    assert "`tests/security/test_jwt_attacks.py::test_signature_of_another_key`" in text


def test_marks_are_found_wherever_pytest_would_apply_them(tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_sample.py").write_text(MODULE)

    assert coverage(tests) == {
        "ASVS 1.1.1": ["tests/test_sample.py::test_one", "tests/test_sample.py::TestMany::test_two"],
        "ASVS 3.3.3": ["tests/test_sample.py::test_one"],
        "ASVS 4.4.4": ["tests/test_sample.py::test_one"],
        "ASVS 2.2.2": ["tests/test_sample.py::test_one"],
        "ASVS 5.5.5": ["tests/test_sample.py::TestMany::test_two"],
        "ASVS 6.6.6": ["tests/test_sample.py::TestMany::test_two"],
    }


def test_an_id_that_is_not_written_out_is_an_error_and_not_overlooked(tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text("import pytest\n\n@pytest.mark.requirement(ID)\ndef test_one(): ...\n")

    with pytest.raises(ValueError, match="write the ID"):
        coverage(tmp_path)


@pytest.mark.parametrize("line", ["ASVS 6.2.1  Once more", "no id at all", "ASVS6.2.1  Without a blank"])
def test_a_bad_line_in_the_list_is_an_error(tmp_path: Path, line: str) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(f"# About\n\n# Passwords\nASVS 6.2.1       Shortest password\n{line}\n")

    with pytest.raises(ValueError, match=r"requirements\.txt:5"):
        known_requirements(path)


def test_every_requirement_of_asvs_on_the_page_has_a_test_or_says_whose_it_is() -> None:
    names = {requirement for section in known_requirements().values() for requirement in section}
    found = coverage()
    bare = []
    for _, requirements in asvs_chapters().values():
        for requirement, about in requirements.items():
            assert requirement in names
            assert set(about) - {"level"} <= set(NOTES)
            if requirement not in found and set(about) == {"level"}:
                bare.append(requirement)

    assert not bare, f"neither a test nor a note in tests/security/asvs.toml: {bare}"


def test_the_page_on_asvs_has_whole_chapters() -> None:
    """As many as the standard's release has in each section, so that none is left out because it is not liked."""
    sections = {"6": [3, 12, 8, 6, 8, 4, 2, 4], "7": [3, 4, 2, 5, 3, 2], "9": [3, 4], "10": [2, 3, 5, 16, 5, 2, 3]}
    expected = [
        f"ASVS {chapter}.{section}.{number}"
        for chapter, counts in sections.items()
        for section, count in enumerate(counts, 1)
        for number in range(1, count + 1)
    ]

    assert [requirement for _, requirements in asvs_chapters().values() for requirement in requirements] == expected


def test_what_a_test_proves_is_not_said_to_be_absent() -> None:
    found = coverage()

    assert not [
        requirement
        for _, requirements in asvs_chapters().values()
        for requirement, about in requirements.items()
        if "absent" in about and requirement in found
    ]
