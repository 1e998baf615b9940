"""Mail leaves after the commit, never without one, and a broken mailer breaks nothing."""

from __future__ import annotations

import logging

import pytest

from flask_accounts import Accounts, Message
from flask_accounts.core.mail import ConsoleMailer, MailRoom
from tests.conftest import MakeSite, Site

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
        MailRoom(Broken(), site.testing.runtime.events).send(HELLO)
        site.db.session.commit()

    assert "no route to host" in caplog.text
    assert "A secret link" not in caplog.text


def test_without_a_mailer_sending_is_an_error_that_says_the_remedy(site: Site) -> None:
    with site.app.app_context(), pytest.raises(RuntimeError, match=r"Accounts\(db, mailer="):
        MailRoom(None, site.testing.runtime.events).send(HELLO)


def test_the_hosts_mailer_is_used(make_site: MakeSite) -> None:
    class Post:
        def __init__(self) -> None:
            self.sent: list[Message] = []

        def send(self, message: Message) -> None:
            self.sent.append(message)

    post = Post()
    site = make_site(mailer=post)
    with site.app.app_context():
        room: MailRoom = MailRoom(post, site.testing.runtime.events)
        room.send(HELLO)
        site.db.session.commit()

    assert post.sent == [HELLO]
    assert isinstance(site.accounts, Accounts)


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
