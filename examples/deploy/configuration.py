"""What the environment says of a deployed app, read when the app is made. `.env.example` lists it.

Every setting of the accounts and of Flask-JWT-Extended can be given by its own name (`ACCOUNTS_LIMITS_STORAGE`); a name
that there is not is refused at start. Lists and objects are written as JSON.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

SETTINGS = ("ACCOUNTS_", "JWT_")


def from_environment(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Configuration for `create_app("production", ...)`."""
    given = {name: _value(text) for name, text in environment.items() if name.startswith(SETTINGS) and text}
    return {**given, "SQLALCHEMY_ENGINE_OPTIONS": engine_options(environment)}


def engine_options(environment: Mapping[str, str]) -> dict[str, Any]:
    """A pool that has a connection for every thread, and waits that end: each of them is then a 503 and not a hanging worker."""
    options: dict[str, Any] = {
        "pool_size": int(environment.get("DATABASE_POOL_SIZE") or environment.get("WEB_THREADS") or 4),
        "max_overflow": int(environment.get("DATABASE_MAX_OVERFLOW") or 2),
        "pool_timeout": float(environment.get("DATABASE_POOL_TIMEOUT") or 5),
        "pool_recycle": 1800,
    }
    if sa.make_url(environment["DATABASE_URL"]).get_backend_name() == "postgresql":
        limits = {"statement_timeout": "10s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "30s"}
        options["connect_args"] = {
            "connect_timeout": 5, "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
        }  # fmt: skip
    return options


def proxies(environment: Mapping[str, str] = os.environ) -> int:
    """How many proxies of one's own every request passes."""
    return int(environment.get("TRUSTED_PROXIES") or 1)


def _value(text: str) -> Any:  # any JSON value
    return json.loads(text) if text.startswith(("[", "{")) else text
