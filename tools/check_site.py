"""Look at the built site as a browser would: every link leads to a file and a place that are there, and nothing comes from elsewhere.

python tools/check_site.py build/site

Sphinx has checked the links between pages; this checks what it made of them, and that a page can be read offline and unwatched.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

OTHERS_PAGES = {"a"}
"""Elements that may name an address elsewhere: nothing is loaded before somebody follows it."""


class Page(HTMLParser):
    """What a page names (`ids`) and what it points to (`links`: element and address)."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[tuple[str, str]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif name in ("href", "src") and value:
                self.links.append((tag, value))


def problems(site: Path) -> Iterator[str]:
    """What is wrong, a sentence each."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    if not pages:
        yield f"{site} holds no page"
    for path, page in pages.items():
        for tag, address in page.links:
            said = f"{path.relative_to(site.resolve())}: {address}"
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if tag not in OTHERS_PAGES:
                    yield f"{said} is loaded from elsewhere"
                continue
            goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not goal.is_file():
                yield f"{said} leads nowhere"
            elif goal.suffix == ".md":
                yield f"{said} is a page that the site leaves out: see include_patterns in docs/conf.py"
            elif parts.fragment and goal in pages and unquote(parts.fragment) not in pages[goal].ids:
                yield f"{said} leads to no place of that page"
    for path in site.rglob("*.css"):
        if "url(http" in path.read_text(encoding="utf-8") or "url(//" in path.read_text(encoding="utf-8"):
            yield f"{path.relative_to(site)} loads something from elsewhere"


def main() -> int:
    found = sorted(problems(Path(sys.argv[1])))
    print("\n".join(found) or "every link leads somewhere, and nothing comes from elsewhere")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
