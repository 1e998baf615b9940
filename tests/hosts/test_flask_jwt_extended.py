"""Plain Flask-JWT-Extended in host code: its decorators keep working, honour revocation, and its configuration drives ours."""

# Flask-JWT-Extended leaves its decorators untyped.
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import flask_jwt_extended as fje
import jwt
import pytest
from flask import Flask, jsonify
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts, ConfigurationError, login_required
from flask_accounts import current_principal as our_current_principal
from flask_accounts import current_user as our_current_user
from flask_accounts.testing import PASSWORD, AccountsTesting
from tests.conftest import KEY, MakeSite, Site, bearer
from tests.hosts.conftest import MakeApp

ANN = "ann@example.com"


def views(app: Flask, db: SQLAlchemy) -> None:
    @app.get("/plain")
    @fje.jwt_required()
    def plain() -> dict[str, Any]:
        return {
            "identity": fje.get_jwt_identity(),
            "sid": fje.get_jwt().get("sid"),
            "theirs": fje.current_user.email,
            "ours": our_current_user.email,
            "same": fje.current_user == our_current_user._get_current_object(),
        }

    @app.get("/optional")
    @fje.jwt_required(optional=True)
    def optional() -> dict[str, Any]:
        return {"identity": fje.get_jwt_identity()}

    @app.get("/fresh")
    @fje.jwt_required(fresh=True)
    def fresh() -> dict[str, Any]:
        return {"identity": fje.get_jwt_identity()}

    @app.post("/refreshing")
    @fje.jwt_required(refresh=True)
    def refreshing() -> dict[str, Any]:
        return {"identity": fje.get_jwt_identity()}

    @app.get("/claims")
    @fje.jwt_required()
    def claims() -> dict[str, Any]:
        return dict(fje.get_jwt())

    @app.post("/change")
    @fje.jwt_required()
    def change() -> dict[str, Any]:
        return {"identity": fje.get_jwt_identity()}

    @app.get("/ours")
    @login_required
    def ours() -> dict[str, Any]:
        return {"email": our_current_user.email}


@pytest.fixture
def host(make_site: MakeSite) -> Site:
    return make_site(views=views)


def get(site: Site, path: str, token: str) -> tuple[int, Any]:
    answer = site.client.get(path, headers=bearer(token))
    return answer.status_code, answer.get_json()


# The decorators


def test_plain_jwt_required_knows_the_person(host: Site) -> None:
    ann = host.user(ANN)
    tokens = host.tokens(ANN)

    status, shown = get(host, "/plain", tokens["access_token"])

    assert status == 200
    assert shown["identity"] == str(ann.id)
    assert shown["theirs"] == shown["ours"] == ANN
    assert shown["same"]
    assert shown["sid"]


def test_plain_jwt_required_costs_one_statement_and_the_person_one_more(host: Site) -> None:
    client = host.client_for(host.user(ANN))
    counted = {}
    for path in ("/claims", "/plain"):
        host.statements.clear()
        assert client.get(path).status_code == 200
        counted[path] = len(host.statements)

    assert counted == {"/claims": 1, "/plain": 2}


def test_optional_lets_nobody_pass(host: Site) -> None:
    assert host.client.get("/optional").get_json() == {"identity": None}
    ann = host.user(ANN)
    assert host.client_for(ann).get("/optional").get_json() == {"identity": str(ann.id)}


def test_fresh_is_recent_authentication_by_the_setting_and_the_apps_clock(make_site: MakeSite) -> None:
    host = make_site(views=views, config={"ACCOUNTS_SESSIONS_FRESH_FOR": 60})
    host.user(ANN)
    token = host.tokens(ANN)["access_token"]
    host.testing.clock.move(seconds=59)
    assert get(host, "/fresh", token)[0] == 200

    host.testing.clock.move(seconds=2)

    status, problem = get(host, "/fresh", token)
    assert (status, problem["code"]) == (401, "REAUTHENTICATION_REQUIRED")
    assert get(host, "/plain", token)[0] == 200


def test_refresh_takes_the_refresh_token_and_only_it(host: Site) -> None:
    ann = host.user(ANN)
    tokens = host.tokens(ANN)

    good = host.client.post("/refreshing", headers=bearer(tokens["refresh_token"]))
    wrong = host.client.post("/refreshing", headers=bearer(tokens["access_token"]))
    other_way = host.client.get("/plain", headers=bearer(tokens["refresh_token"]))

    assert good.get_json() == {"identity": str(ann.id)}
    assert (wrong.status_code, wrong.get_json()["code"]) == (401, "WRONG_TOKEN_TYPE")
    assert (other_way.status_code, other_way.get_json()["code"]) == (401, "WRONG_TOKEN_TYPE")


@pytest.mark.requirement("ASVS 16.3.3")
def test_a_refresh_token_that_was_exchanged_is_no_longer_good_for_plain_refresh_views(host: Site) -> None:
    host.user(ANN)
    old = host.tokens(ANN)["refresh_token"]
    assert host.client.post("/api/auth/refresh", headers=bearer(old)).status_code == 200

    answer = host.client.post("/refreshing", headers=bearer(old))

    assert (answer.status_code, answer.get_json()["code"]) == (401, "TOKEN_REVOKED")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "TOKEN_MISSING"),
        (bearer("not.a.token"), "INVALID_TOKEN"),
        (bearer("x" * 9000), "INVALID_TOKEN"),
        ({"Authorization": "Bearer"}, "INVALID_TOKEN"),
        ({"Authorization": "Basic YTpi"}, "TOKEN_MISSING"),
    ],
)
def test_what_is_wrong_is_said_in_problem_details(host: Site, headers: dict[str, str], code: str) -> None:
    answer = host.client.get("/plain", headers=headers)

    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
    assert answer.get_json()["code"] == code
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_an_expired_token_is_said_to_be_expired(host: Site) -> None:
    host.user(ANN)
    token = host.tokens(ANN)["access_token"]
    host.testing.clock.move(minutes=16)

    status, problem = get(host, "/plain", token)

    assert (status, problem["code"]) == (401, "TOKEN_EXPIRED")


# Revocation, at the very next request


@pytest.mark.requirement("ASVS 7.4.1")
@pytest.mark.requirement("ASVS 7.4.2")
@pytest.mark.requirement("ASVS 7.4.3")
@pytest.mark.parametrize("how", ["logout", "disable", "delete", "password change", "revoke_all", "by claims"])
def test_revocation_is_honoured_at_the_very_next_request(host: Site, how: str) -> None:
    ann = host.user(ANN)
    tokens = host.tokens(ANN)
    other = host.tokens(ANN)
    access, refresh = tokens["access_token"], tokens["refresh_token"]
    assert get(host, "/plain", access)[0] == 200

    if how == "logout":
        host.client.post("/api/auth/logout", headers=bearer(access))
    elif how == "password change":
        body = {"current_password": PASSWORD, "new_password": "something else entirely"}
        assert host.client.post("/api/auth/password/change", headers=bearer(other["access_token"]), json=body).status_code == 204
    else:
        with host.app.app_context():
            if how == "disable":
                host.accounts.users.disable(ann.id)
            elif how == "delete":
                host.accounts.users.delete(ann.id)
            elif how == "revoke_all":
                assert host.accounts.sessions.revoke_all(ann.id) == 2
            else:
                host.accounts.sessions.revoke_token(jwt.decode(access, options={"verify_signature": False}))
            host.db.session.commit()

    for path in ("/plain", "/fresh", "/ours", "/optional"):
        status, problem = get(host, path, access)
        assert (status, problem["code"]) == (401, "TOKEN_REVOKED"), path
    again = host.client.post("/refreshing", headers=bearer(refresh))
    assert (again.status_code, again.get_json()["code"]) == (401, "TOKEN_REVOKED")


# Tokens that host code mints itself


def mint(site: Site, user: Any, **kwargs: Any) -> str:
    with site.app.app_context():
        token: str = fje.create_access_token(user, **kwargs)
    return token


@pytest.mark.parametrize("key", ["int", "uuid7"])
@pytest.mark.parametrize("what", ["user", "key", "text"])
def test_a_token_minted_of_a_user_or_a_key(make_site: MakeSite, key: str, what: str) -> None:
    host = make_site(views=views, user_key=key)
    ann = host.user(ANN)

    token = mint(host, {"user": ann, "key": ann.id, "text": str(ann.id)}[what])

    status, shown = get(host, "/plain", token)
    assert (status, shown["identity"], shown["theirs"], shown["sid"]) == (200, str(ann.id), ANN, None)
    assert jwt.decode(token, options={"verify_signature": False})["sub"] == str(ann.id)


def test_a_minted_token_keeps_to_the_apps_clock(host: Site) -> None:
    ann = host.user(ANN)
    host.testing.clock.move(days=-3)
    token = mint(host, ann)
    assert get(host, "/plain", token)[0] == 200

    host.testing.clock.move(minutes=16)

    assert get(host, "/plain", token)[1]["code"] == "TOKEN_EXPIRED"


def test_a_minted_token_with_what_flask_jwt_extended_offers(host: Site) -> None:
    ann = host.user(ANN)

    token = mint(host, ann, fresh=timedelta(minutes=5), expires_delta=timedelta(minutes=2), additional_claims={"shop": 7})

    claims = get(host, "/claims", token)[1]
    assert claims["shop"] == 7
    assert claims["exp"] - claims["iat"] == 120
    assert get(host, "/fresh", token)[0] == 200
    endless = mint(host, ann, expires_delta=False)
    assert get(host, "/plain", endless)[1]["code"] == "INVALID_TOKEN", "a token that never expires is none of ours"


@pytest.mark.requirement("ASVS 8.3.2")
def test_a_minted_token_gives_the_rights_its_account_has_now_not_those_it_claims(make_site: MakeSite) -> None:
    def more(app: Flask, db: SQLAlchemy) -> None:
        @app.get("/caller")
        @fje.jwt_required()
        def caller() -> dict[str, Any]:
            found = our_current_principal
            return {
                "id": found.user_id, "email": found.user.email, "roles": sorted(found.roles), "all": found.can("users:read"),
                "session": found.session_id, "shop": found.claims["shop"],
            }  # fmt: skip

    host = make_site(views=more)
    ann, root = host.user(ANN), host.user("root@example.com", roles=["admin"])
    claims = {"shop": 7, "roles": ["admin"], "permissions": ["*"]}

    shown = get(host, "/caller", mint(host, ann, additional_claims=claims))[1]
    powerful = get(host, "/caller", mint(host, root, additional_claims=claims))[1]

    assert shown == {"id": ann.id, "email": ANN, "roles": [], "all": False, "session": None, "shop": 7}
    assert powerful == shown | {"id": root.id, "email": "root@example.com", "roles": ["admin"], "all": True}


@pytest.mark.requirement("ASVS 7.4.1")
def test_a_minted_token_is_revoked_by_its_claims_alone(host: Site) -> None:
    ann = host.user(ANN)
    first, second = mint(host, ann), mint(host, ann)

    with host.app.app_context():
        for _ in range(2):  # twice is no error (RFC 7009 section 2.2)
            host.accounts.sessions.revoke_token(fje.decode_token(first))
        host.db.session.commit()

    assert get(host, "/plain", first)[1]["code"] == "TOKEN_REVOKED"
    assert get(host, "/plain", second)[0] == 200


@pytest.mark.requirement("ASVS 7.4.2")
@pytest.mark.parametrize("how", ["disable", "delete"])
def test_a_minted_token_dies_with_its_account(host: Site, how: str) -> None:
    ann = host.user(ANN)
    token = mint(host, ann)
    with host.app.app_context():
        getattr(host.accounts.users, how)(ann.id)
        host.db.session.commit()

    assert get(host, "/plain", token)[1]["code"] == "TOKEN_REVOKED"


@pytest.mark.parametrize("subject", ["999999", "ann", "1 or 1=1", "-1", "", "١"])
def test_a_token_of_nobody_is_refused(host: Site, subject: str) -> None:
    host.user(ANN)
    now = int(host.testing.clock.now().timestamp())
    claims = {"sub": subject, "jti": str(uuid4()), "iat": now, "exp": now + 60, "type": "access", "fresh": False}

    status, problem = get(host, "/plain", jwt.encode(claims, KEY, "HS256"))

    assert status == 401
    assert problem["code"] in ("TOKEN_REVOKED", "INVALID_TOKEN")


def test_expired_rows_of_minted_tokens_are_purged(host: Site) -> None:
    token = mint(host, host.user(ANN, email_verified=True))
    with host.app.app_context():
        host.accounts.sessions.revoke_token(fje.decode_token(token))
        host.db.session.commit()
        host.testing.clock.move(hours=1)

        assert host.accounts.runtime.purge() == 1


# A host's own JWTManager


def own_manager(app: Flask) -> fje.JWTManager:
    manager = fje.JWTManager(app)
    manager.unauthorized_loader(lambda reason: (jsonify(msg="mine: sign in"), 401))
    manager.additional_claims_loader(lambda identity: {"shop": 7})
    return manager


def host_with_own_manager(make_app: MakeApp, manage: Any = own_manager) -> Site:
    app = make_app()
    db = SQLAlchemy()
    accounts = Accounts(db)
    manage(app)
    accounts.init_app(app)
    views(app, db)
    with app.app_context():
        db.create_all()
    return Site(app, db, accounts, AccountsTesting(app))


def test_a_hosts_own_manager_keeps_its_loaders_and_honours_revocation(make_app: MakeApp) -> None:
    host = host_with_own_manager(make_app)
    ann = host.user(ANN)
    access = host.tokens(ANN)["access_token"]

    assert host.client.get("/plain").get_json() == {"msg": "mine: sign in"}
    assert host.client.get("/ours").get_json()["code"] == "TOKEN_MISSING", "ours says it in our words"
    status, shown = get(host, "/plain", access)
    assert (status, shown["theirs"]) == (200, ANN)
    assert get(host, "/claims", access)[1]["shop"] == 7, "its claims are in our tokens too"
    with host.app.app_context():
        host.accounts.sessions.revoke_all(ann.id)
        host.db.session.commit()
    status, problem = get(host, "/plain", access)
    assert (status, problem["code"]) == (401, "TOKEN_REVOKED")
    assert get(host, "/ours", access)[0] == 401


def test_a_manager_that_comes_after_accounts_is_refused_with_the_remedy_before_any_token_is_made(make_app: MakeApp) -> None:
    """It would take the place of ours in silence, and plain `@jwt_required()` would honour no revocation."""
    app = make_app()
    accounts = Accounts(SQLAlchemy(), app)
    own_manager(app)
    with app.app_context():
        accounts.db.create_all()
    user = AccountsTesting(app).make_user(ANN)

    with app.app_context(), pytest.raises(ConfigurationError, match=r"JWTManager\(app\) was called after.*Call it before"):
        accounts.sessions.open(user)


def test_a_hosts_own_blocklist_and_user_lookup_are_kept(make_app: MakeApp) -> None:
    blocked: set[str] = set()

    def manage(app: Flask) -> None:
        manager = fje.JWTManager(app)
        manager.token_in_blocklist_loader(lambda header, claims: claims["jti"] in blocked)
        manager.user_lookup_loader(lambda header, claims: {"mine": claims["sub"]})

    host = host_with_own_manager(make_app, manage)
    ann = host.user(ANN)
    access = host.tokens(ANN)["access_token"]
    with host.app.test_request_context(headers=bearer(access)):
        fje.verify_jwt_in_request()
        assert fje.get_current_user() == {"mine": str(ann.id)}

    blocked.add(jwt.decode(access, options={"verify_signature": False})["jti"])

    assert get(host, "/claims", access)[0] == 401


# Claims and configuration


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def test_an_additional_claims_loader_adds_to_our_tokens_and_overrides_nothing(host: Site) -> None:
    manager: fje.JWTManager = host.app.extensions["flask-jwt-extended"]
    manager.additional_claims_loader(lambda identity: {"shop": 7, "sub": "1", "type": "refresh", "exp": 1})
    ann = host.user(ANN)

    tokens = host.tokens(ANN)

    access = claims_of(tokens["access_token"])
    assert (access["shop"], access["sub"], access["type"]) == (7, str(ann.id), "access")
    assert get(host, "/plain", tokens["access_token"])[0] == 200


@pytest.mark.parametrize("expires", [60, timedelta(seconds=60)])
def test_the_access_lifetime_as_a_number_or_a_time(make_site: MakeSite, expires: Any) -> None:
    host = make_site(views=views, config={"JWT_ACCESS_TOKEN_EXPIRES": expires})
    host.user(ANN)
    tokens = host.tokens(ANN)
    claims = claims_of(tokens["access_token"])

    assert tokens["expires_in"] == 60
    assert 59 <= claims["exp"] - claims["iat"] <= 60
    host.testing.clock.move(seconds=61)
    assert get(host, "/plain", tokens["access_token"])[1]["code"] == "TOKEN_EXPIRED"


@pytest.mark.parametrize("expires", [3600, timedelta(hours=1)])
def test_the_idle_lifetime_is_flask_jwt_extendeds_refresh_lifetime(make_site: MakeSite, expires: Any) -> None:
    host = make_site(config={"JWT_REFRESH_TOKEN_EXPIRES": expires})
    host.user(ANN)
    tokens = host.tokens(ANN)
    assert tokens["refresh_expires_in"] == 3600

    host.testing.clock.move(minutes=61)

    assert host.client.post("/api/auth/refresh", headers=bearer(tokens["refresh_token"])).status_code == 401


def test_an_idle_lifetime_of_false_leaves_the_absolute_one(make_site: MakeSite) -> None:
    host = make_site(config={"JWT_REFRESH_TOKEN_EXPIRES": False, "ACCOUNTS_SESSIONS_ABSOLUTE_LIFETIME": timedelta(days=90)})
    host.user(ANN)
    tokens = host.tokens(ANN)

    host.testing.clock.move(days=89)

    assert host.client.post("/api/auth/refresh", headers=bearer(tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize(
    ("config", "headers"),
    [
        ({"JWT_HEADER_NAME": "X-Token"}, lambda token: {"X-Token": f"Bearer {token}"}),
        ({"JWT_HEADER_TYPE": "JWT"}, lambda token: {"Authorization": f"JWT {token}"}),
        ({"JWT_HEADER_NAME": "X-Token", "JWT_HEADER_TYPE": ""}, lambda token: {"X-Token": token}),
    ],
)
def test_header_name_and_type(make_site: MakeSite, config: dict[str, Any], headers: Any) -> None:
    host = make_site(views=views, config=config)
    host.user(ANN)
    token = host.tokens(ANN)["access_token"]

    for path in ("/plain", "/ours", "/api/auth/me"):
        assert host.client.get(path, headers=headers(token)).status_code == 200, path
        assert host.client.get(path, headers=bearer(token)).status_code == 401, path


@pytest.mark.requirement("ASVS 9.2.3")
def test_issuer_and_audience(make_site: MakeSite) -> None:
    config = {
        "JWT_ENCODE_ISSUER": "https://a.example", "JWT_DECODE_ISSUER": "https://a.example",
        "JWT_ENCODE_AUDIENCE": "shop", "JWT_DECODE_AUDIENCE": "shop",
    }  # fmt: skip
    host = make_site(views=views, config=config)
    host.user(ANN)
    token = host.tokens(ANN)["access_token"]
    claims = claims_of(token)

    assert (claims["iss"], claims["aud"]) == ("https://a.example", "shop")
    for path in ("/plain", "/ours"):
        assert get(host, path, token)[0] == 200
        for wrong in ({"iss": "https://a"}, {"aud": "sho"}, {"iss": None}, {"aud": None}):
            forged = {name: value for name, value in (claims | wrong).items() if value is not None}
            assert get(host, path, jwt.encode(forged, KEY, "HS256"))[1]["code"] == "INVALID_TOKEN"


@pytest.mark.parametrize("leeway", [30, timedelta(seconds=30)])
def test_leeway(make_site: MakeSite, leeway: Any) -> None:
    host = make_site(views=views, config={"JWT_DECODE_LEEWAY": leeway, "JWT_ACCESS_TOKEN_EXPIRES": 60})
    host.user(ANN)
    token = host.tokens(ANN)["access_token"]

    host.testing.clock.move(seconds=80)
    assert (get(host, "/plain", token)[0], get(host, "/ours", token)[0]) == (200, 200)
    host.testing.clock.move(seconds=12)
    assert (get(host, "/plain", token)[0], get(host, "/ours", token)[0]) == (401, 401)


def test_another_algorithm(make_site: MakeSite) -> None:
    host = make_site(views=views, config={"JWT_ALGORITHM": "HS512"})
    host.user(ANN)
    token = host.tokens(ANN)["access_token"]

    assert jwt.get_unverified_header(token)["alg"] == "HS512"
    assert get(host, "/plain", token)[0] == get(host, "/ours", token)[0] == 200


def test_times_in_tokens_are_whole_seconds_of_the_apps_clock(host: Site) -> None:
    host.testing.clock.move(days=400)
    host.user(ANN)

    claims = claims_of(host.tokens(ANN)["access_token"])

    now = host.testing.clock.now()
    assert datetime.fromtimestamp(claims["iat"], UTC) == now.replace(microsecond=0)
    assert claims["nbf"] == claims["iat"]


# Transports


def sign_in(client: FlaskClient, **kwargs: Any) -> dict[str, Any]:
    answer = client.post("/api/auth/login", json={"email": ANN, "password": PASSWORD}, **kwargs)
    assert answer.status_code == 200
    body: dict[str, Any] = answer.get_json()
    return body


def csrf(client: FlaskClient, name: str = "csrf_access_token") -> dict[str, str]:
    cookie = client.get_cookie(name)
    assert cookie
    return {"X-CSRF-TOKEN": cookie.value}


@pytest.mark.parametrize("location", ["cookies", ["cookies"]])
def test_cookies(make_site: MakeSite, location: Any) -> None:
    host = make_site(views=views, config={"JWT_TOKEN_LOCATION": location})
    host.user(ANN)
    client = host.client

    body = sign_in(client)

    assert "access_token" not in body
    assert "refresh_token" not in body
    assert client.get_cookie("__Host-access_token")
    for path in ("/plain", "/ours", "/api/auth/me"):
        assert client.get(path).status_code == 200, path
    assert client.post("/change").status_code == 403, "CSRF"
    assert client.post("/change", headers=csrf(client)).status_code == 200
    refreshing = csrf(client, "csrf_refresh_token")
    assert client.post("/refreshing", headers=refreshing).status_code == 200
    assert client.post("/api/auth/refresh", headers=refreshing).status_code == 200
    assert client.post("/api/auth/logout", headers=csrf(client)).status_code == 200
    assert client.get("/plain").status_code == 401


@pytest.mark.requirement("OWASP-SM 1")
def test_only_the_transport_that_is_configured_is_looked_at(make_site: MakeSite) -> None:
    by_header, by_cookie = make_site(views=views), make_site(views=views, config={"JWT_TOKEN_LOCATION": ["cookies"]})
    ann = by_header.user(ANN)
    token = by_header.testing.sign_in(ann).tokens.access_token
    client = by_header.client
    client.set_cookie("__Host-access_token", token)
    for path in ("/plain", "/ours"):
        assert client.get(path).status_code == 401
        assert by_cookie.client.get(path, headers=bearer(token)).status_code == 401


def test_cookie_names(make_site: MakeSite) -> None:
    names = {"JWT_ACCESS_COOKIE_NAME": "a", "JWT_REFRESH_COOKIE_NAME": "r", "JWT_ACCESS_CSRF_COOKIE_NAME": "ac"}
    host = make_site(views=views, config={"JWT_TOKEN_LOCATION": ["cookies"], **names})
    host.user(ANN)
    client = host.client

    sign_in(client)

    assert client.get_cookie("a")
    assert client.get_cookie("r")
    assert client.post("/change", headers=csrf(client, "ac")).status_code == 200


@pytest.mark.parametrize(
    ("config", "prefixed"),
    [
        ({}, (True, True)),
        ({"JWT_COOKIE_SECURE": False}, (False, False)),
        ({"JWT_COOKIE_DOMAIN": "example.com"}, (False, False)),
        ({"JWT_REFRESH_COOKIE_PATH": "/api/auth/refresh"}, (True, False)),
        ({"JWT_ACCESS_COOKIE_PATH": "/api"}, (False, True)),
    ],
)
@pytest.mark.requirement("ASVS 3.3.3")
def test_the_host_prefix_is_used_only_where_browsers_take_it(
    make_site: MakeSite, config: dict[str, Any], prefixed: tuple[bool, bool]
) -> None:
    """A `__Host-` cookie that names a domain, another path than `/`, or is not Secure is dropped by every browser."""
    host = make_site(config={"JWT_TOKEN_LOCATION": ["cookies"], **config})

    names = (host.app.config["JWT_ACCESS_COOKIE_NAME"], host.app.config["JWT_REFRESH_COOKIE_NAME"])

    assert tuple(name.startswith("__Host-") for name in names) == prefixed


@pytest.mark.parametrize("location", [["headers", "cookies"], ["cookies", "headers"]])
def test_where_both_are_allowed_the_client_says_which_it_wants(make_site: MakeSite, location: list[str]) -> None:
    host = make_site(views=views, config={"JWT_TOKEN_LOCATION": location})
    host.user(ANN)

    default, header, cookie = host.client, host.client, host.client
    first = sign_in(default)
    by_header = sign_in(header, headers={"X-Token-Transport": "headers"})
    by_cookie = sign_in(cookie, headers={"X-Token-Transport": "cookies"})

    assert ("access_token" in first) == (location[0] == "headers")
    assert by_header["access_token"]
    assert header.get_cookie("__Host-access_token") is None
    assert "access_token" not in by_cookie
    assert cookie.get("/plain").status_code == cookie.get("/ours").status_code == 200
    assert cookie.post("/change").status_code == 403
    assert cookie.post("/change", headers=csrf(cookie)).status_code == 200
    token = bearer(by_header["access_token"])
    assert host.client.get("/plain", headers=token).status_code == 200
    assert host.client.post("/change", headers=token).status_code == 200, "no CSRF check where no cookie was used"
    odd = sign_in(host.client, headers={"X-Token-Transport": "pigeon"})
    assert ("access_token" in odd) == (location[0] == "headers")


def test_without_csrf_protection_where_the_host_turned_it_off(make_site: MakeSite) -> None:
    host = make_site(views=views, config={"JWT_TOKEN_LOCATION": ["cookies"], "JWT_COOKIE_CSRF_PROTECT": False})
    host.user(ANN)
    client = host.client
    sign_in(client)

    assert client.post("/change").status_code == 200
    assert client.patch("/api/auth/me", json={"username": "Ann"}).status_code == 200
