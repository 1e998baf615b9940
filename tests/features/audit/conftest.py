import pytest

from tests.conftest import MakeSite, Site


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A new one: the log goes on with a chain that a shared site has begun for an earlier test."""
    return make_site()
