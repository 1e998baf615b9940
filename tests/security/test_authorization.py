"""Who may do what: every route and method walked, other people's objects, and ways to more power than one has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from flask_accounts.core.http import ROUTE, Route
from tests.conftest import KEY, MakeSite, Site, bearer

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
PUBLIC = {
    # Signing up and in, and what takes another credential than the access token
    "POST /api/auth/login", "POST /api/auth/register", "POST /api/users/", "POST /api/auth/refresh", "POST /api/auth/logout",
    "DELETE /api/auth/logout", "POST /api/auth/challenge", "POST /api/auth/challenge/totp",
    # Proofs that travel by mail
    "POST /api/auth/email/verify", "POST /api/auth/email/verify/resend", "POST /api/auth/password/forgot", "POST /api/auth/password/reset",
    "POST /api/auth/invitations/look", "POST /api/auth/invitations/accept", "POST /api/auth/email/change/confirm",
    "POST /api/auth/email/change/undo",
    "POST /api/auth/unlock/request", "POST /api/auth/unlock",
    # The contract
    "GET /api/auth/openapi.json", "GET /api/auth/docs", "GET /api/auth/docs/<name>",
}  # fmt: skip
OWN = {
    # What a person may do to the own account
    "GET /api/auth/me", "PATCH /api/auth/me", "DELETE /api/auth/me", "GET /api/auth/sessions", "DELETE /api/auth/sessions",
    "GET /api/auth/mfa", "POST /api/auth/mfa/totp", "POST /api/auth/mfa/totp/confirm", "DELETE /api/auth/mfa/totp",
    "POST /api/auth/mfa/recovery-codes", "GET /api/auth/mfa/devices", "POST /api/auth/mfa/devices", "DELETE /api/auth/mfa/devices",
    "DELETE /api/auth/mfa/devices/<device_id>",
    "DELETE /api/auth/sessions/<session_id>", "POST /api/auth/reauthenticate", "POST /api/auth/password/change", "GET /api/auth/me/events",
    "POST /api/auth/email/change", "GET /api/auth/me/export",
    "GET /api/users/<user_id>", "PUT /api/users/<user_id>", "PATCH /api/users/<user_id>", "DELETE /api/users/<user_id>",
}  # fmt: skip
ADMINISTRATIVE = {
    "GET /api/users/", "GET /api/users/<user_id>/sessions", "DELETE /api/users/<user_id>/sessions", "POST /api/users/<user_id>/disable",
    "POST /api/users/<user_id>/enable", "PUT /api/users/<user_id>/roles", "GET /api/users/roles", "POST /api/users/roles",
    "PATCH /api/users/roles/<name>", "DELETE /api/users/roles/<name>", "POST /api/users/<user_id>/password-reset",
    "DELETE /api/users/<user_id>/mfa",
    "GET /api/users/invitations", "POST /api/users/invitations", "GET /api/users/invitations/<invitation_id>",
    "DELETE /api/users/invitations/<invitation_id>", "POST /api/users/invitations/<invitation_id>/resend",
    "POST /api/users/<user_id>/unlock", "GET /api/users/events", "GET /api/users/<user_id>/events", "GET /api/users/<user_id>/standing",
    "POST /api/users/<user_id>/email/verify/resend",
}  # fmt: skip


def routes(site: Site) -> Iterator[tuple[str, str]]:
    """Method and rule of every operation in the URL map."""
    for rule in site.app.url_map.iter_rules():
        view = site.app.view_functions[rule.endpoint]
        route: Route | None = getattr(view, ROUTE, None)
        if route:
            yield route.method, rule.rule


def filled(rule: str, key: Any, name: str = "editor") -> str:
    nothing = "00000000-0000-7000-8000-000000000000"
    values = {"user_id": str(key), "name": name, "session_id": nothing, "invitation_id": nothing, "device_id": nothing}
    return re.sub(r"<(\w+)>", lambda found: values[found[1]], rule)


def call(client: FlaskClient, method: str, path: str) -> Any:
    return client.open(path, method=method, json={} if method in ("POST", "PUT", "PATCH") else None)


# Function level


@pytest.mark.requirement("ASVS 8.3.1")
def test_every_route_is_either_listed_here_as_public_or_refuses_who_sends_no_credentials(site: Site) -> None:
    walked = {f"{method} {rule}" for method, rule in routes(site)}

    refused = {
        f"{method} {rule}"
        for method, rule in routes(site)
        if call(site.client, method, filled(rule, site.user().id)).status_code == 401
    }

    assert walked == PUBLIC | OWN | ADMINISTRATIVE
    assert walked - refused == PUBLIC - {"POST /api/auth/refresh", "POST /api/auth/logout", "DELETE /api/auth/logout"}


@pytest.mark.requirement("ASVS 8.3.1")
@pytest.mark.requirement("ASVS 4.1.4")
def test_no_other_method_on_any_path_does_anything_without_credentials(site: Site) -> None:
    known = set(routes(site))
    for rule in {rule for _, rule in known}:
        for method in METHODS:
            if (method, rule) in known or (method == "HEAD" and ("GET", rule) in known):
                continue
            answer = call(site.client, method, filled(rule, 1))
            assert answer.status_code == (204 if method == "OPTIONS" else 405), (method, rule)


@pytest.mark.requirement("ASVS 8.2.1")
def test_no_administrative_route_serves_an_ordinary_user_by_any_method(site: Site) -> None:
    ann, ben = site.client_for(site.user("ann@example.com")), site.user("ben@example.com")
    with site.app.app_context():
        site.accounts.roles.create("editor", permissions=["users:read"])
        site.db.session.commit()
        before = site.testing.runtime.show(ben.id)

    for method, rule in routes(site):
        if f"{method} {rule}" not in ADMINISTRATIVE and "<user_id>" not in rule:
            continue
        answer = call(ann, method, filled(rule, ben.id))
        if f"{method} {rule}" in ADMINISTRATIVE:
            assert answer.status_code == 403, (method, rule)
            assert answer.get_json()["code"] == "PERMISSION_DENIED"
        else:
            assert answer.status_code in (400, 404), (method, rule)

    with site.app.app_context():
        assert site.testing.runtime.show(ben.id) == before
        assert [role.name for role in site.accounts.roles.all()] == ["editor"]


@pytest.mark.requirement("ASVS 8.2.1")
def test_the_first_person_to_register_is_no_administrator(site: Site) -> None:
    for path in ("/api/auth/register", "/api/users"):
        answer = site.client.post(path, json={"email": f"a{len(path)}@example.com", "password": "correct horse battery"})
        assert answer.status_code == 201
        assert (answer.get_json().get("user") or answer.get_json())["roles"] == []


@pytest.mark.requirement("ASVS 8.3.1")
@pytest.mark.parametrize(
    "override", ["X-HTTP-Method-Override", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL", "X-User-Id"]
)
def test_no_header_turns_one_request_into_another(site: Site, override: str) -> None:
    ann = site.user("ann@example.com")
    value = {"X-Original-URL": "/api/users", "X-Rewrite-URL": "/api/users", "X-User-Id": str(site.admin().id)}.get(
        override, "DELETE"
    )

    answer = site.client_for(ann).get("/api/auth/me", headers={override: value})

    assert answer.get_json()["id"] == ann.id


# Object level


@pytest.mark.requirement("ASVS 8.2.2")
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_somebody_elses_account_is_as_absent_as_one_that_is_not_there(site: Site, method: str) -> None:
    ann, ben = site.client_for(site.user("ann@example.com")), site.user("ben@example.com")
    body = {"email": "mine@example.com", "username": "mine"} if method in ("PUT", "PATCH") else None

    theirs = ann.open(f"/api/users/{ben.id}", method=method, json=body)
    nobodys = ann.open("/api/users/999999", method=method, json=body)

    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.get_json() == nobodys.get_json()
    assert {name for name, _ in theirs.headers} == {name for name, _ in nobodys.headers}
    assert site.tokens("ben@example.com")["user"]["email"] == "ben@example.com"


@pytest.mark.requirement("ASVS 8.2.2")
def test_somebody_elses_session_cannot_be_ended_and_is_as_absent_as_none(site: Site) -> None:
    ann = site.client_for(site.user("ann@example.com"))
    site.user("ben@example.com")
    token = site.tokens("ben@example.com")["access_token"]
    session = jwt.decode(token, options={"verify_signature": False})["sid"]

    theirs = ann.delete(f"/api/auth/sessions/{session}")
    nobodys = ann.delete("/api/auth/sessions/00000000-0000-7000-8000-000000000000")

    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.get_json() == nobodys.get_json()
    assert site.client.get("/api/auth/me", headers=bearer(token)).status_code == 200


@pytest.mark.requirement("ASVS 8.2.2")
@pytest.mark.parametrize("member", ["id", "user_id", "sub", "session_id", "sid"])
def test_an_id_in_a_body_points_at_nobody_else(site: Site, member: str) -> None:
    ann, ben = site.client_for(site.user("ann@example.com")), site.user("ben@example.com", username="ben")

    for method, path, body in [
        ("PATCH", "/api/auth/me", {"username": "taken.over"}),
        (
            "POST",
            "/api/auth/password/change",
            {"current_password": "correct horse battery staple", "new_password": "another passphrase"},
        ),
        ("POST", "/api/auth/reauthenticate", {"password": "correct horse battery staple"}),
    ]:
        assert ann.open(path, method=method, json=body | {member: ben.id}).status_code == 400

    assert site.tokens("ben@example.com")["user"]["username"] == "ben"


# Field level


@pytest.mark.requirement("ASVS 8.2.3")
@pytest.mark.parametrize(
    "query",
    [
        "sort=password_hash", "sort=-password_hash", "sort=username_normalized", "sort=users.password_hash", "filter[password_hash]=a", "password_hash=a",
        "password_hash__startswith=a", "fields=password_hash", "include=sessions", "search[password_hash]=a", "order_by=password_hash", "is_active=2",
    ],
)  # fmt: skip
def test_secret_columns_can_be_neither_filtered_nor_sorted_by(site: Site, query: str) -> None:
    answer = site.client_for(site.admin()).get(f"/api/users?{query}")

    assert answer.status_code == 400
    assert answer.get_json()["code"] == "VALIDATION_ERROR"


@pytest.mark.requirement("ASVS 8.2.3")
def test_the_search_does_not_look_into_the_password_hash(site: Site) -> None:
    ann = site.user("ann@example.com")

    found = site.client_for(site.admin()).get("/api/users", query_string={"search": ann.password_hash[:8]})

    assert found.get_json()["users"] == []


@pytest.mark.requirement("ASVS 8.2.3")
@pytest.mark.requirement("ASVS 15.3.1")
def test_the_open_directory_shows_and_searches_only_public_fields_of_active_people(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_USERS_DIRECTORY": "authenticated"})
    site.user("secret.address@example.com", username="ann")
    site.user("gone@example.com", username="gone", is_active=False)
    client = site.client_for(site.user("me@example.com", username="me"))

    page = client.get("/api/users").get_json()
    by_address = client.get("/api/users?search=secret.address").get_json()
    refused = [client.get(f"/api/users?{query}") for query in ("is_active=false", "role=admin", "sort=email", "sort=-updated_at")]

    assert [set(user) for user in page["users"]] == [{"id", "username", "created_at"}] * 2
    assert {user["username"] for user in page["users"]} == {"ann", "me"}
    assert by_address["total"] == 0
    assert {answer.status_code for answer in refused} == {403}


# Rights change at once


@pytest.mark.requirement("ASVS 8.3.2")
def test_roles_and_permissions_written_into_a_signed_token_give_nothing(site: Site) -> None:
    site.user("ann@example.com")
    claims = jwt.decode(site.tokens("ann@example.com")["access_token"], options={"verify_signature": False})
    extra = {"role": "admin", "roles": ["admin"], "permissions": ["*"], "is_admin": True, "scope": "*"}
    forged = jwt.encode(claims | extra, KEY, algorithm="HS256")

    assert site.client.get("/api/auth/me", headers=bearer(forged)).get_json()["roles"] == []
    assert site.client.get("/api/users", headers=bearer(forged)).status_code == 403


@pytest.mark.requirement("ASVS 8.3.2")
def test_a_demoted_administrator_is_refused_with_the_old_token_at_the_very_next_request(site: Site) -> None:
    boss, rival = site.client_for(site.admin("boss@example.com")), site.admin("rival@example.com")
    demoted = site.client_for(rival)
    assert demoted.get("/api/users").status_code == 200

    assert boss.put(f"/api/users/{rival.id}/roles", json={"roles": []}).status_code == 200

    assert demoted.get("/api/users").status_code == 403


@pytest.mark.requirement("ASVS 8.3.2")
def test_a_permission_taken_from_a_role_is_gone_for_its_holders_at_the_very_next_request(site: Site) -> None:
    boss = site.client_for(site.admin())
    boss.post("/api/users/roles", json={"name": "reader", "permissions": ["users:read"]})
    reader = site.client_for(site.user(roles=["reader"]))
    assert reader.get("/api/users").status_code == 200

    assert boss.patch("/api/users/roles/reader", json={"permissions": []}).status_code == 200

    assert reader.get("/api/users").status_code == 403


# More power than one has


@pytest.fixture
def moderator(site: Site) -> FlaskClient:
    return site.client_for(site.user("mod@example.com", permissions=["users:read", "users:write"]))


Attack = Callable[[FlaskClient, Any], Any]
ATTACKS: dict[str, Attack] = {
    "re-address": lambda client, key: client.patch(f"/api/users/{key}", json={"email": "mod+admin@example.com"}),
    "re-address by PUT": lambda client, key: client.put(
        f"/api/users/{key}", json={"email": "mod@evil.example", "username": "root"}
    ),
    "rename": lambda client, key: client.patch(f"/api/users/{key}", json={"username": "nobody"}),
    "mark as verified": lambda client, key: client.patch(f"/api/users/{key}", json={"email_verified": True}),
    "deactivate": lambda client, key: client.patch(f"/api/users/{key}", json={"is_active": False}),
    "disable": lambda client, key: client.post(f"/api/users/{key}/disable"),
    "enable": lambda client, key: client.post(f"/api/users/{key}/enable"),
    "delete": lambda client, key: client.delete(f"/api/users/{key}"),
    "sign out": lambda client, key: client.delete(f"/api/users/{key}/sessions"),
}


@pytest.mark.requirement("ASVS 8.2.1")
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_moderator_has_no_hold_on_somebody_of_more_power(site: Site, moderator: FlaskClient, attack: str) -> None:
    boss = site.admin("boss@example.com")
    site.admin("second@example.com")
    token = site.tokens("boss@example.com")["access_token"]
    before = site.client.get("/api/auth/me", headers=bearer(token)).get_json()

    answer = ATTACKS[attack](moderator, boss.id)

    assert answer.status_code == 403
    assert site.client.get("/api/auth/me", headers=bearer(token)).get_json() == before


@pytest.mark.requirement("ASVS 8.2.1")
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_moderator_has_a_hold_on_ordinary_people(site: Site, moderator: FlaskClient, attack: str) -> None:
    assert ATTACKS[attack](moderator, site.user("ann@example.com").id).status_code in (200, 204)


@pytest.fixture
def hr(site: Site) -> FlaskClient:
    """Somebody who administers roles, but holds few permissions."""
    with site.app.app_context():
        site.accounts.roles.ensure_admin_role()
        site.accounts.roles.create("reader", permissions=["users:read"])
        site.accounts.roles.create("deleter", permissions=["users:write"])
        site.accounts.roles.create("vip")  # asked for by its name in the host's code
        site.db.session.commit()
    return site.client_for(site.user("hr@example.com", permissions=["roles:read", "roles:write", "users:read"]))


@pytest.mark.requirement("ASVS 8.2.1")
@pytest.mark.parametrize("role", ["admin", "deleter", "vip"])
def test_nobody_grants_or_takes_a_role_that_he_does_not_hold(site: Site, hr: FlaskClient, role: str) -> None:
    me = hr.get("/api/auth/me").get_json()
    ann, holder = site.user(), site.user(roles=[role])

    granted = [hr.put(f"/api/users/{key}/roles", json={"roles": [*me["roles"], role]}) for key in (me["id"], ann.id)]
    taken = hr.put(f"/api/users/{holder.id}/roles", json={"roles": []})

    assert [answer.status_code for answer in [*granted, taken]] == [403, 403, 403]
    assert hr.get("/api/auth/me").get_json()["roles"] == me["roles"]
    assert hr.get(f"/api/users/{ann.id}").get_json()["roles"] == []
    assert hr.get(f"/api/users/{holder.id}").get_json()["roles"] == [role]


@pytest.mark.requirement("ASVS 8.2.1")
def test_a_role_whose_permissions_one_holds_can_be_granted(site: Site, hr: FlaskClient) -> None:
    assert hr.put(f"/api/users/{site.user().id}/roles", json={"roles": ["reader"]}).status_code == 200


@pytest.mark.requirement("ASVS 8.2.1")
@pytest.mark.parametrize("role", ["admin", "deleter", "vip"])
def test_nobody_grants_by_making_an_account_what_he_does_not_hold(site: Site, hr: FlaskClient, role: str) -> None:
    clerk = site.client_for(
        site.user("clerk@example.com", permissions=["users:write"]) if role != "deleter" else site.user(permissions=["roles:write"])
    )
    body = {"email": "puppet@example.com", "password": "correct horse battery", "roles": [role]}

    answer = clerk.post("/api/users", json=body)

    assert answer.status_code in (400, 403)
    assert site.login("puppet@example.com", "correct horse battery").status_code == 401


@pytest.mark.requirement("ASVS 8.2.1")
def test_nobody_gains_power_by_editing_making_or_deleting_a_role(site: Site, hr: FlaskClient) -> None:
    me = hr.get("/api/auth/me").get_json()
    own = next(iter(me["roles"]))

    refused = [
        hr.post("/api/users/roles", json={"name": "mine", "permissions": ["*"]}),
        hr.post("/api/users/roles", json={"name": "mine", "permissions": ["users:write"]}),
        hr.patch(f"/api/users/roles/{own}", json={"permissions": ["users:write", "roles:write", "users:read"]}),
        hr.patch(f"/api/users/roles/{own}", json={"permissions": ["*"]}),
        hr.patch("/api/users/roles/vip", json={"permissions": ["users:read"]}),  # then it could be granted
        hr.patch("/api/users/roles/deleter", json={"permissions": []}),
        hr.delete("/api/users/roles/deleter"),
        hr.delete("/api/users/roles/vip"),
    ]

    assert [answer.status_code for answer in refused] == [403] * len(refused)
    assert hr.get("/api/users/roles").status_code == 200
    assert hr.delete(f"/api/users/{me['id']}/sessions").status_code == 403


@pytest.mark.requirement("ASVS 8.2.1")
@pytest.mark.requirement("ASVS 2.3.2")
@pytest.mark.parametrize("name", ["admin", "ADMIN", "Admin", "admin%20", "adm%C3%ADn", "a%E2%80%8Bdmin"])
def test_the_administrators_role_is_protected_however_it_is_spelled(site: Site, name: str) -> None:
    boss = site.client_for(site.admin())

    weakened = boss.patch(f"/api/users/roles/{name}", json={"permissions": []})
    deleted = boss.delete(f"/api/users/roles/{name}")

    assert {weakened.status_code, deleted.status_code} <= ({409} if name == "admin" else {400, 404})
    assert boss.get("/api/users").status_code == 200


@pytest.mark.requirement("ASVS 8.2.1")
def test_a_false_administrators_role_cannot_be_made_before_there_is_a_real_one(site: Site) -> None:
    clerk = site.client_for(site.user(permissions=["roles:write"]))

    assert clerk.post("/api/users/roles", json={"name": "admin"}).status_code == 409
    assert site.client_for(site.admin()).get("/api/users").status_code == 200


@pytest.mark.requirement("ASVS 8.2.1")
def test_a_person_cannot_lift_the_own_flags(site: Site) -> None:
    ann = site.user("ann@example.com")
    client = site.client_for(ann)

    for body in ({"email_verified": True}, {"is_active": True}, {"roles": ["admin"]}, {"permissions": ["*"]}):
        for method, path in (("PATCH", "/api/auth/me"), ("PATCH", f"/api/users/{ann.id}"), ("PUT", f"/api/users/{ann.id}")):
            assert client.open(path, method=method, json={"email": "ann@example.com", "username": None} | body).status_code == 400
    assert not site.tokens("ann@example.com")["user"]["email_verified"]


# The last administrator


@pytest.mark.requirement("ASVS 2.3.2")
def test_the_last_active_administrator_can_neither_be_removed_nor_remove_himself(site: Site) -> None:
    boss = site.admin()
    client = site.client_for(boss)
    site.user("asleep@example.com", roles=["admin"], is_active=False)  # does not count

    refused = [
        client.post(f"/api/users/{boss.id}/disable"), client.patch(f"/api/users/{boss.id}", json={"is_active": False}),
        client.put(f"/api/users/{boss.id}/roles", json={"roles": []}), client.delete(f"/api/users/{boss.id}"), client.delete("/api/auth/me"),
    ]  # fmt: skip

    assert [(answer.status_code, answer.get_json()["code"]) for answer in refused] == [(409, "LAST_ADMINISTRATOR")] * 5
    assert client.get("/api/users").status_code == 200


@pytest.mark.requirement("ASVS 2.3.2")
def test_an_administrator_may_go_where_another_one_stays(site: Site) -> None:
    site.admin("second@example.com")

    assert site.client_for(site.admin("first@example.com")).delete("/api/auth/me").status_code == 204


# Deleted accounts


@pytest.mark.requirement("ASVS 14.2.7")
def test_who_registers_after_a_deletion_inherits_nothing_not_even_the_key(site: Site) -> None:
    boss = site.client_for(site.admin())
    boss.post("/api/users/roles", json={"name": "reader", "permissions": ["users:read"]})
    gone = site.user("ann@example.com", username="ann", roles=["reader"])
    pair = site.tokens("ann@example.com")

    assert boss.delete(f"/api/users/{gone.id}").status_code == 204
    site.client.post("/api/auth/register", json={"email": "ann@example.com", "username": "ann", "password": "a fresh passphrase"})
    heir = site.tokens("ann@example.com", "a fresh passphrase")

    assert heir["user"]["id"] != gone.id
    assert heir["user"]["roles"] == []
    assert site.client.get("/api/auth/me", headers=bearer(pair["access_token"])).status_code == 401
    assert site.client.post("/api/auth/refresh", headers=bearer(pair["refresh_token"])).status_code == 401
    sessions = site.client.get("/api/auth/sessions", headers=bearer(heir["access_token"])).get_json()["sessions"]
    assert len(sessions) == 1


@pytest.mark.requirement("ASVS 14.2.7")
def test_a_deleted_account_leaves_no_row_that_names_it(site: Site) -> None:
    boss = site.client_for(site.admin())
    gone = site.user("ann.to.delete@example.com", username="ann.to.delete", roles=["editor"])
    site.tokens("ann.to.delete@example.com")

    boss.delete(f"/api/users/{gone.id}")

    with site.app.app_context():
        for table in site.db.metadata.sorted_tables:
            for row in site.db.session.execute(sa.select(table)).mappings():
                assert row.get("user_id") != gone.id
                assert not any("ann.to.delete" in str(value) for value in row.values())


@pytest.mark.requirement("ASVS 8.2.2")
def test_a_key_is_found_in_its_one_spelling_only(site: Site) -> None:
    boss = site.client_for(site.admin())
    ann = site.user()

    for spelled in (
        f"0{ann.id}",
        f"+{ann.id}",
        f"{ann.id}.0",
        f"%20{ann.id}",
        f"{ann.id}%20",
        "%EF%BC%92",
        f"{ann.id}e0",
        hex(ann.id),
        "-1",
        "me",
        "null",
    ):
        assert boss.get(f"/api/users/{spelled}").status_code == 404, spelled
    assert re.fullmatch(r"\d+", str(ann.id))
