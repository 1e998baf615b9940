"""For Alembic: what it must leave alone.

from flask_accounts.migrations import include_object

Migrate(app, db, include_object=include_object)
"""

from __future__ import annotations

from typing import Any

from .core.models import index_name
from .features.users.search_index import SUFFIX


def include_object(object: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:  # Alembic's own signature
    """Whether autogenerate may look at a part of the database: not at the index of `flask accounts search-index`, which it would drop.

    A hook of Alembic's (`context.configure(include_object=...)`). A host with one of its own asks both.
    """
    if type_ != "index" or not reflected or compare_to is not None:
        return True
    return bool(name != index_name(object.table, SUFFIX))
