"""Acting in somebody's place: what it takes, what it is, who sees it, and how it ends. The attacks are in `tests/security`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from flask_accounts import Client, ConfigurationError, LoginAttempt, Principal, current_accounts
from flask_accounts.core.errors import ReauthenticationRequired, ValidationError
from flask_accounts.core.gates import Actor
from flask_accounts.core.login import LoginPipeline
from flask_accounts.features.impersonation import Impersonation
from flask_accounts.features.impersonation.service import ImpersonationService
from flask_accounts.features.token_services import TokenServices
from tests.conftest import MakeSite, Site, bearer
from tests.features.impersonation.tools import ANN, LOGOUT, ME, acting, code_of, impersonate, refused, support
from tests.features.token_services.test_token_services import CLIENTS, ask
from tests.security.forging import claims_of


def test_support_sees_the_app_as_the_person_does_for_half_an_hour(site: Site) -> None:
    ann, helper = site.user(ANN), support(site)
    answer = impersonate(site.client_for(helper), ann)

    body = answer.get_json()
    assert answer.status_code == 200
    assert set(body) == {"access_token", "token_type", "expires_in", "act", "user"}, "no refresh token"
    assert (body["expires_in"], body["act"], body["user"]["email"]) == (1800, {"sub": str(helper.id)}, ANN)
    assert answer.headers["Cache-Control"] == "no-store"
    headers = bearer(body["access_token"])
    assert site.client.get(ME, headers=headers).get_json()["email"] == ANN
    assert site.client.get("/who", headers=headers).get_json() == {
        "email": ANN, "actor": helper.id, "in_person": False, "kind": "session", "amr": ["pwd"],
    }  # fmt: skip
    site.testing.clock.move(minutes=29, seconds=59)
    assert site.client.get(ME, headers=headers).status_code == 200
    site.testing.clock.move(seconds=1)
    assert code_of(site.client.get(ME, headers=headers)) == (401, "TOKEN_EXPIRED")


def test_the_owner_in_person_has_no_actor(site: Site) -> None:
    assert site.client_for(site.user(ANN)).get("/who").get_json() == {
        "email": ANN, "actor": None, "in_person": True, "kind": "session", "amr": ["pwd"],
    }  # fmt: skip


def test_the_token_says_who_acts_as_rfc_8693_does(site: Site) -> None:
    ann, helper = site.user(ANN), support(site)

    claims = claims_of(impersonate(site.client_for(helper), ann).get_json()["access_token"])

    assert (claims["sub"], claims["act"], claims["type"], claims["fresh"]) == (
        str(ann.id),
        {"sub": str(helper.id)},
        "access",
        False,
    )
    assert claims["exp"] - claims["iat"] == 1800


def test_its_length_is_a_setting_of_hours_at_most(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_IMPERSONATION_LIFETIME": timedelta(minutes=5)})
    assert impersonate(site.client_for(support(site)), site.user(ANN)).get_json()["expires_in"] == 300
    with pytest.raises(ConfigurationError, match="ACCOUNTS_IMPERSONATION_LIFETIME"):
        make_site(config={"ACCOUNTS_IMPERSONATION_LIFETIME": timedelta(hours=5)})


@pytest.mark.parametrize("reason", ["", "   ", "\n", "a\nb", "x" * 256, None, 7])
def test_a_reason_has_to_be_given(site: Site, reason: object) -> None:
    ann, client = site.user(ANN), site.client_for(support(site))

    assert code_of(client.post(f"/api/users/{ann.id}/impersonate", json={"reason": reason})) == (400, "VALIDATION_ERROR")
    assert code_of(client.post(f"/api/users/{ann.id}/impersonate", json={})) == (400, "VALIDATION_ERROR")
    with site.app.app_context():
        assert current_accounts().get(ImpersonationService).running() == []


def test_each_refusal_says_why(site: Site) -> None:
    helper = support(site)
    client, off = site.client_for(helper), site.user("off@example.com", is_active=False)
    nobody = site.user("nobody@example.com", permissions=["posts:write"])

    assert code_of(impersonate(client, helper)) == (403, "IMPERSONATION_REFUSED")
    assert impersonate(client, helper).get_json()["detail"] == "This is your own account."
    assert code_of(impersonate(client, off)) == (403, "ACCOUNT_DISABLED")
    assert code_of(impersonate(client, 4711)) == (404, "NOT_FOUND")
    assert code_of(impersonate(client, "x")) == (404, "NOT_FOUND")
    assert code_of(impersonate(site.client_for(nobody), helper)) == (403, "PERMISSION_DENIED")


def test_what_gates_ask_of_the_account_holds_for_support_too(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_EMAIL_VERIFICATION_MODE": "required"})
    helper = support(site, email_verified=True)

    assert code_of(impersonate(site.client_for(helper), site.user(ANN))) == (403, "EMAIL_NOT_VERIFIED")
    assert impersonate(site.client_for(helper), site.user("bob@example.com", email_verified=True)).status_code == 200


def test_the_owner_sees_it_in_the_list_of_sessions_and_can_end_it(site: Site) -> None:
    ann = site.user(ANN)
    own, other = site.client_for(ann), acting(site, site.client_for(support(site)), ann)

    listed = {each["current"]: each for each in own.get("/api/auth/sessions").get_json()["sessions"]}

    assert (listed[True]["impersonated"], listed[False]["impersonated"]) == (False, True)
    assert (listed[False]["ip_address"], listed[False]["user_agent"]) == (None, None), "where support sits is its own affair"
    assert own.delete(f"/api/auth/sessions/{listed[False]['id']}").status_code == 204
    assert refused(other)
    assert not refused(own)


def test_the_owner_is_told_by_mail_neither_by_whom_nor_why(site: Site) -> None:
    ann, client = site.user(ANN), site.client_for(support(site))
    site.testing.outbox.clear()
    impersonate(client, ann, "a reason that is not for her eyes")

    (mail,) = site.testing.outbox
    assert (mail.to, mail.kind) == (ANN, "impersonated")
    assert "30 minutes" in mail.text
    assert "reason" not in mail.text
    assert "support@" not in mail.text


def test_the_owner_is_not_told_where_the_app_says_so(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_IMPERSONATION_NOTICE": False})
    ann, client = site.user(ANN), site.client_for(support(site))
    site.testing.outbox.clear()

    assert impersonate(client, ann).status_code == 200
    assert site.testing.outbox == []


def test_it_is_no_sign_in_of_the_owners(site: Site) -> None:
    ann, client = site.user(ANN), site.client_for(support(site))
    with site.testing.recorded() as events:
        impersonate(client, ann)

    assert [event.name for event in events] == ["impersonation.started"], "neither a sign-in nor a new device"


def test_support_signs_out_of_it_and_is_itself_again(site: Site) -> None:
    ann, helper = site.user(ANN), support(site)
    client = site.client_for(helper)
    other = acting(site, client, ann)
    with site.testing.recorded() as events:
        assert other.post(LOGOUT).status_code == 200

    assert [(event.name, event.user_id, event.actor_id, vars(event)["reason"]) for event in events] == [
        ("impersonation.ended", ann.id, helper.id, "logout"), ("session.ended", ann.id, helper.id, "logout"),
    ]  # fmt: skip
    assert refused(other)
    assert not refused(client)


def test_one_at_a_time_of_each_session(site: Site) -> None:
    ann, bob, client = site.user(ANN), site.user("bob@example.com"), site.client_for(support(site))
    first = acting(site, client, ann)

    second = acting(site, client, bob)

    assert refused(first)
    assert second.get("/who").get_json()["email"] == "bob@example.com"


def test_an_ordinary_request_costs_one_statement_and_one_in_anothers_place_two(site: Site) -> None:
    ann, client = site.user(ANN), site.client_for(support(site))
    own, other = site.client_for(ann), acting(site, client, ann)

    site.statements.clear()
    assert own.get(ME).status_code == 200
    assert len(site.statements) == 1

    site.statements.clear()
    assert other.get(ME).status_code == 200
    assert len(site.statements) == 2


def test_without_the_feature_nothing_of_it_is_asked(make_site: MakeSite, tmp_path: Path) -> None:
    site = make_site()
    client = site.client_for(site.user(ANN))
    site.statements.clear()
    client.get(ME)
    assert "accounts_impersonations" in site.statements[0]

    site = make_site(without=True, url=f"sqlite:///{tmp_path / 'other.db'}")
    client = site.client_for(site.user(ANN))
    site.statements.clear()
    client.get(ME)
    assert "accounts_impersonations" not in site.statements[0]
    assert client.get("/api/auth/sessions").get_json()["sessions"][0]["impersonated"] is False


def test_in_cookies_it_takes_the_access_tokens_place_and_signing_out_leads_back(make_site: MakeSite) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["cookies"], "JWT_COOKIE_CSRF_PROTECT": False, "JWT_COOKIE_SECURE": False})
    ann, helper = site.user(ANN), support(site)
    browser = site.app.test_client()
    browser.post("/api/auth/login", json={"email": helper.email, "password": "correct horse battery staple"})

    answer = impersonate(browser, ann)

    assert "access_token" not in answer.get_json()
    assert browser.get("/who").get_json()["actor"] == helper.id
    assert browser.post(LOGOUT).status_code == 200
    assert browser.get(ME).status_code == 401
    assert browser.post("/api/auth/refresh").status_code == 200
    assert browser.get(ME).get_json()["email"] == helper.email


def test_introspection_tells_who_acts_and_hears_of_the_end(make_site: MakeSite) -> None:
    given = {"ACCOUNTS_TOKEN_SERVICES_CLIENTS": CLIENTS}
    site = make_site(features=[TokenServices()], config=given)
    ann, helper = site.user(ANN), support(site)
    client = site.client_for(helper)
    token = impersonate(client, ann).get_json()["access_token"]

    told = ask(site, token).get_json()
    assert (told["active"], told["sub"], told["act"]) == (True, str(ann.id), {"sub": str(helper.id)})
    client.post(LOGOUT)
    assert ask(site, token).get_json() == {"active": False}


def test_the_profile_of_rfc_9068_says_it_too(make_site: MakeSite) -> None:
    site = make_site(config={
        "ACCOUNTS_TOKENS_PROFILE": "at+jwt", "ACCOUNTS_TOKENS_CLIENT_ID": "web", "JWT_ENCODE_ISSUER": "https://id.example",
        "JWT_ENCODE_AUDIENCE": "api",
    })  # fmt: skip
    ann, helper = site.user(ANN), support(site)

    token = impersonate(site.client_for(helper), ann).get_json()["access_token"]

    claims = claims_of(token)
    assert (claims["act"], claims["client_id"], claims["aud"]) == ({"sub": str(helper.id)}, "web", "api")
    assert site.client.get(ME, headers=bearer(token)).status_code == 200


def test_host_code_sees_what_runs_and_ends_it(site: Site) -> None:
    ann, helper = site.user(ANN), support(site)
    other = acting(site, site.client_for(helper), ann)

    with site.app.app_context():
        (running,) = site.accounts.impersonations.running()
        assert (running.user_id, running.actor_id, running.reason) == (ann.id, helper.id, "ticket 4711")
        assert site.accounts.impersonations.end(ann) == 1
        site.db.session.commit()
        assert site.accounts.impersonations.running() == []

    assert refused(other)


def test_the_owners_export_says_that_somebody_acts_and_not_who(site: Site) -> None:
    ann, helper = site.user(ANN), support(site)
    acting(site, site.client_for(helper), ann)

    exported = site.client_for(ann).get("/api/auth/me/export").get_json()

    (running,) = exported["impersonation"]
    assert set(running) == {"session_id", "started_at", "expires_at"}


def test_what_is_over_is_purged(site: Site) -> None:
    acting(site, site.client_for(support(site)), site.user(ANN))
    site.testing.clock.move(minutes=31)
    with site.app.app_context():
        service = current_accounts().get(ImpersonationService)
        assert service.running() == []
        assert service.purge() == 1
        assert service.purge() == 0


def test_host_code_that_names_an_actor_needs_the_feature(make_site: MakeSite) -> None:
    plain = make_site(without=True)
    ann = plain.user(ANN)
    with plain.app.app_context():
        session = plain.testing.sign_in(plain.user()).session
        attempt = LoginAttempt(ann.id, ("pwd",), Client(), actor=Actor(session.user_id, session.id))
        with pytest.raises(ConfigurationError, match=r"`Feature\.acting`"):
            plain.testing.runtime.get(LoginPipeline).finish(attempt)


def test_by_an_api_key_nobody_acts_in_anothers_place_by_host_code_either(site: Site) -> None:
    ann = site.user(ANN)
    with site.app.app_context():
        view = site.testing.runtime.users.view(site.admin().id)
        assert view is not None
        by_key = Principal.of(view, kind="api_key")
        with pytest.raises(ReauthenticationRequired):
            site.accounts.impersonations.start(by_key, ann, "ticket")
        with pytest.raises(ValidationError):
            site.accounts.impersonations.start(by_key, ann, " ")


def test_the_feature_stands_on_roles_alone() -> None:
    assert Impersonation.requires == ("roles",)
