"""GET / of the users blueprint: pages with totals, cursors at constant cost, filters, search, sort."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.conftest import MakeSite, Site

SORTS = ["id", "email", "username", "created_at", "updated_at"]


@pytest.fixture
def crowd(site: Site) -> FlaskClient:
    """An administrator's client, and eleven accounts: some without a username, many of one creation time."""
    for number in range(10):
        site.user(f"p{(number * 7) % 10}@example.com", username=None if number % 3 else f"Name{9 - number}")
        if number % 4 == 0:
            site.testing.clock.move(seconds=1)
    return site.client_for(site.admin())


def ids(users: list[dict[str, Any]]) -> list[Any]:
    return [user["id"] for user in users]


def by_pages(client: FlaskClient, query: str, per_page: int = 3) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    pages = client.get(f"/api/users?{query}&per_page={per_page}").get_json()["pages"]
    for page in range(1, pages + 1):
        found += client.get(f"/api/users?{query}&per_page={per_page}&page={page}").get_json()["users"]
    return found


def by_cursor(client: FlaskClient, query: str, per_page: int = 3) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = client.get(f"/api/users?{query}&per_page={per_page}&cursor={cursor}")
        assert answer.status_code == 200, answer.text
        assert answer.get_json().keys() == {"users", "next_cursor"}
        found += answer.get_json()["users"]
        cursor = answer.get_json()["next_cursor"]
    return found


def test_a_page_says_where_it_stands(crowd: FlaskClient) -> None:
    body = crowd.get("/api/users?page=2&per_page=4").get_json()

    assert body.keys() == {"users", "total", "total_capped", "pages", "current_page", "per_page"}
    assert (body["total"], body["pages"], body["current_page"], body["per_page"]) == (11, 3, 2, 4)
    assert len(body["users"]) == 4


def test_without_arguments_it_is_the_first_page_of_twenty(crowd: FlaskClient) -> None:
    body = crowd.get("/api/users").get_json()

    assert (body["current_page"], body["per_page"], len(body["users"])) == (1, 20, 11)


def test_a_page_past_the_end_is_empty(crowd: FlaskClient) -> None:
    body = crowd.get("/api/users?page=1000000").get_json()

    assert (body["users"], body["total"]) == ([], 11)


@pytest.mark.parametrize("sort", [*SORTS, *("-" + name for name in SORTS)])
def test_pages_and_cursors_show_everybody_once_in_one_order(crowd: FlaskClient, sort: str) -> None:
    whole = crowd.get(f"/api/users?sort={sort}&per_page=100").get_json()["users"]

    paged, followed = by_pages(crowd, f"sort={sort}"), by_cursor(crowd, f"sort={sort}")

    assert len(set(ids(whole))) == 11
    assert ids(paged) == ids(followed) == ids(whole)
    name = sort.lstrip("-")
    values = [(user[name] or "").lower() if name == "username" else user[name] for user in whole]
    assert values == sorted(values, reverse=sort.startswith("-"))


@pytest.mark.parametrize("sort", SORTS)
def test_descending_is_ascending_turned_round_also_among_ties(crowd: FlaskClient, sort: str) -> None:
    assert ids(by_cursor(crowd, f"sort=-{sort}")) == ids(by_cursor(crowd, f"sort={sort}"))[::-1]


@pytest.mark.parametrize("per_page", [1, 10, 11, 12, 100])
def test_the_last_page_of_a_cursor_says_so_also_when_it_is_full(crowd: FlaskClient, per_page: int) -> None:
    assert len(by_cursor(crowd, "sort=username", per_page)) == 11


def test_a_cursor_goes_on_where_it_was_when_accounts_come_and_go(site: Site, crowd: FlaskClient) -> None:
    first = crowd.get("/api/users?cursor=&sort=email&per_page=4").get_json()
    site.user("a-newcomer@example.com")
    crowd.delete(f"/api/users/{first['users'][-1]['id']}")

    second = crowd.get(f"/api/users?cursor={first['next_cursor']}&sort=email&per_page=100").get_json()

    assert len(second["users"]) == 7
    assert not set(ids(first["users"])) & set(ids(second["users"]))


def test_with_uuid_keys_cursors_are_complete_too(make_site: MakeSite) -> None:
    site = make_site(user_key="uuid7")
    for _ in range(6):
        site.user()
    admin = site.client_for(site.admin())

    for sort in ("id", "-created_at", "username"):
        assert len(set(ids(by_cursor(admin, f"sort={sort}", 2)))) == 7


@pytest.mark.parametrize(
    "cursor", ["x", "e30", "%00", "W10", "WyJpZCIsbnVsbCwiMSJd%2B", "WyJpZCIsIngiLCIxIl0", "WyJpZCIsbnVsbCwieCJd", "a" * 1025, "é"]
)
def test_what_is_no_cursor_is_400(crowd: FlaskClient, cursor: str) -> None:
    answer = crowd.get(f"/api/users?cursor={cursor}")

    assert answer.status_code == 400
    assert [problem["field"] for problem in answer.get_json()["errors"]] == ["cursor"]


def test_a_cursor_of_another_order_is_400(crowd: FlaskClient) -> None:
    cursor = crowd.get("/api/users?cursor=&sort=email&per_page=1").get_json()["next_cursor"]

    assert crowd.get(f"/api/users?cursor={cursor}&sort=-email").status_code == 400


@pytest.mark.parametrize("number", ["1", "100"])
def test_the_bounds_of_per_page_are_good(crowd: FlaskClient, number: str) -> None:
    assert crowd.get(f"/api/users?per_page={number}").get_json()["per_page"] == int(number)


@pytest.mark.parametrize(
    "number", ["0", "-1", "101", "x", "", "1.0", "1e2", "%2B5", "%205", "05", "1_0", "٣", "null", "999999999999999999999"]
)
@pytest.mark.parametrize("name", ["page", "per_page"])
def test_any_other_number_is_a_clear_400(crowd: FlaskClient, name: str, number: str) -> None:
    if (name, number) == ("page", "101"):
        return

    answer = crowd.get(f"/api/users?{name}={number}")

    assert answer.status_code == 400
    assert [problem["field"] for problem in answer.get_json()["errors"]] == [name]


@pytest.mark.parametrize(
    "query",
    ["sort=password_hash", "sort=--id", "sort=", "is_active=yes", "is_active=1", "created_after=yesterday", "created_after=0",
     "created_after=2026-01-01", "created_before=2026-01-01T00:00:00", "search=", "search=" + "x" * 101, "page=1&cursor="],
)  # fmt: skip
def test_other_arguments_have_bounds_too(crowd: FlaskClient, query: str) -> None:
    assert crowd.get(f"/api/users?{query}").get_json()["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize(
    ("search", "found"),
    [("NAME9", 1), ("name", 4), ("p1@", 1), ("example.com", 11), ("%", 0), ("_", 0), ("p_@", 0), ("\\", 0), ("' OR 1=1 --", 0)],
)
def test_search_looks_in_names_and_addresses_and_takes_every_sign_literally(crowd: FlaskClient, search: str, found: int) -> None:
    body = crowd.get(f"/api/users?search={quote(search)}").get_json()

    assert body["total"] == found
    assert len(by_cursor(crowd, f"search={quote(search)}")) == found


def test_percent_and_underscore_find_themselves(site: Site) -> None:
    admin = site.client_for(site.admin())
    site.user("a%b@example.com", username="under_score")

    for search in ("a%b", "r_s", "%"):
        assert admin.get(f"/api/users?search={quote(search)}").get_json()["total"] == 1


def test_filters_narrow_and_add_up(site: Site) -> None:
    start = site.testing.clock.now()
    root = site.admin()
    site.testing.clock.move(hours=1)
    admin = site.client_for(root)
    site.user("ed@example.com", roles=["editor"])
    site.user("off@example.com", roles=["editor"], is_active=False)

    def total(query: str) -> int:
        found: int = admin.get(f"/api/users?{query}").get_json()["total"]
        assert len(by_cursor(admin, query)) == found
        return found

    moment = quote((site.testing.clock.now()).isoformat())
    assert total("role=editor") == 2
    assert total("role=nobody") == 0
    assert total("is_active=false") == 1
    assert total("role=editor&is_active=true") == 1
    assert total(f"created_after={moment}") == 2
    assert total(f"created_before={moment}") == 1
    assert total(f"created_after={quote(start.isoformat())}&created_before={moment}&search=admin") == 1


def test_an_account_of_many_roles_is_listed_once_with_all_of_them(site: Site) -> None:
    admin = site.client_for(site.user("root@example.com", roles=["admin", "editor", "writer"]))

    (user,) = admin.get("/api/users").get_json()["users"]

    assert user["roles"] == ["admin", "editor", "writer"]
