"""Check-ups of the accounts' database: is it there, is it as the code expects it, is it fit for production?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from ..checkups import Deployment, Problem, checkup
from ..models import UtcDateTime

AREA = "database"
DOCS = "docs/how-to/deployment.md"
MIGRATIONS = "docs/how-to/migrations.md"
SQLITE = "docs/how-to/deployment.md#sqlite"
SERVERS = "docs/how-to/deployment.md#postgresql-and-mariadb"


@checkup("database-unreachable", "error", area=AREA, docs=DOCS)
def database_unreachable(deployment: Deployment) -> Iterator[Problem]:
    """A database that does not answer.

    Nobody signs in, and every route says 503. What reads tables is not checked.
    """
    if deployment.unreachable:
        yield Problem(
            f"The accounts' database does not answer ({deployment.unreachable}).",
            "Start it, or correct SQLALCHEMY_DATABASE_URI; for a new SQLite file, run flask db upgrade.",
        )


@checkup("tables-missing", "error", area=AREA, docs=MIGRATIONS)
def tables_missing(deployment: Deployment) -> Iterator[Problem]:
    """Tables of the accounts that are not there.

    Requests that need them say 503. What reads tables is not checked.
    """
    if not deployment.unreachable and deployment.missing_tables:
        yield Problem(f"Not there: {', '.join(deployment.missing_tables)}.", "Run flask db migrate and flask db upgrade.")


@checkup("tables-differ", "error", area=AREA, docs=MIGRATIONS, reads_tables=True)
def tables_differ(deployment: Deployment) -> Iterator[Problem]:
    """Tables of the accounts whose columns are not those of the code.

    Statements fail on what is missing, and inserts on a column that nobody fills.
    """
    for table in deployment.runtime.tables:
        there = {column["name"]: column for column in deployment.inspector.get_columns(table.name, table.schema)}
        missing = sorted(column.name for column in table.columns if column.name not in there)
        unfilled = sorted(
            name
            for name, column in there.items()
            if name not in table.columns and not column["nullable"] and column["default"] is None and not column.get("computed")
        )
        said = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has {', '.join(unfilled)}, which nothing fills"] * bool(
            unfilled
        )
        if said:
            yield Problem(f"{table.fullname} {' and '.join(said)}.", "Run flask db migrate and flask db upgrade.")


@checkup("migrations-pending", "error", area=AREA, docs=MIGRATIONS)
def migrations_pending(deployment: Deployment) -> Iterator[Problem]:
    """Migrations that are written but not run, where Flask-Migrate is set up.

    The code expects what the database has not got.
    """
    migrate: Any = deployment.app.extensions.get("migrate")
    if migrate is None or find_spec("alembic") is None or deployment.unreachable:
        return
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    if not Path(migrate.directory, "env.py").exists():
        yield Problem(
            f"There is no folder {Path(migrate.directory).name}.", "Run flask db init and flask db migrate.", severity="warning"
        )
        return
    heads = set(ScriptDirectory.from_config(migrate.migrate.get_config()).get_heads())
    options = {
        name: migrate.configure_args[name] for name in ("version_table", "version_table_schema") if name in migrate.configure_args
    }
    with migrate.db.engine.connect() as connection:
        run = set(MigrationContext.configure(connection, opts=options).get_current_heads())
    if heads - run:
        yield Problem(f"Not run: {', '.join(sorted(heads - run))} and what is before.", "Run flask db upgrade.")
    elif run - heads:
        yield Problem(
            f"The database is at {', '.join(sorted(run - heads))}, which the code does not know.",
            "Deploy the code that belongs to it.",
        )


@checkup("database-in-memory", "error", area=AREA, docs=SQLITE)
def database_in_memory(deployment: Deployment) -> Iterator[Problem]:
    """A SQLite database in memory.

    All accounts are gone when the process ends, and each process has its own.
    """
    if _is_sqlite(deployment) and _in_memory(deployment):
        yield Problem("SQLALCHEMY_DATABASE_URI is SQLite in memory.", "Set SQLALCHEMY_DATABASE_URI to a file or a server.")


@checkup("sqlite", "info", area=AREA, docs=SQLITE)
def sqlite(deployment: Deployment) -> Iterator[Problem]:
    """SQLite.

    It is good for one machine: several cannot share it, and one writes at a time.
    """
    if _is_sqlite(deployment) and not _in_memory(deployment):
        yield Problem("The accounts are in SQLite.", "With more than one machine, or many writes, take PostgreSQL or MariaDB.")


@checkup("sqlite-journal", "warning", area=AREA, docs=SQLITE)
def sqlite_journal(deployment: Deployment) -> Iterator[Problem]:
    """SQLite that lets nobody read while somebody writes, or waits for nobody.

    Under load requests fail with "database is locked".
    """
    if not _is_sqlite(deployment) or _in_memory(deployment) or deployment.unreachable:
        return
    if (mode := str(_pragma(deployment, "journal_mode")).lower()) != "wal":
        yield Problem(f"The journal mode is {mode}.", "Set PRAGMA journal_mode = WAL on connect.")
    if not _pragma(deployment, "busy_timeout"):
        yield Problem("The busy timeout is 0.", "Set PRAGMA busy_timeout = 5000 on connect.")


@checkup("sqlite-foreign-keys", "info", area=AREA, docs=SQLITE)
def sqlite_foreign_keys(deployment: Deployment) -> Iterator[Problem]:
    """SQLite that does not heed foreign keys.

    Our own tables are cleared by hand when an account is deleted; rows of the app's own stay behind.
    """
    if _is_sqlite(deployment) and not deployment.unreachable and not _pragma(deployment, "foreign_keys"):
        yield Problem("PRAGMA foreign_keys is off.", "Set PRAGMA foreign_keys = ON on connect.")


@checkup("isolation-level", "error", area=AREA, docs=SERVERS)
def isolation_level(deployment: Deployment) -> Iterator[Problem]:
    """Transactions that are none.

    With AUTOCOMMIT a refused request leaves half its work behind; with READ UNCOMMITTED one sees what others may yet take back.
    """
    if deployment.unreachable:
        return
    level = deployment.runtime.db.session.connection(bind_arguments=deployment.runtime.users.bind).get_isolation_level()
    if level in ("AUTOCOMMIT", "READ UNCOMMITTED"):
        yield Problem(f"The isolation level is {level}.", "Take isolation_level out of SQLALCHEMY_ENGINE_OPTIONS.")


@checkup("small-pool", "warning", area=AREA, docs=SERVERS)
def small_pool(deployment: Deployment) -> Iterator[Problem]:
    """Fewer connections in the pool than threads that ask for one.

    Under load threads wait for each other, and requests fail after the pool's time-out.
    """
    pool, threads = deployment.engine.pool, deployment.threads
    if not isinstance(pool, QueuePool) or threads is None:
        return
    most = pool.size() + pool._max_overflow if pool._max_overflow >= 0 else None
    if most is not None and most < threads:
        yield Problem(
            f"{threads} threads share {most} connections.",
            f"Set pool_size to {threads} in SQLALCHEMY_ENGINE_OPTIONS; the database must allow that times the processes.",
        )


@checkup("stale-connections", "info", area=AREA, docs=SERVERS)
def stale_connections(deployment: Deployment) -> Iterator[Problem]:
    """Connections that are used without a look whether they are still open.

    After a restart of the database, or an idle hour behind a proxy, the next requests fail once each.
    """
    pool: Any = deployment.engine.pool
    if not _is_sqlite(deployment) and not pool._pre_ping:
        yield Problem("pool_pre_ping is off.", "Set SQLALCHEMY_ENGINE_OPTIONS = {'pool_pre_ping': True, 'pool_recycle': 280}.")


@checkup("clocks-differ", "warning", area=AREA, docs=DOCS)
def clocks_differ(deployment: Deployment) -> Iterator[Problem]:
    """A clock of the app that is not the database's.

    One of them is wrong, and so are the lifetimes of tokens, codes and waits on one of the machines.
    """
    if _is_sqlite(deployment) or deployment.unreachable:
        return
    now = sa.func.utc_timestamp() if deployment.engine.dialect.name in ("mysql", "mariadb") else sa.func.now()
    there: datetime = deployment.runtime.users.execute(sa.select(sa.type_coerce(now, UtcDateTime))).scalar_one()
    apart = abs(there - deployment.runtime.clock.now().astimezone(UTC))
    if apart > timedelta(seconds=10):
        yield Problem(
            f"The clocks are {apart.total_seconds():.0f} seconds apart.", "Synchronise the clocks of both machines (NTP)."
        )


def _is_sqlite(deployment: Deployment) -> bool:
    return deployment.engine.dialect.name == "sqlite"


def _in_memory(deployment: Deployment) -> bool:
    return deployment.engine.url.database in (None, "", ":memory:") or "mode=memory" in (deployment.engine.url.database or "")


def _pragma(deployment: Deployment, name: str) -> Any:  # what SQLite says
    return deployment.runtime.users.execute(sa.text(f"PRAGMA {name}")).scalar()
