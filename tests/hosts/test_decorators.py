"""`login_required` and its kin, `current_user` and `current_principal`, wherever a host puts its views."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import flask_restful
import flask_restx
import pytest
from flask import Blueprint, Flask, abort, jsonify
from flask.testing import FlaskClient
from flask.views import MethodView
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from flask_accounts import (
    UserMixin,
    current_principal,
    current_user,
    login_required,
    permissions_required,
    roles_required,
)
from tests.conftest import MakeSite, Site, bearer

ANN = "ann@example.com"
Decorate = Callable[[Callable[..., Any]], Callable[..., Any]]


def who() -> dict[str, Any]:
    return {"email": current_user.email}


async def who_async() -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"email": current_user.email}


# How a host serves one guarded view at /guarded


def as_view(app: Flask, guard: Decorate) -> None:
    app.add_url_rule("/guarded", "guarded", guard(who))


def as_async_view(app: Flask, guard: Decorate) -> None:
    app.add_url_rule("/guarded", "guarded", guard(who_async))


def as_method_view(app: Flask, guard: Decorate) -> None:
    class View(MethodView):
        decorators = [guard]

        def get(self) -> dict[str, Any]:
            return who()

    app.add_url_rule("/guarded", view_func=View.as_view("guarded"))


def as_guarded_method(app: Flask, guard: Decorate) -> None:
    class View(MethodView):
        @guard
        def get(self) -> dict[str, Any]:
            return who()

    app.add_url_rule("/guarded", view_func=View.as_view("guarded"))


def as_async_guarded_method(app: Flask, guard: Decorate) -> None:
    class View(MethodView):
        @guard
        async def get(self) -> dict[str, Any]:
            return await who_async()

    app.add_url_rule("/guarded", view_func=View.as_view("guarded"))


def in_a_blueprint_with_handlers_of_its_own_for_other_things(app: Flask, guard: Decorate) -> None:
    blueprint = Blueprint("posts", __name__)
    blueprint.errorhandler(404)(lambda error: ("no post", 404))
    blueprint.add_url_rule("/guarded", "guarded", guard(who))
    app.register_blueprint(blueprint)


def in_restx(app: Flask, guard: Decorate) -> None:
    api = flask_restx.Api(app, doc=False)

    @api.route("/guarded")
    class Guarded(flask_restx.Resource):  # type: ignore[misc]  # the package is untyped
        @guard
        def get(self) -> dict[str, Any]:
            return who()


def in_restx_by_method_decorators(app: Flask, guard: Decorate) -> None:
    api = flask_restx.Api(app, doc=False)

    @api.route("/guarded")
    class Guarded(flask_restx.Resource):  # type: ignore[misc]  # the package is untyped
        method_decorators = [guard]

        def get(self) -> dict[str, Any]:
            return who()


def in_restful(app: Flask, guard: Decorate) -> None:
    api = flask_restful.Api(app)

    class Guarded(flask_restful.Resource):  # type: ignore[misc]  # the package is untyped
        @guard
        def get(self) -> dict[str, Any]:
            return who()

    api.add_resource(Guarded, "/guarded")


def in_restful_by_method_decorators(app: Flask, guard: Decorate) -> None:
    api = flask_restful.Api(app)

    class Guarded(flask_restful.Resource):  # type: ignore[misc]  # the package is untyped
        method_decorators = [guard]

        def get(self) -> dict[str, Any]:
            return who()

    api.add_resource(Guarded, "/guarded")


PLACES = [
    as_view, as_async_view, as_method_view, as_guarded_method, as_async_guarded_method,
    in_a_blueprint_with_handlers_of_its_own_for_other_things,
    in_restx, in_restx_by_method_decorators, in_restful, in_restful_by_method_decorators,
]  # fmt: skip
MODES: list[dict[str, Any]] = [
    {"TESTING": True, "DEBUG": False, "PROPAGATE_EXCEPTIONS": None},
    {"TESTING": False, "DEBUG": False, "PROPAGATE_EXCEPTIONS": None},
    {"TESTING": False, "DEBUG": False, "PROPAGATE_EXCEPTIONS": True},
    {"TESTING": False, "DEBUG": True, "PROPAGATE_EXCEPTIONS": False},
    {"TESTING": False, "DEBUG": True, "PROPAGATE_EXCEPTIONS": None},
]


@pytest.fixture(params=PLACES, ids=lambda place: place.__name__)
def place(request: pytest.FixtureRequest) -> Callable[[Flask, Decorate], None]:
    found: Callable[[Flask, Decorate], None] = request.param
    return found


def guarded_site(make_site: MakeSite, place: Callable[[Flask, Decorate], None], guard: Decorate) -> Site:
    return make_site(views=lambda app, db: place(app, guard))


def assert_problem(answer: TestResponse, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    body = answer.get_json(force=True)
    assert body["code"] == code
    assert body["status"] == status
    assert body["error"] == body["title"]
    # Flask-RESTX and Flask-RESTful put their own content type on whatever body an exception has.
    assert answer.mimetype in ("application/problem+json", "application/json")
    if status == 401:
        assert answer.headers.getlist("WWW-Authenticate")[0].startswith("Bearer")


def test_nobody_and_the_unfit_are_refused_everywhere_in_every_mode(
    make_site: MakeSite, place: Callable[[Flask, Decorate], None]
) -> None:
    site = guarded_site(make_site, place, login_required(roles=["editor"]))
    ann, bea = site.user(ANN), site.user("bea@example.com", roles=["editor"])
    unfit, fit = site.client_for(ann), site.client_for(bea)
    for mode in MODES:
        site.app.config.update(mode)

        assert_problem(site.client.get("/guarded"), 401, "TOKEN_MISSING")
        broken = site.client.get("/guarded", headers=bearer("not.a.token"))
        assert_problem(broken, 401, "INVALID_TOKEN")
        assert 'error="invalid_token"' in broken.headers["WWW-Authenticate"]
        assert_problem(unfit.get("/guarded"), 403, "PERMISSION_DENIED")
        assert fit.get("/guarded").get_json() == {"email": "bea@example.com"}


@pytest.mark.requirement("ASVS 7.4.1")
def test_an_ended_session_is_refused_at_the_very_next_request(
    make_site: MakeSite, place: Callable[[Flask, Decorate], None]
) -> None:
    site = guarded_site(make_site, place, login_required)
    client = site.client_for(site.user(ANN))
    assert client.get("/guarded").get_json() == {"email": ANN}

    client.post("/api/auth/logout")

    assert_problem(client.get("/guarded"), 401, "TOKEN_REVOKED")


# What the decorators ask for


def serve(make_site: MakeSite, guard: Decorate, view: Callable[..., Any] = who, **kwargs: Any) -> Site:
    return make_site(views=lambda app, db: app.add_url_rule("/guarded", "guarded", guard(view)), **kwargs)


@pytest.mark.parametrize("guard", [login_required, login_required()], ids=["bare", "with parentheses"])
def test_login_required_bare_and_with_parentheses(make_site: MakeSite, guard: Decorate) -> None:
    site = serve(make_site, guard)

    assert site.client.get("/guarded").status_code == 401
    assert site.client_for(site.user()).get("/guarded").status_code == 200


@pytest.mark.parametrize("decorator", [login_required, login_required(), roles_required("a"), permissions_required("b")])
def test_a_decorated_view_keeps_its_name_and_docstring(decorator: Any) -> None:
    def view(post_id: int) -> str:
        """A post."""
        return str(post_id)

    assert decorator(view).__name__ == "view"
    assert decorator(view).__doc__ == "A post."


def test_url_variables_reach_the_view(make_site: MakeSite) -> None:
    def views(app: Flask, db: SQLAlchemy) -> None:
        @app.get("/posts/<int:post_id>")
        @login_required
        def post(post_id: int) -> dict[str, int]:
            return {"post": post_id}

    site = make_site(views=views)

    assert site.client_for(site.user()).get("/posts/7").get_json() == {"post": 7}


def test_fresh_asks_for_recent_authentication_by_the_setting(make_site: MakeSite) -> None:
    site = serve(make_site, login_required(fresh=True), config={"ACCOUNTS_SESSIONS_FRESH_FOR": 300})
    site.user(ANN)
    tokens = site.tokens(ANN)
    site.testing.clock.move(seconds=299)
    assert site.client.get("/guarded", headers=bearer(tokens["access_token"])).status_code == 200

    site.testing.clock.move(seconds=2)

    answer = site.client.get("/guarded", headers=bearer(tokens["access_token"]))
    assert_problem(answer, 401, "REAUTHENTICATION_REQUIRED")
    assert "insufficient_user_authentication" in answer.headers["WWW-Authenticate"]
    again = site.client.post(
        "/api/auth/reauthenticate", headers=bearer(tokens["access_token"]), json={"password": "correct horse battery staple"}
    )
    assert site.client.get("/guarded", headers=bearer(again.get_json()["access_token"])).status_code == 200


@pytest.mark.requirement("ASVS 7.5.1")
def test_refreshing_does_not_count_as_presence(make_site: MakeSite) -> None:
    site = serve(make_site, login_required(fresh=True))
    site.user(ANN)
    tokens = site.tokens(ANN)
    site.testing.clock.move(minutes=16)

    refreshed = site.client.post("/api/auth/refresh", headers=bearer(tokens["refresh_token"])).get_json()

    answer = site.client.get("/guarded", headers=bearer(refreshed["access_token"]))
    assert answer.get_json()["code"] == "REAUTHENTICATION_REQUIRED"


@pytest.mark.requirement("ASVS 7.5.3", "ASVS 10.3.4")
def test_fresh_takes_a_time_of_its_own(make_site: MakeSite) -> None:
    site = serve(make_site, login_required(fresh=timedelta(minutes=1)))
    client = site.client_for(site.user())
    site.testing.clock.move(seconds=59)
    assert client.get("/guarded").status_code == 200

    site.testing.clock.move(seconds=2)

    assert client.get("/guarded").get_json()["code"] == "REAUTHENTICATION_REQUIRED"


def test_a_fresh_time_of_nothing_is_not_no_condition(make_site: MakeSite) -> None:
    site = serve(make_site, login_required(fresh=timedelta(0)))
    client = site.client_for(site.user())
    site.testing.clock.move(seconds=1)

    assert client.get("/guarded").status_code == 401


def test_optional_lets_nobody_pass_as_nobody(make_site: MakeSite) -> None:
    def view() -> dict[str, Any]:
        from flask_accounts.core.identity import is_authenticated

        return {"signed_in": is_authenticated()}

    site = serve(make_site, login_required(optional=True), view)

    assert site.client.get("/guarded").get_json() == {"signed_in": False}
    assert site.client_for(site.user()).get("/guarded").get_json() == {"signed_in": True}
    wrong = site.client.get("/guarded", headers=bearer("x.y.z"))
    assert wrong.get_json()["code"] == "INVALID_TOKEN", "wrong credentials are an error, not nobody"


@pytest.mark.parametrize(
    ("guard", "passes"),
    [
        (roles_required("a", "b"), {"ab"}),
        (roles_required("a", "b", any_of=True), {"a", "b", "ab"}),
        (login_required(roles=["a"]), {"a", "ab"}),
        (login_required(roles=("a", "b")), {"ab"}),
        (permissions_required("posts:write", "posts:publish"), {"ab", "admin"}),
        (permissions_required("posts:write", "posts:publish", any_of=True), {"a", "b", "ab", "admin"}),
        (login_required(permissions=["posts:write"]), {"a", "ab", "admin"}),
        (login_required(roles=["a"], permissions=["posts:publish"]), {"ab"}),
    ],
)
def test_roles_and_permissions(make_site: MakeSite, guard: Decorate, passes: set[str]) -> None:
    site = serve(make_site, guard, config={"ACCOUNTS_ROLES_PERMISSIONS": ["posts:write", "posts:publish"]})
    with site.app.app_context():
        site.accounts.roles.create("a", permissions=["posts:write"])
        site.accounts.roles.create("b", permissions=["posts:publish"])
        site.db.session.commit()
    people = {"": [], "a": ["a"], "b": ["b"], "ab": ["a", "b"], "admin": ["admin"]}

    answers = {name: site.client_for(site.user(roles=roles)).get("/guarded").status_code for name, roles in people.items()}

    assert answers == {name: 200 if name in passes else 403 for name in people}


@pytest.mark.requirement("ASVS 8.3.2")
def test_a_role_taken_away_is_gone_with_the_next_request(make_site: MakeSite) -> None:
    site = serve(make_site, roles_required("editor"))
    ann = site.user(ANN, roles=["editor"])
    client = site.client_for(ann)
    assert client.get("/guarded").status_code == 200

    with site.app.app_context():
        site.accounts.roles.revoke(ann.id, "editor")
        site.db.session.commit()

    assert client.get("/guarded").status_code == 403


def test_one_name_instead_of_a_list_is_refused_while_the_module_is_read() -> None:
    for wrong in ({"roles": "admin"}, {"permissions": "posts:write"}):
        with pytest.raises(TypeError, match="a list of names"):
            login_required(**wrong)  # type: ignore[call-overload]  # that is the point


@pytest.mark.parametrize("decorator", [roles_required, permissions_required])
def test_a_decorator_that_asks_for_nothing_is_refused(decorator: Any) -> None:
    """`any_of` of nothing would refuse all, all of nothing would let every signed-in person pass; a bare use would hang a view."""
    with pytest.raises(TypeError, match="name"):
        decorator()

    with pytest.raises(TypeError, match="name"):
        decorator(lambda: "view")


@pytest.mark.requirement("ASVS 16.3.2")
def test_a_refusal_by_a_decorator_is_told_and_what_the_request_wrote_is_not_kept(make_site: MakeSite) -> None:
    from flask_accounts import events

    site = serve(make_site, roles_required("editor"))
    ann = site.user(ANN)
    client = site.client_for(ann)
    with site.testing.recorded() as recorded:
        client.get("/guarded")

    [refused] = recorded
    assert isinstance(refused, events.AccessRefused)
    assert (refused.user_id, refused.path, refused.reason) == (ann.id, "/guarded", "PERMISSION_DENIED")


# The person and the principal


def test_authenticating_costs_one_statement_and_the_person_one_more_when_touched(make_site: MakeSite) -> None:
    def views(app: Flask, db: SQLAlchemy) -> None:
        @app.get("/untouched")
        @login_required
        def untouched() -> dict[str, Any]:
            return {"id": current_principal.user_id, "email": current_principal.user.email}

        @app.get("/touched")
        @login_required
        def touched() -> dict[str, Any]:
            return {"email": current_user.email, "again": current_user.email, "id": current_user.id}

    site = make_site(views=views)
    client = site.client_for(site.user(ANN, roles=["editor"]))
    counted = {}
    for path in ("/untouched", "/touched"):
        site.statements.clear()
        assert client.get(path).get_json()["email"] == ANN
        counted[path] = len(site.statements)

    assert counted == {"/untouched": 1, "/touched": 2}


def test_several_decorators_and_both_proxies_authenticate_once(make_site: MakeSite) -> None:
    def stacked(view: Callable[..., Any]) -> Callable[..., Any]:
        return login_required(roles_required("editor")(permissions_required("*", any_of=True)(view)))

    site = serve(make_site, stacked, lambda: {"id": current_principal.user_id})
    client = site.client_for(site.user(roles=["editor", "admin"]))
    site.statements.clear()

    assert client.get("/guarded").status_code == 200
    assert len(site.statements) == 1


def test_current_user_is_the_orm_object_in_every_respect(make_site: MakeSite) -> None:
    def view() -> dict[str, Any]:
        from flask import current_app

        accounts_user = current_app.extensions["accounts"].users.model
        return {
            "isinstance": isinstance(current_user, accounts_user) and isinstance(current_user, UserMixin),
            "equal": current_user == current_app.extensions["accounts"].db.session.get(accounts_user, current_user.id),
            "shown": current_user.to_dict()["email"],
            "password": current_user.check_password("correct horse battery staple"),
            "verified": current_user.email_verified,
        }

    site = serve(make_site, login_required, view)

    answer = site.client_for(site.user(ANN)).get("/guarded")

    assert answer.get_json() == {"isinstance": True, "equal": True, "shown": ANN, "password": True, "verified": False}


def test_current_user_may_be_changed_and_committed(make_site: MakeSite) -> None:
    def views(app: Flask, db: SQLAlchemy) -> None:
        @app.post("/rename")
        @login_required
        def rename() -> dict[str, Any]:
            current_user.username = "Renamed"
            db.session.commit()
            return {"username": current_user.username}

    site = make_site(views=views)
    client = site.client_for(site.user(ANN))

    assert client.post("/rename").get_json() == {"username": "Renamed"}
    assert client.get("/api/auth/me").get_json()["username"] == "Renamed"


def test_current_user_after_a_rollback_is_still_the_person(make_site: MakeSite) -> None:
    def views(app: Flask, db: SQLAlchemy) -> None:
        @app.post("/try")
        @login_required
        def attempt() -> dict[str, Any]:
            current_user.username = "Nope"
            db.session.rollback()
            return {"username": current_user.username}

    site = make_site(views=views)

    assert site.client_for(site.user(ANN, username="Ann")).post("/try").get_json() == {"username": "Ann"}


def test_current_user_who_was_deleted_in_this_request_is_nobody(make_site: MakeSite) -> None:
    def views(app: Flask, db: SQLAlchemy) -> None:
        @app.delete("/account")
        @login_required
        def close() -> dict[str, Any]:
            app.extensions["accounts"].users.delete(current_principal.user_id)
            db.session.commit()
            return {"email": current_user.email}

    site = make_site(views=views)

    answer = site.client_for(site.user(ANN)).delete("/account")

    assert answer.status_code == 401
    assert answer.get_json()["code"] == "TOKEN_REVOKED"


@pytest.mark.parametrize("proxy", ["user", "principal"])
def test_touching_a_proxy_where_nobody_is_signed_in_is_a_401(make_site: MakeSite, proxy: str) -> None:
    def touch() -> dict[str, str]:
        return {"who": current_user.email if proxy == "user" else str(current_principal.user_id)}

    def views(app: Flask, db: SQLAlchemy) -> None:
        app.add_url_rule("/open", "open", touch)

    site = make_site(views=views)

    assert_problem(site.client.get("/open"), 401, "TOKEN_MISSING")
    assert site.client_for(site.user()).get("/open").status_code == 200, "no decorator is needed to ask who it is"


def test_the_principal_says_how_the_person_signed_in(make_site: MakeSite) -> None:
    def view() -> dict[str, Any]:
        principal = current_principal
        return {
            "id": principal.user_id,
            "roles": sorted(principal.roles),
            "session": str(principal.session_id),
            "sid": principal.claims["sid"],
            "amr": list(principal.amr),
            "role": principal.has_role("editor"),
            "admin": principal.can("anything:at:all"),
            "location": principal.location,
            "at": principal.auth_time.isoformat() if principal.auth_time else None,
        }

    site = serve(make_site, login_required, view)
    ann = site.user(ANN, roles=["editor"])

    shown = site.client_for(ann).get("/guarded").get_json()

    assert shown["session"] == shown["sid"]
    assert shown | {"session": "", "sid": ""} == {
        "id": ann.id, "roles": ["editor"], "session": "", "sid": "", "amr": ["pwd"], "role": True, "admin": False,
        "location": "headers", "at": site.testing.clock.now().replace(microsecond=0).isoformat(),
    }  # fmt: skip


def test_two_requests_do_not_share_a_person(make_site: MakeSite) -> None:
    site = serve(make_site, login_required)
    ann, bea = site.client_for(site.user(ANN)), site.client_for(site.user("bea@example.com"))

    emails = [client.get("/guarded").get_json()["email"] for client in (ann, bea, ann, bea)]

    assert emails == [ANN, "bea@example.com"] * 2
    assert site.client.get("/guarded").status_code == 401


def test_a_request_pushed_by_hand_knows_its_person(site: Site) -> None:
    token = site.testing.sign_in(site.user(ANN)).tokens.access_token

    with site.app.test_request_context(headers=bearer(token)):
        assert current_user.email == ANN


# The host's own error handlers


def with_handlers(app: Flask, db: SQLAlchemy) -> None:
    for code in (401, 403, 404, 405, 409, 500):
        app.register_error_handler(code, lambda error: (jsonify(host=getattr(error, "code", 500)), getattr(error, "code", 500)))
    app.add_url_rule("/guarded", "guarded", login_required(roles=["editor"])(who))
    app.add_url_rule("/broken", "broken", lambda: str(1 / 0))
    app.add_url_rule("/gone", "gone", lambda: abort(404))


def catch_all(app: Flask, db: SQLAlchemy) -> None:
    app.register_error_handler(Exception, lambda error: (jsonify(host="caught"), getattr(error, "code", 500)))
    app.add_url_rule("/gone", "gone", lambda: abort(404))


def library_answers(client: FlaskClient) -> list[tuple[int, str | None, str]]:
    answers = [
        client.get("/api/auth/me"),
        client.post("/api/auth/login", json={}),
        client.post("/api/auth/login", json={"email": ANN, "password": "wrong guess"}),
        client.put("/api/auth/login"),
        client.get("/api/users/999999"),
        client.post("/api/auth/login", data="x"),
    ]
    return [(answer.status_code, answer.mimetype, answer.get_json()["code"]) for answer in answers]


@pytest.mark.requirement("ASVS 16.5.4")
@pytest.mark.parametrize("views", [with_handlers, catch_all], ids=["by code", "Exception"])
def test_a_hosts_handlers_do_not_take_the_librarys_answers(make_site: MakeSite, views: Callable[[Flask, SQLAlchemy], None]) -> None:
    plain, handled = make_site(), make_site(views=views)
    handled.app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)

    assert library_answers(handled.client) == library_answers(plain.client)
    assert {answer[1] for answer in library_answers(plain.client)} == {"application/problem+json"}


@pytest.mark.requirement("ASVS 16.5.4")
def test_a_hosts_own_errors_stay_the_hosts(make_site: MakeSite) -> None:
    site = make_site(views=with_handlers)
    site.app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)

    assert site.client.get("/gone").get_json() == {"host": 404}
    assert site.client.get("/nowhere").get_json() == {"host": 404}
    assert site.client.get("/broken").get_json() == {"host": 500}
    assert site.client.get("/guarded").get_json() == {"host": 401}, "in the host's view the host's handler has the word"
    assert site.client_for(site.user()).get("/guarded").get_json() == {"host": 403}


def test_without_handlers_a_hosts_404_is_flasks_own_page(site: Site) -> None:
    assert site.client.get("/nowhere").mimetype == "text/html"


def test_a_blueprints_own_handler_has_the_word_in_its_views(make_site: MakeSite) -> None:
    def views(app: Flask, db: SQLAlchemy) -> None:
        blueprint = Blueprint("posts", __name__)
        blueprint.register_error_handler(401, lambda error: (f"sign in first: {error.error_code}", 401))
        blueprint.add_url_rule("/posts", "posts", login_required(who))
        app.register_blueprint(blueprint)
        app.add_url_rule("/other", "other", login_required(who))

    site = make_site(views=views)

    assert site.client.get("/posts").text == "sign in first: TOKEN_MISSING"
    assert site.client.get("/other").get_json()["code"] == "TOKEN_MISSING"
