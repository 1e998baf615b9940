"""Whether an account exists, is disabled or has no password must not show, and no door is without its limiter (ASVS V6.3).

Cost is compared by counting hash calls and SQL statements, never by clocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer

from .counting import CountingHasher

GOOD = "vexing-quartz-lamp 7"


def shape(answer: TestResponse) -> tuple[int, Any, list[tuple[str, str]]]:
    """Everything a client can compare; `Date` and `Content-Length` included where there are any."""
    return answer.status_code, answer.get_json(), sorted(answer.headers.items())


@pytest.mark.requirement("ASVS 6.3.2")
def test_a_fresh_install_has_no_accounts_and_default_logins_fail(site: Site) -> None:
    for name, password in (
        ("admin", "admin"),
        ("root", "root"),
        ("admin", "password"),
        ("test", "test"),
        ("user", "user"),
        ("admin", ""),
    ):
        assert site.client.post("/api/auth/login", json={"username": name, "password": password}).status_code == 401
        assert site.login(f"{name}@example.com", password).status_code == 401

    with site.app.app_context():
        for model in ("users", "accounts_sessions", "accounts_roles", "accounts_user_roles"):
            assert site.db.session.execute(sa.text(f"SELECT count(*) FROM {model}")).scalar() == 0


@pytest.mark.requirement("ASVS 6.3.2", "ASVS 8.2.1")
def test_the_first_to_register_is_no_administrator(site: Site) -> None:
    site.client.post("/api/auth/register", json={"email": "first@example.com", "password": GOOD})
    token = site.tokens("first@example.com", GOOD)["access_token"]

    assert site.client.get("/api/users/", headers=bearer(token)).status_code == 403


def with_people(site: Site) -> Site:
    site.user("known@example.com", username="known")
    site.user("disabled@example.com", username="disabled", is_active=False)
    site.user("unverified@example.com", username="unverified", email_verified=False)
    site.user("passwordless@example.com", username="passwordless", password=None)
    return site


@pytest.fixture
def people(site: Site) -> Site:
    return with_people(site)


NAMES = ("known", "disabled", "unverified", "passwordless", "nobody")


@pytest.mark.requirement("ASVS 6.3.8")
@pytest.mark.parametrize("by", ["email", "username"])
def test_a_failed_login_looks_and_costs_the_same_for_every_kind_of_account(people: Site, by: str) -> None:
    counting = CountingHasher(people)
    people.client.post("/api/auth/login", json={"email": "warm@example.com", "password": "up"})
    counting.taken()
    seen = []

    for name in NAMES:
        people.statements.clear()
        typed = f"{name}@example.com" if by == "email" else name
        answer = people.client.post("/api/auth/login", json={by: typed, "password": "not the one"})
        seen.append((shape(answer), counting.taken(), len(people.statements)))

    assert seen[0][0][0] == 401
    assert all(each == seen[0] for each in seen), seen


@pytest.mark.requirement("ASVS 6.3.8")
@pytest.mark.parametrize("name", NAMES)
def test_the_very_first_login_of_a_process_costs_the_same_too(make_site: MakeSite, name: str) -> None:
    """The hash that unknown accounts are compared with is made once; who triggers that must not depend on the account."""
    people = with_people(make_site())
    counting = CountingHasher(people)

    people.login(f"{name}@example.com", "not the one")

    assert counting.taken() == ["hash", "verify"]


@pytest.mark.requirement("ASVS 6.3.8")
def test_only_the_right_password_tells_that_an_account_is_disabled(people: Site) -> None:
    assert people.login("disabled@example.com", "not the one").get_json()["code"] == "INVALID_CREDENTIALS"
    assert people.login("disabled@example.com").get_json()["code"] == "ACCOUNT_DISABLED"


@pytest.mark.requirement("ASVS 6.3.8", "OWASP-FP 2")
@pytest.mark.parametrize(
    ("path", "mailed"),
    [
        ("password/forgot", {"known@example.com", "unverified@example.com"}),
        ("unlock/request", {"known@example.com", "unverified@example.com", "passwordless@example.com"}),
        (
            "email/verify/resend",
            {"known@example.com", "unverified@example.com", "disabled@example.com", "passwordless@example.com"},
        ),
    ],
)
def test_asking_for_a_mail_looks_and_costs_the_same_for_every_address(people: Site, path: str, mailed: set[str]) -> None:
    """Also the mail itself: one that nobody gets is written for who gets none."""
    people.user("verified@example.com", email_verified=True)
    for name in ("verified", *NAMES):  # so that each has an older token to be voided
        people.client.post(f"/api/auth/{path}", json={"email": f"{name}@example.com"})
    people.testing.outbox.clear()
    written: list[str] = []
    letters = people.testing.runtime.letters
    write = letters.write
    letters.write = lambda name, to, **context: written.append(name) or write(name, to, **context)  # type: ignore[method-assign,func-returns-value]
    seen = []

    for name in ("verified", *NAMES):
        people.statements.clear()
        written.clear()
        answer = people.client.post(f"/api/auth/{path}", json={"email": f"{name}@example.com"})
        seen.append(
            (
                shape(answer),
                [text.split()[0] for text in people.statements if "SELECT" not in text],
                len(people.statements),
                len(written),
            )
        )

    assert seen[0][0][0] == 202
    assert all(each == seen[0] for each in seen), seen
    assert {mail.to for mail in people.testing.outbox} - {"verified@example.com"} == mailed


@pytest.mark.requirement("ASVS 6.3.8")
def test_odd_names_fail_like_unknown_ones(people: Site) -> None:
    unknown = shape(people.login("nobody@example.com", "x"))

    for typed in (
        "",
        " ",
        "@",
        "a@b",
        "not an address",
        "nobody@example.com\u200b",
        "x" * 254,
        "' OR 1=1 --",
        "%",
        "known@example.com ",
    ):
        answer = people.login(typed, "x")
        assert shape(answer) == unknown, typed


@pytest.mark.requirement("ASVS 6.3.8")
def test_registering_a_taken_address_costs_as_much_as_registering_a_free_one(people: Site) -> None:
    counting = CountingHasher(people)

    taken = people.client.post("/api/auth/register", json={"email": "known@example.com", "password": GOOD})
    cost_of_taken = counting.taken()
    free = people.client.post("/api/auth/register", json={"email": "free@example.com", "password": GOOD})

    assert (taken.status_code, free.status_code) == (409, 201)
    assert cost_of_taken == counting.taken() == ["hash"]


@pytest.mark.requirement("ASVS 6.3.8", "ASVS 8.2.2")
def test_other_peoples_accounts_and_missing_ones_answer_alike(people: Site) -> None:
    own = people.client_for(people.user("ann@example.com"))

    for method in ("get", "delete"):
        other, missing = (getattr(own, method)(f"/api/users/{key}") for key in (1, 99_999))
        assert shape(other) == shape(missing)
        assert other.status_code == 404


@dataclass
class Refusing:
    """A limiter that writes down what it is asked, and refuses the actions it is told to."""

    refuse: set[str] = field(default_factory=set)
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)

    def hit(self, action: str, *, address: str | None, account: str | None) -> float | None:
        self.asked.append((action, address, account))
        return 41.2 if action in self.refuse else None


DOORS: dict[str, tuple[str, dict[str, str]]] = {
    "login": ("login", {"email": "ann@example.com", "password": PASSWORD}),
    "register": ("register", {"email": "new@example.com", "password": GOOD}),
    "refresh": ("refresh", {"refresh_token": "REFRESH"}),
    "reauthenticate": ("reauthenticate", {"password": PASSWORD}),
    "password_change": ("password/change", {"current_password": PASSWORD, "new_password": GOOD}),
}


@pytest.mark.requirement("ASVS 6.3.4", "RFC6585 4")
@pytest.mark.parametrize("action", DOORS)
def test_every_door_asks_the_limiter_before_any_credential_is_looked_at(make_site: MakeSite, action: str) -> None:
    limiter = Refusing()
    site = make_site(limiter=limiter)
    site.user("ann@example.com")
    pair = site.tokens("ann@example.com")
    counting = CountingHasher(site)
    limiter.refuse, limiter.asked = {action}, []
    path, body = DOORS[action]
    body = {name: pair["refresh_token"] if value == "REFRESH" else value for name, value in body.items()}
    headers = {} if action in ("login", "refresh", "register") else bearer(pair["access_token"])

    answer = site.client.post(f"/api/auth/{path}", json=body, headers=headers)

    assert (answer.status_code, answer.get_json()["code"]) == (429, "RATE_LIMITED")
    assert answer.content_type == "application/problem+json"
    assert int(answer.headers["Retry-After"]) >= 42
    assert [asked[:2] for asked in limiter.asked] == [(action, "127.0.0.1")]
    assert limiter.asked[0][2]
    assert counting.calls == []


@pytest.mark.requirement("ASVS 6.3.4")
def test_accounts_made_through_the_users_blueprint_count_as_registrations(make_site: MakeSite) -> None:
    limiter = Refusing(refuse={"register"})
    site = make_site(limiter=limiter)

    answer = site.client.post("/api/users/", json={"email": "new@example.com", "password": GOOD})

    assert answer.status_code == 429
    assert limiter.asked == [("register", "127.0.0.1", "new@example.com")]


@pytest.mark.requirement("ASVS 6.3.4", "ASVS 6.3.1")
def test_spellings_of_one_name_share_their_counter(make_site: MakeSite) -> None:
    limiter = Refusing()
    site = make_site(limiter=limiter)

    for typed in ("ann@example.com", "ANN@Example.COM", " ann@example.com ", "ａｎｎ@example.com"):
        site.login(typed, "x")
    for typed in ("Ann_The_First", "ann_the_first", "ＡＮＮ_the_first"):
        site.client.post("/api/auth/login", json={"username": typed, "password": "x"})

    assert {account for _, _, account in limiter.asked} == {"ann@example.com", "ann_the_first"}


@pytest.mark.requirement("ASVS 6.3.4", "ASVS 15.3.4", "ASVS 4.1.3")
def test_the_limiter_sees_the_connections_address_and_no_header_of_the_client(make_site: MakeSite) -> None:
    limiter = Refusing()
    site = make_site(limiter=limiter)

    for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP"):
        site.login("ann@example.com", "x", headers={name: "203.0.113.9"})

    assert {address for _, address, _ in limiter.asked} == {"127.0.0.1"}


@pytest.mark.requirement("ASVS 6.3.4", "ASVS 7.4.2")
def test_every_door_of_a_disabled_account_is_shut(site: Site) -> None:
    ann = site.user("ann@example.com")
    pair = site.tokens("ann@example.com")
    site.client_for(site.admin()).post(f"/api/users/{ann.id}/disable")
    access, client = bearer(pair["access_token"]), site.client

    answers = [
        site.login("ann@example.com"),
        client.post("/api/auth/refresh", json={"refresh_token": pair["refresh_token"]}),
        client.post("/api/auth/reauthenticate", json={"password": PASSWORD}, headers=access),
        client.post("/api/auth/password/change", json={"current_password": PASSWORD, "new_password": GOOD}, headers=access),
        client.get("/api/auth/me", headers=access),
        client.get("/api/auth/sessions", headers=access),
        client.delete("/api/auth/me", headers=access),
    ]

    assert [answer.status_code for answer in answers] == [403, *[401] * 6]
