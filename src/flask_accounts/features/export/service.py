"""Gathering the parts of an export, the features' and the host's."""

from __future__ import annotations

import logging
from typing import Any

import sqlalchemy.exc
from pydantic_core import to_jsonable_python

from ...core.errors import ExportFailed, NotFound
from ...core.events import Client, Key, UserExported
from ...core.feature import Service
from ...core.runtime import Exporter

logger: logging.Logger = logging.getLogger("flask_accounts.export")

HOST = "application"
"""The member that holds the host's own parts, so that no feature to come takes one's name."""


class ExportService(Service):
    """Everything stored about an account. `user` is an object of the user class, a view or a key. Nothing here commits."""

    def make(self, user: Any, *, actor_id: Key | None = None, client: Client | None = None) -> dict[str, Any]:  # JSON values
        """The document, ready for JSON: `exported_at`, `account`, a part of each feature that stores something, and `application`.

        No passwords, tokens, codes or hashes. Tells of itself by `UserExported`. `NotFound`; `ExportFailed` where an exporter of
        the host's fails: what went wrong is logged, and nothing is left out in silence.
        """
        runtime = self.runtime
        found = runtime.users.get(runtime.users.key_of(user)) if runtime.exporters else None
        key, now = runtime.users.key_of(user), runtime.clock.now()
        parts = runtime.export(key)
        if "account" not in parts:
            raise NotFound
        document: dict[str, Any] = {"exported_at": to_jsonable_python(now), **parts}
        if runtime.exporters:
            document[HOST] = {name: self._of_host(name, exporter, found) for name, exporter in runtime.exporters.items()}
        runtime.events.emit(UserExported(user_id=key, actor_id=actor_id, client=client, at=now))
        return document

    def _of_host(self, name: str, exporter: Exporter, user: Any) -> Any:
        try:
            return to_jsonable_python(exporter(user), bytes_mode="base64", inf_nan_mode="null")
        except sqlalchemy.exc.OperationalError:
            raise  # the database is away, or asks to begin anew
        except Exception as error:
            logger.exception("The exporter %r failed.", name)
            raise ExportFailed(f"The part {name!r} could not be made.") from error
