"""Asking for another address, taking its proof, and giving the account back to an earlier one.

The account's row is locked before a token is used up, and the address changes by an UPDATE that says which one it
replaces. So of two confirmations, or a confirmation and an undoing, at the same moment each sees what the other
did, and no address is ever marked as proved but the one that proved itself (CVE-2026-32700).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_jsonable_python

from ...core.errors import ConcurrentChange, NotFound, OneTimeTokenInvalid, ValidationError
from ...core.events import (
    Client,
    EmailChanged,
    EmailChangeRequested,
    EmailChangeUndone,
    EmailVerified,
    Event,
    Key,
    PasswordChanged,
    SessionEnded,
    UserDisabled,
)
from ...core.feature import Service
from ...core.gates import Entry
from ...core.one_time import OneTime
from ...core.policies import normalise_email
from ...core.users import UserView
from ..password.service import PasswordService
from ..password_reset.service import PasswordResetService
from .settings import EmailChangeSettings

PURPOSE = "change_email"
UNDO = "undo_email_change"


class EmailChangeService(Service):
    """Changes of address; `user` is an object of the user class, a view or a key."""

    @property
    def settings(self) -> EmailChangeSettings:
        """The feature's settings."""
        return self.runtime.setting(EmailChangeSettings)

    def ask(self, user: Any, email: str, *, client: Client, session_id: UUID | None = None) -> None:
        """Mail a link and a code to the new address, and a warning to the present one; nothing changes yet. `ValidationError`.

        If the new address belongs to another account, its owner is told instead, and nothing differs to be seen. An older
        request is void. This one is void once the session `session_id` is ended by anything but signing out of it.
        """
        runtime, settings = self.runtime, self.settings
        view = user if isinstance(user, UserView) else runtime.users.view(runtime.users.key_of(user))
        if view is None:
            raise NotFound
        runtime.enter(Entry("email_change", client, account=str(view.key), user_id=view.key))
        new, now = _fit(email, view), runtime.clock.now()
        other = runtime.users.by_email(new)
        # Also for a taken address, so that neither time nor the fate of an older request tells: a token nobody gets.
        issued = runtime.one_time.issue(
            PURPOSE, user_id=view.key, address=new, lifetime=settings.lifetime, now=now, code=True,
            data={"old": view.email, "session": str(session_id) if session_id else None},
        )  # fmt: skip
        if other is None:
            runtime.write(
                "change_email", view, client=client, to=new, token=issued.token, code=issued.code,
                link=runtime.letters.link(settings.link_path, issued.token), minutes=int(settings.lifetime.total_seconds() // 60),
            )  # fmt: skip
        else:
            runtime.write("email_change_taken", other, client=client)
        if settings.asked_notice:
            runtime.write("email_change_asked", view, client=client)
        runtime.events.emit(EmailChangeRequested(user_id=view.key, actor_id=view.key, client=client, at=now, new=new))

    def confirm(self, token: str, client: Client | None = None) -> None:
        """Take the proof of a link's token and change the address. `OneTimeTokenInvalid`, `EmailTaken`."""
        self._accept(self.runtime.one_time.peek(PURPOSE, token, self.runtime.clock.now()), client)

    def confirm_code(self, user: Any, code: str, client: Client) -> None:
        """The same by the code, for the account that asked. Wrong guesses are counted."""
        runtime = self.runtime
        key = runtime.users.key_of(user)
        entry = Entry("email_change_confirm", client, account=str(key), user_id=key)
        runtime.enter(entry)
        # As people type codes: with a blank or a hyphen in the middle.
        digits = "".join(char for char in code if char not in " -")
        self._accept(runtime.one_time.peek_code(PURPOSE, key, digits, runtime.clock.now()), client)
        runtime.passed(entry)

    def undo(self, token: str, client: Client | None = None) -> None:
        """Give the account back to the earlier address that `token` was sent to. `OneTimeTokenInvalid`, `EmailTaken`.

        The address counts as proved; all sessions end; second factors, identities and the like that were added since the change was
        asked for are void; a password is made useless, and a mail to the address lets its owner set a new one. Later changes cannot undo this: their tokens are void. A disabled account stays disabled.
        """
        runtime = self.runtime
        now = runtime.clock.now()
        proof = runtime.one_time.peek(UNDO, token, now)
        locked = runtime.users.locked(proof.user_id) if proof is not None and proof.user_id is not None else None
        if proof is None or proof.address is None or locked is None or not runtime.one_time.take(proof):
            raise OneTimeTokenInvalid
        before, row = locked
        dropped = self._give_back(before, proof.address, now)
        runtime.one_time.void_newer(proof)
        ended = runtime.sessions.end_all(before.key, reason="email_undone", now=now)
        restored = runtime.users.view(before.key)
        assert restored is not None  # noqa: S101  # its row is locked, or written by this transaction
        who: dict[str, Any] = {"user_id": restored.key, "actor_id": restored.key, "client": client, "at": now}
        emit = runtime.events.emit
        if dropped != restored.email:
            emit(EmailChanged(**who, old=dropped, new=restored.email, way="undone", old_verified=before.email_verified))
        emit(EmailVerified(**who))
        since = datetime.fromisoformat(proof.data["since"]) if "since" in proof.data else proof.created_at
        emit(EmailChangeUndone(**who, email=restored.email, dropped=dropped, since=since))
        for session_id in ended:
            emit(SessionEnded(**who, session_id=session_id, reason="email_undone"))
        if row["stored_hash"] is not None:
            # It may be the one that let somebody in. Who is disabled could not use a mail to set another.
            replace = (
                runtime.get(PasswordResetService).force if runtime.can_sign_in(restored) else runtime.get(PasswordService).remove
            )
            replace(restored, actor_id=restored.key, client=client)
        if dropped != restored.email and self.settings.notice and runtime.mail.available:
            runtime.write("email_change_undone", restored, client=client, to=dropped)

    def hear(self, event: Event) -> None:
        """Tell the old address of a change; call a request off that the owner's own acts, or an administrator's, have overtaken."""
        if event.user_id is None or not isinstance(event, EmailChanged | EmailChangeUndone | PasswordChanged | UserDisabled):
            return
        self.runtime.one_time.void(PURPOSE, user_id=event.user_id)
        if isinstance(event, EmailChanged) and event.way != "undone":
            self._tell_old(event, event.user_id)

    def export(self, key: Key) -> dict[str, Any] | None:  # JSON values
        """The addresses that wait for their proof, and those that can still undo; None if there are none."""
        now = self.runtime.clock.now()
        found = {
            part: [
                {"address": one.address, "at": one.created_at, "until": one.expires_at}
                for one in self.runtime.one_time.outstanding(purpose, key, now)
            ]
            for part, purpose in (("asked_for", PURPOSE), ("can_undo", UNDO))
        }
        exported: dict[str, Any] = to_jsonable_python(found)
        return exported if any(exported.values()) else None

    def _accept(self, proof: OneTime | None, client: Client | None) -> None:
        runtime = self.runtime
        view = self._asker(proof) if proof is not None else None
        if proof is None or proof.address is None or view is None or not runtime.one_time.take(proof):
            runtime.commit()  # the counted guess must last
            raise OneTimeTokenInvalid
        now = runtime.clock.now()
        # If the address is taken, that undoes the taking too: the token is good again once it is free.
        if not runtime.users.change_email(view.key, old=view.email, new=proof.address, verified_at=now, now=now, active=True):
            raise OneTimeTokenInvalid
        who: dict[str, Any] = {"user_id": view.key, "actor_id": view.key, "client": client, "at": now}
        runtime.events.emit(
            EmailChanged(
                **who,
                old=view.email,
                new=proof.address,
                way="confirmed",
                old_verified=view.email_verified,
                asked_at=proof.created_at,
            )
        )
        runtime.events.emit(EmailVerified(**who))

    def _asker(self, proof: OneTime) -> UserView | None:
        """The account that asked, locked, if everything still is as it was then."""
        runtime, session = self.runtime, proof.data["session"]
        beside = [runtime.sessions.stands(UUID(session))] if session else []
        found = runtime.users.locked(proof.user_id, runtime.users.locking(*beside)) if proof.user_id is not None else None
        if found is None:
            return None
        view, row = found
        fits = view.is_active and view.email == proof.data["old"] and row.get("session_stands", True)
        return view if fits else None

    def _give_back(self, before: UserView, address: str, now: datetime) -> str:
        """Put `address` in place of the account's; returns the one it had."""
        users = self.runtime.users
        if users.change_email(before.key, old=before.email, new=address, verified_at=now, now=now):
            return str(before.email)
        # SQLite locks no row that is only read: a confirmation came between. Now that this transaction writes, nothing can.
        view = users.view(before.key)
        dropped: str | None = view.email if view is not None else None
        if dropped is None or not users.change_email(before.key, old=dropped, new=address, verified_at=now, now=now):
            raise ConcurrentChange
        return dropped

    def _tell_old(self, event: EmailChanged, key: Key) -> None:
        runtime, settings = self.runtime, self.settings
        view = runtime.users.view(key) if settings.notice and runtime.mail.available else None
        if view is None:
            return
        token = None
        if settings.undo_lifetime and (event.old_verified or settings.undo_unverified):
            # Those of earlier changes stay good: who changes twice must not shake the first owner off.
            now = runtime.clock.now()
            token = runtime.one_time.issue(
                UNDO, user_id=key, address=event.old, lifetime=settings.undo_lifetime, now=now, void_older=False,
                data={"since": (event.asked_at or now).isoformat()},
            ).token  # fmt: skip
        runtime.write(
            "email_changed", view, client=event.client, to=event.old, token=token,
            link=runtime.letters.link(settings.undo_link_path, token) if token else None,
            minutes=int(settings.undo_lifetime.total_seconds() // 60),
        )  # fmt: skip


def _fit(email: str, view: UserView) -> str:
    try:
        new = normalise_email(email)
    except ValueError as error:
        raise ValidationError.one("email", "email_invalid", str(error)) from None
    if new == view.email:
        raise ValidationError.one("email", "email_unchanged", "This is the account's address already.")
    return new
