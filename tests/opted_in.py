"""The site with every feature that a host has to choose; imported as fixtures by the tests of those."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import MakeSite, Site
from tests.sites import SharedSite, every_feature


@pytest.fixture
def make_site(make_site: MakeSite) -> MakeSite:
    """As ever, with the opt-in features unless the test names its own."""

    def make(**kwargs: Any) -> Site:
        return make_site(**{"features": every_feature()} | kwargs)

    return make


@pytest.fixture
def site(shared_opted_in: SharedSite) -> Iterator[Site]:
    """As ever, with the opt-in features."""
    yield shared_opted_in.lend()
    shared_opted_in.take_back()
