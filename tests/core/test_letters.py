"""Mails: every word in every language, a host's own templates, and headers that hold no line break."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from flask_accounts.core.letters import Letters, languages
from flask_accounts.core.mail import MailSettings

ROOT = Path(__file__).parent.parent.parent
CORE = "flask_accounts"
VERIFICATION = "flask_accounts.features.email_verification"


@pytest.fixture
def letters() -> Letters:
    return Letters(Flask("Blog"), MailSettings(), [CORE, VERIFICATION])


def test_every_word_is_translated_and_the_compiled_catalogues_are_current() -> None:
    import babel  # noqa: F401  # the tool needs it

    done = subprocess.run(
        [sys.executable, "tools/make_catalogues.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_english_and_two_more_languages() -> None:
    assert languages() == ("en", "de", "fr")


@pytest.mark.parametrize(
    ("stored", "asked", "language"),
    [
        (None, None, "en"), (None, "de-AT,de;q=0.9,en;q=0.5", "de"), ("fr", "de", "fr"), ("fr_CA", None, "fr"), ("xx", "de", "de"),
        (None, "xx", "en"), (None, "de;q=nonsense," * 100, "de"), (None, "\x00", "en"),
    ],
)  # fmt: skip
def test_the_accounts_language_goes_before_the_requests(
    letters: Letters, stored: str | None, asked: str | None, language: str
) -> None:
    assert letters.language_for(stored=stored, asked=asked) == language


def test_a_host_overrides_a_mail_by_a_file_of_the_same_name(tmp_path: Path) -> None:
    folder = tmp_path / "templates" / "accounts" / "mail"
    folder.mkdir(parents=True)
    (folder / "verify_email.txt").write_text("Hello from {{ product }}\n\nYour code is {{ code }}.\n")
    letters = Letters(Flask("Blog", root_path=str(tmp_path)), MailSettings(), [CORE, VERIFICATION])

    mail = letters.write("verify_email", "ann@example.com", code="12345678", token="t", link=None, minutes=60)

    assert (mail.subject, mail.text.splitlines()[0]) == ("Hello from Blog", "Your code is 12345678.")


@pytest.mark.parametrize(("frame", "part"), [("base.txt", "text"), ("base.html", "html")])
def test_a_host_overrides_the_frame_around_every_mail(tmp_path: Path, frame: str, part: str) -> None:
    folder = tmp_path / "templates" / "accounts" / "mail"
    folder.mkdir(parents=True)
    (folder / frame).write_text(
        "== {{ text }}{% block body %}{% endblock %} ==" if part == "text" else "== {% block body %}{% endblock %} =="
    )
    letters = Letters(Flask("Blog", root_path=str(tmp_path)), MailSettings(), [CORE, VERIFICATION])

    written = getattr(letters.sample("verify_email"), part)

    assert written.startswith("== ")
    assert written.rstrip().endswith(" ==")
    assert "12345678" in written


def test_a_mail_says_why_it_came_and_what_it_is_about_before_it_is_opened(letters: Letters) -> None:
    mail = letters.sample("verify_email", to="ben@example.com")

    why = "You are getting this mail because the address ben@example.com was entered at Blog."
    html = mail.html or ""
    assert why in " ".join(mail.text.split())
    assert why in html
    hidden = html[html.index("display:none") :]
    assert hidden.partition(">")[2].startswith("Please confirm that this address is yours.")


def test_a_language_from_right_to_left_says_so(letters: Letters) -> None:
    assert '<html lang="he" dir="rtl">' in (letters.sample("verify_email", language="he").html or "")
    assert '<html lang="fr" dir="ltr">' in (letters.sample("verify_email", language="fr").html or "")


def test_long_lines_of_text_are_broken_at_blanks_and_links_stay_whole(letters: Letters) -> None:
    link = "https://app.example.com/" + "verify-email/" * 20

    lines = letters.sample("verify_email", language="de", link=link).text.splitlines()

    assert link in lines
    assert max(len(line) for line in lines if line != link) <= 76
    assert "" in lines


def test_no_line_of_html_is_too_long_for_smtp(letters: Letters) -> None:
    html = letters.sample("verify_email").html or ""

    assert (
        max(len(line.encode()) for line in html.splitlines()) < 998
    )  # RFC 5321 section 4.5.3.1.6; Flask-Mail sends lines as they are


def test_the_address_is_shown_below_a_button_only(letters: Letters) -> None:
    asked = "If the button does not work"

    assert asked in (letters.sample("verify_email").html or "")
    assert asked not in (letters.sample("verify_email", link=None).html or "")
    assert asked not in (letters.sample("account_exists").html or "")


@pytest.mark.requirement("ASVS 1.3.11")
def test_a_line_break_in_a_value_makes_no_header(tmp_path: Path) -> None:
    app = Flask("Blog\r\nBcc: everybody@example.com", root_path=str(tmp_path))
    folder = tmp_path / "templates" / "accounts" / "mail"
    folder.mkdir(parents=True)
    (folder / "hello.txt").write_text("Hello from {{ product }}\n\nText.\n")

    mail = Letters(app, MailSettings(), [CORE]).write("hello", "ann@example.com")

    assert "\n" not in mail.subject
    assert "Bcc" not in mail.to_email("accounts@example.com")


def test_values_are_escaped_in_html(letters: Letters) -> None:
    mail = letters.write("verify_email", "ann@example.com", code="<b>", token="t", link=None, minutes=60)

    assert "&lt;b&gt;" in (mail.html or "")
