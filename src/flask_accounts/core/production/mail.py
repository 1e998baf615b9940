"""Check-ups of mail: does it leave, from whom, and where do its links lead? Nothing is sent."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.utils import parseaddr
from urllib.parse import urlsplit

import jinja2

from ..checkups import NOBODYS_DOMAINS, Deployment, Problem, checkup
from ..mail import ConsoleMailer, FlaskMailMailer, FlaskMailmanMailer, MailSettings, MemoryMailer, SmtpMailer

AREA = "mail"
DOCS = "docs/how-to/send-mail.md"
HERE = frozenset({"localhost", "127.0.0.1", "::1"})


@checkup("no-mailer", "warning", area=AREA, docs=DOCS)
def no_mailer(deployment: Deployment) -> Iterator[Problem]:
    """An app that cannot send mail.

    Nobody can prove an address, recover a password or learn of what happened to the account.
    """
    if not deployment.runtime.mail.available:
        yield Problem(
            "No way to send mail is set up.", "Set ACCOUNTS_MAIL_HOST and ACCOUNTS_MAIL_SENDER, or pass Accounts(mailer=...)."
        )


@checkup("mail-not-sent", "error", area=AREA, docs=DOCS, source="ASVS 16.2.5")
def mail_not_sent(deployment: Deployment) -> Iterator[Problem]:
    """Mails that are written into the log, or kept in memory.

    They hold what signs in and sets passwords; whoever reads the log has it. Their readers do not.
    """
    mailer = deployment.runtime.mail.mailer
    if isinstance(mailer, ConsoleMailer | MemoryMailer):
        where = "the log" if isinstance(mailer, ConsoleMailer) else "memory"
        yield Problem(f"Mails go to {where}.", "Set ACCOUNTS_MAIL_HOST (or ACCOUNTS_MAIL_BACKEND = 'none' for no mail at all).")


@checkup("mail-sender", "warning", area=AREA, docs=DOCS)
def mail_sender(deployment: Deployment) -> Iterator[Problem]:
    """Mails from an address that is nobody's.

    Servers refuse them or take them for junk, and nobody can answer.
    """
    sender = deployment.runtime.setting(MailSettings).sender
    if isinstance(deployment.runtime.mail.mailer, SmtpMailer) and is_nobodys(parseaddr(sender)[1].rpartition("@")[2]):
        yield Problem(f"ACCOUNTS_MAIL_SENDER is {sender}.", "Set ACCOUNTS_MAIL_SENDER to an address of your own domain.")


@checkup("mail-in-the-clear", "error", area=AREA, docs=DOCS, source="ASVS 12.2.1")
def mail_in_the_clear(deployment: Deployment) -> Iterator[Problem]:
    """Mails that go to the mail server without TLS.

    Whoever is on the line reads what signs in and sets passwords, and the server's password with it.
    """
    settings, config, mailer = deployment.runtime.setting(MailSettings), deployment.app.config, deployment.runtime.mail.mailer
    if isinstance(mailer, SmtpMailer) and settings.security == "none" and settings.host not in HERE:
        yield Problem(
            "ACCOUNTS_MAIL_SECURITY is none, and the server is elsewhere.", "Set ACCOUNTS_MAIL_SECURITY to 'starttls' or 'tls'."
        )
    if isinstance(mailer, FlaskMailMailer | FlaskMailmanMailer):
        local = config.get("MAIL_SERVER", "localhost") in HERE or config.get("MAIL_BACKEND", "smtp") != "smtp"
        if not local and not (config.get("MAIL_USE_TLS") or config.get("MAIL_USE_SSL")):
            yield Problem("Neither MAIL_USE_TLS nor MAIL_USE_SSL is on.", "Set MAIL_USE_TLS = True.")


@checkup("mail-server", "error", area=AREA, docs=DOCS)
def mail_server(deployment: Deployment) -> Iterator[Problem]:
    """A mail server that does not let us in. Asked only with `--connect`.

    No mail arrives.
    """
    mailer = deployment.runtime.mail.mailer
    if not deployment.connect or not isinstance(mailer, SmtpMailer):
        return
    try:
        mailer.check()
    except (OSError, smtplib.SMTPException) as error:
        code = f" {error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else ""
        yield Problem(
            f"Connecting and signing in failed: {type(error).__name__}{code}.",
            "Correct ACCOUNTS_MAIL_HOST, _PORT, _SECURITY, _USERNAME and _PASSWORD, and look whether a firewall lets it through.",
        )


@checkup("mail-templates", "error", area=AREA, docs=DOCS)
def mail_templates(deployment: Deployment) -> Iterator[Problem]:
    """Mails that cannot be written.

    The request that wants one to be sent fails.
    """
    letters = deployment.runtime.letters
    for name in letters.names():
        try:
            letters.sample(name)
        except jinja2.TemplateError as error:
            yield Problem(
                f"The mail {name}: {type(error).__name__}.", "Look at it with flask accounts mail-preview, and mend its template."
            )


@checkup("links-to-nowhere", "error", area=AREA, docs="docs/how-to/mail-and-recovery.md", source="ASVS 12.2.1, RFC 2606")
def links_to_nowhere(deployment: Deployment) -> Iterator[Problem]:
    """Links in mails that lead to the reader's own machine, or to a domain that is nobody's.

    Nobody can follow them.
    """
    base = deployment.runtime.setting(MailSettings).base_url
    if base and deployment.runtime.mail.available and is_nobodys(urlsplit(base).hostname or ""):
        yield Problem(f"ACCOUNTS_MAIL_BASE_URL is {base}.", "Set ACCOUNTS_MAIL_BASE_URL to the https:// URL of your front end.")


@checkup("mails-without-links", "info", area=AREA, docs="docs/how-to/mail-and-recovery.md")
def mails_without_links(deployment: Deployment) -> Iterator[Problem]:
    """Mails that have codes and tokens to copy, and no links.

    People have to copy them by hand.
    """
    if deployment.runtime.mail.available and not deployment.runtime.setting(MailSettings).base_url:
        yield Problem("ACCOUNTS_MAIL_BASE_URL is not set.", "Set ACCOUNTS_MAIL_BASE_URL to the https:// URL of your front end.")


def is_nobodys(domain: str) -> bool:
    """Whether a domain is this machine, or for documentation and tests."""
    return domain in HERE or f".{domain.lower()}".endswith(tuple(f".{end}" for end in NOBODYS_DOMAINS))
