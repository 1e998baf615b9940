"""How many SQL statements each route costs. A number here changes only on purpose.

Of the requirements: the own account 1, refresh at most 2, login at most 4, a list page at most 3, the one
that authenticates included. What the audit log writes is counted apart: one INSERT for each event. What rate
limits and lockout count beside the request is asserted with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import werkzeug.security
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_accounts.core.passwords import Argon2Hasher
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer

NEW = "a rather different horse"


@dataclass
class Scene:
    """A site, its people, and their clients."""

    site: Site
    admin: FlaskClient
    ann: FlaskClient
    ann_id: Any
    ann_tokens: dict[str, Any]
    invitation: str
    """The path of an open one."""
    token: str
    """What accepts it."""


@pytest.fixture
def scene(site: Site) -> Scene:
    admin = site.client_for(site.user("admin@example.com", roles=["admin", "editor"]))
    ann = site.user("ann@example.com", username="ann", roles=["editor"])
    tokens = site.tokens("ann@example.com")
    client = site.client
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {tokens['access_token']}"
    path = "/api/users/invitations"
    sent = admin.post(path, json={"email": "invited@example.com", "roles": ["editor"]}).get_json()
    token = site.testing.outbox[-1].text.split("\n\n")[1].strip()
    return Scene(site, admin, client, ann.id, tokens, f"{path}/{sent['id']}", token)


Act = Callable[[Scene], TestResponse]

LIMITS: dict[str, tuple[int, int, Act]] = {
    # Signing up, in and out
    "register": (4, 201, lambda s: s.site.client.post("/api/auth/register", json={"email": "new@example.com", "password": NEW})),
    "register, address taken": (
        2, 409, lambda s: s.site.client.post("/api/auth/register", json={"email": "ann@example.com", "password": NEW}),
    ),
    "login": (3, 200, lambda s: s.site.login("ann@example.com")),
    "login, by username": (3, 200, lambda s: s.site.client.post("/api/auth/login", json={"username": "ann", "password": PASSWORD})),
    "login, wrong password": (1, 401, lambda s: s.site.login("ann@example.com", "wrong")),
    "login, no such account": (1, 401, lambda s: s.site.login("nobody@example.com", "wrong")),
    "ask for another address": (
        4, 202, lambda s: s.ann.post("/api/auth/email/change", json={"email": "anna@example.com"}),
    ),
    "refresh": (2, 200, lambda s: s.site.client.post("/api/auth/refresh", headers=bearer(s.ann_tokens["refresh_token"]))),
    "refresh, in the body": (
        2, 200, lambda s: s.site.client.post("/api/auth/refresh", json={"refresh_token": s.ann_tokens["refresh_token"]}),
    ),
    "logout": (1, 200, lambda s: s.ann.post("/api/auth/logout")),
    "logout, by the refresh token": (
        1, 200, lambda s: s.site.client.post("/api/auth/logout", headers=bearer(s.ann_tokens["refresh_token"])),
    ),
    "reauthenticate": (5, 200, lambda s: s.ann.post("/api/auth/reauthenticate", json={"password": PASSWORD})),
    "change password": (
        11, 204, lambda s: s.ann.post("/api/auth/password/change", json={"current_password": PASSWORD, "new_password": NEW}),
    ),
    # The own account
    "me": (1, 200, lambda s: s.ann.get("/api/auth/me")),
    "me, without a token": (0, 401, lambda s: s.site.client.get("/api/auth/me")),
    "change me": (4, 200, lambda s: s.ann.patch("/api/auth/me", json={"username": "anna"})),
    "delete me": (20, 204, lambda s: s.ann.delete("/api/auth/me")),
    "own sessions": (2, 200, lambda s: s.ann.get("/api/auth/sessions")),
    "end other sessions": (3, 204, lambda s: s.ann.delete("/api/auth/sessions")),
    # Administration
    "a page of accounts": (3, 200, lambda s: s.admin.get("/api/users?page=1&per_page=2")),
    "a page of accounts, searched, filtered and sorted": (
        3, 200, lambda s: s.admin.get("/api/users?search=example&is_active=true&role=editor&sort=-created_at"),
    ),
    "accounts by cursor": (2, 200, lambda s: s.admin.get("/api/users?cursor=&per_page=1")),
    "own account by its id": (1, 200, lambda s: s.ann.get(f"/api/users/{s.ann_id}")),
    "somebody's account": (2, 200, lambda s: s.admin.get(f"/api/users/{s.ann_id}")),
    "somebody's account, not allowed": (1, 404, lambda s: s.ann.get("/api/users/1")),
    "make an account": (5, 201, lambda s: s.admin.post("/api/users", json={"email": "new@example.com", "password": NEW})),
    "change an account": (5, 200, lambda s: s.admin.patch(f"/api/users/{s.ann_id}", json={"username": "anna"})),
    "disable an account": (10, 200, lambda s: s.admin.post(f"/api/users/{s.ann_id}/disable")),
    "delete an account": (21, 204, lambda s: s.admin.delete(f"/api/users/{s.ann_id}")),
    "somebody's sessions": (3, 200, lambda s: s.admin.get(f"/api/users/{s.ann_id}/sessions")),
    "end somebody's sessions": (4, 204, lambda s: s.admin.delete(f"/api/users/{s.ann_id}/sessions")),
    "invite": (7, 201, lambda s: s.admin.post("/api/users/invitations", json={"email": "new@example.com", "roles": ["editor"]})),
    "invitations": (2, 200, lambda s: s.admin.get("/api/users/invitations?status=open")),
    "an invitation": (2, 200, lambda s: s.admin.get(s.invitation)),
    "send an invitation again": (10, 200, lambda s: s.admin.post(f"{s.invitation}/resend")),
    "withdraw an invitation": (5, 204, lambda s: s.admin.delete(s.invitation)),
    "look at an invitation": (2, 200, lambda s: s.site.client.post("/api/auth/invitations/look", json={"token": s.token})),
    "accept an invitation": (
        14, 201, lambda s: s.site.client.post("/api/auth/invitations/accept", json={"token": s.token, "password": NEW}),
    ),
    "accept nothing": (
        1, 400, lambda s: s.site.client.post("/api/auth/invitations/accept", json={"token": "x", "password": NEW}),
    ),
    "roles": (2, 200, lambda s: s.admin.get("/api/users/roles")),
    "make a role": (2, 201, lambda s: s.admin.post("/api/users/roles", json={"name": "helper"})),
    "set somebody's roles": (5, 200, lambda s: s.admin.put(f"/api/users/{s.ann_id}/roles", json={"roles": []})),
    # Nothing is stored of these
    "the document": (0, 200, lambda s: s.site.client.get("/api/auth/openapi.json")),
    "a method that is not allowed": (0, 405, lambda s: s.site.client.put("/api/auth/me")),
}  # fmt: skip


def own(site: Site) -> list[str]:
    """The statements sent but those of the audit log."""
    return [text for text in site.statements if not text.startswith("INSERT INTO accounts_events ")]


@pytest.mark.parametrize("case", LIMITS)
def test_a_route_costs_no_more_statements_than_written_here(scene: Scene, case: str) -> None:
    number, status, act = LIMITS[case]
    scene.site.statements.clear()

    answer = act(scene)

    assert answer.status_code == status, answer.text
    assert len(own(scene.site)) == number, "\n".join(own(scene.site))


def test_a_login_that_upgrades_the_hash_costs_four_statements(site: Site) -> None:
    ann = site.user("ann@example.com")
    site.tokens("ann@example.com")  # a first sign-in notes the device
    with site.app.app_context():
        site.accounts.users.get(ann.id).password_hash = werkzeug.security.generate_password_hash(PASSWORD, "pbkdf2:sha256:1")
        site.db.session.commit()
    site.testing.runtime.hasher.inner = Argon2Hasher(memory_cost=8, time_cost=1)
    site.statements.clear()

    answer = site.login("ann@example.com")

    assert answer.status_code == 200
    assert len(own(site)) == 4, "\n".join(own(site))


def test_a_login_near_the_session_limit_costs_four_statements(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_SESSIONS_MAX_PER_USER": 1})
    site.user("ann@example.com")
    site.tokens("ann@example.com")
    site.statements.clear()

    answer = site.login("ann@example.com")

    assert answer.status_code == 200
    with site.app.app_context():
        # MariaDB has no UPDATE ... RETURNING, so it is first asked which sessions are the oldest.
        most = 5 if site.db.engine.dialect.name in ("mysql", "mariadb") else 4
    assert len(own(site)) == most, "\n".join(own(site))


@pytest.mark.parametrize("number", [1, 30])
def test_a_list_costs_the_same_however_many_accounts_it_shows(site: Site, number: int) -> None:
    admin = site.client_for(site.admin())
    for _ in range(number):
        site.user(roles=["editor"])
    site.statements.clear()

    admin.get("/api/users?per_page=100")

    assert len(site.statements) == 2, "a page that shows the end of the list needs no count"


def test_each_event_costs_the_audit_log_one_insert(site: Site) -> None:
    site.user("ann@example.com")
    site.statements.clear()

    with site.testing.recorded() as events:
        site.login("ann@example.com")

    assert len(site.statements) - len(own(site)) == len(events) == 1
