"""HTTP itself: methods, content types, foreign origins, headers of intermediaries, caches, error documents (ASVS V3, V4, V14)."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.security.test_authorization import PUBLIC

PREFIXES = ("/api/auth", "/api/users")
GOOD = "vexing-quartz-lamp 7"


@pytest.fixture
def access(site: Site) -> dict[str, str]:
    site.admin("ann@example.com")
    return bearer(site.tokens("ann@example.com")["access_token"])


def own_paths(site: Site) -> list[str]:
    """Every path of the API, its variables filled in."""
    rules = (rule.rule for rule in site.app.url_map.iter_rules())
    return sorted({re.sub(r"<[^>]+>", "1", rule) for rule in rules if rule.startswith(PREFIXES)})


def operations(site: Site) -> list[tuple[str, str, dict[str, Any]]]:
    """Every documented operation: method, path with its variables filled in, description."""
    document = site.client.get("/api/auth/openapi.json").get_json()
    return [
        (method, re.sub(r"{[^}]+}", "1", path), operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in ("get", "post", "put", "patch", "delete")
    ]


def snapshot(site: Site) -> list[Any]:
    """Every row of every table, but that the log says who was handed an export, by whatever method."""
    with site.app.app_context():
        rows = [tuple(row) for table in site.db.metadata.sorted_tables for row in site.db.session.execute(sa.select(table))]
    return [row for row in rows if "user.exported" not in row]


@pytest.mark.requirement("ASVS 8.3.1")
def test_every_operation_without_credentials_is_refused_or_public_on_purpose(site: Site) -> None:
    public = {rule.partition(" ")[2].rstrip("/") for rule in PUBLIC if rule.startswith("POST ")} - {
        "/api/auth/refresh", "/api/auth/logout",
    }  # fmt: skip

    for method, path, _ in operations(site):
        answer = getattr(site.client, method)(path, json={} if method in ("post", "put", "patch") else None)
        expected = {400} if path.rstrip("/") in public and method == "post" else {401}
        assert answer.status_code in expected, f"{method} {path}: {answer.status_code}"


@pytest.mark.requirement("ASVS 3.5.2")
def test_simple_content_types_never_reach_the_logic(site: Site, access: dict[str, str]) -> None:
    before = snapshot(site)
    bodied = [(method, path) for method, path, operation in operations(site) if operation.get("requestBody", {}).get("required")]
    assert len(bodied) >= 8

    for method, path in bodied:
        for content_type in (
            "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "text/json", "application/xml",
            "application/jsonp", "text/plain; application/json", "application/json-patch+json", "*/*",
        ):  # fmt: skip
            answer = getattr(site.client, method)(
                path, data=b'{"email": "x@example.com"}', content_type=content_type, headers=access
            )
            assert answer.status_code == 415, f"{method} {path} {content_type}: {answer.status_code}"

    assert snapshot(site) == before


@pytest.mark.requirement("ASVS 3.5.2")
def test_a_form_of_another_site_signs_nobody_in(site: Site) -> None:
    site.user("ann@example.com")

    answer = site.client.post("/api/auth/login", data={"email": "ann@example.com", "password": PASSWORD})

    assert answer.status_code == 415


@pytest.mark.requirement("ASVS 3.5.3")
@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_safe_methods_change_nothing(site: Site, access: dict[str, str], method: str) -> None:
    before = snapshot(site)

    for path in own_paths(site):
        for query in ("", "?token=x&method=DELETE&_method=DELETE"):
            answer = getattr(site.client, method)(path + query, headers=access | {"X-HTTP-Method-Override": "DELETE"})
            assert answer.status_code < 500

    assert snapshot(site) == before
    assert site.client.get("/api/auth/me", headers=access).status_code == 200


@pytest.mark.requirement("ASVS 3.5.3")
def test_there_is_no_logout_by_get(site: Site, access: dict[str, str]) -> None:
    answer = site.client.get("/api/auth/logout", headers=access)

    assert (answer.status_code, answer.get_json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert set(answer.headers["Allow"].split(", ")) == {"DELETE", "POST", "OPTIONS"}


@pytest.mark.requirement("ASVS 4.1.4")
def test_unused_methods_are_blocked_and_none_is_echoed(site: Site, access: dict[str, str]) -> None:
    before = snapshot(site)

    for path in own_paths(site):
        for method in ("TRACE", "CONNECT", "FOO", "PROPFIND", "DEBUG", "get"):
            answer = site.client.open(path, method=method, headers=access | {"X-Probe": "probe-7f3"})
            if method == "get":  # methods are upper case; test clients make them so
                continue
            assert answer.status_code == 405, f"{method} {path}"
            assert "probe-7f3" not in answer.text

    assert snapshot(site) == before


@pytest.mark.requirement("ASVS 4.1.4", "RFC9457 3")
def test_an_ordinary_method_in_the_wrong_place_gets_problem_details_and_the_right_ones_named(site: Site) -> None:
    offered: dict[str, set[str]] = {}
    for method, path, _ in operations(site):
        offered.setdefault(path, set()).add(method.upper())

    for path, methods in offered.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - methods:
            answer = site.client.open(path, method=method)
            assert (answer.status_code, answer.get_json()["code"]) == (405, "METHOD_NOT_ALLOWED"), f"{method} {path}"
            assert set(answer.headers["Allow"].split(", ")) - {"OPTIONS", "HEAD"} == methods


@pytest.mark.requirement("ASVS 3.4.2")
def test_no_origin_is_reflected(site: Site, access: dict[str, str]) -> None:
    for origin in ("https://attacker.example", "null", "http://localhost", "https://localhost.attacker.example", "file://"):
        for method in ("get", "options", "post"):
            headers = access | {"Origin": origin, "Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "x"}
            for path in ("/api/auth/me", "/api/auth/login", "/api/users/"):
                answer = getattr(site.client, method)(path, headers=headers)
                assert not [name for name in answer.headers.keys() if name.lower().startswith("access-control-")]  # noqa: SIM118


def all_kinds_of_answers(site: Site, access: dict[str, str]) -> list[TestResponse]:
    client = site.client
    return [
        client.post("/api/auth/login", json={"email": "ann@example.com", "password": PASSWORD}),
        client.post("/api/auth/register", json={"email": "new@example.com", "password": GOOD}),
        client.post("/api/auth/reauthenticate", json={"password": PASSWORD}, headers=access),
        client.get("/api/auth/me", headers=access),
        client.get("/api/auth/sessions", headers=access),
        client.get("/api/users/", headers=access),
        client.get("/api/users/1", headers=access),
        client.get("/api/users/roles", headers=access),
        client.get("/api/auth/me"),
        client.get("/api/auth/me", headers=bearer("x")),
        client.get("/api/users/999", headers=access),
        client.get("/api/users/?page=0", headers=access),
        client.post("/api/auth/login", json={}),
        client.post("/api/auth/login", data="{", content_type="application/json"),
        client.post("/api/auth/login", data="x" * 70_000, content_type="application/json"),
        client.post("/api/auth/login", data="x"),
        client.post("/api/auth/login", json={"email": "ann@example.com", "password": "wrong"}),
        client.post("/api/auth/register", json={"email": "new@example.com", "password": GOOD}),
        client.get("/api/auth/login"),
        client.delete("/api/auth/me", headers=access),
        client.delete("/api/auth/logout", headers=access),
    ]


@pytest.mark.requirement("ASVS 4.1.1", "ASVS 1.2.1", "ASVS 14.3.2")
def test_every_answer_names_its_content_type_and_is_kept_by_no_cache(site: Site, access: dict[str, str]) -> None:
    for answer in all_kinds_of_answers(site, access):
        kind = "application/json" if answer.status_code < 400 else "application/problem+json"
        assert answer.content_type == kind, answer.request.path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.requirement("ASVS 14.3.2")
def test_cookies_are_kept_by_no_cache_either(make_site: MakeSite) -> None:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["cookies"]})
    site.user("ann@example.com")

    assert site.login("ann@example.com").headers["Cache-Control"] == "no-store"


@pytest.mark.requirement("RFC9457 3")
def test_problem_documents_are_complete_and_tell_their_own_status(site: Site, access: dict[str, str]) -> None:
    problems = [answer for answer in all_kinds_of_answers(site, access) if answer.status_code >= 400]
    assert {answer.status_code for answer in problems} >= {400, 401, 404, 405, 409, 413, 415}

    for answer in problems:
        document = answer.get_json()
        assert document["status"] == answer.status_code
        assert document.keys() >= {"type", "title", "status", "detail", "code", "error"}
        assert document["error"] == document["title"]
        assert document["type"].endswith(document["code"])
        assert re.fullmatch(r"[A-Z][A-Z_]+", document["code"])


@pytest.mark.requirement("ASVS 4.1.3", "ASVS 1.1.1")
def test_headers_that_only_intermediaries_may_set_are_not_believed(site: Site, access: dict[str, str]) -> None:
    victim = site.user("victim@example.com")
    for name in (
        "X-User-Id",
        "X-Forwarded-User",
        "X-Remote-User",
        "Remote-User",
        "X-Auth-Request-User",
        "X-Original-User",
        "X-Role",
    ):
        for value in ("1", str(victim.id), "admin", "victim@example.com"):
            assert site.client.get("/api/auth/me", headers={name: value}).status_code == 401
            assert site.client.get("/api/auth/me", headers=access | {name: value}).get_json()["email"] == "ann@example.com"
    for name in ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-Forwarded-Uri"):
        answer = site.client.get("/api/users/", headers={name: "/api/auth/openapi.json"})
        assert answer.status_code == 401


@pytest.mark.requirement("ASVS 4.1.3", "ASVS 15.3.4")
def test_the_recorded_address_is_the_connections(site: Site, access: dict[str, str]) -> None:
    names = (
        "X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "X-Cluster-Client-IP", "True-Client-IP", "CF-Connecting-IP",
        "Fastly-Client-IP", "X-Originating-IP", "X-Remote-IP", "X-Remote-Addr", "X-Forwarded",
    )  # fmt: skip
    site.login("ann@example.com", headers=dict.fromkeys(names, "203.0.113.9"))

    listed = site.client.get("/api/auth/sessions", headers=access).get_json()["sessions"]

    assert {each["ip_address"] for each in listed} == {"127.0.0.1"}


@pytest.mark.requirement("ASVS 15.3.7")
def test_credentials_beside_the_body_are_not_taken(site: Site) -> None:
    site.user("ann@example.com")

    answer = site.client.post(
        f"/api/auth/login?email=ann@example.com&password={PASSWORD}", json={"email": "ann@example.com", "password": "wrong"}
    )

    assert answer.status_code == 401


@pytest.mark.requirement("ASVS 14.2.1")
def test_no_answer_leads_anywhere_with_a_secret_in_the_address(site: Site, access: dict[str, str]) -> None:
    for answer in all_kinds_of_answers(site, access):
        assert "Location" not in answer.headers
        assert not re.search(r"https?://[^\"]*token=", answer.text)


@pytest.mark.requirement("ASVS 15.2.3")
def test_there_are_no_debug_or_test_routes(site: Site) -> None:
    for prefix in ("", *PREFIXES):
        for path in (
            "debug",
            "test",
            "console",
            "_debug",
            ".env",
            ".git/config",
            "health",
            "metrics",
            "admin",
            "config",
            "__debug__",
        ):
            assert site.client.get(f"{prefix}/{path}").status_code in (401, 404)


@pytest.mark.requirement("ASVS 13.4.6")
def test_no_header_names_a_version(site: Site, access: dict[str, str]) -> None:
    for answer in all_kinds_of_answers(site, access):
        assert not {"Server", "X-Powered-By", "X-Version"} & set(answer.headers.keys())
        assert "flask_accounts/" not in str(answer.headers).lower()
