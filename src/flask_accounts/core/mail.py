"""Mail that leaves after the transaction has committed, off the request's path.

`MailRoom.send` takes a message inside a transaction; once that has committed, a small bounded pool of
threads hands it to the mailer, again with growing pauses if the mailer fails. A mail server that is
down neither slows nor fails a request. What could not be sent is logged (without the text: it may hold
a token) and told by the `MailFailed` signal. When the process ends, what waits gets a few seconds to leave.

An own mailer is an object with `send(message)`, or a callable that takes the message: hand it to
Celery, RQ or a provider's API, and set `ACCOUNTS_MAIL_BACKGROUND = False` if it is fast by itself.
"""

from __future__ import annotations

import atexit
import logging
import smtplib
import ssl
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import cached_property
from typing import ClassVar, Literal, Protocol

import email_validator
from flask import Flask
from pydantic import Field, SecretStr, model_validator

from .events import EventBus, MailFailed, tell
from .forks import in_child
from .settings import Settings
from .tracing import Carried, carried, span

logger: logging.Logger = logging.getLogger("flask_accounts.mail")

HEADERS: Mapping[str, str] = {"Auto-Submitted": "auto-generated"}
"""Of every mail: no vacation notes in return (RFC 3834)."""
IDLE = 1.0
"""Seconds a thread waits for another message before it ends."""


class MailSettings(Settings):
    """How mail leaves, where no `mailer=` is given."""

    prefix: ClassVar[str] = "mail"

    backend: Literal["auto", "smtp", "console", "none"] = "auto"
    """`smtp`, `console` (the log), or `none`; `auto` is `smtp` where a host is set, else the app's Flask-Mailman or Flask-Mail, else `console` in debug mode, else `none`."""
    sender: str = "accounts@localhost"
    """The address in `From`, or `Name <address>`. Flask-Mailman and Flask-Mail use their own `MAIL_DEFAULT_SENDER` unless this is set."""
    product: str | None = None
    """What mails call the app; its import name if left out."""
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
    exit_patience: float = Field(default=5.0, ge=0)
    """Seconds that messages still waiting get to leave when the process ends; the rest is given up, and told."""

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

    @property
    def recipient(self) -> str:
        """`to` with its domain in ASCII (IDNA 2008), so that servers without SMTPUTF8 take it."""
        if self.to.isascii():
            return self.to
        try:
            checked = email_validator.validate_email(self.to, check_deliverability=False, test_environment=True)
        except email_validator.EmailNotValidError:
            return self.to
        return f"{checked.local_part}@{checked.ascii_domain}"

    def to_email(self, sender: str) -> EmailMessage:
        """The message as the standard library's `EmailMessage`: text, and HTML beside it if there is any."""
        email = EmailMessage()
        email["Subject"], email["From"], email["To"] = self.subject, sender, self.recipient
        email["Date"], email["Message-ID"] = formatdate(), make_msgid(domain="flask-accounts.invalid")
        for name, value in HEADERS.items():
            email[name] = value
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
        self._given = context

    def send(self, message: Message) -> None:
        """One connection, one message; raises `OSError` or `smtplib.SMTPException`."""
        with self._connect() as server:
            self._sign_in(server)
            server.send_message(message.to_email(self._settings.sender))

    def check(self) -> None:
        """Connect and sign in, and send nothing; raises what `send` would."""
        with self._connect() as server:
            self._sign_in(server)
            server.noop()

    def _sign_in(self, server: smtplib.SMTP) -> None:
        if self._settings.username is not None:
            password = self._settings.password.get_secret_value() if self._settings.password else ""
            server.login(self._settings.username, password)

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return self._given or ssl.create_default_context()

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
    """The host's own Flask-Mail: its server, its sender, its signal."""

    def __init__(self, app: Flask, settings: MailSettings) -> None:
        self._app, self._settings = app, settings

    def send(self, message: Message) -> None:
        """Send by the extension's own configuration; it knows no timeout, so ours counts."""
        import flask_mail

        timeout = self._settings.timeout

        class Connection(flask_mail.Connection):
            def configure_host(self) -> smtplib.SMTP | smtplib.SMTP_SSL:
                # As the extension does it, but for the timeout: a server that says nothing would keep our thread for ever.
                mail = self.mail
                host = (smtplib.SMTP_SSL if mail.use_ssl else smtplib.SMTP)(mail.server, mail.port or 0, timeout=timeout)
                try:
                    host.set_debuglevel(int(mail.debug))
                    if mail.use_tls:
                        host.starttls()
                    if mail.username and mail.password:
                        host.login(mail.username, mail.password)
                except BaseException:
                    host.close()
                    raise
                return host

        with self._app.app_context():
            mail = self._app.extensions["mail"]
            email = flask_mail.Message(
                subject=message.subject, recipients=[message.recipient], body=message.text, html=message.html,
                sender=_sender(self._settings, mail.default_sender), extra_headers=dict(HEADERS),
            )  # fmt: skip
            with Connection(mail) as connection:
                email.send(connection)


class FlaskMailmanMailer:
    """The host's own Flask-Mailman: its backend, its server, its sender."""

    def __init__(self, app: Flask, settings: MailSettings) -> None:
        self._app, self._settings = app, settings

    def send(self, message: Message) -> None:
        """Send by the extension's own configuration; our timeout counts where it has none."""
        import flask_mailman

        with self._app.app_context():
            mail = self._app.extensions["mailman"]
            connection = mail.get_connection()
            if getattr(connection, "timeout", 0) is None:
                connection.timeout = self._settings.timeout
            email = flask_mailman.EmailMultiAlternatives(
                subject=message.subject, body=message.text, to=[message.recipient],
                from_email=_sender(self._settings, mail.default_sender), headers=dict(HEADERS), connection=connection,
            )  # fmt: skip
            if message.html is not None:
                email.attach_alternative(message.html, "text/html")
            with connection:  # left to itself, it stays open where sending fails
                email.send()


def _sender(settings: MailSettings, default: str | tuple[str, str] | None) -> str | tuple[str, str]:
    """Ours where it is set, else the extension's, else our default."""
    return settings.sender if "sender" in settings.model_fields_set or default is None else default


def default_mailer(app: Flask, settings: MailSettings) -> Mailer | None:
    """The mailer that the settings and the app's extensions call for; None where none is configured."""
    if settings.backend == "smtp" or (settings.backend == "auto" and settings.host):
        return SmtpMailer(settings)
    if settings.backend == "auto":
        for name, package, mailer in (("mailman", "flask_mailman", FlaskMailmanMailer), ("mail", "flask_mail", FlaskMailMailer)):
            found = app.extensions.get(name)
            if found is not None and type(found).__module__.partition(".")[0] == package:
                return mailer(app, settings)
    if settings.backend == "console" or (settings.backend == "auto" and app.debug):
        return ConsoleMailer()
    return None


@dataclass(frozen=True, eq=False)
class Errand:
    """A message on its way, and the place in the trace of what caused it."""

    message: Message
    within: Carried | None


class MailRoom:
    """Takes messages inside a transaction and sends them once it has committed.

    Without a `mailer`, the one that the settings and the app's extensions call for.
    """

    def __init__(
        self,
        mailer: Mailer | None,
        events: EventBus,
        app: Flask,
        settings: MailSettings,
        *,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._given = mailer
        self._events = events
        self._app = app
        self._settings = settings
        self._own_wait = wait
        self._watched = False
        self._begin()

    def _begin(self) -> None:
        """An empty room: at the start, and in a forked child, whose parent keeps its threads and sends what it has taken."""
        self._changed = threading.Condition()
        self._waiting: deque[Errand] = deque()
        self._sending: list[Errand] = []
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._wait = self._own_wait or self._closing.wait

    @property
    def available(self) -> bool:
        """Whether there is a mailer at all."""
        return self._mailer is not None

    @property
    def mailer(self) -> Mailer | None:
        """Who sends them."""
        return self._mailer

    def send(self, message: Message) -> None:
        """Send `message` after the commit, never if it is rolled back. Failures are told, not raised.

        What is for an address at `.invalid`, where nobody reads mail (RFC 2606), goes nowhere: accounts of programs have such.
        """
        if message.to.endswith(".invalid"):
            return
        errand = Errand(message, carried())
        self._events.after_commit(lambda: self._post(errand))

    def drain(self) -> None:
        """Wait until everything handed over so far has been sent or given up."""
        with self._changed:
            self._changed.wait_for(self._is_idle)

    def close(self) -> None:
        """Give what waits its last seconds, tell what did not leave, and take no more. Called when the process ends.

        Pauses are cut short: a message that has failed already is tried once more.
        """
        with self._changed:
            self._closing.set()
            self._changed.wait_for(self._is_idle, timeout=self._settings.exit_patience)
            left = [*self._sending, *self._waiting]
            self._waiting.clear()
        for errand in left:
            self._failed(errand.message, "the process ended")

    @property
    def _mailer(self) -> Mailer | None:
        # Not asked for at start: Flask-Mail may be put on the app after us.
        if self._given is None:
            self._given = default_mailer(self._app, self._settings)
        return self._given

    def _is_idle(self) -> bool:
        return not self._waiting and not self._sending

    def _post(self, errand: Errand) -> None:
        if self._mailer is None:
            self._failed(errand.message, "there is no mailer: set ACCOUNTS_MAIL_HOST, or pass Accounts(mailer=...)")
        elif not self._settings.background:
            self._deliver(errand)
        elif refusal := self._line_up(errand):
            self._failed(errand.message, refusal)

    def _line_up(self, errand: Errand) -> str | None:
        """Have the message sent by a thread; why not, if it cannot be."""
        with self._changed:
            if self._closing.is_set():
                return "the process ended"
            if len(self._waiting) >= self._settings.queue_size:
                return "too many messages are waiting"
            self._waiting.append(errand)
            self._changed.notify_all()
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            if len(self._threads) < self._settings.workers:
                thread = threading.Thread(target=self._work, name="flask_accounts.mail", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no more threads on this machine, or none any more in this process
                    if not self._threads:
                        self._waiting.pop()
                        return "no thread could be started"
                else:
                    self._threads.append(thread)
            self._watch()
            return None

    def _watch(self) -> None:
        """See to what waits when the process ends or forks; not before there is something to see to."""
        if not self._watched:
            self._watched = True
            # The hooks cannot be taken back, so they must not keep the app.
            atexit.register(_close, weakref.ref(self))
            in_child(self, MailRoom._begin)

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._waiting, timeout=IDLE):
                    self._threads.remove(threading.current_thread())
                    return  # the next message starts a thread anew
                errand = self._waiting.popleft()
                self._sending.append(errand)
            try:
                self._deliver(errand)
            finally:
                with self._changed:
                    self._sending.remove(errand)
                    self._changed.notify_all()

    def _deliver(self, errand: Errand) -> None:
        with span("accounts.mail.send", within=errand.within, mail_kind=errand.message.kind) as current:
            tries, failure = self._try(errand.message)
            current.set(mail_tries=tries)
            if failure:
                current.fail(failure)
                self._failed(errand.message, failure)

    def _try(self, message: Message) -> tuple[int, str | None]:
        """How often sending was tried, and why it failed, if it did."""
        assert self._mailer is not None  # noqa: S101  # checked where it was taken
        tries = self._settings.attempts if self._settings.background else 1
        attempt = 1
        while True:
            try:
                self._mailer.send(message)
            except Exception as error:
                if attempt >= tries or self._closing.is_set() or _is_final(error):
                    return attempt, _reason(error)
                self._wait(self._settings.pause * 2 ** (attempt - 1))
                attempt += 1
            else:
                return attempt, None

    def _failed(self, message: Message, reason: str) -> None:
        logger.error("A mail (%s) could not be sent: %s.", message.kind, reason)
        with self._app.app_context():
            tell(self._app, MailFailed(kind=message.kind, reason=reason))


def _close(found: weakref.ref[MailRoom]) -> None:
    room = found()
    if room is not None:
        room.close()


def _is_final(error: Exception) -> bool:
    """Whether the server has said that it will never take this mail (RFC 5321 section 4.2.1: 5yz)."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 500


def _reason(error: Exception) -> str:
    """What went wrong, without the error's own words: they may quote the mail."""
    code = f" {error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else ""
    return type(error).__name__ + code
