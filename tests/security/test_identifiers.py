"""Addresses and usernames: one canonical form before every check, no second account by spelling, no look-alike that reaches a victim."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from flask_accounts.testing import PASSWORD
from tests.conftest import Site


def register(site: Site, email: str, username: str | None = None) -> TestResponse:
    return site.client.post("/api/auth/register", json={"email": email, "username": username, "password": "correct horse battery"})


def account(site: Site, email: str) -> dict[str, Any]:
    with site.app.app_context():
        found = site.testing.runtime.users.find(email=email)
        assert found is not None
        return site.testing.runtime.show(found.user_id) | {"hash": found.password_hash}


SPELLINGS = [
    "ANN@EXAMPLE.COM", "Ann@example.com", "ann@EXAMPLE.com", " ann@example.com", "ann@example.com ", "\tann@example.com\n", "ａｎｎ@example.com",
    "ann@ｅｘａｍｐｌｅ.com", "\u00a0ann@example.com",
]  # fmt: skip


@pytest.mark.requirement("OWASP-EV 1")
def test_case_width_and_blanks_make_no_second_account(site: Site) -> None:
    site.user("ann@example.com")

    for spelled in SPELLINGS:
        answer = register(site, spelled)
        assert (answer.status_code, answer.get_json()["code"]) == (409, "EMAIL_TAKEN"), spelled


@pytest.mark.requirement("OWASP-EV 2")
def test_every_spelling_that_is_taken_at_registration_also_signs_in(site: Site) -> None:
    ann = site.user("ann@example.com")

    for spelled in SPELLINGS:
        assert site.tokens(spelled)["user"]["id"] == ann.id


@pytest.mark.requirement("OWASP-EV 2")
@pytest.mark.requirement("ASVS 6.3.1")
def test_all_spellings_share_one_counter_of_the_limiter(make_site: Any) -> None:
    seen: list[str | None] = []

    class Limiter:
        def hit(self, action: str, *, address: str | None, account: str | None) -> float | None:
            seen.append(account)
            return None

    site = make_site(limiter=Limiter())
    site.user("ann@example.com", username="ann")

    for spelled in SPELLINGS:
        site.login(spelled, "wrong")
    for spelled in ("ann", "Ann", "ANN", "ａｎｎ"):
        site.client.post("/api/auth/login", json={"username": spelled, "password": "wrong"})

    assert set(seen) == {"ann@example.com", "ann"}


@pytest.mark.requirement("OWASP-EV 3")
def test_plus_parts_and_dots_tell_accounts_apart(site: Site) -> None:
    addresses = ["first.last@gmail.com", "firstlast@gmail.com", "first.last+shop@gmail.com", "firstlast@googlemail.com"]

    assert [register(site, address).status_code for address in addresses] == [201] * 4
    assert len({site.tokens(address, "correct horse battery")["user"]["id"] for address in addresses}) == 4


LOOK_ALIKES = {
    # what is typed, and whose look-alike it is
    "mıke@example.com": "mike@example.com",  # dotless i
    "miKe@example.com".replace("K", "ĸ"): "mike@example.com",
    "аnn@example.com": "ann@example.com",  # Cyrillic a
    "josé@example.com": "jose@example.com",
    "strasse@example.com".replace("ss", "ß"): "strasse@example.com",
    "ann@exámple.com": "ann@example.com",
    "ann@ехample.com": "ann@example.com",  # Cyrillic e and x
}


@pytest.mark.requirement("OWASP-EV 5")
@pytest.mark.parametrize("typed", LOOK_ALIKES)
def test_a_look_alike_address_never_touches_its_victim(site: Site, typed: str) -> None:
    victim = LOOK_ALIKES[typed]
    site.user(victim)
    before = account(site, victim)

    login, answer = site.login(typed), register(site, typed)

    assert login.status_code == 401
    assert answer.status_code in (201, 400)
    assert account(site, victim) == before
    assert site.login(victim).status_code == 200
    assert site.login(victim, "correct horse battery").status_code == 401


@pytest.mark.requirement("OWASP-EV 1")
def test_the_kelvin_sign_is_the_letter_it_is_compatible_with(site: Site) -> None:
    site.user("kim@example.com")

    assert register(site, "\u212aim@example.com").status_code == 409


@pytest.mark.requirement("ASVS 1.1.1")
def test_no_spelling_of_a_username_makes_a_second_account(site: Site) -> None:
    site.user("straße@example.com", username="Strasse")

    spellings = ["strasse", "STRASSE", "Straße", "STRAẞE", "ｓｔｒａｓｓｅ", "ſtraſſe", "𝓈𝓉𝓇𝒶𝓈𝓈ℯ", "ⓢⓣⓡⓐⓢⓢⓔ"]
    answers = [register(site, f"p{number}@example.com", spelled) for number, spelled in enumerate(spellings)]

    assert {answer.status_code for answer in answers} <= {400, 409}
    assert [answer.status_code for answer in answers[:6]] == [409] * 6
    for spelled in spellings[:6]:
        assert site.client.post("/api/auth/login", json={"username": spelled, "password": PASSWORD}).status_code == 200, spelled


@pytest.mark.requirement("ASVS 1.1.1")
@pytest.mark.requirement("ASVS 2.2.1")
@pytest.mark.parametrize(
    "username",
    [
        "", "a", "a" * 65, "ﷺ" * 10, "ann@example.com", "ann smith", " ann", "ann ", "ann\u200b", "a\u200dn", "\u202enna", "ann\x00", "ann\n", "-ann", "ann.",
        "_", "..", "ann/../ben", "ann;", "<b>ann</b>", "😀😀", "a\u0301\u0301n", "ann\u00ad", "\ufeffann", "ann\u2028",
    ],
)  # fmt: skip
def test_a_username_with_anything_unseen_or_unspeakable_is_refused(site: Site, username: str) -> None:
    answer = register(site, "ann@example.com", username)

    assert answer.status_code == 400
    assert "username" in {problem["field"] for problem in answer.get_json()["errors"]}


@pytest.mark.requirement("UTS39 5.1")
@pytest.mark.parametrize("username", ["аdmin", "аnn", "pаypal", "gооgle", "Ꭺnn", "αnn", "ann1а", "аdmin2", "ԝord", "ann.іvan"])
def test_a_username_of_mixed_scripts_is_refused(site: Site, username: str) -> None:
    answer = register(site, "x@example.com", username)

    assert answer.status_code == 400
    assert [problem["code"] for problem in answer.get_json()["errors"]] == ["username_invalid"]


@pytest.mark.requirement("UTS39 5.1")
@pytest.mark.parametrize("username", ["Анна", "Αννα", "アンナ", "漢字かな", "안나", "מרים", "José", "anna42", "a.b-c_d"])
def test_a_username_of_one_script_is_welcome(site: Site, username: str) -> None:
    answer = register(site, "x@example.com", username)

    assert answer.status_code == 201
    assert answer.get_json()["user"]["username"] == username


@pytest.mark.requirement("ASVS 6.8.1")
def test_nobody_takes_the_address_of_another_as_a_username(site: Site) -> None:
    site.user("ann@example.com")

    assert register(site, "x@example.com", "ann@example.com").status_code == 400
    assert site.client.post("/api/auth/login", json={"username": "ann@example.com", "password": PASSWORD}).status_code == 401


@pytest.mark.requirement("ASVS 1.1.1")
@pytest.mark.parametrize(
    "path",
    ["/api/auth//me", "/api/auth/./me", "/api/auth/%6de", "/API/auth/me", "/api/auth/me/", "/api/auth/me;x=1", "/api/auth/me%00"],
)
def test_no_spelling_of_a_path_gets_round_the_guard(site: Site, path: str) -> None:
    answer = site.client.get(path)

    assert answer.status_code in (308, 401, 404)


@pytest.mark.requirement("OWASP-EV 1")
def test_an_account_keeps_the_own_name_in_another_spelling(site: Site) -> None:
    ann = site.client_for(site.user("ann@example.com", username="ann"))

    assert ann.patch("/api/auth/me", json={"email": "ANN@example.com", "username": "ANN"}).get_json()["username"] == "ANN"
    assert site.tokens("ann@example.com")["user"]["email"] == "ann@example.com"
