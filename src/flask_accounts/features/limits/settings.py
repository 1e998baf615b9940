"""Settings of the rate limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import limits
from pydantic import AfterValidator, Field, SecretStr

from ...core.settings import Settings

KINDS = ("address", "account")


def parse(text: str) -> Sequence[limits.RateLimitItem]:
    """The windows that a string such as `5/minute;100/day` means; none for an empty one. ValueError with a sentence."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    try:
        items = [limits.parse(part) for part in parts]
    except ValueError:
        raise ValueError("is not a limit such as '5/minute;100/day'") from None
    if any(item.amount < 1 or item.get_expiry() < 1 for item in items):
        raise ValueError("a limit allows at least 1 in a window")
    if len({item.get_expiry() for item in items}) != len(items):
        raise ValueError("two limits are of the same window")
    return items


def _checked(text: str) -> str:
    parse(text)
    return text


def _named(given: dict[str, str]) -> dict[str, str]:
    for name in given:
        action, _, kind = name.rpartition(".")
        if not action or kind not in KINDS:
            raise ValueError(f"{name!r} is not an action with its kind, such as 'forgot.address' or 'forgot.account'")
    return given


LimitText = Annotated[str, AfterValidator(_checked)]


class LimitSettings(Settings):
    """How often things may be tried: `5/minute;100/day`, counted in windows that begin with the first try; empty for no limit.

    `_address` counts per client: an IPv4 address, or the /64 of an IPv6 address, as the app sees it (`request.remote_addr`;
    behind a proxy that is for Werkzeug's `ProxyFix` to say). The figures are meant for a thousand people behind one office
    address. `_account` counts per account as typed, in its canonical spelling, whether there is such an account or not.
    """

    prefix: ClassVar[str] = "limits"

    enabled: bool = True
    """Whether anything is limited."""
    storage: SecretStr = SecretStr("database")
    """Where is counted: `database` (a table beside the accounts, shared by all workers), `memory` (each process for itself: for one
    process only), or a URL that the library `limits` understands, such as `redis://host:6379/0` or `memcached://host:11211`.
    An URL may hold a password and is not shown. Default: `database`."""
    on_store_failure: Literal["open", "closed"] = "open"
    """When a store outside does not answer: `open` lets callers pass uncounted, with an event and an error in the log (guessing of
    passwords is still stopped by the lockout); `closed` answers 503. Without the accounts' own database it is always 503."""

    login_address: LimitText = "60/minute;1000/hour"
    """Sign-ins, right or wrong. A flood stop, far above an office's morning; wrong passwords per address are the lockout's."""
    login_account: LimitText = ""
    """Sign-ins to one account, right or wrong. None by default: whoever knows your address could use it up and lock you out. The
    lockout counts wrong passwords per account and tells your own places from strangers'. Set it if you leave the lockout out."""
    register_address: LimitText = "20/minute;60/hour;300/day"
    """Registrations, also refused ones: they tell whether an address is taken. A class of 30 gets in within two minutes."""
    register_account: LimitText = "5/minute;20/hour"
    """Registrations with one e-mail address."""
    refresh_address: LimitText = "600/minute"
    """Refreshes. A thousand people refresh about 70 times a minute with 15-minute access tokens."""
    refresh_account: LimitText = "60/minute;1200/hour"
    """Refreshes by one account, over all its sessions. Only holders of a signed refresh token are counted."""
    reauthenticate_address: LimitText = "60/minute;600/hour"
    """Proofs of presence."""
    reauthenticate_account: LimitText = "10/minute;60/hour"
    """Proofs of presence by one account. Only signed-in callers are counted."""
    password_change_address: LimitText = "30/minute;300/hour"  # noqa: S105  # a limit
    """Password changes."""
    password_change_account: LimitText = "10/minute;30/hour"  # noqa: S105  # a limit
    """Password changes by one account. Only signed-in callers are counted."""
    challenge_address: LimitText = "60/minute;600/hour"
    """Answers to challenges, right or wrong."""
    challenge_account: LimitText = "10/minute;30/hour"
    """Answers to challenges of one account. Only who has shown another right credential is counted."""
    forgot_address: LimitText = "30/minute;300/hour"
    """Requests for a mail to set a new password."""
    forgot_account: LimitText = "5/minute;20/hour"
    """Requests for such a mail to one address, whether it has an account or not: nobody's mailbox is flooded."""
    resend_address: LimitText = "30/minute;300/hour"
    """Requests for another mail to prove an address."""
    resend_account: LimitText = "5/minute;20/hour"
    """Requests for such a mail to one address."""
    client_address: LimitText = "30/minute;300/hour"
    """Wrong credentials of other services that ask about tokens (opt-in); right ones are not counted."""
    client_account: LimitText = ""
    """None: no account is asked for there."""
    unlock_address: LimitText = "30/minute;300/hour"
    """Requests for a mail to have wrong passwords forgotten."""
    unlock_account: LimitText = "5/minute;20/hour"
    """Requests for such a mail to one address."""
    email_change_address: LimitText = "30/minute;300/hour"
    """Requests for another address, each of which mails to it."""
    email_change_account: LimitText = "5/minute;20/hour"
    """Requests for another address by one account."""
    magic_link_address: LimitText = "30/minute;300/hour"
    """Requests for a mail to sign in with (opt-in)."""
    magic_link_account: LimitText = "5/minute;20/hour"
    """Requests for a mail to one address, whether it has an account or not: nobody's mailbox is flooded, and a code is guessed at no more often."""
    magic_link_login_address: LimitText = "60/minute;1000/hour"
    """Sign-ins by a mailed link or code, right or wrong."""
    magic_link_login_account: LimitText = "10/minute;30/hour"
    """Codes typed for one address, right or wrong. Who uses it up stops codes only: links, which nobody can guess, are not counted."""
    passkey_options_address: LimitText = "60/minute;1000/hour"
    """Requests for what to ask a browser that is to sign in with a passkey (opt-in). A page with autofill asks once when it opens."""
    passkey_options_account: LimitText = "20/minute;100/hour"
    """Requests for what to ask a browser that is to make or to prove a passkey, by one account. Only signed-in callers are counted."""
    passkey_login_address: LimitText = "60/minute;1000/hour"
    """Sign-ins with a passkey, right or wrong."""
    passkey_login_account: LimitText = ""
    """None: whose it is is not known before the passkey is."""
    others_address: LimitText = "60/minute;600/hour"
    """Actions of other features, which have no setting here."""
    others_account: LimitText = "20/minute;100/hour"
    """Actions of other features, by one account."""
    extra: Annotated[dict[str, LimitText], AfterValidator(_named)] = Field(default_factory=dict)
    """Limits of single other actions: `{"export.address": "30/hour", "export.account": "5/hour"}`."""

    def text(self, action: str, kind: str) -> str:
        """The limit of an action per `address` or per `account`."""
        if (text := self.extra.get(f"{action}.{kind}")) is not None:
            return text
        name = f"{action}_{kind}"
        found: str = getattr(self, name if name in type(self).model_fields else f"others_{kind}")
        return found
