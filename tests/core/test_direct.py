"""The read on the driver's own cursor gives what SQLAlchemy gives, is one statement, and makes way wherever somebody watches."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import enum
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from flask_accounts.core.direct import DirectRead, is_watched
from flask_accounts.core.models import UtcDateTime, uuid_type
from tests.conftest import MakeSite, Site


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


class Reversed(sa.TypeDecorator[str]):
    """A host's own type."""

    impl = sa.String(20)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return value and value[::-1]

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return value and value[::-1]


NOON = dt.datetime(2026, 2, 28, 12, tzinfo=dt.UTC)
METADATA = sa.MetaData()
MADE = sa.Table(
    "direct_types", METADATA,
    sa.Column("id", uuid_type(), primary_key=True),
    sa.Column("flag", sa.Boolean), sa.Column("number", sa.Integer), sa.Column("share", sa.Float),
    sa.Column("price", sa.Numeric(12, 4)), sa.Column("text", sa.String(60)), sa.Column("long", sa.Text), sa.Column("bytes", sa.LargeBinary),
    sa.Column("day", sa.Date), sa.Column("hour", sa.Time), sa.Column("moment", sa.DateTime), sa.Column("utc", UtcDateTime),
    sa.Column("span", sa.Interval), sa.Column("tree", sa.JSON), sa.Column("pickled", sa.PickleType), sa.Column("colour", sa.Enum(Colour)),
    sa.Column("uuid", sa.Uuid), sa.Column("reversed", Reversed), sa.Column("per%cent", sa.String(20)),
)  # fmt: skip
FULL: dict[str, Any] = {
    "id": uuid.uuid4(), "flag": True, "number": -7, "share": 0.25, "price": decimal.Decimal("12.3400"), "text": "naïve ☂ %s", "long": "x" * 9,
    "bytes": b"\x00\xff", "day": dt.date(2026, 2, 28), "hour": dt.time(23, 59, 1), "moment": NOON.replace(tzinfo=None),
    "utc": NOON, "span": dt.timedelta(days=2, seconds=5), "tree": {"a": [1, None, "ü"]},
    "pickled": {1, 2}, "colour": Colour.BLUE, "uuid": uuid.uuid4(), "reversed": "forwards", "per%cent": "100 %",
}  # fmt: skip


@pytest.fixture
def engine(every_database_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(every_database_url)
    METADATA.drop_all(engine)
    METADATA.create_all(engine)
    yield engine
    METADATA.drop_all(engine)
    engine.dispose()


def by_id() -> sa.Select[Any]:
    labelled = [column.label(f"l_{column.name}") for column in MADE.c]
    fixed = sa.literal("a constant with 5 %").label("l_constant")
    return sa.select(*labelled, fixed).where(MADE.c.id == sa.bindparam("wanted", type_=uuid_type()), MADE.c.id.is_not(None))


def test_every_type_comes_out_as_sqlalchemy_gives_it(engine: sa.Engine) -> None:
    empty = {"id": uuid.uuid4()}
    with engine.begin() as connection:
        connection.execute(sa.insert(MADE), FULL)
        connection.execute(sa.insert(MADE), empty)
    read = DirectRead(by_id())
    for row in (FULL, empty, FULL):
        with engine.connect() as connection:
            usual = [dict(found) for found in connection.execute(read.statement, {"wanted": row["id"]}).mappings()]
        assert read.fetch_all(engine, {"wanted": row["id"]}) == usual
        assert len(usual) == 1
    assert read.fetch_all(engine, {"wanted": uuid.uuid4()}) == []


def test_it_holds_no_connection_and_leaves_no_transaction(every_database_url: str) -> None:
    """A pool of one: the second read would wait for ever, and what was read before would be seen for ever."""
    engine = sa.create_engine(every_database_url, poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.2)
    METADATA.drop_all(engine)
    METADATA.create_all(engine)
    read, wanted = DirectRead(by_id()), {"wanted": FULL["id"]}
    assert read.fetch_all(engine, wanted) == []
    with engine.begin() as connection:
        connection.execute(sa.insert(MADE), FULL)
    assert len(read.fetch_all(engine, wanted) or ()) == 1
    with engine.connect() as connection:  # what is left on the connection is what it began with
        connection.execute(sa.delete(MADE))
        connection.rollback()
    assert len(read.fetch_all(engine, wanted) or ()) == 1
    METADATA.drop_all(engine)
    engine.dispose()


@pytest.mark.parametrize("host", ["SET TIME ZONE 'Asia/Tokyo'", "DEALLOCATE ALL", "DISCARD ALL"])
def test_whatever_the_host_does_to_the_connection_the_next_read_is_right(server_urls: Any, host: str) -> None:
    """The driver's cursor is kept with its connection, and has learned things of it."""
    engine = sa.create_engine(server_urls("postgresql"), poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.2)
    METADATA.drop_all(engine)
    METADATA.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sa.insert(MADE), FULL)
    read, wanted = DirectRead(by_id()), {"wanted": FULL["id"]}
    before = [read.fetch_all(engine, wanted) for _ in range(8)]  # more often than the driver wants before it prepares a statement
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(host))

    after = read.fetch_all(engine, wanted)
    if after is None:  # as where the server has forgotten what was prepared: SQLAlchemy is asked, and then it is as before
        after = read.fetch_all(engine, wanted)

    assert after == before[0] == before[-1]
    METADATA.drop_all(engine)
    engine.dispose()


@contextlib.contextmanager
def heard(target: Any, name: str) -> Iterator[None]:
    def listener(*arguments: Any, **rest: Any) -> None:
        return None

    sa.event.listen(target, name, listener)
    yield
    sa.event.remove(target, name, listener)


@pytest.mark.parametrize(
    "name",
    [
        "before_execute", "after_execute", "before_cursor_execute", "after_cursor_execute", "engine_connect", "begin", "rollback", "commit",
        "do_execute", "handle_error",
    ],
)  # fmt: skip
@pytest.mark.parametrize("every", [False, True], ids=["one engine", "every engine"])
def test_it_makes_way_for_whoever_listens(tmp_path: Any, name: str, every: bool) -> None:
    """As query recorders, tracers and tests do, some of them to all engines, and some only after the first requests."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'd.db'}")
    METADATA.create_all(engine)
    read, wanted = DirectRead(by_id()), {"wanted": FULL["id"]}
    assert read.fetch_all(engine, wanted) == []
    with heard(sa.Engine if every else engine, name):
        assert read.fetch_all(engine, wanted) is None
    assert read.fetch_all(engine, wanted) == []
    engine.dispose()


def test_it_makes_way_where_statements_are_logged_or_options_are_set(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path / 'd.db'}"
    engine = sa.create_engine(url)
    assert not is_watched(engine)
    assert is_watched(sa.create_engine(url, echo=True))
    assert is_watched(sa.create_engine(url, execution_options={"schema_translate_map": {None: "tenant"}}))
    assert is_watched(engine.execution_options(schema_translate_map={None: "tenant"}))
    logger = logging.getLogger("sqlalchemy.engine")
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        assert is_watched(sa.create_engine(url))
    finally:
        logger.setLevel(level)


def test_it_makes_way_for_a_driver_that_it_was_not_tried_with(tmp_path: Any) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'd.db'}")
    engine.dialect.driver = "another"
    assert is_watched(engine)


def test_a_pooled_connection_that_broke_is_replaced_and_the_request_answered(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url)
    ann = site.client_for(site.user("ann@example.com"))
    assert ann.get("/api/auth/me").status_code == 200
    with site.app.app_context():
        pooled = site.db.engine.raw_connection()
        driver: Any = pooled.dbapi_connection
        pooled.close()
    driver.close()

    assert ann.get("/api/auth/me").status_code == 200


def test_a_database_that_cannot_be_reached_is_told_as_sqlalchemy_tells_it(make_site: MakeSite, every_database_url: str) -> None:
    """The pool itself raises the driver's own error, which nobody above would take for a database that is away."""
    site = make_site(url=every_database_url)
    with site.app.app_context():
        engine = site.db.engine
        error = engine.dialect.loaded_dbapi.OperationalError("the server is away")

        def refuse(*arguments: Any) -> Any:
            raise error

        engine.dispose()
        sa.event.listen(engine, "do_connect", refuse)
    with pytest.raises(sa.exc.OperationalError), site.app.app_context():
        site.testing.runtime.sessions.standing(uuid.uuid4())
    sa.event.remove(engine, "do_connect", refuse)


def test_an_error_is_told_as_sqlalchemy_tells_it(tmp_path: Any, make_site: MakeSite) -> None:
    site = make_site(url=f"sqlite:///{tmp_path / 'gone.db'}")
    ann = site.client_for(site.user("ann@example.com"))
    with site.app.app_context():
        site.db.drop_all()
    with pytest.raises(sa.exc.OperationalError, match="no such table"):
        ann.get("/api/auth/me")


def test_the_own_account_is_one_statement_of_the_driver_and_sqlalchemy_executes_none(site: Site) -> None:
    """Statements are counted elsewhere by a listener, for which this way is not taken: here the driver itself counts."""
    ann = site.client_for(site.user("ann@example.com"))
    assert ann.get("/api/auth/me").status_code == 200
    with site.app.app_context():
        if site.db.engine.dialect.name != "sqlite":
            pytest.skip("only sqlite3 tells what it executes")
        pooled = site.db.engine.raw_connection()
        driver: Any = pooled.dbapi_connection
        pooled.close()
    executed: list[str] = []
    driver.set_trace_callback(executed.append)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sa.Connection, "execute", None)
        assert ann.get("/api/auth/me").status_code == 200
    driver.set_trace_callback(None)

    assert len(executed) == 1
    assert executed[0].startswith("SELECT")
