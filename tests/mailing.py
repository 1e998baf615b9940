"""A real SMTP server in the test's own process."""

from __future__ import annotations

import email.policy
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

import trustme
from aiosmtpd.controller import Controller


class Inbox:
    """Keeps what a server is given. `answers` are said in turn, the last one for ever."""

    def __init__(self, answers: Sequence[str] = ("250 OK",)) -> None:
        self.answers = list(answers)
        self.envelopes: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # the library's name
        self.envelopes.append(envelope)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def mails(self) -> list[EmailMessage]:
        """What came, parsed."""
        return [email.message_from_bytes(envelope.content, policy=email.policy.default) for envelope in self.envelopes]


@contextmanager
def server(
    authority: trustme.CA | None = None, *, answers: Sequence[str] = ("250 OK",), **kwargs: Any
) -> Iterator[tuple[Inbox, int]]:
    """A server and its port; with an `authority`, one that offers STARTTLS."""
    inbox = Inbox(answers)
    if authority is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        kwargs["tls_context"] = context
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=port, **kwargs)
    controller.start()
    try:
        yield inbox, port
    finally:
        controller.stop()


@contextmanager
def silent_server() -> Iterator[tuple[socket.socket, int]]:
    """A server that lets connections in and never says a word, until its socket is closed."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(10)
        yield listening, listening.getsockname()[1]
