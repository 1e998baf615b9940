"""pytest fixtures for hosts, on top of an `app` fixture of their own (with `TESTING` on and tables made).

    def test_me(make_user, client_for):
        assert client_for(make_user("ann@example.com")).get("/api/auth/me").status_code == 200

The test tools are imported when a fixture is first used; nothing happens before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient

    from .core.mail import Message
    from .testing import AccountsTesting, MovableClock


@pytest.fixture
def accounts_testing(app: Flask) -> AccountsTesting:
    """The test tools of the host's `app`."""
    from .testing import AccountsTesting

    return AccountsTesting(app)


@pytest.fixture
def accounts_clock(accounts_testing: AccountsTesting) -> MovableClock:
    """The app's clock; `accounts_clock.move(minutes=16)`."""
    return accounts_testing.clock


@pytest.fixture
def accounts_outbox(accounts_testing: AccountsTesting) -> list[Message]:
    """Every mail the app has sent."""
    return accounts_testing.outbox


@pytest.fixture
def make_user(accounts_testing: AccountsTesting) -> Callable[..., Any]:
    """Makes an account; arguments as `AccountsTesting.make_user`."""
    return accounts_testing.make_user


@pytest.fixture
def client_for(accounts_testing: AccountsTesting) -> Callable[..., FlaskClient]:
    """Makes a test client signed in as a user."""
    return accounts_testing.client
