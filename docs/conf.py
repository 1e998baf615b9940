"""The documentation as a site: Sphinx reads the same Markdown that a forge shows.

    sphinx-build -c docs -n -W --keep-going . build/site

The source folder is the root of the project, so that a relative link means the same here and on a forge, also where it leaves `docs`.
What is written for the forge is kept; what only a site needs is added while it is read: the tables of contents are made of the links
that an index page lists, and the OpenAPI document is put beside its page. Nothing is fetched, neither by the build nor by a reader.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tools")]

import make_reference  # noqa: E402

import flask_accounts  # noqa: E402  # the checkout's own, wherever the build is started

project = "flask_accounts"
author = "The flask_accounts founders"
project_copyright = author
version = release = flask_accounts.__version__
language = "en"

extensions = ["myst_parser", "sphinx_copybutton"]
root_doc = "docs/index"
include_patterns = [
    "*.md",
    "docs/**",
    "benchmarks/README.md",
    "examples/*/README.md",
    "src/flask_accounts/data/README.md",
]
exclude_patterns = ["README.md"]  # what a forge shows first; here that is the front page
nitpicky = True

myst_heading_anchors = 4
myst_links_external_new_tab = False

pygments_dark_style = "monokai"
html_theme = "furo"
html_title = f"flask_accounts {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "navigation_with_keys": True,
    "footer_icons": [],
    "light_css_variables": {"color-brand-primary": "#0b6e5f", "color-brand-content": "#0b6e5f", "color-brand-visited": "#0b6e5f"},
    "dark_css_variables": {"color-brand-primary": "#5cc8b4", "color-brand-content": "#5cc8b4", "color-brand-visited": "#5cc8b4"},
}

copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True

HEADING = re.compile(r"^#{2,3} (.+)$", re.MULTILINE)
PAGE_LINK = re.compile(r"\[([^\]]+)\]\(([^)#:\s]+)\.md\)")


def add_toctree(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give an index page hidden tables of contents: one per section, of the pages that the section links to."""
    if docname.rpartition("/")[2] != "index":
        return
    seen: set[str] = set()
    trees = []
    before, *rest = HEADING.split(source[0])
    for caption, text in [("", before), *zip(rest[::2], rest[1::2], strict=True)]:
        titles = {page: title for title, page in reversed(PAGE_LINK.findall(text)) if page not in seen}
        seen.update(titles)
        if titles:
            named = [f":caption: {caption}"] if caption else []
            entries = [f"{title[0].upper()}{title[1:]} <{page}>" for page, title in reversed(titles.items())]
            trees.append("\n".join(["```{toctree}", ":hidden:", *named, "", *entries, "```"]))
    source[0] += "\n" + "\n\n".join(trees) + "\n"


def link_openapi(app: Sphinx, docname: str, source: list[str]) -> None:
    """Lead from the HTTP API page to the document beside it, which only the site has."""
    if docname == "docs/reference/http-api":
        source[0] = source[0].replace("\n## ", '\n<a href="openapi.json" download>openapi.json</a>: the document itself.\n\n## ', 1)


def write_what_is_no_page(app: Sphinx, error: Exception | None) -> None:
    """Put the OpenAPI document beside its page, and lead from the site's root to the front page."""
    if error or app.builder.name != "html":
        return
    site = Path(app.outdir)
    flask_app = make_reference.make_app()
    with flask_app.app_context():
        document = flask_app.extensions["accounts"].openapi(title="Accounts")
    (site / "docs" / "reference" / "openapi.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    (site / "index.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>flask_accounts</title>'
        '<meta http-equiv="refresh" content="0; url=docs/index.html"><a href="docs/index.html">Documentation</a></html>\n',
        encoding="utf-8",
    )


def setup(app: Sphinx) -> None:
    """Register what is added."""
    app.connect("source-read", add_toctree)
    app.connect("source-read", link_openapi)
    app.connect("build-finished", write_what_is_no_page)
