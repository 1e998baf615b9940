"""Accounts that are switched off: why, until when, through every way in, and what their owners are told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from flask_accounts import Client, LoginAttempt, ValidationError, default_features, events
from flask_accounts.core.errors import AccountDisabled
from flask_accounts.features.users.models import SuspensionMixin
from flask_accounts.features.users.standing import StandingService
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.contract import token_of
from tests.features.users.test_deletion import Pin, leave, purge, there, waiting

NEW = "a rather different horse"


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(config={"ACCOUNTS_DELETION_GRACE": timedelta(days=30)})


@pytest.fixture
def boss(site: Site) -> FlaskClient:
    return site.client_for(site.admin())


@pytest.fixture
def ann(site: Site) -> Any:
    return site.user("ann@example.com", username="ann")


def in_days(site: Site, days: float) -> str:
    return f"{site.testing.clock.now() + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"


def disable(site: Site, user: Any, **kwargs: Any) -> None:
    with site.app.app_context():
        site.accounts.users.disable(user.id, **kwargs)
        site.db.session.commit()


def later(site: Site, days: float = 1) -> Any:
    return site.testing.clock.now() + timedelta(days=days)


def suspended(site: Site) -> list[Any]:
    with site.app.app_context():
        table = site.testing.runtime.model(SuspensionMixin).__table__
        return list(site.db.session.execute(sa.select(table.c.user_id)).scalars())


class TestUntil:
    def test_from_then_on_its_owner_signs_in_without_anybody_doing_anything(
        self, make_site: MakeSite, every_database_url: str
    ) -> None:
        site = make_site(url=every_database_url)
        boss, ann = site.client_for(site.admin()), site.user("ann@example.com", roles=["editor"])
        until = in_days(site, 3)
        body = {"reason": "spam", "until": until}
        assert boss.post(f"/api/users/{ann.id}/disable", json=body).get_json()["is_active"] is False
        site.testing.clock.move(days=2)
        assert site.login("ann@example.com").get_json()["code"] == "ACCOUNT_DISABLED"
        site.testing.clock.move(days=1)
        with site.testing.recorded() as found:
            user = site.tokens("ann@example.com")["user"]

        assert (user["is_active"], user["roles"]) == (True, ["editor"])
        assert [(type(event), event.actor_id) for event in found] == [(events.UserEnabled, None), (events.SignedIn, ann.id)]
        assert suspended(site) == []

    def test_a_wrong_password_ends_no_suspension(self, site: Site, ann: Any) -> None:
        disable(site, ann, until=later(site))
        site.testing.clock.move(days=2)

        assert site.login("ann@example.com", "wrong").get_json()["code"] == "INVALID_CREDENTIALS"
        assert suspended(site) == [ann.id]

    def test_purge_ends_what_is_over(self, make_site: MakeSite, every_database_url: str) -> None:
        site = make_site(url=every_database_url)
        over, lasts, for_good = (site.user(f"{name}@example.com") for name in ("over", "lasts", "good"))
        disable(site, over, until=later(site))
        disable(site, lasts, until=later(site, 5))
        disable(site, for_good)
        site.testing.clock.move(days=1)
        with site.testing.recorded() as found:
            purge(site)

        assert [(type(event), event.user_id) for event in found] == [(events.UserEnabled, over.id)]
        assert set(suspended(site)) == {lasts.id, for_good.id}
        assert site.client_for(over).get("/api/auth/me").status_code == 200

    @pytest.mark.parametrize(
        "until", ["2020-01-01T00:00:00Z", "2030-01-01T00:00:00", "2030-01-01", "soon", 5, True, [], "9999-12-31T23:59:59-23:59"]
    )
    def test_what_is_no_time_to_come_is_refused(self, site: Site, boss: FlaskClient, ann: Any, until: Any) -> None:
        answer = boss.post(f"/api/users/{ann.id}/disable", json={"until": until})

        assert (answer.status_code, answer.get_json()["code"]) == (400, "VALIDATION_ERROR")
        assert boss.get(f"/api/users/{ann.id}").get_json()["is_active"] is True

    def test_without_a_time_it_lasts(self, site: Site, boss: FlaskClient, ann: Any) -> None:
        boss.post(f"/api/users/{ann.id}/disable")
        site.testing.clock.move(days=4000)

        assert site.login("ann@example.com").get_json()["code"] == "ACCOUNT_DISABLED"

    def test_what_is_said_last_counts(self, site: Site, boss: FlaskClient, ann: Any) -> None:
        path = f"/api/users/{ann.id}"
        until = in_days(site, 1)
        with site.testing.recorded() as found:
            for body in ({"until": until}, {"until": until}, {"reason": "again"}, {"reason": "again"}):
                assert boss.post(f"{path}/disable", json=body).status_code == 200
        assert [event.reason for event in found if isinstance(event, events.UserDisabled)] == [None, "again"]
        boss.patch(path, json={"is_active": False})
        assert boss.get(f"{path}/standing").get_json()["suspension"]["reason"] == "again"
        site.testing.clock.move(days=2)

        assert site.login("ann@example.com").status_code == 403

    def test_switching_on_ends_it(self, site: Site, boss: FlaskClient, ann: Any) -> None:
        disable(site, ann, reason="spam", until=later(site))

        assert boss.post(f"/api/users/{ann.id}/enable").get_json()["is_active"] is True
        assert suspended(site) == []
        assert site.login("ann@example.com").status_code == 200

    def test_what_was_put_off_meanwhile_is_not_over(self, site: Site, ann: Any) -> None:
        """The facts were read before an administrator put the time off."""
        disable(site, ann, until=later(site))
        site.testing.clock.move(days=1)
        with site.app.app_context():
            runtime = site.testing.runtime
            user = runtime.users.view(ann.id)
            assert user is not None
            assert runtime.can_sign_in(user)
            standing = runtime.get(StandingService)
            facts = {"disabled_at": later(site, -1), "disabled_until": later(site, 0), "erase_at": None}
            bring_back = standing.returning(_attempt(ann.id, facts), user)
            site.accounts.users.disable(ann.id, until=later(site, 5))
            assert bring_back is not None
            bring_back()
            site.db.session.commit()

        assert site.login("ann@example.com").status_code == 403


class TestEveryWayIn:
    """Nothing lets a suspended account in, and nothing lets it out early."""

    @pytest.fixture(params=[None, 1])
    def off(self, site: Site, ann: Any, request: pytest.FixtureRequest) -> Any:
        self.pair = site.tokens("ann@example.com")
        site.client.post("/api/auth/password/forgot", json={"email": "ann@example.com"})
        self.reset = token_of(site.testing.outbox[-1].text)
        disable(site, ann, until=None if request.param is None else later(site, request.param))
        return ann

    def test_by_password(self, site: Site, off: Any) -> None:
        assert site.login("ann@example.com").status_code == 403
        assert site.client.post("/api/auth/login", json={"username": "ann", "password": PASSWORD}).status_code == 403

    def test_by_tokens_it_had(self, site: Site, off: Any) -> None:
        assert site.client.get("/api/auth/me", headers=bearer(self.pair["access_token"])).status_code == 401
        assert site.client.post("/api/auth/refresh", headers=bearer(self.pair["refresh_token"])).status_code == 401
        proof = site.client.post("/api/auth/reauthenticate", json={"password": PASSWORD}, headers=bearer(self.pair["access_token"]))
        assert proof.status_code == 401

    def test_by_a_password_reset(self, site: Site, off: Any) -> None:
        sent = len(site.testing.outbox)
        site.client.post("/api/auth/password/forgot", json={"email": "ann@example.com"})

        assert len(site.testing.outbox) == sent
        assert site.client.post("/api/auth/password/reset", json={"token": self.reset, "new_password": NEW}).status_code == 400

    def test_by_host_code(self, site: Site, off: Any) -> None:
        with site.app.app_context(), pytest.raises(AccountDisabled):
            site.accounts.sessions.open(off.id)

    def test_by_registering_once_more(self, site: Site, off: Any) -> None:
        assert site.client.post("/api/auth/register", json={"email": "ann@example.com", "password": NEW}).status_code == 409

    def test_by_deleting_what_it_cannot_reach(self, site: Site, off: Any) -> None:
        answer = site.client.delete("/api/auth/me", headers=bearer(self.pair["access_token"]))

        assert answer.status_code == 401
        assert waiting(site) == []

    def test_by_the_second_of_two_steps(self, make_site: MakeSite) -> None:
        site = make_site(features=[*default_features(), Pin()])
        ann = site.user("ann@example.com")
        token = site.login("ann@example.com").get_json()["challenge_token"]
        disable(site, ann, until=later(site))

        answer = site.client.post("/api/auth/challenge", json={"challenge_token": token, "method": "pin", "code": "1234"})

        assert (answer.status_code, answer.get_json()["code"]) == (403, "ACCOUNT_DISABLED")


class TestDeleted:
    """An account that waits to be erased, and is switched off."""

    def test_its_owner_does_not_bring_it_back_and_it_is_erased(self, site: Site, boss: FlaskClient, ann: Any) -> None:
        leave(site, ann)
        assert boss.post(f"/api/users/{ann.id}/disable", json={"reason": "spam"}).status_code == 200

        assert site.login("ann@example.com").get_json()["code"] == "ACCOUNT_DISABLED"
        assert waiting(site) == [ann.id]
        site.testing.clock.move(days=30)
        purge(site)
        assert not there(site, ann.id)
        assert suspended(site) == []

    def test_once_its_suspension_is_over_signing_in_brings_it_back(self, site: Site, ann: Any) -> None:
        leave(site, ann)
        disable(site, ann, until=later(site))
        site.testing.clock.move(days=2)

        assert site.login("ann@example.com").status_code == 200
        assert (waiting(site), suspended(site)) == ([], [])

    def test_a_purge_that_ends_its_suspension_leaves_it_off(self, site: Site, boss: FlaskClient, ann: Any) -> None:
        leave(site, ann)
        disable(site, ann, until=later(site))
        site.testing.clock.move(days=2)
        purge(site)

        assert (waiting(site), suspended(site)) == ([ann.id], [])
        assert site.testing.sign_in(site.user("other@example.com")).user.is_active
        with site.app.app_context():
            view = site.testing.runtime.users.view(ann.id)
            assert view is not None
            assert not view.is_active


class TestTold:
    """The reason is for administrators."""

    def test_a_right_password_is_told_until_when_and_not_why(self, site: Site, boss: FlaskClient, ann: Any) -> None:
        until = in_days(site, 3)
        boss.post(f"/api/users/{ann.id}/disable", json={"reason": "Knows too much", "until": until})

        right, wrong = site.login("ann@example.com"), site.login("ann@example.com", "wrong")

        assert right.get_json()["until"] == until
        assert "Knows" not in right.text
        assert "until" not in wrong.get_json()
        assert wrong.data == site.login("nobody@example.com", "wrong").data

    def test_an_app_may_say_less_or_more(self, make_site: MakeSite) -> None:
        site = make_site(config={"ACCOUNTS_SUSPENSION_TELL_UNTIL": False, "ACCOUNTS_SUSPENSION_TELL_REASON": True})
        ann = site.user("ann@example.com")
        disable(site, ann, reason="Spam.", until=later(site))

        answer = site.login("ann@example.com").get_json()

        assert answer["reason"] == "Spam."
        assert "until" not in answer

    @pytest.mark.parametrize("by_command", [True, False])
    def test_neither_the_own_events_nor_the_export_tell_the_reason(
        self, site: Site, boss: FlaskClient, ann: Any, *, by_command: bool
    ) -> None:
        if by_command:
            site.app.test_cli_runner().invoke(args=["accounts", "disable", "ann", "--reason", "Knows too much"])
        else:
            boss.post(f"/api/users/{ann.id}/disable", json={"reason": "Knows too much"})
        with site.app.app_context():
            assert "Knows" not in str(site.accounts.exports.make(ann.id))
            site.db.session.commit()
        boss.post(f"/api/users/{ann.id}/enable")
        client = site.client_for(ann)

        assert "Knows" not in client.get("/api/auth/me/events").text
        assert "Knows" not in client.get("/api/auth/me/export").text
        assert "Knows" in boss.get(f"/api/users/{ann.id}/events").text

    def test_administrators_see_what_keeps_an_account_off(self, site: Site, boss: FlaskClient, ann: Any) -> None:
        path = f"/api/users/{ann.id}/standing"
        nothing = {"is_active": True, "suspension": None, "deletion": None}
        assert boss.get(path).get_json() == nothing
        leave(site, ann)
        until = in_days(site, 3)
        boss.post(f"/api/users/{ann.id}/disable", json={"reason": "spam", "until": until})

        found = boss.get(path).get_json()

        assert found["is_active"] is False
        assert (found["suspension"]["reason"], found["suspension"]["until"]) == ("spam", until)
        assert found["deletion"].keys() == {"requested_at", "erase_at"}
        assert site.client_for(site.user("ben@example.com")).get(path).status_code == 403


class TestWho:
    """Who may do it to whom, and that it is written down."""

    ACTS = (
        ("POST", "disable"),
        ("POST", "enable"),
        ("POST", "password-reset"),
        ("POST", "email/verify/resend"),
        ("DELETE", "sessions"),
    )

    @pytest.mark.parametrize(("method", "act"), ACTS)
    def test_nobody_acts_on_a_mightier_account(self, site: Site, method: str, act: str) -> None:
        site.admin("other@example.com")
        boss = site.admin("boss@example.com")
        clerk = site.client_for(site.user("clerk@example.com", permissions=["users:read", "users:write"]))
        sent = len(site.testing.outbox)

        answer = clerk.open(f"/api/users/{boss.id}/{act}", method=method)

        assert (answer.status_code, answer.get_json()["code"]) == (403, "PERMISSION_DENIED")
        assert len(site.testing.outbox) == sent
        assert site.login("boss@example.com").status_code == 200

    @pytest.mark.parametrize(("method", "act"), ACTS)
    def test_each_is_written_down_with_who_did_it(self, site: Site, ann: Any, method: str, act: str) -> None:
        root = site.admin()
        boss = site.client_for(root)
        if act == "enable":
            disable(site, ann)
        else:
            site.tokens("ann@example.com")

        assert boss.open(f"/api/users/{ann.id}/{act}", method=method).status_code in (200, 204)

        [newest, *_] = boss.get(f"/api/users/{ann.id}/events?actor={root.id}").get_json()["events"]
        assert (newest["actor_id"], newest["outcome"]) == (str(root.id), "success")

    def test_an_address_is_asked_once_more_to_prove_itself(self, site: Site, boss: FlaskClient, ann: Any) -> None:
        path = f"/api/users/{ann.id}/email/verify/resend"

        assert boss.post(path).status_code == 204
        mail = site.testing.outbox[-1]
        assert (mail.kind, mail.to) == ("verify_email", "ann@example.com")
        assert site.client.post("/api/auth/email/verify", json={"token": token_of(mail.text)}).status_code == 204
        sent = len(site.testing.outbox)
        assert boss.post(path).status_code == 204
        assert len(site.testing.outbox) == sent
        assert boss.post("/api/users/4711/email/verify/resend").status_code == 404


class TestCommands:
    def test_disable_takes_a_reason_and_a_time(self, site: Site, ann: Any) -> None:
        runner = site.app.test_cli_runner()
        until = f"{later(site):%Y-%m-%dT%H:%M:%SZ}"

        done = runner.invoke(args=["accounts", "disable", "ann", "--reason", "spam", "--until", until])

        assert done.output == f"ann is disabled until {later(site):%Y-%m-%d %H:%M} UTC.\n"
        assert site.login("ann@example.com").get_json()["until"] == until
        assert runner.invoke(args=["accounts", "enable", "ann"]).output == "ann is enabled.\n"
        assert site.login("ann@example.com").status_code == 200

    @pytest.mark.parametrize("until", ["soon", "2020-01-01T00:00:00Z", ""])
    def test_a_time_that_is_none_is_refused_with_a_sentence(self, site: Site, ann: Any, until: str) -> None:
        refused = site.app.test_cli_runner().invoke(args=["accounts", "disable", "ann", "--until", until])

        assert refused.exit_code != 0
        assert "Give a time" in refused.output
        assert site.login("ann@example.com").status_code == 200


def test_host_code_names_times_with_their_zone(site: Site, ann: Any) -> None:
    with site.app.app_context(), pytest.raises(ValidationError):
        site.accounts.users.disable(ann.id, until=later(site).replace(tzinfo=None))


def _attempt(key: Any, facts: dict[str, Any]) -> LoginAttempt:
    return LoginAttempt(key, ("pwd",), Client(), facts=facts)
