"""The SMTP mailer against a real server in this process: plain, STARTTLS, TLS, sign-in, and servers that fail."""

from __future__ import annotations

import ssl
import threading
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import AuthResult
from pydantic import SecretStr

from flask_accounts.core.events import Event, MailFailed
from flask_accounts.core.mail import MailRoom, MailSettings, Message, SmtpMailer
from tests.conftest import Site
from tests.mailing import server

HELLO = Message(to="ann@example.com", subject="Grüße", text="A text", html="<p>A text</p>", kind="hello")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def settings(port: int, **kwargs: Any) -> MailSettings:
    return MailSettings.model_validate(
        {"host": "127.0.0.1", "port": port, "security": "none", "timeout": 5.0, "pause": 0.0} | kwargs
    )


def test_text_and_html_arrive(site: Site) -> None:
    with server() as (inbox, port):
        SmtpMailer(settings(port, sender="Accounts <no-reply@example.com>")).send(HELLO)

    (envelope,) = inbox.envelopes
    assert envelope.rcpt_tos == ["ann@example.com"]
    assert b"multipart/alternative" in envelope.content
    assert b"Auto-Submitted: auto-generated" in envelope.content


def test_an_international_domain_is_sent_in_ascii() -> None:
    with server(enable_SMTPUTF8=False) as (inbox, port):
        SmtpMailer(settings(port)).send(Message(to="ann@straße.example", subject="Hello", text="A text"))

    assert [envelope.rcpt_tos for envelope in inbox.envelopes] == [["ann@xn--strae-oqa.example"]]
    assert inbox.mails[0]["To"] == "ann@xn--strae-oqa.example"


def test_starttls_verifies_the_server(authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    with server(authority) as (inbox, port):
        SmtpMailer(settings(port, security="starttls"), context=trusting).send(HELLO)
        with pytest.raises(ssl.SSLCertVerificationError):
            SmtpMailer(settings(port, security="starttls")).send(HELLO)

    assert len(inbox.envelopes) == 1


def test_a_server_without_starttls_gets_nothing() -> None:
    with server() as (inbox, port), pytest.raises(OSError, match="STARTTLS"):
        SmtpMailer(settings(port, security="starttls")).send(HELLO)

    assert inbox.envelopes == []


def test_signing_in_at_the_server(authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"app", b"s3cret"), handled=False)

    with server(authority, authenticator=authenticate, auth_required=True) as (inbox, port):
        given = settings(port, security="starttls", username="app", password="s3cret")
        SmtpMailer(given, context=trusting).send(HELLO)
        with pytest.raises(OSError, match="535"):
            SmtpMailer(given.model_copy(update={"password": SecretStr("wrong")}), context=trusting).send(HELLO)

    assert len(inbox.envelopes) == 1


def room(site: Site, mailer: Any, **kwargs: Any) -> MailRoom:
    return MailRoom(mailer, site.testing.runtime.events, site.app, settings(25, **kwargs), wait=lambda seconds: None)


def post(site: Site, mail: MailRoom, message: Message = HELLO) -> None:
    with site.app.app_context():
        mail.send(message)
        site.db.session.commit()


def test_a_failing_server_is_tried_again_and_then_told(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    class Flaky:
        def __init__(self, failures: int) -> None:
            self.failures, self.tries, self.sent = failures, 0, 0

        def send(self, message: Message) -> None:
            self.tries += 1
            if self.tries <= self.failures:
                raise ConnectionRefusedError("A text")
            self.sent += 1

    told: list[Event] = []

    def receive(sender: Any, event: Event) -> None:
        told.append(event)

    recovering, dead = Flaky(2), Flaky(99)
    with MailFailed.signal.connected_to(receive):
        for mailer in (recovering, dead):
            mail = room(site, mailer, attempts=3)
            post(site, mail)
            mail.drain()

    assert (recovering.tries, recovering.sent) == (3, 1)
    assert (dead.tries, dead.sent) == (3, 0)
    assert [(event.kind, event.reason) for event in told if isinstance(event, MailFailed)] == [("hello", "ConnectionRefusedError")]
    assert "A text" not in caplog.text


def test_a_hanging_server_does_not_slow_a_request(site: Site) -> None:
    release, entered = threading.Event(), threading.Event()

    class Hanging:
        def send(self, message: Message) -> None:
            entered.set()
            release.wait(10)

    mail = room(site, Hanging(), workers=1)
    post(site, mail)  # returns though nothing has been sent

    assert entered.wait(5)
    assert not release.is_set()
    release.set()
    mail.drain()


def test_a_full_queue_is_told_and_not_waited_for(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    release, entered = threading.Event(), threading.Event()

    class Hanging:
        def send(self, message: Message) -> None:
            entered.set()
            release.wait(10)

    mail = room(site, Hanging(), workers=1, queue_size=1)
    post(site, mail)
    assert entered.wait(5)
    post(site, mail)
    post(site, mail)

    assert "too many messages are waiting" in caplog.text
    release.set()
    mail.drain()


@pytest.mark.parametrize(
    "bad", [{"backend": "smtp", "host": None}, {"base_url": "http://evil.example.com"}, {"base_url": "//example.com"}, {"port": 0}]
)
def test_settings_that_cannot_work_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        MailSettings.model_validate(bad)
