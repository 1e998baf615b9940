"""No input whatsoever gives a 500: every route, any method, path, query, headers and body, by anybody.

The search is derandomised, so that a run repeats. FUZZ_EXAMPLES sets how long it searches; the default suits
every run of the suite.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import create_environ, run_wsgi_app
from werkzeug.wrappers import Response

from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
PROBLEM_MEMBERS = {"type", "title", "status", "detail", "code", "error"}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"]

pytestmark = [pytest.mark.requirement("ASVS 2.2.1"), pytest.mark.requirement("ASVS 16.5.1")]

# Odd values, each of which has broken somebody's service once.
ODD_TEXT = st.sampled_from(
    [
        "", " ", "\x00", "\ud800", "\udfff\ud800", "a" * 300, "%", "_", "%00", "'", '"', "\\", "../..", "{{7*191}}", "\r\nX: y", "\u202e", "ﷺ" * 30,
        "İstanbul", "ß", "ſ", "K", "①", "１２", "-1", "0", "1", "2", "999999999999999999", "99999999999999999999999", "1e999", "NaN", "null",
        "ann@example.com", "Ann@EXAMPLE.com", "@", "a@b", "a@xn--.com", "a@xn--a-0000000.com", 'a"b@example.com', "a@[127.0.0.1]", "a@例え.テスト",
        "a@" + "b" * 250, "\u200b", "admin", "Admin", "user", PASSWORD, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
        "00000000-0000-0000-0000-000000000000", "true", "id", "-email", "W10", "WyJpZCIsbnVsbCwiMSJd",
    ]
)  # fmt: skip
TEXT = ODD_TEXT | st.text(max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just(10**400) | st.just(2**63),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
VALID: dict[str, list[Any]] = {
    "email": ["ann@example.com", "new@example.com"], "username": ["ann", "new.person", None], "password": [PASSWORD, "wrong"],
    "current_password": [PASSWORD], "new_password": ["another long passphrase"], "refresh_token": [None, "x.y.z"], "is_active": [True, False],
    "email_verified": [True, False], "roles": [["admin"], ["editor"], []], "name": ["editor", "helper"], "permissions": [["*"], ["users:read"], []],
    "description": ["Text."], "reason": ["Spam."],
}  # fmt: skip
QUERY = [
    "page",
    "per_page",
    "cursor",
    "search",
    "is_active",
    "role",
    "created_after",
    "created_before",
    "sort",
    "access_token",
    "jwt",
]
HEADERS = [
    "Authorization", "Cookie", "Content-Type", "Content-Encoding", "X-CSRF-TOKEN", "X-Forwarded-For", "X-Forwarded-Host", "Host", "User-Agent",
    "X-Token-Transport", "Accept", "X-HTTP-Method-Override", "Range", "If-None-Match", "Expect", "Origin",
]  # fmt: skip


@st.composite
def near_valid(draw: st.DrawFn) -> Any:
    """A body of members that routes know, mostly with values that are right."""
    members = draw(st.lists(st.sampled_from(sorted(VALID)), unique=True, max_size=5))
    return {name: draw(st.sampled_from(VALID[name]) if draw(st.integers(0, 3)) else JSON) for name in members}


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """The text of such a body with some bytes of it changed."""
    text = bytearray(json.dumps(draw(near_valid())).encode())
    for _ in range(draw(st.integers(1, 3))):
        text[draw(st.integers(0, len(text) - 1))] = draw(st.integers(0, 255))
    return bytes(text)


NESTED = st.sampled_from([10, 190, 900, 5_000, 30_000]).flatmap(
    lambda depth: st.sampled_from([b"[" * depth, b'{"email":' + b"[" * depth + b"]" * depth + b"}", b'{"a":' * (depth // 2) + b"1" + b"}" * (depth // 2)])
)  # fmt: skip
BODY = st.one_of(
    st.builds(lambda value: json.dumps(value).encode(), near_valid()),
    st.builds(lambda value: json.dumps(value).encode(), JSON),
    st.builds(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"), JSON),
    mangled(),
    st.binary(max_size=60),
    NESTED,
    st.just(b'{"password": "' + b"x" * 70_000 + b'"}'),
    st.just(b'{"email": "a@example.com", "email": "b@example.com"}'),
    st.just(b'\xef\xbb\xbf{"email": "a@example.com"}'),
)
CONTENT_TYPE = st.sampled_from(
    ["application/json"] * 6
    + ["application/json; charset=utf-16", "application/json;;;", "text/plain", "multipart/form-data", "", "x"]
)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """One request: which rule of the map, and everything that a client chooses."""
    return {
        "rule": draw(st.integers(0, 10_000)),
        "own_method": draw(st.integers(0, 3)) > 0,
        "method": draw(st.sampled_from(METHODS)),
        "values": draw(st.lists(st.sampled_from(["1", "2", "me", "admin", "editor"]) | TEXT, min_size=2, max_size=2)),
        "query": draw(st.lists(st.tuples(st.sampled_from(QUERY) | TEXT, TEXT), max_size=3)),
        "headers": draw(st.lists(st.tuples(st.sampled_from(HEADERS), TEXT), max_size=2)),
        "content_type": draw(CONTENT_TYPE),
        "body": draw(st.none() | BODY),
        "caller": draw(st.sampled_from(["nobody", "user", "admin", "broken"])),
        "refresh": draw(st.integers(0, 5)) == 0,
    }


def _latin(text: str) -> str:
    """What a server can be sent as a header's value."""
    return re.sub(r"[\r\n]", "", text.encode("utf-8", "replace").decode("latin-1"))


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    site = make_site(config={"JWT_TOKEN_LOCATION": ["headers", "cookies"], "ACCOUNTS_USERS_DIRECTORY": "authenticated"})
    site.user("ann@example.com", username="ann")
    site.admin()
    with site.app.app_context():
        site.accounts.roles.create("editor", permissions=["users:read"])
        site.db.session.commit()
    return site


def send(site: Site, authorization: str | None, wish: dict[str, Any]) -> Response:
    """The request that is wished for, given to the app as a server would give it."""
    rules = [rule for rule in site.app.url_map.iter_rules() if rule.endpoint.startswith("accounts_")]
    rule = sorted(rules, key=lambda rule: (rule.rule, rule.endpoint))[wish["rule"] % len(rules)]
    values = iter(wish["values"])
    path = re.sub(r"<[^>]+>", lambda _: next(values).replace("/", "_") or "x", rule.rule)
    method = sorted(rule.methods or {"GET"})[0] if wish["own_method"] else wish["method"]
    environ = create_environ(method=method, input_stream=io.BytesIO(wish["body"] or b""))
    environ["CONTENT_LENGTH"] = str(len(wish["body"] or b""))
    environ["CONTENT_TYPE"] = wish["content_type"]
    environ["PATH_INFO"] = path.encode("utf-8", "surrogatepass").decode("latin-1")
    environ["QUERY_STRING"] = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in wish["query"])
    if authorization:
        environ["HTTP_AUTHORIZATION"] = authorization
    for name, value in wish["headers"]:
        prefix = "" if name in ("Content-Type", "Content-Length") else "HTTP_"
        environ[prefix + name.upper().replace("-", "_")] = _latin(value)
    return Response(*run_wsgi_app(site.app, environ))


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def credentials(site: Site, wish: dict[str, Any]) -> str | None:
    """The Authorization of who is wished for; made and signed in anew, for the last request may have ended it all."""
    if wish["caller"] in ("nobody", "broken"):
        return "Bearer e30.e30.x" if wish["caller"] == "broken" else None
    email = {"user": "ann@example.com", "admin": "admin@example.com"}[wish["caller"]]
    with site.app.app_context():
        found = site.testing.runtime.users.find(email=email)
        if found:
            site.accounts.users.enable(found.user_id)
            site.db.session.commit()
        user = found.user_id if found else site.admin(email) if wish["caller"] == "admin" else site.user(email)
        tokens = site.testing.sign_in(user).tokens
    return f"Bearer {tokens.refresh_token if wish['refresh'] else tokens.access_token}"


def check(answer: Response) -> None:
    assert answer.status_code < 500, answer.get_data(as_text=True)
    if answer.status_code < 400 or not answer.get_data():
        return  # a HEAD request is answered without a body
    assert answer.mimetype == "application/problem+json", answer.get_data(as_text=True)
    problem = json.loads(answer.get_data())
    assert problem["status"] == answer.status_code
    assert set(problem) >= PROBLEM_MEMBERS


def test_no_request_to_any_route_gives_a_server_error(site: Site) -> None:
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(requests())
    def search(wish: dict[str, Any]) -> None:
        check(send(site, credentials(site, wish), wish))

    search()


# What the search found once, or what is too rare for it to find


@pytest.mark.parametrize("value", ["%00", "%ff", "%ed%a0%80", "1%00", "%F0%9F%92%A9", "a" * 5000, "9" * 400])
def test_no_path_gives_a_server_error(site: Site, value: str) -> None:
    client = site.client_for(site.admin("boss@example.com"))

    for path in ("/api/users/{}", "/api/users/roles/{}", "/api/users/{}/sessions", "/api/auth/sessions/{}", "/api/auth/docs/{}"):
        for method in ("GET", "POST", "PATCH", "DELETE"):
            check(client.open(path.format(value), method=method, json={}))


MOMENTS = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0999-01-01T00:00:00Z", "2026-02-30T00:00:00Z"]


def test_no_time_at_the_edge_of_the_calendar_gives_a_server_error(site: Site) -> None:
    client = site.client_for(site.admin("boss@example.com"))

    for moment in MOMENTS:
        for name in ("created_after", "created_before"):
            check(client.get("/api/users", query_string={name: moment}))


def test_no_forged_cursor_gives_a_server_error(site: Site) -> None:
    client = site.client_for(site.admin("boss@example.com"))
    values: list[Any] = [None, 5, -1, 10**30, "", "x", "\x00", "\ud800", [], {}, True, *MOMENTS]
    keys: list[Any] = [None, 1, "1", "-1", "9" * 18, "9" * 30, "\ud800", [], {}]

    for sort in ("id", "-created_at", "email"):
        for position in ([sort, value, key] for value in values for key in keys):
            cursor = base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")
            check(client.get("/api/users", query_string={"cursor": cursor, "sort": sort}))
    for broken in ("[]", "{}", "1", "[[],[],[]]", "null", "[" * 3000, '["id"'):
        cursor = base64.urlsafe_b64encode(broken.encode()).decode().rstrip("=")
        check(client.get("/api/users", query_string={"cursor": cursor[:1024]}))
