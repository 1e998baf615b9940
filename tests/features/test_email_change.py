"""Change of address: the new one proves itself first, the old one is told and can undo."""

from __future__ import annotations

import re
from typing import Any

import pytest
from werkzeug.test import TestResponse

from flask_accounts import Accounts, Client, Message, ValidationError, default_features, events
from flask_accounts.features.email_change.service import EmailChangeService
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.features.mfa.tools import begin as begin_app
from tests.features.mfa.tools import confirm as confirm_app
from tests.features.mfa.tools import enrolled

BASE = "https://app.example.com/account"
OLD, NEW, THIRD = "ann@example.com", "ann@new.example.com", "ann@third.example.com"


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A site of default settings with Ann."""
    site = make_site()
    make_ann(site)
    return site


@pytest.fixture
def ann(site: Site) -> Any:
    return next(view for view in everybody(site))


def make_ann(site: Site, **kwargs: Any) -> Any:
    person = site.user(OLD, **{"email_verified": True} | kwargs)
    site.testing.outbox.clear()
    return person


def key_of(site: Site) -> Any:
    (key,) = (row.id for row in everybody(site) if row.email in (OLD, NEW, THIRD))
    return key


def everybody(site: Site) -> list[Any]:
    with site.app.app_context():
        users = site.testing.runtime.users
        found = [users.view(key) for key in list(users.keys())]
        return [view for view in found if view is not None]


def address(site: Site) -> tuple[str, bool]:
    """Ann's address, and whether it is proved."""
    (view,) = (view for view in everybody(site) if view.email.startswith("ann@"))
    return view.email, view.email_verified


def ask(site: Site, email: str = NEW, *, by: Any = None, **kwargs: Any) -> TestResponse:
    client = site.client_for(by if by is not None else key_of(site))
    return client.post("/api/auth/email/change", json={"email": email}, **kwargs)


def post(site: Site, path: str, **body: Any) -> TestResponse:
    return site.client.post(f"/api/auth/email/change/{path}", json=body)


def confirm(site: Site, **body: Any) -> TestResponse:
    return post(site, "confirm", **body)


def undo(site: Site, token: str) -> TestResponse:
    return post(site, "undo", token=token)


def token_in(message: Message) -> str:
    found = re.search(r"[A-Za-z0-9_-]{43}", message.text)
    assert found
    return found[0]


def code_in(message: Message) -> str:
    found = re.search(r"\b\d{8}\b", message.text)
    assert found
    return found[0]


def mail(site: Site, kind: str, to: str | None = None) -> Message:
    """The newest mail of a kind."""
    return [message for message in site.testing.outbox if message.kind == kind and to in (None, message.to)][-1]


def move(site: Site, to: str) -> str:
    """Ask for an address and prove it; returns the token that undoes it."""
    before = address(site)[0]
    assert ask(site, to).status_code == 202
    assert confirm(site, token=token_in(mail(site, "change_email", to))).status_code == 204
    return token_in(mail(site, "email_changed", before))


class TestAsking:
    def test_nothing_changes_before_the_new_address_has_proved_itself(self, site: Site) -> None:
        with site.testing.recorded() as told:
            answer = ask(site)

        assert (answer.status_code, answer.get_json()) == (202, {"message": "A mail is on its way to the new address."})
        assert address(site) == (OLD, True)
        assert [(message.kind, message.to) for message in site.testing.outbox] == [
            ("change_email", NEW),
            ("email_change_asked", OLD),
        ]
        assert [type(event) for event in told if not isinstance(event, events.SignedIn)] == [events.EmailChangeRequested]

    def test_the_warning_to_the_present_address_holds_nothing_that_acts(self, site: Site) -> None:
        ask(site)

        message = mail(site, "email_change_asked")
        assert NEW not in message.text
        assert not re.search(r"[A-Za-z0-9_-]{43}|\b\d{8}\b", message.text)

    def test_the_warning_can_be_switched_off(self, make_site: MakeSite) -> None:
        site = make_site(config={"ACCOUNTS_EMAIL_CHANGE_ASKED_NOTICE": False})
        make_ann(site)

        ask(site)

        assert [message.kind for message in site.testing.outbox] == ["change_email"]

    def test_the_present_address_in_any_spelling_is_no_change(self, site: Site) -> None:
        for spelled in (OLD, "ANN@Example.com", "ａｎｎ@example.com"):
            answer = ask(site, spelled)
            assert (answer.status_code, answer.get_json()["errors"][0]["code"]) == (400, "email_unchanged")
        assert site.testing.outbox == []

    def test_a_request_expires(self, site: Site) -> None:
        ask(site)
        site.testing.clock.move(minutes=60)

        assert confirm(site, token=token_in(mail(site, "change_email"))).status_code == 400
        assert address(site) == (OLD, True)

    def test_host_code_asks_by_the_service(self, site: Site, ann: Any) -> None:
        with site.app.app_context():
            service = site.testing.runtime.get(EmailChangeService)
            with pytest.raises(ValidationError):
                service.ask(ann.id, "nothing", client=Client())
            service.ask(ann.id, NEW, client=Client())
            site.testing.runtime.commit()

        assert confirm(site, token=token_in(mail(site, "change_email"))).status_code == 204
        assert address(site) == (NEW, True)

    def test_mail_speaks_the_language_asked_for(self, site: Site) -> None:
        ask(site, headers={"Accept-Language": "de"})

        assert mail(site, "change_email").subject == "Bestätigen Sie Ihre neue E-Mail-Adresse"

    def test_the_answer_without_a_mailer_is_the_same_and_the_owner_may_change_it_directly(
        self, make_site: MakeSite, caplog: pytest.LogCaptureFixture
    ) -> None:
        site = without_mailer(make_site())
        person = make_ann(site)

        assert ask(site).status_code == 202
        assert "A mail (change_email) could not be sent" in caplog.text
        assert site.client_for(person).patch("/api/auth/me", json={"email": NEW}).status_code == 200
        assert address(site) == (NEW, False)


def without_mailer(site: Site) -> Site:
    """A site as it is where no mail is configured, in place of the tests' outbox."""
    from flask_accounts.core.mail import MailRoom, MailSettings

    runtime = site.testing.runtime
    runtime.mail = MailRoom(None, runtime.events, site.app, MailSettings(background=False))
    return site


class TestConfirming:
    def test_the_link_works_on_any_device_without_signing_in(self, site: Site) -> None:
        ask(site)

        with site.testing.recorded() as told:
            answer = confirm(site, token=token_in(mail(site, "change_email")))

        assert (answer.status_code, answer.data) == (204, b"")
        assert address(site) == (NEW, True)
        assert [type(event) for event in told] == [events.EmailChanged, events.EmailVerified]
        changed = told[0]
        assert isinstance(changed, events.EmailChanged)
        assert (changed.old, changed.new, changed.way, changed.old_verified) == (OLD, NEW, "confirmed", True)

    @pytest.mark.parametrize("old", ["not a token", "eyJhbGciOiJIUzI1NiJ9.e30.x"])
    def test_the_link_works_also_in_a_browser_whose_own_sign_in_is_over(self, site: Site, old: str) -> None:
        ask(site)
        token = token_in(mail(site, "change_email"))

        assert site.client.post("/api/auth/email/change/confirm", json={"token": token}, headers=bearer(old)).status_code == 204

    def test_the_code_works_where_it_was_asked_for_however_it_is_typed(self, site: Site) -> None:
        ask(site)
        code = code_in(mail(site, "change_email"))

        answer = site.client_for(key_of(site)).post("/api/auth/email/change/confirm", json={"code": f"{code[:4]}-{code[4:]}"})

        assert answer.status_code == 204
        assert address(site) == (NEW, True)

    def test_the_verified_address_is_not_asked_to_prove_itself_again(self, site: Site) -> None:
        move(site, NEW)

        assert [message.kind for message in site.testing.outbox] == ["change_email", "email_change_asked", "email_changed"]

    def test_sessions_stay(self, site: Site) -> None:
        here, there = site.client_for(key_of(site)), site.client_for(key_of(site))

        move(site, NEW)

        assert [client.get("/api/auth/me").get_json()["email"] for client in (here, there)] == [NEW, NEW]
        assert site.login(NEW).status_code == 200
        assert site.login(OLD).status_code == 401

    def test_an_address_taken_meanwhile_is_a_conflict_and_the_token_stays_good(self, site: Site) -> None:
        ask(site)
        token = token_in(mail(site, "change_email"))
        other = site.user(NEW)

        taken = confirm(site, token=token)
        with site.app.app_context():
            site.accounts.users.delete(other.id)
            site.testing.runtime.commit()
        free = confirm(site, token=token)

        assert (taken.status_code, taken.get_json()["code"]) == (409, "EMAIL_TAKEN")
        assert free.status_code == 204

    def test_a_disabled_account_changes_nothing(self, site: Site, ann: Any) -> None:
        ask(site)
        site.client_for(site.admin()).post(f"/api/users/{ann.id}/disable")

        assert confirm(site, token=token_in(mail(site, "change_email"))).status_code == 400

    @pytest.mark.parametrize("body", [{}, {"token": "x", "code": "12345678"}, {"token": None}, {"token": 1}, {"code": ["1"]}])
    def test_half_a_proof_is_a_bad_request(self, site: Site, body: dict[str, Any]) -> None:
        assert confirm(site, **body).get_json()["code"] == "VALIDATION_ERROR"


class TestTheOldAddress:
    @pytest.mark.parametrize("way", ["confirmed", "direct", "administrator", "host code"])
    def test_it_is_told_once_whatever_way_the_address_was_changed(self, make_site: MakeSite, way: str) -> None:
        site = make_site(config={"ACCOUNTS_EMAIL_CHANGE_DIRECT": True})
        person = make_ann(site)

        if way == "confirmed":
            move(site, NEW)
        elif way == "direct":
            assert site.client_for(person).patch("/api/auth/me", json={"email": NEW}).status_code == 200
        elif way == "administrator":
            site.client_for(site.admin()).patch(f"/api/users/{person.id}", json={"email": NEW})
        else:
            with site.app.app_context():
                site.accounts.users.update(person.id, {"email": NEW})
                site.testing.runtime.commit()

        told = [message for message in site.testing.outbox if message.kind == "email_changed"]
        assert [message.to for message in told] == [OLD]
        assert address(site) == (NEW, way == "confirmed")
        assert undo(site, token_in(told[0])).status_code == 204
        assert address(site) == (OLD, True)

    def test_the_notice_can_be_switched_off(self, make_site: MakeSite) -> None:
        site = make_site(config={"ACCOUNTS_EMAIL_CHANGE_NOTICE": False})
        make_ann(site)

        ask(site)
        confirm(site, token=token_in(mail(site, "change_email")))

        assert "email_changed" not in {message.kind for message in site.testing.outbox}

    def test_where_nothing_can_be_undone_the_notice_says_what_else_to_do(self, make_site: MakeSite) -> None:
        site = make_site(config={"ACCOUNTS_EMAIL_CHANGE_UNDO_LIFETIME": 0})
        make_ann(site)

        ask(site)
        confirm(site, token=token_in(mail(site, "change_email")))

        assert "tell whoever runs" in mail(site, "email_changed").text

    @pytest.mark.parametrize("allowed", [False, True])
    def test_an_address_that_was_never_proved_undoes_only_if_the_host_says_so(self, make_site: MakeSite, allowed: bool) -> None:
        site = make_site(config={"ACCOUNTS_EMAIL_CHANGE_UNDO_UNVERIFIED": allowed})
        make_ann(site, email_verified=False)

        ask(site)
        confirm(site, token=token_in(mail(site, "change_email")))

        assert bool(re.search(r"[A-Za-z0-9_-]{43}", mail(site, "email_changed").text)) is allowed

    def test_links_lead_to_the_pages_that_the_host_names(self, make_site: MakeSite) -> None:
        site = make_site(
            config={
                "ACCOUNTS_MAIL_BASE_URL": BASE,
                "ACCOUNTS_EMAIL_CHANGE_LINK_PATH": "neu",
                "ACCOUNTS_EMAIL_CHANGE_UNDO_LINK_PATH": "alt",
            }
        )
        make_ann(site)

        move(site, NEW)

        assert f"{BASE}/neu#token=" in mail(site, "change_email").text
        assert f"{BASE}/alt#token=" in mail(site, "email_changed").text
        assert "7 days" in mail(site, "email_changed").text


class TestUndoing:
    def test_it_gives_the_account_back(self, site: Site) -> None:
        thief = site.client_for(key_of(site))
        back = move(site, NEW)
        site.testing.outbox.clear()

        with site.testing.recorded() as told:
            answer = undo(site, back)

        assert (answer.status_code, answer.data) == (204, b"")
        assert address(site) == (OLD, True)
        assert thief.get("/api/auth/me").status_code == 401
        assert site.login(OLD).status_code == 401
        assert {(message.kind, message.to) for message in site.testing.outbox} == {
            ("password_changed", OLD), ("reset_password", OLD), ("email_change_undone", NEW),
        }  # fmt: skip
        undone = [event for event in told if isinstance(event, events.EmailChangeUndone)]
        assert [(event.email, event.dropped) for event in undone] == [(OLD, NEW)]
        assert [event.way for event in told if isinstance(event, events.EmailChanged)] == ["undone"]
        assert {event.reason for event in told if isinstance(event, events.SessionEnded)} == {"email_undone"}

    @pytest.mark.requirement("ASVS 6.4.4", "ASVS 7.4.3")
    def test_a_second_factor_that_a_hijacker_has_set_up_since_does_not_lock_the_owner_out(self, site: Site) -> None:
        thief = site.client_for(key_of(site))
        back = move(site, NEW)
        assert confirm_app(thief, begin_app(thief, site).code()).status_code == 200
        site.testing.outbox.clear()

        with site.testing.recorded() as told:
            assert undo(site, back).status_code == 204

        token = token_in(mail(site, "reset_password", OLD))
        site.client.post("/api/auth/password/reset", json={"token": token, "new_password": "quite another good password"})
        assert site.login(OLD, "quite another good password").status_code == 200, "and nothing is asked for that only he has"
        gone = {event.factor for event in told if isinstance(event, events.FactorChanged) and event.change == "removed"}
        assert gone == {"totp", "recovery_codes"}
        assert mail(site, "factor_changed").to == OLD

    @pytest.mark.requirement("ASVS 6.4.4")
    def test_a_factor_set_up_between_asking_and_changing_is_his_too(self, site: Site) -> None:
        thief = site.client_for(key_of(site))
        assert ask(site, NEW, by=key_of(site)).status_code == 202
        site.testing.clock.move(minutes=1)
        asked = token_in(mail(site, "change_email", NEW))
        assert confirm_app(thief, begin_app(thief, site).code()).status_code == 200
        # Setting one up ends other sessions, so the change that they asked for is void; the thief asks in his own.
        assert confirm(site, token=asked).status_code == 400

    @pytest.mark.requirement("ASVS 6.3.3")
    def test_a_second_factor_from_before_stays_so_that_old_mail_alone_is_no_way_in(self, make_site: MakeSite) -> None:
        site = make_site()
        owner = enrolled(site, OLD)
        site.testing.clock.move(minutes=1)
        assert owner.browser.post("/api/auth/email/change", json={"email": NEW}).status_code == 202
        assert confirm(site, token=token_in(mail(site, "change_email", NEW))).status_code == 204
        assert owner.browser.post("/api/auth/mfa/recovery-codes").status_code == 201

        assert undo(site, token_in(mail(site, "email_changed", OLD))).status_code == 204

        token = token_in(mail(site, "reset_password", OLD))
        site.client.post("/api/auth/password/reset", json={"token": token, "new_password": "quite another good password"})
        answer = site.login(OLD, "quite another good password")
        assert (answer.status_code, answer.get_json()["code"]) == (401, "MFA_REQUIRED")
        assert answer.get_json()["challenges"] == ["totp"], "new recovery codes went with whoever had them made"

    def test_its_owner_sets_a_new_password_and_is_in_again(self, site: Site) -> None:
        undo(site, move(site, NEW))

        token = token_in(mail(site, "reset_password", OLD))
        site.client.post("/api/auth/password/reset", json={"token": token, "new_password": "quite another good password"})

        assert site.login(OLD, "quite another good password").status_code == 200

    def test_it_works_once_and_for_seven_days(self, site: Site) -> None:
        back = move(site, NEW)
        site.testing.clock.move(days=7, seconds=-1)
        assert undo(site, back).status_code == 204
        assert undo(site, back).get_json()["code"] == "ONE_TIME_TOKEN_INVALID"

        again = move(site, NEW)
        site.testing.clock.move(days=7)
        assert undo(site, again).status_code == 400
        assert address(site) == (NEW, True)

    def test_a_later_undoing_leaves_the_earlier_one_good(self, site: Site) -> None:
        to_old = move(site, NEW)
        to_new = move(site, THIRD)

        assert undo(site, to_new).status_code == 204
        assert address(site) == (NEW, True)
        assert undo(site, to_old).status_code == 204
        assert address(site) == (OLD, True)

    def test_it_waits_while_the_old_address_belongs_to_another(self, site: Site) -> None:
        back = move(site, NEW)
        other = site.user(OLD)

        taken = undo(site, back)

        assert (taken.status_code, taken.get_json()["code"]) == (409, "EMAIL_TAKEN")
        assert site.login(NEW).status_code == 200
        with site.app.app_context():
            site.accounts.users.delete(other.id)
            site.testing.runtime.commit()
        assert undo(site, back).status_code == 204

    def test_it_signs_everybody_out_also_when_the_address_is_back_already(self, site: Site, ann: Any) -> None:
        back = move(site, NEW)
        thief = site.client_for(ann)
        site.client_for(site.admin()).patch(f"/api/users/{ann.id}", json={"email": OLD})
        site.testing.outbox.clear()

        with site.testing.recorded() as told:
            assert undo(site, back).status_code == 204

        assert thief.get("/api/auth/me").status_code == 401
        assert address(site) == (OLD, True)
        assert not [event for event in told if isinstance(event, events.EmailChanged)]
        assert {message.to for message in site.testing.outbox} == {OLD}

    def test_an_account_without_a_password_gets_none(self, make_site: MakeSite) -> None:
        site = make_site()
        make_ann(site, password=None)
        back = move(site, NEW)
        site.testing.outbox.clear()

        assert undo(site, back).status_code == 204

        assert [(message.kind, message.to) for message in site.testing.outbox] == [("email_change_undone", NEW)]
        with site.app.app_context():
            found = site.testing.runtime.users.find(email=OLD)
            assert found is not None
            assert found.password_hash is None

    def test_a_disabled_account_gets_its_address_back_and_stays_disabled(self, site: Site, ann: Any) -> None:
        back = move(site, NEW)
        site.client_for(site.admin()).post(f"/api/users/{ann.id}/disable")
        site.testing.outbox.clear()

        assert undo(site, back).status_code == 204

        assert address(site) == (OLD, True)
        assert site.login(OLD).status_code == 401, "the password is useless"
        assert "reset_password" not in {message.kind for message in site.testing.outbox}
        assert [view.is_active for view in everybody(site) if view.email == OLD] == [False]


class TestChangingItInOtherWays:
    @pytest.mark.parametrize("method", ["PATCH me", "PATCH", "PUT"])
    def test_owners_are_told_the_way_that_proves_the_address(self, site: Site, ann: Any, method: str) -> None:
        url = "/api/auth/me" if method == "PATCH me" else f"/api/users/{ann.id}"

        answer = site.client_for(ann).open(url, method=method.split()[0], json={"email": NEW, "username": None})

        (problem,) = answer.get_json()["errors"]
        assert (answer.status_code, problem["field"], problem["code"]) == (400, "email", "email_needs_proof")
        assert "POST /email/change" in problem["message"]
        assert address(site) == (OLD, True)

    def test_an_administrators_own_address_is_no_exception(self, site: Site) -> None:
        boss = site.admin()

        answer = site.client_for(boss).patch(f"/api/users/{boss.id}", json={"email": NEW})

        assert answer.get_json()["errors"][0]["code"] == "email_needs_proof"

    def test_the_unchanged_address_is_no_change(self, site: Site, ann: Any) -> None:
        answer = site.client_for(ann).put(f"/api/users/{ann.id}", json={"email": "ANN@example.com", "username": "anna"})

        assert (answer.status_code, answer.get_json()["username"]) == (200, "anna")
        assert address(site) == (OLD, True)

    def test_administrators_change_other_peoples_directly_and_unproved(self, site: Site, ann: Any) -> None:
        answer = site.client_for(site.admin()).patch(f"/api/users/{ann.id}", json={"email": NEW})

        assert answer.status_code == 200
        assert address(site) == (NEW, False)

    def test_an_administrator_may_vouch_for_the_new_address(self, site: Site, ann: Any) -> None:
        with site.testing.recorded() as told:
            site.client_for(site.admin()).patch(f"/api/users/{ann.id}", json={"email": NEW, "email_verified": True})

        assert address(site) == (NEW, True)
        assert [event.fields for event in told if isinstance(event, events.UserUpdated)] == [("email", "email_verified")]

    def test_without_the_feature_owners_change_it_directly(self, make_site: MakeSite) -> None:
        site = make_site(features=[feature for feature in default_features() if feature.name != "email_change"])
        person = make_ann(site)

        assert site.client_for(person).patch("/api/auth/me", json={"email": NEW}).status_code == 200
        assert site.client_for(person).post("/api/auth/email/change", json={"email": OLD}).status_code == 404

    def test_what_the_object_of_the_user_class_had_pending_is_kept(self, site: Site, ann: Any) -> None:
        with site.app.app_context():
            user = site.accounts.users.get(ann.id)
            user.username = "anna"
            site.accounts.users.update(user, {"email": NEW})
            site.testing.runtime.commit()
            site.db.session.remove()
            found = site.accounts.users.get(ann.id)
            assert (found.email, found.username) == (NEW, "anna")


def test_the_export_names_the_addresses_and_no_token(site: Site, ann: Any) -> None:
    runtime = site.testing.runtime
    with site.app.app_context():
        assert "email_change" not in runtime.export(ann.id)

    move(site, NEW)
    ask(site, THIRD)

    with site.app.app_context():
        part = runtime.export(ann.id)["email_change"]
    assert [[one["address"] for one in part[name]] for name in ("asked_for", "can_undo")] == [[THIRD], [OLD]]
    assert {tuple(one) for one in (*part["asked_for"], *part["can_undo"])} == {("address", "at", "until")}


def test_a_deleted_account_leaves_no_token_behind(site: Site, ann: Any) -> None:
    back = move(site, NEW)
    ask(site, THIRD)
    token = token_in(mail(site, "change_email", THIRD))

    assert site.client_for(ann).delete("/api/auth/me").status_code == 204

    assert [undo(site, back).status_code, confirm(site, token=token).status_code] == [400, 400]
    site.user(OLD)
    assert undo(site, back).status_code == 400


def test_what_has_expired_is_purged(site: Site, ann: Any) -> None:
    move(site, NEW)
    ask(site, THIRD)
    site.testing.clock.move(days=7)

    with site.app.app_context():
        site.testing.runtime.purge()
        site.testing.runtime.commit()
        table = site.db.metadata.tables["accounts_one_time_tokens"]
        assert site.db.session.execute(table.select()).all() == []


def test_it_works_with_uuid_keys(make_site: MakeSite) -> None:
    site = make_site(user_key="uuid7")
    make_ann(site)

    assert undo(site, move(site, NEW)).status_code == 204

    assert address(site) == (OLD, True)


def test_the_feature_needs_what_it_uses() -> None:
    from flask_sqlalchemy import SQLAlchemy

    from flask_accounts import ConfigurationError
    from flask_accounts.features.email_change import EmailChange

    with pytest.raises(ConfigurationError, match="'email_change' needs password, users, password_reset"):
        Accounts(SQLAlchemy(), features=[EmailChange()])


def test_the_password_stays_what_it_was(site: Site) -> None:
    move(site, NEW)

    assert site.login(NEW, PASSWORD).status_code == 200
