"""Mail that leaves after the transaction has committed, off the request's path.

`MailRoom.send` takes a message inside a transaction; once that has committed, a small bounded pool of
threads hands it to the mailer, again with growing pauses if the mailer fails. A mail server that is
down neither slows nor fails a request. What could not be sent is logged (without the text: it may hold
a token) and told by the `MailFailed` signal.

An own mailer is an object with `send(message)`, or a callable that takes the message: hand it to
Celery, RQ or a provider's API, and set `ACCOUNTS_MAIL_BACKGROUND = False` if it is fast by itself.
"""

from __future__ import annotations

import logging
import queue
import smtplib
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import ClassVar, Literal, Protocol

from flask import Flask
from pydantic import Field, SecretStr, model_validator

from .events import EventBus, MailFailed
from .settings import Settings

logger: logging.Logger = logging.getLogger("flask_accounts.mail")


class MailSettings(Settings):
    """How mail leaves, where no `mailer=` is given."""

    prefix: ClassVar[str] = "mail"

    backend: Literal["auto", "smtp", "console", "none"] = "auto"
    """`smtp`, `console` (the log), or `none`; `auto` is `smtp` where a host is set, else `console` in debug mode, else `none`."""
    sender: str = "accounts@localhost"
    """The address in `From`, or `Name <address>`."""
    host: str | None = None
    """The SMTP server."""
    port: int = Field(default=587, ge=1, le=65535)
    """Its port."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """`starttls` (port 587), `tls` from the first byte (port 465), or `none` for a relay on this machine."""
    username: str | None = None
    """For servers that ask who is sending."""
    password: SecretStr | None = None
    """The sender's password there."""
    timeout: float = Field(default=10.0, gt=0)
    """Seconds to wait for the server."""
    base_url: str | None = None
    """Where links in mails lead, such as `https://app.example.com/account`; never taken from a request's Host header."""
    background: bool = True
    """Send in threads of our own, off the request's path."""
    workers: int = Field(default=2, ge=1, le=32)
    """How many threads."""
    queue_size: int = Field(default=1000, ge=1)
    """Most messages that wait; one more is given up at once, and told."""
    attempts: int = Field(default=4, ge=1, le=10)
    """How often sending one message is tried."""
    pause: float = Field(default=2.0, ge=0)
    """Seconds before the second try; doubled before each further one."""

    @model_validator(mode="after")
    def _fits(self) -> MailSettings:
        if self.backend == "smtp" and not self.host:
            raise ValueError("ACCOUNTS_MAIL_BACKEND is smtp, but ACCOUNTS_MAIL_HOST is not set")
        if self.base_url is not None and not self.base_url.startswith(("https://", "http://localhost", "http://127.0.0.1")):
            raise ValueError("ACCOUNTS_MAIL_BASE_URL must begin with https:// (http:// only for localhost)")
        return self


@dataclass(frozen=True)
class Message:
    """A mail to one address. No header field may hold a line break (ASVS 1.3.11)."""

    to: str
    subject: str
    text: str = field(repr=False)
    html: str | None = field(default=None, repr=False)
    kind: str = "message"
    """Which mail it is, for logs and hosts: the template's name."""

    def __post_init__(self) -> None:
        for name, value in (("to", self.to), ("subject", self.subject)):
            if not value.isprintable():
                raise ValueError(f"The {name} of a mail may not hold line breaks or control characters.")

    def to_email(self, sender: str) -> EmailMessage:
        """The message as the standard library's `EmailMessage`: text, and HTML beside it if there is any."""
        email = EmailMessage()
        email["Subject"], email["From"], email["To"] = self.subject, sender, self.to
        email["Date"], email["Message-ID"] = formatdate(), make_msgid(domain="flask-accounts.invalid")
        email["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notes in return
        email.set_content(self.text)
        if self.html is not None:
            email.add_alternative(self.html, subtype="html")
        return email


class Mailer(Protocol):
    """Sends one message, or raises."""

    def send(self, message: Message) -> None:
        """Deliver `message` or hand it to what will."""
        ...


class ConsoleMailer:
    """Writes messages to the log, for development."""

    def send(self, message: Message) -> None:
        """Log the whole message."""
        logger.warning("Mail to %s: %s\n%s", message.to, message.subject, message.text)


class MemoryMailer:
    """Keeps messages in `outbox`, for tests."""

    def __init__(self) -> None:
        self.outbox: list[Message] = []

    def send(self, message: Message) -> None:
        """Append `message` to `outbox`."""
        self.outbox.append(message)


class SmtpMailer:
    """Hands messages to an SMTP server, with verified TLS."""

    def __init__(self, settings: MailSettings, *, context: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._context = context or ssl.create_default_context()

    def send(self, message: Message) -> None:
        """One connection, one message; raises `OSError` or `smtplib.SMTPException`."""
        with self._connect() as server:
            if self._settings.username is not None:
                password = self._settings.password.get_secret_value() if self._settings.password else ""
                server.login(self._settings.username, password)
            server.send_message(message.to_email(self._settings.sender))

    def _connect(self) -> smtplib.SMTP:
        settings = self._settings
        host, port = settings.host or "localhost", settings.port
        if settings.security == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=settings.timeout, context=self._context)
        server = smtplib.SMTP(host, port, timeout=settings.timeout)
        if settings.security == "starttls":
            try:
                server.starttls(context=self._context)
            except BaseException:
                server.close()
                raise
        return server


class CallableMailer:
    """A host's function as a mailer."""

    def __init__(self, function: Callable[[Message], object]) -> None:
        self._function = function

    def send(self, message: Message) -> None:
        """Call the function with `message`."""
        self._function(message)


class FlaskMailMailer:
    """The host's own Flask-Mail or Flask-Mailman, which have the same message class in different places."""

    def __init__(self, app: Flask, module: str) -> None:
        self._app, self._module = app, module

    def send(self, message: Message) -> None:
        """Send by the extension's own configuration."""
        import importlib

        extension = importlib.import_module(self._module)
        with self._app.app_context():
            if self._module == "flask_mailman":
                email = extension.EmailMultiAlternatives(subject=message.subject, body=message.text, to=[message.to])
                if message.html is not None:
                    email.attach_alternative(message.html, "text/html")
                email.send()
            else:
                mail = self._app.extensions["mail"]
                mail.send(extension.Message(subject=message.subject, recipients=[message.to], body=message.text, html=message.html))


def default_mailer(app: Flask, settings: MailSettings) -> Mailer | None:
    """The mailer that the settings and the app's extensions call for; None where none is configured."""
    if settings.backend == "smtp" or (settings.backend == "auto" and settings.host):
        return SmtpMailer(settings)
    if settings.backend == "auto":
        for name, module in (("mailman", "flask_mailman"), ("mail", "flask_mail")):
            found = app.extensions.get(name)
            if found is not None and type(found).__module__.partition(".")[0] == module:
                return FlaskMailMailer(app, module)
    if settings.backend == "console" or (settings.backend == "auto" and app.debug):
        return ConsoleMailer()
    return None


class MailRoom:
    """Takes messages inside a transaction and sends them once it has committed."""

    def __init__(
        self,
        mailer: Mailer | None,
        events: EventBus,
        app: Flask,
        settings: MailSettings,
        *,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._mailer = mailer
        self._events = events
        self._app = app
        self._settings = settings
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._queue: queue.Queue[Message] = queue.Queue(settings.queue_size)
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    @property
    def available(self) -> bool:
        """Whether there is a mailer at all."""
        return self._mailer is not None

    def send(self, message: Message) -> None:
        """Send `message` after the commit, never if it is rolled back. Failures are told, not raised."""
        self._events.after_commit(lambda: self._post(message))

    def drain(self) -> None:
        """Wait until everything handed over so far has been sent or given up."""
        self._queue.join()

    def _post(self, message: Message) -> None:
        if self._mailer is None:
            self._failed(message, "there is no mailer: set ACCOUNTS_MAIL_HOST, or pass Accounts(mailer=...)")
        elif not self._settings.background:
            self._deliver(message)
        else:
            try:
                self._queue.put_nowait(message)
            except queue.Full:
                self._failed(message, "too many messages are waiting")
            else:
                self._start()

    def _start(self) -> None:
        """Start a worker if there is room for one; they are made by the process that sends, so none is lost in a fork."""
        with self._lock:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            if len(self._threads) < self._settings.workers:
                thread = threading.Thread(target=self._work, name="flask_accounts.mail", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _work(self) -> None:
        while True:
            try:
                message = self._queue.get(timeout=1.0)
            except queue.Empty:
                return  # the next message starts a worker anew
            try:
                self._deliver(message)
            finally:
                self._queue.task_done()

    def _deliver(self, message: Message) -> None:
        assert self._mailer is not None  # noqa: S101  # checked where it was taken
        tries = self._settings.attempts if self._settings.background else 1
        for attempt in range(tries):
            if attempt:
                self._wait(self._settings.pause * 2 ** (attempt - 1))
            try:
                self._mailer.send(message)
            except Exception as error:
                if attempt == tries - 1:
                    self._failed(message, f"{type(error).__name__}")
            else:
                return

    def _failed(self, message: Message, reason: str) -> None:
        logger.error("A mail (%s) could not be sent: %s.", message.kind, reason)
        with self._app.app_context():
            try:
                MailFailed.signal.send(self._app, event=MailFailed(kind=message.kind, reason=reason))
            except Exception:
                logger.exception("A receiver of mail.failed failed.")
