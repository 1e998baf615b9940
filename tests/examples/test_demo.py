"""The demo blog's own API, and how it lives with the accounts beside it."""

from __future__ import annotations

import re
from pathlib import Path

import examples.demo
import pytest
from examples.demo.models import Post, User

from flask_accounts.core.events import event_types
from flask_accounts.testing import PASSWORD

from .conftest import Demo

PROBLEM = "application/problem+json"


def test_anybody_reads(demo: Demo) -> None:
    ann = demo.person("ann", display_name="Ann Lee")
    first, second = demo.post(ann, "First"), demo.post(ann, "Second")

    listed = demo.client().get("/api/posts").get_json()
    one = demo.client().get(f"/api/posts/{first}").get_json()

    assert [post["id"] for post in listed["posts"]] == [second, first]
    assert (listed["total"], listed["pages"], listed["current_page"]) == (2, 1, 1)
    assert one["author"] == {"id": ann.id, "username": "ann", "name": "Ann Lee"}
    assert one["can"] == {"edit": False, "delete": False}
    assert one["published_at"].endswith("+00:00")


def test_posts_come_in_pages_and_by_author(demo: Demo) -> None:
    ann, ben = demo.person("ann"), demo.person("ben")
    for number in range(11):
        demo.post(ann, f"Post {number}")
    demo.post(ben, "Ben's")

    second = demo.client().get("/api/posts?page=2").get_json()
    bens = demo.client().get("/api/posts?author=Ben").get_json()

    assert [post["title"] for post in second["posts"]] == ["Post 1", "Post 0"]
    assert [post["title"] for post in bens["posts"]] == ["Ben's"]


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "page=99999999999999999999", "author=%00", "author="])
def test_no_query_breaks_the_list(demo: Demo, query: str) -> None:
    assert demo.client().get(f"/api/posts?{query}").status_code == 200


def test_a_person_writes_edits_and_deletes(demo: Demo) -> None:
    client = demo.client(demo.person("ann"))

    written = client.post("/api/posts", json={"title": " Bread ", "body": "Flour and time."})
    path = f"/api/posts/{written.get_json()['id']}"
    edited = client.patch(path, json={"title": "Bread, again", "body": "More time."})
    deleted = client.delete(path)

    assert (written.status_code, written.get_json()["title"]) == (201, "Bread")
    assert written.get_json()["can"] == {"edit": True, "delete": True}
    assert edited.get_json()["title"] == "Bread, again"
    assert edited.get_json()["edited_at"] is not None
    assert (deleted.status_code, client.get(path).status_code) == (204, 404)


@pytest.mark.requirement("ASVS 8.2.2")
def test_nobody_changes_or_deletes_what_somebody_else_wrote(demo: Demo) -> None:
    post = demo.post(demo.person("ann"))
    client = demo.client(demo.person("eve"))

    edited = client.patch(f"/api/posts/{post}", json={"title": "Mine", "body": "now"})
    deleted = client.delete(f"/api/posts/{post}")

    assert (edited.status_code, deleted.status_code) == (403, 403)
    assert demo.client().get(f"/api/posts/{post}").get_json()["title"] == "A title"


def test_a_moderator_deletes_any_post_and_edits_none(demo: Demo) -> None:
    post = demo.post(demo.person("ann"))
    client = demo.client(demo.person("mira", permissions=["posts:moderate"]))

    seen = client.get(f"/api/posts/{post}").get_json()
    edited = client.patch(f"/api/posts/{post}", json={"title": "Mine", "body": "now"})
    deleted = client.delete(f"/api/posts/{post}")

    assert seen["can"] == {"edit": False, "delete": True}
    assert (edited.status_code, deleted.status_code) == (403, 204)


@pytest.mark.requirement("ASVS 8.2.1")
def test_the_overview_is_for_administrators(demo: Demo) -> None:
    ann = demo.person("ann")
    demo.post(ann)

    refused = demo.client(ann).get("/api/overview")
    seen = demo.client(demo.person("ada", roles=["admin"])).get("/api/overview")

    assert (refused.status_code, refused.get_json()["code"]) == (403, "PERMISSION_DENIED")
    assert seen.get_json() == {"people": 2, "disabled": 0, "posts": 1}


def test_the_async_view_gives_a_person_their_own_posts(demo: Demo) -> None:
    ann = demo.person("ann")
    demo.post(ann, "Bread", "Flour.")
    demo.post(demo.person("ben"), "Not hers")

    answer = demo.client(ann).get("/api/archive")

    assert answer.mimetype == "text/markdown"
    assert answer.text.startswith("# Bread\n")
    assert "Not hers" not in answer.text
    assert demo.client().get("/api/archive").get_json()["code"] == "TOKEN_MISSING"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"title", "body"}),
        ({"title": "  ", "body": "x"}, {"title"}),
        ({"title": "x" * 121, "body": "x"}, {"title"}),
        ({"title": "x", "body": "x" * 16_001}, {"body"}),
        ({"title": "a\x00b", "body": "x"}, {"title"}),
        ({"title": "x", "body": 1}, {"body"}),
        ({"title": "x", "body": "y", "author_id": 1}, {"author_id"}),
    ],
)
def test_an_unfit_post_is_refused_field_by_field(demo: Demo, body: dict[str, object], fields: set[str]) -> None:
    answer = demo.client(demo.person("ann")).post("/api/posts", json=body)

    assert answer.status_code == 400
    assert {problem["field"] for problem in answer.get_json()["errors"]} == fields
    assert demo.count(Post) == 0


def test_what_is_no_json_is_refused(demo: Demo) -> None:
    client = demo.client(demo.person("ann"))

    assert client.post("/api/posts", data="title=x").status_code == 415
    assert client.post("/api/posts", data="{", content_type="application/json").status_code == 400
    assert client.post("/api/posts", data=b'{"title": "\\ud800", "body": "x"}', content_type="application/json").status_code == 400
    assert client.post("/api/posts", json={"title": "x", "body": "x" * 300_000}).status_code == 413


def test_the_hosts_errors_and_ours_keep_their_own_shapes(demo: Demo) -> None:
    client = demo.client()

    hosts = [client.get("/api/posts/999"), client.get("/api/nothing"), client.put("/api/posts")]
    ours = [
        client.get("/api/auth/me"),
        client.put("/api/auth/login"),
        client.post("/api/auth/login", data="x"),
        client.post("/api/posts"),
    ]

    assert [answer.status_code for answer in hosts] == [404, 404, 405]
    assert all(answer.mimetype == "application/json" and list(answer.get_json()) == ["error"] for answer in hosts)
    assert hosts[2].headers["Allow"]
    assert [answer.status_code for answer in ours] == [401, 405, 415, 401]
    assert all(answer.mimetype == PROBLEM and answer.get_json()["code"] for answer in ours)
    assert ours[3].headers["WWW-Authenticate"].startswith("Bearer")
    assert client.get("/nothing").mimetype == "text/html"


# The host's own user class and schemas


def test_own_columns_are_registered_changed_and_shown(demo: Demo) -> None:
    given = {"email": "ann@example.com", "username": "ann", "password": PASSWORD, "display_name": " Ann Lee "}

    registered = demo.client().post("/api/auth/register", json=given, headers={"X-Token-Transport": "headers"}).get_json()
    bearer = {"Authorization": f"Bearer {registered['access_token']}"}
    changed = demo.client().patch("/api/auth/me", json={"bio": "Bakes.", "display_name": "Ann"}, headers=bearer)
    nulled = demo.client().patch("/api/auth/me", json={"bio": None}, headers=bearer)

    assert registered["user"]["display_name"] == "Ann Lee"
    assert (changed.get_json()["bio"], changed.get_json()["display_name"]) == ("Bakes.", "Ann")
    assert nulled.status_code == 400
    assert demo.client().get("/api/auth/me", headers=bearer).get_json()["bio"] == "Bakes."


def test_registering_asks_for_a_username(demo: Demo) -> None:
    answer = demo.client().post("/api/auth/register", json={"email": "ann@example.com", "password": PASSWORD})

    assert [problem["field"] for problem in answer.get_json()["errors"]] == ["username"]


@pytest.mark.requirement("ASVS 15.3.3")
@pytest.mark.parametrize("name", ["roles", "is_active", "id", "password_hash", "posts"])
def test_mass_assignment_at_registration_is_refused_by_name(demo: Demo, name: str) -> None:
    given = {"email": "eve@example.com", "username": "eve", "password": PASSWORD, name: ["admin"]}

    answer = demo.client().post("/api/auth/register", json=given)

    assert answer.status_code == 400
    assert [(problem["field"], problem["code"]) for problem in answer.get_json()["errors"]] == [(name, "extra_forbidden")]
    assert demo.count(User) == 0


def test_the_contract_shows_own_fields(demo: Demo) -> None:
    schemas = demo.client().get("/api/auth/openapi.json").get_json()["components"]["schemas"]

    assert any({"display_name", "bio", "email"} <= schema.get("properties", {}).keys() for schema in schemas.values())


def test_what_a_disabled_person_wrote_is_hidden_until_the_account_is_enabled(demo: Demo) -> None:
    ben, admin = demo.person("ben"), demo.client(demo.person("ada", roles=["admin"]))
    post = demo.post(ben)
    paths = ("/api/posts", "/api/posts?author=ben", f"/api/posts/{post}")

    admin.post(f"/api/users/{ben.id}/disable")
    hidden = [admin.get(path) for path in paths]
    admin.post(f"/api/users/{ben.id}/enable")
    shown = [admin.get(path) for path in paths]

    assert [answer.status_code for answer in hidden] == [200, 200, 404]
    assert [answer.get_json()["posts"] for answer in hidden[:2]] == [[], []]
    assert [answer.get_json()["total"] for answer in shown[:2]] == [1, 1]
    assert shown[2].get_json()["id"] == post


def test_posts_go_with_their_authors_account(demo: Demo) -> None:
    ann, ben = demo.person("ann"), demo.person("ben")
    demo.post(ann)
    demo.post(ben)

    answer = demo.client(ann).delete("/api/auth/me")
    shown = demo.client().get("/api/posts").get_json()["total"]
    demo.testing.clock.move(days=31)
    purged = demo.app.test_cli_runner().invoke(args=["accounts", "purge"])

    assert (answer.status_code, shown) == (204, 1)
    assert purged.exit_code == 0, purged.output
    assert demo.count(Post) == 1


# What the page says


def test_every_event_has_its_words_on_the_page() -> None:
    script = (Path(examples.demo.__file__).parent / "static/js/views/activity.js").read_text()
    worded = set(re.findall(r'^  "([a-z_]+\.[a-z_]+)": \(', script, re.MULTILINE))
    ours = {event.name for event in event_types() if event.__module__.startswith("flask_accounts.")}

    assert ours - worded == set()
