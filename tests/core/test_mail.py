"""Mail leaves after the commit, never without one, and a broken mailer breaks nothing."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts, Message
from flask_accounts.core.events import MailFailed
from flask_accounts.core.mail import ConsoleMailer, MailRoom, MailSettings
from tests.conftest import KEY, Site

HELLO = Message(to="ann@example.com", subject="Hello", text="A secret link")


def test_a_message_leaves_with_the_commit(site: Site) -> None:
    with site.app.app_context():
        site.accounts.mail.send(HELLO)
        assert site.testing.outbox == []

        site.db.session.commit()

    assert site.testing.outbox == [HELLO]


def test_a_message_of_a_rolled_back_transaction_never_leaves(site: Site) -> None:
    with site.app.app_context():
        site.accounts.users.create("ann@example.com")
        site.accounts.mail.send(HELLO)

        site.db.session.rollback()
        site.db.session.commit()

    assert site.testing.outbox == []


def test_a_broken_mailer_is_logged_without_the_text_and_fails_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def send(self, message: Message) -> None:
            raise OSError("no route to host")

    with site.app.app_context():
        room(site, Broken()).send(HELLO)
        site.db.session.commit()

    assert "A mail (message) could not be sent: OSError" in caplog.text
    assert "A secret link" not in caplog.text


def room(site: Site, mailer: Any) -> MailRoom:
    return MailRoom(mailer, site.testing.runtime.events, site.app, MailSettings(background=False))


def test_without_a_mailer_a_mail_is_told_as_failed_with_the_remedy(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with site.app.app_context():
        room(site, None).send(HELLO)
        site.db.session.commit()

    assert "ACCOUNTS_MAIL_HOST" in caplog.text


def test_each_receiver_is_told_of_a_failed_mail_whatever_another_does(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    import asgiref  # noqa: F401  # async receivers need it

    told: list[str] = []

    def broken(sender: Flask, event: MailFailed) -> None:
        raise ValueError("a receiver's mistake")

    async def later(sender: Flask, event: MailFailed) -> None:
        told.append(event.kind)

    signal = MailFailed.signal
    with signal.connected_to(broken, sender=site.app), signal.connected_to(later, sender=site.app), site.app.app_context():
        room(site, None).send(HELLO)
        site.db.session.commit()

    assert told == ["message"]
    assert "A receiver of mail.failed failed." in caplog.text


def test_the_hosts_function_is_a_mailer() -> None:
    sent: list[Message] = []
    db, app = SQLAlchemy(), Flask("host")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY=KEY, ACCOUNTS_MAIL_BACKGROUND=False)
    accounts = Accounts(db, app, mailer=sent.append)

    with app.app_context():
        accounts.mail.send(HELLO)
        db.session.commit()

    assert sent == [HELLO]


def test_an_app_may_have_a_mailer_of_its_own() -> None:
    everybodys: list[Message] = []
    own: list[Message] = []
    db = SQLAlchemy()
    accounts = Accounts(db, mailer=everybodys.append)
    for mailer in (own.append, None):
        app = Flask("host")
        app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY=KEY, ACCOUNTS_MAIL_BACKGROUND=False)
        accounts.init_app(app, mailer=mailer)
        with app.app_context():
            accounts.mail.send(HELLO)
            db.session.commit()

    assert (len(own), len(everybodys)) == (1, 1)


def test_mails_call_the_app_by_the_name_it_gives_itself() -> None:
    app = Flask("examples.host.app")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY=KEY, ACCOUNTS_MAIL_PRODUCT="Commonplace")
    accounts = Accounts(SQLAlchemy(), app)

    with app.app_context():
        mail = accounts.runtime.letters.write("password_changed", "ann@example.com")

    assert "tell whoever runs Commonplace" in " ".join(mail.text.split())


def test_the_console_mailer_writes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="flask_accounts.mail"):
        ConsoleMailer().send(HELLO)

    assert "ann@example.com" in caplog.text


@pytest.mark.parametrize("part", ["to", "subject"])
@pytest.mark.parametrize("evil", ["a\r\nBcc: x@example.com", "a\nb", "a\x00"])
@pytest.mark.requirement("ASVS 1.3.11")
def test_header_injection_is_refused(part: str, evil: str) -> None:
    with pytest.raises(ValueError, match=part):
        Message(**{"to": "ann@example.com", "subject": "Hello", "text": "", part: evil})
