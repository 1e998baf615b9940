"""The check of the built site notices what it is there for. The site itself is built by `tox -e docs`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.tools import load

check_site = load("check_site")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('<a href="gone.html">x</a>', "leads nowhere"),
        ('<a href="other.html#gone">x</a>', "leads to no place of that page"),
        ('<a href="#gone">x</a>', "leads to no place of that page"),
        ('<script src="https://cdn.example.com/x.js"></script>', "is loaded from elsewhere"),
        ('<link rel="stylesheet" href="//fonts.example.com/x.css">', "is loaded from elsewhere"),
        ('<a href="README.md">x</a>', "is a page that the site leaves out"),
    ],
)
def test_a_page_with_a_bad_address_is_told(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "README.md").write_text("")
    (tmp_path / "other.html").write_text('<p id="there">')
    (tmp_path / "page.html").write_text(line)

    [problem] = check_site.problems(tmp_path)

    assert said in problem


def test_a_stylesheet_that_loads_a_font_from_elsewhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>")
    (tmp_path / "site.css").write_text("@font-face { src: url(https://fonts.example.com/x.woff2) }")

    assert list(check_site.problems(tmp_path)) == ["site.css loads something from elsewhere"]


def test_good_links_and_links_to_others_pages_pass(tmp_path: Path) -> None:
    (tmp_path / "other.html").write_text('<p id="there">')
    (tmp_path / "page.html").write_text(
        '<a href="other.html#there">x</a> <a href="https://example.com/">y</a> <a href="mailto:a@example.com">z</a>'
    )

    assert list(check_site.problems(tmp_path)) == []


def test_an_empty_site_is_told(tmp_path: Path) -> None:
    assert list(check_site.problems(tmp_path)) == [f"{tmp_path} holds no page"]
