"""Passkeys of accounts: made, listed, named, removed, and proved.

A passkey is a way in, and a second factor. Where its authenticator has verified its owner, by a PIN or a finger, it is both at once. One that
was made without that is a second factor alone, for good: whoever finds a key without a PIN could give it one.
"""

from __future__ import annotations

import importlib.util
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic_core import to_jsonable_python
from sqlalchemy.exc import IntegrityError

from ...core.challenges import PendingSignIns, occasion
from ...core.errors import (
    ChallengeInvalid,
    ConcurrentChange,
    ConfigurationError,
    InvalidCredentials,
    LastWayIn,
    NotFound,
    PasskeyLimit,
    ValidationError,
)
from ...core.events import Client, Key, PasskeyCloneSuspected, PasskeyRegistered, PasskeyRemoved
from ...core.factors import Factor
from ...core.feature import Service
from ...core.gates import MULTI_FACTOR, Answer, Entry, Fact, LoginAttempt, multi_factor
from ...core.identity import Principal
from ...core.login import LoginPipeline, SignIn
from ...core.models import uuid7
from ...core.runtime import Runtime
from ...core.upserts import insert_into, on_conflict
from ...core.users import ACCOUNT, UserView
from ..mfa.service import MfaService
from .authenticators import name_of
from .ceremonies import ADDITION, PROOF, SIGN_IN, Ceremonies, Options
from .models import HANDLE, PasskeyHandleMixin, PasskeyMixin
from .settings import PasskeySettings
from .verification import (
    Given,
    NewCredential,
    Refused,
    encoded,
    read_assertion,
    read_attestation,
    verified_assertion,
    verified_registration,
)

logger: logging.Logger = logging.getLogger("flask_accounts.passkeys")

PACKAGE = "webauthn"
FEATURE, NAME = "passkeys", "passkey"
ENROLMENT = "passkey_enrolment"
"""The challenge of a sign-in that must have a second factor first."""
AMR = ("pop", "user")
"""RFC 8176: a key was proved to be there, and a person. Whether hardware keeps it (`hwk`) nobody can tell without attestation."""


@dataclass(frozen=True)
class Passkey:
    """A passkey's values."""

    id: UUID
    user_id: Key
    credential_id: bytes
    public_key: bytes = field(repr=False)
    sign_count: int
    transports: str
    aaguid: UUID
    name: str
    backup_eligible: bool
    backed_up: bool
    user_verified: bool
    """It is a way in; else it is a second factor alone."""
    created_at: datetime
    last_used_at: datetime | None

    @property
    def authenticator(self) -> str:
        """The make, as people call it."""
        return name_of(self.aaguid)


class PasskeyService(Service):
    """The passkeys of accounts. Nothing here commits, but what is refused and challenges that were answered."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        if importlib.util.find_spec(PACKAGE) is None:
            raise ConfigurationError("The feature Passkeys needs webauthn: pip install 'flask-accounts-api[passkeys]'.")
        self._settings = runtime.setting(PasskeySettings)
        self._table: sa.Table = runtime.model(PasskeyMixin).__table__
        self._handles: sa.Table = runtime.model(PasskeyHandleMixin).__table__
        own = self._handles.c.user_id == self._table.c.user_id
        by_id = self._table.c.credential_id == sa.bindparam("credential")
        self._finding = sa.select(self._table, self._handles.c.handle).join(self._handles, own).where(by_id)

    def factor(self) -> Factor:
        """The factor that passkeys are."""
        c = self._table.c
        since = sa.select(sa.func.min(c.created_at)).where(c.user_id == sa.bindparam(ACCOUNT)).scalar_subquery()
        return Factor(NAME, Fact(since), self.prove, self.forget, enrolment=ENROLMENT)

    # Making one

    def begin(self, user: UserView, *, where: str) -> Options:
        """Options to make a passkey, to be answered in the same session or sign-in (`where`). Older ones are void. `EmailNotVerified`."""
        runtime, ceremonies = self.runtime, self.runtime.get(Ceremonies)
        runtime.get(MfaService).may_enrol(user)
        known = self.of(user.key)
        self._check_number(known)
        challenge = ceremonies.begin(ADDITION, where=where, user_id=user.key, void_older=True)
        shown = [(passkey.credential_id, passkey.transports) for passkey in known]
        return ceremonies.creation(challenge, handle=self._handle(user.key), name=user.username or user.email, known=shown)

    def add(
        self, user: UserView, given: Mapping[str, Any], client: Client, *, where: str, name: str | None = None,
        principal: Principal | None = None,
    ) -> tuple[Passkey, list[str]]:  # fmt: skip
        """Give an account the passkey that a browser has made; with recovery codes to be shown, if it is the first and there were none.

        `ValidationError` for an answer that is not right, `PasskeyLimit`, `EmailNotVerified`.
        """
        runtime, mfa = self.runtime, self.runtime.get(MfaService)
        mfa.may_enrol(user)
        read = read_attestation(given)
        runtime.get(Ceremonies).end(ADDITION, read.challenge, where=where, user_id=user.key)
        runtime.commit()  # the challenge is used up, whatever comes of it
        made = self.verified(read, must_verify=not self._settings.security_keys)
        mfa.begin_change(user.key)
        before = self._of(user.key, newest=True)
        self._check_number(before)
        passkey = self.store(user.key, made, client, name=name, way="owner" if principal else "sign_in")
        if before:
            mfa.another(user.key, NAME, client)
            return passkey, []
        return passkey, mfa.added(user, NAME, client, principal=principal, amr=AMR)

    def verified(self, read: Given, *, must_verify: bool) -> NewCredential:
        """The new passkey that a browser's answer holds. `ValidationError` if it is not right, or known already."""
        try:
            made = verified_registration(read, self.runtime.get(Ceremonies).party, must_verify=must_verify)
        except Refused as error:
            logger.warning("A new passkey is refused: %s.", error)
            raise ValidationError.one("credential", "credential_refused", "This passkey cannot be taken.") from None
        if self._find(made.credential_id) is not None:
            raise ValidationError.one("credential", "credential_known", "This passkey is in use already.")
        return made

    def store(self, key: Key, made: NewCredential, client: Client, *, name: str | None, way: str) -> Passkey:
        """Keep a new passkey of an account."""
        runtime, now = self.runtime, self.runtime.clock.now()
        passkey = Passkey(
            uuid7(now), key, made.credential_id, made.public_key, made.sign_count, " ".join(made.transports), made.aaguid,
            name or name_of(made.aaguid), made.backup_eligible, made.backed_up, made.user_verified, now, None,
        )  # fmt: skip
        try:
            self._execute(sa.insert(self._table).values(vars(passkey)))
        except IntegrityError as error:
            runtime.db.session.rollback()
            raise ConcurrentChange from error
        runtime.events.emit(
            PasskeyRegistered(user_id=key, actor_id=key, client=client, at=now, passkey_id=passkey.id, way=way)
        )  # fmt: skip
        return passkey

    def keep_handle(self, key: Key, handle: bytes) -> None:
        """Have a new account known to authenticators by `handle`."""
        self._execute(sa.insert(self._handles).values(user_id=key, handle=handle))

    # In a sign-in that waits

    def begin_in_sign_in(self, token: str, client: Client) -> tuple[str, Options]:
        """The method and the options by which a sign-in that waits is answered at `POST /challenge`; `ChallengeInvalid` if not by a passkey."""
        runtime = self.runtime
        waiting = runtime.get(PendingSignIns).look(token, client)
        key = waiting.attempt.user_id
        runtime.enter(Entry("challenge", client, account=str(key), user_id=key))
        user = runtime.users.view(key)
        if user is not None and NAME in waiting.challenges:
            return NAME, self.begin_proof(key, where=occasion(token))
        if user is None or ENROLMENT not in waiting.challenges:
            raise ChallengeInvalid
        return ENROLMENT, self.begin(user, where=occasion(token))

    def enrol(self, attempt: LoginAttempt, user: UserView, answer: Answer) -> LoginAttempt:
        """Answer `passkey_enrolment`: the new passkey also finishes the sign-in."""
        _, codes = self.add(user, _given(answer), attempt.client, where=answer.occasion)
        return replace(attempt, amr=multi_factor(attempt.amr, AMR), recovery_codes=tuple(codes))

    # Proving it

    def begin_proof(self, key: Key, *, where: str) -> Options:
        """Options to prove one of an account's passkeys, in the same session or sign-in (`where`)."""
        ceremonies = self.runtime.get(Ceremonies)
        challenge = ceremonies.begin(PROOF, where=where, user_id=key)
        return ceremonies.request(challenge, allowed=[(passkey.credential_id, passkey.transports) for passkey in self.of(key)])

    def prove(self, user: UserView, answer: Answer, client: Client) -> tuple[str, ...]:
        """Prove one of the account's passkeys: a challenge's answer, or presence. `InvalidCredentials`, also for anybody else's passkey."""
        read = read_assertion(_given(answer))
        self.runtime.get(Ceremonies).end(PROOF, read.challenge, where=answer.occasion, user_id=user.key)
        found = self._find(read.credential_id)
        if found is None or found[0].user_id != user.key or read.user_handle not in (None, found[1]):
            raise InvalidCredentials
        return self._use(found[0], read, client, must_verify=not self._settings.security_keys)

    def begin_sign_in(self, client: Client, *, where: str) -> Options:
        """Options to sign in with, the same for everybody: the person chooses the account (WebAuthn level 3, section 14.6.2)."""
        self.runtime.enter(Entry("passkey_options", client))
        ceremonies = self.runtime.get(Ceremonies)
        return ceremonies.request(ceremonies.begin(SIGN_IN, where=where), alone=True)

    def sign_in(self, given: Mapping[str, Any], client: Client, *, where: str) -> SignIn:
        """Open a session by a passkey alone. `InvalidCredentials`, alike for an unknown passkey and a wrong signature, or what a gate raises."""
        runtime, pipeline = self.runtime, self.runtime.get(LoginPipeline)
        entry = Entry("passkey_login", client)
        runtime.enter(entry)
        read = read_assertion(given)
        runtime.get(Ceremonies).end(SIGN_IN, read.challenge, where=where)
        found = self._find(read.credential_id)
        if found is None:
            pipeline.refuse(InvalidCredentials(), client)
        passkey, handle = found
        try:
            # The account is locked before its passkey is, as whoever removes that does it.
            if not passkey.user_verified or read.user_handle != handle or runtime.users.locked(passkey.user_id) is None:
                raise InvalidCredentials
            proved = self._use(passkey, read, client, must_verify=True)
        except InvalidCredentials as error:
            pipeline.refuse(error, client, user_id=passkey.user_id)
        runtime.passed(entry)
        return pipeline.finish(LoginAttempt(passkey.user_id, proved, client))

    def _use(self, passkey: Passkey, read: Given, client: Client, *, must_verify: bool) -> tuple[str, ...]:
        """Verify an assertion and note the use; by which methods (`amr`). Of two uses at once that count alike one wins."""
        runtime, now = self.runtime, self.runtime.clock.now()
        try:
            used = verified_assertion(read, runtime.get(Ceremonies).party, public_key=passkey.public_key, must_verify=must_verify)
            if used.backup_eligible != passkey.backup_eligible:
                raise Refused("whether it may be copied has changed")
        except Refused as error:
            logger.warning("A passkey of the account %s is refused: %s.", passkey.user_id, error)
            raise InvalidCredentials from None
        if (used.sign_count or passkey.sign_count) and used.sign_count <= passkey.sign_count:
            logger.warning("A passkey of the account %s counts backwards: there may be a copy of it.", passkey.user_id)
            runtime.events.emit(PasskeyCloneSuspected(user_id=passkey.user_id, client=client, at=now, passkey_id=passkey.id))
            raise InvalidCredentials
        c = self._table.c
        same = sa.update(self._table).where(c.id == passkey.id, c.sign_count == passkey.sign_count)
        values = {"sign_count": used.sign_count, "backed_up": used.backed_up, "last_used_at": now}
        if not self._execute(same.values(values)).rowcount:
            raise InvalidCredentials
        # Both factors only where it was made so: else a thief of the key might have given it a PIN.
        return (*AMR, MULTI_FACTOR) if used.user_verified and passkey.user_verified else AMR

    # What an account has

    def of(self, user: Any) -> list[Passkey]:
        """The passkeys of an account, oldest first."""
        return self._of(self.runtime.users.key_of(user))

    def rename(self, user: Any, passkey_id: UUID, name: str) -> Passkey:
        """Call a passkey something else; `NotFound`."""
        key, c = self.runtime.users.key_of(user), self._table.c
        self._execute(sa.update(self._table).where(c.id == passkey_id, c.user_id == key).values(name=name))
        found = next((passkey for passkey in self._of(key) if passkey.id == passkey_id), None)
        if found is None:
            raise NotFound
        return found

    def remove(self, user: Any, passkey_id: UUID, client: Client, *, session_id: UUID | None = None) -> None:
        """Take a passkey from an account, by its owner; all sessions but `session_id` end. With the last factor, recovery codes go too.

        `NotFound`, `LastWayIn`; `FactorNeeded` for the last factor of an account that must have one.
        """
        runtime, key, mfa = self.runtime, self.runtime.users.key_of(user), self.runtime.get(MfaService)
        mfa.begin_change(key)  # so that of two that go at once one sees that the other has gone
        there = self._of(key, newest=True)
        gone = next((passkey for passkey in there if passkey.id == passkey_id), None)
        if gone is None:
            raise NotFound
        others = [passkey for passkey in there if passkey is not gone]
        stays = any(passkey.user_verified for passkey in others)
        if gone.user_verified and not stays and not runtime.ways_in(key, beside=FEATURE):
            raise LastWayIn
        if others:
            self._execute(sa.delete(self._table).where(self._table.c.id == gone.id))
            mfa.one_less(key, NAME, client, session_id=session_id)
        else:
            mfa.remove(key, NAME, client, session_id=session_id)
        now = runtime.clock.now()
        runtime.events.emit(PasskeyRemoved(user_id=key, actor_id=key, client=client, at=now, passkey_id=gone.id))

    def is_way_in(self, key: Key) -> bool:
        """Whether the account's owner can sign in by a passkey alone."""
        return any(passkey.user_verified for passkey in self._of(key, newest=True))

    def has_any(self, key: Key | None) -> bool:
        """Whether the account has a passkey; of nobody (None) at the same cost."""
        there = sa.select(sa.func.count()).select_from(self._table).where(self._table.c.user_id == key)
        return bool(self._execute(there).scalar())

    def forget(self, key: Key) -> bool:
        """Remove an account's passkeys, without a word; whether there were any."""
        return bool(self._execute(sa.delete(self._table).where(self._table.c.user_id == key)).rowcount)

    def forget_since(self, key: Key, since: datetime) -> bool:
        """The same of those that were made since a moment."""
        c = self._table.c
        return bool(self._execute(sa.delete(self._table).where(c.user_id == key, c.created_at >= since)).rowcount)

    def erase(self, key: Key) -> None:
        """Forget an account that is being deleted."""
        self.forget(key)
        self._execute(sa.delete(self._handles).where(self._handles.c.user_id == key))

    def export(self, key: Key) -> dict[str, Any] | None:  # JSON values
        """What is stored of an account's passkeys, for its owner, and by which name authenticators know him; None for nothing."""
        names = ("name", "authenticator", "transports", "backed_up", "sign_count", "created_at", "last_used_at")
        handle: bytes | None = self._execute(sa.select(self._handles.c.handle).where(self._handles.c.user_id == key)).scalar()
        if handle is None:
            return None
        found = [
            {"credential_id": encoded(passkey.credential_id)} | {name: getattr(passkey, name) for name in names}
            for passkey in self._of(key)
        ]
        exported: dict[str, Any] = to_jsonable_python({"user_handle": encoded(handle), "passkeys": found})
        return exported

    # How it is done

    def _of(self, key: Key, *, newest: bool = False) -> list[Passkey]:
        statement = sa.select(self._table).where(self._table.c.user_id == key).order_by(self._table.c.id)
        if newest:  # also where the transaction reads an older snapshot (MariaDB)
            statement = statement.with_for_update()
        return [Passkey(**row) for row in self._execute(statement).mappings()]

    def _find(self, credential_id: bytes) -> tuple[Passkey, bytes] | None:
        """A passkey by its credential id, with its account's user handle."""
        row = self.runtime.users.execute(self._finding, {"credential": credential_id}).mappings().first()
        if row is None:
            return None
        values = dict(row)
        handle: bytes = values.pop("handle")
        return Passkey(**values), handle

    def _handle(self, key: Key) -> bytes:
        """The account's user handle, made at its first passkey."""
        whose = sa.select(self._handles.c.handle).where(self._handles.c.user_id == key)
        found: bytes | None = self._execute(whose).scalar()
        if found is None:
            users, values = self.runtime.users, {"user_id": key, "handle": secrets.token_bytes(HANDLE)}
            self._execute(on_conflict(insert_into(users.dialect, self._handles), self._handles, []).values(values))
            found = self._execute(whose.with_for_update()).scalar_one()  # perhaps somebody else's, who was faster
        return found

    def _check_number(self, there: list[Passkey]) -> None:
        if len(there) >= self._settings.max_per_user:
            raise PasskeyLimit

    def _execute(self, statement: sa.Executable) -> sa.CursorResult[Any]:
        return self.runtime.users.execute(statement)


def _given(answer: Answer) -> Mapping[str, Any]:
    if answer.credential is None:
        raise ValidationError.one("credential", "missing", "Field required")
    return answer.credential
