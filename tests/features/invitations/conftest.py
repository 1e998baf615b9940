"""Who invites."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import Site


@pytest.fixture
def boss(site: Site) -> FlaskClient:
    """An administrator's client."""
    client = site.client_for(site.admin())
    site.testing.outbox.clear()
    return client


@pytest.fixture
def helper(site: Site) -> Any:
    """An account that may invite and see accounts, and no more."""
    user = site.user("helper@example.com", permissions=["invitations:read", "invitations:write", "users:read"])
    site.testing.outbox.clear()
    return user
