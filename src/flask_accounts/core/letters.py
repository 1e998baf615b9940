"""Mails as templates: text and HTML, in the reader's language, overridden by a host's file of the same name.

`accounts/mail/<name>.txt` holds the subject in its first line, a blank line, and the text;
`accounts/mail/<name>.html`, where there is one, the HTML beside it. `base.txt` and `base.html` are the
frames around them. The app's own template folder is looked in first. Words between `{% trans %}` come from
gettext catalogues (domain `flask_accounts`).
"""

from __future__ import annotations

import functools
import gettext
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from flask import Flask
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from .mail import MailSettings, Message

DOMAIN = "flask_accounts"
FOLDER = "accounts/mail"
FRAME = "base"
WIDTH = 76
"""Most characters of a line of text (RFC 5322 section 2.1.1), but for what has no blank to break it at."""
RIGHT_TO_LEFT = frozenset({"ar", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})
"""Languages written from right to left."""
SAMPLE_TOKEN = "SampleToken-of-43-characters-as-they-are-sent"  # noqa: S105  # stands for one in previews
SAMPLES: Mapping[str, Any] = {"token": SAMPLE_TOKEN, "code": "12345678", "minutes": 30}
"""What previews show where a mail says something of its account; features add theirs, `Feature.mail_samples`."""


class Letters:
    """Writes the mails of one app."""

    def __init__(
        self, app: Flask, settings: MailSettings, packages: Sequence[str], samples: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        loaders: list[jinja2.BaseLoader] = [app.jinja_loader] if app.jinja_loader else []
        loaders += [jinja2.PackageLoader(package) for package in packages]
        self._loader = jinja2.ChoiceLoader(loaders)
        self._settings = settings
        self.product: str = settings.product or app.name
        self._samples = samples
        self._environments: dict[str, jinja2.Environment] = {}

    def write(self, name: str, to: str, *, language: str = "en", **context: Any) -> Message:  # what the template shows
        """The mail `name` to the address `to`, with `link(...)` and `product` at the template's hand."""
        environment = self._environment(language)
        direction = "rtl" if language in RIGHT_TO_LEFT else "ltr"
        values = {"product": self.product, "to": to, "language": language, "direction": direction, **context}
        subject, _, text = environment.get_template(f"{FOLDER}/{name}.txt").render(values).partition("\n")
        # A value with a line break must not make a header of its own (ASVS 1.3.11).
        values["subject"] = " ".join(subject.split())
        values["preheader"] = textwrap.shorten(text.strip().partition("\n\n")[0], 150, placeholder="…")
        try:
            html = environment.get_template(f"{FOLDER}/{name}.html").render(values)
        except jinja2.TemplateNotFound:
            html = None
        text = _wrapped(environment.get_template(f"{FOLDER}/{FRAME}.txt").render(values | {"text": text.strip()}))
        return Message(to=to, subject=values["subject"], text=text + "\n", html=html, kind=name)

    def sample(self, name: str, *, language: str = "en", **context: Any) -> Message:
        """The mail `name` as it would be written, with sample values. `jinja2.UndefinedError` where there is none of something.

        `context` goes before them; it may also give other values of `to` and `product`.
        """
        link = self.link("sample", SAMPLE_TOKEN) or f"https://app.example.com/sample#token={SAMPLE_TOKEN}"
        values = {"to": "ann@example.com", "link": link, **SAMPLES}
        for samples in (*self._samples, context):
            values |= samples
        return self.write(name, language=language, **values)

    def names(self) -> list[str]:
        """Every mail there is, by name."""
        found = (name for name in self._loader.list_templates() if name.startswith(f"{FOLDER}/") and name.endswith(".txt"))
        return sorted({name.removeprefix(f"{FOLDER}/").removesuffix(".txt") for name in found} - {FRAME})

    def link(self, path: str, token: str | None = None) -> str | None:
        """The URL of a page of the host's front end, a token in its fragment: servers and referrers never see that part."""
        base = self._settings.base_url
        if not base:
            return None
        page = f"{base.rstrip('/')}/{path}"
        return page if token is None else f"{page}#token={token}"

    def language_for(self, *, stored: str | None, asked: str | None) -> str:
        """The best of the languages there are: what the account has stored, else what the request asks for, else English."""
        there = languages()
        if stored and stored.partition("-")[0].partition("_")[0].lower() in there:
            return stored.partition("-")[0].partition("_")[0].lower()
        return parse_accept_header((asked or "")[:256], LanguageAccept).best_match(there, default="en")

    def _environment(self, language: str) -> jinja2.Environment:
        if language not in self._environments:
            environment = jinja2.Environment(
                loader=self._loader, autoescape=jinja2.select_autoescape(["html"], default=False), extensions=["jinja2.ext.i18n"],
                trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
            )  # fmt: skip
            environment.install_gettext_translations(catalogue(language), newstyle=True)  # type: ignore[attr-defined]  # the extension's
            self._environments[language] = environment
        return self._environments[language]


def _wrapped(text: str) -> str:
    """`text` with its long lines broken at blanks; links and tokens stay whole."""
    lines = (
        textwrap.fill(line, WIDTH, break_long_words=False, break_on_hyphens=False) if len(line) > WIDTH else line
        for line in text.strip().splitlines()
    )
    return "\n".join(lines)


@functools.cache
def languages() -> tuple[str, ...]:
    """The languages there are catalogues of, English first."""
    folder = Path(str(resources.files("flask_accounts").joinpath("locales")))
    found = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return ("en", *(name for name in found if name != "en"))


@functools.cache
def catalogue(language: str) -> gettext.NullTranslations:
    """The words of one language."""
    folder = str(resources.files("flask_accounts").joinpath("locales"))
    return gettext.translation(DOMAIN, folder, languages=[language], fallback=True)
