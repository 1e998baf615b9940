"""What a forked child must not share with its parent: the database connections that lie in a pool.

Two processes that talk through one socket read each other's answers: a worker could show one person what
another has asked for. gunicorn with `--preload` forks after the app is made, and an app that has touched
the database by then (a table made, a role seeded) has such connections. So the child begins with empty pools;
the parent's connections are left to it, open.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import SingletonThreadPool, StaticPool

ObjectT = TypeVar("ObjectT")


def in_child(target: ObjectT, act: Callable[[ObjectT], object]) -> None:
    """Do `act` with `target` in every forked child, for as long as `target` lives. The hook itself does not keep it alive."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=partial(_with, weakref.ref(target), act))


def begin_empty(engine: sa.Engine) -> None:
    """Begin with an empty pool, leaving its connections to the parent. A database in memory is its one connection, and stays."""
    if not isinstance(engine.pool, StaticPool | SingletonThreadPool):
        engine.dispose(close=False)


def _with(found: weakref.ref[ObjectT], act: Callable[[ObjectT], object]) -> None:
    target = found()
    if target is not None:
        act(target)
