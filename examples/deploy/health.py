"""`GET /healthz`: whether this process answers and reaches its database. It says nothing else, so it may be public."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Blueprint

from examples.demo.models import db

health = Blueprint("health", __name__)


@health.get("/healthz")
def healthz() -> tuple[dict[str, str], int, dict[str, str]]:
    """200, or 503 while the database does not answer."""
    try:
        _ask()
    except sa.exc.SQLAlchemyError:
        return {"status": "unavailable"}, 503, {"Cache-Control": "no-store", "Retry-After": "5"}
    return {"status": "ok"}, 200, {"Cache-Control": "no-store"}


def _ask() -> None:
    for last in (False, True):
        try:
            with db.engine.connect() as connection:
                connection.execute(sa.text("SELECT 1"))
            break
        except sa.exc.DBAPIError as error:
            if last or not error.connection_invalidated:  # a connection from before the database's restart says nothing of now
                raise
