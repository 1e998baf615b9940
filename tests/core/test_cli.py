"""`flask accounts`: what it prints, what a script reads, how it refuses."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from click.testing import Result

from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.inventory import FEATURES

NEW = "a rather different horse"


def run(site: Site, *args: str, input: str | None = None) -> Result:
    return site.app.test_cli_runner().invoke(args=["accounts", *args], input=input)


def ok(site: Site, *args: str, input: str | None = None) -> str:
    result = run(site, *args, input=input)
    assert result.exit_code == 0, result.output
    return result.output


def parsed(site: Site, *args: str) -> Any:
    return json.loads(ok(site, *args, "--json"))


def refused(site: Site, *args: str, input: str | None = None) -> str:
    """What is said when a command fails: one sentence with status 1, no traceback."""
    result = run(site, *args, input=input)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    said = result.output.strip().splitlines()[-1]
    assert said.startswith("Error: ")
    return said


class TestAccounts:
    def test_a_password_is_asked_for_twice_and_never_shown(self, site: Site) -> None:
        said = ok(site, "create-user", "ann@example.com", "--username", "ann", input=f"{NEW}\n{NEW}\n")

        assert said.splitlines()[-1] == "Made account 1 for ann@example.com."
        assert NEW not in said
        assert site.login("ann@example.com", NEW).status_code == 200

    def test_two_passwords_that_differ_are_asked_for_again(self, site: Site) -> None:
        said = ok(site, "create-user", "ann@example.com", input=f"{NEW}\nother\n{NEW}\n{NEW}\n")

        assert "do not match" in said
        assert site.login("ann@example.com", NEW).status_code == 200

    def test_a_script_reads_the_account_as_json(self, site: Site) -> None:
        site.user(roles=["editor"])

        shown = parsed(site, "create-user", "ann@example.com", "--password", NEW, "--role", "editor")

        assert (shown["email"], shown["roles"]) == ("ann@example.com", ["editor"])
        assert NEW not in json.dumps(shown)

    def test_an_administrator_is_made_with_the_role_that_may_do_everything(self, site: Site) -> None:
        assert "with admin" in ok(site, "create-admin", "root@example.com", "--password", NEW)

        token = site.tokens("root@example.com", NEW)["access_token"]
        assert site.client.get("/api/users", headers=bearer(token)).status_code == 200

    @pytest.mark.parametrize(
        ("args", "reason"),
        [
            (("nothing", "--password", NEW), "email: "),
            (("ann@example.com", "--password", "short"), "at least 8 characters"),
            (("ann@example.com", "--password", "password1"), "tried first"),
            (("ann@example.com", "--password", NEW, "--username", "?"), "username: "),
            (("taken@example.com", "--password", NEW), "This e-mail address is taken."),
            (("ann@example.com", "--password", NEW, "--role", "nobody"), "There is no role 'nobody'."),
        ],
    )
    def test_an_unfit_account_is_refused_with_the_reason_and_not_made(self, site: Site, args: tuple[str, ...], reason: str) -> None:
        site.user("taken@example.com")

        assert reason in refused(site, "create-user", *args)
        assert site.login("ann@example.com", NEW).status_code == 401

    @pytest.mark.parametrize("name", ["ann@example.com", "ANN@example.com", "Ann", "1"])
    def test_an_account_is_named_by_address_username_or_id(self, site: Site, name: str) -> None:
        site.user("ann@example.com", username="ann")

        ok(site, "disable", name, "--reason", "spam")
        assert site.login("ann@example.com").get_json()["code"] == "ACCOUNT_DISABLED"
        ok(site, "enable", name)
        assert site.login("ann@example.com").status_code == 200

    @pytest.mark.parametrize(
        "args",
        [("disable",), ("enable",), ("set-password", "--password", NEW), ("sessions", "list"), ("sessions", "revoke"),
         ("roles", "grant", "admin"), ("roles", "revoke", "admin")],
    )  # fmt: skip
    @pytest.mark.parametrize("name", ["nobody@example.com", "nobody", "99"])
    def test_an_unknown_account_is_said_to_be_unknown(self, site: Site, args: tuple[str, ...], name: str) -> None:
        given = (*args[:-1], name, args[-1]) if args[0] == "roles" else (*args, name)

        assert refused(site, *given) == f"Error: There is no account {name!r}."

    def test_a_new_password_ends_every_session_and_is_never_shown(self, site: Site) -> None:
        client = site.client_for(site.user("ann@example.com"))

        said = ok(site, "set-password", "ann@example.com", input=f"{NEW}\n{NEW}\n")

        assert NEW not in said
        assert client.get("/api/auth/me").status_code == 401
        assert site.login("ann@example.com", NEW).status_code == 200

    def test_an_unfit_new_password_changes_nothing(self, site: Site) -> None:
        client = site.client_for(site.user("ann@example.com"))

        assert "at least 8" in refused(site, "set-password", "ann@example.com", "--password", "short")
        assert client.get("/api/auth/me").status_code == 200

    @pytest.mark.parametrize("args", [("disable", "admin@example.com"), ("roles", "revoke", "admin@example.com", "admin")])
    def test_the_last_administrator_stays(self, site: Site, args: tuple[str, ...]) -> None:
        site.admin()

        assert "last administrator" in refused(site, *args)
        assert site.login("admin@example.com").status_code == 200


class TestRoles:
    def test_a_role_is_made_granted_listed_and_revoked(self, site: Site) -> None:
        client = site.client_for(site.user("ann@example.com"))

        ok(site, "roles", "create", "helper", "--permission", "users:read", "--description", "Helps.")
        ok(site, "roles", "grant", "ann@example.com", "helper")
        granted = client.get("/api/users").status_code
        listed = parsed(site, "roles", "list")
        ok(site, "roles", "revoke", "ann@example.com", "helper")

        assert (granted, client.get("/api/users").status_code) == (200, 403)
        assert listed == [{"role": "helper", "permissions": ["users:read"], "description": "Helps."}]

    def test_the_table_has_a_column_for_each(self, site: Site) -> None:
        site.admin()

        head, row = ok(site, "roles", "list").splitlines()

        assert head.split() == ["ROLE", "PERMISSIONS", "DESCRIPTION"]
        assert row.split(maxsplit=2) == ["admin", "*", "Administers accounts."]

    @pytest.mark.parametrize(
        ("args", "reason"),
        [
            (("create", "admin"), "exists"),
            (("create", "helper"), "exists"),
            (("create", "other", "--permission", "x"), "There is no permission 'x'."),
            (("grant", "ann@example.com", "nobody"), "There is no role 'nobody'."),
        ],
    )
    def test_what_cannot_be_is_said(self, site: Site, args: tuple[str, ...], reason: str) -> None:
        site.user("ann@example.com", roles=["helper"])
        site.admin()

        assert reason in refused(site, "roles", *args)


class TestSessions:
    def test_they_are_listed_for_people_and_scripts(self, site: Site) -> None:
        ann = site.user("ann@example.com")
        opened = site.testing.sign_in(ann, user_agent="curl/8.0")

        (shown,) = parsed(site, "sessions", "list", "ann@example.com")

        assert (shown["id"], shown["device"], shown["ip_address"]) == (str(opened.session.id), "curl", "127.0.0.1")
        assert str(opened.session.id) in ok(site, "sessions", "list", "ann@example.com")
        assert opened.tokens.access_token not in json.dumps(shown)

    def test_one_is_ended_or_all(self, site: Site) -> None:
        ann = site.user("ann@example.com")
        first = site.testing.sign_in(ann).session.id
        clients = [site.client_for(ann) for _ in range(2)]

        assert ok(site, "sessions", "revoke", "ann@example.com", str(first)) == "Ended 1 session.\n"
        assert [client.get("/api/auth/me").status_code for client in clients] == [200, 200]
        assert ok(site, "sessions", "revoke", "ann@example.com") == "Ended 2 sessions.\n"
        assert [client.get("/api/auth/me").status_code for client in clients] == [401, 401]

    def test_a_session_that_is_not_the_accounts_is_not_found(self, site: Site) -> None:
        site.user("ann@example.com")
        other = site.testing.sign_in(site.user("ben@example.com")).session.id

        for session in (other, uuid4()):
            assert refused(site, "sessions", "revoke", "ann@example.com", str(session)) == "Error: Not found."

    def test_what_is_no_id_is_a_wrong_call(self, site: Site) -> None:
        assert run(site, "sessions", "revoke", "ann@example.com", "nonsense").exit_code == 2


class TestPurge:
    def test_it_deletes_what_is_over_keeps_what_is_not_and_says_how_many(self, site: Site) -> None:
        ann = site.user("ann@example.com", email_verified=True)
        site.client_for(ann).post("/api/auth/logout")
        site.client_for(ann)
        site.testing.clock.move(days=15)
        alive = site.client_for(ann)

        assert ok(site, "purge") == "Deleted 2 rows.\n"
        assert alive.get("/api/auth/me").status_code == 200
        assert parsed(site, "purge") == {"deleted": 0}

    def test_one_is_one_row(self, site: Site) -> None:
        site.client_for(site.user()).post("/api/auth/logout")

        assert ok(site, "purge") == "Deleted 1 row.\n"


class TestReference:
    def test_settings_show_default_and_present_value_and_no_secret(self, make_site: MakeSite) -> None:
        secret = "an-older-signing-key-that-is-long-enough-0123456789"
        site = make_site(config={"ACCOUNTS_TOKENS_PREVIOUS_KEYS": [secret], "ACCOUNTS_PASSWORD_MIN_LENGTH": 15})

        rows = {row["setting"]: row for row in parsed(site, "settings")}

        assert (rows["ACCOUNTS_PASSWORD_MIN_LENGTH"]["value"], rows["ACCOUNTS_PASSWORD_MIN_LENGTH"]["default"]) == ("15", "8")
        assert rows["ACCOUNTS_TOKENS_PREVIOUS_KEYS"]["value"] == "(secret)"
        assert all(row["description"] for row in rows.values())
        assert secret not in ok(site, "settings")

    def test_routes_are_those_of_the_document_with_who_may_call_them(self, site: Site) -> None:
        document = site.client.get("/api/auth/openapi.json").get_json()

        rows = parsed(site, "routes")

        documented = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
        assert documented <= {(row["method"], row["path"]) for row in rows}
        access = next(row["access"] for row in rows if row["path"] == "/api/auth/sessions")
        assert access == "For anybody signed in. While impersonating too, where the app has that."
        access = next(row["access"] for row in rows if row["path"] == "/api/auth/me")
        assert "By API key too, where the app has them." in access
        assert "/api/auth/login" in ok(site, "routes")

    def test_features_are_listed_with_what_they_are(self, site: Site) -> None:
        rows = parsed(site, "features")

        assert [row["feature"] for row in rows] == FEATURES
        assert all(row["description"] for row in rows)

    def test_every_command_says_what_it_does(self, site: Site) -> None:
        said = ok(site, "--help")

        for name in ("create-user", "create-admin", "set-password", "enable", "disable", "roles", "sessions", "purge", "settings"):
            assert name in said


def test_a_database_without_tables_is_said_in_a_sentence(site: Site) -> None:
    with site.app.app_context():
        site.db.drop_all()

    assert "flask db upgrade" in refused(site, "create-user", "ann@example.com", "--password", PASSWORD)
