"""A process that forks after it has talked to the database: parent and child never meet on one connection."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import sqlalchemy as sa

FORKING = """
import os, sys
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_accounts import Accounts
from flask_accounts.testing import FastHasher

db = SQLAlchemy()
accounts = Accounts(db, hasher=FastHasher())
app = Flask("forking")
app.config.update(SQLALCHEMY_DATABASE_URI=sys.argv[1], SECRET_KEY="k" * 48, ACCOUNTS_MAIL_BACKEND="console")
accounts.init_app(app)
ann = {"email": "ann@example.com", "password": "seven brown foxes"}


def connections():  # those of the request's pool and of the counters'
    with app.app_context():
        engines = [db.engine, *accounts.runtime.aside._seconds.values()]
        found = []
        for engine in engines:
            with engine.connect() as connection:
                found.append(connection.scalar(sa.text("SELECT pg_backend_pid()")))
        return found


def sign_in():
    with app.app_context():
        db.session.execute(sa.text("SELECT 1"))  # so that the counters need a connection of their own
        answer = app.test_client().post("/api/auth/login", json=ann)
        runtime = accounts.runtime
        runtime.aside.run(lambda connection: connection.execute(sa.text("SELECT 1")))
    return answer.status_code


with app.app_context():
    db.create_all()
assert app.test_client().post("/api/auth/register", json=ann).status_code == 201
assert sign_in() == 200
before = connections()
assert len(before) == 2, before

child = os.fork()
if not child:
    try:
        assert sign_in() == 200
        assert not set(connections()) & set(before), "a connection of the parent"
        with app.app_context():
            db.engine.dispose()  # as an app's own hook may do
        os._exit(0)
    except BaseException as error:
        print(repr(error), flush=True)
        os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert sign_in() == 200
assert connections() == before, "the child has ended a connection of the parent"
with app.app_context():
    db.drop_all()
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_connections_of_its_own_and_leaves_its_parents_alone(server_urls: Callable[[str], str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING, server_urls("postgresql")], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stdout == "done\n", done.stdout + done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_database_in_memory_goes_along_to_the_child() -> None:
    """It is its one connection: an empty pool would be an empty database."""
    from flask_accounts.core.forks import begin_empty

    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE kept (x)"))

    begin_empty(engine)

    assert sa.inspect(engine).get_table_names() == ["kept"]
    engine.dispose()
