"""Lockout beside its attacks (tests/security/test_guessing.py): unlocking, forgetting, settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts, Client, ConfigurationError, default_features, opt_in_features
from flask_accounts.features.lockout.models import LockoutMixin
from flask_accounts.features.lockout.settings import LockoutSettings
from flask_accounts.testing import PASSWORD
from tests.conftest import KEY, MakeSite, Site

HOME = "192.0.2.7"


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(limits=True)


def login(site: Site, password: str = "wrong", email: str = "ann@example.com") -> int:  # noqa: S107  # nobody's
    return site.login(email, password, environ_base={"REMOTE_ADDR": HOME}).status_code


def rows(site: Site) -> list[sa.RowMapping]:
    with site.app.app_context():
        return list(site.db.session.execute(sa.select(site.testing.runtime.model(LockoutMixin).__table__)).mappings())


def locked(site: Site) -> Any:
    ann = site.user("ann@example.com", username="ann")
    assert [login(site) for _ in range(6)] == [401] * 5 + [429]
    return ann


@pytest.mark.parametrize("named", ["ann@example.com", "ann", "1"])
def test_the_command_unlocks(site: Site, named: str) -> None:
    locked(site)

    with site.testing.recorded() as events:
        result = site.app.test_cli_runner().invoke(args=["accounts", "unlock", named])

    assert (result.exit_code, result.output) == (0, f"{named} may try again.\n")
    assert [event.name for event in events] == ["user.unlocked"]
    assert login(site, PASSWORD) == 200


def test_the_command_says_when_there_is_no_such_account(site: Site) -> None:
    result = site.app.test_cli_runner().invoke(args=["accounts", "unlock", "nobody@example.com"])

    assert result.exit_code == 1
    assert "There is no account" in result.output


def test_an_administrator_unlocks(site: Site) -> None:
    ann = locked(site)
    clerk = site.client_for(site.testing.make_user(permissions=["users:write"]))

    assert clerk.post(f"/api/users/{ann.id}/unlock").status_code == 204

    assert login(site, PASSWORD) == 200
    assert clerk.post("/api/users/4711/unlock").status_code == 404


@pytest.mark.requirement("ASVS 8.2.1")
def test_others_do_not_unlock(site: Site) -> None:
    ann = locked(site)

    assert site.client.post(f"/api/users/{ann.id}/unlock").status_code == 401
    assert site.client_for(site.user()).post(f"/api/users/{ann.id}/unlock").status_code == 403
    assert login(site, PASSWORD) == 429


@pytest.mark.requirement("ASVS 8.2.1")
def test_a_lesser_administrator_does_not_lay_a_mightier_account_open_to_guessing(site: Site) -> None:
    boss = site.admin()
    clerk = site.client_for(site.testing.make_user(permissions=["users:write"]))

    assert clerk.post(f"/api/users/{boss.id}/unlock").status_code == 403


@pytest.mark.requirement("ASVS 6.3.1")
def test_unlocking_an_account_leaves_the_count_of_the_address(site: Site) -> None:
    locked(site)
    before = {row["network"]: row["free_at"] for row in rows(site) if row["subject"] == "*"}

    site.app.test_cli_runner().invoke(args=["accounts", "unlock", "ann"])

    assert {row["network"]: row["free_at"] for row in rows(site) if row["subject"] == "*"} == before


def test_wrong_passwords_are_forgotten_a_day_after_the_last_wait(site: Site) -> None:
    locked(site)

    site.testing.clock.move(days=1, seconds=31)

    assert [login(site) for _ in range(6)] == [401] * 5 + [429]


@pytest.mark.requirement("ASVS 14.2.7")
def test_a_deleted_account_leaves_no_count_behind(site: Site) -> None:
    ann = locked(site)
    admin = site.client_for(site.admin())

    assert admin.delete(f"/api/users/{ann.id}").status_code == 204

    assert {row["subject"] for row in rows(site)} == {"*"} | {row["subject"] for row in rows(site) if row["known_until"]}
    assert not any(row["failures"] for row in rows(site))


def test_purge_deletes_what_says_nothing_any_more(site: Site) -> None:
    site.user("bob@example.com")
    assert login(site, PASSWORD, "bob@example.com") == 200
    locked(site)

    site.testing.clock.move(days=2)
    site.app.test_cli_runner().invoke(args=["accounts", "purge"])
    assert [row["known_until"] > 0 for row in rows(site)] == [True]

    site.testing.clock.move(days=30)
    site.app.test_cli_runner().invoke(args=["accounts", "purge"])
    assert rows(site) == []


def test_no_row_tells_an_account_or_what_was_typed(site: Site) -> None:
    """People type passwords into the wrong field."""
    login(site, "wrong", "a-typed-password")
    locked(site)

    assert not any("ann" in str(row) or "typed" in str(row) for row in rows(site))


def test_a_sign_in_by_another_way_makes_its_network_known(site: Site) -> None:
    ann = site.user("ann@example.com")

    with site.app.app_context():
        site.accounts.sessions.open(ann, amr=("swk",), client=Client(HOME))
        site.testing.runtime.commit()

    assert [row["network"] for row in rows(site) if row["known_until"]] == [HOME]


def test_what_counting_a_sign_in_costs_is_plain(make_site: MakeSite) -> None:
    """The rate limit's upsert, the lockout's two reads and its charge beside the request; and one statement with the sign-in."""
    costs = []
    for limits in (False, True):
        site = make_site(limits=limits)
        email = site.user().email if limits else site.user("ann@example.com").email
        login(site, PASSWORD, email)
        site.statements.clear()
        assert login(site, PASSWORD, email) == 200
        costs.append(len(site.statements))

    with site.app.app_context():
        # PostgreSQL is told not to wait for the disk.
        assert costs[1] - costs[0] == (6 if site.db.engine.dialect.name == "postgresql" else 5)


@pytest.mark.requirement("NIST 3.2.2")
@pytest.mark.parametrize(
    "config",
    [
        {"ACCOUNT_BURST": 70},
        {"FREE_TRIES": 20},
        {"LONGEST_DELAY": timedelta(minutes=10)},
        {"ACCOUNT_INTERVAL": timedelta(minutes=20)},
    ],
)
def test_settings_that_let_more_than_100_guesses_a_day_through_are_refused(config: dict[str, Any]) -> None:
    app = Flask("host")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY=KEY)
    app.config.update({f"ACCOUNTS_LOCKOUT_{name}": value for name, value in config.items()})

    with pytest.raises(ConfigurationError, match="100 is the most"):
        Accounts(SQLAlchemy(), app, features=[*default_features(), *opt_in_features()])


def test_the_figures_in_the_documentation_are_those_of_the_defaults() -> None:
    settings = LockoutSettings()

    said = (LockoutSettings.__doc__ or "").split()
    assert str(settings.pair_a_day()) in said
    assert str(settings.strangers_a_day()) in said
    assert f"{settings.pair_a_day() + settings.strangers_a_day()}" in said


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:1:ffff::2", "2001:db8:0:1::/64"), ("fe80::1%eth0", "fe80::/64"), (None, "unknown"), ("", "unknown"),
        ("x" * 60, "x" * 45),
    ],
)  # fmt: skip
def test_what_counts_as_one_client(address: str | None, network: str) -> None:
    assert Client(address).network == network
