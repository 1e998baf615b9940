"""The only place that queries the user class.

Reads are Core selects on the user's table that come back as `UserView`s: plain values with the
account's grants, no ORM object. The ORM object loads only where somebody asks for it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, cast
from uuid import UUID

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from pydantic_core import to_jsonable_python
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.exc import IntegrityError

from .autocommit import Reader
from .direct import DirectRead, Row
from .errors import EmailTaken, NotFound, UsernameTaken
from .events import Key
from .listing import FEW, Position, UserListing, UserQuery
from .models import UserMixin, primary_key
from .policies import email_form, folded

NEVER_SHOWN = frozenset({"password_hash"})
ACCOUNT = "account"
"""The name of the bind parameter that is the key of the account asked for."""
UNCHANGING = (str, int, float, bool, bytes, datetime, UUID, type(None))
"""Types of which one value may serve many."""
SECRET_WORDS = frozenset({"password", "passphrase", "token", "secret", "hash", "otp"})
"""Words in the name of a host's column by which it is left out of an export: nobody has to think of it."""


@dataclass(frozen=True)
class Grants:
    """What an account may do: the names of its roles and the permissions they add up to."""

    roles: tuple[str, ...] = ()
    permissions: frozenset[str] = frozenset()


class GrantSource(Protocol):
    """Where grants come from: joined into every read of a user, so that they cost no statement of their own."""

    def columns(self) -> Sequence[sa.ColumnElement[Any]]:
        """What to select, labelled uniquely."""
        ...

    def join(self, source: sa.FromClause, user_id: sa.ColumnElement[Any]) -> sa.FromClause:
        """`source` with the tables that hold grants outer-joined on `user_id`."""
        ...

    def read(self, rows: Sequence[Row]) -> Grants:
        """The grants of one account out of all its rows."""
        ...


class UserView:
    """An account's values as read in one statement. Attributes: the user class's own, and `roles`, `permissions`.

    What is no column (a relationship, say) is taken from the ORM object, which then loads.
    """

    def __init__(self, store: UserStore, values: dict[str, Any], grants: Grants) -> None:
        self._store = store
        self._values = values
        self._grants = grants

    @property
    def key(self) -> Key:
        """The primary key's value."""
        key: Key = self._values[self._store.key_name]
        return key

    @property
    def roles(self) -> list[str]:
        """Names of the account's roles, sorted."""
        return list(self._grants.roles)

    @property
    def permissions(self) -> frozenset[str]:
        """What the roles add up to."""
        return self._grants.permissions

    def switched_on(self) -> UserView:
        """The same account as it will be once it is active again."""
        return UserView(self._store, self._values | {"is_active": True}, self._grants)

    def apart(self) -> UserView:
        """The same values for somebody else; what a caller does to a list among them stays his."""
        values = {name: value if isinstance(value, UNCHANGING) else copy.deepcopy(value) for name, value in self._values.items()}
        return UserView(self._store, values, self._grants)

    def __getattr__(self, name: str) -> Any:  # whatever the host's user class has
        if name in self._values:
            return self._values[name]
        if name == "id":  # a host may have called its key something else
            return self.key
        if name.startswith("_") or name in NEVER_SHOWN:
            raise AttributeError(name)
        found = getattr(self._store.model, name)
        if isinstance(found, property) and found.fget:
            return found.fget(self)
        return getattr(self._store.get(self.key), name)


@dataclass(frozen=True)
class Credentials:
    """What sign-in with a password needs of an account."""

    user_id: Key
    email: str
    password_hash: str | None


@dataclass(frozen=True)
class UserPage:
    """A page of accounts, and how many there are in all: at least `total`, if the count stopped there."""

    users: list[UserView]
    total: int
    capped: bool


@dataclass(frozen=True)
class Taken:
    """Which of some addresses, folded usernames and keys accounts have."""

    emails: frozenset[str]
    usernames: frozenset[str]
    keys: frozenset[Key]


class UserStore:
    """Queries and writes of the user class `model` on `db`."""

    def __init__(self, db: SQLAlchemy, model: type[Any], grants: GrantSource | None = None) -> None:
        self.db = db
        self.model = model
        self.table: sa.Table = sa.inspect(model).local_table
        self.key_column: sa.Column[Any] = primary_key(self.table)
        self.key_type: type = self.key_column.type.python_type
        mapper = sa.inspect(model)
        # By attribute name: a host may have called the column itself something else.
        self.c: dict[str, sa.Column[Any]] = {
            attribute.key: attribute.columns[0] for attribute in mapper.column_attrs if attribute.columns[0].table is self.table
        }
        self._columns = {name: column for name, column in self.c.items() if name not in NEVER_SHOWN}
        self.key_name: str = mapper.get_property_by_column(self.key_column).key
        self._grants = grants
        self._listing = UserListing(self.table, self.c, self.key_column)
        self.bind: dict[str, Any] = {"mapper": mapper}
        """Bind arguments for `Session` calls: the bind that the user class lives on."""
        self._reader = Reader(db, self.bind)
        # Statements of every sign-in are built once: building one costs more than executing it.
        joined = sa.select(*self.columns()).select_from(self.joined(self.table, self.key_column))
        self._by_key = joined.where(self.key_column == sa.bindparam(ACCOUNT))
        self._by_email = joined.where(self.c["email"] == sa.bindparam("login"))
        self._locking = self.locking()
        stored = sa.select(self.key_column, self.c["email"], self.c["password_hash"])
        self._credentials = {
            column: stored.where(column == sa.bindparam("login")) for column in (self.c["email"], self.c["username_normalized"])
        }

    # Keys

    def parse_key(self, text: str) -> Key | None:
        """The key that `text` (from a URL or a `sub` claim) names, or None if it cannot be one."""
        if self.key_type is int:
            canonical = text.isascii() and text.isdigit() and len(text) < 19 and str(int(text)) == text
            return int(text) if canonical else None
        if self.key_type is UUID:
            try:
                key = UUID(text)
            except ValueError:
                return None
            return key if str(key) == text.lower() else None
        return text if 0 < len(text) <= 255 else None

    # Reads

    def columns(self, source: sa.FromClause | None = None) -> list[sa.ColumnElement[Any]]:
        """The account's columns and its grants', labelled, for a select; of `source` if it stands for the table."""
        own = [_of(source, column).label(f"u_{name}") for name, column in self._columns.items()]
        return [*own, *(self._grants.columns() if self._grants else ())]

    def joined(self, source: sa.FromClause, user_id: sa.ColumnElement[Any]) -> sa.FromClause:
        """`source` with what holds the grants."""
        return self._grants.join(source, user_id) if self._grants else source

    def read(self, rows: Sequence[Row]) -> UserView:
        """The view of one account out of all its rows (one per role)."""
        values = {name: rows[0][f"u_{name}"] for name in self._columns}
        return UserView(self, values, self._grants.read(rows) if self._grants else Grants())

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[*tuple[Any, ...]]:  # as Session.execute
        """Run a statement on the bind that the user class lives on."""
        return cast("sa.CursorResult[*tuple[Any, ...]]", self.db.session.execute(statement, parameters, bind_arguments=self.bind))

    def fetch_all(self, read: DirectRead, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """The rows of a read that needs no transaction of its own, on the bind that the user class lives on."""
        return self._reader.fetch_all(read, parameters)

    def lock_sqlite(self) -> None:
        """Take SQLite's one lock for writing, by a statement that changes nothing, and so that waiting for it is of use.

        Who has read first in the same transaction cannot wait: SQLite refuses at once to write after what others wrote meanwhile.
        """
        self.execute(sa.update(self.table).where(sa.false()).values({self.key_column: self.key_column}))

    @property
    def dialect(self) -> sa.Dialect:
        """The dialect of the database that the user class lives on."""
        return self.db.session.get_bind(**self.bind).dialect

    def named(self, text: str) -> UserView:
        """The account whose key `text`, from a URL, is; `NotFound`."""
        key = self.parse_key(text)
        user = self.view(key) if key is not None else None
        if user is None:
            raise NotFound
        return user

    def view(self, key: Key) -> UserView | None:
        """One account, or None."""
        return self._one(self._by_key, {ACCOUNT: key})

    def by_email(self, email: str) -> UserView | None:
        """The account of an address, compared in its canonical form, or None."""
        return self._one(self._by_email, {"login": email_form(email)})

    def _one(self, statement: sa.Select[Any], parameters: Mapping[str, Any]) -> UserView | None:
        rows = self.execute(statement, parameters).mappings().all()
        return self.read(rows) if rows else None

    def locking(self, *beside: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """What `locked` reads by, to be built once where more is asked for `beside` the account."""
        # The lock is in a query of its own: MariaDB would lock the rows of the roles too, in another order than who changes roles.
        asked_for = self.key_column == sa.bindparam(ACCOUNT)
        source = sa.select(self.table).where(asked_for).with_for_update(key_share=True).subquery("account")
        stored = _of(source, self.c["password_hash"]).label("stored_hash")
        return sa.select(*self.columns(source), stored, *beside).select_from(self.joined(source, _of(source, self.key_column)))

    def locked(
        self, key: Key, statement: sa.Select[Any] | None = None, parameters: Mapping[str, Any] | None = None
    ) -> tuple[UserView, sa.RowMapping] | None:
        """One account as it is now, and the raw row with its `stored_hash` and what `statement` asks for beside it.

        The account's row cannot change before the transaction ends.
        """
        rows = (
            self.execute(self._locking if statement is None else statement, {ACCOUNT: key, **(parameters or {})}).mappings().all()
        )
        return (self.read(rows), rows[0]) if rows else None

    def get(self, key: Key) -> UserMixin | None:
        """The ORM object, from the identity map if it is there."""
        user: UserMixin | None = self.db.session.get(self.model, key)
        return user

    def key_of(self, user: Any) -> Key:  # an ORM object of the host's class, a view or a key
        """The key of a user object, a view, or a key itself."""
        if isinstance(user, UserView):
            return user.key
        if isinstance(user, int | str | UUID):
            return user
        key: Key = getattr(user, self.key_name)
        return key

    def find(self, *, email: str | None = None, username: str | None = None) -> Credentials | None:
        """The account of an address or a username, compared in their canonical forms."""
        column, value = self._login_column(email=email, username=username)
        row = self.execute(self._credentials[column], {"login": value}).first()
        return Credentials(row[0], row[1], row[2]) if row else None

    def credentials(self, key: Key, *, newest: bool = False) -> Credentials | None:
        """The same by key; with `newest` also where the transaction reads an older snapshot (MariaDB), under a lock."""
        statement = sa.select(self.key_column, self.c["email"], self.c["password_hash"]).where(self.key_column == key)
        row = self.execute(statement.with_for_update(key_share=True) if newest else statement).first()
        return Credentials(row[0], row[1], row[2]) if row else None

    def _login_column(self, *, email: str | None, username: str | None) -> tuple[sa.Column[Any], str]:
        if email is not None:
            return self.c["email"], email_form(email)
        return self.c["username_normalized"], folded(username or "")

    def export(self, key: Key) -> dict[str, Any] | None:  # JSON values
        """The account's own columns, with its roles; JSON-ready. Not the password's hash, nor what a host's column names as a secret."""
        view = self.view(key)
        if view is None:
            return None
        values = {name: getattr(view, name) for name in self._columns if not SECRET_WORDS & set(name.lower().split("_"))}
        exported: dict[str, Any] = to_jsonable_python(
            {**values, "roles": view.roles}, fallback=str, bytes_mode="base64", inf_nan_mode="null"
        )
        return exported

    def taken(self, *, emails: Sequence[str], usernames: Sequence[str], keys: Sequence[Key]) -> Taken:
        """Which of the addresses (in canonical form), usernames (folded) and keys accounts have."""
        return Taken(
            frozenset(self._found(self.c["email"], emails)),
            frozenset(self._found(self.c["username_normalized"], usernames)),
            frozenset(self._found(self.key_column, keys)),
        )

    def _found(self, column: sa.Column[Any], values: Sequence[Any]) -> list[Any]:
        return list(self.execute(sa.select(column).where(column.in_(values))).scalars()) if values else []

    def keys_by_email(self, emails: Sequence[str]) -> dict[str, Key]:
        """The keys of the accounts of addresses in canonical form."""
        column = self.c["email"]
        rows = self.execute(sa.select(column, self.key_column).where(column.in_(emails)))
        return {row[0]: row[1] for row in rows}

    # Lists

    def count(self, query: UserQuery) -> int:
        """How many accounts `query` means."""
        total: int = self.execute(self._listing.count(query, self.dialect)).scalar_one()
        return total

    def page(self, query: UserQuery, *, offset: int, limit: int) -> list[UserView]:
        """`limit` accounts from `offset` on; the cost grows with `offset`."""
        return self._page(self._weighed(query), offset, limit)

    def counted_page(self, query: UserQuery, *, offset: int, limit: int, cap: int | None) -> UserPage:
        """The same with a total that is exact up to `cap`, or to the page's end if that is further; always if `cap` is None."""
        most = None if cap is None else max(cap, offset + limit)
        counting = self._listing.count(query, self.dialect, most=None if most is None else most + 1)
        if query.members is not None and query.sort != "id":
            # Both counts in one statement.
            number, total = self.execute(sa.select(query.members.weighing().scalar_subquery(), counting.scalar_subquery())).one()
            views = self._page(_with_few(query, number), offset, limit)
        else:
            views = self._page(query, offset, limit)
            if len(views) < limit and (views or not offset):
                return UserPage(views, offset + len(views), capped=False)  # the page shows where the list ends
            total = self.execute(counting).scalar_one()
        total = max(total, offset + len(views) if views else 0)  # one may have gone in between
        capped = most is not None and total > most
        return UserPage(views, most if most is not None and capped else total, capped)

    def after(self, query: UserQuery, *, position: Position | None, limit: int) -> list[UserView]:
        """`limit` accounts after `position`, at the same cost however far (keyset paging)."""
        query = self._weighed(query)
        return self._views(self._listing.keys(query, self.dialect, position=position, limit=limit), query)

    def position_of(self, view: UserView, query: UserQuery) -> Position:
        """Where `view` stands in the order of `query`."""
        if query.sort == "id":
            return None, view.key
        if query.sort == "username":
            return view.username_normalized or "", view.key
        return getattr(view, query.sort), view.key

    def _views(self, keys: sa.Select[Any], query: UserQuery) -> list[UserView]:
        """The accounts of the keys, with their grants, in one statement."""
        grouped: dict[Any, list[sa.RowMapping]] = {}
        for row in self.execute(self._rows_of(keys, query)).mappings():
            grouped.setdefault(row[f"u_{self.key_name}"], []).append(row)
        return [self.read(rows) for rows in grouped.values()]

    def _rows_of(self, keys: sa.Select[Any], query: UserQuery) -> sa.Select[Any]:
        page = keys.subquery("page")
        # An outer join, though every key has its row: SQLite would else read all accounts and look each up in the page.
        source = self.joined(sa.outerjoin(page, self.table, page.c.key == self.key_column), self.key_column)
        return sa.select(*self.columns()).select_from(source).order_by(*self._listing.order(query))

    def _page(self, query: UserQuery, offset: int, limit: int) -> list[UserView]:
        return self._views(self._listing.keys(query, self.dialect, offset=offset, limit=limit), query)

    def _weighed(self, query: UserQuery) -> UserQuery:
        """The query, with how many the members are that it asks for, where that matters and they are few."""
        if query.members is None or query.sort == "id":
            return query
        return _with_few(query, self.execute(query.members.weighing()).scalar_one())

    # Writes: they flush, the caller commits

    def add(self, user: UserMixin) -> UserMixin:
        """Insert `user`; a taken address or username is `EmailTaken` or `UsernameTaken` and rolls the transaction back."""
        email, username = user.email, user.username_normalized
        self.db.session.add(user)
        self._flush(email=email, username=username)
        return user

    def insert_many(self, accounts: Sequence[Mapping[str, Any]]) -> None:
        """Insert accounts by their columns, in one statement for all that name the same ones. No ORM object comes to be."""
        alike: dict[frozenset[str], list[dict[str, Any]]] = {}
        for values in accounts:
            row = {self.c[name].key: value for name, value in values.items()}
            alike.setdefault(frozenset(row), []).append(row)
        for rows in alike.values():
            self.execute(sa.insert(self.table), rows)

    def advance_keys(self) -> None:
        """Have the database give out keys beyond those that were given to it. Only PostgreSQL does not see to that itself."""
        if self.dialect.name != "postgresql" or self.key_type is not int:
            return
        sequence = sa.func.pg_get_serial_sequence(self.dialect.identifier_preparer.format_table(self.table), self.key_column.name)
        highest = sa.select(sa.func.max(self.key_column)).scalar_subquery()
        given = sa.func.coalesce(sa.func.pg_sequence_last_value(sa.cast(sequence, REGCLASS)), 1)
        self.execute(sa.select(sa.func.setval(sa.cast(sequence, REGCLASS), sa.func.greatest(highest, given))))

    def save(self, user: UserMixin) -> None:
        """Write the changes made to `user`, refusing what is taken as `add` does."""
        self._flush(email=user.email, username=user.username_normalized, key=self.key_of(user))

    def _flush(self, *, email: str, username: str | None, key: Key | None = None) -> None:
        try:
            self.db.session.flush()
        except IntegrityError as error:
            self.db.session.rollback()
            raise self._taken(email, username, key) or error from None

    def _taken(self, email: str, username: str | None, key: Key | None) -> EmailTaken | UsernameTaken | None:
        for column, value, kind in (
            (self.c["email"], email, EmailTaken),
            (self.c["username_normalized"], username, UsernameTaken),
        ):
            if value is None:
                continue
            owner = self.execute(sa.select(self.key_column).where(column == value)).scalar()
            if owner is not None and owner != key:
                return kind()
        return None

    def replace_hash(self, key: Key, old: str | None, new: str | None, now: datetime) -> bool:
        """Put `new` in place of `old`; False when the stored hash is no longer `old` (somebody was faster)."""
        same = self.c["password_hash"].is_(None) if old is None else self.c["password_hash"] == old
        values = {self.c["password_hash"]: new, self.c["updated_at"]: now}
        statement = sa.update(self.table).where(self.key_column == key, same).values(values)
        return bool(self.execute(statement).rowcount)

    def set_active(self, key: Key, *, value: bool, now: datetime, where: Sequence[sa.ColumnElement[bool]] = ()) -> bool:
        """Switch the account on or off, if `where` still holds; False if it does not, or there is no such account."""
        values = {self.c["is_active"]: value, self.c["updated_at"]: now}
        switched = self.execute(sa.update(self.table).where(self.key_column == key, *where).values(values)).rowcount
        self.forget(key)
        return bool(switched)

    def set_verified(self, key: Key, now: datetime, *, address: str | None = None) -> bool:
        """Note that the account's address is proved; with `address` only if it still is that one. False if not.

        Whoever checks a proof must name the address it is of: the account may get another one at the same moment.
        """
        fits = [self.key_column == key]
        if address is not None:
            fits.append(self.c["email"] == address)
        values = {self.c["email_verified_at"]: now, self.c["updated_at"]: now}
        verified = self.execute(sa.update(self.table).where(*fits).values(values)).rowcount
        self.forget(key)
        return bool(verified)

    def change_email(
        self, key: Key, *, old: str, new: str, verified_at: datetime | None, now: datetime, active: bool = False
    ) -> bool:
        """Put the address `new`, and when it was proved, in place of `old`; False when the account's is no longer `old`.

        With `active`, also when the account is switched off. A taken address is `EmailTaken` and rolls the transaction back.
        """
        fits = [self.key_column == key, self.c["email"] == old]
        if active:
            fits.append(self.c["is_active"].is_(True))
        values = {self.c["email"]: new, self.c["email_verified_at"]: verified_at, self.c["updated_at"]: now}
        try:
            changed = self.execute(sa.update(self.table).where(*fits).values(values)).rowcount
        except IntegrityError as error:
            self.db.session.rollback()
            raise self._taken(new, None, key) or error from None
        self.forget(key)
        return bool(changed)

    def delete(self, key: Key) -> bool:
        """Delete the row, and what the host's relationships say goes with it; False when there was none."""
        if sa.inspect(self.model).relationships:
            user = self.db.session.get(self.model, key, with_for_update=True)
            if user is None:
                return False
            self.db.session.delete(user)
            self.db.session.flush()
            return True
        self.forget(key)
        return bool(self.execute(sa.delete(self.table).where(self.key_column == key)).rowcount)

    def forget(self, key: Key) -> None:
        """Make a loaded ORM object of this account read its columns anew."""
        identity = sa.inspect(self.model).identity_key_from_primary_key((key,))
        loaded = self.db.session().identity_map.get(identity)
        if loaded is not None:
            self.db.session.expire(loaded)

    def keys(self) -> Iterator[Key]:
        """Every account's key, in order."""
        yield from self.execute(sa.select(self.key_column).order_by(self.key_column)).scalars()


def _with_few(query: UserQuery, number: int) -> UserQuery:
    members = query.members
    return replace(query, members=replace(members, few=number)) if members is not None and number <= FEW else query


def _of(source: sa.FromClause | None, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """`column` itself, or the column that stands for it in `source`."""
    if source is None:
        return column
    found = source.corresponding_column(column)
    assert found is not None  # noqa: S101  # `source` is a select of all columns of the table
    return found
