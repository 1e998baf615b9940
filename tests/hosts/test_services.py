"""Services from host code, without HTTP: they flush, raise what is wrong, and leave the commit to the caller."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from flask_accounts import AccountsError, Client, ConfigurationError, ValidationError, current_accounts
from flask_accounts.core.errors import (
    AccountDisabled,
    EmailTaken,
    InvalidCredentials,
    LastAdministrator,
    NotFound,
    RoleExists,
    RoleProtected,
    UsernameTaken,
)
from flask_accounts.core.gates import LoginAttempt
from flask_accounts.core.sessions import SessionStore
from flask_accounts.core.users import UserView
from flask_accounts.features.password.service import PasswordService
from flask_accounts.features.sessions.service import SessionService
from flask_accounts.features.users.service import UserService
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer

ANN = "ann@example.com"


def rows(site: Site) -> dict[str, int]:
    """How many rows each table has; the audit log grows with everything, and outlives accounts on purpose."""
    with site.app.app_context():
        return {
            name: site.db.session.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for name, table in site.db.metadata.tables.items()
            if not name.startswith("accounts_event")
        }


# Transactions


def test_services_flush_and_the_caller_commits(site: Site) -> None:
    with site.app.app_context():
        user = site.accounts.users.create(ANN, PASSWORD, username="Ann", email_verified=True)
        site.accounts.roles.create("editor")
        site.accounts.roles.grant(user, "editor")
        site.accounts.sessions.open(user)
        site.db.session.commit()

    assert {name: count for name, count in rows(site).items() if count} == {
        "users": 1, "accounts_roles": 1, "accounts_user_roles": 1, "accounts_sessions": 1,
        "accounts_devices": 1,
    }  # fmt: skip
    assert site.login(ANN).status_code == 200


def test_a_rollback_leaves_nothing_of_anything(site: Site) -> None:
    before = rows(site)
    with site.app.app_context():
        user = site.accounts.users.create(ANN, PASSWORD)
        site.accounts.roles.grant(user, "admin")
        signed_in = site.accounts.sessions.open(user)
        site.accounts.sessions.revoke_token({"jti": "x", "exp": 9_999_999_999})
        site.accounts.passwords.set(user, "another good pass phrase")

        site.db.session.rollback()

    assert rows(site) == before
    answer = site.client.get("/api/auth/me", headers=bearer(signed_in.tokens.access_token))
    assert answer.status_code == 401, "a token whose session was rolled back is worth nothing"


@pytest.mark.requirement("ASVS 15.4.2")
def test_a_token_without_a_session_is_revoked_twice_at_the_same_moment(
    make_site: MakeSite, every_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither has seen the other's row when it writes its own, as two requests at once do."""
    site = make_site(url=every_database_url)
    monkeypatch.setattr(SessionStore, "is_token_revoked", lambda store, jti: False)
    for _ in range(2):
        with site.app.app_context():
            site.accounts.sessions.revoke_token({"jti": "x", "exp": 9_999_999_999})
            site.db.session.commit()
    monkeypatch.undo()

    with site.app.app_context():
        assert site.testing.runtime.sessions.is_token_revoked("x")
        assert not site.testing.runtime.sessions.is_token_revoked("y")


def test_services_are_asked_for_inside_an_app_context(site: Site) -> None:
    for name in ("users", "passwords", "sessions", "roles", "mail"):
        with pytest.raises(RuntimeError, match="application context"):
            getattr(site.accounts, name)
        with site.app.app_context():
            assert getattr(site.accounts, name) is getattr(site.accounts, name)


def test_current_accounts_is_the_runtime_of_the_app(site: Site) -> None:
    with site.app.app_context():
        runtime = current_accounts()
        assert runtime.get(UserService) is site.accounts.users
        assert runtime.get(PasswordService) is site.accounts.passwords
        assert runtime.get(SessionService) is site.accounts.sessions
        with pytest.raises(ConfigurationError, match="LoginAttempt is not there"):
            runtime.get(LoginAttempt)


# Users


def test_creating_an_account(site: Site) -> None:
    with site.app.app_context():
        user = site.accounts.users.create("  Ann@Example.com ", PASSWORD, username="Ann", is_active=False)

        assert isinstance(user, site.accounts.User)
        assert (user.email, user.username, user.is_active, user.email_verified) == (ANN, "Ann", False, False)
        assert user.check_password(PASSWORD)
        assert user.created_at == user.updated_at == site.testing.clock.now()
        assert site.accounts.users.create("bea@example.com").password_hash is None, "an account without a password"


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ({"email": "nobody"}, {"email"}),
        ({"email": ANN, "username": "a@b"}, {"username"}),
        ({"email": "nobody", "username": "x"}, {"email", "username"}),
        ({"email": ANN, "password": "short"}, {"password"}),
        ({"email": ANN, "password": "password123"}, {"password"}),
        ({"email": ANN, "password": "annexample"}, {"password"}),
    ],
)
def test_creating_refuses_what_is_unfit_with_all_its_problems(site: Site, arguments: dict[str, Any], fields: set[str]) -> None:
    if arguments.get("password") == "annexample":
        arguments = {"email": "annexample@example.com", "password": "annexample"}
    with site.app.app_context(), pytest.raises(ValidationError) as caught:
        site.accounts.users.create(**arguments)

    assert {problem.field for problem in caught.value.problems} == fields
    assert rows(site)["users"] == 0


def test_what_is_taken_is_said(site: Site) -> None:
    ann, bea = site.user(ANN, username="Ann"), site.user("bea@example.com")
    with site.app.app_context():
        users = site.accounts.users
        with pytest.raises(EmailTaken):
            users.create("ANN@example.com")
        with pytest.raises(UsernameTaken):
            users.create("other@example.com", username="ANN")
        with pytest.raises(EmailTaken):
            users.update(bea.id, {"email": ANN})
        with pytest.raises(UsernameTaken):
            users.update(bea.id, {"username": "ann"})
        assert users.update(ann.id, {"email": "ANN@example.com", "username": "ANN"}).username == "ANN", "one's own is not taken"


def test_finding_an_account_however_it_is_spelled(site: Site) -> None:
    ann = site.user(ANN, username="Ann")
    with site.app.app_context():
        users = site.accounts.users
        found = users.find(email=" ANN@EXAMPLE.COM")

        assert found is users.find(username="aNN") is users.get(ann.id) is users.get(found)
        for missing in ({"email": "no@example.com"}, {"username": "nobody"}):
            with pytest.raises(NotFound):
                users.find(**missing)
        with pytest.raises(NotFound):
            users.get(999_999)


def test_an_account_is_named_by_an_object_a_view_or_a_key(site: Site) -> None:
    ann = site.user(ANN)
    with site.app.app_context():
        view = site.accounts.runtime.users.view(ann.id)
        assert isinstance(view, UserView)
        for named in (ann, view, ann.id, site.accounts.users.get(ann.id)):
            assert site.accounts.roles.of(named) == []
            assert site.accounts.sessions.live(named) == []
            assert site.accounts.users.get(named).email == ANN


def test_updating_an_account(site: Site) -> None:
    ann = site.user(ANN, email_verified=True)
    site.testing.clock.move(minutes=1)
    with site.app.app_context(), site.testing.recorded() as recorded:
        users = site.accounts.users
        assert users.update(ann.id, {}).updated_at == ann.updated_at, "nothing changed, nothing told"
        changed = users.update(ann.id, {"email": "new@example.com", "username": "Ann"})

        assert (changed.email, changed.email_verified) == ("new@example.com", False), "a new address counts as unproved"
        assert changed.updated_at == site.testing.clock.now()
        assert users.update(ann.id, {"email_verified": True}).email_verified
        site.db.session.commit()

    assert [event.name for event in recorded] == ["user.updated", "email.changed", "user.updated"]


def test_disabling_and_enabling(site: Site) -> None:
    ann = site.user(ANN)
    token = site.testing.sign_in(ann).tokens.access_token
    with site.app.app_context():
        users = site.accounts.users
        person: Any = users.get(ann.id)
        users.disable(person, reason="spam")
        users.disable(person)
        assert not person.is_active
        assert site.accounts.sessions.live(person) == []
        with pytest.raises(AccountDisabled):
            site.accounts.sessions.open(person)
        users.enable(person)
        users.enable(person)
        assert person.is_active
        site.db.session.commit()

    assert site.client.get("/api/auth/me", headers=bearer(token)).status_code == 401, "no old session comes back"
    assert site.login(ANN).status_code == 200


def test_deleting_leaves_nothing_of_the_account(site: Site) -> None:
    before = rows(site)
    ann = site.user(ANN)
    site.testing.sign_in(ann)
    with site.app.app_context():
        site.accounts.roles.create("editor")
        site.accounts.roles.grant(ann, "editor")
        site.db.session.commit()

        site.accounts.users.delete(ann)
        site.db.session.commit()
        with pytest.raises(NotFound):
            site.accounts.users.delete(ann.id)

    assert rows(site) == before | {"accounts_roles": 1}


@pytest.mark.parametrize("act", ["disable", "delete", "demote", "update"])
def test_the_last_administrator_stays(site: Site, act: str) -> None:
    admin = site.admin()
    site.user("sleeping@example.com", roles=["admin"], is_active=False)
    with site.app.app_context():
        users, roles = site.accounts.users, site.accounts.roles
        acts: dict[str, Callable[[], object]] = {
            "disable": lambda: users.disable(admin.id),
            "delete": lambda: users.delete(admin.id),
            "demote": lambda: roles.revoke(admin.id, "admin"),
            "update": lambda: users.update(admin.id, {"is_active": False}),
        }
        with pytest.raises(LastAdministrator):
            acts[act]()
        site.db.session.rollback()

    assert site.client_for(admin).get("/api/users/").status_code == 200


# Passwords


def test_setting_a_password_is_by_policy_and_ends_all_sessions(site: Site) -> None:
    ann = site.user(ANN)
    site.testing.sign_in(ann)
    with site.app.app_context():
        passwords = site.accounts.passwords
        with pytest.raises(ValidationError) as caught:
            passwords.set(ann, "short")
        assert [problem.code for problem in caught.value.problems] == ["password_too_short"]
        passwords.set(ann, "another good pass phrase")
        site.db.session.commit()
        assert site.accounts.sessions.live(ann) == []
        with pytest.raises(NotFound):
            passwords.set(999_999, "another good pass phrase")

    assert site.login(ANN).status_code == 401
    assert site.login(ANN, "another good pass phrase").status_code == 200


def test_changing_a_password_keeps_the_session_it_is_told_to(site: Site) -> None:
    ann = site.user(ANN)
    kept, other = site.testing.sign_in(ann), site.testing.sign_in(ann)
    with site.app.app_context():
        change = site.accounts.passwords.change
        with pytest.raises(InvalidCredentials):
            change(ann.id, current="wrong guess", new="another good one", client=Client(), session_id=kept.session.id)
        change(ann.id, current=PASSWORD, new="another good one", client=Client(), session_id=kept.session.id)
        site.db.session.commit()

        assert [session.id for session in site.accounts.sessions.live(ann)] == [kept.session.id]
    assert site.client.get("/api/auth/me", headers=bearer(other.tokens.access_token)).status_code == 401


def test_signing_in_with_a_password_from_host_code(site: Site) -> None:
    ann = site.user(ANN, username="Ann")
    with site.app.app_context():
        sign_in = site.accounts.passwords.sign_in
        for name in ({"email": " ANN@example.com"}, {"username": "ANN"}):
            signed_in = sign_in(password=PASSWORD, client=Client("192.0.2.1", "a device"), **name)
            assert signed_in.user.key == ann.id
            assert (signed_in.session.ip_address, signed_in.session.user_agent) == ("192.0.2.1", "a device")
        site.db.session.commit()
        for wrong in ({"email": ANN, "password": "wrong"}, {"email": "no@example.com", "password": PASSWORD}):
            with pytest.raises(InvalidCredentials):
                sign_in(client=Client(), **wrong)


# Sessions and tokens


def test_issuing_tokens_for_an_account(site: Site) -> None:
    ann = site.user(ANN, roles=["editor"])
    with site.app.app_context():
        signed_in = site.accounts.sessions.open(ann, amr=("hwk", "user"), client=Client("192.0.2.1", "kiosk"))
        site.db.session.commit()

    assert signed_in.user.email == ANN
    assert signed_in.user.roles == ["editor"]
    assert signed_in.session.amr == ("hwk", "user")
    assert signed_in.tokens.expires_in == 15 * 60
    access, refresh = signed_in.tokens.access_token, signed_in.tokens.refresh_token
    assert site.client.get("/api/auth/me", headers=bearer(access)).get_json()["email"] == ANN
    assert site.client.post("/api/auth/refresh", headers=bearer(refresh)).status_code == 200
    [shown] = site.client.get("/api/auth/sessions", headers=bearer(access)).get_json()["sessions"]
    assert (shown["user_agent"], shown["ip_address"]) == ("kiosk", "192.0.2.1")


def test_a_session_of_nobody_is_refused(site: Site) -> None:
    with site.app.app_context(), pytest.raises(InvalidCredentials):
        site.accounts.sessions.open(999_999)


def test_a_gate_of_the_host_has_its_say_also_for_host_code(make_site: MakeSite) -> None:
    class Closed(AccountsError):
        code = 403
        error_code = "CLOSED"

    def gate(attempt: LoginAttempt, user: UserView) -> None:
        if "kiosk" in attempt.amr and user.email == ANN:
            raise Closed

    site = make_site(gates=[gate])
    ann, bea = site.user(ANN), site.user("bea@example.com")
    with site.app.app_context():
        with pytest.raises(Closed):
            site.accounts.sessions.open(ann, amr=("kiosk",))
        assert site.accounts.sessions.open(bea, amr=("kiosk",))
        assert site.accounts.sessions.open(ann)


def test_listing_and_ending_sessions(site: Site) -> None:
    ann, bea = site.user(ANN), site.user("bea@example.com")
    first = site.testing.sign_in(ann).session
    site.testing.clock.move(seconds=1)
    second = site.testing.sign_in(ann).session
    foreign = site.testing.sign_in(bea).session
    with site.app.app_context():
        sessions = site.accounts.sessions
        assert [session.id for session in sessions.live(ann)] == [second.id, first.id], "last used first"
        for wrong in (foreign.id, uuid4()):
            with pytest.raises(NotFound):
                sessions.revoke(ann, wrong)
        sessions.revoke(ann, first.id)
        with pytest.raises(NotFound):
            sessions.revoke(ann, first.id)
        sessions.open(ann)
        assert sessions.revoke_all(ann, except_for=second.id) == 1
        assert [session.id for session in sessions.live(ann)] == [second.id]
        assert sessions.revoke_all(ann) == 1
        assert sessions.revoke_all(ann) == 0
        assert len(sessions.live(bea)) == 1
        site.db.session.commit()


def test_sessions_end_by_themselves(site: Site) -> None:
    ann = site.user(ANN, email_verified=True)
    site.testing.sign_in(ann)
    site.testing.clock.move(timedelta(days=14))
    with site.app.app_context():
        assert site.accounts.sessions.live(ann) == []
        assert site.accounts.runtime.purge() == 1
        site.db.session.commit()

    assert rows(site)["accounts_sessions"] == 0


# Roles


def test_roles_and_grants(site: Site) -> None:
    ann = site.user(ANN)
    with site.app.app_context():
        roles = site.accounts.roles
        made = roles.create("support", permissions=["users:read"], description="Helps people.")
        assert roles.get("support") == made
        roles.grant(ann, "support")
        roles.grant(ann, "support")
        assert roles.of(ann) == ["support"]
        assert site.accounts.runtime.users.view(ann.id).permissions == {"users:read"}  # type: ignore[union-attr]  # it is there
        assert roles.update("support", permissions=["users:read", "roles:read"]).permissions == ("roles:read", "users:read")
        assert roles.update("support", description="Helps.").permissions == ("roles:read", "users:read")
        roles.revoke(ann, "support", "unheard-of")
        assert roles.of(ann) == []
        assert roles.set(ann, ["support", "admin"]) == ["admin", "support"]
        assert [role.name for role in roles.all()] == ["admin", "support"]
        roles.delete("support")
        assert roles.of(ann) == ["admin"]
        site.db.session.commit()


def test_what_roles_refuse(site: Site) -> None:
    ann = site.user(ANN, roles=["admin"])
    with site.app.app_context():
        roles = site.accounts.roles
        roles.create("editor")
        site.db.session.commit()
        with pytest.raises(RoleExists):
            roles.create("editor")
        with pytest.raises(ValidationError, match="not valid") as caught:
            roles.create("writer", permissions=["posts:write", "users:read"])
        assert [problem.code for problem in caught.value.problems] == ["permission_unknown"]
        with pytest.raises(ValidationError) as unknown:
            roles.grant(ann, "editor", "nonesuch")
        assert [problem.code for problem in unknown.value.problems] == ["role_unknown"]
        for act in (lambda: roles.delete("admin"), lambda: roles.update("admin", permissions=[])):
            with pytest.raises(RoleProtected):
                act()
        for miss in (lambda: roles.get("x"), lambda: roles.delete("x"), lambda: roles.of(999_999), lambda: roles.grant(999_999)):
            with pytest.raises(NotFound):
                miss()


def test_the_administrators_role_has_the_name_that_the_host_gives_it(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_ROLES_ADMIN_ROLE": "chief"})
    ann = site.user(ANN, roles=["chief"])

    assert site.client_for(ann).get("/api/users/").status_code == 200
    assert site.client_for(site.user(roles=["admin"])).get("/api/users/").status_code == 403
