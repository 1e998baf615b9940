"""Attacks with API keys, on them, and on the accounts of programs. A key is no session, and never more than its owner and its scopes.

Who holds a key holds it for good as far as its owner knows; so what matters is what it cannot do, and what ends it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from flask_accounts import Client, current_accounts, default_features
from flask_accounts.core.errors import InvalidCredentials, TokenRevoked
from flask_accounts.core.http import ROUTE, Route
from flask_accounts.features.api_keys.secret import new_secret
from flask_accounts.features.api_keys.service import ApiKeyService
from flask_accounts.features.api_keys.service_accounts import ServiceAccountService
from flask_accounts.features.magic_link import MagicLink
from flask_accounts.features.users.leaving import LeavingService
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.features.api_keys.tools import ANN, KEYS, ME, ask, by_host, code_of, header, key_of, use
from tests.features.api_keys.tools import make_site as make_site
from tests.features.api_keys.tools import site as site

from .doors import by_hand
from .test_races import at_once, statuses

BOB = "bob@example.com"
NEW = "a rather different horse"

# A key is no session


def routes_of(site: Site) -> dict[str, Route]:
    """Every route of the app by method and path."""
    found = {}
    for rule in site.app.url_map.iter_rules():
        route = getattr(site.app.view_functions[rule.endpoint], ROUTE, None)
        if route is not None:
            found[f"{route.method} {rule.rule}"] = route
    return found


OPEN_TO_KEYS = {
    "GET /api/auth/me",
    "GET /api/users/", "POST /api/users/",
    "GET /api/users/<user_id>", "PATCH /api/users/<user_id>", "PUT /api/users/<user_id>", "DELETE /api/users/<user_id>",
    "POST /api/users/<user_id>/disable", "POST /api/users/<user_id>/enable", "GET /api/users/<user_id>/standing",
    "GET /api/users/roles", "POST /api/users/roles", "PATCH /api/users/roles/<name>", "DELETE /api/users/roles/<name>",
    "PUT /api/users/<user_id>/roles",
    "GET /api/users/invitations", "POST /api/users/invitations", "GET /api/users/invitations/<invitation_id>",
    "DELETE /api/users/invitations/<invitation_id>", "POST /api/users/invitations/<invitation_id>/resend",
    "GET /api/users/events", "GET /api/users/<user_id>/events",
}  # fmt: skip
"""The routes that a key opens, given the scope: one more is a decision, not an oversight."""


@pytest.mark.requirement("ASVS 7.2.2", "ASVS 8.3.1")
def test_an_almighty_key_opens_the_routes_that_are_named_here_and_no_other(site: Site) -> None:
    admin = site.admin()
    key = key_of(site, admin, "*")
    path_of = {"user_id": str(admin.id), "name": "admin"}
    let_in, bodies = set(), {"POST /api/auth/email/change/confirm": {"code": "12345678"}}

    for name, route in routes_of(site).items():
        if not (route.access.signed_in or route.access.optional):
            continue
        path = re.sub(r"<(\w+)>", lambda found: path_of.get(found[1], str(uuid4())), name.partition(" ")[2])
        if name in OPEN_TO_KEYS:
            let_in.add(name)
            assert route.access.delegates, name
        else:
            answer = use(site, key, path, route.method, json=bodies.get(name, {}) if route.body else None)
            assert code_of(answer) == (403, "CREDENTIAL_NOT_ALLOWED"), name

    assert let_in == OPEN_TO_KEYS


BARRED: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "mint a key": ("POST", KEYS, {"name": "another"}),
    "see keys": ("GET", KEYS, None),
    "end a key": ("DELETE", f"{KEYS}/{uuid4()}", None),
    "mint a program": ("POST", "/api/users/service-accounts", {"name": "another"}),
    "mint a program's key": ("POST", "/api/users/1/api-keys", {"name": "another"}),
    "change the password": ("POST", "/api/auth/password/change", {"current_password": PASSWORD, "new_password": NEW}),
    "change the address": ("POST", "/api/auth/email/change", {"email": "evil@example.com"}),
    "change the name": ("PATCH", ME, {"username": "evil"}),
    "change the own account by its id": ("PATCH", "/api/users/1", {"email": "evil@example.com"}),
    "replace the own account by its id": ("PUT", "/api/users/1", {"email": "evil@example.com", "username": None}),
    "switch the own account off": ("POST", "/api/users/1/disable", {}),
    "delete the account": ("DELETE", ME, None),
    "delete the account by its id": ("DELETE", "/api/users/1", None),
    "export the account": ("GET", "/api/auth/me/export", None),
    "see sessions": ("GET", "/api/auth/sessions", None),
    "end sessions": ("DELETE", "/api/auth/sessions", None),
    "end a session": ("DELETE", f"/api/auth/sessions/{uuid4()}", None),
    "see sessions as an administrator": ("GET", "/api/users/1/sessions", None),
    "end sessions as an administrator": ("DELETE", "/api/users/1/sessions", None),
    "prove presence": ("POST", "/api/auth/reauthenticate", {"password": PASSWORD}),
    "have another password": ("POST", "/api/users/1/password-reset", {}),
}


@pytest.mark.requirement("ASVS 7.2.2")
@pytest.mark.parametrize("act", BARRED)
def test_a_stolen_almighty_key_is_no_way_to_take_the_account_over(site: Site, act: str) -> None:
    admin = site.admin()
    assert admin.id == 1
    key, (method, path, body) = key_of(site, admin, "*"), BARRED[act]
    with site.testing.recorded() as events:
        answers = [use(site, key, path, method, json=body), site.client.open(path, method=method, headers=bearer(key), json=body)]

    for answer in answers:
        assert code_of(answer) == (403, "CREDENTIAL_NOT_ALLOWED")
    refused = [event for event in events if event.name == "access.refused"]
    assert [(event.actor_id, (event.via or "")[:8]) for event in refused] == [(1, "api_key:"), (1, "api_key:")]
    assert site.login("admin@example.com").status_code == 200
    assert len(site.client_for(admin).get(KEYS).get_json()["api_keys"]) == 1


@pytest.mark.requirement("ASVS 7.2.2")
def test_a_key_neither_refreshes_nor_signs_out(site: Site) -> None:
    key = key_of(site, site.user(ANN))

    for path in ("refresh", "logout"):
        assert code_of(site.client.post(f"/api/auth/{path}", headers=bearer(key))) == (401, "INVALID_TOKEN")
        assert code_of(site.client.post(f"/api/auth/{path}", json={"refresh_token": key})) == (401, "INVALID_TOKEN")
        assert code_of(site.client.post(f"/api/auth/{path}", headers=header(key))) == (401, "TOKEN_MISSING")
    assert use(site, key).status_code == 200


@pytest.mark.requirement("ASVS 7.5.1")
def test_a_stolen_old_session_makes_no_key(site: Site) -> None:
    client = site.client_for(site.user(ANN))
    site.testing.clock.move(minutes=14)
    assert client.post(KEYS, json={"name": "x"}).status_code == 201
    pair = site.tokens(ANN)
    site.testing.clock.move(minutes=16)
    renewed = site.client.post("/api/auth/refresh", json={"refresh_token": pair["refresh_token"]}).get_json()

    answer = site.client.post(KEYS, json={"name": "x"}, headers=bearer(renewed["access_token"]))

    assert code_of(answer) == (401, "REAUTHENTICATION_REQUIRED")


# Whose a key is


@pytest.mark.requirement("ASVS 8.2.2")
@pytest.mark.parametrize("member", ["user_id", "userId", "user", "owner", "id"])
def test_nobody_mints_a_key_for_somebody_else(site: Site, member: str) -> None:
    """better-auth before 1.3.26 took the owner from the body (CVE-2025-61928)."""
    victim, ann = site.admin(), site.user(ANN)

    answer = ask(site, ann, **{member: victim.id})

    assert code_of(answer) == (400, "VALIDATION_ERROR")
    assert code_of(site.client.post(KEYS, json={"name": "x", member: victim.id})) == (401, "TOKEN_MISSING")
    assert site.client_for(victim).get(KEYS).get_json() == {"api_keys": []}


@pytest.mark.requirement("ASVS 8.2.2")
def test_keys_of_others_are_out_of_reach_and_look_like_none(site: Site) -> None:
    ann, bob = site.user(ANN), site.client_for(site.user(BOB))
    made = ask(site, ann).get_json()

    answers = [bob.delete(f"{KEYS}/{key_id}") for key_id in (made["id"], uuid4(), "x", "1' OR '1'='1")]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.get_data() for answer in answers}) == 1
    assert bob.get(KEYS).get_json() == {"api_keys": []}
    for path, method in ((f"/api/users/{ann.id}/api-keys", "GET"), (f"/api/users/{ann.id}/api-keys/{made['id']}", "DELETE")):
        assert code_of(bob.open(path, method=method)) == (403, "PERMISSION_DENIED")
    assert use(site, made["key"]).status_code == 200


@pytest.mark.requirement("ASVS 8.2.2")
def test_a_key_is_revoked_under_its_owners_path_only(site: Site) -> None:
    admin, ann, bob = site.client_for(site.admin()), site.user(ANN), site.user(BOB)
    made = ask(site, ann).get_json()

    assert admin.delete(f"/api/users/{bob.id}/api-keys/{made['id']}").status_code == 404
    assert use(site, made["key"]).status_code == 200
    assert admin.delete(f"/api/users/{ann.id}/api-keys/{made['id']}").status_code == 204
    assert use(site, made["key"]).status_code == 401


@pytest.mark.requirement("ASVS 8.2.1")
def test_a_helper_neither_ends_an_administrators_keys_nor_makes_keys_of_people(site: Site) -> None:
    admin, ann = site.admin(), site.user(ANN)
    helper = site.client_for(site.user("helper@example.com", permissions=["users:read", "users:write"]))
    made = ask(site, admin).get_json()

    assert code_of(helper.delete(f"/api/users/{admin.id}/api-keys/{made['id']}")) == (403, "PERMISSION_DENIED")
    for person in (admin, ann):
        assert code_of(helper.post(f"/api/users/{person.id}/api-keys", json={"name": "x"})) == (403, "PERMISSION_DENIED")


# What a key may do


@pytest.mark.requirement("ASVS 10.3.2")
def test_a_key_to_read_does_not_write(site: Site) -> None:
    admin, ann = site.user("admin@example.com", roles=["admin", "editor"]), site.user(ANN)
    key = key_of(site, admin, "users:read")

    assert use(site, key, f"/api/users/{ann.id}").status_code == 200
    assert use(site, key, f"/api/users/{ann.id}", "PATCH", json={"username": "evil"}).status_code == 404
    assert use(site, key, f"/api/users/{ann.id}", "DELETE").status_code == 404
    assert code_of(use(site, key, "/api/users/roles", "POST", json={"name": "evil"})) == (403, "PERMISSION_DENIED")
    assert use(site, key, "/write").status_code == 403
    assert use(site, key, "/edit").status_code == 403


@pytest.mark.requirement("ASVS 10.3.2")
@pytest.mark.parametrize(
    "scope", ["posts:reed", "POSTS:READ", "posts:read posts:write", "posts:read\tposts:write", "", " ", "role:", "role:*", "**"]
)
def test_a_scope_that_is_none_is_refused(site: Site, scope: str) -> None:
    admin = site.admin()

    answer = ask(site, admin, scopes=[scope])

    assert code_of(answer) == (400, "VALIDATION_ERROR")


@pytest.mark.requirement("ASVS 10.3.2")
def test_no_scope_goes_beyond_its_owner(site: Site) -> None:
    ann = site.user(ANN, permissions=["posts:read"])

    for scope in ("posts:write", "*", "users:write", "role:admin"):
        assert [problem["code"] for problem in ask(site, ann, scopes=["posts:read", scope]).get_json()["errors"]] == [
            "scope_not_held"
        ]


@pytest.mark.requirement("ASVS 8.3.2")
def test_a_key_loses_what_its_owner_loses_and_gains_nothing(site: Site) -> None:
    ann = site.user(ANN, roles=["editor"], permissions=["posts:read"])
    admin = site.admin("owner@example.com")
    key, all_of_it = key_of(site, ann, "posts:read", "role:editor"), key_of(site, admin, "*")
    with site.app.app_context():
        site.accounts.roles.set(ann, [])
        site.accounts.roles.grant(site.admin(), "admin")
        site.accounts.roles.set(admin, [])
        site.db.session.commit()

    for path in ("/read", "/edit"):
        assert use(site, key, path).status_code == 403
    assert use(site, all_of_it, "/write").status_code == 403
    assert use(site, all_of_it, "/api/users/roles").status_code == 403
    with site.app.app_context():
        site.accounts.roles.grant(ann, "admin")
        site.db.session.commit()
    assert use(site, key, "/read").status_code == 200
    assert use(site, key, "/write").status_code == 403, "its owner may do everything now, the key what it was made for"
    assert use(site, key, "/api/users/roles").status_code == 403


@pytest.mark.requirement("ASVS 8.2.1")
def test_a_key_grants_and_edits_no_more_than_its_scopes(site: Site) -> None:
    """The owner administers; the key holds `users:write` and `roles:write`, and acts with no more power than these."""
    admin, other, ann = site.admin(), site.admin("other@example.com"), site.user(ANN)
    key = key_of(site, admin, "users:write", "roles:write")

    assert code_of(use(site, key, f"/api/users/{ann.id}/roles", "PUT", json={"roles": ["admin"]})) == (403, "PERMISSION_DENIED")
    assert code_of(use(site, key, "/api/users/roles", "POST", json={"name": "evil", "permissions": ["*"]})) == (
        403,
        "PERMISSION_DENIED",
    )
    assert code_of(use(site, key, f"/api/users/{other.id}", "PATCH", json={"email": "evil@example.com"})) == (
        403,
        "PERMISSION_DENIED",
    )
    body = {"email": "evil@example.com", "password": NEW, "roles": ["admin"]}
    assert code_of(use(site, key, "/api/users", "POST", json=body)) == (403, "PERMISSION_DENIED")
    assert site.login("evil@example.com", NEW).status_code == 401


# What a key looks like, and where it is sent


@pytest.mark.requirement("ASVS 7.2.3")
def test_keys_cannot_be_guessed() -> None:
    """43 characters of 62 hold 256 bits; each of them varies over the whole alphabet but the first, which holds what is left."""
    made = [new_secret("fak")[4:47] for _ in range(2000)]

    for place in range(1, 43):
        assert len(Counter(secret[place] for secret in made)) == 62


@pytest.mark.requirement("ASVS 13.3.1")
def test_a_stolen_database_holds_no_key(site: Site) -> None:
    key = key_of(site, site.user(ANN))
    use(site, key)
    with site.app.app_context(), site.db.engine.connect() as connection:
        dump = [str(tuple(row)) for table in site.db.metadata.tables.values() for row in connection.execute(sa.select(table))]
    assert any("deploy" in line for line in dump)

    assert key not in "\n".join(dump)
    assert key[8:47] not in "\n".join(dump), "nor the random part of it"
    digests = re.findall(r"\b[0-9a-f]{64}\b", "\n".join(dump))
    assert digests
    for digest in digests:
        assert site.client.get(ME, headers=header(digest)).status_code == 401


@pytest.mark.requirement("ASVS 14.2.1")
@pytest.mark.parametrize("name", ["api_key", "key", "access_token", "token", "X-API-Key", "jwt"])
def test_a_key_in_the_url_counts_for_nothing(site: Site, name: str) -> None:
    key = key_of(site, site.user(ANN))

    assert code_of(site.client.get(f"{ME}?{name}={key}")) == (401, "TOKEN_MISSING")


@pytest.mark.requirement("OWASP-SM 1")
@pytest.mark.parametrize("name", ["api_key", "X-API-Key", "__Host-access_token", "access_token_cookie"])
def test_a_key_in_a_cookie_counts_for_nothing(make_site: MakeSite, name: str) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["headers", "cookies"]})
    key = key_of(site, site.user(ANN))

    assert by_hand(site).get(ME, headers={"Cookie": f"{name}={key}"}).status_code == 401


@pytest.mark.requirement("ASVS 3.5.1")
@pytest.mark.parametrize("junk", [header("junk"), bearer("fak_junk"), header(new_secret("fak")), header("")])
def test_a_junk_key_does_not_switch_the_csrf_check_off(make_site: MakeSite, junk: dict[str, str]) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["headers", "cookies"]})
    site.user(ANN)
    browser = site.client
    assert browser.post(
        "/api/auth/login", json={"email": ANN, "password": PASSWORD}, headers={"X-Token-Transport": "cookies"}, base_url="https://localhost"
    ).status_code == 200  # fmt: skip

    answer = browser.post("/who", headers=junk, base_url="https://localhost")

    assert answer.status_code in (401, 403)
    assert browser.patch(ME, json={"username": "evil"}, headers=junk, base_url="https://localhost").status_code in (401, 403)


@pytest.mark.requirement("ASVS 3.5.1")
def test_a_key_needs_no_csrf_token_and_counts_before_a_cookie(make_site: MakeSite) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["headers", "cookies"]})
    site.user(ANN)
    key = by_host(site, site.user(BOB))
    browser = site.client
    browser.post(
        "/api/auth/login", json={"email": ANN, "password": PASSWORD}, headers={"X-Token-Transport": "cookies"}, base_url="https://localhost"
    )  # fmt: skip

    answer = browser.post("/who", headers=header(key), base_url="https://localhost")

    assert answer.get_json()["email"] == BOB


@pytest.mark.requirement("ASVS 7.2.1")
def test_two_credentials_at_once_are_refused(site: Site) -> None:
    ann = site.user(ANN)
    key, other, token = key_of(site, ann), key_of(site, site.user(BOB)), site.tokens(ANN)["access_token"]

    for headers in (header(key) | bearer(token), header(key) | bearer(other), header(key) | bearer(key)):
        assert code_of(site.client.get(ME, headers=headers)) == (401, "INVALID_TOKEN")
    for value in (f"Bearer {key}, Bearer {token}", f"Bearer {token}, Bearer {key}", f"Bearer {key} {key}", f"Bearer {key},"):
        assert code_of(site.client.get(ME, headers={"Authorization": value})) == (401, "INVALID_TOKEN"), value
    twice = [("X-API-Key", key), ("X-API-Key", other)]
    assert code_of(site.client.get(ME, headers=twice)) == (401, "INVALID_TOKEN")
    basic = header(key) | {"Authorization": "Basic c3RhZ2luZzpzdGFnaW5n"}  # a proxy's own
    assert site.client.get(ME, headers=basic).status_code == 200


@pytest.mark.parametrize(
    "junk",
    ["fak_", "fak_\x00", "fak_" + "A" * 100_000, "fak_ " + "A" * 49, "ﬀak_" + "A" * 49, "fak_" + "０" * 49, "FAK_" + "A" * 49],
)
def test_no_junk_gives_a_500(site: Site, junk: str) -> None:
    raw = junk.encode().decode("latin-1")
    for headers in ({"X-API-Key": raw}, {"Authorization": f"Bearer {raw}"}):
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        answer = site.client.get(ME, environ_base=environ)
        assert code_of(answer) == (401, "INVALID_TOKEN")


# From where


@pytest.mark.requirement("ASVS 8.3.1")
@pytest.mark.parametrize(
    ("networks", "address", "lets_in"),
    [
        (["192.0.2.0/24"], "192.0.2.200", True),
        (["192.0.2.0/24"], "192.0.3.1", False),
        (["192.0.2.7"], "192.0.2.7", True),
        (["192.0.2.7"], "192.0.2.70", False),
        (["192.0.2.7"], "::ffff:192.0.2.7", True),
        (["2001:db8::/32"], "2001:db8::1", True),
        (["2001:db8::/32"], "2001:db9::1", False),
        (["192.0.2.7", "2001:db8::/32"], "2001:db8:1::", True),
        (["0.0.0.0/0"], "::1", False),
        (["192.0.2.7"], "unix:", False),
        (["192.0.2.7"], "", False),
    ],
)
def test_a_stolen_key_is_worth_nothing_outside_its_networks(site: Site, networks: list[str], address: str, lets_in: bool) -> None:
    key = by_host(site, site.user(ANN), networks=networks)
    with site.testing.recorded() as events:
        answer = use(site, key, environ_base={"REMOTE_ADDR": address})
        forged = use_with(site, key, {"X-Forwarded-For": "192.0.2.7", "Forwarded": "for=192.0.2.7"}, address)

    expected = 200 if lets_in else 401
    assert (answer.status_code, forged.status_code) == (expected, expected)
    refused = [(event.name, getattr(event, "reason", None)) for event in events if event.failure]
    assert refused == ([] if lets_in else [("api_key.refused", "network")] * 2)


def use_with(site: Site, key: str, headers: dict[str, str], address: str) -> Any:
    return site.client.get(ME, headers=header(key) | headers, environ_base={"REMOTE_ADDR": address})


# What ends a key

Ending = Callable[[Site, Any], None]


def disable(site: Site, user: Any) -> None:
    site.accounts.users.disable(user)


def suspend(site: Site, user: Any) -> None:
    site.accounts.users.disable(user, until=site.testing.clock.now() + timedelta(days=1))


def leave(site: Site, user: Any) -> None:
    site.testing.runtime.get(LeavingService).leave(user)


def delete(site: Site, user: Any) -> None:
    site.accounts.users.delete(user)


def reset_password(site: Site, user: Any) -> None:
    site.accounts.passwords.set(user, NEW)


ENDINGS: dict[str, Ending] = {
    "disabled": disable, "suspended": suspend, "left": leave, "deleted": delete, "password set": reset_password,
}  # fmt: skip


@pytest.mark.requirement("ASVS 7.4.2", "ASVS 7.4.3")
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ends_every_session_ends_every_key_at_once_and_none_comes_back(make_site: MakeSite, ending: str) -> None:
    site = make_site(config={"ACCOUNTS_DELETION_GRACE": timedelta(days=30)})
    ann = site.user(ANN)
    keys = [by_host(site, ann), by_host(site, ann)]
    with site.app.app_context():
        ENDINGS[ending](site, ann)
        site.db.session.commit()

    assert [use(site, key).status_code for key in keys] == [401, 401]
    if ending != "deleted":
        with site.app.app_context():
            site.accounts.users.enable(ann)
            site.db.session.commit()
        assert [use(site, key).status_code for key in keys] == [401, 401], "switched on again, it has no keys"


@pytest.mark.requirement("ASVS 7.4.2")
def test_an_account_that_is_off_without_our_doing_has_no_keys_meanwhile(site: Site) -> None:
    ann = site.user(ANN)
    key = by_host(site, ann)
    with site.app.app_context():
        site.db.session.execute(sa.update(site.accounts.User).values(is_active=False))
        site.db.session.commit()

    assert code_of(use(site, key)) == (401, "TOKEN_REVOKED")
    assert code_of(use(site, key, "/who")) == (401, "TOKEN_REVOKED")
    with site.app.app_context(), pytest.raises(TokenRevoked):
        site.testing.runtime.get(ApiKeyService).authenticate(key, Client())


@pytest.mark.requirement("ASVS 7.4.3")
@pytest.mark.parametrize(("kept", "changed", "reset"), [("revoke", 401, 401), ("reset", 200, 401), ("keep", 200, 200)])
def test_a_new_password_ends_keys_as_the_app_has_it(make_site: MakeSite, kept: str, changed: int, reset: int) -> None:
    site = make_site(config={"ACCOUNTS_API_KEYS_PASSWORD_CHANGE": kept})
    ann = site.user(ANN, email_verified=True)
    key = by_host(site, ann)
    body = {"current_password": PASSWORD, "new_password": NEW}
    assert site.client_for(ann).post("/api/auth/password/change", json=body).status_code == 204
    assert use(site, key).status_code == changed

    key = by_host(site, ann)
    site.testing.outbox.clear()
    site.client.post("/api/auth/password/forgot", json={"email": ANN})
    token = re.findall(r"\S{43}", site.testing.outbox[-1].text)[0]
    assert (
        site.client.post("/api/auth/password/reset", json={"token": token, "new_password": "yet another horse"}).status_code == 204
    )
    assert use(site, key).status_code == reset


@pytest.mark.requirement("ASVS 7.4.3")
def test_a_key_that_a_thief_makes_while_the_owner_ends_his_session_is_never_made(site: Site) -> None:
    """The thief's request has been authenticated when the password changes; it must not leave a key behind."""
    ann = site.user(ANN)
    session = site.testing.sign_in(ann).session
    with site.app.app_context():
        site.accounts.sessions.revoke(ann, session.id)
        site.db.session.commit()
        with pytest.raises(TokenRevoked):
            site.testing.runtime.get(ApiKeyService).create(ann, "x", session_id=session.id)
        site.db.session.rollback()

    assert site.client_for(ann).get(KEYS).get_json() == {"api_keys": []}


@pytest.mark.requirement("ASVS 6.8.1", "ASVS 7.4.2")
def test_who_registers_anothers_address_and_makes_a_key_is_out_when_its_owner_comes(make_site: MakeSite) -> None:
    """Pre-hijacking: the key must not outlive the first proof of the address."""
    site = make_site(features=[MagicLink()], config={"ACCOUNTS_MAGIC_LINK_BIND_BROWSER": False})
    victim = "victim@example.com"
    site.client.post("/api/auth/register", json={"email": victim, "password": PASSWORD})
    key = site.client.post(KEYS, json={"name": "x"}, headers=bearer(site.tokens(victim)["access_token"])).get_json()["key"]
    site.testing.outbox.clear()
    site.client.post("/api/auth/magic-link", json={"email": victim})
    token = re.findall(r"\S{43}", site.testing.outbox[-1].text)[0]

    assert site.client.post("/api/auth/magic-link/login", json={"token": token}).status_code == 200

    assert use(site, key).status_code == 401


def test_a_parallel_flood_makes_no_more_keys_than_there_may_be(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url, config={"ACCOUNTS_API_KEYS_MAX_PER_USER": 3})
    ann = site.user(ANN)
    clients = [site.client_for(ann) for _ in range(6)]

    answers = at_once(*((lambda client=client: client.post(KEYS, json={"name": "x"})) for client in clients))

    assert statuses(answers) == {201: 3, 409: 3}
    assert len(clients[0].get(KEYS).get_json()["api_keys"]) == 3


def test_parallel_uses_write_the_last_use_once(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url)
    key = by_host(site, site.user(ANN))

    answers = at_once(*((lambda: use(site, key)) for _ in range(4)))

    assert statuses(answers) == {200: 4}
    with site.app.app_context():
        table = site.db.metadata.tables["accounts_api_keys"]
        assert site.db.session.execute(sa.select(table.c.last_used_ip)).scalars().all() == ["127.0.0.1"]


# Accounts of programs


@pytest.fixture
def program(site: Site) -> Any:
    with site.app.app_context():
        view = site.testing.runtime.get(ServiceAccountService).create("deployer")
        site.db.session.commit()
        return view.key


@pytest.mark.requirement("ASVS 6.3.4")
def test_nobody_signs_in_to_a_programs_account_by_any_way(make_site: MakeSite) -> None:
    """Even with a password and a mailbox, which it has not unless somebody gave it them."""
    site = make_site(features=[MagicLink()], config={"ACCOUNTS_MAGIC_LINK_BIND_BROWSER": False})
    address = "deployer@example.com"
    with site.app.app_context():
        key = site.testing.runtime.get(ServiceAccountService).create("deployer").key
        user = site.accounts.users.update(key, {"email": address, "email_verified": True})
        user.set_password(PASSWORD)
        site.db.session.commit()
    site.testing.outbox.clear()

    assert code_of(site.login(address)) == (401, "INVALID_CREDENTIALS")
    by_name = site.client.post("/api/auth/login", json={"username": "deployer", "password": PASSWORD})
    assert code_of(by_name) == (401, "INVALID_CREDENTIALS")
    site.client.post("/api/auth/magic-link", json={"email": address})
    token = re.findall(r"\S{43}", site.testing.outbox[-1].text)[0]
    assert code_of(site.client.post("/api/auth/magic-link/login", json={"token": token})) == (401, "INVALID_CREDENTIALS")
    site.testing.outbox.clear()
    assert site.client.post("/api/auth/password/forgot", json={"email": address}).status_code == 202
    assert site.testing.outbox == []
    with site.app.app_context():
        with pytest.raises(InvalidCredentials):
            site.accounts.sessions.open(key, client=Client())
        assert not current_accounts().can_sign_in(current_accounts().users.view(key))
        assert site.accounts.sessions.live(key) == []


def test_nobody_registers_a_programs_address(site: Site) -> None:
    body = {"email": "deployer@service-account.invalid", "password": PASSWORD}

    assert code_of(site.client.post("/api/auth/register", json=body)) == (400, "VALIDATION_ERROR")


@pytest.mark.requirement("ASVS 8.2.1")
def test_nobody_gets_more_power_by_the_key_of_a_program(site: Site, program: Any) -> None:
    """Who may write accounts must not mint a key of a mightier program, nor one of a role he has not."""
    helper = site.client_for(site.user("helper@example.com", permissions=["users:read", "users:write"]))
    with site.app.app_context():
        site.accounts.roles.create("editor")
        site.accounts.roles.grant(program, "editor")
        site.db.session.commit()
    path = f"/api/users/{program}/api-keys"
    assert helper.post(path, json={"name": "x"}).status_code == 201
    assert code_of(helper.post(path, json={"name": "x", "scopes": ["role:editor"]})) == (403, "PERMISSION_DENIED")
    with site.app.app_context():
        site.accounts.roles.create("writer", permissions=["posts:write"])
        site.accounts.roles.grant(program, "writer")
        site.db.session.commit()

    assert code_of(helper.post(path, json={"name": "x"})) == (403, "PERMISSION_DENIED")


@pytest.mark.requirement("ASVS 8.2.1")
def test_programs_are_for_administrators(site: Site, program: Any) -> None:
    ann = site.client_for(site.user(ANN))

    for method, path in (("GET", ""), ("POST", "")):
        answer = ann.open(f"/api/users/service-accounts{path}", method=method, json={"name": "x1"} if method == "POST" else None)
        assert code_of(answer) == (403, "PERMISSION_DENIED")
    assert code_of(ann.post(f"/api/users/{program}/api-keys", json={"name": "x"})) == (403, "PERMISSION_DENIED")


# Secrets


@pytest.mark.requirement("ASVS 16.2.5")
def test_no_key_gets_into_logs_events_or_errors(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    ann = site.user(ANN)
    with site.testing.recorded() as events:
        key = key_of(site, ann)
        use(site, key)
        texts = [use(site, key[:-1] + "x").get_data(as_text=True), use(site, key, KEYS).get_data(as_text=True)]

    found = [*texts, caplog.text, repr(events), json.dumps(site.client_for(ann).get("/api/auth/me/events").get_json())]
    for text in found:
        assert key not in text
        assert key[8:40] not in text


def test_keys_are_opt_in() -> None:
    assert "api_keys" not in {feature.name for feature in default_features()}
