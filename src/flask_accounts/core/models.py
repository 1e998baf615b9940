"""The user mixin, the column types, and the factory that turns a feature's mixin into a table.

Mixins first, factory second: `Accounts` builds a model from each mixin unless the host passes an own
subclass of it. Foreign keys to the user state no type, so they take the host's key type.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, cast
from uuid import UUID

import sqlalchemy as sa
from flask import current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.dialects import mysql
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.orm import Mapped, declared_attr, has_inherited_table, mapped_column, validates

from .errors import ConfigurationError
from .policies import MAX_EMAIL, MAX_USERNAME, email_form, folded

MAX_INDEX_NAME = 63
"""Most bytes of a name on PostgreSQL; MariaDB takes one more."""


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime with microseconds on every database.

    PostgreSQL keeps the zone itself; SQLite and MariaDB hold the UTC wall time. It renders itself in
    migrations as the plain `sa.DateTime` it stands for, so a migration needs no import of this package.
    """

    impl: type[sa.DateTime] = sa.DateTime
    cache_ok: bool | None = True

    def __init__(self) -> None:
        super().__init__(timezone=True)
        # MariaDB drops fractions of a second unless told the precision.
        self._variant_mapping = self._variant_mapping.union({name: _MariaUtcDateTime() for name in ("mysql", "mariadb")})

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Aware values only: a naive time would mean something else on each machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A datetime needs a time zone here; use datetime.now(UTC).")
        if value.tzinfo is not UTC:
            value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Always aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def __repr__(self) -> str:
        return "DateTime(timezone=True)"


class _MariaUtcDateTime(UtcDateTime):
    """The same on MariaDB and MySQL."""

    impl: type[sa.DateTime] = mysql.DATETIME
    cache_ok: bool | None = True

    def __init__(self) -> None:
        sa.types.TypeDecorator.__init__(self, fsp=6)

    def __repr__(self) -> str:
        return "DATETIME(fsp=6)"


# Alembic writes `<module>.<repr>` for types it does not know and imports nothing; under these names it
# writes `sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), 'mysql')`, which is what the
# migration should say, and imports what that needs.
UtcDateTime.__module__ = "sqlalchemy.types"
_MariaUtcDateTime.__module__ = "sqlalchemy.dialects.mysql"


def exact(length: int) -> sa.String:
    """Text compared and sorted character by character on every database.

    MariaDB's default collations take `é` for `e` and skip what has no width, so a look-alike would find
    somebody else's account (OWASP Email Validation), and `ADMIN` the administrators' role. On PostgreSQL an
    index of another collation finds no beginnings of texts, and goes wrong when an update of the operating
    system sorts anew (https://wiki.postgresql.org/wiki/Locale_data_changes).
    """
    text = sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")
    return text.with_variant(mysql.VARCHAR(length, collation="utf8mb4_bin"), "mysql", "mariadb")


def uuid_type() -> sa.Uuid[UUID]:
    """A UUID, stored in one form on each database whatever the version of SQLAlchemy: CHAR(32) on MariaDB and MySQL.

    Left alone, SQLAlchemy 2.1 takes it for MariaDB's own type UUID: then it finds no row of the tables that 2.0 has made, and can
    insert none.
    """
    return sa.Uuid().with_variant(sa.Uuid(native_uuid=False), "mysql", "mariadb")


def utc_now() -> datetime:
    """The time for column defaults; services give their own clock's time."""
    return datetime.now(UTC)


def uuid7(now: datetime | None = None) -> UUID:
    """A version 7 UUID (RFC 9562 section 5.7): time-ordered, 74 random bits."""
    milliseconds = int((now or utc_now()).timestamp() * 1000)
    value = (milliseconds & ((1 << 48) - 1)) << 80 | secrets.randbits(80)
    return UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)


class UserMixin:
    """What a user class needs; subclass it together with `db.Model`.

        class User(UserMixin, db.Model):
            __tablename__ = "people"
            posts = db.relationship("Post", back_populates="author")

    The key is an int named `id`. For UUIDv7 keys put `UuidKeyMixin` before it; for an own key define
    `id` in the class (or `id = None` and a column of another name).
    """

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  # SQLAlchemy calls it with the class
        # SQLite would give the key of a deleted account to the next one, and with it whatever still refers to it (ASVS 14.2.7).
        return None if has_inherited_table(cast("type[Any]", cls)) else {"sqlite_autoincrement": True}

    id: Mapped[Any] = mapped_column(sa.Integer, primary_key=True, sort_order=-10)
    email: Mapped[str] = mapped_column(exact(MAX_EMAIL), unique=True, nullable=False)
    username: Mapped[str | None] = mapped_column(sa.String(MAX_USERNAME), nullable=True)
    username_normalized: Mapped[str | None] = mapped_column(exact(MAX_USERNAME), unique=True, nullable=True)
    password_hash: Mapped[str | None] = mapped_column(exact(512), nullable=True)
    is_active: Mapped[bool] = mapped_column(sa.Boolean, nullable=False, default=True)
    email_verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False, default=utc_now, onupdate=utc_now)

    @validates("email")
    def _normalise_email(self, key: str, value: str) -> str:
        return email_form(value)

    @validates("username")
    def _normalise_username(self, key: str, value: str | None) -> str | None:
        self.username_normalized = None if value is None else folded(value)
        return value

    @property
    def email_verified(self) -> bool:
        """Whether the owner has proved to read mail sent to `email`."""
        return self.email_verified_at is not None

    def set_password(self, password: str) -> None:
        """Hash `password` into `password_hash` with the app's hasher (256 characters at the most).

        The bare column write for fixtures and imports: no policy is applied and no session ends. Use
        `accounts.passwords.set(user, password)` for both.
        """
        self.password_hash = current_app.extensions["accounts"].hasher.hash(password)

    def check_password(self, password: str) -> bool:
        """Whether `password` is the right one; an account without a password never matches."""
        return bool(current_app.extensions["accounts"].hasher.verify(password, self.password_hash))

    def to_dict(self) -> dict[str, Any]:  # JSON values
        """The account as the API shows it (the host's `UserSchema` if there is one), JSON-ready."""
        shown: dict[str, Any] = current_app.extensions["accounts"].show(self)
        return shown


class UuidKeyMixin:
    """Makes the key a UUIDv7: `class User(UuidKeyMixin, UserMixin, db.Model)`."""

    id: Mapped[UUID] = mapped_column(uuid_type(), primary_key=True, default=uuid7, sort_order=-10)


ModelT = TypeVar("ModelT")


class OwnedByUser:
    """Base of mixins whose rows belong to an account and go with it."""

    __accounts_user_table__: sa.Table

    @declared_attr
    def user_id(cls) -> Mapped[Any]:  # noqa: N805  # SQLAlchemy calls it with the class
        """The owner's key, of the host's own type."""
        return mapped_column(sa.ForeignKey(owner_key(cls), ondelete="CASCADE"), nullable=False)

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  # SQLAlchemy calls it with the class
        # What finds an account's rows. A constraint and not an index, because MariaDB will not drop an index that a foreign
        # key needs, and generated downgrades drop indexes before their tables.
        return (sa.UniqueConstraint("user_id", "id"),)


class OnePerUser(OwnedByUser):
    """Base of mixins of which an account has one row at the most."""

    @declared_attr
    def user_id(cls) -> Mapped[Any]:  # noqa: N805  # SQLAlchemy calls it with the class
        """The account."""
        return mapped_column(sa.ForeignKey(owner_key(cls), ondelete="CASCADE"), primary_key=True, autoincrement=False)

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  # SQLAlchemy calls it with the class
        return ()  # the key finds an account's row


def owner_key(model: Any) -> sa.Column[Any]:
    """The key of the accounts that the rows of the class `model` belong to; known where `Accounts` builds the model."""
    table = getattr(model, "__accounts_user_table__", None)
    if table is None:
        raise ConfigurationError(
            f"{model.__name__} does not say whose its rows are. Give it `user_id = mapped_column(sa.ForeignKey(<your user key>, "
            "ondelete='CASCADE'), nullable=False)`, or leave db.Model out of its bases: then Accounts makes the table of it."
        )
    return primary_key(table)


def primary_key(table: sa.Table) -> sa.Column[Any]:
    """The table's one key column; `ConfigurationError` for a composite key."""
    columns = list(table.primary_key.columns)
    if len(columns) != 1:
        names = ", ".join(column.name for column in columns) or "none"
        raise ConfigurationError(
            f"The user table {table.name!r} needs a key of one column (it has: {names}). "
            "Make one column the primary key and give the others a unique constraint."
        )
    return columns[0]


def build_model(db: SQLAlchemy, mixin: type, table_name: str, user_table: sa.Table, tables: Mapping[type, sa.Table]) -> type[Any]:
    """A model class of `mixin` on `db`, named after it: `SessionMixin` becomes `AccountsSession`.

    A `__tablename__` of the mixin's own counts before `table_name`. `tables` are those made before it, by mixin.
    """
    name = "Accounts" + mixin.__name__.removesuffix("Mixin")
    attributes: dict[str, Any] = {
        "__tablename__": getattr(mixin, "__tablename__", table_name),
        "__module__": mixin.__module__,
        "__accounts_user_table__": user_table,
        "__accounts_tables__": dict(tables),
    }
    if bind_key := user_table.metadata.info.get("bind_key"):
        attributes["__bind_key__"] = bind_key  # all of accounts lives where the users live
    return type(name, (mixin, db.Model), attributes)


REQUIRED = (
    "email",
    "username",
    "username_normalized",
    "password_hash",
    "is_active",
    "email_verified_at",
    "created_at",
    "updated_at",
)


def check_user_model(model: type[Any]) -> None:
    """Refuse a user class that is not mapped, lacks a column, or has a composite key."""
    try:
        mapper = sa.inspect(model, raiseerr=True)
        mapper.local_table  # noqa: B018  # a class that is no mapper has none
    except (sa.exc.NoInspectionAvailable, AttributeError):
        raise ConfigurationError(
            f"user_model={model!r} is not a mapped class. Write `class User(UserMixin, db.Model): ...` and pass that."
        ) from None
    missing = [name for name in REQUIRED if name not in mapper.attrs]
    if missing:
        raise ConfigurationError(
            f"The user class {model.__name__} lacks {', '.join(missing)}. Let it inherit from flask_accounts.UserMixin."
        )
    primary_key(mapper.local_table)


def index_for_lists(model: type[Any]) -> None:
    """Give the user table the indexes that lists of accounts are read in, unless it has them.

    Their names come from the attributes, so that they stay whatever the columns are called.
    """
    mapper = sa.inspect(model)
    table: sa.Table = mapper.local_table
    key = primary_key(table)
    there = {index.name for index in table.indexes}
    for name in ("created_at", "updated_at", "username_normalized", "is_active"):
        index, column = index_name(table, f"{name}_id"), mapper.attrs[name].columns[0]
        if index not in there and column.table is table:
            sa.Index(index, column, key, **_few_rows(name, column))


def index_name(table: sa.Table, suffix: str) -> str:
    """The name of an index of ours on `table`, not longer than PostgreSQL allows."""
    name = f"ix_{table.name}_{suffix}"
    if len(name) <= MAX_INDEX_NAME:
        return name
    digest = hashlib.sha256(table.name.encode()).hexdigest()[:8]
    return f"ix_{table.name[: MAX_INDEX_NAME - len(suffix) - 13]}_{digest}_{suffix}"


def _few_rows(name: str, column: sa.Column[Any]) -> dict[str, Any]:
    """What keeps rows out of an index that finds the few: accounts without a username, accounts switched off. Not on MariaDB.

    As text, since a migration written on one database says it for the others.
    """
    quoted = sa.sql.compiler.IdentifierPreparer(DefaultDialect()).quote(column.name)
    if name == "username_normalized":
        return {"postgresql_where": sa.text(f"{quoted} IS NULL"), "sqlite_where": sa.text(f"{quoted} IS NULL")}
    if name == "is_active":
        return {"postgresql_where": sa.text(f"{quoted} IS false"), "sqlite_where": sa.text(f"{quoted} IS 0")}
    return {}


def is_unique(column: sa.Column[Any]) -> bool:
    """Whether no two rows have the same value in `column`."""
    table = column.table
    keys = [rule for rule in table.constraints if isinstance(rule, sa.UniqueConstraint | sa.PrimaryKeyConstraint)]
    indexes = [index for index in table.indexes if index.unique and not any("where" in name for name in index.kwargs)]
    return any(list(kept.columns) == [column] for kept in [*keys, *indexes])
