"""The page that compares says what `comparison/` asks, in full; and of this library what the quick questions find today.

The whole of it, with the other libraries, is `tox -e comparison`.
"""

from __future__ import annotations

import pytest
from comparison.__main__ import BEGIN, PAGE, ask, check
from comparison.contenders import ALL
from comparison.probes import PROBES

QUICK = ["lost-answer", "guessing", "mass-assignment", "logout", "disabled", "password-change", "statements"]
"""Those that need no second hand and measure no time."""


def test_every_question_has_its_table_and_every_contender_its_line() -> None:
    measured = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2]
    sections = {part.partition("\n")[0]: part.count("\n| ") - 1 for part in measured.split("\n### ")}

    variants = {"guessing": 5}  # asked with the contender's first set-up only
    assert sections["What was asked"] == len(ALL)
    assert {probe.title: sections[probe.title] for probe in PROBES} == {
        probe.title: len(ALL) - variants.get(probe.name, 0) for probe in PROBES
    }


def test_what_the_page_says_of_this_library_is_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    found = ask("ours:Ours", QUICK)

    assert found is not None
    assert found["answers"].keys() == set(QUICK)
    assert check([found]) == 0, capsys.readouterr().err
