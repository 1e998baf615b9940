"""What people type is data: never SQL, a LIKE pattern, markup or a template."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from flask_accounts.testing import PASSWORD
from tests.conftest import Site

SQL = [
    "' OR '1'='1", "' OR 1=1 --", "admin'--", "'; DROP TABLE users; --", "\" OR \"\"=\"", "') OR ('1'='1", "' UNION SELECT password_hash FROM users --",
    "\\' OR 1=1 -- ", "1; SELECT pg_sleep(5)", "' AND SLEEP(5) AND '1'='1", "ann@example.com' AND '1'='1", "%' OR '1'='1", "ann'||'", "x\\",
]  # fmt: skip


@pytest.fixture
def people(site: Site) -> Site:
    site.user("ann@example.com", username="ann")
    site.user("under_score@example.com", username="under_score")
    site.user("percent%sign@example.com", username="percent")
    return site


@pytest.mark.requirement("ASVS 1.2.4")
def test_sql_in_a_sign_in_opens_nothing(people: Site) -> None:
    for body in [body for text in SQL for body in ({"email": text}, {"username": text}, {"email": "ann@example.com" + text})]:
        text = next(iter(body.values()))
        answer = people.client.post("/api/auth/login", json=body | {"password": text})
        assert answer.status_code == 401
        assert answer.get_json()["code"] == "INVALID_CREDENTIALS"


@pytest.mark.requirement("ASVS 1.2.4")
def test_sql_in_a_search_or_a_path_finds_nobody_and_breaks_nothing(people: Site) -> None:
    boss = people.client_for(people.admin())

    for text in SQL:
        for query in ({"search": text}, {"role": text}):
            answer = boss.get("/api/users", query_string=query)
            assert answer.status_code == 200
            assert answer.get_json()["total"] == 0
        for path in ("/api/users/", "/api/users/roles/"):
            assert boss.delete(path + quote(text, safe="")).status_code == 404
    assert boss.get("/api/users").get_json()["total"] == 4


@pytest.mark.requirement("ASVS 1.2.4")
@pytest.mark.parametrize(
    ("text", "found"),
    [("%", 1), ("_", 1), ("under_score", 1), ("under%", 0), ("a_n", 0), ("percent%sign", 1), ("/%", 0), ("\\", 0)],
)
def test_wildcards_in_a_search_are_letters_like_others(people: Site, text: str, found: int) -> None:
    answer = people.client_for(people.admin()).get("/api/users", query_string={"search": text})

    assert answer.get_json()["total"] == found


@pytest.mark.requirement("ASVS 1.2.4")
@pytest.mark.parametrize(
    "sort",
    [
        "id;",
        "id--",
        "(SELECT 1)",
        "id,email",
        "id DESC",
        "users.id",
        "--id",
        "password_hash",
        "1",
        "id/**/",
        "RAND()",
        "created_at)",
        "",
    ],
)
def test_the_sort_order_is_one_of_a_list_and_no_expression(people: Site, sort: str) -> None:
    answer = people.client_for(people.admin()).get("/api/users", query_string={"sort": sort})

    assert answer.status_code == 400


@pytest.mark.requirement("ASVS 1.2.1")
@pytest.mark.requirement("ASVS 1.3.7")
@pytest.mark.parametrize(
    "markup", ["<script>alert(1)</script>", "{{7*191}}", "${7*191}", "<%= 7*191 %>", "{0.__class__}", "%s%n%x"]
)
def test_markup_and_templates_come_back_as_the_text_they_are(site: Site, markup: str) -> None:
    boss = site.client_for(site.admin())

    made = boss.post("/api/users/roles", json={"name": "editor", "description": markup})
    listed = boss.get("/api/users/roles")

    for answer in (made, listed):
        assert answer.mimetype == "application/json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "1337" not in answer.text
    assert made.get_json()["description"] == markup
    assert [role["description"] for role in listed.get_json()["roles"] if role["name"] == "editor"] == [markup]


@pytest.mark.requirement("ASVS 1.2.1")
def test_an_error_that_repeats_input_is_json_and_not_sniffed(site: Site) -> None:
    answer = site.client.post("/api/auth/login", json={"<script>alert(1)</script>": 1, "password": "x"})

    assert answer.mimetype == "application/problem+json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


HOSTILE_ADDRESSES = [
    "a@example.com\r\nBcc: b@example.com", "a@example.com\nX: y", "a@example.com, b@example.com", "a@example.com;b@example.com", "a@example.com b@example.com",
    "<a@example.com>", "Ann <a@example.com>", "a@example.com>", "a@b@example.com", "a@", "@example.com", "a", "a@.com", "a@example..com", ".a@example.com",
    "a.@example.com", "a..b@example.com", "a@-example.com", "a@example.com\x00", "a@exam ple.com", '"a b"@example.com', "a@[127.0.0.1]", "a@[IPv6:::1]",
    "a(comment)@example.com", "a@example.com%0d%0aBcc:b@example.com", "a@example.com\u2028b", "a\u200b@example.com", "a@localhost", "a@example",
]  # fmt: skip


@pytest.mark.requirement("ASVS 1.3.11")
def test_an_address_that_is_more_than_one_plain_address_is_refused(site: Site) -> None:
    ann = site.client_for(site.user("ann@example.com"))

    for address in HOSTILE_ADDRESSES:
        for answer in (
            site.client.post("/api/auth/register", json={"email": address, "password": PASSWORD}),
            ann.patch("/api/auth/me", json={"email": address}),
        ):
            assert answer.status_code == 400, address
            assert "email" in [problem["field"] for problem in answer.get_json()["errors"]]


@pytest.mark.requirement("ASVS 1.3.11")
@pytest.mark.parametrize("value", [["a@example.com", "b@example.com"], {"address": "a@example.com"}, None, 1, True])
def test_an_address_is_one_text_and_no_list(site: Site, value: Any) -> None:
    answer = site.client.post(
        "/api/auth/register", data=json.dumps({"email": value, "password": PASSWORD}), content_type="application/json"
    )

    assert answer.status_code == 400
