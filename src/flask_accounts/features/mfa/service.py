"""Second factors: who is asked for one, who must have one, and what changes with them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic_core import to_jsonable_python

from ...core.errors import EmailNotVerified, FactorMissing, FactorNeeded, MfaEnrolmentRequired, MfaRequired, NotFound, TokenRevoked
from ...core.events import (
    AccountClaimed,
    AccountUnlocked,
    Client,
    EmailChangeUndone,
    Event,
    FactorChanged,
    Key,
    PasswordChanged,
    SessionEnded,
)
from ...core.factors import Factor
from ...core.feature import Service
from ...core.gates import MULTI_FACTOR, Fact, LoginAttempt, multi_factor
from ...core.identity import Principal
from ...core.runtime import Runtime
from ...core.sessions import SessionState
from ...core.upserts import insert_into, on_conflict
from ...core.users import ACCOUNT, UserView
from .attempts import FactorAttempts
from .devices import PROVED, RememberedDevices
from .models import MfaMixin
from .recovery import NAME as RECOVERY
from .recovery import RecoveryCodes
from .settings import MfaSettings

Requirement = Callable[[UserView], bool]
"""A host's own rule: whether an account must have a second factor."""
ENROL_BY = "mfa_enrol_by"


class MfaService(Service):
    """Second factors of accounts. `user` is an object of the user class, a view or a key. Nothing here commits."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._settings = runtime.setting(MfaSettings)
        self._table: sa.Table = runtime.model(MfaMixin).__table__
        self.rule: Requirement | None = None
        """The host's own, beside the setting."""

    # The sign-in

    def enrol_by(self) -> Fact:
        """Until when the account may do without."""
        c = self._table.c
        return Fact(sa.select(c.enrol_by).where(c.user_id == sa.bindparam(ACCOUNT)).scalar_subquery())

    def ask(self, attempt: LoginAttempt, user: UserView) -> LoginAttempt | None:
        """The early gate: an account that has a second factor is asked for it (`MfaRequired`), unless its device is remembered."""
        held = self.runtime.factors_held(attempt.facts)
        if attempt.multi_factor or not held:
            return None
        proved: datetime | None = attempt.facts.get(PROVED)
        if proved is not None and proved > self.runtime.clock.now() - self._settings.remember_for:
            since = proved if attempt.authenticated_at is None else min(proved, attempt.authenticated_at)
            return replace(attempt, authenticated_at=since, excused=True)
        raise MfaRequired([factor.name for factor in held])

    def insist(self, attempt: LoginAttempt, user: UserView) -> LoginAttempt | None:
        """The late gate: an account that must have a second factor and has none gets one first (`MfaEnrolmentRequired`)."""
        if not self._lacks(attempt, user):
            return None
        by = self._deadline(attempt.facts[ENROL_BY])
        if self.runtime.clock.now() < by:
            return replace(attempt, session_until=by)
        raise MfaEnrolmentRequired([factor.enrolment for factor in self.runtime.factors.values() if factor.enrolment])

    def hold(self, session: SessionState, user: UserView) -> datetime | None:
        """The gate of a refresh: a session of one factor, from before the account had to have a second one, ends with the time of grace, which
        begins now if no sign-in has begun it (`TokenRevoked` where it is over). Costs who is not concerned nothing, the others a statement.
        """
        if MULTI_FACTOR in session.amr or not self.required(user):
            return None
        facts = dict(self.runtime.users.execute(self._held, {ACCOUNT: user.key}).mappings().one())
        if self.runtime.factors_held(facts):
            return None  # a sign-in would not enrol it either: it has one, and this device is remembered
        by = self._deadline(facts[ENROL_BY])
        if self.runtime.clock.now() >= by:
            raise TokenRevoked("A second factor is needed by now: sign in again, to set one up.")
        if facts[ENROL_BY] is None:
            self._begin_grace(user.key, by)
        return by

    @functools.cached_property
    def _held(self) -> sa.Select[Any]:
        """The factors that an account has, and until when it may do without."""
        factors = [factor.since.column.label(factor.fact) for factor in self.runtime.factors.values()]
        return sa.select(*factors, self.enrol_by().column.label(ENROL_BY))

    def complete(self, attempt: LoginAttempt, user: UserView, session: SessionState) -> None:
        """Note a remembered device that was used, and the beginning of the time of grace."""
        if attempt.excused:
            self.runtime.get(RememberedDevices).used(attempt)
        if attempt.session_until is not None and attempt.facts[ENROL_BY] is None and self._lacks(attempt, user):
            self._begin_grace(user.key, self._deadline(None))

    def _begin_grace(self, key: Key, by: datetime) -> None:
        users, values = self.runtime.users, {"user_id": key, "failures": 0, "free_at": 0, "told_at": 0, "enrol_by": by}
        users.execute(on_conflict(insert_into(users.dialect, self._table), self._table, [("enrol_by", by)]).values(values))

    def _lacks(self, attempt: LoginAttempt, user: UserView) -> bool:
        return not attempt.multi_factor and self.required(user) and not self.runtime.factors_held(attempt.facts)

    def _deadline(self, noted: datetime | None) -> datetime:
        latest = self.runtime.clock.now() + self._settings.grace
        return latest if noted is None else min(noted, latest)

    def required(self, user: UserView) -> bool:
        """Whether the account must have a second factor."""
        wanted = self._settings.required
        by_setting = wanted == "all" if isinstance(wanted, str) else bool(set(wanted) & set(user.roles))
        return by_setting or (self.rule is not None and self.rule(user))

    # What an account has

    def factors(self, user: Any) -> dict[str, Any]:
        """The account's factors by name, recovery codes among them, each with the time since when it has it; nothing without a real one."""
        since = self.runtime.factors_since(self.runtime.users.key_of(user))
        return {factor.name: since[factor.fact] for factor in self.runtime.factors_held(since)}

    def deadline(self, user: UserView) -> datetime | None:
        """Until when an account that must have a second factor may do without; None if nothing was noted."""
        c = self._table.c
        noted: datetime | None = self.runtime.users.execute(sa.select(c.enrol_by).where(c.user_id == user.key)).scalar()
        return None if noted is None else self._deadline(noted)

    def may_enrol(self, user: UserView) -> None:
        """Raise `EmailNotVerified` if nobody has proved the account's address."""
        if self._settings.verified_email and not user.email_verified:
            raise EmailNotVerified

    # Changes

    def begin_change(self, key: Key) -> UserView:
        """The account, locked before anything of it changes, in the order that everybody locks in; `NotFound`."""
        locked = self.runtime.users.locked(key)
        if locked is None:
            raise NotFound
        return locked[0]

    def added(
        self, user: UserView, name: str, client: Client | None, *, principal: Principal | None, amr: tuple[str, ...]
    ) -> list[str]:
        """What comes with a factor that a feature has just stored for an account, after `begin_change`.

        Sessions that have not shown it end (ASVS 7.4.3), but for the owner's own, which has: `amr` is by which methods. Returns recovery
        codes to be shown, if the account had none.
        """
        runtime, now = self.runtime, self.runtime.clock.now()
        self._end_sessions(user.key, actor_id=user.key, client=client, keep=principal.session_id if principal else None)
        if principal is not None and principal.session_id is not None:
            runtime.sessions.confirm(principal.session_id, now, amr=multi_factor(principal.amr, amr))
        self._tell(user.key, runtime.factors[name], "added", actor_id=user.key, client=client)
        codes = runtime.get(RecoveryCodes)
        return [] if codes.left(user.key) else codes.make(user.key)

    def remove(self, key: Key, name: str, client: Client, *, session_id: UUID | None = None) -> None:
        """Take a factor from an account, by its owner. With the last, recovery codes and remembered devices go too.

        `NotFound`; `FactorNeeded` for the last one of an account that must have one.
        """
        runtime, user = self.runtime, self.begin_change(key)
        held = runtime.factors_held(runtime.factors_since(key))
        factor = next((factor for factor in held if factor.name == name), None)
        if factor is None:
            raise NotFound
        last = not any(other for other in held if other.name != name and not other.backup)
        if last and self.required(user):
            raise FactorNeeded
        gone = [other for other in held if other.remove(key)] if last else [factor] if factor.remove(key) else []
        if factor not in gone:
            raise NotFound  # somebody was faster
        self._end_sessions(key, actor_id=key, client=client, keep=session_id)
        self._tell(key, factor, "removed", actor_id=key, client=client)

    def another(self, key: Key, name: str, client: Client) -> None:
        """Tell that an account has one more of a factor that it has already. Sessions stay: they have shown that it has one."""
        self._tell(key, self.runtime.factors[name], "added", actor_id=key, client=client)

    def one_less(self, key: Key, name: str, client: Client, *, session_id: UUID | None = None) -> None:
        """Tell that an account has one less of a factor that it still has. All sessions but `session_id` end: what is gone may have opened them."""
        self._end_sessions(key, actor_id=key, client=client, keep=session_id)
        self._tell(key, self.runtime.factors[name], "removed", actor_id=key, client=client)

    def reset(self, user: Any, *, actor_id: Key | None = None, client: Client | None = None) -> bool:
        """Take every factor, recovery code and remembered device from an account and end its sessions: by an administrator, for an
        owner who has lost them. Whether there was any. The time of grace begins anew.
        """
        key = self.runtime.users.key_of(user)
        self.begin_change(key)
        gone = self.strip(key)
        for factor in gone:
            if not factor.backup:
                self._tell(key, factor, "removed", actor_id=actor_id, client=client)
        if gone:
            self._end_sessions(key, actor_id=actor_id, client=client, keep=None)
        return bool(gone)

    def strip(self, key: Key) -> list[Factor]:
        """Take everything from an account without a word; returns the factors that it had."""
        gone = [factor for factor in self.runtime.factors.values() if factor.remove(key)]
        self.runtime.get(RememberedDevices).forget_all(key)
        self.forget(key)
        return gone

    def new_codes(self, key: Key, client: Client) -> list[str]:
        """New recovery codes in place of the old ones, to be shown once; `FactorMissing` where there is nothing to stand in for."""
        user = self.begin_change(key)
        if not self.factors(user):
            raise FactorMissing
        codes = self.runtime.get(RecoveryCodes).make(key)
        self._tell(key, self.runtime.factors[RECOVERY], "added", actor_id=key, client=client)
        return codes

    def hear(self, event: Event) -> None:
        """Devices are forgotten with the password, or a factor, that they were remembered by; what a stranger has set up is void.

        Who has proved to read the account's mail, or is let off by an administrator, need not wait for wrong answers.
        """
        key = event.user_id
        if key is None:
            return
        if isinstance(event, AccountClaimed):
            self.strip(key)
        elif isinstance(event, EmailChangeUndone):
            self._take_back(key, event)
        if isinstance(event, PasswordChanged | EmailChangeUndone) or (
            isinstance(event, FactorChanged) and event.factor != self.runtime.factors[RECOVERY].label
        ):
            self.runtime.get(RememberedDevices).forget_all(key, actor_id=event.actor_id, client=event.client)
        if isinstance(event, AccountUnlocked) or (isinstance(event, PasswordChanged) and event.way == "reset"):
            self.runtime.get(FactorAttempts).clear(key)

    def _take_back(self, key: Key, event: EmailChangeUndone) -> None:
        """Take from an account what was added since the change of its address was asked for, that is now undone. What it had before stays: who
        reads its mail alone must not get by it.
        """
        held = self.factors(key)
        added = {name for name, since in held.items() if since >= event.since}
        kept = {name for name in held if name not in added}
        if all(self.runtime.factors[name].backup for name in kept):
            added |= kept  # backups of nothing
        for name in added:
            factor = self.runtime.factors[name]
            if factor.remove(key):
                self._tell(key, factor, "removed", actor_id=event.actor_id, client=event.client)

    def forget(self, key: Key) -> None:
        """Delete what is kept of an account beside its factors."""
        self.runtime.users.execute(sa.delete(self._table).where(self._table.c.user_id == key))

    def export(self, key: Key) -> dict[str, Any] | None:  # JSON values
        """What is kept of an account's second factors, without secrets."""
        row = self.runtime.users.execute(sa.select(self._table).where(self._table.c.user_id == key)).mappings().first()
        devices, codes = self.runtime.get(RememberedDevices).export(key), self.runtime.get(RecoveryCodes)
        found: dict[str, Any] = {}
        if row is not None:
            found |= {"enrol_by": row["enrol_by"], "wrong_answers": row["failures"]}
        if left := codes.left(key):
            found["recovery_codes"] = {"left": left, "made_at": codes.made_at(key)}
        if devices:
            found["remembered_devices"] = devices
        exported: dict[str, Any] = to_jsonable_python(found)
        return exported or None

    def _end_sessions(self, key: Key, *, actor_id: Key | None, client: Client | None, keep: UUID | None) -> None:
        runtime, now = self.runtime, self.runtime.clock.now()
        told: dict[str, Any] = {"user_id": key, "actor_id": actor_id, "client": client, "at": now, "reason": "factor_changed"}
        for session_id in runtime.sessions.end_all(key, reason="factor_changed", now=now, except_for=keep):
            runtime.events.emit(SessionEnded(**told, session_id=session_id))

    def _tell(self, key: Key, factor: Factor, change: str, *, actor_id: Key | None, client: Client | None) -> None:
        now = self.runtime.clock.now()
        self.runtime.events.emit(
            FactorChanged(user_id=key, actor_id=actor_id, client=client, at=now, factor=factor.label, change=change)
        )
