from __future__ import annotations

from typing import Any

import pytest

from flask_accounts import default_features
from flask_accounts.features.audit import Audit
from tests.conftest import MakeSite, Site


@pytest.fixture
def make_site(make_site: MakeSite) -> MakeSite:
    """As ever, with the audit log unless the test names its own features."""

    def make(**kwargs: Any) -> Site:
        return make_site(**{"features": [*default_features(), Audit()]} | kwargs)

    return make
