"""`flask accounts import-users`: what it takes, what it refuses row by row, and what it leaves as it was."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from flask_accounts import ImportUserSchema, UserMixin, UuidKeyMixin, default_features
from flask_accounts.core.users import UserStore
from flask_accounts.features.user_import.batches import BatchWriter
from flask_accounts.features.user_import.cli import progress_bar
from flask_accounts.features.user_import.rows import Row
from flask_accounts.features.user_import.seen import Seen
from flask_accounts.features.user_import.source import MAX_ROW, Source, SourceError
from tests.conftest import MakeSite, Site
from tests.features.user_import.conftest import Import, accounts, hashing, reasons, told
from tests.security.test_legacy_hashes import CHEAP

HASH = CHEAP.hash("correct horse battery staple")


UNFIT: list[tuple[dict[str, Any], list[str]]] = [
            ({"email": "nothing"}, ["email_invalid"]),
            ({"username": "ann"}, ["missing"]),
            ({"email": "x" * 300 + "@example.com"}, ["string_too_long"]),
            ({"email": "ann@example.com", "username": "a@b"}, ["username_invalid"]),
            ({"email": "ann@example.com", "username": "х" + "ann"}, ["username_invalid"]),
            ({"email": "ann@example.com", "username": 7}, ["string_type"]),
            ({"email": ["ann@example.com"]}, ["string_type"]),
            ({"email": "ann@example.com", "is_active": "perhaps"}, ["bool_parsing"]),
            ({"email": "ann@example.com", "created_at": "yesterday"}, ["datetime_parsing"]),
            ({"email": "ann@example.com", "created_at": "0001-01-01T00:00:00+23:00"}, ["datetime_parsing"]),
            ({"email": "ann@example.com", "created_at": 10**18}, ["datetime_parsing"]),
            ({"email": "ann@example.com", "roles": ["x"] * 51}, ["too_long"]),
            ({"email": "ann@example.com", "roles": "no-such"}, ["role_unknown"]),
            ({"email": "ann@example.com", "password_hash": "plain text"}, ["hash_unknown"]),
            ({"email": "ann@example.com", "password_hash": "pbkdf2:sha256:999999999$salt$" + "00" * 32}, ["hash_too_costly"]),
            ({"email": "ann@example.com", "password_hash": "$2b$12$short"}, ["hash_invalid"]),
            ({"email": "ann@example.com", "password_hash": "$2b$12$" + "a" * 600}, ["hash_too_long"]),
            ({"email": "an\0n@example.com"}, ["text_invalid"]),
            ({"email": "ann@example.com", "password_hash": HASH + "\0"}, ["text_invalid"]),
            ({"email": "ann@example.com", "username": "\ud800nn"}, ["text_invalid"]),
            ({"email": "ann@example.com", "is_superuser": True}, ["column_unknown"]),
            ({"email": "bad", "created_at": "bad", "is_active": "bad"}, ["email_invalid", "bool_parsing", "datetime_parsing"]),
        ]  # fmt: skip


class TestRows:
    def test_every_column_of_an_account_comes_along(self, site: Site, load: Import) -> None:
        site.user("boss@example.com", roles=["editor"])
        row = {
            "email": " Ann@EXAMPLE.com ", "username": "Ann", "password_hash": HASH, "is_active": False,
            "email_verified_at": "2020-02-03 04:05:06+00", "created_at": "2019-01-01T12:00:00.5+02:00", "roles": ["editor"],
        }  # fmt: skip

        report = told(load([row], "--json"))

        assert (report["rows"], report["imported"], report["refused"], report["roles"]) == (1, 1, 0, {"editor": 1})
        assert accounts(
            site, "email", "username", "username_normalized", "is_active", "password_hash", "email_verified_at", "created_at"
        )[0] == (
            "ann@example.com", "Ann", "ann", False, HASH,
            datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC), datetime(2019, 1, 1, 10, 0, 0, 500_000, tzinfo=UTC),
        )  # fmt: skip
        with site.app.app_context():
            assert site.accounts.roles.of(site.accounts.users.find(email="ann@example.com")) == ["editor"]

    def test_csv_is_read_as_databases_write_it(self, site: Site, load: Import) -> None:
        words = ("t", "true", "1", "yes", "T", "True")
        content = "\ufeffemail,is_active,email_verified,roles,created_at\r\n"
        content += "".join(f'"{word}{number}@example.com",f,{word},"{{}}",1486324860000\r\n' for number, word in enumerate(words))

        assert told(load(content, "--json"))["imported"] == len(words)
        for user in _users(site):
            assert (user.is_active, user.email_verified, user.created_at) == (False, True, datetime(2017, 2, 5, 20, 1, tzinfo=UTC))

    def test_who_has_no_password_must_reset_it(self, site: Site, load: Import) -> None:
        report = told(load("email,password_hash\nann@example.com,\n", "--json"))

        assert report["without_password"] == 1
        assert [site.login("ann@example.com", password).status_code for password in ("", "None", "null")] == [401, 401, 401]
        assert site.client.post("/api/auth/password/forgot", json={"email": "ann@example.com"}).status_code == 202
        assert [mail.kind for mail in site.testing.outbox] == ["reset_password"]

    def test_a_username_that_is_the_address_is_none(self, site: Site, load: Import) -> None:
        assert told(load("email,username\nAnn@example.com,ann@Example.com\n", "--json"))["imported"] == 1
        assert accounts(site, "username") == [(None,)]

    def test_columns_are_mapped_left_out_and_given_to_all(self, site: Site, load: Import) -> None:
        content = "mail,login,shoe size,score\nann@example.com,ann,39,7\n"

        done = load(content, "--map", "email=mail,username=login", "--map", "=shoe size", "--set", "email_verified=true",
                    "--ignore-unknown", "--json")  # fmt: skip

        assert told(done)["ignored"] == ["score", "shoe size"]
        assert [(user.username, user.email_verified) for user in _users(site)] == [("ann", True)]

    def test_an_unfit_row_is_refused_with_every_reason_and_the_others_go_in(self, site: Site, load: Import, tmp_path: Path) -> None:
        rows = [row for row, _ in UNFIT]

        path = tmp_path / "rejects.csv"
        done = load([{"email": "before@example.com"}, *rows, {"email": "after@example.com"}], "--json", "--rejects", str(path))

        assert (done.exit_code, told(done)["refused"], len(told(done)["first"])) == (1, len(UNFIT), 20)
        with path.open(encoding="utf-8") as file:
            written = {int(row["line"]): row["codes"].split() for row in csv.DictReader(file)}
        assert written == {line: codes for line, (_, codes) in enumerate(UNFIT, start=2)}
        assert accounts(site, "email") == [("after@example.com",), ("before@example.com",)]

    def test_the_first_of_repeated_rows_counts_whatever_the_spelling(self, site: Site, load: Import) -> None:
        rows = [
            {"email": "ann@example.com", "username": "Ann"}, {"email": "ANN@example.com"}, {"email": "x@example.com", "username": "aNN"},
            {"email": "bad", "username": "bob"}, {"email": "bob@example.com", "username": "bob"},
        ]  # fmt: skip

        report = told(load(rows, "--json", "--batch-size", "2"))

        assert reasons(report) == {2: ["email_repeated"], 3: ["username_repeated"], 4: ["email_invalid"]}
        assert accounts(site, "email") == [("ann@example.com",), ("bob@example.com",)]

    @pytest.mark.parametrize("action", ["refuse", "skip"])
    def test_an_account_that_is_there_stays_as_it_is(self, site: Site, load: Import, action: str) -> None:
        site.user("ann@example.com", username="ann")
        before = accounts(site, "email", "password_hash", "updated_at")
        rows = [
            {"email": "Ann@example.com", "password_hash": HASH},
            {"email": "other@example.com", "username": "ANN"},
            {"email": "c@example.com"},
        ]

        done = load(rows, "--json", "--on-conflict", action)

        report = told(done)
        assert (done.exit_code, report["imported"], report["skipped"]) == ((1, 1, 0) if action == "refuse" else (0, 1, 2))
        assert reasons(report) == ({1: ["email_taken"], 2: ["username_taken"]} if action == "refuse" else {})
        assert accounts(site, "email", "password_hash", "updated_at")[:1] == before

    def test_roles_that_are_not_there_are_made_only_if_asked_for_and_give_nothing(self, site: Site, load: Import) -> None:
        rows = [
            {"email": "ann@example.com", "roles": "Editor;writer, admin"},
            {"email": "bob@example.com", "roles": ["not a role!"]},
        ]

        assert told(load(rows, "--json"))["imported"] == 0
        report = told(load(rows, "--json", "--create-roles"))

        assert report["roles"] == {"editor": 1, "writer": 1, "admin": 1}
        assert reasons(report) == {2: ["role_unknown"]}
        with site.app.app_context():
            made = {role.name: role.permissions for role in site.accounts.roles.all()}
        assert made == {"admin": ("*",), "editor": (), "writer": ()}


def _users(site: Site) -> list[Any]:
    with site.app.app_context():
        users: list[Any] = list(site.db.session.execute(sa.select(site.accounts.User).order_by(site.accounts.User.email)).scalars())
        site.db.session.expunge_all()
        return users


BROKEN_CSV = [
    (b"ann@example.com", "columns_wrong"),
    (b"ann@example.com,ann,more", "columns_wrong"),
    (b'"ann"@example.com,ann', "csv_malformed"),
    (b"\xff\xfe@example.com,ann", "encoding_invalid"),
    (b"ann@example.com," + b"x" * MAX_ROW, "row_too_long"),
    (b"ann@example.com," + b"x" * 5 * MAX_ROW, "row_too_long"),
    (b'ann@example.com,"ann', "csv_malformed"),  # its quote would end where another one begins
    (b'ann@example.com,"ann', "csv_malformed"),
]
BROKEN_JSON = [b"{", b"[]", b"7", b'{"email": NaN}', b'{"a":' * 5000, b'{"email": "\xff"}', b'"x"', b"{" + b" " * MAX_ROW]


UNREADABLE = [
    (b"", "empty"),
    (b"name\nann\n", "The column name is not known here"),
    (b"username\nann\n", "No column is the e-mail address"),
    (b"email,email\na@example.com,b\n", "names email twice"),
    (b"email,\na@example.com,b\n", "must name the columns"),
    (b'"email\na@example.com\n', "no list of column names"),
    ("email\n".encode("utf-16"), "UTF-16"),
    (b"x" * (MAX_ROW + 5), "must name the columns"),
    (b"email,Password,shoe\n", "The column Password is not known here"),
]


MEANT_BY_NOBODY: list[tuple[tuple[str, ...], str]] = [
    (("--map", "email"), "OURS=THEIRS"),
    (("--map", "mail=email"), "There is no column mail to import into"),
    (("--map", "username=login"), "The file has no column login"),
    (("--set", "email"), "OURS=VALUE"),
    (("--set", "password=x"), "There is no column password"),
    (("--delimiter", "ab"), "one character"),
    (("--resume", "--dry-run"), "neither"),
    (("--from", "elsewhere"), "Invalid value"),
    (("--batch-size", "0"), "Invalid value"),
    (("--from", "flask-login", "--map", "password_hash=email"), "No column is the e-mail address"),
]


class TestFile:
    def test_a_broken_line_of_csv_costs_itself_and_no_other(self, site: Site, load: Import) -> None:
        content = b"email,username\n"
        for number, (line, _) in enumerate(BROKEN_CSV):
            content += line + b"\np%d@example.com,\n" % number

        report = told(load(content + b'"last@example.com","last"', "--json"))

        assert [codes for _, codes in sorted(reasons(report).items())] == [[code] for _, code in BROKEN_CSV]
        assert list(reasons(report)) == [2 + 2 * number for number in range(len(BROKEN_CSV))]
        assert (report["rows"], report["imported"]) == (2 * len(BROKEN_CSV) + 1, len(BROKEN_CSV) + 1)

    def test_a_line_that_is_no_json_object_costs_itself_and_no_other(self, site: Site, load: Import) -> None:
        content = b""
        for number, line in enumerate(BROKEN_JSON):
            content += b'{"email": "p%d@example.com"}\n' % number + line + b"\n\n"

        report = told(load(content, "--json", "--format", "jsonl"))

        assert list(reasons(report)) == [2 + 3 * number for number in range(len(BROKEN_JSON))]
        assert (report["rows"], report["imported"]) == (2 * len(BROKEN_JSON), len(BROKEN_JSON))

    def test_a_value_may_go_over_several_lines(self, make_site: MakeSite, load: Import) -> None:
        site = hashing(make_site(setup=own_columns))
        content = 'email,bio\nann@example.com,"one\n""two""\n\nthree"\nbob@example.com,x\n'

        assert told(load(content, "--json", on=site))["imported"] == 2
        assert accounts(site, "bio") == [('one\n"two"\n\nthree',), ("x",)]

    def test_a_file_that_cannot_be_meant_is_refused_whole(self, site: Site, load: Import) -> None:
        for content, said in UNREADABLE:
            done = load(content)
            assert (done.exit_code, said in done.output) == (2, True), done.output
        assert accounts(site, "email") == []

    def test_one_json_document_is_told_from_a_line_each(self, site: Site, load: Import) -> None:
        for content in ('{\n "users": []}', '{"users": [{"email": "a@example.com"}]}', "[\n", '[{"email": "a@example.com"}]'):
            done = load(content, "--format", "jsonl")
            assert (done.exit_code, "jq -c" in done.output) == (2, True), content

    def test_options_that_cannot_be_meant_are_refused(self, site: Site, load: Import) -> None:
        for options, said in MEANT_BY_NOBODY:
            done = load("email\nann@example.com\n", *options)
            assert (done.exit_code, said in done.output) == (2, True), done.output
        assert accounts(site, "email") == []

    def test_two_columns_for_one_are_refused(self, site: Site, load: Import) -> None:
        done = load("email,password,pw_hash\nann@example.com,,\n", "--from", "flask-login")

        assert (done.exit_code, "The columns password and pw_hash are both password_hash" in done.output) == (2, True)

    def test_a_pipe_is_read_as_a_file(self, site: Site) -> None:
        done = site.app.test_cli_runner().invoke(
            args=["accounts", "import-users", "-", "--json"], input='{"email": "ann@example.com"}\n'
        )

        assert told(done)["imported"] == 1

    @pytest.mark.parametrize(
        ("name", "kind"), [("users.tsv", ("--delimiter", "tab")), ("users.csv", ("--delimiter", ";", "--encoding", "latin-1"))]
    )
    def test_other_delimiters_and_encodings(self, site: Site, tmp_path: Path, name: str, kind: tuple[str, ...]) -> None:
        sign = "\t" if kind[1] == "tab" else ";"
        (tmp_path / name).write_text(
            f"email{sign}username\nann@example.com{sign}Zoë\n", encoding="latin-1" if len(kind) > 2 else "utf-8"
        )

        done = site.app.test_cli_runner().invoke(args=["accounts", "import-users", str(tmp_path / name), "--json", *kind])

        assert told(done)["imported"] == 1
        assert accounts(site, "username") == [("Zoë",)]

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.binary(max_size=30) | st.sampled_from([b'"', b'a,"b', b"a,b", b'""', b'a,"b""c"', b"\r"]), max_size=12))
    def test_no_bytes_break_the_reader_and_no_line_is_lost(self, lines: list[bytes]) -> None:
        content = b"\n".join(line.replace(b"\n", b"") for line in lines)
        for kind, head in (("csv", b"one,two\n"), ("jsonl", b"{}\n")):
            rows = list(Source(io.BytesIO(head + content), format=kind))
            numbers = [row.line for row in rows]
            assert numbers == sorted(set(numbers))
            whole = {number for number, line in enumerate(content.split(b"\n"), start=2) if line.strip() and b'"' not in line}
            if kind == "jsonl":
                assert whole <= set(numbers) | {
                    number for number in whole if not content.split(b"\n")[number - 2].decode("utf-8", "replace").strip()
                }

    def test_a_stray_quote_does_not_swallow_the_rest_of_the_file(self) -> None:
        content = b'a,b\n1,"x\n' + b"".join(b"%d,y\n" % number for number in range(2, 3000))

        rows = list(Source(io.BytesIO(content), format="csv"))

        assert len(rows) == 2999
        assert [row.line for row in rows if row.problem] == [2]


class Kind(Enum):
    reader = "reader"
    writer = "writer"


def own_columns(db: SQLAlchemy) -> dict[str, Any]:
    class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "people"
        bio: Mapped[str | None] = mapped_column(sa.String(40), nullable=True)
        badge: Mapped[str | None] = mapped_column(sa.String(20), unique=True, nullable=True)
        points: Mapped[int] = mapped_column(sa.Integer, sa.CheckConstraint("points < 100"), default=5)
        kind: Mapped[Kind | None] = mapped_column(sa.Enum(Kind), nullable=True)

    return {"user_model": Person}


class TestOwnColumns:
    def test_own_columns_are_read_by_their_types(self, make_site: MakeSite, load: Import) -> None:
        site = hashing(make_site(setup=own_columns))
        rows = [
            {"email": "a@example.com", "bio": "x", "points": "7", "kind": "writer"}, {"email": "b@example.com"},
            {"email": "c@example.com", "bio": "x" * 41}, {"email": "d@example.com", "points": "many"}, {"email": "e@example.com", "kind": "none"},
        ]  # fmt: skip

        report = told(load(rows, "--json", on=site))

        assert reasons(report) == {3: ["string_too_long"], 4: ["int_parsing"], 5: ["enum"]}
        assert [(user.bio, user.points, user.kind and user.kind.value) for user in _users(site)] == [
            ("x", 7, "writer"),
            (None, 5, None),
        ]

    def test_what_the_database_does_not_take_is_refused_row_by_row(self, make_site: MakeSite, load: Import) -> None:
        site = hashing(make_site(setup=own_columns))
        rows: list[dict[str, Any]] = [
            {"email": f"p{number}@example.com", "badge": f"b{number}", "points": 1} for number in range(9)
        ]
        rows[3]["badge"] = "b1"  # only the database knows that badges are unique,
        rows[5]["points"] = 100  # that there are at most 99 points,
        rows[7]["points"] = 10**30  # or that this is no number for it

        report = told(load(rows, "--json", "--batch-size", "5", on=site))

        assert reasons(report) == {4: ["database_refused"], 6: ["database_refused"], 8: ["database_refused"]}
        assert (report["imported"], len(accounts(site, "email"))) == (6, 6)
        verified = site.app.test_cli_runner().invoke(args=["accounts", "events", "verify"])
        assert (verified.exit_code, "nothing altered" in verified.output) == (0, True)

    def test_a_schema_of_the_hosts_says_what_may_come(self, make_site: MakeSite, load: Import) -> None:
        class Imported(ImportUserSchema):
            bio: str

        site = hashing(make_site(setup=own_columns, schemas={ImportUserSchema: Imported}))

        assert load("email,bio,points\na@example.com,x,1\n", on=site).exit_code == 2
        assert reasons(told(load([{"email": "a@example.com"}, {"email": "b@example.com", "bio": "x"}], "--json", on=site))) == {
            1: ["missing"]
        }
        assert accounts(site, "bio") == [("x",)]


class TestKeys:
    def test_keys_are_not_kept_unless_asked_for(self, site: Site, load: Import) -> None:
        assert told(load("id,email\n41,ann@example.com\n", "--json"))["ignored"] == ["id"]
        assert accounts(site, "id") != [(41,)]

    def test_kept_keys_are_not_given_out_again(self, site: Site, load: Import) -> None:
        site.user("first@example.com")
        rows = [
            {"id": 41, "email": "ann@example.com"}, {"id": "40", "email": "bob@example.com"}, {"id": 41, "email": "c@example.com"},
            {"id": 0, "email": "d@example.com"}, {"id": -3, "email": "e@example.com"}, {"id": 2**31, "email": "f@example.com"},
            {"id": "x", "email": "g@example.com"}, {"email": "h@example.com"}, {"id": 1, "email": "i@example.com"},
        ]  # fmt: skip

        report = told(load(rows, "--json", "--keep-ids", "--batch-size", "1"))

        assert accounts(site, "id", "email")[:2] == [(41, "ann@example.com"), (40, "bob@example.com")]
        assert reasons(report) == {3: ["id_repeated"], **{line: ["id_invalid"] for line in (4, 5, 6, 7, 8)}, 9: ["id_taken"]}
        assert site.user("next@example.com").id == 42

    def test_uuid_keys_are_kept_too(self, make_site: MakeSite, load: Import) -> None:
        def setup(db: SQLAlchemy) -> dict[str, Any]:
            class Person(UuidKeyMixin, UserMixin, db.Model):  # type: ignore[name-defined,misc]
                __tablename__ = "people"

            return {"user_model": Person}

        site = hashing(make_site(setup=setup))
        key = "01890a5d-ac96-774b-bcce-b302099a8057"

        report = told(
            load([{"id": key, "email": "ann@example.com"}, {"id": 7, "email": "b@example.com"}], "--json", "--keep-ids", on=site)
        )

        assert (reasons(report), [str(row[0]) for row in accounts(site, "id")]) == ({2: ["id_invalid"]}, [key])
        assert told(load([{"email": "c@example.com"}], "--json", on=site))["imported"] == 1


def test_a_dry_run_says_the_same_and_writes_nothing(site: Site, load: Import, tmp_path: Path) -> None:
    site.user("taken@example.com")
    rows = [
        {"email": "ann@example.com", "roles": "new"},
        {"email": "taken@example.com"},
        {"email": "bad"},
        {"email": "ANN@example.com"},
    ]
    with site.app.app_context():
        before = {name: site.db.session.execute(sa.select(table)).all() for name, table in site.db.metadata.tables.items()}

    tried = load(rows, "--json", "--create-roles", "--dry-run", "--rejects", str(tmp_path / "tried"))

    with site.app.app_context():
        assert {name: site.db.session.execute(sa.select(table)).all() for name, table in site.db.metadata.tables.items()} == before
    done = load(rows, "--json", "--create-roles", "--rejects", str(tmp_path / "done"))
    assert told(tried) == told(done)
    assert (tmp_path / "tried").read_text() == (tmp_path / "done").read_text()
    assert done.exit_code == tried.exit_code == 1


def test_rejects_say_line_and_reasons_and_never_a_hash(site: Site, load: Import, tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    rows = [{"email": "bad", "password_hash": HASH}, {"email": "ann@example.com", "password_hash": "secret-looking-text"}]

    done = load(rows, "--rejects", str(path))

    assert path.read_text().splitlines()[1:] == [
        '"1","bad","email_invalid","email: An email address must have an @-sign."',
        '"2","ann@example.com","hash_unknown","password_hash: A password hash of a kind that is not known here."',
    ]
    assert path.stat().st_mode & 0o077 == 0
    for text in (path.read_text(), done.output):
        assert HASH not in text
        assert "secret-looking-text" not in text


def test_an_import_is_one_event_a_batch_mails_nobody_and_welcomes_nobody(site: Site, load: Import) -> None:
    rows = [{"email": f"p{number}@example.com", "roles": "admin"} for number in range(5)] + [{"email": "bad"}]

    with site.testing.recorded() as happened:
        load(rows, "--batch-size", "3")

    assert [event.name for event in happened] == ["role.saved", "users.imported", "users.imported"]
    told_of: list[Any] = happened[1:]
    assert [(e.first_row, e.last_row, e.imported, e.refused, e.roles) for e in told_of] == [
        (1, 3, 3, 0, ("admin",)), (4, 6, 2, 1, ("admin",)),
    ]  # fmt: skip
    assert site.testing.outbox == []
    listed = site.app.test_cli_runner().invoke(args=["accounts", "events", "--event", "users.imported", "--json"])
    assert [entry["details"]["imported"] for entry in json.loads(listed.output)] == [3, 2]


@pytest.mark.parametrize("size", [10, 400])
def test_a_batch_costs_as_many_statements_whatever_its_size(site: Site, load: Import, size: int) -> None:
    site.user("boss@example.com", roles=["editor"])
    rows = [{"email": f"p{number}@example.com", "username": f"p{number}", "roles": "editor"} for number in range(size)]
    load(rows[:1], "--dry-run")
    site.statements.clear()

    told(load(rows, "--json"))

    # Where the import stands (3, and 2 at the end); what is taken (2), roles (2), accounts (1 or 2), keys and grants (2), event, place
    begin_and_end, batch = 5, [text for text in site.statements if "accounts_imports" not in text]
    assert len([text for text in site.statements if "accounts_imports" in text]) == begin_and_end + 1
    assert len(batch) <= 8, "\n".join(batch)


def test_without_the_hmac_salt_nothing_of_flask_security_goes_in(make_site: MakeSite, load: Import) -> None:
    site = hashing(make_site(), type(CHEAP)(memory_cost=64, time_cost=1))

    done = load([{"email": "a@example.com", "password": HASH}], "--from", "flask-security", on=site)

    assert (done.exit_code, "Set ACCOUNTS_PASSWORD_HASHES_FLASK_SECURITY_SALT" in done.output) == (2, True)
    assert accounts(site, "email") == []


def test_the_command_is_there_by_default_and_gone_without_its_feature(make_site: MakeSite) -> None:
    site = make_site(features=[feature for feature in default_features() if feature.name != "user_import"])

    assert "import-users" not in site.app.test_cli_runner().invoke(args=["accounts", "--help"]).output


def test_what_was_seen_is_taken_whole_or_not_at_all() -> None:
    with Seen() as seen:
        assert seen.claim({"email": "a", "username": "b"}, 1) == {}
        assert seen.claim({"email": "c", "username": "b"}, 2) == {"username": 1}
        assert seen.claim({"email": "c"}, 3) == {}
        assert seen.claim({"username": "c"}, 4) == {}


def test_a_source_with_an_unknown_bom_is_no_source() -> None:
    with pytest.raises(SourceError, match="UTF-16"):
        Source(io.BytesIO("email\n".encode("utf-16-be").join([b"\xfe\xff", b""])), format="csv")


def test_what_the_database_refuses_without_a_row_to_blame_is_said_without_its_values(
    site: Site, load: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = UserStore.insert_many

    def refusing(users: UserStore, rows: Sequence[Mapping[str, Any]]) -> None:
        if len(rows) > 1:
            raise IntegrityError(f"INSERT {HASH}", {"password_hash": HASH}, Exception("together they are too many"))
        insert(users, rows)

    monkeypatch.setattr(UserStore, "insert_many", refusing)
    done = load([{"email": "a@example.com", "password_hash": HASH}, {"email": "b@example.com"}])

    assert (done.exit_code, "too many" in done.output, HASH in done.output) == (1, True, False)
    assert accounts(site, "email") == []


def test_who_registers_while_a_batch_is_written_keeps_the_address(
    site: Site, load: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    conflicts, asked = BatchWriter.conflicts, list[bool]()

    def too_early(writer: BatchWriter, batch: Sequence[Row]) -> bool:
        asked.append(True)
        return len(asked) > 1 and conflicts(writer, batch)  # the first time, nobody is there yet

    site.user("ann@example.com")
    monkeypatch.setattr(BatchWriter, "conflicts", too_early)
    report = told(load([{"email": "Ann@example.com", "password_hash": HASH}, {"email": "bob@example.com"}], "--json"))

    assert (reasons(report), report["imported"]) == ({1: ["email_taken"]}, 1)
    assert accounts(site, "password_hash")[0] != (HASH,)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_far_it_is_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for screen, seen in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr("sys.stderr", screen)
        with progress_bar(200) as told_of:
            told_of(100)
            told_of(200)
        assert ("Importing" in screen.getvalue() and "100%" in screen.getvalue()) is seen
