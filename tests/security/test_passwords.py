"""Which passwords may be set, and that they are verified exactly as received (ASVS V6.2, NIST SP 800-63B-4 section 3.1.1.2)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from flask_accounts.core.errors import FieldProblem
from flask_accounts.core.passwords import Argon2Hasher
from flask_accounts.core.policies import PasswordContext, common_passwords
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer

from .counting import CountingHasher

GOOD = "vexing-quartz-lamp 7"
Setter = Callable[[Site, str], TestResponse]


def by_registration(site: Site, password: str) -> TestResponse:
    return site.client.post("/api/auth/register", json={"email": "new@example.com", "username": "newcomer", "password": password})


def by_change(site: Site, password: str) -> TestResponse:
    user = site.user("ann@example.com", username="newcomer")
    return site.client_for(user).post("/api/auth/password/change", json={"current_password": PASSWORD, "new_password": password})


def by_an_administrator(site: Site, password: str) -> TestResponse:
    body = {"email": "new@example.com", "username": "newcomer", "password": password}
    return site.client_for(site.admin()).post("/api/users/", json=body)


every_door = pytest.mark.parametrize("setter", [by_registration, by_change, by_an_administrator])


def problems_of(answer: TestResponse) -> list[str]:
    assert answer.status_code == 400, answer.text
    return [problem["code"] for problem in answer.get_json()["errors"]]


def change(site: Site, token: str, body: dict[str, Any]) -> TestResponse:
    return site.client.post("/api/auth/password/change", json=body, headers=bearer(token))


@pytest.mark.requirement("ASVS 6.2.1", "NIST 3.1.1.2")
@every_door
@pytest.mark.parametrize("password", ["", "q", "qX7#kw2", "🦊🐙🦉🦔🐝🦀🐳"], ids=["none", "one", "seven", "seven emoji"])
def test_a_password_shorter_than_8_code_points_is_refused_and_says_why(site: Site, setter: Setter, password: str) -> None:
    answer = setter(site, password)

    assert "password_too_short" in problems_of(answer)
    assert "at least 8" in answer.text


@pytest.mark.requirement("ASVS 6.2.1")
@every_door
def test_eight_characters_are_enough_by_default(site: Site, setter: Setter) -> None:
    assert setter(site, "qX7#kw2!").status_code in (201, 204)


@pytest.mark.requirement("ASVS 6.2.1")
def test_the_minimum_is_one_setting(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_PASSWORD_MIN_LENGTH": 15})

    assert problems_of(by_registration(site, "vexing-quartz-")) == ["password_too_short"]
    assert by_registration(site, "vexing-quartz-l").status_code == 201


@pytest.mark.requirement("ASVS 6.2.2")
def test_after_a_change_the_new_password_works_and_the_old_one_does_not(site: Site) -> None:
    site.user("ann@example.com")
    token = site.tokens("ann@example.com")["access_token"]

    answer = change(site, token, {"current_password": PASSWORD, "new_password": GOOD})

    assert answer.status_code == 204
    assert site.login("ann@example.com", PASSWORD).status_code == 401
    assert site.login("ann@example.com", GOOD).status_code == 200


@pytest.mark.requirement("ASVS 6.2.3", "ASVS 15.3.5")
def test_a_change_without_the_right_present_password_changes_nothing(site: Site) -> None:
    site.user("ann@example.com")
    token = site.tokens("ann@example.com")["access_token"]
    bodies: list[dict[str, Any]] = [{"new_password": GOOD}, {"current_password": PASSWORD}, {}]
    bodies += [{"current_password": odd, "new_password": GOOD} for odd in (None, [PASSWORD], {"a": PASSWORD}, 1, True, "", [])]

    for body in bodies:
        assert change(site, token, body).status_code in (400, 401), body
    assert change(site, token, {"current_password": PASSWORD + " ", "new_password": GOOD}).status_code == 401

    assert site.login("ann@example.com", PASSWORD).status_code == 200


@pytest.mark.requirement("ASVS 6.2.4")
@every_door
@pytest.mark.parametrize("password", ["password1", "PassWord1", "iloveyou", "qwertyuiop", "ｔｒｕｓｔｎｏ１", "passwordpassword"])
def test_a_password_that_everybody_tries_first_is_refused(site: Site, setter: Setter, password: str) -> None:
    assert "password_common" in problems_of(setter(site, password))


@pytest.mark.requirement("ASVS 6.2.4")
def test_the_list_holds_more_than_3000_passwords_that_are_long_enough() -> None:
    assert sum(len(password) >= 8 for password in common_passwords()) > 3000


EXACT = [
    "all lowercase letters", "4920185736401", "🦊🐙🦉🦔🐝🦀🐳🐌", "كلمة سر طويلة جدا", " leading and trailing ", "tab\tinside it",
    "'; DROP TABLE users; --", "{{ 7 * 7 }} %s %n", "<script>alert(1)</script>", "ﬁne-ligature-x", "İstanbul ı quartz", "nul-like \\x00 text",
]  # fmt: skip


@pytest.mark.requirement("ASVS 6.2.5", "ASVS 6.2.8")
@pytest.mark.parametrize("password", EXACT)
def test_any_characters_are_accepted_and_verified_exactly(site: Site, password: str) -> None:
    assert by_registration(site, password).status_code == 201

    assert site.login("new@example.com", password).status_code == 200
    for near in {password.strip(), password.swapcase(), password + " ", " " + password, password[:-1], password + "\u200b"} - {
        password
    }:
        assert site.login("new@example.com", near).status_code == 401, ascii(near)


@pytest.mark.requirement("ASVS 6.2.8", "ASVS 6.2.9")
@pytest.mark.parametrize("length", [64, 72, 73, 80, 128, 256])
def test_long_passwords_count_to_the_last_character(site: Site, length: int) -> None:
    password = ("quartz lamp / vexing ember " * 10)[:length]
    assert by_registration(site, password).status_code == 201

    assert site.login("new@example.com", password).status_code == 200
    assert site.login("new@example.com", password[:-1] + "#").status_code == 401
    assert site.login("new@example.com", password[:-1]).status_code == 401


@pytest.mark.requirement("NIST 3.1.1.2")
def test_composed_and_decomposed_spellings_are_one_password(site: Site) -> None:
    composed = unicodedata.normalize("NFC", "crème brûlée à la Zoë")
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    site.testing.runtime.hasher.inner = Argon2Hasher(memory_cost=64, time_cost=1)
    assert by_registration(site, decomposed).status_code == 201

    assert site.login("new@example.com", composed).status_code == 200
    assert site.login("new@example.com", decomposed).status_code == 200
    assert site.login("new@example.com", "creme brulee a la Zoe").status_code == 401


@pytest.mark.requirement("NIST 3.1.1.2")
def test_compatibility_forms_stay_different_passwords(site: Site) -> None:
    """NFC, not NFKC: full-width letters are other letters, or a password would lose what makes it strong."""
    assert by_registration(site, "ｑｕａｒｔｚ ｌａｍｐ").status_code == 201

    assert site.login("new@example.com", "quartz lamp").status_code == 401


@pytest.mark.requirement("ASVS 6.2.10")
def test_a_password_does_not_expire(site: Site) -> None:
    site.user("ann@example.com")

    site.testing.clock.move(days=400)

    assert site.login("ann@example.com").status_code == 200


@pytest.mark.requirement("ASVS 6.2.11")
@every_door
@pytest.mark.parametrize("password", ["newcomer", "NewComer1", "remocwen", "new.comer!!", "n-e-w-c-o-m-e-r"])
def test_the_username_in_disguise_is_refused(site: Site, setter: Setter, password: str) -> None:
    assert "password_like_account" in problems_of(setter(site, password))


@pytest.mark.requirement("ASVS 6.2.11")
@pytest.mark.parametrize("password", ["someone.else@corp.example", "SOMEONE.ELSE", "corp.example", "someoneelse1"])
def test_the_address_in_disguise_is_refused(site: Site, password: str) -> None:
    answer = site.client.post("/api/auth/register", json={"email": "someone.else@corp.example", "password": password})

    assert "password_like_account" in problems_of(answer)


@pytest.mark.requirement("ASVS 6.2.11")
@every_door
def test_the_names_of_company_and_product_are_refused(make_site: MakeSite, setter: Setter) -> None:
    site = make_site(config={"ACCOUNTS_PASSWORD_CONTEXT_WORDS": ["Globex", "Initrode"]})

    assert "password_like_account" in problems_of(setter(site, "Globex2026"))
    assert site.testing.runtime.context_words == ("Globex", "Initrode")


@pytest.mark.requirement("ASVS 6.2.12")
@every_door
def test_a_hosts_breach_check_is_asked_wherever_a_password_is_set(make_site: MakeSite, setter: Setter) -> None:
    asked: list[str] = []

    def breached(password: str, context: PasswordContext) -> FieldProblem | None:
        asked.append(password)
        return FieldProblem("password", "password_breached", "Seen in a breach.") if password == GOOD else None

    site = make_site(password_checks=[breached])

    assert "password_breached" in problems_of(setter(site, GOOD))
    assert GOOD in asked


@pytest.mark.requirement("ASVS 6.4.2")
def test_there_is_nowhere_to_keep_a_hint_or_a_security_question(site: Site) -> None:
    names = [column.name for table in site.db.metadata.tables.values() for column in table.columns]
    document = site.client.get("/api/auth/openapi.json").text

    for word in ("hint", "question", "answer_", "secret_answer", "reminder"):
        assert not [name for name in names if word in name]
        assert f'"{word}' not in document


@pytest.mark.requirement("ASVS 15.2.2")
def test_over_long_passwords_never_reach_the_hasher(site: Site) -> None:
    site.user("ann@example.com")
    token = site.tokens("ann@example.com")["access_token"]
    counting = CountingHasher(site)
    doors: list[tuple[str, dict[str, str]]] = [
        ("login", {"email": "ann@example.com", "password": "LONG"}), ("login", {"email": "nobody@example.com", "password": "LONG"}),
        ("register", {"email": "new@example.com", "password": "LONG"}), ("reauthenticate", {"password": "LONG"}),
        ("password/change", {"current_password": "LONG", "new_password": GOOD}),
        ("password/change", {"current_password": PASSWORD, "new_password": "LONG"}),
    ]  # fmt: skip

    for path, body in doors:
        for length, status in ((257, 400), (20_000, 400), (1_000_000, 413)):
            sent = {name: "x" * length if value == "LONG" else value for name, value in body.items()}
            answer = site.client.post(f"/api/auth/{path}", json=sent, headers=bearer(token))
            assert answer.status_code == status, f"{path} with {length}: {answer.text[:200]}"

    assert counting.calls == []


@pytest.mark.requirement("ASVS 6.4.6")
def test_an_administrator_can_neither_choose_nor_see_a_password(site: Site) -> None:
    ann = site.user("ann@example.com")
    admin = site.client_for(site.admin())

    def stored() -> str:
        with site.app.app_context():
            user = site.accounts.User
            found: str = site.db.session.execute(sa.select(user.password_hash).where(user.id == ann.id)).scalar_one()
            return found

    before = stored()
    for name in ("password", "password_hash", "new_password", "totp_secret", "hash"):
        for method in ("patch", "put"):
            body = {"email": "ann@example.com", "username": None, name: "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA"}
            answer = getattr(admin, method)(f"/api/users/{ann.id}", json=body)
            assert answer.status_code == 400, answer.text
            assert {"field": name, "code": "extra_forbidden"}.items() <= answer.get_json()["errors"][0].items()

    assert stored() == before
    assert "hash" not in admin.get(f"/api/users/{ann.id}").text
    assert before not in admin.get("/api/users/").text
