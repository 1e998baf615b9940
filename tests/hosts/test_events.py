"""Events as a host meets them: what is sent, when, by whom, and that a request is one transaction."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts, Client, events
from flask_accounts.core.events import Event, EventBus
from flask_accounts.core.feature import Feature
from flask_accounts.core.runtime import Runtime
from flask_accounts.testing import PASSWORD, AccountsTesting
from tests.conftest import MakeSite, Site, bearer
from tests.hosts.conftest import MakeApp

ANN = "ann@example.com"


def names(recorded: list[Event]) -> list[str]:
    return [event.name for event in recorded]


@contextlib.contextmanager
def receiving(kind: type[Event], receiver: Any) -> Iterator[None]:
    with kind.signal.connected_to(receiver):
        yield


def emit(site: Site, email: str = ANN) -> None:
    """As a service does: one event in the present transaction."""
    runtime: Runtime = site.app.extensions["accounts"]
    runtime.events.emit(events.UserRegistered(email=email))


def count(site: Site) -> int:
    found: int = site.db.session.execute(sa.select(sa.func.count()).select_from(site.accounts.User)).scalar_one()
    return found


# What is sent


def test_each_act_sends_its_event_with_the_documented_payload(site: Site) -> None:
    with site.testing.recorded() as recorded:
        client = site.client
        headers = {"User-Agent": "Firefox/1"}
        shown = client.post("/api/auth/register", json={"email": ANN, "password": PASSWORD}, headers=headers)
        key = shown.get_json()["user"]["id"]
        client.post("/api/auth/login", json={"email": ANN, "password": "wrong"}, headers=headers)
        tokens = site.tokens(ANN)
        ann = bearer(tokens["access_token"])
        client.post("/api/auth/refresh", headers=bearer(tokens["refresh_token"]))
        client.post("/api/auth/reauthenticate", headers=ann, json={"password": PASSWORD})
        client.patch("/api/auth/me", headers=ann, json={"username": "Ann"})
        new = "another correct horse"
        client.post("/api/auth/password/change", headers=ann, json={"current_password": PASSWORD, "new_password": new})
        client.get("/api/users/", headers=ann)
        client.post("/api/auth/logout", headers=ann)

    assert names(recorded) == [
        "user.registered", "session.refused", "session.opened", "session.refreshed", "session.reauthenticated",
        "user.updated", "password.changed", "access.refused", "session.ended",
    ]  # fmt: skip
    registered, refused, opened, refreshed, again, updated, changed, denied, ended = recorded
    assert isinstance(registered, events.UserRegistered)
    assert (registered.user_id, registered.actor_id, registered.email) == (key, None, ANN)
    assert registered.client == Client("127.0.0.1", "Firefox/1")
    assert isinstance(refused, events.SignInFailed)
    assert (refused.user_id, refused.reason, refused.login) == (key, "INVALID_CREDENTIALS", ANN)
    assert isinstance(opened, events.SignedIn)
    assert (opened.user_id, opened.actor_id, opened.amr) == (key, key, ("pwd",))
    assert isinstance(refreshed, events.SessionRefreshed)
    assert isinstance(again, events.Reauthenticated)
    assert refreshed.session_id == again.session_id == opened.session_id
    assert isinstance(updated, events.UserUpdated)
    assert updated.fields == ("username",)
    assert isinstance(changed, events.PasswordChanged)
    assert (changed.user_id, changed.actor_id) == (key, key)
    assert isinstance(denied, events.AccessRefused)
    assert (denied.user_id, denied.reason, denied.path) == (key, "PERMISSION_DENIED", "/api/users/")
    assert isinstance(ended, events.SessionEnded)
    assert (ended.session_id, ended.reason) == (opened.session_id, "logout")
    assert all(event.at == site.testing.clock.now() for event in recorded)


def test_administration_sends_who_did_what_to_whom(site: Site) -> None:
    admin, ann = site.admin(), site.user(ANN)
    site.testing.sign_in(ann)
    acting = site.client_for(admin)
    with site.testing.recorded() as recorded:
        acting.post("/api/users/roles", json={"name": "editor", "permissions": ["users:read"]})
        acting.put(f"/api/users/{ann.id}/roles", json={"roles": ["editor"]})
        acting.post(f"/api/users/{ann.id}/disable", json={"reason": "spam"})
        acting.post(f"/api/users/{ann.id}/enable")
        acting.delete("/api/users/roles/editor")
        acting.delete(f"/api/users/{ann.id}")

    assert names(recorded) == [
        "role.saved", "roles.changed", "user.disabled", "session.ended", "user.enabled", "role.deleted", "user.deleted",
    ]  # fmt: skip
    saved, granted, disabled, ended = recorded[:4]
    assert isinstance(saved, events.RoleSaved)
    assert (saved.role, saved.permissions) == ("editor", ("users:read",))
    assert isinstance(granted, events.RolesChanged)
    assert (granted.granted, granted.revoked) == (("editor",), ())
    assert isinstance(disabled, events.UserDisabled)
    assert disabled.reason == "spam"
    assert isinstance(ended, events.SessionEnded)
    assert ended.reason == "disabled"
    assert {event.actor_id for event in recorded} == {admin.id}
    assert {event.user_id for event in recorded} == {ann.id, None}


def test_a_refresh_token_that_comes_back_is_told(site: Site) -> None:
    site.user(ANN)
    tokens = site.tokens(ANN)
    site.client.post("/api/auth/refresh", headers=bearer(tokens["refresh_token"]))
    site.testing.clock.move(minutes=1)
    with site.testing.recorded() as recorded:
        answer = site.client.post("/api/auth/refresh", headers=bearer(tokens["refresh_token"]))

    assert answer.status_code == 401
    assert names(recorded) == ["session.reuse_detected", "session.ended"]
    assert isinstance(recorded[1], events.SessionEnded)
    assert recorded[1].reason == "reuse"


@pytest.mark.requirement("ASVS 16.2.5")
def test_no_event_carries_a_password_a_hash_or_a_token(site: Site) -> None:
    with site.testing.recorded() as recorded:
        site.client.post("/api/auth/register", json={"email": ANN, "password": PASSWORD})
        tokens = site.tokens(ANN)
        site.login(ANN, "a wrong guess")
        site.client.post("/api/auth/refresh", headers=bearer(tokens["refresh_token"]))

    with site.app.app_context():
        stored = site.accounts.users.find(email=ANN).password_hash
    said = " ".join(str(vars(event)) for event in recorded)
    assert len(recorded) == 4
    for secret in (PASSWORD, "a wrong guess", stored, tokens["access_token"], tokens["refresh_token"]):
        assert secret
        assert secret not in said


def test_every_event_has_a_name_a_signal_and_a_sentence() -> None:
    kinds = list(events.event_types())

    assert len(kinds) >= 16
    assert len({kind.name for kind in kinds}) == len(kinds)
    assert len({id(kind.signal) for kind in kinds}) == len(kinds)
    assert all(kind.__doc__ and kind.signal.__doc__ == kind.__doc__ for kind in kinds)


# When


def test_a_signal_is_sent_after_the_commit_and_not_before(site: Site) -> None:
    with site.app.app_context(), site.testing.recorded() as recorded:
        site.accounts.users.create(ANN)
        assert recorded == []

        site.db.session.commit()

        assert names(recorded) == ["user.registered"]
        site.db.session.commit()
        assert len(recorded) == 1, "and once"


def test_what_is_rolled_back_is_never_told(site: Site) -> None:
    with site.app.app_context(), site.testing.recorded() as recorded:
        site.accounts.users.create(ANN)
        site.db.session.rollback()
        site.accounts.users.create("bea@example.com")
        site.db.session.commit()

    assert [event.email for event in recorded if isinstance(event, events.UserRegistered)] == ["bea@example.com"]


def test_what_a_closed_session_never_committed_is_never_told(site: Site) -> None:
    with site.testing.recorded() as recorded:
        with site.app.app_context():
            site.accounts.users.create(ANN)
        with site.app.app_context():
            site.accounts.users.create("bea@example.com")
            site.db.session.commit()

    assert [event.email for event in recorded if isinstance(event, events.UserRegistered)] == ["bea@example.com"]


def test_what_a_session_closed_by_hand_never_committed_is_never_told(site: Site) -> None:
    with site.app.app_context(), site.testing.recorded() as recorded:
        site.accounts.users.create(ANN)
        site.db.session.close()
        site.accounts.users.create("bea@example.com")
        site.db.session.commit()

    assert [event.email for event in recorded if isinstance(event, events.UserRegistered)] == ["bea@example.com"]


def test_a_savepoint_rolled_back_takes_only_its_own_events_along(site: Site) -> None:
    with site.app.app_context(), site.testing.recorded() as recorded:
        emit(site, "before")
        savepoint = site.db.session.begin_nested()
        emit(site, "inside")
        savepoint.rollback()
        emit(site, "after")
        with site.db.session.begin_nested():
            emit(site, "kept")
            inner = site.db.session.begin_nested()
            emit(site, "innermost")
            inner.rollback()
        assert recorded == []
        site.db.session.commit()

    assert [event.email for event in recorded if isinstance(event, events.UserRegistered)] == ["before", "after", "kept"]


def test_a_flush_that_fails_inside_a_savepoint_takes_only_the_savepoints_events_along(site: Site) -> None:
    site.user("taken@example.com")
    with site.app.app_context(), site.testing.recorded() as recorded:
        emit(site, "before")
        savepoint = site.db.session.begin_nested()
        emit(site, "inside")
        site.db.session.add(site.accounts.User(email="taken@example.com"))
        with pytest.raises(sa.exc.IntegrityError):
            site.db.session.flush()
        savepoint.rollback()
        emit(site, "after")
        site.db.session.commit()

    assert [event.email for event in recorded if isinstance(event, events.UserRegistered)] == ["before", "after"]


def test_a_flush_that_fails_outside_every_savepoint_takes_all_along(site: Site) -> None:
    site.user("taken@example.com")
    with site.app.app_context(), site.testing.recorded() as recorded:
        emit(site)
        site.db.session.add(site.accounts.User(email="taken@example.com"))
        with pytest.raises(sa.exc.IntegrityError):
            site.db.session.commit()
        site.db.session.rollback()
        site.db.session.commit()

    assert recorded == []


def test_a_savepoint_released_tells_nothing_before_the_outer_commit(site: Site) -> None:
    with site.app.app_context(), site.testing.recorded() as recorded:
        with site.db.session.begin_nested():
            site.accounts.users.create(ANN)
        assert recorded == []
        site.db.session.rollback()
        site.db.session.commit()

    assert recorded == []


def test_an_action_after_commit_runs_once_the_transaction_has_committed(site: Site) -> None:
    with site.app.app_context():
        bus: EventBus = site.app.extensions["accounts"].events
        done: list[str] = []
        bus.after_commit(lambda: done.append("first"))
        site.db.session.execute(sa.text("SELECT 1"))
        site.db.session.rollback()
        bus.after_commit(lambda: done.append("second"))
        assert done == []
        site.db.session.commit()

        assert done == ["second"]


# Receivers


def test_a_receiver_may_read_and_write_the_database_and_commits_itself(site: Site) -> None:
    found: list[tuple[int, str]] = []

    def welcome(app: Flask, event: events.UserRegistered) -> None:
        user = site.accounts.users.get(event.user_id)
        user.username = "greeted"
        site.db.session.commit()
        found.append((count(site), user.email))

    with receiving(events.UserRegistered, welcome):
        answer = site.client.post("/api/auth/register", json={"email": ANN, "password": PASSWORD})

    assert answer.status_code == 201
    assert found == [(1, ANN)]
    with site.app.app_context():
        assert site.accounts.users.find(email=ANN).username == "greeted"


def test_a_receiver_that_does_not_commit_leaves_nothing(site: Site) -> None:
    def forgetful(app: Flask, event: events.UserRegistered) -> None:
        site.accounts.users.get(event.user_id).username = "forgotten"
        site.db.session.flush()

    def tidy(app: Flask, event: events.UserRegistered) -> None:
        site.db.session.commit()

    with receiving(events.UserRegistered, forgetful), receiving(events.UserRegistered, tidy):
        site.client.post("/api/auth/register", json={"email": ANN, "password": PASSWORD})

    with site.app.app_context():
        assert site.accounts.users.find(email=ANN).username is None


def test_a_receiver_may_be_async(site: Site) -> None:
    import asgiref  # noqa: F401  # async receivers need it

    heard: list[str] = []

    async def receive(app: Flask, event: events.UserRegistered) -> None:
        heard.append(event.email)

    with receiving(events.UserRegistered, receive):
        site.client.post("/api/auth/register", json={"email": ANN, "password": PASSWORD})

    assert heard == [ANN]


def test_a_receiver_may_cause_further_events(site: Site) -> None:
    def promote(app: Flask, event: events.UserRegistered) -> None:
        site.accounts.roles.grant(event.user_id, "admin")
        site.db.session.commit()

    with site.testing.recorded() as recorded, receiving(events.UserRegistered, promote):
        answer = site.client.post("/api/auth/register", json={"email": ANN, "password": PASSWORD})

    assert answer.status_code == 201
    assert sorted(names(recorded)) == ["role.saved", "roles.changed", "user.registered"]


def test_a_failing_receiver_fails_neither_the_request_nor_the_other_receivers(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    def broken(app: Flask, event: events.UserRegistered) -> None:
        raise RuntimeError("the mail server is away")

    def healthy(app: Flask, event: Event) -> None:
        heard.append(event.name)

    with (
        caplog.at_level(logging.ERROR, "flask_accounts.events"),
        receiving(events.UserRegistered, broken),
        receiving(events.UserRegistered, healthy),
        receiving(events.SignedIn, healthy),
    ):
        answer = site.client.post("/api/auth/register", json={"email": ANN, "password": PASSWORD})
        signed_in = site.login(ANN)

    assert (answer.status_code, signed_in.status_code) == (201, 200)
    assert "user.registered" in caplog.text
    assert "the mail server is away" in caplog.text
    assert heard == ["user.registered", "session.opened"]


def test_a_receiver_that_breaks_its_own_transaction_does_not_break_the_next_request(site: Site) -> None:
    site.user("taken@example.com")

    def broken(app: Flask, event: events.UserRegistered) -> None:
        site.db.session.add(site.accounts.User(email="taken@example.com"))
        site.db.session.commit()

    with receiving(events.UserRegistered, broken):
        first = site.client.post("/api/auth/register", json={"email": ANN, "password": PASSWORD})

    assert first.status_code == 201
    assert site.login(ANN).status_code == 200


def test_a_receiver_of_a_refused_sign_in_may_use_the_database(site: Site) -> None:
    site.user(ANN)
    counted: list[int] = []

    with receiving(events.SignInFailed, lambda app, event: counted.append(count(site))):
        answer = site.login(ANN, "wrong guess")

    assert answer.status_code == 401
    assert counted == [1]


def test_the_sender_is_the_app_and_two_apps_do_not_mix(make_app: MakeApp) -> None:
    sites: list[tuple[Flask, Accounts, AccountsTesting]] = []
    shared = Accounts(SQLAlchemy())
    for accounts in (shared, shared, Accounts(SQLAlchemy())):
        app = make_app()
        accounts.init_app(app)
        with app.app_context():
            accounts.db.create_all()
        sites.append((app, accounts, AccountsTesting(app)))
    senders: list[Flask] = []

    def receive(sender: Flask, event: events.UserRegistered) -> None:
        senders.append(sender)

    with receiving(events.UserRegistered, receive), contextlib.ExitStack() as stack:
        recorded = [stack.enter_context(testing.recorded()) for _, _, testing in sites]
        sites[1][2].make_user(ANN)
        sites[2][2].make_user(ANN)

    assert senders == [sites[1][0], sites[2][0]]
    assert type(senders[0]) is Flask, "the app itself, not a proxy"
    assert [len(found) for found in recorded] == [0, 1, 1]


# Listeners inside the transaction, and one transaction a request


class Watchful(Feature):
    """A host's own feature whose listener breaks, or writes."""

    name = "watchful"

    def __init__(self, on: type[Event], act: Any) -> None:
        self.on, self.act = on, act

    def listeners(self, runtime: Runtime) -> list[Any]:
        def listen(event: Event) -> None:
            if isinstance(event, self.on):
                self.act(runtime, event)

        return [listen]


def fail(runtime: Runtime, event: Event) -> None:
    raise RuntimeError("injected")


def with_listener(on: type[Event], act: Any) -> dict[str, Any]:
    from flask_accounts import default_features

    return {"features": [*default_features(), Watchful(on, act)]}


def rows(site: Site) -> dict[str, int]:
    with site.app.app_context():
        return {
            name: site.db.session.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for name, table in site.db.metadata.tables.items()
        }


def test_a_listener_writes_in_the_same_transaction(make_site: MakeSite) -> None:
    def grant(runtime: Runtime, event: Event) -> None:
        from flask_accounts.features.roles.service import RoleService

        runtime.get(RoleService).grant(event.user_id, "admin")

    site = make_site(**with_listener(events.UserRegistered, grant))

    answer = site.client.post("/api/auth/register", json={"email": ANN, "password": PASSWORD})

    assert answer.get_json()["user"]["roles"] == ["admin"]


@pytest.mark.parametrize(
    ("event", "request_"),
    [
        (events.UserRegistered, ("post", "/api/auth/register", {"email": "new@example.com", "password": PASSWORD})),
        (events.SignedIn, ("post", "/api/auth/login", {"email": ANN, "password": PASSWORD})),
        (events.UserUpdated, ("patch", "/api/auth/me", {"username": "Ann"})),
        (events.PasswordChanged, ("post", "/api/auth/password/change", {"current_password": PASSWORD, "new_password": "a new pass phrase"})),
        (events.SessionEnded, ("post", "/api/auth/logout", None)),
        (events.UserDeleted, ("delete", "/api/auth/me", None)),
        (events.UserDisabled, ("post", "/api/users/2/disable", None)),
        (events.RolesChanged, ("post", "/api/users/", {"email": "new@example.com", "password": PASSWORD, "roles": ["admin"]})),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else value[1],
)  # fmt: skip
def test_a_request_that_breaks_midway_leaves_nothing_half_written(
    make_site: MakeSite, event: type[Event], request_: tuple[str, str, Any]
) -> None:
    armed: list[bool] = []

    def act(runtime: Runtime, event: Event) -> None:
        if armed:
            fail(runtime, event)

    site = make_site(**with_listener(event, act), config={"TESTING": True})
    ann = site.user(ANN, roles=["admin"])
    site.user("bea@example.com", roles=["admin"])
    client = site.client_for(ann)
    site.app.extensions["accounts"].debug = False  # as in production: the error becomes an answer
    before = rows(site)
    me = client.get("/api/auth/me").get_json()
    method, path, body = request_

    armed.append(True)
    with site.testing.recorded() as recorded:
        answer = client.open(path, method=method.upper(), json=body)
    armed.clear()

    assert answer.status_code == 500
    assert answer.get_json()["code"] == "INTERNAL_ERROR"
    assert "injected" not in answer.text
    assert recorded == []
    assert rows(site) == before
    assert client.get("/api/auth/me").get_json() == me
    assert site.login(ANN).status_code == 200
    assert site.login("bea@example.com").status_code == 200


def test_a_listeners_error_says_no_more_in_testing_than_it_is(make_site: MakeSite) -> None:
    site = make_site(**with_listener(events.UserRegistered, fail))

    with pytest.raises(RuntimeError, match="injected"):
        site.client.post("/api/auth/register", json={"email": ANN, "password": PASSWORD})
