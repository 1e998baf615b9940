"""The Python API page leaves no public name out, and none unexplained."""

from __future__ import annotations

import pytest

import flask_accounts
from tests.docs.tools import load

reference_python = load("reference_python")


def test_every_public_name_and_every_member_of_it_has_a_docstring() -> None:
    assert reference_python.undocumented() == []


def test_a_public_name_that_is_in_no_section_of_the_page_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flask_accounts, "__all__", [*flask_accounts.__all__, "Forgotten"])

    with pytest.raises(ValueError, match="Forgotten"):
        reference_python.python_page()


def test_a_name_without_a_docstring_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    section = reference_python.Section("Bare", "", {"tests.docs.test_reference": ["bare"]})
    monkeypatch.setattr(reference_python, "SECTIONS", [*reference_python.SECTIONS, section])

    with pytest.raises(ValueError, match="have no docstring: \\['bare'\\]"):
        reference_python.python_page()


def bare() -> None: ...
