"""Errors say nothing of the inside, logs hold no secret, refusals leave a trace, and what breaks stays shut."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import events
from flask_accounts.core.passwords import Argon2Hasher
from flask_accounts.features.roles.service import RoleService
from flask_accounts.testing import PASSWORD
from tests.conftest import KEY, MakeSite, Site, bearer

MARKER = "marker-secret"
INSIDE = (
    "Traceback",
    "sqlalchemy",
    "SELECT",
    "INSERT",
    "UPDATE",
    "no such table",
    "psycopg",
    "pymysql",
    "users",
    "/src/",
    ".py",
    "test$",
)


def all_flows(site: Site) -> list[str]:
    """Every route that takes or gives a secret, right and wrong; returns all the secrets there were."""
    first, second, third = (f"{MARKER}-{word}-passphrase" for word in ("first", "second", "third"))
    client, email = site.client, "ann@example.com"
    client.post("/api/auth/register", json={"email": email, "username": "ann", "password": first})
    client.post("/api/auth/register", json={"email": email, "password": first})
    client.post("/api/auth/register", json={"email": "ben@example.com", "password": MARKER[:7], "extra": f"{MARKER}-extra"})
    client.post("/api/auth/login", json={"email": email, "password": f"{MARKER}-wrong"})
    client.post("/api/auth/login", data=f'{{"password": "{MARKER}-broken"', content_type="application/json")
    client.post(f"/api/auth/login?password={MARKER}-query", json={"email": email})
    pair = site.tokens(email, first)
    access, refresh = pair["access_token"], pair["refresh_token"]
    client.post("/api/auth/reauthenticate", json={"password": f"{MARKER}-wrong"}, headers=bearer(access))
    client.post("/api/auth/reauthenticate", json={"password": first}, headers=bearer(access))
    client.post("/api/auth/password/change", json={"current_password": first, "new_password": second}, headers=bearer(access))
    client.post(
        "/api/auth/password/change", json={"current_password": f"{MARKER}-wrong", "new_password": third}, headers=bearer(access)
    )
    renewed = client.post("/api/auth/refresh", json={"refresh_token": refresh}).get_json()
    site.testing.clock.move(minutes=1)
    client.post("/api/auth/refresh", headers=bearer(refresh))
    client.get("/api/auth/me", headers=bearer(f"{MARKER}.bearer.token"))
    client.get("/api/users", headers=bearer(site.tokens(email, second)["access_token"]))
    boss = site.client_for(site.admin())
    boss.post("/api/users", json={"email": "cat@example.com", "password": third, "roles": ["nobody"]})
    boss.post("/api/users", json={"email": "cat@example.com", "password": third})
    tokens = [access, refresh, renewed["access_token"], renewed["refresh_token"]]
    return [MARKER, *tokens, *(token.rpartition(".")[2] for token in tokens), KEY]


@pytest.mark.requirement("ASVS 16.2.5")
def test_no_secret_is_logged_at_debug_level_by_anybody(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with site.app.app_context():
        site.db.engine.echo = True
    with caplog.at_level(logging.DEBUG):
        for name in ("flask_accounts", "werkzeug", "sqlalchemy.engine", "sqlalchemy.pool", "host"):
            caplog.set_level(logging.DEBUG, name)

        secrets = all_flows(site)

    logged = "\n".join(record.getMessage() + str(record.args) + str(record.exc_info) for record in caplog.records)
    assert "INSERT INTO users" in logged  # the loggers were on
    for secret in secrets:
        assert secret not in logged
    assert "test$" not in "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("flask_accounts"))


@pytest.mark.requirement("ASVS 16.2.5")
def test_no_event_carries_a_secret(site: Site) -> None:
    with site.testing.recorded() as found:
        secrets = all_flows(site)

    told = "\n".join(f"{event!r} {vars(event)}" for event in found)
    assert len(found) > 10
    for secret in [*secrets, "test$"]:
        assert secret not in told


@pytest.mark.requirement("ASVS 16.2.5")
def test_a_database_error_is_logged_without_the_values_it_was_sent(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    _break_tables(site)

    answer = site.client.post("/api/auth/register", json={"email": "ann@example.com", "password": PASSWORD})

    assert answer.status_code in (500, 503)
    assert caplog.records
    assert not any(secret in caplog.text for secret in ("test$", "ann@example.com", PASSWORD))


# What leaves a trace


Traced = tuple[Callable[[Site], Any], type[events.Event], dict[str, Any]]


def _reuse(site: Site) -> None:
    refresh = site.tokens("ann@example.com")["refresh_token"]
    for _ in range(2):
        site.client.post("/api/auth/refresh", headers=bearer(refresh))
        site.testing.clock.move(seconds=11)


TRACES: dict[str, Traced] = {
    "register": (
        lambda s: s.client.post("/api/auth/register", json={"email": "new@example.com", "password": PASSWORD}), events.UserRegistered, {},
    ),
    "login": (lambda s: s.login("ann@example.com"), events.SignedIn, {"amr": ("pwd",)}),
    "wrong password": (lambda s: s.login("ann@example.com", "x"), events.SignInFailed, {"reason": "INVALID_CREDENTIALS"}),
    "unknown account": (lambda s: s.login("nobody@example.com", "x"), events.SignInFailed, {"login": "nobody@example.com"}),
    "disabled account": (lambda s: s.login("off@example.com"), events.SignInFailed, {"reason": "ACCOUNT_DISABLED"}),
    "reauthenticate": (lambda s: _ann(s).post("/api/auth/reauthenticate", json={"password": PASSWORD}), events.Reauthenticated, {}),
    "reauthenticate, wrong": (
        lambda s: _ann(s).post("/api/auth/reauthenticate", json={"password": "x"}), events.SignInFailed, {"reason": "INVALID_CREDENTIALS"},
    ),
    "change password": (
        lambda s: _ann(s).post("/api/auth/password/change", json={"current_password": PASSWORD, "new_password": "a new passphrase"}),
        events.PasswordChanged, {},
    ),
    "change password, wrong": (
        lambda s: _ann(s).post("/api/auth/password/change", json={"current_password": "x", "new_password": "a new passphrase"}),
        events.SignInFailed, {},
    ),
    "logout": (lambda s: _ann(s).post("/api/auth/logout"), events.SessionEnded, {"reason": "logout"}),
    "new name": (lambda s: _ann(s).patch("/api/auth/me", json={"username": "bo"}), events.UserUpdated, {"fields": ("username",)}),
    "new address": (
        lambda s: _ann(s).post("/api/auth/email/change", json={"email": "b@example.com"}),
        events.EmailChangeRequested, {"new": "b@example.com"},
    ),
    "disable": (lambda s: _boss(s).post(f"/api/users/{_key(s)}/disable", json={"reason": "Spam."}), events.UserDisabled, {"reason": "Spam."}),
    "roles": (lambda s: _boss(s).put(f"/api/users/{_key(s)}/roles", json={"roles": ["admin"]}), events.RolesChanged, {"granted": ("admin",)}),
    "delete": (lambda s: _boss(s).delete(f"/api/users/{_key(s)}"), events.UserDeleted, {}),
}  # fmt: skip
REFUSALS: dict[str, Callable[[Site], Any]] = {
    "a list": lambda s: _ann(s).get("/api/users"),
    "roles": lambda s: _ann(s).get("/api/users/roles"),
    "disable": lambda s: _ann(s).post("/api/users/1/disable"),
    "more power": lambda s: s.client_for(s.user(permissions=["users:write"])).delete(f"/api/users/{s.admin('b@example.com').id}"),
    "a grant": lambda s: s.client_for(s.user(permissions=["roles:write"])).put(
        f"/api/users/{_key(s)}/roles", json={"roles": ["admin"]}
    ),
    "a role": lambda s: s.client_for(s.user(permissions=["roles:write"])).post(
        "/api/users/roles", json={"name": "x", "permissions": ["*"]}
    ),
    "somebody else's account": lambda s: _ann(s).get(f"/api/users/{s.user().id}"),
}


def _ann(site: Site) -> Any:
    return site.client_for(_key(site))


def _key(site: Site) -> Any:
    with site.app.app_context():
        return site.accounts.users.find(email="ann@example.com").id


def _boss(site: Site) -> Any:
    return site.client_for(site.admin("boss@example.com"))


@pytest.fixture
def people(site: Site) -> Site:
    site.user("ann@example.com")
    site.user("off@example.com", is_active=False)
    with site.app.app_context():
        site.testing.runtime.get(RoleService).ensure_admin_role()
        site.db.session.commit()
    return site


@pytest.mark.requirement("ASVS 16.3.1")
@pytest.mark.parametrize("case", TRACES)
def test_every_act_of_authentication_is_told_with_who_when_and_where(people: Site, case: str) -> None:
    act, kind, members = TRACES[case]

    with people.testing.recorded() as found:
        act(people)

    event = next(event for event in found if type(event) is kind and event.client)
    assert {name: getattr(event, name) for name in members} == members
    assert event.at == people.testing.clock.now()
    assert event.client
    assert event.client.address == "127.0.0.1"
    assert event.user_id is not None or case == "unknown account"


@pytest.mark.requirement("ASVS 16.3.2")
@pytest.mark.parametrize("case", REFUSALS)
def test_every_refused_access_is_told(people: Site, case: str) -> None:
    with people.testing.recorded() as found:
        answer = REFUSALS[case](people)

    assert answer.status_code in (403, 404)
    refused = [event for event in found if isinstance(event, events.AccessRefused)]
    assert [event.reason for event in refused] == ["PERMISSION_DENIED"]
    assert refused[0].actor_id is not None
    assert refused[0].path == answer.request.path


@pytest.mark.requirement("ASVS 16.3.3")
def test_the_reuse_of_a_refresh_token_is_told(people: Site) -> None:
    with people.testing.recorded() as found:
        _reuse(people)

    assert [type(event) for event in found][-2:] == [events.RefreshTokenReused, events.SessionEnded]


@pytest.mark.requirement("ASVS 16.3.3")
@pytest.mark.parametrize("path", ["/api/auth/refresh", "/api/auth/logout", "/api/auth/sessions", "/api/users"])
def test_a_missing_csrf_token_is_told(make_site: MakeSite, path: str) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["cookies"], "JWT_COOKIE_SECURE": False})
    site.user("ann@example.com")
    client = site.client
    client.post("/api/auth/login", json={"email": "ann@example.com", "password": PASSWORD})

    with site.testing.recorded() as found:
        answer = client.open(path, method="DELETE" if path.endswith("sessions") else "POST", json={})

    assert answer.status_code == 403
    assert [event.reason for event in found if isinstance(event, events.AccessRefused)] == ["CSRF_FAILED"]


@pytest.mark.requirement("ASVS 16.4.1")
def test_nothing_a_client_sends_breaks_a_line_of_the_log_or_of_a_stored_session(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    ann = site.user("ann@example.com")
    evil = "x\x1b[31m\x85\x9b%s{0}%(name)s " + "y" * 400

    with caplog.at_level(logging.DEBUG, "flask_accounts"):
        site.login("ann@example.com", headers={"User-Agent": evil})
        site.login("a\r\nCRITICAL root: owned\u2028@example.com", "x", headers={"User-Agent": evil})

    assert all(record.getMessage().isprintable() for record in caplog.records if record.name.startswith("flask_accounts"))
    stored = site.client_for(ann).get("/api/auth/sessions").get_json()["sessions"]
    agents = [session["user_agent"] for session in stored if session["user_agent"]]
    assert all(agent.isprintable() and len(agent) <= 255 for agent in agents)
    assert any("y" * 100 in agent for agent in agents)


# What breaks stays shut


def _break_tables(site: Site) -> None:
    site.testing.runtime.debug = False
    with site.app.app_context():
        site.db.drop_all()


@pytest.mark.requirement("ASVS 16.5.1")
@pytest.mark.requirement("ASVS 16.5.3")
def test_without_its_tables_the_service_says_nothing_of_the_inside_and_lets_nobody_in(site: Site) -> None:
    boss = site.client_for(site.admin())
    _break_tables(site)

    answers = [
        boss.get("/api/auth/me"), boss.get("/api/users"), site.login("admin@example.com"), boss.delete("/api/auth/sessions"),
        site.client.post("/api/auth/register", json={"email": "ann@example.com", "password": PASSWORD}),
    ]  # fmt: skip

    for answer in answers:
        assert answer.status_code in (500, 503)
        assert answer.mimetype == "application/problem+json"
        assert answer.get_json()["code"] in ("INTERNAL_ERROR", "SERVICE_UNAVAILABLE")
        assert not any(word in answer.text for word in INSIDE)


@pytest.mark.requirement("ASVS 16.5.2")
@pytest.mark.requirement("ASVS 16.5.3")
def test_a_database_that_is_away_is_a_503_with_a_time_to_come_back(make_site: MakeSite) -> None:
    site = make_site()
    boss = site.client_for(site.admin())

    def away(*args: Any, **kwargs: Any) -> None:
        raise sa.exc.OperationalError("SELECT secret", {"password": MARKER}, Exception("connection refused"))

    with site.app.app_context():
        engine = site.db.engine
    sa.event.listen(engine, "before_cursor_execute", away)
    answers = [boss.get("/api/auth/me"), site.login("admin@example.com"), boss.post("/api/auth/logout")]
    sa.event.remove(engine, "before_cursor_execute", away)

    for answer in answers:
        assert answer.status_code == 503
        assert answer.headers["Retry-After"].isdigit()
        assert MARKER not in answer.text


@pytest.mark.requirement("ASVS 16.5.3")
@pytest.mark.parametrize(
    "stored",
    [
        None,
        "",
        "x",
        "test$",
        "test$$",
        "$argon2id$",
        "$argon2id$v=19$m=9$x",
        "$2b$04$x",
        "scrypt:1",
        "pbkdf2:sha256:0$a$b",
        PASSWORD,
    ],
)
def test_no_password_matches_a_missing_or_broken_hash(site: Site, stored: str | None) -> None:
    site.user("ann@example.com")
    with site.app.app_context():
        table = site.testing.runtime.users.table
        site.db.session.execute(sa.update(table).values(password_hash=stored))
        site.db.session.commit()

    for hasher in (site.testing.runtime.hasher.inner, Argon2Hasher(memory_cost=8, time_cost=1)):
        site.testing.runtime.hasher.inner = hasher
        for password in (PASSWORD, "", "None", "x", stored or "null"):
            assert site.login("ann@example.com", password).status_code == 401


@pytest.mark.requirement("ASVS 16.5.4")
def test_a_mistake_inside_is_an_opaque_500_of_ours_and_the_hosts_pages_stay_the_hosts(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def views(app: Flask, db: SQLAlchemy) -> None:
        app.register_error_handler(404, lambda error: ("the host's own page", 404))
        app.register_error_handler(405, lambda error: ("the host's own page", 405))
        app.register_error_handler(Exception, lambda error: ("the host's own apology", 500))
        app.add_url_rule("/broken", view_func=lambda: str(1 / 0), endpoint="broken")

    site = make_site(views=views)
    ann = site.client_for(site.user("ann@example.com"))
    site.testing.runtime.debug = False
    broken = monkeypatch.context()

    with broken as patch:
        patch.setattr(site.testing.runtime.sessions, "live", lambda *args: dict[str, str]()[MARKER])
        answer = ann.get("/api/auth/sessions")

    assert answer.status_code == 500
    assert answer.get_json()["code"] == "INTERNAL_ERROR"
    assert MARKER not in answer.text
    assert ann.get("/nowhere").text == "the host's own page"
    assert ann.post("/broken").text == "the host's own page"
    assert ann.get("/broken").text == "the host's own apology"
    assert ann.get("/api/users/999").get_json()["code"] == "NOT_FOUND"
    assert ann.put("/api/auth/me").get_json()["code"] == "METHOD_NOT_ALLOWED"


# One transaction


@pytest.mark.requirement("ASVS 2.3.3")
def test_an_account_whose_roles_cannot_be_given_is_not_made(site: Site) -> None:
    boss = site.client_for(site.admin())

    with site.testing.recorded() as found:
        answer = boss.post("/api/users", json={"email": "ann@example.com", "password": PASSWORD, "roles": ["nobody"]})

    assert answer.status_code == 400
    assert boss.get("/api/users").get_json()["total"] == 1
    assert found == []


@pytest.mark.requirement("ASVS 2.3.3")
@pytest.mark.parametrize("path", ["register", "password/change", "me"])
def test_a_failure_half_way_leaves_nothing_behind(site: Site, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    site.user("ann@example.com")
    pair = site.tokens("ann@example.com")
    monkeypatch.setattr(site.testing.runtime, "debug", False)

    def fail(event: events.Event) -> None:
        raise RuntimeError("the listener broke")

    with monkeypatch.context() as patch, site.testing.recorded() as found:
        patch.setattr(site.testing.runtime.events, "_listeners", (fail,))
        answer = {
            "register": lambda: site.client.post("/api/auth/register", json={"email": "new@example.com", "password": PASSWORD}),
            "password/change": lambda: site.client.post(
                "/api/auth/password/change", json={"current_password": PASSWORD, "new_password": "a new passphrase"}, headers=bearer(pair["access_token"])
            ),
            "me": lambda: site.client.delete("/api/auth/me", headers=bearer(pair["access_token"])),
        }[path]()  # fmt: skip

    assert answer.status_code == 500
    assert found == []
    assert site.login("new@example.com").status_code == 401
    assert site.login("ann@example.com").status_code == 200
    assert site.client.get("/api/auth/me", headers=bearer(pair["access_token"])).status_code == 200
