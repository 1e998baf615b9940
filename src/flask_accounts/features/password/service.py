"""Checking and setting passwords. An unknown account costs the same as a known one."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any
from uuid import UUID

from ...core.errors import (
    ChallengeInvalid,
    FieldProblem,
    InvalidCredentials,
    NotFound,
    OneTimeTokenInvalid,
    ServiceUnavailable,
    ValidationError,
)
from ...core.events import AccountClaimed, Client, EmailVerified, Key, PasswordChanged, SessionEnded
from ...core.feature import Service
from ...core.gates import Answer, Entry, LoginAttempt
from ...core.login import LoginPipeline, SignIn
from ...core.passwords import PasswordSettings
from ...core.policies import email_form, folded
from ...core.users import Credentials, UserView


class PasswordService(Service):
    """Passwords of accounts, callable from a view, a command or host code."""

    def sign_in(self, *, password: str, client: Client, email: str | None = None, username: str | None = None) -> SignIn:
        """Open a session for the account that `email` or `username` names, if `password` is its.

        Raises `InvalidCredentials` for an unknown account and a wrong password alike, or what a gate raises.
        """
        login = email_form(email) if email is not None else folded(username or "")
        entry = Entry("login", client, account=login)
        self.runtime.enter(entry)
        found = self.runtime.users.find(email=email, username=username)
        verified = self._verify(found, password)
        pipeline = self.runtime.get(LoginPipeline)
        if verified is None:
            pipeline.refuse(InvalidCredentials(), client, user_id=found.user_id if found else None, login=login)
        attempt = LoginAttempt(verified.user_id, ("pwd",), client, verified_hash=verified.password_hash)
        try:
            if self.runtime.setting(PasswordSettings).check_at_sign_in:
                attempt = replace(attempt, problems=self._problems(verified.user_id, password))
        except ServiceUnavailable as error:
            self.runtime.passed(entry)  # the password was right, whoever cannot say more about it
            pipeline.refuse(error, client, user_id=verified.user_id)
        self.runtime.passed(entry)
        return pipeline.finish(attempt)

    def renew(self, attempt: LoginAttempt, user: UserView, answer: Answer) -> LoginAttempt:
        """Answer `password_change`: put the new password in place of the one the policy does not accept any more."""
        if answer.new_password is None:
            raise ValidationError.one("new_password", "missing", "Field required")
        stored = self.runtime.users.credentials(user.key)
        if stored is None or stored.password_hash != attempt.verified_hash:
            raise ChallengeInvalid
        if self.runtime.hasher.verify(answer.new_password, stored.password_hash):
            raise ValidationError.one("new_password", "password_unchanged", "The new password is the present one.")
        self._replace(
            user.key, stored.password_hash, answer.new_password, way="owner",
            actor=user.key, client=attempt.client, keep=None, field="new_password",
        )  # fmt: skip
        renewed = self.runtime.users.credentials(user.key)
        return replace(attempt, verified_hash=renewed.password_hash if renewed else None, problems=())

    def _problems(self, key: Key, password: str) -> tuple[FieldProblem, ...]:
        user = self.runtime.users.view(key)
        try:
            if user is not None:
                self.check(password, user)
        except ValidationError as error:
            return error.problems
        return ()

    def prove(self, user: UserView, answer: Answer, client: Client) -> tuple[str, ...]:
        """Prove presence by the account's password. `InvalidCredentials`, `ValidationError` without one."""
        if answer.password is None:
            raise ValidationError.one("password", "missing", "Field required")
        if self._verify(self.runtime.users.credentials(user.key), answer.password) is None:
            raise InvalidCredentials
        return ("pwd",)

    def confirm(self, key: Key, password: str, client: Client, *, action: str) -> Credentials:
        """The account's credentials, if `password` is right; `InvalidCredentials` if not."""
        entry = Entry(action, client, account=str(key), user_id=key)
        self.runtime.enter(entry)
        found = self.runtime.users.credentials(key)
        verified = self._verify(found, password)
        if verified is None:
            self.runtime.get(LoginPipeline).refuse(InvalidCredentials(), client, user_id=key)
        self.runtime.passed(entry)
        return verified

    def change(self, key: Key, *, current: str, new: str, client: Client, session_id: UUID | None) -> None:
        """Replace the password by its owner; every session but `session_id` ends."""
        verified = self.confirm(key, current, client, action="password_change")
        try:
            self._replace(
                key, verified.password_hash, new, way="owner", actor=key, client=client, keep=session_id, field="new_password"
            )
        except (ValidationError, ServiceUnavailable):
            self.runtime.commit()  # that the present password was right must last: else this would count as a guess
            raise

    def set(
        self, user: Any, password: str, *, actor_id: Key | None = None, client: Client | None = None, way: str = "direct"
    ) -> None:
        """Set an account's password by policy and end all its sessions; `way` is told by the event. `NotFound`, or `ValidationError`."""
        key = self.runtime.users.key_of(user)
        found = self.runtime.users.credentials(key)
        if found is None:
            raise NotFound
        self._replace(key, found.password_hash, password, way=way, actor=actor_id, client=client, keep=None, field="password")

    def check(self, password: str, user: UserView, *, field: str = "password") -> None:
        """Raise `ValidationError` if the policy would refuse `password` for the account."""
        self.runtime.check_password(password, email=user.email, username=user.username, field=field)

    def remove(self, user: Any, *, actor_id: Key | None = None, client: Client | None = None) -> None:
        """Make an account's password useless and end all its sessions; its owner must recover. `NotFound`."""
        key = self.runtime.users.key_of(user)
        found = self.runtime.users.credentials(key)
        if found is None:
            raise NotFound
        # A hash of what nobody knows: an account without one has never had a password, and is mailed none.
        useless = self.runtime.hasher.hash(secrets.token_urlsafe(32))
        self._store(key, found.password_hash, useless, way="removed", actor=actor_id, client=client, keep=None)

    def claim(self, user: UserView, *, client: Client, has_password: bool) -> None:
        """Note the first proof of an account's address, and put an end to what was there before: `AccountClaimed`.

        Whoever registers somebody else's address and waits for its owner to come (pre-hijacking, ASVS 6.8.1) must not be left with a way
        in. `OneTimeTokenInvalid` if the account has got another address this very moment.
        """
        runtime, now = self.runtime, self.runtime.clock.now()
        if not runtime.users.set_verified(user.key, now, address=user.email):
            raise OneTimeTokenInvalid
        who: dict[str, Any] = {"user_id": user.key, "actor_id": user.key, "client": client, "at": now}
        runtime.events.emit(EmailVerified(**who))
        runtime.events.emit(AccountClaimed(**who))
        if has_password and runtime.mail.available:
            self.remove(user, actor_id=user.key, client=client)
        elif has_password:  # nobody gets a new one by mail, so it must not pass for a way in
            found = runtime.users.credentials(user.key)
            stored = found.password_hash if found else None
            self._store(user.key, stored, None, way="removed", actor=user.key, client=client, keep=None)
        for session_id in runtime.sessions.end_all(user.key, reason="claimed", now=now):
            runtime.events.emit(SessionEnded(**who, session_id=session_id, reason="claimed"))

    def is_set(self, user: Any) -> bool:
        """Whether the account has a password, or had one that was removed and that mail can bring back."""
        found = self.runtime.users.credentials(self.runtime.users.key_of(user), newest=True)
        return found is not None and found.password_hash is not None

    def _verify(self, found: Credentials | None, password: str) -> Credentials | None:
        """`found`, its hash brought up to date, if `password` is right."""
        hasher, users = self.runtime.hasher, self.runtime.users
        if not hasher.verify(password, found.password_hash if found else None) or found is None or not found.password_hash:
            return None
        if not hasher.needs_rehash(found.password_hash):
            return found
        fresh = hasher.hash(password)
        if users.replace_hash(found.user_id, found.password_hash, fresh, self.runtime.clock.now()):
            return Credentials(found.user_id, found.email, fresh)
        # Somebody signed in at the same moment and upgraded it first, or the password was changed.
        return self._verify(users.credentials(found.user_id, newest=True), password)

    def _replace(
        self, key: Key, old: str | None, password: str, *, way: str, actor: Key | None, client: Client | None, keep: UUID | None,
        field: str,
    ) -> None:  # fmt: skip
        runtime = self.runtime
        user = runtime.users.view(key)
        if user is None:
            raise NotFound
        encoded = runtime.new_password_hash(password, email=user.email, username=user.username, field=field)
        self._store(key, old, encoded, way=way, actor=actor, client=client, keep=keep)

    def _store(
        self,
        key: Key,
        old: str | None,
        encoded: str | None,
        *,
        way: str,
        actor: Key | None,
        client: Client | None,
        keep: UUID | None,
    ) -> None:
        runtime = self.runtime
        now = runtime.clock.now()
        if not runtime.users.replace_hash(key, old, encoded, now):
            raise InvalidCredentials  # changed meanwhile: the proof was of a password that is no longer theirs
        runtime.users.forget(key)
        ended = runtime.sessions.end_all(key, reason="password_changed", now=now, except_for=keep)
        runtime.events.emit(PasswordChanged(user_id=key, actor_id=actor, client=client, at=now, way=way))
        for session_id in ended:
            runtime.events.emit(
                SessionEnded(user_id=key, actor_id=actor, client=client, at=now, session_id=session_id, reason="password_changed")
            )
