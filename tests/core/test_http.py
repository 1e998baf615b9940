"""What holds for every route: problem details, headers, methods, content types, sizes, JSON."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from flask_accounts.testing import PASSWORD
from tests.conftest import Site, bearer

PROBLEM = {"type", "title", "status", "detail", "code", "error"}
LOGIN = "/api/auth/login"


def test_an_error_is_problem_details_with_a_code_and_the_short_sentence_twice(site: Site) -> None:
    answer = site.login("nobody@example.com", "wrong")

    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
    body = answer.get_json()
    assert body.keys() == PROBLEM
    assert (body["status"], body["code"]) == (401, "INVALID_CREDENTIALS")
    assert body["error"] == body["title"]
    assert body["type"].endswith("INVALID_CREDENTIALS")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/auth/me"), ("POST", LOGIN), ("GET", "/api/users"), ("POST", "/api/auth/logout"), ("PUT", "/api/auth/me")],
)
def test_every_answer_may_not_be_stored_or_sniffed(site: Site, method: str, path: str) -> None:
    answer = site.client.open(path, method=method)

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_answers_with_tokens_may_not_be_stored(site: Site) -> None:
    site.user("ann@example.com")

    assert site.login("ann@example.com").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("header", "code", "attributes"),
    [
        (None, "TOKEN_MISSING", ""),
        ("Bearer x.y.z", "INVALID_TOKEN", 'error="invalid_token"'),
        ("Bearer", "INVALID_TOKEN", 'error="invalid_token"'),
        ("Basic YTpi", "TOKEN_MISSING", ""),
    ],
)
def test_a_401_carries_the_challenge_of_rfc_6750(site: Site, header: str | None, code: str, attributes: str) -> None:
    answer = site.client.get("/api/auth/me", headers={"Authorization": header} if header else {})

    assert answer.status_code == 401
    assert answer.get_json()["code"] == code
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith("Bearer ")
    assert attributes in challenge
    assert ("error=" in challenge) is bool(attributes)  # section 3.1: no error where no credentials were sent


def test_each_way_a_token_is_wrong_has_its_code(site: Site) -> None:
    site.user("ann@example.com")
    tokens = site.tokens("ann@example.com")

    def code() -> str:
        found: str = site.client.get("/api/auth/me", headers=bearer(tokens["access_token"])).get_json()["code"]
        return found

    wrong_type = site.client.get("/api/auth/me", headers=bearer(tokens["refresh_token"])).get_json()["code"]
    site.client.post("/api/auth/logout", headers=bearer(tokens["access_token"]))
    revoked = code()
    site.testing.clock.move(minutes=16)

    assert (wrong_type, revoked, code()) == ("WRONG_TOKEN_TYPE", "TOKEN_REVOKED", "TOKEN_EXPIRED")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (LOGIN, "OPTIONS, POST"),
        ("/api/auth/me", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("/api/auth/logout", "DELETE, OPTIONS, POST"),
        ("/api/users", "GET, HEAD, OPTIONS, POST"),
        ("/api/users/", "GET, HEAD, OPTIONS, POST"),
        ("/api/users/1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/api/users/roles", "GET, HEAD, OPTIONS, POST"),
        ("/api/users/roles/helper", "DELETE, OPTIONS, PATCH"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY"])
def test_a_method_that_a_path_lacks_is_405_with_those_it_has(site: Site, path: str, allowed: str, method: str) -> None:
    if method in allowed.split(", "):
        return

    answer = site.client.open(path, method=method)

    assert answer.status_code == 405
    assert answer.headers["Allow"] == allowed
    assert answer.get_json()["code"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("path", [LOGIN, "/api/users", "/api/users/1/roles"])
def test_options_names_the_same_methods_as_a_405(site: Site, path: str) -> None:
    refused = site.client.open(path, method="TRACE")

    answer = site.client.options(path)

    assert answer.status_code == 204
    assert answer.data == b""
    assert answer.headers["Allow"] == refused.headers["Allow"]


def test_head_answers_as_get_without_a_body(site: Site) -> None:
    client = site.client_for(site.user())

    answer = client.head("/api/auth/me")

    assert answer.status_code == 200
    assert answer.data == b""


@pytest.mark.parametrize("path", [f"{LOGIN}/", "/api/auth/me/", "/api/users", "/api/users/"])
def test_a_slash_at_the_end_makes_no_difference(site: Site, path: str) -> None:
    method = "POST" if "login" in path else "GET"

    assert site.client.open(path, method=method).status_code in (401, 415)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", None]
)
def test_a_body_of_another_type_is_415(site: Site, kind: str | None) -> None:
    answer = site.client.post(LOGIN, data='{"email": "a@example.com", "password": "x"}', content_type=kind)

    assert answer.status_code == 415
    assert answer.get_json()["code"] == "UNSUPPORTED_MEDIA_TYPE"


def test_json_with_a_charset_parameter_is_json(site: Site) -> None:
    site.user("ann@example.com")

    body = f'{{"email": "ann@example.com", "password": "{PASSWORD}"}}'
    answer = site.client.post(LOGIN, data=body, content_type="application/json; charset=utf-8")

    assert answer.status_code == 200


@pytest.mark.requirement("ASVS 15.2.2")
def test_a_body_over_the_limit_is_413_whoever_sends_it(site: Site) -> None:
    huge = b'{"email": "' + b"a" * 70_000 + b'"}'

    answer = site.client.post(LOGIN, data=huge, content_type="application/json")

    assert answer.status_code == 413
    assert answer.get_json()["code"] == "CONTENT_TOO_LARGE"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b'"text"', b"null", b"1", b"\xff\xfe", b'{"email": NaN}', b'{"email": "a", "email": "b"}', b"[" * 5_000,
        b'{"password": ' + b"9" * 5_000 + b"}", b'{"a": 1} trailing',
    ],
)  # fmt: skip
def test_what_is_not_one_json_object_is_400_malformed(site: Site, body: bytes) -> None:
    answer = site.client.post(LOGIN, data=body, content_type="application/json")

    assert answer.status_code == 400
    assert answer.get_json()["code"] == "MALFORMED_REQUEST"


@pytest.mark.parametrize("text", ["a\\u0000b", "\\ud800"])
def test_text_that_no_database_can_hold_is_refused_by_the_member_it_is_in(site: Site, text: str) -> None:
    answer = site.client.post(LOGIN, data=f'{{"email": "{text}", "password": "x"}}', content_type="application/json")

    assert answer.status_code == 400
    assert [problem["field"] for problem in answer.get_json()["errors"]] == ["email"]


def problems(client: FlaskClient, method: str, path: str, body: Any) -> dict[str, str]:
    answer = client.open(path, method=method, json=body)
    assert answer.status_code == 400, answer.text
    found = answer.get_json()
    assert found["code"] == "VALIDATION_ERROR"
    assert all(problem.keys() == {"field", "code", "message"} for problem in found["errors"])
    return {problem["field"]: problem["code"] for problem in found["errors"]}


def test_every_problem_with_the_input_is_listed_at_once(site: Site) -> None:
    found = problems(
        site.client, "POST", "/api/auth/register", {"email": "nothing", "username": "?", "password": "short", "is_admin": True}
    )

    assert found == {
        "email": "email_invalid",
        "username": "username_invalid",
        "password": "password_too_short",
        "is_admin": "extra_forbidden",
    }


@pytest.mark.parametrize("value", [1, True, ["ann@example.com"], {"a": 1}, 1.5])
def test_values_of_another_type_are_not_converted(site: Site, value: Any) -> None:
    assert set(problems(site.client, "POST", "/api/auth/register", {"email": value, "password": PASSWORD})) == {"email"}


@pytest.mark.requirement("ASVS 15.3.3")
@pytest.mark.parametrize("member", ["id", "password_hash", "is_active", "roles", "email_verified", "created_at", "__class__"])
@pytest.mark.parametrize(("method", "path"), [("POST", "/api/auth/register"), ("PATCH", "/api/auth/me")])
def test_mass_assignment_is_refused_by_name(site: Site, member: str, method: str, path: str) -> None:
    client = site.client_for(site.user())
    body = {"email": "new@example.com", "password": PASSWORD} if method == "POST" else {"username": "new"}

    assert problems(client, method, path, {**body, member: "x"}) == {member: "extra_forbidden"}


@pytest.mark.requirement("ASVS 15.3.7")
def test_a_query_parameter_given_twice_is_refused(site: Site) -> None:
    admin = site.client_for(site.admin())

    assert problems(admin, "GET", "/api/users?page=1&page=2", None) == {"page": "duplicate"}


def test_an_unknown_query_parameter_is_refused_by_name(site: Site) -> None:
    admin = site.client_for(site.admin())

    assert problems(admin, "GET", "/api/users?pages=1&foo=2", None) == {"pages": "extra_forbidden", "foo": "extra_forbidden"}


def test_who_is_not_signed_in_learns_nothing_about_the_input(site: Site) -> None:
    """401 comes before 400, 404 and 415."""
    for method, path in (("PATCH", "/api/auth/me"), ("GET", "/api/users/1"), ("GET", "/api/users?page=x"), ("PUT", "/api/users/1")):
        assert site.client.open(path, method=method, data="x").status_code == 401
