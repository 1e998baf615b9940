"""A sign-in on a device that the account has not used before is told of, and costs next to nothing where it has."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from flask_accounts import ConfigurationError, events
from flask_accounts.core.devices import neighbourhood
from flask_accounts.features.devices.service import DeviceService
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
NEWER_FIREFOX = FIREFOX.replace("130", "151")
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
HOME, NEAR, AWAY = "203.0.113.7", "203.0.4.9", "198.51.100.9"


def sign_in(site: Site, agent: str = FIREFOX, address: str = HOME, email: str = "ann@example.com", **body: Any) -> TestResponse:
    return site.client.post(
        "/api/auth/login", json={"email": email, "password": PASSWORD, **body},
        headers={"User-Agent": agent}, environ_base={"REMOTE_ADDR": address},
    )  # fmt: skip


def told(site: Site, *places: tuple[str, str]) -> list[str]:
    """The devices of the events that sign-ins at `places` (agent and address) bring."""
    with site.testing.recorded() as found:
        for agent, address in places:
            answer = sign_in(site, agent, address)
            assert answer.status_code == 200, answer.text
    return [event.device for event in found if isinstance(event, events.SignedInOnNewDevice)]


def rows(site: Site) -> list[Any]:
    with site.app.app_context():
        return list(site.db.session.execute(sa.text("SELECT * FROM accounts_devices ORDER BY device, network")))


@pytest.fixture
def ann(site: Site) -> Site:
    """The site with Ann, who has signed in at home with Firefox."""
    site.user("ann@example.com")
    assert told(site, (FIREFOX, HOME)) == []
    return site


# When


@pytest.mark.requirement("ASVS 6.3.5")
def test_the_first_sign_in_of_an_account_tells_nothing(site: Site) -> None:
    site.user("ann@example.com")
    site.user("bob@example.com")

    assert told(site, (FIREFOX, HOME)) == []
    with site.testing.recorded() as found:
        assert sign_in(site, CHROME, AWAY, "bob@example.com").status_code == 200
    assert not [event for event in found if isinstance(event, events.SignedInOnNewDevice)]
    assert len(rows(site)) == 2


@pytest.mark.requirement("ASVS 6.3.5")
@pytest.mark.parametrize(
    ("agent", "address", "device"),
    [(CHROME, HOME, "Chrome on Windows"), (FIREFOX, AWAY, "Firefox on Linux"), ("", HOME, "Unknown device")],
)
def test_another_browser_or_another_place_is_told_of_once(ann: Site, agent: str, address: str, device: str) -> None:
    assert told(ann, (agent, address), (agent, address)) == [device]


def test_the_event_says_which_session_and_where_from(ann: Site) -> None:
    with ann.testing.recorded() as found:
        sign_in(ann, CHROME, AWAY)

    [new] = [event for event in found if isinstance(event, events.SignedInOnNewDevice)]
    [opened] = [event for event in found if isinstance(event, events.SignedIn)]
    assert (new.session_id, new.user_id, new.at) == (opened.session_id, opened.user_id, opened.at)
    assert new.client is not None
    assert (new.client.address, new.client.user_agent) == (AWAY, CHROME)


@pytest.mark.parametrize(("agent", "address"), [(NEWER_FIREFOX, HOME), (FIREFOX, NEAR), (FIREFOX, "::ffff:203.0.113.7")])
def test_an_update_or_a_new_address_of_the_same_line_is_no_new_device(ann: Site, agent: str, address: str) -> None:
    assert told(ann, (agent, address)) == []
    assert len(rows(ann)) == 1


def test_one_accounts_device_is_not_anothers(ann: Site) -> None:
    ann.user("bob@example.com")
    sign_in(ann, CHROME, AWAY, "bob@example.com")

    assert told(ann, (CHROME, AWAY)) == ["Chrome on Windows"]


def test_a_refused_sign_in_makes_no_device_known(ann: Site) -> None:
    wrong = sign_in(ann, CHROME, AWAY, password="wrong password here")

    assert wrong.status_code == 401
    assert len(rows(ann)) == 1
    assert told(ann, (CHROME, AWAY)) == ["Chrome on Windows"]


def test_a_device_that_was_not_seen_for_long_is_new_again(ann: Site) -> None:
    ann.testing.clock.move(days=89)
    assert told(ann, (FIREFOX, HOME)) == []
    ann.testing.clock.move(days=89)
    assert told(ann, (FIREFOX, HOME)) == []

    ann.testing.clock.move(days=90)

    assert told(ann, (FIREFOX, HOME), (FIREFOX, HOME)) == ["Firefox on Linux"]


def test_how_long_and_how_near_are_settings(make_site: MakeSite) -> None:
    config = {"ACCOUNTS_DEVICES_KNOWN_FOR": "P7D", "ACCOUNTS_DEVICES_IPV4_PREFIX": 32, "ACCOUNTS_DEVICES_IPV6_PREFIX": 64}
    site = make_site(config=config)
    site.user("ann@example.com")
    told(site, (FIREFOX, HOME), (FIREFOX, "2001:db8::1"))

    assert told(site, (FIREFOX, NEAR), (FIREFOX, "2001:db8::2"), (FIREFOX, "2001:db8:0:1::1")) == ["Firefox on Linux"] * 2
    site.testing.clock.move(days=7)
    assert told(site, (FIREFOX, HOME)) == ["Firefox on Linux"]


@pytest.mark.parametrize(("name", "value"), [("KNOWN_FOR", 0), ("IPV4_PREFIX", 33), ("IPV4_PREFIX", 0), ("IPV6_PREFIX", 129)])
def test_settings_that_cannot_be_are_refused(make_site: MakeSite, name: str, value: int) -> None:
    with pytest.raises(ConfigurationError, match=name):
        make_site(config={f"ACCOUNTS_DEVICES_{name}": value})


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.0.0/16"), ("::ffff:203.0.113.7", "203.0.0.0/16"), ("2001:db8:1:2::3", "2001:db8::/32"),
        ("fe80::1%eth0", "fe80::/32"), (None, "unknown"), ("", "unknown"), ("unix:", "unknown"), ("203.0.113", "unknown"),
    ],
)  # fmt: skip
def test_the_neighbourhood_of_an_address(address: str | None, network: str) -> None:
    assert neighbourhood(address, 16, 32) == network


# What it costs


def test_a_known_device_writes_once_a_day_and_reads_nothing_of_its_own(ann: Site) -> None:
    def writes() -> list[str]:
        ann.statements.clear()
        assert told(ann, (FIREFOX, HOME)) == []
        return [text for text in ann.statements if "accounts_devices" in text and not text.startswith("SELECT")]

    ann.statements.clear()
    told(ann, (FIREFOX, HOME))
    reads = [text for text in ann.statements if "accounts_devices" in text]
    assert len(reads) == 1
    assert "password_hash" in reads[0]  # the statement that reads the account
    ann.testing.clock.move(hours=23)
    assert writes() == []
    ann.testing.clock.move(hours=1)
    assert [text.partition(" ")[0] for text in writes()] == ["UPDATE"]
    assert writes() == []


@pytest.mark.requirement("ASVS 15.4.2")
def test_a_new_device_on_every_database_at_once_is_told_of_once(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url, config={"SQLALCHEMY_ENGINE_OPTIONS": {"connect_args": {"timeout": 30}}}
                     if every_database_url.startswith("sqlite") else {})  # fmt: skip
    site.user("ann@example.com")
    told(site, (FIREFOX, HOME))
    barrier, answers = threading.Barrier(6), []

    def act() -> None:
        barrier.wait()
        answers.append(sign_in(site, CHROME, AWAY).status_code)

    for _ in range(2):  # unknown, then known no more
        threads = [threading.Thread(target=act) for _ in range(6)]
        with site.testing.recorded() as found:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert answers == [200] * 6
        assert len([event for event in found if isinstance(event, events.SignedInOnNewDevice)]) == 1
        assert len(rows(site)) == 2
        answers.clear()
        site.testing.clock.move(days=90)


# What is kept


def test_no_whole_address_and_no_user_agent_is_kept(ann: Site) -> None:
    [row] = rows(ann)

    assert (row.device, row.network) == ("Firefox on Linux", "203.0.0.0/16")
    assert HOME not in str(row)
    assert "Mozilla" not in str(row)


def test_the_owner_gets_the_devices_with_the_export(ann: Site) -> None:
    ann.testing.clock.move(days=2)
    told(ann, (CHROME, AWAY), (FIREFOX, HOME))
    ann.testing.clock.move(days=2)
    told(ann, (CHROME, AWAY))
    with ann.app.app_context():
        user = ann.db.session.execute(sa.select(ann.accounts.User)).scalar_one()
        exported = ann.testing.runtime.export(user.id)["devices"]
        other = ann.user("bob@example.com")
        assert "devices" not in ann.testing.runtime.export(other.id)

    assert [(row["device"], row["network"]) for row in exported] == [
        ("Chrome on Windows", "198.51.0.0/16"), ("Firefox on Linux", "203.0.0.0/16"),
    ]  # fmt: skip
    assert set(exported[0]) == {"device", "network", "first_seen_at", "last_seen_at"}
    assert exported[0]["first_seen_at"] < exported[0]["last_seen_at"]


def test_a_deleted_account_leaves_no_devices(ann: Site) -> None:
    ann.user("bob@example.com")
    sign_in(ann, CHROME, AWAY, "bob@example.com")
    with ann.app.app_context():
        ann.accounts.users.delete(ann.db.session.execute(sa.select(ann.accounts.User)).scalars().first())
        ann.db.session.commit()

    assert [row.device for row in rows(ann)] == ["Chrome on Windows"]


def test_host_code_may_forget_an_accounts_devices(ann: Site) -> None:
    ann.user("bob@example.com")
    sign_in(ann, FIREFOX, HOME, "bob@example.com")
    with ann.app.app_context():
        user = ann.db.session.execute(sa.select(ann.accounts.User)).scalars().first()
        ann.testing.runtime.get(DeviceService).forget(user)
        ann.db.session.commit()

    assert len(rows(ann)) == 1
    assert told(ann, (CHROME, AWAY), (FIREFOX, HOME)) == ["Firefox on Linux"]


def test_old_devices_are_purged_but_for_those_of_accounts_that_sleep(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url)
    site.user("ann@example.com")
    site.user("bob@example.com")
    told(site, (FIREFOX, HOME), (CHROME, AWAY))
    sign_in(site, FIREFOX, HOME, "bob@example.com")
    site.testing.clock.move(timedelta(days=60))
    told(site, (CHROME, AWAY))
    site.testing.clock.move(timedelta(days=30))
    with site.app.app_context():
        gone = site.testing.runtime.get(DeviceService).purge()
        site.db.session.commit()

    assert gone == 1
    assert [row.device for row in rows(site)] == ["Chrome on Windows", "Firefox on Linux"]
    with site.testing.recorded() as found:
        sign_in(site, CHROME, AWAY, "bob@example.com")
    assert [event.device for event in found if isinstance(event, events.SignedInOnNewDevice)] == ["Chrome on Windows"]


@pytest.mark.parametrize("key", ["int", "uuid7"])
def test_every_database_and_key_has_devices(make_site: MakeSite, every_database_url: str, key: str) -> None:
    site = make_site(url=every_database_url, user_key=key)
    site.user("ann@example.com")

    assert told(site, (FIREFOX, HOME), (CHROME, HOME), (FIREFOX, HOME)) == ["Chrome on Windows"]
    site.testing.clock.move(days=1)
    assert told(site, (FIREFOX, HOME)) == []
    assert len(rows(site)) == 2


def test_the_key_of_the_table_begins_with_the_account_so_that_its_devices_are_found_by_it(site: Site) -> None:
    key = site.db.metadata.tables["accounts_devices"].primary_key

    assert key.columns.keys() == ["user_id", "device", "network"]
