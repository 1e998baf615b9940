"""`flask accounts doctor`: what it prints, how it ends, what hosts add to it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from flask_accounts import Checkup, ConfigurationError, Deployment, Feature, Problem, checkup, current_accounts, default_features
from flask_accounts.core.checkups import SEVERITIES
from flask_accounts.core.users import UserStore
from tests.core.clinic import Clinic
from tests.core.clinic import clinic as clinic
from tests.core.clinic import stored as stored

ROOT = Path(__file__).parents[2]
MEMBERS = ["code", "severity", "area", "found", "why", "source", "remedy", "docs"]


@checkup("no-imprint", "warning", area="law", source="DDG section 5", docs="https://blog.example/imprint")
def no_imprint(deployment: Deployment) -> Iterator[Problem]:
    """A site without an imprint.

    It costs a fine.
    """
    if not deployment.app.config.get("IMPRINT"):
        yield Problem("IMPRINT is not set.", "Set IMPRINT to your address.")


@checkup("broken", "info", area="law")
def broken(deployment: Deployment) -> Iterator[Problem]:
    """Nothing, because it breaks."""
    raise RuntimeError("the password is hunter2")


@checkup("meddling", "info", area="law")
def meddling(deployment: Deployment) -> Iterator[Problem]:
    """Nothing, but it writes."""
    deployment.runtime.users.execute(sa.text("DELETE FROM users"))
    yield Problem("It has deleted all.", "Do not.")


def doctor(app: Flask, *args: str, **env: str) -> Result:
    return app.test_cli_runner().invoke(args=["accounts", "doctor", *args], env={"WEB_CONCURRENCY": "", **env})


def document(app: Flask, *args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(doctor(app, "--json", *args).output)
    return found


class TestEnding:
    @pytest.mark.parametrize(
        ("config", "fail_on", "status"),
        [
            ({}, "error", 0), ({}, "warning", 0),
            ({"ACCOUNTS_DOCTOR_ACCEPTED": {}, "ACCOUNTS_SESSIONS_GRACE_WINDOW": 90}, "error", 0),
            ({"ACCOUNTS_SESSIONS_GRACE_WINDOW": 90}, "warning", 1),
            ({"ACCOUNTS_LIMITS_ENABLED": False}, "error", 1), ({"ACCOUNTS_LIMITS_ENABLED": False}, "warning", 1),
            ({"ACCOUNTS_LIMITS_ENABLED": False}, "never", 0),
        ],
    )  # fmt: skip
    def test_the_status_is_1_from_the_named_severity_on(
        self, clinic: Clinic, config: dict[str, Any], fail_on: str, status: int
    ) -> None:
        app = clinic.app(config)

        assert doctor(app, "--fail-on", fail_on).exit_code == status
        assert document(app, "--fail-on", fail_on)["ok"] == (status == 0)

    def test_errors_count_if_nothing_is_said(self, clinic: Clinic) -> None:
        assert doctor(clinic.app({"ACCOUNTS_LIMITS_ENABLED": False})).exit_code == 1

    def test_a_check_that_is_ignored_does_not_count(self, clinic: Clinic) -> None:
        app = clinic.app({"ACCOUNTS_LIMITS_ENABLED": False})

        assert doctor(app, "--ignore", "limits-off", "--ignore", "sqlite", "--fail-on", "warning").exit_code == 0

    def test_an_accepted_risk_does_not_count_and_is_shown_with_its_reason(self, clinic: Clinic) -> None:
        accepted = {"limits-off": "Our gateway limits.", "sqlite": "One machine."}
        app = clinic.app({"ACCOUNTS_LIMITS_ENABLED": False, "ACCOUNTS_DOCTOR_ACCEPTED": accepted})

        result = doctor(app)

        assert result.exit_code == 0
        assert "accepted limits-off: ACCOUNTS_LIMITS_ENABLED is False. (Our gateway limits.)" in result.output
        assert result.output.splitlines()[-1].startswith("0 errors, 0 warnings, 0 info, 2 accepted; ")
        assert [(each["code"], each["reason"]) for each in document(app)["accepted"]] == [
            ("sqlite", "One machine."), ("limits-off", "Our gateway limits."),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("config", "args", "where"),
        [
            ({}, ("--ignore", "limits-of"), "--ignore"),
            ({"ACCOUNTS_DOCTOR_ACCEPTED": {"limits-of": "A slip."}}, (), "ACCOUNTS_DOCTOR_ACCEPTED"),
        ],
    )
    def test_an_unknown_code_is_a_wrong_call(
        self, clinic: Clinic, config: dict[str, Any], args: tuple[str, ...], where: str
    ) -> None:
        result = doctor(clinic.app(config), *args)

        assert result.exit_code == 2
        assert where in result.output
        assert "There is no check 'limits-of'. Did you mean limits-off?" in result.output

    def test_a_risk_is_accepted_for_a_reason(self, clinic: Clinic) -> None:
        with pytest.raises(ConfigurationError, match="ACCOUNTS_DOCTOR_ACCEPTED"):
            clinic.app({"ACCOUNTS_DOCTOR_ACCEPTED": {"sqlite": " "}})


class TestOutput:
    def test_json_has_the_shape_that_is_documented(self, clinic: Clinic) -> None:
        found = document(clinic.app({"ACCOUNTS_LIMITS_ENABLED": False}))

        assert list(found) == ["format", "ok", "fail_on", "checks", "counts", "findings", "accepted", "skipped"]
        assert (found["format"], found["ok"], found["fail_on"]) == (1, False, "error")
        assert found["counts"] == {"error": 1, "warning": 0, "info": 1}
        assert [list(finding) for finding in found["findings"]] == [MEMBERS, MEMBERS]
        assert "http" not in found["findings"][0]["docs"]

    def test_people_get_the_gravest_first_under_headings_and_a_count(self, clinic: Clinic) -> None:
        lines = doctor(clinic.app({"ACCOUNTS_LIMITS_ENABLED": False, "ACCOUNTS_LIMITS_STORAGE": "memory"})).output.splitlines()

        heads = [line for line in lines if line[:1].isalpha()]
        assert heads == ["Database", "Limits"]
        assert lines.index("  error limits-off") < lines.index("  info limits-per-process")
        assert lines[-1].startswith("1 error, 0 warnings, 2 info; ")

    def test_nothing_to_say_is_one_line(self, clinic: Clinic) -> None:
        result = doctor(clinic.app({"ACCOUNTS_DOCTOR_ACCEPTED": {"sqlite": "x"}}), "--ignore", "sqlite")

        assert [line for line in result.output.splitlines() if line][-1].startswith("0 errors, 0 warnings, 0 info")

    @pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
    def test_colours_are_for_terminals_that_want_them(self, clinic: Clinic, env: dict[str, str], coloured: bool) -> None:
        app = clinic.app()
        runner = app.test_cli_runner()

        on_a_terminal = runner.invoke(args=["accounts", "doctor"], color=True, env={"NO_COLOR": "", **env})

        assert ("\x1b[" in on_a_terminal.output) == coloured
        assert "\x1b[" not in doctor(app).output

    def test_every_check_is_listed_with_what_it_looks_for_and_why(self, clinic: Clinic) -> None:
        app = clinic.app()

        rows = json.loads(doctor(app, "--list", "--json").output)

        assert [row["code"] for row in rows] == sorted({each.code for each in clinic.accounts.checkups} | {"failed-check"})
        assert all(row["looks_for"].endswith(".") and row["why"] and row["docs"] and row["severity"] in SEVERITIES for row in rows)
        assert "limits-off" in doctor(app, "--list").output

    def test_every_check_leads_to_a_page_and_a_heading_that_are_there(self, clinic: Clinic) -> None:
        for each in clinic.accounts.checkups:
            page, _, anchor = each.docs.partition("#")
            text = (ROOT / page).read_text(encoding="utf-8")
            titles = [line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("#")]
            headings = [re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in titles]  # as forges make anchors of them
            assert not anchor or anchor in headings, each.docs


class TestSafety:
    def test_a_check_that_breaks_is_a_finding_and_stops_no_other(self, clinic: Clinic) -> None:
        app = clinic.app(accounts={"checkups": [broken, no_imprint]})

        result, found = doctor(app), document(app)["findings"]

        assert result.exit_code == 1
        assert [finding["code"] for finding in found] == ["sqlite", "failed-check", "no-imprint"]
        assert found[1]["found"] == "The check broken failed: RuntimeError."
        assert "hunter2" not in result.output
        assert "Traceback" not in result.output

    def test_what_a_check_writes_is_taken_back(self, clinic: Clinic) -> None:
        app = clinic.app(accounts={"checkups": [meddling]})

        assert "It has deleted all." in doctor(app).output
        with app.app_context():
            assert current_accounts().db.session.scalar(sa.text("SELECT COUNT(*) FROM users")) == 1

    def test_a_database_that_does_not_answer_is_a_finding_with_what_could_not_be_checked(self, clinic: Clinic) -> None:
        app = clinic.app(url=f"sqlite:///{clinic.folder / 'nowhere' / 'x.db'}")

        found = document(app)

        assert [finding["code"] for finding in found["findings"] if finding["severity"] == "error"] == ["database-unreachable"]
        assert "no-administrator" in found["skipped"]
        assert "Not checked without the tables:" in doctor(app).output

    def test_no_mail_server_and_no_store_is_asked_unless_told_to(self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
        def connect(*args: object, **kwargs: object) -> None:
            raise AssertionError("asked")

        monkeypatch.setattr("smtplib.SMTP", connect)
        app = clinic.app({"ACCOUNTS_LIMITS_STORAGE": "redis://127.0.0.1:1/0"})

        assert doctor(app).exit_code == 0
        found = document(app, "--connect")["findings"]
        assert [(each["code"], each["found"]) for each in found if each["severity"] == "error"] == [
            ("failed-check", "The check mail-server failed: AssertionError."),
            ("limit-store", "The store of ACCOUNTS_LIMITS_STORAGE does not answer."),
        ]


class TestHosts:
    def test_a_host_adds_its_own(self, clinic: Clinic) -> None:
        app = clinic.app(accounts={"checkups": [no_imprint]})

        (found,) = [each for each in document(app)["findings"] if each["code"] == "no-imprint"]

        assert found == {
            "code": "no-imprint", "severity": "warning", "area": "law", "found": "IMPRINT is not set.", "why": "It costs a fine.",
            "source": "DDG section 5", "remedy": "Set IMPRINT to your address.", "docs": "https://blog.example/imprint",
        }  # fmt: skip

    def test_so_does_a_feature_of_its_own(self, clinic: Clinic) -> None:
        class Law(Feature):
            """What the law asks for."""

            name: ClassVar[str] = "law"
            checkups: ClassVar[tuple[Checkup, ...]] = (no_imprint,)

        assert "no-imprint" in doctor(clinic.app(features=[*default_features(), Law()])).output

    @pytest.mark.parametrize(
        ("given", "reason"),
        [([no_imprint, no_imprint], "two check-ups 'no-imprint'"), ([lambda deployment: []], "is not a check-up"), (["x"], "is not a check-up")],
    )  # fmt: skip
    def test_what_is_no_check_is_refused_at_construction(self, clinic: Clinic, given: list[Any], reason: str) -> None:
        with pytest.raises(ConfigurationError, match=reason):
            clinic.app(accounts={"checkups": given})

    @pytest.mark.parametrize(("code", "severity"), [("No Imprint", "warning"), ("no-imprint", "grave"), ("", "info")])
    def test_a_check_says_its_code_and_severity_in_the_usual_form(self, code: str, severity: Any) -> None:
        with pytest.raises(ConfigurationError, match="needs a code"):
            checkup(code, severity, area="law")(lambda deployment: [])

    def test_a_check_says_what_it_looks_for(self) -> None:
        silent: Callable[[Deployment], list[Problem]] = lambda deployment: []  # noqa: E731  # it has no docstring

        with pytest.raises(ConfigurationError, match="docstring"):
            checkup("no-imprint", "info", area="law")(silent)


def test_more_accounts_cost_no_more_statements(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    app, counts = clinic.app(), []
    execute = UserStore.execute

    def counting(*args: Any, **kwargs: Any) -> Any:
        counts.append(1)
        return execute(*args, **kwargs)

    monkeypatch.setattr(UserStore, "execute", counting)
    doctor(app)
    few = len(counts)
    with app.app_context():
        users = current_accounts().users
        for number in range(50):
            users.add(users.model(email=f"person{number}@commonplace.social"))
        users.db.session.commit()
    counts.clear()
    doctor(app)

    assert len(counts) == few
