"""Attacks by whoever may impersonate, and on those who may: more power, a way to stay, a credential, a false trail.

Support is many people, and one of them is careless or worse. What matters is that acting in somebody's place gives nothing that lasts,
nothing that its actor did not have, and nothing that is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from flask_accounts import LoginAttempt, UserSchema, current_accounts, default_features
from flask_accounts.core.errors import MfaEnrolmentRequired
from flask_accounts.core.http import ROUTE, Route
from flask_accounts.core.one_time import OneTimeTokenMixin
from flask_accounts.core.tokens import Tokens
from flask_accounts.core.users import UserView
from flask_accounts.features.impersonation.models import ImpersonationMixin
from flask_accounts.features.impersonation.service import ImpersonationService
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.features.impersonation.tools import (
    ANN,
    AUTH,
    LOGOUT,
    ME,
    SUPPORT,
    acting,
    code_of,
    impersonate,
    refused,
    support,
)
from tests.features.impersonation.tools import make_site as make_site
from tests.features.impersonation.tools import site as site
from tests.features.mfa.tools import enrolled
from tests.sites import every_feature

from .forging import bent
from .test_races import at_once, statuses

NEW = "a rather different horse"

# No power that the actor does not have


@pytest.mark.requirement("ASVS 8.2.1", "ASVS 8.3.1")
def test_who_has_not_the_permission_acts_in_nobodys_place(site: Site) -> None:
    ann = site.user(ANN)

    assert code_of(impersonate(site.client, ann)) == (401, "TOKEN_MISSING")
    for permissions in ([], ["users:read", "users:write", "roles:write", "audit:read"]):
        client = site.client_for(site.user(permissions=permissions))
        assert code_of(impersonate(client, ann)) == (403, "PERMISSION_DENIED")


@pytest.mark.requirement("ASVS 8.2.1")
def test_support_does_not_become_somebody_who_may_do_more(site: Site) -> None:
    client = site.client_for(support(site))

    assert code_of(impersonate(client, site.user(permissions=["posts:read"]))) == (403, "PERMISSION_DENIED")
    assert impersonate(client, site.user(permissions=["posts:write"])).status_code == 200


@pytest.mark.requirement("ASVS 8.2.1")
@pytest.mark.parametrize("permission", ["users:read", "users:write", "roles:write", "audit:read", "users:impersonate", "*"])
def test_not_even_an_almighty_administrator_becomes_another_one(site: Site, permission: str) -> None:
    client = site.client_for(site.admin())

    for other in (site.admin("other@example.com"), site.user(permissions=[permission])):
        assert code_of(impersonate(client, other)) == (403, "IMPERSONATION_REFUSED")


@pytest.mark.requirement("ASVS 8.2.1")
def test_a_role_that_views_ask_for_by_its_name_is_not_gained_by_impersonation(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_IMPERSONATION_HARMLESS_ROLES": ["customer"]})
    client = site.client_for(support(site, roles=["moderator"]))

    assert code_of(impersonate(client, site.user(roles=["boss"]))) == (403, "PERMISSION_DENIED")
    assert impersonate(client, site.user(roles=["moderator"])).status_code == 200
    assert impersonate(client, site.user(roles=["customer"])).status_code == 200
    assert impersonate(site.client_for(site.admin()), site.user(roles=["boss"])).status_code == 200


@pytest.mark.requirement("ASVS 7.2.2", "ASVS 7.5.1")
def test_neither_an_old_session_nor_an_api_key_begins_it(site: Site) -> None:
    ann, admin = site.user(ANN), site.admin()
    client = site.client_for(admin)
    key = client.post("/api/auth/api-keys", json={"name": "ci", "scopes": ["*"]}).get_json()["key"]
    site.testing.clock.move(minutes=16)
    old = site.client.post(f"{AUTH}/refresh", json={"refresh_token": site.testing.sign_in(admin).tokens.refresh_token}).get_json()
    site.testing.clock.move(minutes=-1)

    by_key = site.client.post(f"/api/users/{ann.id}/impersonate", json={"reason": "x"}, headers={"X-API-Key": key})
    site.testing.clock.move(minutes=17)
    late = site.client.post(f"{AUTH}/refresh", json={"refresh_token": old["refresh_token"]}).get_json()["access_token"]
    by_old = site.client.post(f"/api/users/{ann.id}/impersonate", json={"reason": "x"}, headers=bearer(late))

    assert code_of(by_key) == (403, "CREDENTIAL_NOT_ALLOWED")
    assert code_of(by_old) == (401, "REAUTHENTICATION_REQUIRED")


@pytest.mark.requirement("ASVS 6.3.3", "ASVS 6.3.4")
def test_who_has_shown_one_factor_does_not_become_somebody_who_has_two(site: Site) -> None:
    ann = enrolled(site).user
    helper = support(site)
    kept = one_time_tokens(site)

    answer = impersonate(site.client_for(helper), ann)

    assert code_of(answer) == (403, "IMPERSONATION_REFUSED")
    assert "challenge_token" not in answer.get_json(), "the owner's challenge is not handed to somebody else"
    assert one_time_tokens(site) == kept, "nor kept: who answered it would be signed in as the owner, without a trace of the actor"
    strong = site.testing.client(helper, amr=("pwd", "otp", "mfa"))
    assert acting(site, strong, ann).get("/who").get_json()["amr"] == ["pwd", "otp", "mfa"]


def one_time_tokens(site: Site) -> int:
    with site.app.app_context():
        table = site.testing.runtime.model(OneTimeTokenMixin).__table__
        count: int = site.db.session.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        return count


@pytest.mark.requirement("ASVS 6.3.4")
def test_no_gate_of_a_host_is_got_by_and_none_makes_it_longer(make_site: MakeSite) -> None:
    def terms(attempt: LoginAttempt, user: UserView) -> LoginAttempt | None:
        if user.email == ANN:
            raise MfaEnrolmentRequired(["terms"])
        return None if attempt.actor is None else replace(attempt, session_until=None)

    site = make_site(gates=[terms])
    client = site.client_for(support(site))

    assert code_of(impersonate(client, site.user(ANN))) == (403, "IMPERSONATION_REFUSED")
    assert impersonate(client, site.user()).get_json()["expires_in"] == 1800


@pytest.mark.requirement("ASVS 7.4.2")
def test_an_account_that_its_owner_has_deleted_does_not_come_back_by_impersonation(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_DELETION_GRACE": timedelta(days=30)})
    ann = site.user(ANN)
    site.client_for(ann).delete(ME)

    assert code_of(impersonate(site.client_for(support(site)), ann)) == (403, "ACCOUNT_DISABLED")
    assert site.client_for(site.admin()).get(f"/api/users/{ann.id}").get_json()["is_active"] is False


@pytest.mark.requirement("ASVS 7.2.2")
def test_the_account_of_a_program_is_nobodys_to_act_as(site: Site) -> None:
    admin = site.client_for(site.admin())
    made = admin.post("/api/users/service-accounts", json={"name": "robot"}).get_json()

    assert code_of(impersonate(admin, made["id"])) == (403, "IMPERSONATION_REFUSED")


# Nothing that is the owner's alone

WHILE_IMPERSONATING = {
    "GET /api/auth/me", "GET /api/auth/sessions", "GET /api/auth/mfa", "GET /api/users/", "GET /api/users/<user_id>",
}  # fmt: skip
"""The routes that are open while impersonating: one more is a decision, not an oversight. None of them writes."""


def routes_of(site: Site) -> dict[str, Route]:
    """Every route of the app by method and path."""
    found = {}
    for rule in site.app.url_map.iter_rules():
        route = getattr(site.app.view_functions[rule.endpoint], ROUTE, None)
        if route is not None:
            found[f"{route.method} {rule.rule}"] = route
    return found


@pytest.mark.requirement("ASVS 8.3.1", "ASVS 7.6.2")
def test_every_route_but_those_named_here_is_closed_while_impersonating(make_site: MakeSite) -> None:
    further = [
        feature for feature in every_feature()[len(default_features()) :] if feature.name not in ("api_keys", "impersonation")
    ]
    site = make_site(features=further, config={"ACCOUNTS_USERS_DIRECTORY": "authenticated"})
    ann, admin = site.user(ANN), site.admin()
    open_to, writing, anonymous = set(), set(), set()

    for name, route in routes_of(site).items():
        method, _, path = name.partition(" ")
        if not (route.access.signed_in or route.access.optional):
            anonymous.add(name)  # looks at no access token; what it opens it opens for everybody
            continue
        other = acting(site, site.client_for(admin), ann)
        path = re.sub(r"<(\w+)>", lambda found: str(ann.id) if found[1] == "user_id" else str(uuid4()), path)
        answer = other.open(path, method=method, json={"code": "12345678"} if route.body else None)
        if answer.status_code == 200:
            open_to.add(name)
            assert route.access.impersonated, name
            writing |= {name} - {f"GET {name.partition(' ')[2]}"}
        else:
            assert code_of(answer) == (403, "NOT_WHILE_IMPERSONATING"), name

    assert open_to == WHILE_IMPERSONATING
    assert writing == set()
    assert {name for name in anonymous if "/logout" in name} == {"POST /api/auth/logout", "DELETE /api/auth/logout"}
    assert site.login(ANN).status_code == 200, "the account is as it was"


TAKING_OVER: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "proving presence": ("POST", f"{AUTH}/reauthenticate", {"password": PASSWORD}),
    "a new password": ("POST", f"{AUTH}/password/change", {"current_password": PASSWORD, "new_password": NEW}),
    "a new address": ("POST", f"{AUTH}/email/change", {"email": "evil@example.com"}),
    "a new name": ("PATCH", ME, {"username": "evil"}),
    "a new name by id": ("PATCH", "/api/users/1", {"username": "evil"}),
    "everything new by id": ("PUT", "/api/users/1", {"email": "evil@example.com", "username": None}),
    "an authenticator app": ("POST", f"{AUTH}/mfa/totp", None),
    "recovery codes": ("POST", f"{AUTH}/mfa/recovery-codes", None),
    "a remembered device": ("POST", f"{AUTH}/mfa/devices", None),
    "an API key": ("POST", f"{AUTH}/api-keys", {"name": "back door"}),
    "ending the owner's sessions": ("DELETE", f"{AUTH}/sessions", None),
    "everything stored about the owner": ("GET", f"{AUTH}/me/export", None),
    "what the owner did": ("GET", f"{AUTH}/me/events", None),
    "deleting the account": ("DELETE", ME, None),
    "deleting the account by id": ("DELETE", "/api/users/1", None),
    "roles": ("PUT", "/api/users/1/roles", {"roles": ["admin"]}),
    "another one's place": ("POST", "/api/users/2/impersonate", {"reason": "further"}),
    "a host's view for proved presence": ("POST", "/fresh", None),
    "a host's view for the owner": ("POST", "/owner", None),
}


@pytest.mark.requirement("ASVS 7.5.1", "ASVS 16.3.2")
@pytest.mark.parametrize("act", TAKING_OVER)
def test_support_with_the_owners_password_even_takes_nothing_over(site: Site, act: str) -> None:
    ann, helper = site.user(ANN), support(site)
    assert (ann.id, helper.id) == (1, 2)
    other, (method, path, body) = acting(site, site.client_for(helper), ann), TAKING_OVER[act]
    with site.testing.recorded() as events:
        answer = other.open(path, method=method, json=body)

    assert code_of(answer) == (403, "NOT_WHILE_IMPERSONATING")
    (told,) = events
    assert (told.name, told.user_id, told.actor_id, told.via) == ("access.refused", 1, 2, "impersonation:1")
    assert site.login(ANN).status_code == 200


@pytest.mark.requirement("ASVS 7.5.1")
def test_plain_jwt_required_for_fresh_tokens_is_closed_too(site: Site) -> None:
    other = acting(site, site.client_for(support(site)), site.user(ANN))

    assert other.post("/plain").status_code == 200
    assert code_of(other.post("/plain-fresh")) == (401, "REAUTHENTICATION_REQUIRED")


@pytest.mark.requirement("ASVS 7.3.2")
def test_it_cannot_be_made_to_last(site: Site) -> None:
    ann, client = site.user(ANN), site.client_for(support(site))
    token = impersonate(client, ann).get_json()["access_token"]

    for answer in (
        site.client.post(f"{AUTH}/refresh", json={"refresh_token": token}),
        site.client.post(f"{AUTH}/refresh", headers=bearer(token)),
    ):
        assert code_of(answer) == (401, "WRONG_TOKEN_TYPE")
    site.testing.clock.move(minutes=30)
    assert code_of(site.client.get(ME, headers=bearer(token))) == (401, "TOKEN_EXPIRED")


@pytest.mark.requirement("ASVS 7.3.2")
def test_a_refresh_token_of_such_a_session_would_be_refused_if_there_were_one(site: Site) -> None:
    ann, helper = site.user(ANN), support(site)
    acting(site, site.client_for(helper), ann)
    with site.app.app_context():
        runtime = current_accounts()
        (running,) = runtime.get(ImpersonationService).running()
        found = runtime.sessions.find(running.session_id)
        assert found is not None
        made = runtime.get(Tokens).issue(found[0])

    assert code_of(site.client.post(f"{AUTH}/refresh", json={"refresh_token": made.refresh_token})) == (401, "TOKEN_REVOKED")
    assert code_of(site.client.get(ME, headers=bearer(made.access_token))) == (401, "TOKEN_REVOKED"), "it does not say who acts"


# It ends with what it rests on

Ending = Callable[[Site, FlaskClient, Any, Any], object]


def by_host(change: Callable[[Site, Any], object]) -> Ending:
    def end(site: Site, own: FlaskClient, helper: Any, ann: Any) -> None:
        with site.app.app_context():
            change(site, helper)
            site.db.session.commit()

    return end


ENDINGS: dict[str, Ending] = {
    "the actor signs out": lambda site, own, helper, ann: own.post(LOGOUT),
    "the actor's other session ends his sessions": lambda site, own, helper, ann: site.client_for(helper).delete(
        f"{AUTH}/sessions"
    ),
    "the actor has a new password": lambda site, own, helper, ann: site.client_for(helper).post(
        f"{AUTH}/password/change", json={"current_password": PASSWORD, "new_password": NEW}
    ),
    "the actor is switched off": lambda site, own, helper, ann: site.client_for(site.admin()).post(
        f"/api/users/{helper.id}/disable"
    ),
    "the actor is deleted": lambda site, own, helper, ann: site.client_for(site.admin()).delete(f"/api/users/{helper.id}"),
    "the actor deletes himself": lambda site, own, helper, ann: own.delete(ME),
    "the actor loses his roles": by_host(lambda site, helper: site.accounts.roles.set(helper, [])),
    "the actor's role is changed": by_host(lambda site, helper: weaken(site, helper)),
    "the actor's role is deleted": by_host(lambda site, helper: site.accounts.roles.delete(*site.accounts.roles.of(helper))),
    "a refresh token of the actor's is reused": lambda site, own, helper, ann: reuse(site, own.environ_base["refresh_token"]),
    "the owner ends it": lambda site, own, helper, ann: site.client_for(ann).delete(f"{AUTH}/sessions"),
    "the owner has a new password": lambda site, own, helper, ann: site.client_for(ann).post(
        f"{AUTH}/password/change", json={"current_password": PASSWORD, "new_password": NEW}
    ),
    "the owner is switched off": lambda site, own, helper, ann: site.client_for(site.admin()).post(f"/api/users/{ann.id}/disable"),
    "the owner is deleted": lambda site, own, helper, ann: site.client_for(site.admin()).delete(f"/api/users/{ann.id}"),
    "the owner is made an administrator": lambda site, own, helper, ann: site.client_for(site.admin()).put(
        f"/api/users/{ann.id}/roles", json={"roles": ["admin"]}
    ),
    "an administrator ends the owner's sessions": lambda site, own, helper, ann: site.client_for(site.admin()).delete(
        f"/api/users/{ann.id}/sessions"
    ),
}


def weaken(site: Site, helper: Any) -> None:
    for name in site.accounts.roles.of(helper):
        site.accounts.roles.update(name, permissions=["posts:write"])


def reuse(site: Site, refresh_token: str) -> None:
    site.client.post(f"{AUTH}/refresh", json={"refresh_token": refresh_token})
    site.testing.clock.move(seconds=11)
    site.client.post(f"{AUTH}/refresh", json={"refresh_token": refresh_token})


@pytest.mark.requirement("ASVS 7.4.2", "ASVS 8.3.2", "ASVS 7.4.1")
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ends_it_ends_it_at_once(site: Site, ending: str) -> None:
    ann, helper = site.user(ANN), support(site)
    pair = site.tokens(SUPPORT)
    own = site.app.test_client()
    own.environ_base |= {"HTTP_AUTHORIZATION": f"Bearer {pair['access_token']}", "refresh_token": pair["refresh_token"]}
    other = acting(site, own, ann)
    assert not refused(other)

    with site.testing.recorded() as events:
        ENDINGS[ending](site, own, helper, ann)

    assert refused(other)
    with site.app.app_context():
        assert current_accounts().get(ImpersonationService).running() == [], "and nobody is shown it as running"
    if ending != "the owner is deleted":
        assert [event.user_id for event in events if event.name == "impersonation.ended"] == [ann.id]


@pytest.mark.requirement("ASVS 7.4.2", "ASVS 8.3.2")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE users SET is_active = :no WHERE email = 'support@example.com'",
        "DELETE FROM accounts_user_roles",
        "UPDATE accounts_roles SET permissions = ''",
        "UPDATE accounts_sessions SET ended_at = created_at WHERE user_id = 2",
        "DELETE FROM accounts_sessions WHERE user_id = 2",
        "DELETE FROM accounts_impersonations",
    ],
)
def test_it_ends_though_nobody_is_told_of_what_ends_it(site: Site, statement: str) -> None:
    ann, helper = site.user(ANN), support(site)
    assert helper.id == 2
    other = acting(site, site.client_for(helper), ann)

    with site.app.app_context():
        site.db.session.execute(sa.text(statement), {"no": False} if ":no" in statement else {})
        site.db.session.commit()

    assert refused(other)


@pytest.mark.requirement("ASVS 8.3.2")
def test_sessions_that_are_cached_do_not_keep_it_alive(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_SESSIONS_CACHE": "memory"})
    ann, helper = site.user(ANN), support(site)
    client = site.client_for(helper)
    other = acting(site, client, ann)
    assert other.get(ME).status_code == other.get("/who").status_code == 200

    client.post(LOGOUT)

    assert refused(other)


@pytest.mark.requirement("ASVS 7.2.1")
def test_the_feature_left_out_again_does_not_make_the_owners_sessions_of_them(make_site: MakeSite) -> None:
    site = make_site()
    ann, client = site.user(ANN), site.client_for(support(site))
    token = impersonate(client, ann).get_json()["access_token"]

    later = make_site(without=True)
    later.testing.clock = later.testing.runtime.clock = site.testing.clock

    assert code_of(later.client.get(ME, headers=bearer(token))) == (401, "TOKEN_REVOKED")


@pytest.mark.requirement("ASVS 9.1.1")
def test_who_acts_cannot_be_taken_out_of_a_token_or_put_into_one(make_site: MakeSite) -> None:
    claims: dict[str, Any] = {}
    site = make_site()
    site.app.extensions["flask-jwt-extended"].additional_claims_loader(lambda identity: claims)
    ann, helper = site.user(ANN), support(site)
    token = impersonate(site.client_for(helper), ann).get_json()["access_token"]

    assert code_of(site.client.get(ME, headers=bearer(bent(token, act=None)))) == (401, "TOKEN_REVOKED")
    claims["act"] = {"sub": "4711"}
    own = site.tokens(ANN)["access_token"]
    assert site.client.get("/who", headers=bearer(own)).get_json()["actor"] is None, "a host's own claims do not make an actor"


# Nothing unseen


@pytest.mark.requirement("ASVS 16.3.1", "ASVS 16.3.2")
def test_every_row_of_the_log_names_who_acted_and_in_whose_place(site: Site) -> None:
    ann, helper, admin = site.user(ANN), support(site), site.admin()
    other = acting(site, site.client_for(helper), ann)
    other.post("/rename")
    other.delete(ME)
    other.post(LOGOUT)

    rows = site.client_for(admin).get(f"/api/users/events?actor={helper.id}&per_page=100").get_json()["events"]

    told = [(row["event"], row["user_id"], row["details"].get("via")) for row in reversed(rows) if row["event"] != "session.opened"]
    place = f"impersonation:{ann.id}"
    assert told == [
        ("impersonation.started", str(ann.id), None),
        ("user.updated", str(ann.id), place), ("user.updated", str(ann.id), place), ("user.updated", str(10**6), place),
        ("access.refused", str(ann.id), place),
        ("session.ended", str(ann.id), None), ("impersonation.ended", str(ann.id), None),
    ]  # fmt: skip
    assert {row["actor_id"] for row in rows} == {str(helper.id)}
    started = next(row for row in rows if row["event"] == "impersonation.started")
    assert started["details"]["reason"] == "ticket 4711"
    assert started["session_id"] in {row["session_id"] for row in rows if row["event"] == "user.updated"}


@pytest.mark.requirement("ASVS 16.3.1")
def test_the_owner_sees_that_it_was_not_he_and_neither_who_nor_why(site: Site) -> None:
    ann = site.user(ANN)
    other = acting(site, site.client_for(support(site)), ann)
    other.post("/rename")

    events = site.client_for(ann).get(f"{AUTH}/me/events").get_json()["events"]

    found = {event["event"]: event for event in events}
    assert found["impersonation.started"]["by_me"] is found["user.updated"]["by_me"] is False
    assert "reason" not in found["impersonation.started"]["details"]
    assert found["impersonation.started"]["ip_address"] is None


@pytest.mark.requirement("ASVS 16.3.1")
def test_a_refused_attempt_is_remembered_with_its_actor(site: Site) -> None:
    helper, off = support(site), site.user(is_active=False)
    with site.testing.recorded() as events:
        impersonate(site.client_for(helper), off)

    (told,) = (event for event in events if event.name == "session.refused")
    assert (told.user_id, told.actor_id, vars(told)["reason"]) == (off.id, helper.id, "ACCOUNT_DISABLED")


@pytest.mark.requirement("ASVS 7.1.2")
def test_it_pushes_none_of_the_owners_sessions_out(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_SESSIONS_MAX_PER_USER": 1})
    ann, helper = site.user(ANN), support(site)
    own = site.client_for(ann)

    acting(site, site.client_for(helper), ann)

    assert not refused(own)


@pytest.mark.requirement("ASVS 7.2.1")
def test_the_owners_data_shows_nothing_of_the_actor(site: Site) -> None:
    ann, helper = site.user(ANN), support(site)
    client = site.client_for(helper)
    client.post(f"/api/users/{ann.id}/impersonate", json={"reason": "a secret matter"}, headers={"User-Agent": "SupportDesk/9"})

    exported = site.client_for(ann).get(f"{AUTH}/me/export").text

    for hint in ("a secret matter", "SupportDesk", SUPPORT):
        assert hint not in exported


# At the same moment


@pytest.mark.requirement("ASVS 15.4.2")
def test_two_at_the_same_moment_leave_one(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url)
    people, helper = [site.user() for _ in range(3)], support(site)
    client = site.testing.client(helper)
    header = client.environ_base["HTTP_AUTHORIZATION"]

    def begin(user: Any) -> Any:
        return site.client.post(f"/api/users/{user.id}/impersonate", json={"reason": "x"}, headers={"Authorization": header})

    answers = at_once(*((lambda user=user: begin(user)) for user in people))

    assert set(statuses(answers)) <= {200, 409}
    with site.app.app_context():
        running = current_accounts().get(ImpersonationService).running()
    assert len(running) == 1
    tokens = [answer.get_json()["access_token"] for answer in answers if answer.status_code == 200]
    alive = [token for token in tokens if site.client.get(ME, headers=bearer(token)).status_code == 200]
    assert len(alive) == 1


def test_a_schema_of_the_hosts_shows_the_account_as_everywhere(make_site: MakeSite) -> None:
    class Mine(UserSchema):
        greeting: str = "hello"

    site = make_site(schemas={UserSchema: Mine})
    assert impersonate(site.client_for(support(site)), site.user(ANN)).get_json()["user"]["greeting"] == "hello"
    assert site.testing.runtime.has_model(ImpersonationMixin)
