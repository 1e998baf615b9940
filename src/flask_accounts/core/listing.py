"""Lists of accounts as statements that an index serves, however many accounts there are and however deep the page.

Nothing here is executed. What an index cannot serve is said in `docs/how-to/large-user-tables.md`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from .models import is_unique
from .policies import email_form, folded

SORTS = ("id", "email", "username", "created_at", "updated_at")
FEW = 2000
"""Members up to which it is cheaper to read and sort them all than to look for them in the order of the list."""
BY_CODE_POINT = frozenset({"C", "POSIX", "ucs_basic"})
"""Collations of PostgreSQL in whose order texts of one beginning stand together."""
LAST_CHARACTER = "\U0010ffff"

Position = tuple[Any, Any]
"""Where a page of a cursor ended: the sort value and the key."""


@dataclass(frozen=True)
class Members:
    """Only the accounts that the rows of another table name, each at most once. `few`: their number, if it is at most `FEW`."""

    user_id: sa.Column[Any]
    where: sa.ColumnElement[bool]
    few: int | None = None

    def in_order(self) -> sa.Select[Any]:
        """Their keys. In the order of the index that finds them: for the first of a few that are in no order, PostgreSQL reads the table."""
        return sa.select(self.user_id).where(self.where).order_by(self.user_id)

    def weighing(self) -> sa.Select[Any]:
        """How many they are, counted to one beyond `FEW`."""
        some = self.in_order().limit(FEW + 1).subquery("members")
        return sa.select(sa.func.count()).select_from(some)


@dataclass(frozen=True)
class UserQuery:
    """Which accounts to list. `search` looks in usernames and, with `search_email`, addresses."""

    search: str | None = None
    search_email: bool = True
    username_starts_with: str | None = None
    email_starts_with: str | None = None
    is_active: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    members: Members | None = None
    sort: str = "id"
    descending: bool = False
    where: Sequence[sa.ColumnElement[bool]] = ()


@dataclass(frozen=True)
class _Span:
    """Values of a column from `lower` (included) to `upper` (not)."""

    column: sa.ColumnElement[Any]
    lower: Any = None  # whatever the column holds
    upper: Any = None

    def beyond(self, value: Any, *, descending: bool) -> _Span:
        """The span without the bound that going on from `value` implies: SQLite would use the looser of the two."""
        if descending and (self.upper is None or value < self.upper):
            return _Span(self.column, lower=self.lower)
        if not descending and (self.lower is None or value >= self.lower):
            return _Span(self.column, upper=self.upper)
        return self

    def conditions(self) -> Iterator[sa.ColumnElement[bool]]:
        if self.lower is not None:
            yield self.column >= self.lower
        if self.upper is not None:
            yield self.column < self.upper


@dataclass(frozen=True)
class _Stretch:
    """A part of the list that one index has in its order."""

    order: tuple[sa.ColumnElement[Any], ...]
    where: tuple[sa.ColumnElement[bool], ...] = ()


class UserListing:
    """Selects the keys of a list's accounts, in its order; `columns` of the user table by attribute name.

    Only keys: what shows the accounts reads their rows by them, and on the way there an index alone does where it has all
    that is asked for.
    """

    def __init__(self, table: sa.Table, columns: Mapping[str, sa.Column[Any]], key: sa.Column[Any]) -> None:
        self._table, self._c, self._key = table, columns, key
        self._unique = {column for column in columns.values() if is_unique(column)}

    def keys(
        self, query: UserQuery, dialect: sa.Dialect, *, position: Position | None = None, offset: int = 0, limit: int
    ) -> sa.Select[Any]:
        """`limit` keys after `position`, at the same cost however far (keyset paging); or from `offset` on, at a cost that grows with it."""
        parts = []
        for stretch in self._stretches(query, dialect, position):
            rows = self._source(query, self._filters(query, dialect, position), self._sorted_by(query).label("value"))
            rows = rows.where(*stretch.where)
            parts.append(rows.order_by(*directed(stretch.order, query)).limit(offset + limit))
        if len(parts) == 1:
            return parts[0].with_only_columns(parts[0].selected_columns[0]).limit(limit).offset(offset or None)
        # Each part stops at its limit, so that sorting them together costs as much as the page at the most.
        both = sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery("both")
        order = directed([sa.func.coalesce(both.c.value, ""), both.c.key], query)
        return sa.select(both.c.key).order_by(*order).limit(limit).offset(offset or None)

    def count(self, query: UserQuery, dialect: sa.Dialect, *, most: int | None = None) -> sa.Select[Any]:
        """How many accounts there are, counted no further than to `most`."""
        filters = self._filters(query, dialect)
        if most is None and query.members is not None:
            # All are counted: how, the database knows best.
            rows = sa.select(self._key).join(query.members.user_id.table, query.members.user_id == self._key)
            rows = rows.where(query.members.where, *filters)
        else:
            rows = self._source(replace(query, sort="id"), filters).limit(most)
            rows = rows.order_by(query.members.user_id) if query.members is not None else rows
        return sa.select(sa.func.count()).select_from(rows.subquery("counted"))

    def order(self, query: UserQuery) -> list[sa.ColumnElement[Any]]:
        """What sorts the rows of a page."""
        if query.sort == "id":
            return directed([self._key], query)
        value = self._sorted_by(query)
        return directed([sa.func.coalesce(value, "") if query.sort == "username" else value, self._key], query)

    def _sorted_by(self, query: UserQuery) -> sa.Column[Any]:
        names = {"id": self._key, "username": self._c["username_normalized"]}
        return names[query.sort] if query.sort in names else self._c[query.sort]

    def _source(self, query: UserQuery, where: Sequence[sa.ColumnElement[bool]], *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """The accounts that `where` holds for, of the members if they are asked for: keys, and further columns of theirs.

        A database that thinks of an average role would join its members in another order, and read or sort all of them. So they
        are no join, but a value that is looked up for each row; or a few rows, whose number is said by a limit above it.
        """
        members = query.members
        if members is None:
            return sa.select(self._key.label("key"), *columns).where(*where)
        if query.sort == "id":
            # The members are in order of their keys.
            there = self._one(sa.select(sa.literal_column("1")).where(self._key == members.user_id, *where), members.user_id.table)
            return sa.select(members.user_id.label("key")).where(members.where, there)
        if members.few is not None:
            few = members.in_order().limit(2 * members.few + 10).subquery("members")
            return sa.select(self._key.label("key"), *columns).join(few, few.c[0] == self._key).where(*where)
        member: sa.Select[Any] = sa.select(sa.literal_column("1")).where(members.user_id == self._key, members.where)
        return sa.select(self._key.label("key"), *columns).where(*where, self._one(member, self._table))

    def _one(self, rows: sa.Select[Any], outer: sa.FromClause) -> sa.ColumnElement[bool]:
        return rows.limit(1).correlate(outer).scalar_subquery() == 1

    def _stretches(self, query: UserQuery, dialect: sa.Dialect, position: Position | None) -> list[_Stretch]:
        """The parts of the list that are left after `position`, in turn."""
        column, key = self._sorted_by(query), self._key
        if query.sort == "id":
            key = query.members.user_id if query.members is not None else key
            return [_Stretch((key,), self._further((key,), position and position[1:], query, dialect))]
        order = (column,) if column in self._unique else (column, key)
        if query.sort != "username":
            return [_Stretch(order, self._further(order, position, query, dialect))]
        # Who has no name stands before all who have one. PostgreSQL has them last in its indexes, and SQLite does not go on from
        # one to the other, so they are a part of their own.
        absent = _Stretch((column, key), (column.is_(None),))
        present = _Stretch(order, (column.is_not(None),))
        if position is not None and position[0] == "":
            absent = _Stretch(absent.order, (*absent.where, *self._further((key,), position[1:], query, dialect)))
        elif position is not None:
            present = _Stretch(order, self._further(order, position, query, dialect))
        if query.username_starts_with:
            return [present]
        parts = [present, absent] if query.descending else [absent, present]
        parts = parts[1:] if position is not None and (position[0] == "") == query.descending else parts
        if dialect.name in ("postgresql", "sqlite"):
            return parts
        # MariaDB does: its indexes are in this very order. By parts it would sort those without a name.
        return [_Stretch((column, key), (sa.or_(*(sa.and_(*part.where) for part in parts)),))]

    def _further(
        self, order: tuple[sa.ColumnElement[Any], ...], position: tuple[Any, ...] | None, query: UserQuery, dialect: sa.Dialect
    ) -> tuple[sa.ColumnElement[bool], ...]:
        """The condition that a row stands after `position` in `order`."""
        if position is None:
            return ()
        beyond = operator.lt if query.descending else operator.gt
        if len(order) == 1:
            return (beyond(order[0], position[0]),)
        if dialect.name in ("postgresql", "sqlite"):
            return (beyond(sa.tuple_(*order), sa.tuple_(*(sa.literal(v, c.type) for v, c in zip(position, order, strict=True)))),)
        # MariaDB makes two ranges of the index of this, and none of a comparison of rows.
        (first, second), (value, key) = order, position
        return (sa.or_(beyond(first, value), sa.and_(first == value, beyond(second, key))),)

    def _filters(self, query: UserQuery, dialect: sa.Dialect, position: Position | None = None) -> list[sa.ColumnElement[bool]]:
        filters = [*query.where]
        if query.is_active is not None:
            # The words of the index's condition; MariaDB, where it has none, finds nothing by IS.
            by_words = dialect.name in ("postgresql", "sqlite")
            active = self._c["is_active"]
            filters.append(active.is_(query.is_active) if by_words else active == query.is_active)
        if query.search:
            fits = [self._c["username_normalized"].contains(folded(query.search), autoescape=True)]
            if query.search_email:
                fits.append(self._c["email"].contains(email_form(query.search), autoescape=True))
            filters.append(sa.or_(*fits))
        spans = [_Span(self._c["created_at"], query.created_after, query.created_before)]
        for name, start in (
            ("username_normalized", query.username_starts_with and folded(query.username_starts_with)),
            ("email", query.email_starts_with and email_form(query.email_starts_with)),
        ):
            if not start:
                continue
            if _stands_together(self._c[name], dialect):
                spans.append(_Span(self._c[name], start, _end_of(start)))
            else:
                filters.append(self._c[name].startswith(start, autoescape=True))
        for span in spans:
            if position is not None and span.column is self._sorted_by(query):
                span = span.beyond(position[0], descending=query.descending)
            filters += span.conditions()
        return filters


def directed(columns: Sequence[sa.ColumnElement[Any]], query: UserQuery) -> list[sa.ColumnElement[Any]]:
    """`columns` in the direction of `query`."""
    return [column.desc() if query.descending else column.asc() for column in columns]


def _stands_together(column: sa.Column[Any], dialect: sa.Dialect) -> bool:
    """Whether the texts of one beginning are a range of the column's order, character by character.

    MariaDB makes a range of LIKE itself, by the column's own collation.
    """
    if dialect.name == "postgresql":
        return getattr(column.type.dialect_impl(dialect), "collation", None) in BY_CODE_POINT
    return dialect.name == "sqlite"


def _end_of(start: str) -> str | None:
    """The first text after all that begin with `start`, by code point; None if there is none."""
    start = start.rstrip(LAST_CHARACTER)
    if not start:
        return None
    following = ord(start[-1]) + 1
    return start[:-1] + ("\ue000" if following == 0xD800 else chr(following))  # surrogates are no characters
