"""Collect the words of the mail templates and compile their translations.

    pip install Babel
    python tools/make_catalogues.py          # updates locales/*/LC_MESSAGES/flask_accounts.po and .mo
    python tools/make_catalogues.py --check  # fails if a word is missing or a .mo is stale

A new language is a new folder under `locales` with an empty `LC_MESSAGES/flask_accounts.po`.
"""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

PACKAGE = Path(__file__).parent.parent / "src" / "flask_accounts"
METHODS = [("**/templates/accounts/mail/*.txt", "jinja2"), ("**/templates/accounts/mail/*.html", "jinja2")]


def words() -> Catalog:
    catalog = Catalog(project="flask_accounts", charset="utf-8")
    options = {pattern: {"trimmed": "false", "silent": "false"} for pattern, _ in METHODS}
    for name, line, message, comments, context in extract_from_dir(str(PACKAGE), METHODS, options):
        catalog.add(message, locations=[(name, line)], auto_comments=comments, context=context)
    return catalog


def translations(compiled: bytes) -> dict[Any, Any]:
    """What a compiled catalogue says; its header also names the Babel that made it."""
    return {(message.context, message.id): message.string for message in read_mo(io.BytesIO(compiled)) if message.id}


def main(*, check: bool) -> int:
    template, problems = words(), []
    for po in sorted(PACKAGE.glob("locales/*/LC_MESSAGES/flask_accounts.po")):
        catalog = read_po(po.open("rb"), locale=po.parent.parent.name, domain="flask_accounts")
        catalog.update(template, no_fuzzy_matching=True)
        missing = [message.id for message in catalog if message.id and not message.string]
        problems += [f"{po.parent.parent.name}: no translation of {text!r}" for text in missing]
        catalog.creation_date = catalog.revision_date = datetime(2026, 1, 1, tzinfo=UTC)  # the same words make the same file
        compiled = io.BytesIO()
        write_mo(compiled, catalog)
        mo = po.with_suffix(".mo")
        if check:
            if not mo.exists() or translations(mo.read_bytes()) != translations(compiled.getvalue()):
                problems.append(f"{mo.name} of {po.parent.parent.name} is stale: run tools/make_catalogues.py")
        else:
            text = io.BytesIO()
            write_po(text, catalog, width=120, ignore_obsolete=True, omit_header=True, include_lineno=False, sort_output=True)
            header = (
                b'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n"Language: %s\\n"\n\n'
                % po.parent.parent.name.encode()
            )
            po.write_bytes(header + text.getvalue())
            mo.write_bytes(compiled.getvalue())
    print("\n".join(problems) or f"{len(template)} words, nothing missing")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv))
