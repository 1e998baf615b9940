"""Attacks on the audit log: leaving no trace, removing one, forging one, and making it tell secrets."""

from __future__ import annotations

import dataclasses
import hmac
import json
import logging
import uuid
from typing import Any, ClassVar, cast

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from flask_accounts.core.events import Client, Event, SignInFailed
from flask_accounts.features.audit.record import details_of
from flask_accounts.testing import PASSWORD
from tests.conftest import KEY, MakeSite, Site, bearer
from tests.features.audit.tools import SEALS, change, codes, restart, rows, seal, service, table
from tests.opted_in import make_site as make_site

HERE: dict[str, Any] = {"headers": {"User-Agent": "Firefox/1"}, "environ_base": {"REMOTE_ADDR": "203.0.113.9"}}


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A new one: the log goes on with a chain that a shared site has begun for an earlier test."""
    return make_site()


# What leaves a trace


@pytest.mark.requirement("ASVS 16.3.1")
def test_every_attempt_to_authenticate_leaves_a_row_with_who_when_whence_and_how_it_ended(site: Site) -> None:
    ann = site.user("ann@example.com")

    def last() -> tuple[Any, ...]:
        row = rows(site)[-1]
        assert row["at"] == site.testing.clock.now()
        assert (row["address"], row["user_agent"]) == ("203.0.113.9", "Firefox/1")
        return row["name"], row["outcome"], row["subject"], json.loads(row["details"]).get("reason")

    site.login("ann@example.com", "not the password", **HERE)
    assert last() == ("session.refused", "failure", str(ann.id), "INVALID_CREDENTIALS")
    site.login("nobody@example.com", **HERE)
    assert last() == ("session.refused", "failure", None, "INVALID_CREDENTIALS")
    tokens = site.login("ann@example.com", **HERE).get_json()
    assert last() == ("session.opened", "success", str(ann.id), None)
    here = {"headers": HERE["headers"] | bearer(tokens["access_token"]), "environ_base": HERE["environ_base"]}
    site.client.post("/api/auth/reauthenticate", json={"password": "not the password"}, **here)
    assert last() == ("session.refused", "failure", str(ann.id), "INVALID_CREDENTIALS")
    site.client.post("/api/auth/reauthenticate", json={"password": PASSWORD}, **here)
    assert last() == ("session.reauthenticated", "success", str(ann.id), None)
    change_it = {"current_password": PASSWORD, "new_password": "nine purple newts"}
    site.client.post("/api/auth/password/change", json=change_it, **here)
    assert last() == ("password.changed", "success", str(ann.id), None)
    site.client.post("/api/auth/logout", **here)
    assert last() == ("session.ended", "success", str(ann.id), "logout")
    with site.app.app_context():
        site.accounts.users.disable(ann.id)
        site.db.session.commit()
    site.login("ann@example.com", "nine purple newts", **HERE)
    assert last() == ("session.refused", "failure", str(ann.id), "ACCOUNT_DISABLED")


@pytest.mark.requirement("ASVS 16.3.2")
def test_refused_access_leaves_a_row_though_the_request_fails(site: Site) -> None:
    ann = site.user("ann@example.com")

    assert site.client_for(ann).get("/api/users/", **HERE).status_code == 403

    row = rows(site)[-1]
    assert (row["name"], row["outcome"], row["actor"], row["address"]) == ("access.refused", "failure", str(ann.id), "203.0.113.9")
    assert row["session_id"] == rows(site, "session.opened")[-1]["session_id"]
    assert json.loads(row["personal"]) == {"path": "/api/users/"}


@pytest.mark.requirement("ASVS 16.3.3")
def test_a_stolen_refresh_token_and_a_missing_csrf_header_leave_rows(make_site: MakeSite) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["headers", "cookies"], "JWT_COOKIE_SECURE": False})
    site.user("ann@example.com")
    tokens = site.tokens("ann@example.com")
    for _ in range(2):
        site.client.post("/api/auth/refresh", headers=bearer(tokens["refresh_token"]))
        site.testing.clock.move(minutes=1)
    browser = site.client
    browser.post(
        "/api/auth/login", json={"email": "ann@example.com", "password": PASSWORD}, headers={"X-Token-Transport": "cookies"}
    )

    assert browser.delete("/api/auth/sessions").status_code == 403

    assert [row["outcome"] for row in rows(site, "session.reuse_detected")] == ["failure"]
    assert [json.loads(row["details"])["reason"] for row in rows(site, "session.ended")] == ["reuse"]
    assert [json.loads(row["details"])["reason"] for row in rows(site, "access.refused")] == ["CSRF_FAILED"]


@pytest.mark.requirement("ASVS 16.5.3")
def test_an_act_that_cannot_be_written_down_does_not_happen(site: Site) -> None:
    site.user("ann@example.com")
    with site.app.app_context():
        table(site).drop(site.db.engine)
        site.app.testing = site.testing.runtime.debug = False

    assert site.login("ann@example.com").status_code >= 500

    with site.app.app_context():
        sessions = site.testing.runtime.sessions.model
        assert site.db.session.scalar(sa.select(sa.func.count()).select_from(sessions)) == 0
        table(site).create(site.db.engine)


# Who may read


@pytest.mark.requirement("ASVS 8.2.1")
def test_only_holders_of_the_permission_read_what_happens_to_others(site: Site) -> None:
    ann = site.user("ann@example.com")
    clerk = site.user("clerk@example.com", permissions=["users:read", "users:write"])
    auditor = site.user("auditor@example.com", permissions=["audit:read"])

    for path in ("/api/users/events", f"/api/users/{ann.id}/events", f"/api/users/{clerk.id}/events"):
        assert site.client.get(path).status_code == 401
        assert site.client_for(ann).get(path).status_code == 403
        assert site.client_for(clerk).get(path).status_code == 403
        assert site.client_for(auditor).get(path).status_code == 200


@pytest.mark.requirement("ASVS 8.2.2")
def test_own_events_are_of_no_other_account_and_tell_nothing_of_who_acted_on_it(site: Site) -> None:
    ann, admin = site.user("ann@example.com"), site.admin("admin@example.com")
    site.user("bob@example.com")
    chief = site.client_for(admin)
    chief.post(f"/api/users/{ann.id}/disable", json={"reason": "owes us a pony"}, **HERE)
    chief.post(f"/api/users/{ann.id}/enable", **HERE)
    site.login("ann@example.com", "not the password", environ_base={"REMOTE_ADDR": "198.51.100.1"})

    answer = site.client_for(ann).get("/api/auth/me/events")

    events = {event["event"]: event for event in answer.get_json()["events"]}
    assert set(events) == {"user.registered", "user.disabled", "user.enabled", "session.refused", "session.opened"}
    assert events["session.refused"]["ip_address"] == "198.51.100.1"  # what the owner looks for
    disabled = events["user.disabled"]
    assert (disabled["by_me"], disabled["ip_address"], disabled["user_agent"], disabled["details"]) == (False, None, None, {})
    for secret in ("203.0.113.9", "Firefox", "pony", "bob@", "admin@", '"actor'):
        assert secret not in answer.text


# What removes a trace: somebody with write access to the database, but without the key


def _log(site: Site) -> list[dict[str, Any]]:
    """A sealed log of two chains, and some events after the seal."""
    for _ in range(3):
        site.user()
    restart(site)
    for _ in range(3):
        site.user()
    site.login("person1@example.com", **HERE)
    seal(site)
    site.login("person1@example.com", "not the password", **HERE)
    site.login("person2@example.com", **HERE)
    assert codes(site) == []
    return rows(site)


@pytest.mark.requirement("ASVS 16.4.2")
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("name", "session.opened"), ("outcome", "success"), ("subject", "77"), ("actor", "77"), ("session_id", uuid.uuid4()),
        ("details", "{}"), ("address", "198.51.100.9"), ("user_agent", "Opera"), ("client_salt", b"0" * 16),
        ("client_digest", b"0" * 32), ("personal", "{}"), ("personal_salt", b"0" * 16), ("personal_digest", None),
        ("chain", uuid.uuid4()), ("number", 99), ("mac", b"0" * 32), ("id", uuid.UUID(int=5)),
    ],
)  # fmt: skip
def test_a_row_that_is_altered_in_any_column_is_found(site: Site, column: str, value: Any) -> None:
    row = next(row for row in reversed(_log(site)) if row["name"] == "session.refused")
    events = table(site)
    assert row[column] != value

    change(site, events.update().where(events.c.id == row["id"]).values({column: value}))

    assert codes(site) != []


@pytest.mark.requirement("ASVS 16.4.2")
def test_the_time_of_an_event_cannot_be_moved(site: Site) -> None:
    row = _log(site)[2]
    events = table(site)

    change(site, events.update().where(events.c.id == row["id"]).values(at=row["at"].replace(year=2020)))

    assert codes(site) == ["altered"]


@pytest.mark.requirement("ASVS 16.4.2")
@pytest.mark.parametrize("place", range(7))
def test_a_sealed_row_that_is_removed_is_found_wherever_it_stood(site: Site, place: int) -> None:
    row = _log(site)[place]
    events = table(site)

    change(site, events.delete().where(events.c.id == row["id"]))

    assert "removed" in codes(site)


@pytest.mark.requirement("ASVS 16.4.2")
def test_a_chain_that_is_removed_as_a_whole_or_cut_off_at_its_end_is_found(site: Site) -> None:
    first = _log(site)[0]["chain"]
    events = table(site)

    change(site, events.delete().where(events.c.chain == first, events.c.number == 3))
    assert codes(site) == ["removed"]
    change(site, events.delete().where(events.c.chain == first))
    assert codes(site) == ["removed"]


@pytest.mark.requirement("ASVS 16.4.2")
def test_an_unsealed_row_at_the_end_is_missed_as_soon_as_its_writer_goes_on(site: Site) -> None:
    row = _log(site)[-1]
    events = table(site)
    change(site, events.delete().where(events.c.id == row["id"]))

    site.user()

    assert codes(site) == ["removed"]


@pytest.mark.requirement("ASVS 16.4.2")
def test_a_row_that_is_made_up_or_copied_is_found(site: Site) -> None:
    row = dict(_log(site)[0])
    change(site, table(site).insert().values(row | {"id": uuid.uuid4(), "chain": uuid.uuid4()}))
    assert codes(site) == ["altered"]


@pytest.mark.requirement("ASVS 16.4.2")
def test_two_rows_that_change_places_are_found(site: Site) -> None:
    found = _log(site)
    events = table(site)
    one, other = found[1], found[2]
    for row, number in ((one, 1000), (other, 2), (one, 3)):
        change(site, events.update().where(events.c.id == row["id"]).values(number=number))

    assert codes(site) != []


@pytest.mark.requirement("ASVS 16.4.2")
def test_an_address_put_into_a_row_that_had_none_is_found(site: Site) -> None:
    row = _log(site)[0]
    assert row["client_digest"] is None
    events = table(site)

    change(site, events.update().where(events.c.id == row["id"]).values(address="198.51.100.9"))

    assert codes(site) == ["altered"]


@pytest.mark.requirement("ASVS 16.4.2")
def test_a_row_replaced_by_another_genuine_one_of_its_number_is_found(site: Site) -> None:
    """Two copies of a process, as from one snapshot of a machine, sign different rows for one place."""
    site.user()
    chains = service(site)._chains
    (snapshot,) = [dataclasses.replace(chain) for chain in chains._free]
    site.user()
    site.user()
    chains._free[:] = [snapshot]
    site.user("other@example.com")
    events, found = table(site), rows(site)
    assert [row["number"] for row in found] == [1, 2, 3, 2]

    change(site, events.delete().where(events.c.id == found[1]["id"]))

    assert codes(site) == ["altered"]


@pytest.mark.requirement("ASVS 16.4.2")
def test_addresses_taken_out_without_a_deletion_of_the_account_are_found(site: Site) -> None:
    row = next(row for row in reversed(_log(site)) if row["name"] == "session.refused")
    events = table(site)
    here = events.c.id == row["id"]

    change(site, events.update().where(here).values(address=None, user_agent=None, client_salt=None))

    assert codes(site) == ["emptied"]


@pytest.mark.requirement("ASVS 16.4.2")
def test_seals_that_are_altered_removed_or_made_up_are_found(site: Site) -> None:
    _log(site)
    seals = table(site, SEALS)
    second, third = seal(site), seal(site)
    with site.app.app_context():
        kept = [dict(row) for row in site.db.session.execute(seals.select().order_by(seals.c.number)).mappings()]

    change(site, seals.update().where(seals.c.number == 1).values(body=kept[0]["body"].replace('"heads":{', '"heads":{ ')))
    assert "seal_altered" in codes(site)
    change(site, seals.delete().where(seals.c.number == 1))
    assert codes(site) == ["seal_removed"]
    change(site, seals.insert().values(kept[0]))
    change(site, seals.delete().where(seals.c.number == 2))
    assert codes(site) == ["seal_removed"]
    change(site, seals.insert().values(kept[1]))
    assert codes(site, receipt=third) == []
    change(site, seals.delete().where(seals.c.number == 3))
    assert codes(site, receipt=second) == []
    assert codes(site, receipt=third) == ["receipt_unknown"]


@pytest.mark.requirement("ASVS 16.4.2")
def test_without_the_key_no_event_can_be_signed_and_keys_differ_by_purpose(site: Site) -> None:
    """The key is derived: what signs tokens does not sign events, so a leak of one use says nothing of the other."""
    text = b"anything"
    with site.app.app_context():
        assert service(site).keyring.sign(text) != hmac.digest(KEY.encode(), text, "sha256")
        assert KEY.encode() not in service(site).keyring.keys


# What the log must not tell


MARKERS = {"password": "MARKER-password-one", "new": "MARKER-password-two", "wrong": "MARKER-password-wrong"}


@pytest.mark.requirement("ASVS 16.2.5")
def test_no_secret_reaches_the_log_or_the_table(make_site: MakeSite, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    site = make_site(config={"ACCOUNTS_AUDIT_RECORD_REFRESHES": True})
    post, secrets = site.client.post, list(MARKERS.values())
    post("/api/auth/register", json={"email": "ann@example.com", "password": MARKERS["password"]})
    tokens = post("/api/auth/login", json={"email": "ann@example.com", "password": MARKERS["password"]}).get_json()
    secrets += [tokens["access_token"], tokens["refresh_token"]]
    post("/api/auth/login", json={"email": "ann@example.com", "password": MARKERS["wrong"]})
    post("/api/auth/login", json={"username": MARKERS["wrong"], "password": "x"})  # typed into the wrong field
    post("/api/auth/reauthenticate", json={"password": MARKERS["wrong"]}, headers=bearer(tokens["access_token"]))
    post("/api/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    body = {"current_password": MARKERS["password"], "new_password": MARKERS["new"]}
    post("/api/auth/password/change", json=body, headers=bearer(tokens["access_token"]))
    site.client.get("/api/users/?search=" + tokens["access_token"][:90], headers=bearer(tokens["access_token"]))
    site.testing.clock.move(minutes=5)
    post("/api/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    site.client.delete("/api/auth/me", headers=bearer(tokens["access_token"]))
    with site.app.app_context():
        secrets += site.db.session.scalars(sa.select(site.accounts.User.password_hash)).all()
    secrets += [part for token in secrets if token.count(".") == 2 for part in token.split(".")[2:]]

    written = str(rows(site)) + "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)

    assert len(rows(site)) >= 9
    assert len([record for record in caplog.records if record.name == "flask_accounts.audit"]) >= 9
    assert [secret for secret in secrets if secret in written] == []


@pytest.mark.requirement("ASVS 16.2.5")
def test_a_careless_event_does_not_leak_what_is_named_like_a_secret() -> None:
    @dataclasses.dataclass
    class Careless:
        """Stands for what somebody might write some day; no event class, since those are listed in the reference."""

        lasting: ClassVar[tuple[str, ...]] = ("code",)
        reset_token: str = "MARKER"
        code: str = "MARKER"
        password: str = "MARKER"
        otp: str = "MARKER"
        wrapped: SecretStr = dataclasses.field(default_factory=lambda: SecretStr("MARKER"))
        plain: str = "x"

    found = details_of(cast(Event, Careless()))

    assert (found.lasting, found.personal) == ({}, {"plain": "x"})


EVIL = 'ann\r\nsession.opened {"subject": "1"}\x1b[2K\u2028\u202e%s%(x)s{0}\x00'


@pytest.mark.requirement("ASVS 16.4.1")
def test_nothing_a_client_sends_starts_a_line_of_the_log_or_reaches_a_terminal_raw(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ann = site.user("ann@example.com")
    caplog.clear()
    with site.app.app_context():
        site.testing.runtime.events.emit(
            SignInFailed(user_id=ann.id, client=Client(EVIL, EVIL), at=site.testing.clock.now(), reason="X", login=EVIL)
        )
        site.db.session.commit()
    site.client.post("/api/auth/login", json={"username": EVIL.replace("\x00", ""), "password": "x"})

    lines = [record.getMessage() for record in caplog.records if record.name == "flask_accounts.audit"]
    assert len(lines) == 2
    row = rows(site, "session.refused")[0]
    listed = site.app.test_cli_runner().invoke(args=["accounts", "events"]).output
    for text in (*lines, row["address"], row["user_agent"], row["personal"], listed.replace("\n", "")):
        assert text.isprintable()
    for line in lines:
        name, _, rest = line.partition(" ")
        assert name == "session.refused"
        assert json.loads(rest)["outcome"] == "failure"


@pytest.mark.requirement("ASVS 15.3.4")
def test_a_forwarded_for_header_does_not_become_the_address(site: Site) -> None:
    site.user("ann@example.com")

    site.login("ann@example.com", headers={"X-Forwarded-For": "198.51.100.66", "X-Real-IP": "198.51.100.66"})

    assert rows(site)[-1]["address"] == "127.0.0.1"
