"""What an export looks like."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import pydantic
from pydantic import ConfigDict, Field

from ...core.schemas import ABSENT, Output


class ExportSchema(Output):
    """Everything stored about an account. Beside these members there is one of each feature that stores something."""

    model_config: ClassVar[pydantic.ConfigDict] = ConfigDict(extra="allow")

    exported_at: datetime
    account: dict[str, Any]
    """The account's own columns and its roles."""
    application: dict[str, Any] = Field(default={}, json_schema_extra={ABSENT: True})
    """What the application adds."""
