"""Counting wrong passwords.

Every try is charged before the password is looked at, in the short transaction beside the request's that all
counts share. What it was charged is given back once the password has proved right: with the sign-in itself where only
the pair's row is concerned, else in a transaction after it, so that no row that strangers share is held meanwhile. All
transactions here lock rows in one order: the network's, the account's, the pair's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NoReturn

import sqlalchemy as sa
from pydantic_core import to_jsonable_python

from ...core.aside import Overtaken
from ...core.errors import OneTimeTokenInvalid, TooManyRequests
from ...core.events import AccountUnlocked, Client, Event, Key, PasswordChanged, RateLimited, SignedIn, UnlockRequested
from ...core.feature import Service
from ...core.gates import Counted, Entry
from ...core.policies import email_form
from ...core.runtime import Runtime
from ...core.upserts import insert_or_leave
from .models import ALL, LockoutMixin
from .settings import LockoutSettings

_CHARGED = "flask_accounts.lockout.charge"
"""Where a session keeps what the try that is going on was charged."""
PURPOSE = "unlock"

Place = tuple[str, str]
"""The key of a row: subject and network."""


@dataclass(frozen=True)
class _Refusal:
    scope: str
    wait: float
    tell: bool
    user_id: Key | None


@dataclass
class _Charge:
    """What one try was charged: the pair's row, and for strangers the two others."""

    entry: Entry
    pair: Place
    buckets: Mapping[Place, int]
    """Places and their intervals, in milliseconds."""
    right: bool = False
    signed_in: bool = False
    settled: bool = False


class LockoutService(Service):
    """Says how long to wait, learns what was right, and unlocks."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._settings = runtime.setting(LockoutSettings)
        self.enabled: bool = self._settings.enabled
        """Off lets everything pass uncounted. Changed by test tools only."""
        self._table: sa.Table = runtime.model(LockoutMixin).__table__
        # Statements of every try are built once: building one costs more than executing it.
        c = self._table.c
        self._here = sa.and_(c.subject == sa.bindparam("at_subject"), c.network == sa.bindparam("at_network"))
        at_three = (
            sa.and_(c.subject == sa.bindparam(f"at_subject_{number}"), c.network == sa.bindparam(f"at_network_{number}"))
            for number in range(3)
        )
        self._three = sa.select(self._table).where(sa.or_(*at_three))
        as_seen = sa.and_(self._here, c.failures == sa.bindparam("seen_failures"), c.free_at == sa.bindparam("seen_free_at"))
        users = runtime.users
        self._keys = [
            sa.select(users.key_column).where(users.c[name] == sa.bindparam("login")) for name in ("username_normalized", "email")
        ]
        self._failing = sa.update(self._table).where(as_seen)
        self._changing = sa.update(self._table).where(self._here)

    def count(self, entry: Entry) -> Callable[[sa.Connection], Counted] | None:
        """How to charge a try. If it is refused, that raises `TooManyRequests` with the time to wait, and nothing was charged."""
        self.runtime.db.session().info.pop(_CHARGED, None)
        if not self.enabled or entry.account is None or entry.action not in self._settings.actions:
            return None

        def work(connection: sa.Connection) -> Counted:
            outcome = self._charge(connection, entry)
            if isinstance(outcome, _Charge):
                return Counted(partial(self._keep, outcome))
            return Counted(partial(self._refuse, entry, outcome), full=True)

        return work

    def passed(self, entry: Entry) -> None:
        """The password was right: give back what it was charged once the transaction has committed."""
        charge = self.runtime.db.session().info.get(_CHARGED)
        if charge is not None and charge.entry is entry:
            charge.right = True
            self.runtime.events.after_commit(lambda: self._settle(charge))

    def hear(self, event: Event) -> None:
        """A sign-in makes its network one of the account's own; a reset does, and makes wrong passwords forgotten."""
        if isinstance(event, SignedIn):
            self._learn(event)
        elif isinstance(event, PasswordChanged) and event.way == "reset":
            self.clear(event.user_id, actor_id=event.actor_id, client=event.client, known=True)

    def _learn(self, event: SignedIn) -> None:
        if event.client is None or not self.enabled:
            return
        pair = (_subject(event.user_id), event.client.network)
        charge = self.runtime.db.session().info.pop(_CHARGED, None)
        if charge is not None and charge.right and charge.pair == pair:
            charge.signed_in = True
            if not charge.buckets:
                # No row but the account's own, whose account this transaction has locked: no need for another one.
                self.runtime.users.execute(self._changing, self._forgiven(charge))
                charge.settled = True
        elif event.client.address:
            self.runtime.events.after_commit(lambda: self._know(pair))

    def clear(self, user: Any, *, actor_id: Key | None = None, client: Client | None = None, known: bool = False) -> None:
        """Forget the wrong passwords tried on an account, from everywhere. `user` is an object of the user class, a view or a key.

        For administrators, and for an owner who has proved to be it in another way; with `known` the network
        of `client` is then one of the owner's own, so that strangers who go on guessing do not stand in the way.
        """
        key = self.runtime.users.key_of(user)
        tried = sa.and_(self._table.c.subject == _subject(key), self._table.c.free_at > 0)
        if self.runtime.users.execute(sa.update(self._table).where(tried).values(failures=0, free_at=0, told_at=0)).rowcount:
            self.runtime.events.emit(AccountUnlocked(user_id=key, actor_id=actor_id, client=client, at=self.runtime.clock.now()))
        if known and client is not None and client.address:
            pair = (_subject(key), client.network)
            self.runtime.events.after_commit(lambda: self._know(pair))

    def ask(self, email: str, client: Client) -> None:
        """Mail a token to the account's stored address, by which its owner makes wrong passwords forgotten.

        Nothing differs to be seen between an account that is held back, one that is not, and none.
        """
        runtime, settings = self.runtime, self._settings
        runtime.enter(Entry("unlock", client, account=email_form(email)))
        found = runtime.users.by_email(email)
        view = found if found is not None and found.is_active and settings.enabled else None
        runtime.mail_token(
            "unlock", PURPOSE, view, email, lifetime=settings.unlock_lifetime, link_path=settings.unlock_link_path, client=client
        )
        key = view.key if view is not None else None
        runtime.events.emit(UnlockRequested(user_id=key, client=client, at=runtime.clock.now()))

    def unlock(self, token: str, client: Client) -> None:
        """Take the token of that mail: wrong passwords are forgotten, and the network of `client`, where the mail is read, is one
        of the account's own. Nobody is signed in. `OneTimeTokenInvalid`.
        """
        runtime = self.runtime
        found = runtime.one_time.consume(PURPOSE, token, runtime.clock.now())
        view = runtime.users.view(found.user_id) if found is not None and found.user_id is not None else None
        if found is None or view is None or not view.is_active or view.email != found.address:
            raise OneTimeTokenInvalid
        self.clear(view, actor_id=view.key, client=client, known=True)

    def export(self, user: Any) -> list[dict[str, Any]]:  # JSON values
        """The networks the account is known to sign in from, and the wrong passwords counted against it."""
        columns, now = self._table.c, self._now()
        statement = sa.select(self._table).where(columns.subject == _subject(self.runtime.users.key_of(user)))
        rows = self.runtime.users.execute(statement.order_by(columns.network)).mappings().all()
        exported: list[dict[str, Any]] = to_jsonable_python(
            [
                {
                    "network": "all unknown ones" if row["network"] == ALL else row["network"], "wrong_passwords": row["failures"],
                    "counts_until": _time(row["free_at"], now), "known_until": _time(row["known_until"], now),
                    "kept_until": _time(row["expires_at"], now),
                }
                for row in rows
            ]
        )  # fmt: skip
        return exported

    def forget(self, key: Key) -> None:
        """Delete what is kept of an account."""
        self.runtime.users.execute(sa.delete(self._table).where(self._table.c.subject == _subject(key)))

    def purge(self) -> int:
        """Delete the rows that say nothing any more; returns how many."""
        return self.runtime.users.execute(sa.delete(self._table).where(self._table.c.expires_at <= self._now())).rowcount

    # Charging

    def _keep(self, charge: _Charge) -> None:
        self.runtime.db.session().info[_CHARGED] = charge

    def _refuse(self, entry: Entry, refusal: _Refusal) -> NoReturn:
        if refusal.tell:
            self.runtime.events.emit(
                RateLimited(
                    user_id=refusal.user_id, client=entry.client, at=self.runtime.clock.now(),
                    action=entry.action, scope=refusal.scope,
                )
            )  # fmt: skip
            self.runtime.commit()
        raise TooManyRequests(refusal.wait)

    def _charge(self, connection: sa.Connection, entry: Entry) -> _Charge | _Refusal:
        key, subject = self._whose(connection, entry)
        network, now, settings = entry.client.network, self._now(), self._settings
        pair, of_account, of_network = (subject, network), (subject, ALL), (ALL, network)
        rows = self._rows(connection, of_network, of_account, pair)
        known = pair in rows and rows[pair]["known_until"] > now
        buckets = {} if known else {
            of_network: (settings.address_burst, _ms(settings.address_interval)),
            of_account: (settings.account_burst, _ms(settings.account_interval)),
        }  # fmt: skip
        waits = {pair: rows[pair]["free_at"] - now if pair in rows else 0}
        for place, (burst, interval) in buckets.items():
            waits[place] = rows[place]["free_at"] - now - (burst - 1) * interval if place in rows else 0
        longest = max(waits, key=lambda place: waits[place])
        if waits[longest] > 0:
            scope = {pair: "pair", of_account: "account", of_network: "address"}[longest]
            tell = self._first_to_tell(connection, longest, rows[longest])
            return _Refusal(f"lockout.{scope}", waits[longest] / 1000, tell, key)
        if missing := [place for place in (*buckets, pair) if place not in rows]:
            insert_or_leave(connection, self._table, [_neutral(place) for place in missing])
        for place, (burst, interval) in buckets.items():
            self._fill(connection, place, burst, interval, now)
        self._fail(connection, pair, rows.get(pair, _neutral(pair)), now)
        return _Charge(entry, pair, {place: interval for place, (_, interval) in buckets.items()})

    def _whose(self, connection: sa.Connection, entry: Entry) -> tuple[Key | None, str]:
        """The account that is tried, and its subject: one for every way to name it, or what was typed where there is none."""
        if entry.user_id is not None:
            return entry.user_id, _subject(entry.user_id)
        login = entry.account or ""
        key: Key | None = connection.execute(self._keys["@" in login], {"login": login}).scalar()
        return key, _subject(key) if key is not None else _digest(f"login:{login}")

    def _rows(self, connection: sa.Connection, *three: Place) -> dict[Place, Mapping[str, Any]]:
        values = {name: value for number, place in enumerate(three) for name, value in _at(place, f"_{number}").items()}
        found = connection.execute(self._three, values)
        return {(row["subject"], row["network"]): dict(row) for row in found.mappings()}

    def _fill(self, connection: sa.Connection, place: Place, burst: int, interval: int, now: int) -> None:
        """Put one try into a bucket that holds `burst` and loses one each `interval`; `Overtaken` if it is full."""
        free_at = self._table.c.free_at
        updated = connection.execute(
            sa.update(self._table)
            .where(self._here, free_at <= now + (burst - 1) * interval)
            .values(free_at=sa.case((free_at > now, free_at), else_=now) + interval, expires_at=now + burst * interval),
            _at(place),
        )
        if not updated.rowcount:
            raise Overtaken

    def _fail(self, connection: sa.Connection, pair: Place, seen: Mapping[str, Any], now: int) -> None:
        """One more wrong password, if the row is still as it was seen; `Overtaken` if it is not."""
        settings = self._settings
        old = seen["free_at"] + _ms(settings.forget_after) <= now
        failures = 1 if old else seen["failures"] + 1
        free_at = now + _ms(settings.delay(failures))
        expires_at = max(seen["known_until"], free_at + _ms(settings.forget_after))
        updated = connection.execute(
            self._failing,
            {
                **_at(pair), "seen_failures": seen["failures"], "seen_free_at": seen["free_at"],
                "failures": failures, "free_at": free_at, "expires_at": expires_at,
            },
        )  # fmt: skip
        if not updated.rowcount:
            raise Overtaken

    def _first_to_tell(self, connection: sa.Connection, place: Place, row: Mapping[str, Any]) -> bool:
        if row["told_at"] == row["free_at"]:
            return False
        table = self._table
        statement = sa.update(table).where(self._here, table.c.free_at == row["free_at"], table.c.told_at != row["free_at"])
        return bool(connection.execute(statement.values(told_at=row["free_at"]), _at(place)).rowcount)

    # Giving back

    def _forgiven(self, charge: _Charge) -> dict[str, Any]:
        """What a right password makes of the pair's row, and which row that is."""
        changes: dict[str, Any] = {"failures": 0, "free_at": 0, "told_at": 0}
        if charge.signed_in:
            changes["known_until"] = changes["expires_at"] = self._now() + _ms(self._settings.known_for)
        return {**changes, **_at(charge.pair)}

    def _settle(self, charge: _Charge) -> None:
        if charge.settled:
            return
        table = self._table

        def work(connection: sa.Connection) -> None:
            # Only this try's own share: a success must not wipe out what else was tried from the address.
            for place, interval in charge.buckets.items():
                connection.execute(self._changing.values(free_at=table.c.free_at - interval), _at(place))
            connection.execute(self._changing, self._forgiven(charge))

        self.runtime.aside.run(work)

    def _know(self, pair: Place) -> None:
        until, table = self._now() + _ms(self._settings.known_for), self._table

        def work(connection: sa.Connection) -> None:
            row = connection.execute(sa.select(table).where(self._here), _at(pair)).mappings().first()
            if row is None:
                insert_or_leave(connection, table, [_neutral(pair)])
            elif row["known_until"] > until - _ms(timedelta(days=1)):
                return
            later = sa.case((table.c.expires_at > until, table.c.expires_at), else_=until)
            connection.execute(self._changing.values(known_until=until, expires_at=later), _at(pair))

        self.runtime.aside.run(work)

    def _now(self) -> int:
        return int(self.runtime.clock.now().timestamp() * 1000)


def _at(place: Place, suffix: str = "") -> dict[str, Any]:
    return {f"at_subject{suffix}": place[0], f"at_network{suffix}": place[1]}


def _neutral(place: Place) -> dict[str, Any]:
    """A row that says nothing yet."""
    numbers = dict.fromkeys(("failures", "free_at", "told_at", "known_until", "expires_at"), 0)
    return {"subject": place[0], "network": place[1], **numbers}


def _subject(key: Any) -> str:
    return _digest(f"id:{key}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _time(milliseconds: int, now: int) -> datetime | None:
    """A time that is still to come; None for one that says nothing."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds > now else None


def _ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
