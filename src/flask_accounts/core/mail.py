"""Mail that leaves after the transaction has committed: the message, the `Mailer` seam, two backends.

Pass an object with a `send` method as `Accounts(mailer=)`; without one, messages go to the log in
debug mode and are refused elsewhere, so that no mail is lost in silence.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Protocol

from .events import EventBus

logger: logging.Logger = logging.getLogger("flask_accounts.mail")


@dataclass(frozen=True)
class Message:
    """A mail to one address. No header field may hold a line break (ASVS 1.3.11)."""

    to: str
    subject: str
    text: str = field(repr=False)
    html: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, value in (("to", self.to), ("subject", self.subject)):
            if not value.isprintable():
                raise ValueError(f"The {name} of a mail may not hold line breaks or control characters.")


class Mailer(Protocol):
    """Sends one message, or raises."""

    def send(self, message: Message) -> None:
        """Deliver `message` or hand it to what will."""
        ...


class ConsoleMailer:
    """Writes messages to the log, for development."""

    def send(self, message: Message) -> None:
        """Log the whole message."""
        logger.info("Mail to %s: %s\n%s", message.to, message.subject, message.text)


class MemoryMailer:
    """Keeps messages in `outbox`, for tests."""

    def __init__(self) -> None:
        self.outbox: list[Message] = []

    def send(self, message: Message) -> None:
        """Append `message` to `outbox`."""
        self.outbox.append(message)


class MailRoom:
    """Takes messages inside a transaction and sends them once it has committed."""

    def __init__(self, mailer: Mailer | None, events: EventBus) -> None:
        self._mailer = mailer
        self._events = events

    def send(self, message: Message) -> None:
        """Send `message` after the commit, never if it is rolled back. A mailer's error is logged, not raised."""
        mailer = self._mailer
        if mailer is None:
            raise RuntimeError("There is no mailer. Pass one: Accounts(db, mailer=...).")
        self._events.after_commit(lambda: mailer.send(message))
