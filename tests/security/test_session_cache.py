"""Sessions that are cached: off by default, only for who reads, and never beyond its bound."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import jwt_required
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import ConfigurationError, current_principal, current_user, login_required
from flask_accounts.core.session_cache import MarksUnavailable, SessionCache
from flask_accounts.core.sessions import SessionMixin
from tests.conftest import MakeSite, Site, bearer

ME = "/api/auth/me"
MEMORY = {"ACCOUNTS_SESSIONS_CACHE": "memory"}


def views(app: Flask, db: SQLAlchemy) -> None:
    @app.get("/fresh")
    @login_required(fresh=True)
    def fresh() -> str:
        return "in"

    @app.get("/plain-fresh")
    @jwt_required(fresh=True)  # type: ignore[untyped-decorator]  # Flask-JWT-Extended is not typed
    def plain_fresh() -> str:
        return "in"

    @app.get("/plain-refresh")
    @jwt_required(refresh=True)  # type: ignore[untyped-decorator]
    def plain_refresh() -> str:
        return "in"

    @app.get("/first-read-then-step-up")
    @login_required
    @login_required(fresh=True)
    def step_up() -> str:
        return "in"

    @app.get("/permissions")
    @login_required
    def permissions() -> list[str]:
        return sorted(current_principal.permissions)

    @app.post("/rename")
    @login_required
    def rename() -> str:
        current_user.username = "renamed"
        db.session.commit()
        return "done"


def warm(site: Site, *, roles: Sequence[str] = ()) -> tuple[Any, FlaskClient]:
    """An account, and its client whose session is cached."""
    user = site.user("ann@example.com", roles=roles)
    client = site.client_for(user)
    assert client.get(ME).status_code == 200
    site.statements.clear()
    return user, client


@pytest.fixture
def cached(make_site: MakeSite) -> Site:
    return make_site(config=MEMORY, views=views)


def by_hand(site: Site, statement: Any) -> None:
    """What another program does to the database."""
    with site.app.app_context(), site.db.engine.begin() as connection:
        connection.execute(statement)


def end_by_hand(site: Site) -> None:
    by_hand(site, sa.delete(site.testing.runtime.model(SessionMixin).__table__))


def test_by_default_nothing_is_cached(site: Site) -> None:
    _, ann = warm(site)
    end_by_hand(site)

    assert site.testing.runtime.session_cache is None
    assert ann.get(ME).status_code == 401


def test_a_session_that_is_cached_costs_no_statement(cached: Site) -> None:
    _, ann = warm(cached)

    answers = [ann.get(ME).get_json()["email"] for _ in range(3)]

    assert answers == ["ann@example.com"] * 3
    assert cached.statements == []


def test_what_nobody_here_hears_of_is_seen_when_the_seconds_are_over_and_not_later(cached: Site) -> None:
    _, ann = warm(cached)
    end_by_hand(cached)
    cached.testing.clock.move(seconds=4.9)
    assert ann.get(ME).status_code == 200

    cached.testing.clock.move(seconds=0.1)

    assert ann.get(ME).get_json()["code"] == "TOKEN_REVOKED"


def test_a_clock_that_is_set_back_does_not_prolong_it(cached: Site) -> None:
    _, ann = warm(cached)
    end_by_hand(cached)

    cached.testing.clock.move(seconds=-1)

    assert ann.get(ME).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", ME), ("POST", "/rename"), ("GET", "/fresh"), ("DELETE", ME), ("GET", "/plain-fresh"),
        ("GET", "/first-read-then-step-up"),
    ],
)  # fmt: skip
def test_who_writes_or_steps_up_is_looked_up(cached: Site, method: str, path: str) -> None:
    _, ann = warm(cached)
    if method == "GET":
        assert ann.get(path).status_code == 200
    end_by_hand(cached)

    assert ann.open(path, method=method, json={"username": "anna"} if method == "PATCH" else None).status_code == 401


def test_who_refreshes_is_looked_up(cached: Site) -> None:
    cached.user("ann@example.com")
    pair = cached.tokens("ann@example.com")
    cached.client.get(ME, headers=bearer(pair["access_token"]))
    end_by_hand(cached)

    assert cached.client.post("/api/auth/refresh", json={"refresh_token": pair["refresh_token"]}).status_code == 401


def test_who_refreshes_at_a_hosts_plain_view_is_looked_up(cached: Site) -> None:
    cached.user("ann@example.com")
    pair = cached.tokens("ann@example.com")
    refresh = bearer(pair["refresh_token"])
    cached.client.get(ME, headers=bearer(pair["access_token"]))
    assert cached.client.get("/plain-refresh", headers=refresh).status_code == 200
    end_by_hand(cached)

    assert cached.client.get(ME, headers=bearer(pair["access_token"])).status_code == 200, "cached"
    assert cached.client.get("/plain-refresh", headers=refresh).status_code == 401


Act = Callable[[Site, Any], object]
ENDINGS: dict[str, Act] = {
    "its sessions are ended": lambda site, user: site.accounts.sessions.revoke_all(user),
    "it is switched off": lambda site, user: site.accounts.users.disable(user),
    "it is deleted": lambda site, user: site.accounts.users.delete(user),
    "its password is set": lambda site, user: site.accounts.passwords.set(user, "a rather different horse"),
    "its object is switched off": lambda site, user: setattr(site.accounts.users.get(user.id), "is_active", False),
}


@pytest.mark.requirement("ASVS 7.4.1")
@pytest.mark.parametrize("what", ENDINGS)
def test_in_the_process_that_revokes_it_counts_at_once(cached: Site, what: str) -> None:
    user, ann = warm(cached)
    with cached.app.app_context():
        ENDINGS[what](cached, user)
        cached.db.session.commit()

    assert ann.get(ME).get_json()["code"] == "TOKEN_REVOKED"


def test_a_logout_counts_at_once(cached: Site) -> None:
    _, ann = warm(cached)
    ann.post("/api/auth/logout")

    assert ann.get(ME).get_json()["code"] == "TOKEN_REVOKED"


def test_a_revocation_that_is_undone_was_none(cached: Site) -> None:
    user, ann = warm(cached)
    with cached.app.app_context():
        cached.accounts.users.disable(user)
        cached.db.session.rollback()

    assert ann.get(ME).status_code == 200


def test_rights_that_are_taken_are_gone_at_once(cached: Site) -> None:
    admin = cached.client_for(cached.admin())
    admin.post("/api/users/roles", json={"name": "editor", "permissions": ["users:read"]})
    user, ann = warm(cached, roles=["editor"])
    assert ann.get("/permissions").get_json() == ["users:read"]

    admin.patch("/api/users/roles/editor", json={"permissions": []})
    after_the_role_changed = ann.get("/permissions").get_json()
    with cached.app.app_context():
        cached.accounts.roles.revoke(user, "editor")
        cached.db.session.commit()

    assert after_the_role_changed == []
    assert ann.get(ME).get_json()["roles"] == []


def test_what_host_code_changes_is_shown_at_once(cached: Site) -> None:
    _, ann = warm(cached)
    ann.post("/rename")

    assert ann.get(ME).get_json()["username"] == "renamed"


def test_another_persons_session_is_not_found_under_ones_own_name(cached: Site) -> None:
    from .forging import bent, claims_of

    cached.user("bob@example.com")
    bobs = cached.tokens("bob@example.com")["access_token"]
    cached.client.get(ME, headers=bearer(bobs))
    ann, _ = warm(cached)

    mixed = bent(bobs, sub=str(ann.id))

    assert claims_of(mixed)["sub"] == str(ann.id)
    assert cached.client.get(ME, headers=bearer(mixed)).get_json()["code"] == "INVALID_TOKEN"


def test_what_was_read_before_a_change_is_not_kept_after_it(cached: Site) -> None:
    """The reader is overtaken between its read and its keeping: what it keeps would be older than the revocation."""
    user = cached.user("ann@example.com")
    signed_in = cached.testing.sign_in(user)
    runtime = cached.testing.runtime
    cache, now = runtime.session_cache, runtime.clock.now()
    assert cache is not None
    usual, forget = cache._sessions, cache.forget

    class Overtaken:
        def standing(self, session_id: Any) -> Any:
            found = usual.standing(session_id)
            runtime.users.set_active(user.id, value=False, now=now)
            cached.db.session.commit()
            forget(str(user.id))
            return found

    with cached.app.app_context():
        cache._sessions = Overtaken()  # type: ignore[assignment]  # stands in for it
        cache.standing(signed_in.session.id, str(user.id), now)
        cache._sessions = usual
        found = cache.standing(signed_in.session.id, str(user.id), now)

    assert found is not None
    assert not found[1].is_active


def test_what_a_view_does_to_a_value_stays_its_own(make_site: MakeSite) -> None:
    from flask_accounts import UserMixin

    def setup(db: SQLAlchemy) -> dict[str, Any]:
        class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]  # Flask-SQLAlchemy's own base
            labels = sa.Column(sa.JSON, default=lambda: ["plain"])

        return {"user_model": Person}

    def labelling(app: Flask, db: SQLAlchemy) -> None:
        @app.get("/label")
        @login_required
        def label() -> list[str]:
            labels: list[str] = current_principal.user.labels
            seen = list(labels)
            labels.append("admin")
            return seen

    site = make_site(config=MEMORY, setup=setup, views=labelling)
    ann = site.client_for(site.user("ann@example.com"))

    assert [ann.get("/label").get_json() for _ in range(3)] == [["plain"]] * 3


# Several processes


@pytest.fixture
def redis_url() -> str:
    if "TEST_REDIS_URL" not in os.environ:
        pytest.skip("TEST_REDIS_URL is not set")
    pytest.importorskip("redis")
    return os.environ["TEST_REDIS_URL"]


@pytest.mark.parametrize("what", ENDINGS)
def test_by_redis_another_process_sees_it_at_once(make_site: MakeSite, redis_url: str, what: str) -> None:
    here, there = (make_site(config={"ACCOUNTS_SESSIONS_CACHE": redis_url}) for _ in range(2))
    user, ann = warm(here)
    elsewhere = there.client
    elsewhere.environ_base["HTTP_AUTHORIZATION"] = ann.environ_base["HTTP_AUTHORIZATION"]
    there.testing.runtime.clock = here.testing.clock
    assert [elsewhere.get(ME).status_code for _ in range(2)] == [200, 200]
    there.statements.clear()
    assert elsewhere.get(ME).status_code == 200
    assert there.statements == []

    with here.app.app_context():
        ENDINGS[what](here, user)
        here.db.session.commit()

    assert elsewhere.get(ME).get_json()["code"] == "TOKEN_REVOKED"


def test_where_redis_is_away_the_database_is_asked(make_site: MakeSite, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("redis")
    site = make_site(config={"ACCOUNTS_SESSIONS_CACHE": "redis://:a-secret@127.0.0.1:9/0"})
    _, ann = warm(site)
    end_by_hand(site)

    assert ann.get(ME).status_code == 401
    assert "Redis is away" in caplog.text
    assert "a-secret" not in caplog.text


class Failing:
    """Marks that are asked in vain."""

    def __init__(self) -> None:
        self.asked = 0

    def read(self, names: Sequence[str]) -> tuple[Any, ...]:
        self.asked += 1
        raise MarksUnavailable

    def change(self, name: str) -> None:
        raise MarksUnavailable


def test_a_redis_that_failed_is_left_alone_for_a_while(site: Site) -> None:
    signed_in = site.testing.sign_in(site.user("ann@example.com"))
    marks, now = Failing(), site.testing.clock.now()
    cache = SessionCache(site.testing.runtime.sessions, timedelta(seconds=5), marks)
    with site.app.app_context():
        found = [cache.standing(signed_in.session.id, "1", now + timedelta(seconds=after)) for after in (0, 1, 4, 5)]

    assert all(found)
    assert marks.asked == 2


@pytest.mark.parametrize("value", ["redis", "memcached://127.0.0.1", "database"])
def test_what_is_no_cache_is_refused_at_start(make_site: MakeSite, value: str) -> None:
    with pytest.raises(ConfigurationError, match="ACCOUNTS_SESSIONS_CACHE"):
        make_site(config={"ACCOUNTS_SESSIONS_CACHE": value})


def test_the_seconds_are_bounded(make_site: MakeSite) -> None:
    with pytest.raises(ConfigurationError, match="ACCOUNTS_SESSIONS_CACHE_FOR"):
        make_site(config={**MEMORY, "ACCOUNTS_SESSIONS_CACHE_FOR": 61})
