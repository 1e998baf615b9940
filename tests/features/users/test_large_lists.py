"""Lists of many accounts: what a page reads, totals that stop counting, beginnings of names, orders with ties and absent names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Mapped, mapped_column

from flask_accounts import Accounts, UserMixin
from flask_accounts.core import listing
from flask_accounts.core.listing import SORTS, UserQuery
from flask_accounts.core.models import index_name
from flask_accounts.core.users import UserStore
from flask_accounts.features.roles.models import RoleMixin, UserRoleMixin
from flask_accounts.features.roles.service import RoleService
from tests.conftest import MakeSite, Site

MANY, LIMIT = 3000, 10
START = datetime(2026, 1, 1, tzinfo=UTC)
CAP = {"ACCOUNTS_USERS_TOTAL_CAP": 5}


def crowd(site: Site, count: int, *, together: int = 10) -> None:
    """Accounts of which `together` are of one time, a third without a username, one in a hundred switched off; some editors.

    Every third is an editor, two are administrators.
    """
    runtime, names = site.testing.runtime, "qwertzuiopasdfghjklyxcvbnm"
    people, granted = [], []
    for number in range(1, count + 1):
        name = f"{names[number % 26]}{names[number * 7 % 26]}-{number * 37 % count:05}"
        called = name if number % 3 else None
        at = START + timedelta(minutes=number // together)
        people.append({
            "email": f"{name}@example.com", "username": called, "username_normalized": called, "is_active": number % 100 > 0,
            "created_at": at, "updated_at": at + timedelta(days=number % 7),
        })  # fmt: skip
    with site.app.app_context(), site.db.engine.begin() as connection:
        roles, table = runtime.model(RoleMixin).__table__, runtime.users.table
        connection.execute(sa.insert(roles), [{"name": name, "permissions": ""} for name in ("admin", "editor")])
        admin, editor = connection.execute(sa.select(roles.c.id).order_by(roles.c.name)).scalars()
        connection.execute(sa.insert(table), people)
        for place, key in enumerate(connection.execute(sa.select(runtime.users.key_column).order_by(sa.text("email"))).scalars()):
            granted += [{"user_id": key, "role_id": editor}] if place % 3 == 0 else []
            granted += [{"user_id": key, "role_id": admin}] if place in (7, count - 7) else []
        connection.execute(sa.insert(runtime.model(UserRoleMixin).__table__), granted)
    with site.app.app_context(), site.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        both = f"{runtime.users.table.name}, accounts_user_roles"
        if site.db.engine.dialect.name != "sqlite":  # which nobody analyses either
            connection.execute(
                sa.text(f"{'VACUUM ANALYZE' if site.db.engine.dialect.name == 'postgresql' else 'ANALYZE TABLE'} {both}")
            )


# What a page reads


class Reading:
    """Counts the rows that a statement reads, as the database itself tells it."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def rows(self, statement: sa.Select[Any]) -> int:
        """Rows read by `statement`, those of every step added up."""
        counts: dict[str, Callable[[sa.Select[Any]], int]] = {"postgresql": self._postgresql, "sqlite": self._sqlite}
        return counts.get(self._connection.dialect.name, self._mariadb)(statement)

    def plan(self, statement: sa.Select[Any]) -> str:
        """What the database says of how it goes about it."""
        words = "EXPLAIN QUERY PLAN" if self._connection.dialect.name == "sqlite" else "EXPLAIN"
        return "; ".join(str(row) for row in self._connection.exec_driver_sql(f"{words} {self._text(statement)}"))

    def _text(self, statement: sa.Select[Any]) -> str:
        return str(statement.compile(self._connection, compile_kwargs={"literal_binds": True}))

    def _postgresql(self, statement: sa.Select[Any]) -> int:
        [[plan]] = self._connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {self._text(statement)}").all()

        def steps(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
            yield node
            for child in node.get("Plans", ()):
                yield from steps(child)

        read = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
        scans = [step for step in steps(plan[0]["Plan"]) if "Scan" in step["Node Type"]]
        return sum(int(step["Actual Loops"]) * sum(int(step.get(name, 0)) for name in read) for step in scans)

    def _mariadb(self, statement: sa.Select[Any]) -> int:
        def told() -> int:
            rows = self._connection.execute(sa.text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
            return sum(int(value) for name, value in rows if "rnd" not in name and name != "Handler_read_rnd_deleted")

        before = told()
        self._connection.execute(statement).all()
        return told() - before

    def _sqlite(self, statement: sa.Select[Any]) -> int:
        """Steps of SQLite's machine by 10: a row takes it ten and more."""
        told = [0]
        driver: Any = self._connection.connection.driver_connection
        driver.set_progress_handler(lambda: told.__setitem__(0, told[0] + 1), 10)
        try:
            self._connection.execute(statement).all()
        finally:
            driver.set_progress_handler(None, 0)
        return told[0]


@pytest.fixture
def large(make_site: MakeSite, every_database_url: str) -> Site:
    """A site of many accounts."""
    site = make_site(url=every_database_url)
    crowd(site, MANY)
    return site


def read_by(site: Site, query: UserQuery, *, as_if_large: bool = False, **where: Any) -> tuple[int, str]:
    """Rows that a page of `query` reads, and how; `as_if_large`, where PostgreSQL reads so small a table whole, and rightly."""
    users = site.testing.runtime.users
    with site.db.engine.connect() as connection:
        if as_if_large and connection.dialect.name == "postgresql":
            connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        keys = users._listing.keys(query, connection.dialect, limit=LIMIT, **where)
        reading, statement = Reading(connection), users._rows_of(keys, query)
        return reading.rows(statement), reading.plan(statement)


def asked(query: UserQuery) -> dict[str, Any]:
    """What differs from the plain list."""
    return {name: value for name, value in vars(query).items() if value != getattr(UserQuery(), name)}


def positions(users: UserStore, query: UserQuery) -> dict[str, Any]:
    """Where the first, the middle and the last page of a list begin."""
    total = users.count(query)
    at = {"middle": total // 2, "last": total - LIMIT - 1}
    found = {name: users.page(query, offset=offset, limit=1)[0] for name, offset in at.items()}
    return {"first": None} | {name: users.position_of(view, query) for name, view in found.items()}


def test_a_page_by_cursor_reads_no_more_at_any_depth_in_any_order(large: Site) -> None:
    with large.app.app_context():
        users, costly = large.testing.runtime.users, []
        editors = large.testing.runtime.get(RoleService).membership("editor")
        lists = [UserQuery(sort=sort, descending=down) for sort in SORTS for down in (False, True)]
        lists += [UserQuery(members=editors, descending=down) for down in (False, True)]
        lists += [UserQuery(is_active=False, descending=down) for down in (False, True)]
        span: dict[str, Any] = {"created_after": START + timedelta(minutes=20), "created_before": START + timedelta(minutes=250)}
        lists += [UserQuery(sort="created_at", descending=down, **span) for down in (False, True)]
        for start in ("q", "wi"):
            lists += [UserQuery(username_starts_with=start, sort="username", descending=down) for down in (False, True)]
            lists += [UserQuery(email_starts_with=start, sort="email", descending=down) for down in (False, True)]
        for query in lists:
            for depth, position in positions(users, query).items():
                rows, plan = read_by(large, query, position=position)
                if rows > 15 * LIMIT:
                    costly.append(f"{depth} page of {asked(query)}: {rows} rows. {plan}")

    assert not costly, "\n".join(costly)


def test_what_no_index_serves_is_seen_to_read_more(large: Site) -> None:
    """The measure of the test above can tell."""
    with large.app.app_context():
        assert read_by(large, UserQuery(search="nobody.at.all"))[0] > MANY / 2


def test_the_members_of_a_small_role_are_read_alone_and_those_of_a_large_one_in_passing(
    large: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FEW", 100)
    monkeypatch.setattr("flask_accounts.core.users.FEW", 100)
    with large.app.app_context():
        users, members = large.testing.runtime.users, large.testing.runtime.get(RoleService).membership
        for name, number in (("admin", 2), ("editor", MANY // 3)):
            query = users._weighed(UserQuery(members=members(name), sort="email"))
            assert query.members is not None
            assert query.members.few == (number if number <= 100 else None)
            rows, plan = read_by(large, query, as_if_large=True)
            assert rows <= 12 * LIMIT, plan
            assert len(users.page(query, offset=0, limit=MANY)) == number


def test_a_capped_count_reads_no_further(large: Site) -> None:
    with large.app.app_context(), large.db.engine.connect() as connection:
        count = partial(large.testing.runtime.users._listing.count, UserQuery(is_active=True), connection.dialect)
        assert Reading(connection).rows(count(most=100)) < 250
        assert Reading(connection).rows(count()) >= MANY / 4


# Orders


@pytest.mark.parametrize("key", ["int", "uuid7"])
def test_a_walk_by_cursor_meets_everybody_once_whatever_the_order_and_filter(
    make_site: MakeSite, every_database_url: str, key: str
) -> None:
    site = make_site(url=every_database_url, user_key=key)
    if key == "int":
        crowd(site, 30, together=8)
    else:
        for number in range(12):
            site.user(f"p{number * 7 % 12}@example.com", username=None if number % 3 else f"p{number}", roles=["editor"])
    with site.app.app_context():
        users = site.testing.runtime.users
        filters: list[dict[str, Any]] = [
            {}, {"members": site.testing.runtime.get(RoleService).membership("editor")}, {"is_active": True}, {"search": "p"},
            {"username_starts_with": "p"}, {"email_starts_with": "p"}, {"created_after": START + timedelta(minutes=1)},
        ]  # fmt: skip
        for asked in filters:
            for sort in SORTS:
                for descending in (False, True):
                    query = UserQuery(sort=sort, descending=descending, **asked)
                    whole = [view.key for view in users.page(query, offset=0, limit=100)]
                    assert len(set(whole)) == len(whole) == users.count(query)
                    assert walked(users, query) == paged(users, query) == whole, query


def walked(users: UserStore, query: UserQuery) -> list[Any]:
    found: list[Any] = []
    views = users.after(query, position=None, limit=11)
    while views:
        found += views
        views = users.after(query, position=users.position_of(views[-1], query), limit=11)
    return [view.key for view in found]


def paged(users: UserStore, query: UserQuery) -> list[Any]:
    return [view.key for offset in range(0, 33, 11) for view in users.page(query, offset=offset, limit=11)]


# Totals


def people(site: Site, number: int) -> Any:
    """An administrator's client, of so many accounts in all."""
    for _ in range(number - 1):
        site.user()
    return site.client_for(site.admin())


@pytest.mark.parametrize(
    ("number", "total", "capped", "pages"), [(4, 4, False, 2), (5, 5, False, 3), (6, 5, True, 3), (9, 5, True, 3)]
)
def test_a_total_is_exact_up_to_the_cap_and_says_so(make_site: MakeSite, number: int, total: int, capped: bool, pages: int) -> None:
    client = people(make_site(config=CAP), number)

    body = client.get("/api/users?per_page=2").get_json()
    exact = client.get("/api/users?per_page=2&total=exact").get_json()

    assert (body["total"], body["total_capped"], body["pages"]) == (total, capped, pages)
    assert (exact["total"], exact["total_capped"], exact["pages"]) == (number, False, -(-number // 2))
    assert body["users"] == exact["users"]


@pytest.mark.parametrize(
    ("page", "total", "capped", "pages"), [(2, 5, True, 3), (3, 6, True, 3), (4, 8, True, 4), (5, 9, False, 5), (6, 9, False, 5)]
)
def test_a_page_is_never_beyond_the_pages_that_are_told_of(
    make_site: MakeSite, page: int, total: int, capped: bool, pages: int
) -> None:
    client = people(make_site(config=CAP), 9)

    body = client.get(f"/api/users?per_page=2&page={page}").get_json()

    assert (body["total"], body["total_capped"], body["pages"]) == (total, capped, pages)
    assert len(body["users"]) == max(0, min(2, 9 - 2 * (page - 1)))


def test_a_filter_is_counted_by_itself(make_site: MakeSite) -> None:
    site = make_site(config=CAP)
    client = people(site, 9)
    site.user("found@example.com")

    body = client.get("/api/users?per_page=1&search=found").get_json()

    assert (body["total"], body["total_capped"], body["pages"]) == (1, False, 1)


def test_a_page_that_shows_the_end_costs_no_count(make_site: MakeSite) -> None:
    site = make_site(config=CAP)
    client = people(site, 9)

    def statements(query: str) -> int:
        site.statements.clear()
        client.get(f"/api/users?{query}")
        return len(site.statements)

    assert [statements(query) for query in ("per_page=2", "per_page=2&page=5", "per_page=10", "search=none")] == [3, 2, 2, 2]


@pytest.mark.parametrize("query", ["total=exact&cursor=", "total=all", "total="])
def test_totals_are_asked_for_in_known_words_and_not_by_cursor(site: Site, query: str) -> None:
    answer = site.client_for(site.admin()).get(f"/api/users?{query}")

    assert (answer.status_code, answer.get_json()["code"]) == (400, "VALIDATION_ERROR")


# Beginnings


def named(client: Any, query: str) -> list[Any]:
    answer = client.get(f"/api/users?{query}&cursor=")
    assert answer.status_code == 200, answer.text
    return [user["username"] or user["email"] for user in answer.get_json()["users"]]


def test_beginnings_find_what_begins_so_and_nothing_else(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url)
    client = site.client_for(site.admin())
    for name in ("Anna", "ann", "ann-lee", "ann_lee", "ano", "an", "joanna", "\u00e4nn", "ann\u00e4"):
        site.user(f"{name.lower()}@example.com" if name.isascii() else None, username=name)
    site.user("ann%x@example.com")

    assert named(client, "username_starts_with=ANN") == ["ann", "ann-lee", "ann_lee", "Anna", "ann\u00e4"]
    assert named(client, "username_starts_with=ann&sort=-username") == ["ann\u00e4", "Anna", "ann_lee", "ann-lee", "ann"]
    assert named(client, "username_starts_with=ann_") == ["ann_lee"]
    assert named(client, "email_starts_with=ann%25") == ["ann%x@example.com"]
    assert named(client, "email_starts_with=An&username_starts_with=an&sort=id")[:2] == ["Anna", "ann"]
    assert named(client, "email_starts_with=nobody") == []
    assert named(client, f"username_starts_with={quote(listing.LAST_CHARACTER)}") == []
    assert client.get("/api/users?username_starts_with=ann").get_json()["total"] == 5


def test_a_beginning_is_sorted_by_what_it_is_of_unless_asked_otherwise(site: Site) -> None:
    client = site.client_for(site.admin())
    site.user("ann.b@example.com", username="zoe")
    site.user("ann.a@example.com", username="yan")

    assert named(client, "email_starts_with=ann") == ["yan", "zoe"]
    assert named(client, "email_starts_with=ann&sort=id") == ["zoe", "yan"]


@pytest.mark.parametrize(
    ("start", "end"),
    [("ann", "ano"), ("a\U0010ffff", "b"), ("\U0010ffff", None), ("a\ud7ff", "a\ue000"), ("z", "{"), ("a\uffff", "a\U00010000")],
)
def test_the_end_of_a_beginning_is_the_next_text_by_code_point(start: str, end: str | None) -> None:
    assert listing._end_of(start) == end


def test_the_directory_is_searched_by_beginnings_of_usernames_and_not_of_addresses(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_USERS_DIRECTORY": "authenticated"})
    client = site.client_for(site.user("ann@example.com", username="ann"))

    assert named(client, "username_starts_with=an") == ["ann"]
    assert client.get("/api/users?email_starts_with=ann").status_code == 403
    assert client.get("/api/users?email_starts_with=ann&sort=id").status_code == 403


# Indexes

OURS = {"created_at", "updated_at", "username_normalized", "is_active"}


def test_the_indexes_have_names_of_their_own_and_bounds(site: Site) -> None:
    indexes = {index.name: [column.name for column in index.columns] for index in site.accounts.User.__table__.indexes}

    assert indexes == {f"ix_users_{name}_id": [name, "id"] for name in OURS}


def test_names_and_addresses_are_sorted_by_code_point_on_postgresql(make_site: MakeSite, server_urls: Callable[[str], str]) -> None:
    site = make_site(url=server_urls("postgresql"))
    asked = sa.text("SELECT column_name FROM information_schema.columns WHERE table_name = 'users' AND collation_name = 'C'")
    with site.app.app_context():
        assert {"email", "username_normalized"} <= set(site.db.session.execute(asked).scalars())


def test_own_columns_and_tables_of_long_names_have_them_too(make_site: MakeSite, every_database_url: str) -> None:
    def setup(db: SQLAlchemy) -> dict[str, Any]:
        class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
            __tablename__ = "people_of_the_company_and_its_many_daughters_in_europe_2"
            id: Mapped[int] = mapped_column("person_no", primary_key=True)
            email: Mapped[str] = mapped_column("order", sa.String(100), unique=True, nullable=False)
            is_active: Mapped[bool] = mapped_column("group", sa.Boolean, nullable=False, default=True)
            username_normalized: Mapped[str | None] = mapped_column("select", sa.String(64), unique=True)

        return {"user_model": Person}

    site = make_site(url=every_database_url, setup=setup)
    site.user("ann@example.com", username="ann", is_active=False)
    client = site.client_for(site.admin())

    assert (
        named(client, "is_active=false")
        == named(client, "email_starts_with=an")
        == named(client, "username_starts_with=an")
        == ["ann"]
    )
    with site.app.app_context():
        found = {index["name"] for index in sa.inspect(site.db.engine).get_indexes(site.accounts.User.__tablename__)}
    table = site.accounts.User.__table__
    assert {index_name(table, f"{name}_id") for name in OURS} <= found
    assert all(len(str(name)) <= 63 for name in found)


def test_what_the_host_has_declared_already_is_left_alone() -> None:
    db = SQLAlchemy()

    class User(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "users"
        created_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), nullable=False, index=True)
        __table_args__ = (sa.Index("ix_users_is_active_id", "is_active", "id", "email"),)

    Accounts(db, user_model=User)

    assert {str(index.name) for index in User.__table__.indexes} == {"ix_users_created_at"} | {
        f"ix_users_{name}_id" for name in OURS
    }
