"""The host's own Flask-Mail and Flask-Mailman, as they are, against a real server in this process."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import flask_mail
import flask_mailman
import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from flask_accounts import Accounts
from flask_accounts.core.events import MailFailed
from tests.conftest import KEY
from tests.mailing import server, silent_server

EXTENSIONS = {"Flask-Mail": flask_mail.Mail, "Flask-Mailman": flask_mailman.Mail}

SERVERS_OWN = ("mail.log", "asyncio")
"""What the server in this process logs by."""


@dataclass
class Host:
    """An app with one of the extensions, and what it was told of."""

    app: Flask
    db: SQLAlchemy
    accounts: Accounts
    told: list[MailFailed] = field(default_factory=list)
    failed: threading.Event = field(default_factory=threading.Event)

    def receive(self, sender: Flask, event: MailFailed) -> None:
        self.told.append(event)
        self.failed.set()

    def register(self, name: str = "ann") -> TestResponse:
        """A registration, which calls for a mail."""
        return self.app.test_client().post(
            "/api/auth/register", json={"email": f"{name}@example.com", "password": "seven brown foxes"}
        )


MakeHost = Callable[..., Host]


@pytest.fixture(params=EXTENSIONS)
def make_host(request: pytest.FixtureRequest, database_url: str) -> Iterator[MakeHost]:
    """Makes an app with the extension on it, initialised after the accounts or `first`, sending to `port`."""
    made: list[Host] = []

    def make(port: int, *, first: bool = False, **config: Any) -> Host:
        app, db = Flask("host"), SQLAlchemy()
        app.config.update(
            SQLALCHEMY_DATABASE_URI=database_url, SECRET_KEY=KEY, MAIL_SERVER="127.0.0.1", MAIL_PORT=port,
            MAIL_DEFAULT_SENDER="The host <host@example.com>", ACCOUNTS_MAIL_PAUSE=0, ACCOUNTS_MAIL_TIMEOUT=5,
        )  # fmt: skip
        app.config.update(config)
        if first:
            EXTENSIONS[request.param](app)
        accounts = Accounts(db, app)
        if not first:
            EXTENSIONS[request.param](app)
        with app.app_context():
            db.create_all()
        host = Host(app, db, accounts)
        MailFailed.signal.connect(host.receive, sender=app)
        made.append(host)
        return host

    yield make
    for host in made:
        with host.app.app_context():
            host.accounts.mail.drain()
            host.db.session.remove()
            if host.db.engine.dialect.name != "sqlite":
                host.db.drop_all()
            host.db.engine.dispose()


def drain(host: Host) -> None:
    with host.app.app_context():
        host.accounts.mail.drain()


@pytest.mark.parametrize("first", [True, False], ids=["the extension first", "the accounts first"])
def test_text_and_html_arrive_from_the_hosts_sender(make_host: MakeHost, first: bool) -> None:
    with server() as (inbox, port):
        host = make_host(port, first=first)
        assert host.register().status_code == 201
        drain(host)

    (mail,), (envelope,) = inbox.mails, inbox.envelopes
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert (mail["From"], mail["To"], mail["Subject"]) == (
        "The host <host@example.com>", "ann@example.com", "Confirm your e-mail address",
    )  # fmt: skip
    assert (envelope.mail_from, envelope.rcpt_tos) == ("host@example.com", ["ann@example.com"])
    assert "Please confirm that this address is yours." in text.get_content()
    assert "<!doctype html>" in html.get_content()
    assert mail["Auto-Submitted"] == "auto-generated"
    assert host.told == []


@pytest.mark.parametrize(
    ("config", "sender"),
    [
        ({"ACCOUNTS_MAIL_SENDER": "accounts@example.com"}, "accounts@example.com"),
        ({"MAIL_DEFAULT_SENDER": None}, "accounts@localhost"),
        ({"MAIL_DEFAULT_SENDER": ("The host", "host@example.com")}, "The host <host@example.com>"),
    ],
    ids=["our setting goes first", "neither is set", "a pair"],
)
def test_the_sender_is_ours_where_it_is_set_else_the_hosts(make_host: MakeHost, config: dict[str, Any], sender: str) -> None:
    with server() as (inbox, port):
        host = make_host(port, **config)
        host.register()
        drain(host)

    assert [mail["From"] for mail in inbox.mails] == [sender]


def test_words_and_addresses_beyond_ascii_arrive(make_host: MakeHost) -> None:
    with server(enable_SMTPUTF8=False) as (inbox, port):
        host = make_host(port)
        answer = host.app.test_client().post(
            "/api/auth/register", json={"email": "ann@straße.example", "password": "seven brown foxes"},
            headers={"Accept-Language": "fr"},
        )  # fmt: skip
        drain(host)

    assert answer.status_code == 201
    assert [envelope.rcpt_tos for envelope in inbox.envelopes] == [["ann@xn--strae-oqa.example"]]
    assert inbox.mails[0]["Subject"] == "Confirmez votre adresse e-mail"


def test_a_server_that_is_busy_is_tried_again(make_host: MakeHost) -> None:
    with server(answers=["451 later", "451 later", "250 OK"]) as (inbox, port):
        host = make_host(port)
        host.register()
        drain(host)

    assert len(inbox.envelopes) == 3
    assert host.told == []


@pytest.mark.requirement("ASVS 16.2.5")
@pytest.mark.parametrize(("answer", "tries"), [("451 later", 3), ("550 never", 1)], ids=["not now", "never"])
def test_what_cannot_be_sent_is_told_and_no_log_record_holds_its_token(
    make_host: MakeHost, caplog: pytest.LogCaptureFixture, answer: str, tries: int
) -> None:
    caplog.set_level(logging.DEBUG)
    with server(answers=[answer]) as (inbox, port):
        host = make_host(port, ACCOUNTS_MAIL_ATTEMPTS=3, ACCOUNTS_MAIL_BASE_URL="https://app.example.com")
        host.register()
        drain(host)

    text = inbox.mails[0].get_body(("plain",))
    assert text is not None
    token, code = re.findall(r"#token=(\S+)|\b(\d{8})\b", text.get_content())
    assert len(inbox.envelopes) == tries
    assert [(event.kind, event.reason) for event in host.told] == [("verify_email", f"SMTPDataError {answer[:3]}")]
    records = [record for record in caplog.records if record.name not in SERVERS_OWN]
    logged = "\n".join(logging.Formatter().format(record) + repr(vars(record)) for record in records)
    assert "A mail (verify_email) could not be sent: SMTPDataError" in logged
    for secret in (token[0], code[1]):
        assert len(secret) >= 8
        assert secret not in logged
    assert "ann@example.com" not in "".join(record.getMessage() for record in records if record.name == "flask_accounts.mail")


@pytest.mark.requirement("ASVS 16.5.2")
def test_a_server_that_hangs_neither_slows_nor_fails_a_request(make_host: MakeHost) -> None:
    with silent_server() as (listening, port):
        host = make_host(port, ACCOUNTS_MAIL_TIMEOUT=60, ACCOUNTS_MAIL_ATTEMPTS=1)

        answer = host.register()

        assert answer.status_code == 201
        assert not host.failed.is_set()  # it is still being tried
        connection, _ = listening.accept()
        connection.close()
    assert host.failed.wait(10)
    assert [event.kind for event in host.told] == ["verify_email"]


@pytest.mark.requirement("ASVS 16.5.2")
def test_a_server_that_is_not_there_fails_no_request(make_host: MakeHost) -> None:
    with silent_server() as (_, port):
        pass
    host = make_host(port)

    assert host.register().status_code == 201
    drain(host)

    assert [(event.kind, event.reason) for event in host.told] == [("verify_email", "ConnectionRefusedError")]


def test_a_server_that_never_answers_is_given_up(make_host: MakeHost) -> None:
    with silent_server() as (_, port):
        host = make_host(port, ACCOUNTS_MAIL_TIMEOUT=0.05, ACCOUNTS_MAIL_ATTEMPTS=1)
        host.register()

        assert host.failed.wait(10)

    assert [event.reason for event in host.told] == ["SMTPServerDisconnected"]


def test_a_mail_too_many_is_told_at_once(make_host: MakeHost) -> None:
    with silent_server() as (listening, port):
        host = make_host(port, ACCOUNTS_MAIL_WORKERS=1, ACCOUNTS_MAIL_QUEUE_SIZE=1, ACCOUNTS_MAIL_ATTEMPTS=1)
        host.register("ann")
        connection, _ = listening.accept()  # the first is being sent
        assert [host.register(name).status_code for name in ("ben", "cat")] == [201, 201]

        assert [event.reason for event in host.told] == ["too many messages are waiting"]

        connection.close()
        listening.accept()[0].close()
        drain(host)
    assert len(host.told) == 3


def test_in_a_hosts_own_tests_nothing_leaves(make_host: MakeHost) -> None:
    with server() as (inbox, port):
        host = make_host(port, TESTING=True)
        host.register()
        drain(host)

    assert inbox.envelopes == []
    assert host.told == []
