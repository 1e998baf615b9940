"""flask accounts search-index, and that Alembic leaves it alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Mapped, mapped_column

from flask_accounts import UserMixin
from flask_accounts.migrations import include_object
from tests.conftest import MakeSite, Site


def own_user(db: SQLAlchemy) -> dict[str, Any]:
    class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "order"
        email: Mapped[str] = mapped_column("Mail", sa.String(254), unique=True, nullable=False)

    return {"user_model": Person}


@pytest.fixture(params=[None, own_user], ids=["default", "own names"])
def postgres(request: pytest.FixtureRequest, make_site: MakeSite, server_urls: Callable[[str], str]) -> Site:
    return make_site(url=server_urls("postgresql"), setup=request.param)


@pytest.fixture
def weak(postgres: Site) -> Iterator[Site]:
    """The database user may read and write the tables, and does not own them."""
    with postgres.app.app_context():
        engine = postgres.db.engine
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE ROLE accounts_weak"))

        def become(dbapi: Any, record: Any, proxy: Any = None) -> None:
            with dbapi.cursor() as cursor:
                cursor.execute("SET ROLE accounts_weak")
            dbapi.commit()

        sa.event.listen(engine, "checkout", become)
        yield postgres
        sa.event.remove(engine, "checkout", become)
        engine.dispose()
        with engine.begin() as connection:
            connection.execute(sa.text("DROP ROLE accounts_weak"))


def run(site: Site, *words: str, fails: bool = False) -> str:
    answer = site.app.test_cli_runner().invoke(args=["accounts", "search-index", *words])
    assert bool(answer.exit_code) == fails, answer.output
    return answer.output


def differences(site: Site, **options: Any) -> list[Any]:
    """What `flask db migrate` would find."""
    with site.app.app_context(), site.db.engine.connect() as connection:
        found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=options), site.db.metadata)
        return found


def test_it_is_made_shown_used_and_dropped_and_nothing_twice(postgres: Site) -> None:
    site = postgres
    name = f"ix_{site.accounts.User.__tablename__}_search"
    site.user("joanna@example.com", username="Hannah")

    assert run(site, "show") == "There is no search index.\n"
    assert run(site, "create").startswith(f"{name} serves searches (")
    assert run(site, "create") == run(site, "show")
    assert '"valid": true' in run(site, "show", "--json")
    assert searched(site, "nnah") == searched(site, "oann") == 1
    assert name in plan(site, "nnah")
    assert run(site, "drop") == f"Dropped {name}.\n"
    assert run(site, "drop") == "There is no search index.\n"


def searched(site: Site, text: str) -> int:
    total: int = (
        site.client_for(site.admin(f"{text}@boss.example")).get(f"/api/users?search={text}&is_active=true").get_json()["total"]
    )
    return total - 1  # the asking administrator's own address


def plan(site: Site, text: str) -> str:
    """How a search goes about it; with so few accounts PostgreSQL would read them all, and rightly."""
    with site.app.app_context(), site.db.engine.connect() as connection:
        table = site.accounts.User.__table__
        columns = site.testing.runtime.users.c
        found = sa.or_(*(columns[name].contains(text, autoescape=True) for name in ("username_normalized", "email")))
        statement = sa.select(table).where(found).compile(connection, compile_kwargs={"literal_binds": True})
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        return "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}"))


def test_one_that_was_not_finished_is_said_to_be_so_and_made_anew(postgres: Site) -> None:
    run(postgres, "create")
    with postgres.app.app_context(), postgres.db.engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE pg_index SET indisvalid = false FROM pg_class WHERE oid = indexrelid AND relname LIKE 'ix%search'")
        )

    assert "was begun and not finished" in run(postgres, "show")
    assert "serves searches" in run(postgres, "create")
    assert "serves searches" in run(postgres, "show")


def test_alembic_would_drop_it_and_does_not_with_our_hook(postgres: Site) -> None:
    run(postgres, "create")

    assert [difference[0] for difference in differences(postgres)] == ["remove_index"]
    assert differences(postgres, include_object=include_object) == []


def test_without_the_rights_it_says_which_are_missing(weak: Site) -> None:
    said = run(weak, "create", fails=True)

    assert "may not do this" in said
    assert "CREATE EXTENSION pg_trgm" in said


@pytest.mark.parametrize("word", ["create", "drop", "show"])
def test_on_another_database_it_says_that_it_is_postgresqls(make_site: MakeSite, tmp_path: Any, word: str) -> None:
    said = run(make_site(url=f"sqlite:///{tmp_path / 'other.db'}"), word, fails=True)

    assert "is one of PostgreSQL's" in said
    assert "email_starts_with" in said
