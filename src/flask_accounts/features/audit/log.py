"""One log line for every event, on the logger `flask_accounts.audit`, once its transaction has committed."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

logger: logging.Logger = logging.getLogger("flask_accounts.audit")


def write(fields: Mapping[str, Any]) -> None:
    """Log an event: its name, then the rest as JSON in ASCII, which no value can break out of; the same as `extra` fields.

    Successes have the level INFO, failures WARNING.
    """
    level = logging.INFO if fields["outcome"] == "success" else logging.WARNING
    if not logger.isEnabledFor(level):
        return
    rest = {name: value for name, value in fields.items() if name != "event" and value not in (None, {})}
    logger.log(level, "%s %s", fields["event"], json.dumps(rest, default=str), extra=dict(fields))
