"""What a database's error means: begin anew, come back later, or a mistake of ours.

    is_overtaken    the transaction was undone for another's sake (a deadlock, an outdated snapshot): the same may work now
    is_locked_out   another connection holds SQLite's lock: the same
    is_lost         the connection broke; what was not committed is undone
    unavailable     the 503 for these and all else that goes by without anybody changing the code: a server that is away, full
                    or being replaced, a pool without a free connection, a lock that was waited for in vain

Everything else is a mistake (a missing table, a wrong statement) and none of this module's business: it must surface.
"""

from __future__ import annotations

import logging
import random
import time

import sqlalchemy.exc
from sqlalchemy.orm import Session

from .errors import ServiceUnavailable

logger: logging.Logger = logging.getLogger("flask_accounts.database")

SOON = 1
"""Seconds after which to try again where only others are in the way."""

OVERTAKEN_STATES = frozenset({"40001", "40P01"})
"""SQLSTATEs of a serialisation failure and a deadlock."""
OVERTAKEN_NUMBERS = frozenset({1020, 1213})
"""MariaDB's and MySQL's: a row changed since the snapshot, and a deadlock."""
AWAY_CLASSES = frozenset({"08", "40", "53", "57", "58"})
"""SQLSTATE classes: connection, transaction undone, resources, operator's intervention, outside the database."""
AWAY_STATES = frozenset({"25006", "25P03", "55P03"})
"""A standby that does not write (yet), a transaction that was idle too long, a lock that was not to be had."""
MISTAKEN_NUMBERS = frozenset({1054, 1146, 1305, 1364})
"""What MySQL's drivers call operational, yet is a mistake: unknown column, table or function, and a column without a default."""
SQLITE_ERROR = 1
"""SQLite's primary code for mistakes in SQL, and for tables and columns that are not there."""
SQLITE_BUSY = 5
"""Another connection holds the lock. Waited for in vain, or not at all where waiting could not have helped."""
RECONNECTING = "8s2b"
"""SQLAlchemy's code for using a transaction further whose connection was lost."""


TRIES = 5
"""How often what was overtaken is begun in all."""
PATIENCE = 5.0
"""Seconds after the first failure in which it is begun anew: SQLite may have been waited for as long before each."""
PAUSE = 0.01
"""Seconds of the longest first pause; each later one may be twice as long. At random, so that two do not meet again and again."""


class Anew:
    """Counts how often one thing is begun anew."""

    def __init__(self) -> None:
        self._begun = 1
        self._until = time.monotonic() + PATIENCE

    def may(self) -> bool:
        """Whether to begin once more; if so, after a short pause."""
        if self._begun >= TRIES or time.monotonic() >= self._until:
            return False
        time.sleep(random.uniform(0, PAUSE * 2 ** (self._begun - 1)))  # noqa: S311  # no secret
        self._begun += 1
        return True


def is_overtaken(error: BaseException) -> bool:
    """Whether the database undid the transaction for another's sake, so that it can be done again."""
    if not isinstance(error, sqlalchemy.exc.DBAPIError):
        return False
    return _state(error) in OVERTAKEN_STATES or _number(error) in OVERTAKEN_NUMBERS


def is_locked_out(error: BaseException) -> bool:
    """Whether another connection held SQLite's lock for too long, or took it between our reading and our writing."""
    return isinstance(error, sqlalchemy.exc.DBAPIError) and _sqlite(error) == SQLITE_BUSY


def is_lost(error: BaseException) -> bool:
    """Whether the connection broke. Of a COMMIT that fails so nobody knows whether it was carried out."""
    return isinstance(error, sqlalchemy.exc.DBAPIError) and error.connection_invalidated


def unavailable(error: BaseException) -> ServiceUnavailable | None:
    """The 503 that an error of the database comes to, noted in the log; None for a mistake, which must surface.

    Parameters of the failed statement are never logged: they may be password hashes (ASVS 16.2.5).
    """
    if not _is_fault(error):
        return None
    hide_parameters(error)
    logger.error(
        "The database is not available: %s", _reason(error), exc_info=error if logger.isEnabledFor(logging.DEBUG) else None
    )
    crowded = is_overtaken(error) or is_locked_out(error) or isinstance(error, sqlalchemy.exc.TimeoutError)
    return ServiceUnavailable(retry_after=SOON) if crowded else ServiceUnavailable()


def undo(session: Session) -> None:
    """Roll back; where the connection to do it with is gone, drop that instead. Leaves a session that works."""
    try:
        session.rollback()
    except sqlalchemy.exc.DBAPIError:
        session.invalidate()


def hide_parameters(error: BaseException) -> None:
    """Keep what was sent with the failed statement out of the error's text, before anybody logs it."""
    if isinstance(error, sqlalchemy.exc.StatementError):
        error.hide_parameters = True


def _is_fault(error: BaseException) -> bool:
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return True
    if isinstance(error, sqlalchemy.exc.PendingRollbackError):
        return error.code == RECONNECTING
    if not isinstance(error, sqlalchemy.exc.DBAPIError):
        return False
    state = _state(error)
    if error.connection_invalidated or state in AWAY_STATES or (state or "")[:2] in AWAY_CLASSES:
        return True
    operational = isinstance(error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError)
    return operational and _sqlite(error) != SQLITE_ERROR and _number(error) not in MISTAKEN_NUMBERS


def _state(error: sqlalchemy.exc.DBAPIError) -> str | None:
    """The SQLSTATE, where the driver tells it (psycopg 3 and 2)."""
    state: str | None = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    return state


def _number(error: sqlalchemy.exc.DBAPIError) -> object:
    """The error number of MySQL's drivers."""
    return error.orig.args[0] if error.orig and error.orig.args else None


def _sqlite(error: sqlalchemy.exc.DBAPIError) -> int | None:
    """SQLite's primary result code: the lower byte of the extended one."""
    code: int | None = getattr(error.orig, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _reason(error: BaseException) -> str:
    """What the driver says, in one line; the statement, and what PostgreSQL draws below, are left out."""
    cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig else error
    return f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0]}"
