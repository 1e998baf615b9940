"""`flask accounts mail-preview`: every mail in every language, with a value for everything that a template shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import pytest
from flask import Flask

from flask_accounts import Feature, default_features, opt_in_features
from flask_accounts.core import letters as core_letters
from flask_accounts.core.letters import SAMPLES, Letters, languages
from flask_accounts.core.mail import MailSettings
from tests.conftest import MakeSite, Site

SOURCE = Path(core_letters.__file__).parent.parent
WRITTEN_BY_US = {"product", "to", "language", "direction", "link"}
ONLY_IN_HTML = {"subject", "preheader"}
ONLY_IN_THE_FRAME = {"text"}


@pytest.fixture
def everything(make_site: MakeSite) -> Site:
    """A site with every feature there is."""
    return make_site(features=[*default_features(), *opt_in_features()])


def preview(site: Site, folder: Path) -> str:
    done = site.app.test_cli_runner().invoke(args=["accounts", "mail-preview", str(folder)])
    assert done.exit_code == 0, done.output
    return done.output


def variables() -> Iterator[tuple[Path, set[str]]]:
    """Every mail template of the package with the names it takes from outside, also those in branches that a sample does not walk."""
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    environment.install_null_translations()  # type: ignore[attr-defined]  # the extension's
    for path in sorted([*SOURCE.glob("templates/accounts/mail/*"), *SOURCE.glob("features/*/templates/accounts/mail/*")]):
        parsed = environment.parse(path.read_text(encoding="utf-8"))
        yield path, jinja2.meta.find_undeclared_variables(parsed) - set(environment.globals)


def test_every_variable_of_every_template_has_a_sample() -> None:
    found = dict(variables())
    features = (*default_features(), *opt_in_features())
    samples = {type(feature).__module__.split(".")[2]: set(feature.mail_samples) for feature in features}
    missing = {}
    for path, names in found.items():
        given = WRITTEN_BY_US | set(SAMPLES) | (ONLY_IN_HTML if path.suffix == ".html" else set())
        if path.parent.is_relative_to(SOURCE / "features"):
            given |= samples.get(path.relative_to(SOURCE / "features").parts[0], set())
        else:
            given |= ONLY_IN_THE_FRAME
        if names - given:
            missing[str(path.relative_to(SOURCE))] = names - given

    assert missing == {}
    assert len(found) >= 16


def test_every_mail_is_written_in_every_language_and_listed(everything: Site, tmp_path: Path) -> None:
    said = preview(everything, tmp_path / "mails")

    with everything.app.app_context():
        names = everything.accounts.runtime.letters.names()
    index = (tmp_path / "mails" / "index.html").read_text(encoding="utf-8")
    assert said.startswith(f"Wrote {len(names)} mails in {len(languages())} languages to ")
    written = {f"{name}.{language}.{kind}" for name in names for language in languages() for kind in ("txt", "html")}
    assert {path.name for path in (tmp_path / "mails").iterdir()} == {*written, "index.html"}
    assert set(re.findall(r'<a href="([^#"]+)"', index)) == written
    assert "base" not in names


def test_the_index_says_that_links_need_a_base_url(make_site: MakeSite, tmp_path: Path) -> None:
    preview(make_site(), tmp_path / "without")
    preview(make_site(config={"ACCOUNTS_MAIL_BASE_URL": "https://app.example.com"}), tmp_path / "with")

    assert "ACCOUNTS_MAIL_BASE_URL is not set" in (tmp_path / "without" / "index.html").read_text()
    assert "ACCOUNTS_MAIL_BASE_URL is not set" not in (tmp_path / "with" / "index.html").read_text()
    assert "https://app.example.com/sample#token=" in (tmp_path / "with" / "verify_email.en.txt").read_text()


def feature(samples: dict[str, Any]) -> Feature:
    class Greeting(Feature):
        """Says hello."""

        name = "greeting"
        mail_samples = samples

    return Greeting()


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    """The folder of an app whose own mail greets somebody by name."""
    folder = tmp_path / "templates" / "accounts" / "mail"
    folder.mkdir(parents=True)
    (folder / "greeting.txt").write_text("Hello\n\nHello {{ nickname }}, {{ minutes }} minutes.\n")
    return tmp_path


def in_folder(site: Site, folder: Path) -> Site:
    letters = site.testing.runtime.letters
    site.testing.runtime.letters = Letters(
        Flask("host", root_path=str(folder)), MailSettings(), ["flask_accounts"], letters._samples
    )
    return site


def test_a_feature_names_values_for_its_own_mails_and_goes_before_the_core(make_site: MakeSite, letter: Path) -> None:
    site = make_site(features=[*default_features(), feature({"nickname": "Ann", "minutes": 7})])

    preview(in_folder(site, letter), letter / "mails")

    assert "Hello Ann, 7 minutes." in (letter / "mails" / "greeting.en.txt").read_text()


def test_a_value_that_nobody_has_named_is_told_in_a_sentence(make_site: MakeSite, letter: Path) -> None:
    site = in_folder(make_site(features=[*default_features(), feature({})]), letter)

    done = site.app.test_cli_runner().invoke(args=["accounts", "mail-preview", str(letter / "mails")])

    assert done.exit_code == 1
    assert done.output == (
        "Error: The mail greeting: 'nickname' is undefined. Its feature must name a value for previews in mail_samples.\n"
    )
    assert not (letter / "mails").exists()
