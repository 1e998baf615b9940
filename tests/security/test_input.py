"""Odd input is refused before it is worked on: wrong types, two readings of one text, too much of anything."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site
from tests.security.counting import CountingHasher

ODD: list[Any] = [None, True, False, 0, 1, -1, 1.5, [], [PASSWORD], {}, {"$ne": ""}, {"$gt": ""}, [["a"]]]


def post(site: Site, path: str, raw: str | bytes, **kwargs: Any) -> TestResponse:
    return site.client.post(path, data=raw, content_type="application/json", **kwargs)


@pytest.mark.requirement("ASVS 15.3.5")
def test_no_value_of_another_type_passes_for_a_credential(site: Site) -> None:
    site.user("ann@example.com", username="ann")
    client = site.client_for(site.user("ben@example.com"))

    odd: Any
    for odd in ODD:
        for path, body in [
            ("/api/auth/login", {"email": "ann@example.com", "password": odd}), ("/api/auth/login", {"email": odd, "password": PASSWORD}),
            ("/api/auth/login", {"username": odd, "password": PASSWORD}), ("/api/auth/register", {"email": odd, "password": PASSWORD}),
            ("/api/auth/register", {"email": "x@example.com", "password": odd}), ("/api/auth/reauthenticate", {"password": odd}),
            ("/api/auth/password/change", {"current_password": odd, "new_password": "another passphrase"}),
            ("/api/auth/password/change", {"current_password": PASSWORD, "new_password": odd}),
        ]:  # fmt: skip
            answer = client.post(path, json=body)
            assert answer.status_code == 400, (path, body)
            assert answer.get_json()["code"] == "VALIDATION_ERROR"


@pytest.mark.requirement("ASVS 15.3.5")
def test_no_value_of_another_type_passes_for_a_refresh_token(site: Site) -> None:
    odd: Any
    for odd in ODD:
        answer = site.client.post("/api/auth/refresh", json={"refresh_token": odd})
        assert answer.status_code == (401 if odd is None else 400), odd


@pytest.mark.requirement("ASVS 15.3.5")
@pytest.mark.requirement("ASVS 2.2.1")
def test_flags_and_lists_are_taken_in_their_own_type_only(site: Site) -> None:
    boss, ann = site.client_for(site.admin()), site.user()

    odd: Any
    for odd in ("true", "false", "1", 0, 1, None, [], {}):
        assert boss.patch(f"/api/users/{ann.id}", json={"is_active": odd}).status_code == 400, odd
    for odd in ("admin", None, {"admin": True}, [None], [1], [["admin"]], ["admin", {}], ["x" * 65], ["ADMIN"], ["nobody"]):
        assert boss.put(f"/api/users/{ann.id}/roles", json={"roles": odd}).status_code == 400, odd
    for odd in ("", "A", "a b", "ä", "a" * 65, "a\n", "-a", None, 5, ["a"]):
        assert boss.post("/api/users/roles", json={"name": odd}).status_code == 400, odd


@pytest.mark.requirement("ASVS 2.2.1")
@pytest.mark.requirement("ASVS 2.4.1")
@pytest.mark.parametrize(
    "query",
    [
        "page=0", "page=-1", "page=1.5", "page=one", "page=", "page=1e3", "page=%EF%BC%92", "page=99999999999999999999", "per_page=0", "per_page=-5",
        "per_page=101", "per_page=100000", "per_page=all", "page=1&cursor=", "page=1&page=2", "sort=id&sort=email", "cursor=x", "cursor=W10", "is_active=maybe",
        "created_after=yesterday", "created_after=2026-01-01", "search=", "search=" + "a" * 101, "unknown=1", "role=" + "a" * 65, "search=%00",
    ],
)  # fmt: skip
def test_a_list_is_asked_for_in_bounds_or_not_at_all(site: Site, query: str) -> None:
    answer = site.client_for(site.admin()).get(f"/api/users?{query}")

    assert answer.status_code == 400
    assert answer.get_json()["errors"]


@pytest.mark.requirement("ASVS 2.4.1")
def test_no_page_is_longer_than_100_rows(site: Site) -> None:
    boss = site.client_for(site.admin())
    with site.app.app_context():
        users, now = site.testing.runtime.users, site.testing.clock.now()
        site.db.session.execute(
            users.table.insert(),
            [{"email": f"p{n:03}@example.com", "is_active": True, "created_at": now, "updated_at": now} for n in range(120)],
        )
        site.db.session.commit()

    pages = [boss.get(f"/api/users?per_page=100{extra}").get_json() for extra in ("", "&page=2", "&cursor=")]

    assert [len(page["users"]) for page in pages] == [100, 21, 100]


@pytest.mark.requirement("R-REL 1")
@pytest.mark.parametrize(
    "sort", ["id", "-id", "email", "-email", "username", "-username", "created_at", "-created_at", "-updated_at"]
)
def test_walking_the_pages_shows_everybody_once_though_people_come_and_go(site: Site, sort: str) -> None:
    boss = site.client_for(site.admin())
    for number in range(11):  # several of the same second and without a username
        site.user(f"p{number % 3}x{number}@example.com", username=f"name{number}" if number % 2 else None)
    before = {user["id"] for user in boss.get("/api/users?per_page=100").get_json()["users"]}

    seen: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = boss.get("/api/users", query_string={"cursor": cursor, "per_page": 2, "sort": sort}).get_json()
        seen += [user["id"] for user in page["users"]]
        cursor = page["next_cursor"]
        if len(seen) == 4:
            boss.delete(f"/api/users/{seen[0] if seen[0] != 1 else seen[1]}")
    numbered = [
        user["id"]
        for number in range(1, 7)
        for user in boss.get("/api/users", query_string={"page": number, "per_page": 2, "sort": sort}).get_json()["users"]
    ]

    assert len(seen) == len(set(seen))
    assert set(seen) == before
    assert sorted(numbered) == sorted(set(numbered))
    assert len(numbered) == len(before) - 1


@pytest.mark.requirement("ASVS 1.5.3")
@pytest.mark.parametrize(
    "raw",
    [
        '{"email": "ann@example.com", "email": "ben@example.com", "password": "' + PASSWORD + '"}',
        '{"email": "ann@example.com", "password": "wrong", "password": "' + PASSWORD + '"}',
        '{"email": "ann@example.com", "\\u0070assword": "' + PASSWORD + '", "password": "wrong"}',
        '{"email": "ann@example.com", "password": "' + PASSWORD + '"} {}', '{"email": "ann@example.com", "password": "' + PASSWORD + '",}',
        "{'email': 'ann@example.com'}", '{"email": NaN}', '{"email": Infinity}', '{"a": 1e5, "email": -Infinity}', "", " ", "null", "[]", '"text"', "1",
        '{"email": "ann@example.com" /* comment */, "password": "' + PASSWORD + '"}', '{"a": ' + "1" * 5000 + "}", '{"a": 01}', "{",
        '\ufeff{"email": "ann@example.com", "password": "' + PASSWORD + '"}',
    ],
)  # fmt: skip
def test_json_that_two_parsers_might_read_differently_is_refused(site: Site, raw: str) -> None:
    site.user("ann@example.com")

    answer = post(site, "/api/auth/login", raw.encode())

    assert answer.status_code == 400
    assert answer.get_json()["code"] == "MALFORMED_REQUEST"


@pytest.mark.requirement("ASVS 1.5.3")
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "utf-7", "cp037"])
def test_a_body_in_another_encoding_is_refused(site: Site, encoding: str) -> None:
    site.user("ann@example.com")
    raw = json.dumps({"email": "ann@example.com", "password": PASSWORD}).encode(encoding)

    answer = site.client.post("/api/auth/login", data=raw, content_type=f"application/json; charset={encoding}")

    # What is the same bytes as UTF-8 is what it is.
    assert answer.status_code == (200 if raw.isascii() and raw.startswith(b'{"email": "ann@') else 400)


@pytest.mark.requirement("ASVS 1.1.1")
@pytest.mark.parametrize("escape", ["\\u0000", "\\ud800", "\\udc00\\ud800", "\\uDBFF"])
def test_what_no_database_can_hold_is_refused_by_name(site: Site, escape: str) -> None:
    for raw, field in [
        ('{"email": "a%sb@example.com", "password": "x"}', "email"), ('{"email": "a@example.com", "password": "x%sx"}', "password"),
        ('{"email": "a@example.com", "password": "x", "a%s": 1}', ""), ('{"email": "a@example.com", "password": "x", "deep": [{"er": "%s"}]}', "deep.0.er"),
    ]:  # fmt: skip
        answer = post(site, "/api/auth/login", raw.replace("%s", escape))
        assert answer.status_code == 400
        assert answer.get_json()["errors"] == [
            {"field": field, "code": "invalid_character", "message": "Holds a character that is not allowed."}
        ]


@pytest.mark.requirement("ASVS 15.3.7")
def test_credentials_in_the_query_string_count_for_nothing(site: Site) -> None:
    site.user("ann@example.com")
    site.user("ben@example.com", password="the other passphrase")
    query = {"email": "ben@example.com", "password": "the other passphrase", "username": "x"}

    beside = site.client.post("/api/auth/login", query_string=query, json={"email": "ann@example.com", "password": PASSWORD})
    alone = site.client.post("/api/auth/login", query_string=query, json={})

    assert beside.get_json()["user"]["email"] == "ann@example.com"
    assert alone.status_code == 400


@pytest.mark.requirement("ASVS 15.3.7")
def test_two_names_at_once_are_no_name(site: Site) -> None:
    site.user("ann@example.com", username="ann")

    for body in ({"email": "ann@example.com", "username": "ann"}, {"email": "ann@example.com", "username": "ben"}, {}):
        assert site.client.post("/api/auth/login", json=body | {"password": PASSWORD}).status_code == 400


# Bounds


@pytest.mark.requirement("ASVS 15.2.2")
def test_what_is_too_large_is_refused_before_any_hash_is_computed(site: Site) -> None:
    site.user("ann@example.com")
    hasher = CountingHasher(site)
    bodies = {
        "10 MB": (b'{"password": "' + b"x" * 10_000_000 + b'"}', 413),
        "just over the limit": (b'{"email": "ann@example.com", "password": "' + b"x" * 65_536 + b'"}', 413),
        "depth 100000": (b"[" * 100_000, 413),
        "depth 30000": (b'{"a": ' * 5000 + b"[" * 30_000, 400),
        "a balanced depth": (b'{"email": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", 400),
        "a password of 60000": (b'{"email": "ann@example.com", "password": "' + b"x" * 60_000 + b'"}', 400),
        "a password of 257": (b'{"email": "ann@example.com", "password": "' + b"x" * 257 + b'"}', 400),
        "an address of 60000": (b'{"email": "' + b"x" * 60_000 + b'@example.com", "password": "x"}', 400),
        "10000 members": (json.dumps({f"a{number}": 1 for number in range(4000)}).encode(), 400),
    }

    for name, (raw, status) in bodies.items():
        for path in ("/api/auth/login", "/api/auth/register"):
            assert post(site, path, raw).status_code == status, name

    assert hasher.taken() == []


@pytest.mark.requirement("ASVS 15.2.2")
def test_a_body_of_unsaid_length_is_bounded_as_well(site: Site) -> None:
    answer = site.client.post(
        "/api/auth/login",
        input_stream=io.BytesIO(b'{"password": "' + b"x" * 1_000_000 + b'"}'),
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )

    assert answer.status_code == 413


@pytest.mark.requirement("ASVS 15.2.2")
@pytest.mark.parametrize("token", ["x" * 1_000_000, "e30." * 50_000, "." * 100_000, "a.b.c" * 4000])
def test_a_bearer_token_of_a_megabyte_is_not_looked_at(site: Site, token: str) -> None:
    answer = site.client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401


@pytest.mark.requirement("ASVS 15.2.3")
@pytest.mark.parametrize(
    "path",
    [
        "debug", "console", "test", "status", "health", "metrics", "config", "env", ".env", ".git/HEAD", "admin", "phpinfo.php", "server-status",
        "docs/../../../etc/passwd", "docs/%2e%2e%2fsetup.py", "docs/index.html", "docs/..%5c..%5cx", "openapi.yaml", "swagger.json", "routes", "users.db",
    ],
)  # fmt: skip
def test_there_is_no_debug_or_stray_route(site: Site, path: str) -> None:
    for prefix in ("/api/auth/", "/api/users/", "/"):
        assert site.client.get(prefix + path).status_code in (401, 404), prefix + path


@pytest.mark.requirement("ASVS 6.3.2")
def test_a_fresh_install_has_no_account_and_no_default_password(make_site: MakeSite) -> None:
    site = make_site()

    with site.app.app_context():
        assert list(site.testing.runtime.users.keys()) == []
    for name in ("admin", "root", "user", "test", "guest"):
        for password in ("admin", "password", "changeme", "root", ""):
            assert site.client.post("/api/auth/login", json={"username": name, "password": password}).status_code in (400, 401)


@pytest.mark.requirement("R-REL 2")
@pytest.mark.parametrize("transport", ["headers", "cookies"])
def test_the_whole_way_works_in_both_transports(make_site: MakeSite, transport: str) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": [transport], "JWT_COOKIE_SECURE": False})
    client = site.client

    def headers(answer: TestResponse | None, kind: str = "access") -> dict[str, str]:
        if transport == "cookies":
            found = client.get_cookie(f"csrf_{kind}_token")
            return {"X-CSRF-TOKEN": found.value} if found else {}
        return {"Authorization": f"Bearer {answer.get_json()[kind + '_token']}"} if answer else {}

    assert client.post("/api/auth/register", json={"email": "ann@example.com", "password": PASSWORD}).status_code == 201
    login = client.post("/api/auth/login", json={"email": "ann@example.com", "password": PASSWORD})
    assert client.get("/api/auth/me", headers=headers(login)).get_json()["email"] == "ann@example.com"
    second = client.post("/api/auth/refresh", headers=headers(login, "refresh"))
    assert second.status_code == 200
    assert client.patch("/api/auth/me", json={"username": "ann"}, headers=headers(second)).status_code == 200
    assert client.post("/api/auth/logout", headers=headers(second)).status_code == 200
    assert client.get("/api/auth/me", headers=headers(second)).status_code == 401
