"""The demo's mails: kept on this machine in development, sent in production, and led back to the page."""

from __future__ import annotations

import html
import re
from pathlib import Path

import examples.demo
import pytest
from examples.demo import create_app
from examples.demo.app import PAGES_OF_MAILS
from examples.demo.models import db
from examples.demo.outbox import KEPT, Outbox

from flask_accounts import Message
from flask_accounts.core.mail import SmtpMailer
from flask_accounts.testing import PASSWORD

from .conftest import Demo, accounts_of
from .test_demo_setup import bare, live

__all__ = ["bare", "live"]  # fixtures

REGISTER = {"email": "ann@example.com", "username": "ann", "password": PASSWORD}


def test_a_mail_is_kept_and_shown_with_its_links(demo: Demo) -> None:
    client = demo.client()
    client.post("/api/auth/register", json=REGISTER)
    client.post("/api/auth/password/forgot", json={"email": "ann@example.com"})

    listed = client.get("/outbox")
    mail = client.get("/outbox/1")

    assert listed.text.index("Set a new password") < listed.text.index("Confirm your e-mail address"), "newest first"
    assert re.search(r'<a href="http://localhost:\d+/verify-email#token=[\w-]+">', mail.text)
    assert re.search(r"\d{8}", mail.text)
    assert client.get("/outbox/3").status_code == 404
    assert listed.headers["Cache-Control"] == mail.headers["Cache-Control"] == "no-store"


def test_the_mails_own_html_is_locked_in_its_frame(demo: Demo) -> None:
    client = demo.client()
    client.post("/api/auth/register", json=REGISTER)

    page, mail = client.get("/outbox/1"), client.get("/outbox/1/html")

    assert 'sandbox="allow-top-navigation-by-user-activation"' in page.text
    assert "unsafe-inline" not in page.headers["Content-Security-Policy"]
    assert "sandbox allow-top" in mail.headers["Content-Security-Policy"]
    assert "script-src" not in mail.headers["Content-Security-Policy"]
    assert "allow-scripts" not in page.text + mail.headers["Content-Security-Policy"]
    assert "was entered at Commonplace." in mail.text


@pytest.mark.requirement("ASVS 1.2.1")
def test_what_a_stranger_put_into_a_mail_never_becomes_markup(demo: Demo) -> None:
    attack = "<img src=x onerror=alert(1)>"
    with demo.app.app_context():
        demo.testing.runtime.mail.send(Message(to=f"{attack}@example.com", subject=attack, text=f"{attack} http://x/{attack}"))
        db.session.commit()

    for path in ("/outbox", "/outbox/1"):
        text = demo.client().get(path).text
        assert "<img" not in text
        assert html.escape("<img src=x") in text


def test_the_last_mails_are_kept(demo: Demo) -> None:
    outbox = Outbox()
    for number in range(KEPT + 5):
        outbox.send(Message(to="ann@example.com", subject=str(number), text=""))

    assert [kept.message.subject for kept in outbox.mails()] == [str(number) for number in range(KEPT + 4, 4, -1)]


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("192.0.2.7", "localhost"),
        ("127.0.0.1", "evil.example"),
        ("127.0.0.1", "evil.example:5000"),
        ("::ffff:192.0.2.7", "localhost"),
    ],
)
def test_the_network_and_other_names_do_not_reach_the_outbox(demo: Demo, address: str, host: str) -> None:
    demo.client().post("/api/auth/register", json=REGISTER)

    for path in ("/outbox", "/outbox/1", "/outbox/1/html"):
        answer = demo.client().get(path, environ_overrides={"REMOTE_ADDR": address}, headers={"Host": host})
        assert answer.status_code == 404


def test_there_is_no_outbox_in_production_and_mail_leaves_by_smtp(live: Path) -> None:
    app = create_app("production")

    for path in ("/outbox", "/outbox/1", "/outbox/1/html"):
        assert app.test_client().get(path).status_code == 404
    assert 'href="/outbox"' not in app.test_client().get("/").text
    assert isinstance(accounts_of(app).mail._mailer, SmtpMailer)


def test_every_link_of_a_mail_leads_to_the_page(demo: Demo) -> None:
    paths = {
        value
        for settings in accounts_of(demo.app).settings.values()
        for name, value in settings.model_dump().items()
        if name.endswith("link_path")
    }

    assert paths == set(PAGES_OF_MAILS)
    script = (Path(examples.demo.__file__).parent / "static/js/app.js").read_text()
    for path in paths:
        assert demo.client().get(f"/{path}").text == demo.client().get("/").text
        assert rf"[/^\/{path}$/, " in script, f"the page has no view for {path}"
