"""Everything stored about an account, as one document: what is in it, what is not, and who gets it."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Mapped, mapped_column

from flask_accounts import Accounts, ConfigurationError, UserMixin, default_features, events, opt_in_features
from flask_accounts.core.errors import NotFound, PermissionDenied
from flask_accounts.features.export import Export
from flask_accounts.features.password_reset.service import PasswordResetService
from flask_accounts.features.users.leaving import LeavingService
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site
from tests.contract import token_of
from tests.features.mfa.tools import begin, confirm, with_token

EXPORT = "/api/auth/me/export"
HERE: dict[str, Any] = {"headers": {"User-Agent": "Firefox/1"}, "environ_base": {"REMOTE_ADDR": "203.0.113.9"}}

IN_THE_EXPORT = {
    "users": "account",
    "accounts_sessions": "sessions",
    "accounts_devices": "devices",
    "accounts_user_roles": "roles",
    "accounts_roles": "roles",
    "accounts_one_time_tokens": "one_time_tokens",
    "accounts_lockouts": "lockout",
    "accounts_invitations": "invitations",
    "accounts_events": "audit",
    "accounts_suspensions": "users",
    "accounts_deletions": "users",
    "accounts_mfa": "mfa",
    "accounts_recovery_codes": "mfa",
    "accounts_remembered_devices": "mfa",
    "accounts_totp": "totp",
}
"""Each table that says something about accounts, and the member of the export in which it does."""
NOT_IN_THE_EXPORT = {
    "accounts_revoked_tokens": "Ids of tokens that host code made, and when they expire; not whose they are.",
    "accounts_limits": "Counts under digests that fit no account; they go when their window is over.",
    "accounts_event_seals": "How far the chains of the audit log had come; nothing about anybody.",
    "accounts_signing_keys": "The app's own keys; nothing about anybody.",
    "accounts_imports": "How far an import of accounts has come, in counts; nothing about anybody.",
}
"""Tables that hold nothing to export, and why."""
IN_THE_EXPORT_OF_SOME = {
    "accounts_api_keys": "api_keys", "accounts_service_accounts": "api_keys", "accounts_identities": "oidc",
    "accounts_impersonations": "impersonation", "accounts_provider_tokens": "oidc", "accounts_passkeys": "passkeys",
    "accounts_passkey_handles": "passkeys",
}  # fmt: skip
"""Tables and members that the account below says nothing in: their features' own tests look at them."""


@pytest.fixture
def ann(site: Site) -> Any:
    return site.user("ann@example.com", username="ann", roles=["editor"])


def exported(site: Site, user: Any) -> dict[str, Any]:
    answer = site.client_for(user).get(EXPORT, **HERE)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def lived(make_site: MakeSite, **kwargs: Any) -> tuple[Site, Any]:
    """A site, and an account about which every table says something."""
    site = make_site(
        features=[*default_features(), *opt_in_features()], limits=True,
        config={"ACCOUNTS_DELETION_GRACE": 60, "ACCOUNTS_MFA_REMEMBER_FOR": 3600}, **kwargs,
    )  # fmt: skip
    boss = site.client_for(site.admin())
    boss.post("/api/users/invitations", json={"email": "ann@example.com"})
    accepted = {"token": token_of(site.testing.outbox[-1].text), "password": PASSWORD, "username": "ann"}
    ann = site.client.post("/api/auth/invitations/accept", json=accepted).get_json()["user"]
    boss.post("/api/users/roles", json={"name": "editor", "permissions": ["users:read"]})
    boss.put(f"/api/users/{ann['id']}/roles", json={"roles": ["editor"]})
    browser = with_token(site, site.login("ann@example.com", **HERE).get_json()["access_token"])
    confirm(browser, begin(browser, site).code())
    browser.post("/api/auth/mfa/devices")
    browser.post("/api/auth/reauthenticate", json={"method": "totp", "code": "wrong"})
    site.login("ann@example.com", "wrong", environ_base={"REMOTE_ADDR": "198.51.100.7"})
    with site.app.app_context():
        site.accounts.users.disable(ann["id"], reason="spam")
        site.testing.runtime.get(LeavingService).leave(ann["id"])
        site.testing.runtime.get(PasswordResetService).send(ann["id"])
        site.db.session.commit()
    return site, ann["id"]


def test_every_table_is_in_the_export_or_named_here_with_a_reason() -> None:
    """A feature with a table of its own: give `Feature.export` its part and name the table above, or say why it has none."""
    db = SQLAlchemy()
    Accounts(db, features=[*default_features(), *opt_in_features()])

    tables = set(db.metadata.tables)

    assert tables == IN_THE_EXPORT.keys() | IN_THE_EXPORT_OF_SOME.keys() | NOT_IN_THE_EXPORT.keys()
    owned = {table.name for table in db.metadata.sorted_tables for key in table.foreign_keys if key.column.table.name == "users"}
    assert owned <= IN_THE_EXPORT.keys() | IN_THE_EXPORT_OF_SOME.keys()


def test_each_of_these_tables_shows_in_the_export_of_an_account_that_has_lived(
    make_site: MakeSite, every_database_url: str
) -> None:
    site, key = lived(make_site, url=every_database_url)

    with site.app.app_context():
        for table in set(IN_THE_EXPORT) - {"users"}:
            assert site.db.session.execute(sa.select(sa.func.count()).select_from(site.db.metadata.tables[table])).scalar_one()
        document = site.accounts.exports.make(key)

    assert not [member for member in IN_THE_EXPORT.values() if not document.get(member)]
    assert document["account"] | {"email": "ann@example.com", "username": "ann", "roles": ["editor"]} == document["account"]
    assert "203.0.113.9" in {session["ip_address"] for session in document["sessions"]}
    assert "203.0.0.0/16" in {device["network"] for device in document["devices"]}
    assert [role["name"] for role in document["roles"]] == ["editor"]
    assert {token["purpose"] for token in document["one_time_tokens"]} == {"reset_password"}
    assert {row["network"]: row["wrong_passwords"] for row in document["lockout"]}["198.51.100.7"] == 1
    assert {"session.opened", "session.refused"} <= {event["event"] for event in document["audit"]["about_me"]}
    assert document["audit"]["complete"]


def test_no_hash_and_no_token_is_in_it(make_site: MakeSite) -> None:
    site, key = lived(make_site)
    secrets = [token_of(mail.text) for mail in site.testing.outbox if re.search(r"token=|^[\w-]{43}$", mail.text, re.MULTILINE)]

    with site.app.app_context():
        text = json.dumps(site.accounts.exports.make(key))
        stored = {
            str(value)
            for table in site.db.metadata.sorted_tables
            for row in site.db.session.execute(sa.select(table)).mappings()
            for name, value in row.items()
            if value and ("hash" in name or name in ("mac", "subject", "chain"))
        } - {str(key)}

    assert len(secrets) >= 2
    assert len(stored) > 10
    assert not [secret for secret in (*secrets, *stored) if len(secret) > 8 and secret in text]


def test_a_hosts_column_that_is_named_as_a_secret_stays_out(make_site: MakeSite) -> None:
    def setup(db: SQLAlchemy) -> dict[str, Any]:
        class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
            __tablename__ = "people"
            nickname: Mapped[str | None] = mapped_column(sa.String(50), default="Annie")
            picture: Mapped[bytes | None] = mapped_column(sa.LargeBinary, default=b"\xff\xd8")
            stripe_secret: Mapped[str | None] = mapped_column(sa.String(50), default="sk_live_1")
            api_token: Mapped[str | None] = mapped_column(sa.String(50), default="tk_live_2")

        return {"user_model": Person}

    site = make_site(setup=setup)

    account = exported(site, site.user("ann@example.com"))["account"]

    assert (account["nickname"], account["picture"]) == ("Annie", "_9g=")
    assert "live" not in str(account)
    assert "password_hash" not in account


def test_the_answer_is_a_file_that_nobody_keeps(site: Site, ann: Any) -> None:
    answer = site.client_for(ann).get(EXPORT)

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.mimetype == "application/json"


def test_it_is_written_down_for_good(site: Site, ann: Any) -> None:
    client = site.client_for(ann)
    with site.testing.recorded() as found:
        client.get(EXPORT, **HERE)

    [event] = [event for event in found if isinstance(event, events.UserExported)]
    assert (event.user_id, event.actor_id) == (ann.id, ann.id)
    listed = client.get("/api/auth/me/events?event=user.exported").get_json()["events"]
    assert [(one["event"], one["by_me"], one["ip_address"]) for one in listed] == [("user.exported", True, "203.0.113.9")]


# Whose it is


def test_nobody_gets_anothers_export(site: Site, ann: Any) -> None:
    ben = site.client_for(site.user("ben@example.com"))

    for path in (f"{EXPORT}/{ann.id}", f"/api/users/{ann.id}/export"):
        assert ben.get(path).status_code == 404
    for query in (f"?user_id={ann.id}", f"?id={ann.id}", "?email=ann@example.com"):
        assert ben.get(EXPORT + query, json={"user_id": ann.id}).get_json()["account"]["email"] == "ben@example.com"
    assert site.client.get(EXPORT).status_code == 401


def test_what_an_administrator_did_is_in_ones_export_and_who_he_is_is_not(site: Site, ann: Any) -> None:
    boss = site.client_for(site.admin("boss@example.com"))
    boss.patch(f"/api/users/{ann.id}", json={"email": "anna@example.com"}, **HERE)

    document = exported(site, ann)
    [change] = [event for event in document["audit"]["about_me"] if event["event"] == "email.changed"]

    assert (change["by_me"], change["ip_address"], change["user_agent"]) == (False, None, None)
    assert "boss@example.com" not in json.dumps(document)


def test_what_one_did_to_others_is_there_without_their_data(site: Site, ann: Any) -> None:
    boss = site.admin("boss@example.com")
    site.client_for(boss).patch(f"/api/users/{ann.id}", json={"email": "anna@example.com"}, **HERE)

    document = exported(site, boss)

    assert "email.changed" in {event["event"] for event in document["audit"]["by_me_on_others"]}
    assert {event["ip_address"] for event in document["audit"]["by_me_on_others"]} == {"203.0.113.9"}
    assert "ann" not in json.dumps(document)


def test_what_happened_to_an_earlier_holder_of_the_key_is_nobodys_any_more(site: Site) -> None:
    boss = site.client_for(site.admin())
    gone = site.user("gone@example.com")
    site.client_for(gone).get("/api/users/events")
    boss.delete(f"/api/users/{gone.id}")
    site.testing.clock.move(days=1)
    with site.app.app_context():
        heir = site.accounts.users.create("heir@example.com", PASSWORD, id=gone.id)
        site.db.session.commit()
        document = site.accounts.exports.make(heir)

    assert [event["event"] for event in document["audit"]["about_me"]] == ["user.registered"]
    assert document["audit"]["by_me_on_others"] == []


# What it costs


def test_an_old_account_costs_no_more_than_a_number_of_events_and_is_told_so(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_AUDIT_EXPORT_LIMIT": 5})
    ann = site.user("ann@example.com")
    for _ in range(3):
        site.login("ann@example.com")
        site.testing.clock.move(minutes=1)
    assert exported(site, ann)["audit"]["complete"]

    site.login("ann@example.com")
    found = exported(site, ann)["audit"]

    assert len(found["about_me"]) == 5
    assert "user.registered" not in {event["event"] for event in found["about_me"]}
    assert not found["complete"]


def test_the_number_of_statements_does_not_grow_with_the_account(site: Site, ann: Any) -> None:
    client = site.client_for(ann)
    counts = []
    for _ in range(2):
        site.statements.clear()
        client.get(EXPORT)
        counts.append(len(site.statements))
        for _ in range(20):
            site.login("ann@example.com")

    assert counts[0] == counts[1] <= 24


def test_who_asks_again_and_again_is_held_back(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_LIMITS_EXTRA": {"export.account": "2/hour"}}, limits=True)
    client = site.client_for(site.user())

    assert [client.get(EXPORT).status_code for _ in range(3)] == [200, 200, 429]


# The host's part


def with_posts(db: SQLAlchemy) -> dict[str, Any]:
    class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "people"
        posts = db.relationship(lambda: Post, cascade="all, delete-orphan")  # by its name it would be held by nothing

    class Post(db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "posts"
        id: Mapped[int] = mapped_column(primary_key=True)
        author_id: Mapped[int] = mapped_column(sa.ForeignKey(Person.id))
        title: Mapped[str] = mapped_column(sa.String(50))

    def posts(user: Person) -> list[dict[str, Any]]:
        return [{"title": post.title, "since": user.created_at} for post in user.posts]  # type: ignore[attr-defined]

    return {"user_model": Person, "exporters": {"posts": posts, "votes": lambda user: {user.email: float("nan")}}}


def test_a_host_adds_its_own_part_as_it_likes(make_site: MakeSite) -> None:
    site = make_site(setup=with_posts)
    ann = site.user("ann@example.com")
    with site.app.app_context():
        post = site.accounts.User.posts.property.mapper.class_
        site.db.session.add(post(author_id=ann.id, title="Foxes"))
        site.db.session.commit()

    document = exported(site, ann)

    since = document["account"]["created_at"]
    assert document["application"] == {"posts": [{"title": "Foxes", "since": since}], "votes": {"ann@example.com": None}}


@pytest.mark.parametrize("failure", [RuntimeError("row 7 of ann@example.com"), PermissionDenied("no"), KeyError("posts")])
def test_where_a_hosts_exporter_fails_nothing_is_handed_out_and_nothing_is_said_of_why(
    make_site: MakeSite, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(user: Any) -> Any:
        raise failure

    site = make_site(exporters={"posts": fail, "votes": lambda user: 1})
    client = site.client_for(site.user("ann@example.com"))
    with caplog.at_level(logging.ERROR), site.testing.recorded() as found:
        answer = client.get(EXPORT)

    assert (answer.status_code, answer.get_json()["code"]) == (500, "EXPORT_FAILED")
    assert answer.get_json()["detail"] == "The part 'posts' could not be made."
    assert "row 7" not in answer.text
    assert "votes" not in answer.text
    assert caplog.records[0].exc_info
    assert not [event for event in found if isinstance(event, events.UserExported)]


def test_what_cannot_be_json_fails_too(make_site: MakeSite) -> None:
    site = make_site(exporters={"posts": lambda user: object()})

    assert site.client_for(site.user()).get(EXPORT).get_json()["code"] == "EXPORT_FAILED"


def test_exporters_that_cannot_work_are_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="callable"):
        Accounts(SQLAlchemy(), exporters={"posts": ["a post"]})  # type: ignore[dict-item]
    with pytest.raises(ConfigurationError, match="feature Export"):
        Accounts(
            SQLAlchemy(), exporters={"posts": list}, features=[one for one in default_features() if not isinstance(one, Export)]
        )


# Without HTTP


def test_a_command_prints_it(site: Site, ann: Any, tmp_path: Path) -> None:
    runner = site.app.test_cli_runner()

    printed = runner.invoke(args=["accounts", "export", "ann@example.com"])
    target = tmp_path / "ann.json"
    written = runner.invoke(args=["accounts", "export", "ann", "--output", str(target)])

    assert json.loads(printed.output)["account"]["email"] == "ann@example.com"
    assert written.output == f"Wrote {target}.\n"
    assert json.loads(target.read_text())["account"]["id"] == ann.id
    assert target.stat().st_mode & 0o077 == 0
    with site.app.app_context():
        found = site.client_for(site.admin()).get(f"/api/users/{ann.id}/events?event=user.exported").get_json()["events"]
    assert [event["actor_id"] for event in found] == [None, None]


def test_the_command_says_what_is_wrong(site: Site, ann: Any, tmp_path: Path) -> None:
    runner = site.app.test_cli_runner()

    nobody = runner.invoke(args=["accounts", "export", "nobody@example.com"])
    nowhere = runner.invoke(args=["accounts", "export", "ann", "--output", str(tmp_path / "no" / "ann.json")])

    assert (nobody.exit_code, nowhere.exit_code) == (1, 1)
    assert "There is no account 'nobody@example.com'." in nobody.output
    assert "cannot be written" in nowhere.output


def test_an_account_that_is_not_there_is_not_found(site: Site) -> None:
    with site.app.app_context(), pytest.raises(NotFound):
        site.accounts.exports.make(4711)


@pytest.mark.parametrize("key", ["int", "uuid7"])
def test_it_works_with_every_kind_of_key_on_every_database(make_site: MakeSite, every_database_url: str, key: str) -> None:
    site = make_site(url=every_database_url, user_key=key)
    ann = site.user("ann@example.com", roles=["editor"])

    document = exported(site, ann)

    assert document["account"]["id"] == (ann.id if key == "int" else str(ann.id))
    assert document["sessions"][0]["ip_address"] == "127.0.0.1"
