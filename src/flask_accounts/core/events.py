"""What happens, as data: one dataclass per event, each with a blinker signal.

`EventBus.emit` tells listeners inside the transaction at once (they may write rows) and keeps the
event until the transaction commits; then its signal is sent, with the Flask app as sender and the
event as `event=`. What is rolled back never happened, and no signal tells of it. Receivers may use
the database: they run after the transaction has ended, in a new one that they commit themselves (what
they leave uncommitted is rolled back). They may be `async`. The error of one is logged and stops nobody.

    from flask_accounts import events

    @events.UserRegistered.signal.connect
    def welcome(app, event):
        print(event.user_id, event.email)
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

import blinker
import sqlalchemy.event
from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Session, SessionTransaction

from .faults import unavailable, undo

logger: logging.Logger = logging.getLogger("flask_accounts.events")

Key = int | str | UUID
"""A user's primary key."""

_PENDING = "flask_accounts.pending_events"
_COMMITTED = "flask_accounts.committed_events"
_MARKS = "flask_accounts.savepoint_marks"


@dataclass(frozen=True)
class Client:
    """Where a request came from: the address (as Flask's `request.remote_addr`), the user agent, the languages asked for."""

    address: str | None = None
    user_agent: str | None = None
    languages: str | None = None
    """The `Accept-Language` header as it came."""
    device: str | None = field(default=None, repr=False)
    """A digest of the secret by which the device asks to be known again, if it brought one."""

    @property
    def network(self) -> str:
        """What counts as one client: an IPv4 address, the /64 of an IPv6 address (one line has 2^64 of them), or `unknown`.

        An IPv4 address in IPv6 clothes (`::ffff:192.0.2.1`) is itself.
        """
        try:
            found = ipaddress.ip_address(self.address or "")
        except ValueError:
            return (self.address or "unknown")[:45]
        if isinstance(found, ipaddress.IPv6Address):
            if found.ipv4_mapped is None:
                return str(ipaddress.IPv6Network((found.packed[:8] + bytes(8), 64)))
            found = found.ipv4_mapped
        return str(found)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events.

    `user_id` is the account it is about, `actor_id` who did it (None: nobody signed in, a command or
    host code), `client` where from, `via` by which credential, where the actor did not act in person
    (`api_key:<id>`), or in whose place (`impersonation:<key of the account>`). No event carries a password, token, code or hash.
    """

    signal: ClassVar[blinker.Signal]
    name: ClassVar[str]
    failure: ClassVar[bool]
    """It tells of something that was refused or went wrong."""
    lasting: ClassVar[tuple[str, ...]]
    """Fields that hold no personal data, so that a log may keep them once the account is gone. Those not named here go with it."""
    internal: ClassVar[tuple[str, ...]]
    """Fields that administrators may see, and the account it is about may not."""

    user_id: Key | None = None
    actor_id: Key | None = None
    client: Client | None = field(default=None, repr=False)
    at: datetime | None = None
    via: str | None = None

    def __init_subclass__(
        cls, *, name: str, failure: bool = False, lasting: tuple[str, ...] = (), internal: tuple[str, ...] = (), **kwargs: object
    ) -> None:
        super().__init_subclass__(**kwargs)
        cls.name, cls.failure, cls.lasting, cls.internal = name, failure, lasting, internal
        cls.signal = blinker.Signal(cls.__doc__)


@dataclass(frozen=True, kw_only=True)
class UserRegistered(Event, name="user.registered"):
    """An account came to be, by registration, an administrator, a command or host code."""

    email: str


@dataclass(frozen=True, kw_only=True)
class UsersImported(Event, name="users.imported", lasting=("import_id", "first_row", "last_row", "imported", "refused", "roles")):
    """A batch of an import was written: accounts came to be, from rows `first_row` to `last_row` of a file, with `roles` among them.

    Told once a batch, and in place of `UserRegistered`, so that nobody writes a hundred thousand mails to welcome old acquaintances.
    """

    import_id: str
    first_row: int
    last_row: int
    imported: int
    refused: int
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UserUpdated(Event, name="user.updated", lasting=("fields",)):
    """Fields of an account were changed; `fields` are their names, without values."""

    fields: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RegistrationRepeated(Event, name="user.registration_repeated"):
    """Somebody registered an address that has an account, where registration does not tell."""


@dataclass(frozen=True, kw_only=True)
class EmailChangeRequested(Event, name="email.change_requested"):
    """An owner asked for another address, which has to prove itself first. Whether it belongs to another account is not told."""

    new: str


@dataclass(frozen=True, kw_only=True)
class EmailChanged(Event, name="email.changed", lasting=("way", "old_verified", "asked_at")):
    """An account has another address.

    `way`: `confirmed` by the new address; `undone`, and back to an earlier one; or `direct`, by an administrator, by host code, or by
    the owner where addresses need not prove themselves. A direct one is not proved. `old_verified`: whether the old one was. `asked_at`:
    when its owner asked for it, where that was before.
    """

    old: str
    new: str
    way: str = "direct"
    old_verified: bool = False
    asked_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class EmailChangeUndone(Event, name="email.change_undone", lasting=("since",)):
    """Whoever reads the mail of an earlier address took the account back: it has that address again, and its sessions have ended.

    `dropped` is the address it had until then. `since`: when that change was asked for. Whatever keeps credentials of the account should drop
    on this event what has been added since, for it may be somebody else's way in, or what keeps the owner out.
    """

    email: str
    dropped: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class EmailVerificationRequested(Event, name="email.verification_requested"):
    """An administrator had an account's address asked once more to prove itself."""


@dataclass(frozen=True, kw_only=True)
class EmailVerified(Event, name="email.verified"):
    """The owner has proved to read the address's mail."""


@dataclass(frozen=True, kw_only=True)
class MagicLinkRequested(Event, name="magic_link.requested"):
    """Somebody asked to sign in by mail; it is on its way to the account's address. No `user_id`: no account has it."""


@dataclass(frozen=True, kw_only=True)
class AccountClaimed(Event, name="user.claimed"):
    """A sign-in by mail or by an identity provider, or a password set by mail, has proved an address that nobody had proved before.

    Whoever set the account up need not be the owner of the address. So all that came before this is void: sessions have ended and a
    password is useless. Whatever else keeps credentials of the account should drop them on this event.
    """


@dataclass(frozen=True, kw_only=True)
class PasswordResetRequested(Event, name="password.reset_requested"):
    """Somebody asked for a token to set a new password; it is on its way to the account's address. No `user_id`: no account has it."""


@dataclass(frozen=True, kw_only=True)
class UnlockRequested(Event, name="user.unlock_requested"):
    """Somebody asked for a mail to forget an account's wrong passwords; it is on its way to the account's address. No `user_id`: no
    account has it.
    """


@dataclass(frozen=True, kw_only=True)
class UserExported(Event, name="user.exported"):
    """Everything stored about an account was handed out, to its owner or by a command."""


@dataclass(frozen=True, kw_only=True)
class UserDeletionRequested(Event, name="user.deletion_requested", lasting=("erase_at",)):
    """An owner deleted the account: it is switched off, its sessions have ended, and `flask accounts purge` erases it from `erase_at` on."""

    erase_at: datetime


@dataclass(frozen=True, kw_only=True)
class UserDeletionCancelled(Event, name="user.deletion_cancelled"):
    """An account that was to be erased is back: its owner signed in, or somebody switched it on."""


@dataclass(frozen=True, kw_only=True)
class UserDeleted(Event, name="user.deleted"):
    """An account and everything stored about it is gone."""


@dataclass(frozen=True, kw_only=True)
class UserDisabled(Event, name="user.disabled", lasting=("until",), internal=("reason",)):
    """An account was switched off, until a time or until somebody switches it on; its sessions have ended."""

    reason: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class UserEnabled(Event, name="user.enabled"):
    """An account was switched on again, by somebody or because the time was over that it was switched off for."""


@dataclass(frozen=True, kw_only=True)
class PasswordChanged(Event, name="password.changed", lasting=("way",)):
    """An account has a new password.

    `way`: `owner`, who knew the one before; `reset` by a mailed token; `removed`, so that the owner must reset it; or `direct`, by an
    administrator's command or host code.
    """

    way: str = "direct"


@dataclass(frozen=True, kw_only=True)
class SignedIn(Event, name="session.opened", lasting=("amr",)):
    """A sign-in was finished; `amr` are the methods used (RFC 8176)."""

    session_id: UUID
    amr: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SignedInOnNewDevice(Event, name="session.new_device"):
    """A sign-in was finished on a device that the account has not used before, or not for long. `device` is what it says it is.

    Not told of an account's first sign-in.
    """

    session_id: UUID
    device: str


@dataclass(frozen=True, kw_only=True)
class FactorChanged(Event, name="factor.changed", lasting=("factor", "change")):
    """An account has one more way to prove who signs in, or one less.

    `factor` is its kind, such as `totp`, `passkey` or `recovery_codes`; `change` is `added` or `removed`. Features and hosts that keep
    factors emit it; the owner is told by mail.
    """

    factor: str
    change: str


@dataclass(frozen=True, kw_only=True)
class IdentityLinked(Event, name="identity.linked", lasting=("provider", "way")):
    """An account has an identity at a provider, by which its owner signs in.

    `way`: `explicit`, by the owner, signed in; `address`, since the provider has verified the account's address; or `registration`, with
    which the account came to be.
    """

    provider: str
    way: str


@dataclass(frozen=True, kw_only=True)
class IdentityUnlinked(Event, name="identity.unlinked", lasting=("provider",)):
    """An identity was taken from an account."""

    provider: str


@dataclass(frozen=True, kw_only=True)
class PasskeyRegistered(Event, name="passkey.registered", lasting=("passkey_id", "way")):
    """An account has one more passkey.

    `way`: `owner`, by the owner, signed in; `sign_in`, since the account must have a second factor; or `registration`, with which the
    account came to be.
    """

    passkey_id: UUID
    way: str


@dataclass(frozen=True, kw_only=True)
class PasskeyRemoved(Event, name="passkey.removed", lasting=("passkey_id",)):
    """The owner has removed a passkey."""

    passkey_id: UUID


@dataclass(frozen=True, kw_only=True)
class PasskeyCloneSuspected(Event, name="passkey.clone_suspected", failure=True, lasting=("passkey_id",)):
    """A passkey was refused although its signature was right: it counts backwards, so there may be a copy of it in other hands."""

    passkey_id: UUID


@dataclass(frozen=True, kw_only=True)
class RecoveryCodeUsed(Event, name="factor.recovery_code_used", lasting=("left",)):
    """A recovery code stood in for a second factor; `left`: how many there are still. The owner is told by mail."""

    left: int


@dataclass(frozen=True, kw_only=True)
class DeviceRemembered(Event, name="factor.device_remembered", lasting=("until",)):
    """A device is not asked for a second factor `until` then; `device` is what it says it is."""

    device: str
    until: datetime


@dataclass(frozen=True, kw_only=True)
class DevicesForgotten(Event, name="factor.devices_forgotten", lasting=("number",)):
    """So many remembered devices of an account are asked for a second factor again."""

    number: int


@dataclass(frozen=True, kw_only=True)
class SecondFactorFailed(Event, name="session.second_factor_failed", failure=True, lasting=("factor",)):
    """A right first credential was followed by as many wrong answers as one sign-in may give: somebody who is not the owner may know the
    password. The owner is told by mail.
    """

    factor: str


@dataclass(frozen=True, kw_only=True)
class SignInFailed(Event, name="session.refused", failure=True, lasting=("reason",)):
    """A sign-in was refused: `reason` is the error code, `login` what was typed as e-mail or username."""

    reason: str
    login: str | None = None


@dataclass(frozen=True, kw_only=True)
class SignInChallenged(Event, name="session.challenged", lasting=("challenges",)):
    """A credential was right, and one more step is asked for before a session opens."""

    challenges: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Reauthenticated(Event, name="session.reauthenticated", lasting=("method",)):
    """A signed-in person proved presence again, by `method`: `password`, `oidc`, or the name of a factor."""

    session_id: UUID
    method: str = "password"


@dataclass(frozen=True, kw_only=True)
class SessionRefreshed(Event, name="session.refreshed"):
    """A refresh token was exchanged for the next generation."""

    session_id: UUID


@dataclass(frozen=True, kw_only=True)
class SessionEnded(Event, name="session.ended", lasting=("reason",)):
    """A session is over; `reason` is one of `logout`, `revoked`, `password_changed`, `reuse`, `limit`, `disabled`, `deleted`,
    `email_undone`, `claimed`, `factor_changed`, `actor_gone`, `refused` (at a refresh, for what is asked of it by now).
    """

    session_id: UUID
    reason: str


@dataclass(frozen=True, kw_only=True)
class RefreshTokenReused(Event, name="session.reuse_detected", failure=True):
    """A refresh token of an older generation came back: somebody else holds a copy. The session was ended."""

    session_id: UUID


@dataclass(frozen=True, kw_only=True)
class AccessRefused(Event, name="access.refused", failure=True, lasting=("reason",)):
    """A signed-in caller tried what it has no permission for, or failed the CSRF check."""

    reason: str
    path: str | None = None


@dataclass(frozen=True, kw_only=True)
class RolesChanged(Event, name="roles.changed", lasting=("granted", "revoked")):
    """An account's roles were changed; the tuples hold role names."""

    granted: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RoleSaved(Event, name="role.saved", lasting=("role", "permissions")):
    """A role was created or changed."""

    role: str
    permissions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RoleDeleted(Event, name="role.deleted", lasting=("role",)):
    """A role was deleted, and with it every grant of it."""

    role: str


@dataclass(frozen=True, kw_only=True)
class InvitationSent(Event, name="invitation.sent", lasting=("invitation_id", "roles", "again")):
    """Somebody is invited to make an account; `again`: the invitation was there already. Whom, says the invitation itself."""

    invitation_id: UUID
    roles: tuple[str, ...] = ()
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class InvitationAccepted(Event, name="invitation.accepted", lasting=("invitation_id", "roles")):
    """The account was made by an invitation; `roles` are those it got by it."""

    invitation_id: UUID
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class InvitationWithdrawn(Event, name="invitation.withdrawn", lasting=("invitation_id",)):
    """An invitation was taken back; its token is void."""

    invitation_id: UUID


@dataclass(frozen=True, kw_only=True)
class ApiKeyCreated(Event, name="api_key.created", lasting=("key_id", "scopes", "expires_at")):
    """An account has one more API key; `label` is what its maker calls it."""

    key_id: UUID
    label: str
    scopes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ApiKeyRevoked(Event, name="api_key.revoked", lasting=("key_id", "reason")):
    """An API key is worth nothing any more; `reason` is one of `revoked`, `password_changed`, `disabled`, `deleted`, `email_undone`,
    `claimed`.
    """

    key_id: UUID
    reason: str


@dataclass(frozen=True, kw_only=True)
class ApiKeyRefused(Event, name="api_key.refused", failure=True, lasting=("key_id", "reason")):
    """A key that is still good was shown from where it may not be used (`network`): somebody else may have it."""

    key_id: UUID
    reason: str


@dataclass(frozen=True, kw_only=True)
class ImpersonationStarted(Event, name="impersonation.started", lasting=("until",), internal=("reason",)):
    """Somebody (`actor_id`) acts in the owner's place from now on, in a session of its own, `until` it is over; `reason` is for
    administrators.
    """

    session_id: UUID
    reason: str
    until: datetime


@dataclass(frozen=True, kw_only=True)
class ImpersonationEnded(Event, name="impersonation.ended", lasting=("reason",)):
    """It is over before its time; `reason` is that of its `SessionEnded`, `actor_gone` where the actor's own session ended, or he
    may not any more. `actor_id` is who had acted. One whose time runs out is told of by nobody.
    """

    session_id: UUID
    reason: str


@dataclass(frozen=True, kw_only=True)
class ServiceAccountCreated(Event, name="service_account.created"):
    """An account came to be that nobody signs in to: a program uses it by its API keys."""


@dataclass(frozen=True, kw_only=True)
class MailFailed(Event, name="mail.failed"):
    """A mail could not be sent. Its signal is sent at once, outside any transaction; `kind` is the mail's name."""

    kind: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RateLimited(Event, name="access.limited"):
    """A caller is held back; told once per window or lock, however often the caller comes back meanwhile.

    `action` is what was tried. `scope` says which count was full: `address` or `account` of the rate limits;
    `lockout.pair` (an account from one address), `lockout.account` (an account from unknown addresses),
    `lockout.address` (wrong passwords from one address) of the lockout; `key` an API key's own limit.
    """

    action: str
    scope: str


@dataclass(frozen=True, kw_only=True)
class LimitStoreFailed(Event, name="limits.store_failed"):
    """The store of the rate limits did not answer. `allowed`: callers pass uncounted meanwhile, by the app's own choice."""

    allowed: bool


@dataclass(frozen=True, kw_only=True)
class BreachCheckFailed(Event, name="password.breach_check_failed", lasting=("reason", "allowed")):
    """Nobody said whether a password is breached. `allowed`: passwords pass unasked meanwhile, by the app's own choice."""

    reason: str
    allowed: bool


@dataclass(frozen=True, kw_only=True)
class AccountUnlocked(Event, name="user.unlocked"):
    """The count of wrong passwords for an account was cleared."""


@dataclass(frozen=True, kw_only=True)
class ClientRefused(Event, name="client.refused", failure=True, lasting=("client_id",)):
    """Another service was not let in: its credentials are wrong, or it may not do what it tried. `client_id` is the name it gave, if there
    is a client of that name.
    """

    client_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClientRevokedToken(Event, name="client.revoked_token", lasting=("client_id",)):
    """Another service had a token revoked, and with it its session (`SessionEnded` tells of that too)."""

    client_id: str
    session_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class SigningKeyChanged(Event, name="signing_key.changed", lasting=("kid", "algorithm", "change")):
    """A key that signs tokens was `published`, `signs` (now, or from the moment on that was said), was `replaced` by the next one, or was
    `retired`, so that what it has signed is refused. `kid` is its public name.
    """

    kid: str
    algorithm: str
    change: str


Listener = Callable[[Event], None]
"""Called inside the transaction; what it writes is committed with the event, and its error fails the request."""


def event_types() -> Iterator[type[Event]]:
    """Every event there is, for the reference page."""
    return iter(Event.__subclasses__())


class EventBus:
    """Hands events to listeners in the transaction and, after commit, to their signals."""

    def __init__(self, db: SQLAlchemy) -> None:
        self._db = db
        self._listeners: list[Listener] = []
        self.attribute: Callable[[Event], Event] = lambda event: event
        """Completes an event by what is known of its actor, before anybody is told of it. Set at start only."""

    def listen(self, listener: Listener) -> None:
        """Have `listener` told of every event inside its transaction. At start only."""
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Tell in-transaction listeners now, signal receivers once the transaction has committed."""
        event = self.attribute(event)
        for listener in self._listeners:
            listener(event)
        self._keep(event)

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run `action` once the transaction has committed; never if it is rolled back."""
        self._keep(action)

    def _keep(self, item: Event | Callable[[], None]) -> None:
        session = self._db.session()
        if not session.in_transaction():
            session.begin()  # so that a rollback has something to roll back, also before the first statement
        session.info.setdefault(_PENDING, []).append(item)


def install(db: SQLAlchemy) -> None:
    """Hang delivery on `db`'s sessions. Once per `db`; `Accounts` does it.

    Delivery waits for the *end* of the outermost transaction, not for `after_commit`, because inside
    that hook a session may not emit SQL and receivers usually want to.
    """

    @sqlalchemy.event.listens_for(db.session, "after_transaction_create")
    def created(session: Session, transaction: SessionTransaction) -> None:
        if transaction.nested:  # a savepoint: remember where its events begin
            session.info.setdefault(_MARKS, {})[transaction] = len(session.info.get(_PENDING, ()))

    @sqlalchemy.event.listens_for(db.session, "after_commit")
    def committed(session: Session) -> None:
        if not session.in_nested_transaction():
            session.info.setdefault(_COMMITTED, []).extend(session.info.pop(_PENDING, ()))

    @sqlalchemy.event.listens_for(db.session, "after_soft_rollback")
    def rolled_back(session: Session, transaction: SessionTransaction) -> None:
        # A failed flush rolls back a transaction of its own; what counts is the savepoint around it.
        marks: dict[SessionTransaction, int] = session.info.get(_MARKS, {})
        around: SessionTransaction | None = transaction
        while around is not None and around not in marks:
            around = around.parent
        del session.info.get(_PENDING, [])[marks[around] if around else 0 :]

    @sqlalchemy.event.listens_for(db.session, "after_transaction_end")
    def ended(session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            session.info.pop(_MARKS, None)
            session.info.pop(_PENDING, None)  # neither committed nor rolled back: the session was closed
            for item in session.info.pop(_COMMITTED, ()):
                for action in _actions(item):
                    _carry_out(action, item, session)


def tell(app: Flask, event: Event) -> None:
    """Send `event` to its receivers at once, whatever becomes of the transaction; what one raises is logged and stops nobody."""
    for receiver in event.signal.receivers_for(app):
        try:
            _send(app, receiver, event)
        except Exception:
            logger.exception("A receiver of %s failed.", event.name)


def _actions(item: Event | Callable[[], Any]) -> list[Callable[[], Any]]:
    """What is to be done about `item`: one call for each receiver, so that one's mistake is not another's loss."""
    if not isinstance(item, Event):
        return [item]
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # the proxy's own method
    return [partial(_send, app, receiver, item) for receiver in item.signal.receivers_for(app)]


def _send(app: Flask, receiver: Callable[..., Any], event: Event) -> None:
    app.ensure_sync(receiver)(app, event=event)


def _carry_out(action: Callable[[], Any], item: Event | Callable[[], Any], session: Session) -> None:
    try:
        action()
    except Exception as error:
        # The transaction has committed: a receiver's mistake must not turn the answer into an error.
        if unavailable(error):
            logger.error("A receiver of %s could not reach the database.", getattr(item, "name", item))
        else:
            logger.exception("A receiver of %s failed.", getattr(item, "name", item))
    finally:
        if session.in_transaction():  # what a receiver has not committed is not left for others to commit
            undo(session)
