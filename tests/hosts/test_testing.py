"""The test tools that hosts get: accounts in a line, signed-in clients, a fast hasher, a movable clock, an outbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts, Message, ValidationError, events
from flask_accounts.core.errors import EmailTaken
from flask_accounts.testing import PASSWORD, AccountsTesting, FastHasher, MovableClock
from tests.conftest import Site, bearer
from tests.hosts.conftest import MakeApp

ANN = "ann@example.com"


def test_the_tools_refuse_an_app_that_is_not_in_testing(make_app: MakeApp) -> None:
    app = make_app(TESTING=None)
    Accounts(SQLAlchemy(), app)

    with pytest.raises(RuntimeError, match=r"set app.testing = True first"):
        AccountsTesting(app)


def test_making_the_tools_twice_is_fine_and_the_last_clock_counts(make_app: MakeApp) -> None:
    app = make_app()
    accounts = Accounts(SQLAlchemy(), app)
    with app.app_context():
        accounts.db.create_all()
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    AccountsTesting(app)

    testing = AccountsTesting(app, clock=MovableClock(moment))

    assert testing.make_user(ANN).created_at == moment
    assert testing.client(testing.make_user()).get("/api/auth/me").status_code == 200


def test_make_user_commits_and_returns_an_object_whose_columns_can_be_read_anywhere(site: Site) -> None:
    ann = site.testing.make_user("Ann@example.com", username="Ann")

    assert isinstance(ann, site.accounts.User)
    assert (ann.email, ann.username, ann.is_active, ann.email_verified) == (ANN, "Ann", True, False)
    assert ann.id
    assert site.login(ANN).status_code == 200


def test_make_user_inside_a_context_returns_an_object_of_that_session(site: Site) -> None:
    with site.app.app_context():
        ann = site.testing.make_user(ANN)
        ann.username = "Ann"
        site.db.session.commit()

        assert site.accounts.users.find(username="ann") is ann


def test_make_user_makes_up_addresses_that_are_not_taken(site: Site) -> None:
    assert len({site.testing.make_user().email for _ in range(3)}) == 3


def test_make_user_with_roles_and_permissions(site: Site) -> None:
    editor = site.testing.make_user(roles=["editor"])
    admin = site.testing.make_user(roles=["admin", "editor"])
    reader = site.testing.make_user(permissions=["users:read"])
    nobody = site.testing.make_user()

    seen = {}
    for name, user in (("editor", editor), ("admin", admin), ("reader", reader), ("nobody", nobody)):
        client = site.testing.client(user)
        seen[name] = (client.get("/api/users/").status_code, client.get("/api/users/roles").status_code)
    assert seen == {"editor": (403, 403), "admin": (200, 200), "reader": (200, 403), "nobody": (403, 403)}
    assert site.testing.client(admin).get("/api/auth/me").get_json()["roles"] == ["admin", "editor"]


def test_make_user_without_a_password_and_switched_off(site: Site) -> None:
    site.testing.make_user(ANN, password=None)
    site.testing.make_user("bea@example.com", is_active=False)

    assert site.login(ANN).get_json()["code"] == "INVALID_CREDENTIALS"
    assert site.login("bea@example.com").get_json()["code"] == "ACCOUNT_DISABLED"


def test_make_user_keeps_to_the_rules(site: Site) -> None:
    site.testing.make_user(ANN)

    with pytest.raises(EmailTaken):
        site.testing.make_user(ANN)
    with pytest.raises(ValidationError):
        site.testing.make_user("bea@example.com", password="short")


def test_a_client_is_signed_in_by_a_session_of_its_own(site: Site) -> None:
    ann = site.testing.make_user(ANN)
    one, two, stranger = site.testing.client(ann), site.testing.client(ann), site.testing.client()

    one.post("/api/auth/logout")

    assert one.get("/api/auth/me").status_code == 401
    assert two.get("/api/auth/me").get_json()["email"] == ANN
    assert stranger.get("/api/auth/me").status_code == 401


def test_a_header_of_the_test_counts_before_the_clients_own(site: Site) -> None:
    client = site.testing.client(site.testing.make_user(ANN))
    other = site.testing.sign_in(site.testing.make_user("bea@example.com")).tokens.access_token

    assert client.get("/api/auth/me", headers=bearer(other)).get_json()["email"] == "bea@example.com"


def test_sign_in_gives_both_tokens_and_the_device(site: Site) -> None:
    signed_in = site.testing.sign_in(site.testing.make_user(ANN), user_agent="curl/8")

    answer = site.client.get("/api/auth/sessions", headers=bearer(signed_in.tokens.access_token))
    assert answer.get_json()["sessions"][0]["device"] == "curl"
    assert site.client.post("/api/auth/refresh", headers=bearer(signed_in.tokens.refresh_token)).status_code == 200


def test_the_clock_stands_still_until_it_is_moved(site: Site) -> None:
    clock = site.testing.clock
    before = clock.now()
    assert clock.now() == before

    clock.move(minutes=15, seconds=1)
    clock.move(timedelta(hours=-1))

    assert clock.now() - before == timedelta(minutes=-45, seconds=1)


def test_moving_the_clock_expires_tokens(site: Site) -> None:
    client = site.testing.client(site.testing.make_user())
    assert client.get("/api/auth/me").status_code == 200

    site.testing.clock.move(minutes=15)

    assert client.get("/api/auth/me").get_json()["code"] == "TOKEN_EXPIRED"


def test_the_fast_hasher_is_a_hasher() -> None:
    hasher = FastHasher()
    one, two = hasher.hash(PASSWORD), hasher.hash(PASSWORD)

    assert one != two
    assert hasher.verify(PASSWORD, one)
    assert not hasher.verify(PASSWORD + "x", one)
    assert not hasher.verify(PASSWORD, "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA")
    assert not hasher.verify("", "")
    assert hasher.needs_rehash("$argon2id$v=19$x")
    assert not hasher.needs_rehash(one)


def test_mail_goes_to_the_outbox_after_the_commit(site: Site) -> None:
    with site.app.app_context():
        site.accounts.mail.send(Message(ANN, "Dropped", "x"))
        site.db.session.rollback()
        site.accounts.mail.send(Message(ANN, "Hello", "Hello Ann"))
        assert site.testing.outbox == []
        site.db.session.commit()

    assert [(message.to, message.subject) for message in site.testing.outbox] == [(ANN, "Hello")]


def test_recorded_has_the_events_in_order_and_stops_at_its_end(site: Site) -> None:
    with site.testing.recorded() as recorded:
        ann = site.testing.make_user(ANN, roles=["editor"])
        site.testing.sign_in(ann)
    site.testing.sign_in(ann)

    assert [type(event) for event in recorded] == [
        events.UserRegistered, events.RoleSaved, events.RolesChanged, events.SignedIn,
    ]  # fmt: skip
