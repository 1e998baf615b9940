"""Accounts: create, change, disable, delete. Callable from a view, a command, a job or a test."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...core.errors import ConcurrentChange, FieldProblem, NotFound, ValidationError
from ...core.events import (
    Client,
    EmailChanged,
    Key,
    SessionEnded,
    UserDeleted,
    UserDeletionCancelled,
    UserDisabled,
    UserEnabled,
    UserRegistered,
    UserUpdated,
)
from ...core.feature import Service
from ...core.models import UserMixin
from ...core.policies import check_username, normalise_email
from ...core.users import UserView
from ..roles.service import RoleService
from .standing import StandingService


class UserService(Service):
    """Accounts by host code; `user` is an object of the user class, a view or a key. Nothing here commits."""

    def create(
        self,
        email: str,
        password: str | None = None,
        *,
        username: str | None = None,
        is_active: bool = True,
        email_verified: bool = False,
        actor_id: Key | None = None,
        client: Client | None = None,
        **fields: Any,
    ) -> UserMixin:
        """A new account; `fields` are columns of the host's own.

        Raises `ValidationError` for an unfit address, username or password, `EmailTaken`, `UsernameTaken`.
        """
        runtime = self.runtime
        email, username = self._fit(email, username)
        encoded = runtime.new_password_hash(password, email=email, username=username) if password is not None else None
        now = runtime.clock.now()
        user: UserMixin = runtime.users.model(
            email=email, username=username, password_hash=encoded, is_active=is_active,
            email_verified_at=now if email_verified else None, created_at=now, updated_at=now, **fields,
        )  # fmt: skip
        runtime.users.add(user)
        key = runtime.users.key_of(user)
        runtime.events.emit(UserRegistered(user_id=key, actor_id=actor_id, client=client, at=now, email=email))
        return user

    def get(self, user: Any) -> UserMixin:
        """The ORM object, or `NotFound`."""
        found = self.runtime.users.get(self.runtime.users.key_of(user))
        if found is None:
            raise NotFound
        return found

    def find(self, *, email: str | None = None, username: str | None = None) -> UserMixin:
        """The account of an address or a username, however it is spelled, or `NotFound`."""
        found = self.runtime.users.find(email=email, username=username)
        if found is None:
            raise NotFound
        return self.get(found.user_id)

    def update(
        self, user: Any, changes: Mapping[str, Any], *, actor_id: Key | None = None, client: Client | None = None
    ) -> UserMixin:
        """Change an account: `email`, `username`, `email_verified`, `is_active`, and columns of the host's own.

        A new address counts as unproved, unless `email_verified` says otherwise. Switching off ends all sessions. Raises as `create`
        does, `LastAdministrator`, and `ConcurrentChange` where somebody else has changed the address meanwhile.
        """
        runtime, users = self.runtime, self.runtime.users
        changes = dict(changes)
        active, verified = changes.pop("is_active", None), changes.pop("email_verified", None)
        found = self.get(user)
        key, now = users.key_of(found), runtime.clock.now()
        before, was_verified = found.email, found.email_verified
        email, username = self._fit(changes.pop("email", before), changes.get("username", found.username), before=before)
        moved = email != before
        fields = {name: value for name, value in (changes | {"username": username}).items() if getattr(found, name) != value}
        changed = [*fields, *(["email"] if moved else [])]
        if verified is not None and verified != (was_verified and not moved):
            changed.append("email_verified")
            if not verified:
                fields["email_verified_at"] = None
        if changed:
            for name, value in fields.items():
                setattr(found, name, value)
            if fields:
                found.updated_at = now
            users.save(found)
            # Only if the address still is what it was: it may be changed and proved at the same moment (CVE-2026-32700).
            if moved:
                done = users.change_email(key, old=before, new=email, verified_at=now if verified else None, now=now)
            else:
                done = not verified or was_verified or users.set_verified(key, now, address=before)
            if not done:
                raise ConcurrentChange
            runtime.events.emit(UserUpdated(user_id=key, actor_id=actor_id, client=client, at=now, fields=tuple(sorted(changed))))
        if moved:
            runtime.events.emit(
                EmailChanged(
                    user_id=key, actor_id=actor_id, client=client, at=now, old=before, new=email, old_verified=was_verified
                )
            )
        if active is False and (found.is_active or runtime.get(StandingService).suspension(key) is None):
            self.disable(found, actor_id=actor_id, client=client)
        elif active is True:
            self.enable(found, actor_id=actor_id, client=client)
        return found

    def disable(
        self,
        user: Any,
        *,
        reason: str | None = None,
        until: datetime | None = None,
        actor_id: Key | None = None,
        client: Client | None = None,
    ) -> None:
        """Switch an account off; its sessions end with the very next request. `LastAdministrator`, `ValidationError`.

        `until`: from then on its owner may sign in again; without it, once somebody has switched it on. `reason` is for
        administrators. Twice is no error: what is said last counts. One that waits to be erased is not brought back by signing in.
        """
        runtime, now = self.runtime, self.runtime.clock.now()
        view = self._view(user)
        if until is not None and (until.tzinfo is None or until <= now):
            raise ValidationError.one("until", "until_past", "Give a time to come, with its zone.")
        runtime.get(RoleService).keep_an_administrator(view)
        self._set_active(view.key, value=False)
        if not runtime.get(StandingService).suspend(view.key, reason=reason, until=until) and not view.is_active:
            return
        ended = runtime.sessions.end_all(view.key, reason="disabled", now=now)
        runtime.events.emit(UserDisabled(user_id=view.key, actor_id=actor_id, client=client, at=now, reason=reason, until=until))
        for session_id in ended:
            runtime.events.emit(
                SessionEnded(user_id=view.key, actor_id=actor_id, client=client, at=now, session_id=session_id, reason="disabled")
            )

    def enable(self, user: Any, *, actor_id: Key | None = None, client: Client | None = None) -> None:
        """Switch an account on again, whatever it was switched off by; none of its old sessions comes back. Twice is no error.

        One that its owner has deleted, and that is not erased yet, is not erased then.
        """
        runtime, view = self.runtime, self._view(user)
        if view.is_active:
            return
        self._set_active(view.key, value=True)
        now = runtime.clock.now()
        runtime.events.emit(UserEnabled(user_id=view.key, actor_id=actor_id, client=client, at=now))
        runtime.get(StandingService).lift(view.key)
        if runtime.get(StandingService).forget_deletion(view.key):
            runtime.events.emit(UserDeletionCancelled(user_id=view.key, actor_id=actor_id, client=client, at=now))

    def delete(self, user: Any, *, actor_id: Key | None = None, client: Client | None = None) -> None:
        """Delete an account and everything stored about it, at once. `NotFound`, `LastAdministrator`."""
        runtime = self.runtime
        view = self._view(user)
        runtime.get(RoleService).keep_an_administrator(view)
        # The account's row first, then its sessions', as everywhere: else this and a sign-in wait for each other.
        if runtime.users.locked(view.key) is None:
            raise NotFound
        runtime.erase(view.key)
        if not runtime.users.delete(view.key):
            raise NotFound
        runtime.events.emit(UserDeleted(user_id=view.key, actor_id=actor_id, client=client, at=runtime.clock.now()))

    def _set_active(self, key: Key, *, value: bool) -> None:
        self.runtime.users.set_active(key, value=value, now=self.runtime.clock.now())

    def _view(self, user: Any) -> UserView:
        view = user if isinstance(user, UserView) else self.runtime.users.view(self.runtime.users.key_of(user))
        if view is None:
            raise NotFound
        return view

    def _fit(self, email: str, username: str | None, *, before: str | None = None) -> tuple[str, str | None]:
        """The address and the username in their forms; an address that the account has already is not judged."""
        problems = []
        try:
            email = email if email == before else normalise_email(email)
        except ValueError as error:
            problems.append(FieldProblem("email", "email_invalid", str(error)))
        try:
            username = check_username(username) if username is not None else None
        except ValueError as error:
            problems.append(FieldProblem("username", "username_invalid", str(error)))
        if problems:
            raise ValidationError(problems)
        return email, username
