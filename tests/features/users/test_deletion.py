"""An owner deletes the account: at once, or after a time of grace in which signing in brings it back."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from flask_accounts import ConfigurationError, Feature, default_features, events
from flask_accounts.core.errors import ChallengeRequired, InvalidCredentials, LastAdministrator
from flask_accounts.core.events import Client
from flask_accounts.features.users.leaving import LeavingService
from flask_accounts.features.users.models import DeletionMixin
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.contract import token_of

GRACE = {"ACCOUNTS_DELETION_GRACE": timedelta(days=30)}
NEW = "a rather different horse"


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(config=GRACE)


@pytest.fixture
def ann(site: Site) -> Any:
    return site.user("ann@example.com", username="ann")


def leave(site: Site, user: Any) -> FlaskClient:
    """Delete the account by its owner; the client that did."""
    client = site.client_for(user)
    answer = client.delete("/api/auth/me")
    assert (answer.status_code, answer.data) == (204, b"")
    return client


def purge(site: Site) -> None:
    answer = site.app.test_cli_runner().invoke(args=["accounts", "purge"])
    assert answer.exit_code == 0, answer.output


def waiting(site: Site) -> list[Any]:
    """The keys of the accounts that are to be erased."""
    with site.app.app_context():
        table = site.testing.runtime.model(DeletionMixin).__table__
        return list(site.db.session.execute(sa.select(table.c.user_id)).scalars())


def there(site: Site, key: Any) -> bool:
    with site.app.app_context():
        return site.testing.runtime.users.view(key) is not None


class TestAtOnce:
    """Without a time of grace."""

    @pytest.fixture
    def site(self, make_site: MakeSite) -> Site:
        return make_site()

    def test_it_is_gone_and_its_owner_is_told(self, site: Site, ann: Any) -> None:
        leave(site, ann)

        assert not there(site, ann.id)
        assert [mail.kind for mail in site.testing.outbox if mail.to == "ann@example.com"][-1] == "account_erased"
        assert site.login("ann@example.com").status_code == 401

    def test_where_mail_is_not_wanted_none_is_sent(self, make_site: MakeSite) -> None:
        site = make_site(config={"ACCOUNTS_DELETION_NOTICE": False})
        leave(site, site.user("ann@example.com"))

        assert "account_erased" not in {mail.kind for mail in site.testing.outbox}


@pytest.mark.parametrize("grace", [timedelta(seconds=-1), timedelta(days=4000), "soon"])
def test_a_grace_that_makes_no_sense_is_refused_at_start(make_site: MakeSite, grace: Any) -> None:
    with pytest.raises(ConfigurationError, match="ACCOUNTS_DELETION_GRACE"):
        make_site(config={"ACCOUNTS_DELETION_GRACE": grace})


class TestWaiting:
    """Deleted, and not erased yet."""

    def test_every_token_is_dead_at_once(self, site: Site, ann: Any) -> None:
        pair = site.tokens("ann@example.com")
        client = leave(site, ann)

        assert client.get("/api/auth/me").get_json()["code"] == "TOKEN_REVOKED"
        assert site.client.get("/api/auth/me", headers=bearer(pair["access_token"])).get_json()["code"] == "TOKEN_REVOKED"
        assert site.client.post("/api/auth/refresh", headers=bearer(pair["refresh_token"])).get_json()["code"] == "TOKEN_REVOKED"

    def test_it_is_told_by_event_and_by_mail_with_the_day(self, site: Site, ann: Any) -> None:
        client = site.client_for(ann)
        with site.testing.recorded() as found:
            client.delete("/api/auth/me")

        erase_at = site.testing.clock.now() + timedelta(days=30)
        [asked] = [event for event in found if isinstance(event, events.UserDeletionRequested)]
        assert (asked.user_id, asked.actor_id, asked.erase_at) == (ann.id, ann.id, erase_at)
        assert [event.reason for event in found if isinstance(event, events.SessionEnded)] == ["deleted"]
        mail = site.testing.outbox[-1]
        assert (mail.kind, mail.to) == ("account_deleted", "ann@example.com")
        assert f"{erase_at:%Y-%m-%d}" in mail.subject
        assert "sign in before that day" in mail.text

    def test_ordinary_people_do_not_find_it_and_administrators_do(self, make_site: MakeSite) -> None:
        site = make_site(config=GRACE | {"ACCOUNTS_USERS_DIRECTORY": "authenticated"})
        boss, ben = site.client_for(site.admin()), site.client_for(site.user("ben@example.com"))
        ann = site.user("ann@example.com", username="ann")
        leave(site, ann)

        assert "ann" not in {user["username"] for user in ben.get("/api/users?cursor=").get_json()["users"]}
        assert "ann" in {user["username"] for user in boss.get("/api/users?cursor=").get_json()["users"]}
        assert boss.get(f"/api/users/{ann.id}").get_json()["is_active"] is False

    def test_its_address_and_its_name_stay_taken(self, site: Site, ann: Any) -> None:
        leave(site, ann)
        body = {"email": "ann@example.com", "password": NEW}

        assert site.client.post("/api/auth/register", json=body).get_json()["code"] == "EMAIL_TAKEN"
        assert site.client.post("/api/auth/register", json=body | {"email": "x@example.com", "username": "ANN"}).status_code == 409

    def test_what_it_has_invited_lets_nobody_in(self, site: Site) -> None:
        boss = site.admin("boss@example.com")
        site.admin("other@example.com")
        site.client_for(boss).post("/api/users/invitations", json={"email": "ida@example.com"})
        token = token_of(site.testing.outbox[-1].text)
        leave(site, boss)

        assert site.client.post("/api/auth/invitations/accept", json={"token": token, "password": NEW}).status_code == 400

    def test_the_last_administrator_stays(self, site: Site) -> None:
        boss = site.admin()
        client = site.client_for(boss)

        for answer in (client.delete("/api/auth/me"), client.delete(f"/api/users/{boss.id}")):
            assert (answer.status_code, answer.get_json()["code"]) == (409, "LAST_ADMINISTRATOR")
        assert waiting(site) == []

    def test_one_who_waits_to_be_erased_does_not_count_as_an_administrator(self, site: Site) -> None:
        boss = site.client_for(site.admin("second@example.com"))
        leave(site, site.admin("first@example.com"))

        assert boss.delete("/api/auth/me").get_json()["code"] == "LAST_ADMINISTRATOR"

    def test_deleting_oneself_by_the_key_is_the_same(self, site: Site, ann: Any) -> None:
        assert site.client_for(ann).delete(f"/api/users/{ann.id}").status_code == 204

        assert waiting(site) == [ann.id]
        assert there(site, ann.id)

    def test_an_administrators_deletion_does_not_wait(self, site: Site, ann: Any) -> None:
        leave(site, ann)
        boss = site.client_for(site.admin())

        assert boss.delete(f"/api/users/{ann.id}").status_code == 204
        assert (there(site, ann.id), waiting(site)) == (False, [])


class TestComingBack:
    """Only a finished sign-in brings the account back."""

    def test_signing_in_brings_it_back(self, make_site: MakeSite, every_database_url: str) -> None:
        site = make_site(url=every_database_url, config=GRACE)
        ann = site.user("ann@example.com", roles=["editor"])
        old = site.tokens("ann@example.com")
        leave(site, ann)
        site.testing.clock.move(days=29)
        with site.testing.recorded() as found:
            user = site.tokens("ann@example.com")["user"]

        assert (user["is_active"], user["roles"]) == (True, ["editor"])
        assert [type(event) for event in found] == [events.UserDeletionCancelled, events.SignedIn]
        assert waiting(site) == []
        assert site.client.get("/api/auth/me", headers=bearer(old["access_token"])).status_code == 401
        site.testing.clock.move(days=2)
        purge(site)
        assert there(site, ann.id)

    def test_it_costs_no_statement_to_know_that_an_account_is_not_deleted(self, site: Site, ann: Any) -> None:
        site.statements.clear()
        site.login("ann@example.com")

        assert [text for text in site.statements if "accounts_deletions" in text and "password_hash" not in text] == []
        assert len([text for text in site.statements if "accounts_deletions" in text]) == 1

    def test_a_wrong_password_does_not_and_answers_a_stranger_as_ever(self, site: Site, ann: Any) -> None:
        wrong = "the wrong passphrase"
        before = site.login("ann@example.com", wrong)
        leave(site, ann)
        after, nobody = site.login("ann@example.com", wrong), site.login("nobody@example.com", wrong)

        assert before.data == after.data == nobody.data
        assert {answer.status_code for answer in (before, after, nobody)} == {401}
        assert waiting(site) == [ann.id]

    @pytest.mark.parametrize("path", ["password/forgot", "email/verify/resend", "unlock/request"])
    def test_no_form_tells_a_stranger_of_it(self, site: Site, ann: Any, path: str) -> None:
        leave(site, ann)

        answers = [
            site.client.post(f"/api/auth/{path}", json={"email": email}) for email in ("ann@example.com", "nobody@example.com")
        ]

        assert answers[0].data == answers[1].data
        assert answers[0].status_code == answers[1].status_code == 202
        assert waiting(site) == [ann.id]

    def test_a_reset_password_signs_in_and_so_brings_it_back(self, site: Site, ann: Any) -> None:
        leave(site, ann)
        site.client.post("/api/auth/password/forgot", json={"email": "ann@example.com"})
        body = {"token": token_of(site.testing.outbox[-1].text), "new_password": NEW}

        assert site.client.post("/api/auth/password/reset", json=body).status_code == 204
        assert waiting(site) == [ann.id]  # nobody has signed in yet
        assert site.login("ann@example.com").status_code == 401
        assert site.login("ann@example.com", NEW).status_code == 200
        assert waiting(site) == []

    def test_a_sign_in_that_a_gate_refuses_does_not(self, make_site: MakeSite) -> None:
        shut = [False]

        def gate(attempt: Any, user: Any) -> None:
            if shut[0]:
                raise InvalidCredentials

        site = make_site(config=GRACE, gates=[gate])
        ann = site.user("ann@example.com")
        leave(site, ann)
        shut[0] = True

        assert site.login("ann@example.com").status_code == 401
        assert waiting(site) == [ann.id]

    def test_the_first_of_two_steps_does_not_and_the_second_does(self, make_site: MakeSite) -> None:
        site = make_site(config=GRACE, features=[*default_features(), Pin()])
        ann = site.user("ann@example.com")
        first = site.login("ann@example.com").get_json()["challenge_token"]
        token = site.client.post("/api/auth/challenge", json=_pin(first)).get_json()["access_token"]
        assert site.client.delete("/api/auth/me", headers=bearer(token)).status_code == 204

        asked = site.login("ann@example.com")
        assert asked.get_json()["code"] == "CHALLENGE_REQUIRED"
        assert waiting(site) == [ann.id]

        body = _pin(asked.get_json()["challenge_token"])
        assert site.client.post("/api/auth/challenge", json=body | {"code": "0000"}).status_code == 401
        assert waiting(site) == [ann.id]
        assert site.client.post("/api/auth/challenge", json=body).status_code == 200
        assert waiting(site) == []

    def test_an_administrator_brings_it_back_by_switching_it_on(self, site: Site, ann: Any) -> None:
        leave(site, ann)
        boss = site.client_for(site.admin())
        with site.testing.recorded() as found:
            assert boss.post(f"/api/users/{ann.id}/enable").get_json()["is_active"] is True

        assert [type(event) for event in found] == [events.UserEnabled, events.UserDeletionCancelled]
        site.testing.clock.move(days=31)
        purge(site)
        assert there(site, ann.id)

    def test_one_who_is_not_deleted_but_switched_off_does_not_come_back(self, site: Site) -> None:
        site.user("off@example.com", is_active=False)

        assert site.login("off@example.com").get_json()["code"] == "ACCOUNT_DISABLED"

    def test_whoever_gets_the_address_back_by_undoing_its_change_gets_the_account_back(self, site: Site, ann: Any) -> None:
        with site.app.app_context():
            site.accounts.users.update(ann.id, {"email_verified": True})
            site.accounts.users.update(ann.id, {"email": "evil@example.com"})
            site.db.session.commit()
        undo = token_of(next(mail for mail in site.testing.outbox if mail.kind == "email_changed").text)
        leave(site, ann)

        assert site.client.post("/api/auth/email/change/undo", json={"token": undo}).status_code == 204
        mail = next(mail for mail in site.testing.outbox if mail.kind == "reset_password")
        assert mail.to == "ann@example.com"
        site.client.post("/api/auth/password/reset", json={"token": token_of(mail.text), "new_password": NEW})
        assert site.login("ann@example.com", NEW).status_code == 200


class Pin(Feature):
    """Asks for a number after the first credential."""

    name = "pin"

    def gates(self, runtime: Any) -> Any:
        def ask(attempt: Any, user: Any) -> None:
            if "pin" not in attempt.answered:
                raise ChallengeRequired(["pin"])

        return [ask]

    def challenge_methods(self, runtime: Any) -> Any:
        def check(attempt: Any, user: Any, answer: Any) -> Any:
            if answer.code != "1234":
                raise InvalidCredentials
            return replace(attempt, amr=(*attempt.amr, "pin"))

        return {"pin": check}


def _pin(token: str) -> dict[str, str]:
    return {"challenge_token": token, "method": "pin", "code": "1234"}


class TestErasing:
    """The time of grace is over."""

    def test_the_next_purge_takes_everything(self, make_site: MakeSite, every_database_url: str) -> None:
        site = make_site(url=every_database_url, config=GRACE)
        ann = site.user("ann.to.erase@example.com", username="ann.to.erase", roles=["editor"])
        site.client.post("/api/auth/password/forgot", json={"email": "ann.to.erase@example.com"})
        leave(site, ann)
        site.testing.clock.move(days=30, seconds=-1)
        purge(site)
        assert there(site, ann.id)
        site.testing.clock.move(seconds=1)
        with site.testing.recorded() as found:
            purge(site)

        assert not there(site, ann.id)
        assert [(type(event), event.user_id, event.actor_id) for event in found] == [(events.UserDeleted, ann.id, None)]
        mail = site.testing.outbox[-1]
        assert (mail.kind, mail.to) == ("account_erased", "ann.to.erase@example.com")
        assert site.login("ann.to.erase@example.com").get_json()["code"] == "INVALID_CREDENTIALS"
        with site.app.app_context():
            for table in site.db.metadata.sorted_tables:
                for row in site.db.session.execute(sa.select(table)).mappings():
                    assert row.get("user_id") != ann.id
                    assert not any("ann.to.erase" in str(value) for value in row.values()), table.name

    def test_what_the_log_keeps_is_what_happened_and_when(self, site: Site, ann: Any) -> None:
        leave(site, ann)
        site.testing.clock.move(days=30)
        purge(site)

        kept = site.client_for(site.admin()).get(f"/api/users/{ann.id}/events").get_json()["events"]

        assert [event["event"] for event in kept][:3] == ["user.deleted", "session.ended", "user.deletion_requested"]
        assert {(event["ip_address"], event["user_agent"]) for event in kept} == {(None, None)}
        assert kept[2]["details"].keys() == {"erase_at"}

    def test_it_works_in_batches(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("flask_accounts.features.users.standing.BATCH", 2)
        gone = [site.user() for _ in range(5)]
        for user in gone:
            leave(site, user)
        site.testing.clock.move(days=30)

        purge(site)

        assert [there(site, user.id) for user in gone] == [False] * 5

    def test_one_that_cannot_be_erased_stops_no_other_and_is_tried_again(
        self, make_site: MakeSite, caplog: pytest.LogCaptureFixture
    ) -> None:
        broken: list[Any] = []

        class Stubborn(Feature):
            """Holds on to one account."""

            name = "stubborn"

            def erase(self, runtime: Any, key: Any) -> None:
                if key in broken:
                    raise RuntimeError("no")

        site = make_site(config=GRACE, features=[*default_features(), Stubborn()])
        gone = [site.user(f"p{number}@example.com") for number in range(3)]
        for user in gone:
            leave(site, user)
        broken.append(gone[1].id)
        site.testing.clock.move(days=30)

        with caplog.at_level(logging.ERROR):
            purge(site)
        assert [there(site, user.id) for user in gone] == [False, True, False]
        assert re.search(r"account \d+ could not be dealt with", caplog.text)
        assert "p1@" not in caplog.text
        assert site.login("p1@example.com").status_code == 200  # until it is erased
        leave(site, gone[1])
        broken.clear()
        site.testing.clock.move(days=30)
        purge(site)
        assert not there(site, gone[1].id)

    def test_one_that_host_code_has_switched_on_by_hand_is_not_erased(self, site: Site, ann: Any) -> None:
        leave(site, ann)
        with site.app.app_context():
            site.accounts.users.get(ann.id).is_active = True
            site.db.session.commit()
        site.testing.clock.move(days=30)

        purge(site)

        assert (there(site, ann.id), waiting(site)) == (True, [])


# Without HTTP


def test_host_code_deletes_for_an_owner(site: Site, ann: Any) -> None:
    with site.app.app_context():
        service = site.testing.runtime.get(LeavingService)
        assert service.leave(ann.id, client=Client("203.0.113.9")) == site.testing.clock.now() + timedelta(days=30)
        site.testing.clock.move(days=1)
        assert service.leave(ann.id) == site.testing.clock.now() + timedelta(days=30)  # once more counts anew
        site.db.session.commit()
        with pytest.raises(LastAdministrator):
            service.leave(site.admin().id)

    assert waiting(site) == [ann.id]


@pytest.mark.parametrize("act", ["delete", "purge"])
def test_a_host_removes_its_own_rows_once_the_account_is_gone(site: Site, ann: Any, act: str) -> None:
    seen: list[Any] = []

    def tidy(sender: Any, event: events.UserDeleted) -> None:
        seen.append(event.user_id)

    with events.UserDeleted.signal.connected_to(tidy, sender=site.app):
        leave(site, ann)
        assert seen == []
        if act == "purge":
            site.testing.clock.move(days=30)
            purge(site)
        else:
            site.client_for(site.admin()).delete(f"/api/users/{ann.id}")

    assert seen == [ann.id]


@pytest.mark.parametrize("key", ["uuid7"])
def test_it_works_with_every_kind_of_key(make_site: MakeSite, every_database_url: str, key: str) -> None:
    site = make_site(url=every_database_url, user_key=key, config=GRACE)
    for email in ("ann@example.com", "ben@example.com"):
        leave(site, site.user(email))
    site.tokens("ann@example.com")
    site.testing.clock.move(days=31)
    purge(site)

    assert site.login("ann@example.com", PASSWORD).status_code == 200
    assert site.login("ben@example.com", PASSWORD).status_code == 401


def test_another_site_cannot_delete_an_account_by_its_cookies(make_site: MakeSite) -> None:
    site = make_site(config=GRACE | {"JWT_TOKEN_LOCATION": ["cookies"], "JWT_COOKIE_SECURE": False})
    ann = site.user("ann@example.com")
    client = site.client
    client.post("/api/auth/login", json={"email": "ann@example.com", "password": PASSWORD})

    answer = client.delete("/api/auth/me")

    assert (answer.status_code, answer.get_json()["code"]) == (403, "CSRF_FAILED")
    assert waiting(site) == []
    assert there(site, ann.id)
