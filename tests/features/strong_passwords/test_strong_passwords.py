"""Passwords that are easy to guess are refused with what would help, at a cost that has a bound."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
import zxcvbn_rs_py
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from flask_accounts import Accounts, ConfigurationError, default_features
from flask_accounts.core.policies import PasswordContext
from flask_accounts.features.strong_passwords import StrongPasswords
from flask_accounts.features.strong_passwords.service import JUDGED, StrengthService
from flask_accounts.testing import PASSWORD
from tests.conftest import KEY, MakeSite, Site

WEAK = "lillyfox7"
STRONG = "vexing-quartz-lamp 7"


@pytest.fixture
def make_strong(make_site: MakeSite) -> Callable[..., Site]:
    """Makes a site with the feature; `config` without `ACCOUNTS_`."""

    def make(**config: Any) -> Site:
        return make_site(
            features=[*default_features(), StrongPasswords()], config={f"ACCOUNTS_{name}": value for name, value in config.items()}
        )

    return make


@pytest.fixture
def strong(make_strong: Callable[..., Site]) -> Site:
    return make_strong()


def register(site: Site, password: str, email: str = "new@example.com", **fields: str) -> TestResponse:
    return site.client.post("/api/auth/register", json={"email": email, "password": password, **fields})


def codes(answer: TestResponse) -> list[str]:
    return [problem["code"] for problem in answer.get_json().get("errors", [])]


# What is refused


@pytest.mark.requirement("ASVS 6.2.4")
def test_a_password_that_is_easy_to_guess_is_refused_with_what_would_help(strong: Site) -> None:
    answer = register(strong, WEAK)

    assert answer.status_code == 400
    assert answer.get_json()["errors"] == [
        {
            "field": "password",
            "code": "password_guessable",
            "message": "This password is easy to guess. Common names and surnames are easy to guess. "
            "Add another word or two. Uncommon words are better.",
        }
    ]


def test_where_there_is_no_warning_the_advice_stands_alone(strong: Site) -> None:
    [problem] = register(strong, "brown77sun").get_json()["errors"]

    assert problem["message"] == "This password is easy to guess. Add another word or two. Uncommon words are better."


def test_a_strong_one_is_taken(strong: Site) -> None:
    assert register(strong, STRONG).status_code == 201


def test_a_changed_password_is_judged_too(strong: Site) -> None:
    body = {"current_password": PASSWORD, "new_password": WEAK}
    answer = strong.client_for(strong.user("ann@example.com")).post("/api/auth/password/change", json=body)

    assert (answer.status_code, codes(answer)) == (400, ["password_guessable"])
    assert answer.get_json()["errors"][0]["field"] == "new_password"


def test_what_another_check_refuses_is_not_judged(strong: Site) -> None:
    assert codes(register(strong, "abc")) == ["password_too_short"]
    assert codes(register(strong, "password")) == ["password_common"]


@pytest.mark.parametrize(
    ("password", "score"),
    [("qwertyuiop", 0), ("qwertyuiop77", 1), (WEAK, 2), ("lillyfox77", 3), (STRONG, 4)],
)
def test_the_least_score_is_a_setting(make_strong: Callable[..., Site], password: str, score: int) -> None:
    for least in range(5):
        site = make_strong(STRONG_PASSWORDS_MIN_SCORE=least)
        with site.app.app_context():
            service = site.testing.runtime.get(StrengthService)
            assert service.score(password) == score
            assert (service.check(password, PasswordContext()) is None) == (score >= least)


@pytest.mark.parametrize("least", [-1, 5, "good"])
def test_a_score_that_there_is_not_is_refused_at_start(make_strong: Callable[..., Site], least: object) -> None:
    with pytest.raises(ConfigurationError, match="ACCOUNTS_STRONG_PASSWORDS_MIN_SCORE"):
        make_strong(STRONG_PASSWORDS_MIN_SCORE=least)


# What an attacker knows


@pytest.mark.requirement("ASVS 6.2.11")
@pytest.mark.parametrize(
    ("email", "username"),
    [
        ("zorblattquux@example.com", None),
        ("jo.zorblattquux+lists@example.com", None),
        ("jo@zorblattquux.example.com", None),
        ("jo@example.com", "zorblattquux"),
        ("jo@example.com", "jo_zorblattquux"),
    ],
)
def test_the_accounts_own_words_make_no_password(strong: Site, email: str, username: str | None) -> None:
    password = "Xuuqttalbroz1234567"  # the word from behind, which no other check sees
    names = {"username": username} if username else {}

    assert codes(register(strong, password, email, **names)) == ["password_guessable"]
    assert register(strong, password, "bob@example.com").status_code == 201


def test_the_sites_own_words_make_no_password(make_strong: Callable[..., Site]) -> None:
    password = "Xuuqttalbroz1234567"

    assert codes(register(make_strong(MAIL_PRODUCT="Zorblattquux Shop"), password)) == ["password_guessable"]
    assert codes(register(make_strong(PASSWORD_CONTEXT_WORDS=("the zorblattquux",)), password)) == ["password_guessable"]


# What it costs


@pytest.mark.requirement("ASVS 15.2.2")
def test_no_more_than_the_beginning_is_judged(strong: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    def judge(password: str, words: list[str]) -> Any:
        given.append(password)
        return original(password, words)

    original = zxcvbn_rs_py.zxcvbn
    monkeypatch.setattr(zxcvbn_rs_py, "zxcvbn", judge)

    assert register(strong, "4@8({[<369!1|!0$57+%2" * 12).status_code == 201
    assert codes(register(strong, "a" * 256, "ann@example.com")) == ["password_guessable"]
    assert [len(password) for password in given] == [JUDGED, JUDGED]


@pytest.mark.requirement("ASVS 15.2.2")
def test_the_costliest_password_known_costs_less_than_a_second(strong: Site) -> None:
    service = strong.testing.runtime.get(StrengthService)
    with strong.app.app_context():
        service.score("the first reads the lists")
        begun = time.process_time()
        service.score("18{f(q|fsp!@ivcu[5!h6+$mrf1$e437<|91bl+!" * 6)

    assert time.process_time() - begun < 1


def test_what_cannot_be_encoded_is_judged_all_the_same(strong: Site) -> None:
    with strong.app.app_context():
        score = strong.testing.runtime.get(StrengthService).score
        assert score("\ud800") == 0
        assert score("abc", PasswordContext(username="\ud800\ud800\ud800")) == 0


def test_both_ways_to_write_an_accent_are_judged_alike(strong: Site) -> None:
    with strong.app.app_context():
        score = strong.testing.runtime.get(StrengthService).score
        assert score("e\u0301" * JUDGED + STRONG) == score("\u00e9" * JUDGED + STRONG) == 0


# Set-up


def test_without_the_package_the_app_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "zxcvbn_rs_py" else find_spec(name, *rest))
    app = Flask("host")
    app.config.update(SECRET_KEY=KEY, SQLALCHEMY_DATABASE_URI="sqlite://")

    with pytest.raises(ConfigurationError, match=r"pip install 'flask-accounts-api\[zxcvbn\]'"):
        Accounts(SQLAlchemy(), app, features=[*default_features(), StrongPasswords()])


def test_the_package_is_imported_with_the_first_password_only() -> None:
    script = f"""
import sys
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_accounts import Accounts, default_features
from flask_accounts.features.strong_passwords import StrongPasswords
app = Flask("host")
app.config.update(SECRET_KEY={KEY!r}, SQLALCHEMY_DATABASE_URI="sqlite://")
accounts = Accounts(SQLAlchemy(), app, features=[*default_features(), StrongPasswords()])
assert "zxcvbn_rs_py" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr


def test_the_feature_is_off_unless_it_is_added(site: Site) -> None:
    with pytest.raises(ConfigurationError, match="add its feature"):
        site.testing.runtime.get(StrengthService)
