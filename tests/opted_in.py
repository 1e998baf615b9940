"""The site with every feature that a host has to choose; imported as a fixture by the tests of those."""

from __future__ import annotations

from typing import Any

import pytest

from flask_accounts import default_features, opt_in_features
from tests.conftest import MakeSite, Site


@pytest.fixture
def make_site(make_site: MakeSite) -> MakeSite:
    """As ever, with the opt-in features unless the test names its own."""

    def make(**kwargs: Any) -> Site:
        return make_site(**{"features": [*default_features(), *opt_in_features()]} | kwargs)

    return make
