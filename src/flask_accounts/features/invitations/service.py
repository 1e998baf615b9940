"""Inviting people by mail, and making their accounts.

An invitation is worth what its inviter may give when it is *accepted*. Somebody who may not invite any more
(his account is gone, switched off, or has lost the permission) has no good invitations out, and roles that he
could not grant any more are left out. Whoever sends it again answers for it from then on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from pydantic_core import to_jsonable_python
from sqlalchemy.exc import IntegrityError

from ...core.errors import (
    EmailTaken,
    InvitationExists,
    MailUnavailable,
    NotFound,
    OneTimeTokenInvalid,
    PermissionDenied,
    ValidationError,
)
from ...core.events import Client, EmailVerified, InvitationAccepted, InvitationSent, InvitationWithdrawn, Key
from ...core.feature import Service
from ...core.identity import Principal
from ...core.models import UserMixin, uuid7
from ...core.policies import email_form, normalise_email
from ...core.runtime import Runtime
from ..roles.service import RoleService
from ..users.service import UserService
from .models import InvitationMixin
from .settings import InvitationSettings

PURPOSE = "invitation"
INVITE = "invitations:write"
"""The permission without which nobody invites."""
Status = Literal["open", "accepted", "withdrawn", "expired"]


@dataclass(frozen=True)
class Invitation:
    """An invitation's values."""

    id: UUID
    email: str
    roles: tuple[str, ...]
    language: str | None
    status: Status
    invited_by: Key | None
    trusted: bool
    """Sent by a command or host code."""
    created_at: datetime
    sent_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    accepted_user: Key | None
    withdrawn_at: datetime | None


@dataclass(frozen=True)
class Sent:
    """An invitation on its way, and the secret it carries, which is not kept."""

    invitation: Invitation
    token: str = field(repr=False)
    link: str | None = field(repr=False)
    """None where `ACCOUNTS_MAIL_BASE_URL` is not set."""


class InvitationService(Service):
    """Invite, send again, withdraw, accept. Without an `actor`, as commands and host code call them, everything may be granted."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._settings = runtime.setting(InvitationSettings)
        self._table: sa.Table = runtime.model(InvitationMixin).__table__

    # Sending

    def invite(
        self,
        email: str,
        *,
        roles: Iterable[str] = (),
        language: str | None = None,
        actor: Principal | None = None,
        client: Client | None = None,
        mail: bool = True,
    ) -> Sent:
        """Invite `email` to make an account with `roles`. Without `mail`, hand over the token or the link yourself.

        Raises `ValidationError` for an unfit address or an unknown role, `PermissionDenied` for one that the actor may not
        grant, `EmailTaken`, `InvitationExists`, and `MailUnavailable` where nothing is set up to send with.
        """
        runtime, now = self.runtime, self.runtime.clock.now()
        try:
            address = normalise_email(email)
        except ValueError as error:
            raise ValidationError.one("email", "email_invalid", str(error)) from None
        names = sorted(set(roles))
        self._check_sending(actor, mail=mail)
        runtime.get(RoleService).may_grant(names, actor)
        self._check_free(address)
        if there := self._execute(sa.select(self._table).where(*self._open_of(address))).mappings().first():
            if there["expires_at"] > now:
                raise InvitationExists
            self._close(there["id"])  # expired: the new one takes its place
        values: dict[str, Any] = {
            "id": uuid7(now), "address": address, "open": True, "roles": json.dumps(names), "language": language, "created_at": now,
            "accepted_at": None, "accepted_user": None, "withdrawn_at": None, **self._sending(actor, now),
        }  # fmt: skip
        try:
            self._execute(sa.insert(self._table).values(values))
        except IntegrityError as error:
            runtime.db.session.rollback()
            if self._execute(sa.select(self._table.c.id).where(*self._open_of(address))).first() is None:
                raise  # the inviter's account has gone this very moment
            raise InvitationExists from error
        return self._send(self._invitation(values), actor=actor, client=client, mail=mail, again=False)

    def resend(
        self, invitation_id: UUID, *, actor: Principal | None = None, client: Client | None = None, mail: bool = True
    ) -> Sent:
        """Send an open or expired invitation again: a new token, the older one void, its time anew; the actor is its inviter now.

        Raises `NotFound` if it is neither, and as `invite` does.
        """
        runtime = self.runtime
        self._check_sending(actor, mail=mail)
        row = self._row(invitation_id)
        if row is None:
            raise NotFound
        roles = runtime.get(RoleService)
        there = roles.grantable(json.loads(row["roles"]), None)
        roles.may_grant(there, actor)
        self._check_free(row["address"])
        changes = self._sending(actor, runtime.clock.now()) | {"roles": json.dumps(there)}
        if not self._change(invitation_id, changes):
            raise NotFound
        return self._send(self._invitation({**row, **changes}), actor=actor, client=client, mail=mail, again=True)

    def withdraw(self, invitation_id: UUID, *, actor: Principal | None = None, client: Client | None = None) -> None:
        """Take an invitation back: its token is void at once. `NotFound` if it is not open, or expired."""
        runtime, now = self.runtime, self.runtime.clock.now()
        self._check_may_invite(actor)
        found = self.get(invitation_id)
        if not self._close(invitation_id, withdrawn_at=now):
            raise NotFound
        runtime.one_time.void(PURPOSE, user_id=None, address=found.email)
        runtime.events.emit(InvitationWithdrawn(actor_id=_key(actor), client=client, at=now, invitation_id=invitation_id))

    # Accepting

    def look(self, token: str) -> Invitation:
        """The invitation that `token` accepts, without using it up; `OneTimeTokenInvalid`."""
        return self._standing(token)[0]

    def accept(
        self, token: str, password: str | None, *, username: str | None = None, client: Client | None = None, **fields: Any
    ) -> UserMixin:
        """Make the account, verified and with the invitation's roles; `fields` are columns of the host's own.

        Raises `OneTimeTokenInvalid`, and as `UserService.create` does; `EmailTaken` if the address has come to an account
        otherwise meanwhile. Nothing that is refused uses the token up.
        """
        runtime = self.runtime
        found, inviter = self._standing(token)
        return self._accept(
            found, inviter, password, lambda: runtime.one_time.consume(PURPOSE, token, runtime.clock.now()) is not None,
            username=username, client=client, **fields,
        )  # fmt: skip

    def _accept(
        self,
        found: Invitation,
        inviter: Principal | None,
        password: str | None,
        use_up: Callable[[], bool],
        *,
        client: Client | None,
        **fields: Any,
    ) -> UserMixin:
        runtime, now = self.runtime, self.runtime.clock.now()
        names = runtime.get(RoleService).grantable(found.roles, inviter)
        user = runtime.get(UserService).create(found.email, password, email_verified=True, client=client, **fields)
        key = runtime.users.key_of(user)
        # What decides. The account comes first, so that nothing is locked while its password is hashed.
        if not self._close(found.id, accepted_at=now, accepted_user=key) or not use_up():
            runtime.db.session.rollback()  # of an account that nobody may have
            raise OneTimeTokenInvalid
        runtime.events.emit(EmailVerified(user_id=key, actor_id=key, client=client, at=now))
        if names:
            # The inviter's doing, but not from his device.
            view = runtime.users.view(key)
            runtime.get(RoleService).grant(view, *names, actor=inviter, client=Client() if inviter else client)
        runtime.events.emit(
            InvitationAccepted(
                user_id=key, actor_id=key, client=client, at=now, invitation_id=found.id, roles=tuple(names)
            )
        )  # fmt: skip
        return user

    def is_invited(self, email: str) -> bool:
        """Whether an invitation of the address is open and good."""
        try:
            self._standing_of(self._table.c.address == email_form(email))
        except OneTimeTokenInvalid:
            return False
        return True

    def accept_proved(self, email: str, *, username: str | None = None, client: Client | None = None, **fields: Any) -> UserMixin:
        """The same as `accept` for whoever has proved the invited address otherwise, without a password; its token is void then."""
        runtime = self.runtime
        found, inviter = self._standing_of(self._table.c.address == email_form(email))

        def void() -> bool:
            runtime.one_time.void(PURPOSE, user_id=None, address=found.email)
            return True

        return self._accept(
            found, inviter, None, void,
            username=username, client=client, **fields,
        )  # fmt: skip

    # Reading

    def get(self, invitation_id: UUID) -> Invitation:
        """One invitation, or `NotFound`."""
        row = self._row(invitation_id)
        if row is None:
            raise NotFound
        return self._invitation(row)

    def find(self, email: str) -> Invitation:
        """The invitation of an address that is open, or has expired and was not replaced; `NotFound`."""
        row = self._execute(sa.select(self._table).where(*self._open_of(email_form(email)))).mappings().first()
        if row is None:
            raise NotFound(f"There is no open invitation of {email!r}.")
        return self._invitation(row)

    def list(self, status: Status | None = None, *, beyond: UUID | None = None, limit: int = 100) -> Sequence[Invitation]:
        """`limit` invitations, newest first, from the one after `beyond` on; at the same cost however far."""
        c, now = self._table.c, self.runtime.clock.now()
        conditions: dict[Status | None, tuple[sa.ColumnElement[bool], ...]] = {
            None: (),
            "open": (c.open.is_(True), c.expires_at > now),
            "accepted": (c.accepted_at.is_not(None),),
            "withdrawn": (c.withdrawn_at.is_not(None),),
            "expired": (c.accepted_at.is_(None), c.withdrawn_at.is_(None), c.expires_at <= now),
        }
        statement = sa.select(self._table).where(*conditions[status]).order_by(c.id.desc()).limit(limit)
        if beyond is not None:
            statement = statement.where(c.id < beyond)
        return [self._invitation(row) for row in self._execute(statement).mappings()]

    # The life of accounts and rows

    def erase(self, user: Any) -> None:
        """Forget an account that is being deleted.

        What it was invited by goes, and so does an invitation of its address, if it has proved that this is its own; what it
        has sent and is open is withdrawn.
        """
        runtime, c, now = self.runtime, self._table.c, self.runtime.clock.now()
        key, users = runtime.users.key_of(user), runtime.users
        address = sa.select(users.c["email"]).where(users.key_column == key, users.c["email_verified_at"].is_not(None))
        invited = sa.or_(c.accepted_user == key, c.address == address.scalar_subquery())
        # Looked for first, and then changed by key: MariaDB would lock what lies between for who wants to insert.
        rows = self._execute(
            sa.select(c.id, c.open, c.address, sa.case((invited, 1), else_=0).label("own")).where(
                sa.or_(invited, c.invited_by == key)
            )
        ).mappings().all()  # fmt: skip
        own = [row["id"] for row in rows if row["own"]]
        if own:
            self._execute(sa.delete(self._table).where(c.id.in_(own)))
            for address_of in {row["address"] for row in rows if row["own"] and row["open"]}:
                runtime.one_time.void(PURPOSE, user_id=None, address=address_of)
        sent = [row["id"] for row in rows if not row["own"]]
        if sent:
            closed = {"open": None, "withdrawn_at": now}
            self._execute(sa.update(self._table).where(c.id.in_(sent), c.open.is_(True)).values(closed))
            self._execute(sa.update(self._table).where(c.id.in_(sent)).values(invited_by=None))

    def export(self, user: Any) -> dict[str, Any] | None:  # JSON values
        """The invitation that the account was made by, and those it has sent, without the addresses: they are other people's."""
        c, key = self._table.c, self.runtime.users.key_of(user)
        statement = sa.select(self._table).where(sa.or_(c.accepted_user == key, c.invited_by == key)).order_by(c.id)
        rows = self._execute(statement).mappings().all()
        if not rows:
            return None
        accepted = [_exported(self._invitation(row)) | {"email": row["address"]} for row in rows if row["accepted_user"] == key]
        return {"accepted": accepted, "sent": [_exported(self._invitation(row)) for row in rows if row["invited_by"] == key]}

    def purge(self) -> int:
        """Delete what has been over for long; returns how many."""
        c, until = self._table.c, self.runtime.clock.now() - self._settings.keep_for
        over = sa.or_(c.accepted_at <= until, c.withdrawn_at <= until, sa.and_(c.accepted_at.is_(None), c.expires_at <= until))
        return self._execute(sa.delete(self._table).where(over)).rowcount

    # How it is done

    def _check_sending(self, actor: Principal | None, *, mail: bool) -> None:
        self._check_may_invite(actor)
        if mail and not self.runtime.mail.available:
            raise MailUnavailable("No mail can be sent from here, so nobody would get the invitation.")

    def _check_may_invite(self, actor: Principal | None) -> None:
        if actor is not None and not actor.can(INVITE):
            raise PermissionDenied

    def _check_free(self, address: str) -> None:
        if self.runtime.users.find(email=address) is not None:
            raise EmailTaken

    def _sending(self, actor: Principal | None, now: datetime) -> dict[str, Any]:
        return {
            "sent_at": now, "expires_at": now + self._settings.lifetime, "invited_by": _key(actor), "trusted": actor is None,
        }  # fmt: skip

    def _send(self, invitation: Invitation, *, actor: Principal | None, client: Client | None, mail: bool, again: bool) -> Sent:
        """A new token for the invitation, which voids the older one, mailed if asked to."""
        runtime, now = self.runtime, self.runtime.clock.now()
        issued = runtime.one_time.issue(
            PURPOSE, user_id=None, address=invitation.email, lifetime=self._settings.lifetime, now=now,
            data={"invitation": str(invitation.id)},
        )  # fmt: skip
        link = runtime.letters.link(self._settings.link_path, issued.token)
        if mail:
            language = runtime.letters.language_for(stored=invitation.language, asked=client.languages if client else None)
            minutes = int(self._settings.lifetime.total_seconds() // 60)
            runtime.mail.send(
                runtime.letters.write(
                    "invitation", invitation.email, language=language, token=issued.token, link=link, minutes=minutes
                )
            )  # fmt: skip
        runtime.events.emit(
            InvitationSent(
                actor_id=_key(actor), client=client, at=now, invitation_id=invitation.id, roles=invitation.roles, again=again
            )
        )  # fmt: skip
        return Sent(invitation, issued.token, link)

    def _standing(self, token: str) -> tuple[Invitation, Principal | None]:
        """The invitation that `token` accepts, and its inviter; None if it is trusted. `OneTimeTokenInvalid`."""
        runtime = self.runtime
        proof = runtime.one_time.peek(PURPOSE, token, runtime.clock.now())
        if proof is None:
            raise OneTimeTokenInvalid
        return self._standing_of(self._table.c.id == UUID(proof.data["invitation"]))

    def _standing_of(self, which: sa.ColumnElement[bool]) -> tuple[Invitation, Principal | None]:
        """The same of an invitation that is open, by another condition."""
        users = self.runtime.users
        # The inviter's columns and grants in the same statement.
        own = [column.label(f"i_{column.name}") for column in self._table.c]
        source = sa.outerjoin(self._table, users.table, users.key_column == self._table.c.invited_by)
        statement = sa.select(*own, *users.columns()).select_from(users.joined(source, users.key_column))
        rows = self._execute(statement.where(which, self._table.c.open.is_(True))).mappings().all()
        found = self._invitation({column.name: rows[0][f"i_{column.name}"] for column in self._table.c}) if rows else None
        if found is None or found.status != "open":
            raise OneTimeTokenInvalid
        if found.trusted:
            return found, None
        if found.invited_by is None:
            raise OneTimeTokenInvalid
        view = users.read(rows)
        inviter = Principal(view.key, view, frozenset(view.roles), view.permissions)
        if not view.is_active or not inviter.can(INVITE):
            raise OneTimeTokenInvalid
        return found, inviter

    def _open_of(self, address: str) -> tuple[sa.ColumnElement[bool], ...]:
        return self._table.c.address == address, self._table.c.open.is_(True)

    def _change(self, invitation_id: UUID, changes: dict[str, Any]) -> bool:
        """Change an invitation that is open; False if it is not."""
        statement = sa.update(self._table).where(self._table.c.id == invitation_id, self._table.c.open.is_(True)).values(changes)
        return bool(self._execute(statement).rowcount)

    def _close(self, invitation_id: UUID, **values: Any) -> bool:
        """End an invitation that is open; False if it is not. Of two at once, one is told True."""
        return self._change(invitation_id, {"open": None, **values})

    def _row(self, invitation_id: UUID) -> sa.RowMapping | None:
        return self._execute(sa.select(self._table).where(self._table.c.id == invitation_id)).mappings().first()

    def _invitation(self, row: Mapping[str, Any] | sa.RowMapping) -> Invitation:
        status: Status = "open"
        if row["accepted_at"] is not None:
            status = "accepted"
        elif row["withdrawn_at"] is not None:
            status = "withdrawn"
        elif row["expires_at"] <= self.runtime.clock.now():
            status = "expired"
        return Invitation(
            id=row["id"], email=row["address"], roles=tuple(json.loads(row["roles"])), language=row["language"], status=status,
            invited_by=row["invited_by"], trusted=row["trusted"], created_at=row["created_at"], sent_at=row["sent_at"],
            expires_at=row["expires_at"], accepted_at=row["accepted_at"], accepted_user=row["accepted_user"],
            withdrawn_at=row["withdrawn_at"],
        )  # fmt: skip

    def _execute(self, statement: sa.Executable) -> sa.CursorResult[Any]:
        return self.runtime.users.execute(statement)


def _key(actor: Principal | None) -> Key | None:
    return actor.user_id if actor is not None else None


def _exported(invitation: Invitation) -> dict[str, Any]:
    names = ("roles", "status", "created_at", "sent_at", "expires_at", "accepted_at", "withdrawn_at")
    shown: dict[str, Any] = to_jsonable_python({name: getattr(invitation, name) for name in names})
    return shown
