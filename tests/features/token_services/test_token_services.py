"""Introspection (RFC 7662) and revocation (RFC 7009): who may ask, what is told, what it ends."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest
from flask import Flask
from flask_jwt_extended import create_access_token, create_refresh_token, jwt_required
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from flask_accounts import ConfigurationError, default_features
from flask_accounts.features.token_services import TokenServices
from tests.conftest import MakeSite, Site, bearer
from tests.security.forging import bent, claims_of

INTROSPECT, REVOKE = "/api/auth/introspect", "/api/auth/revoke"
SECRET, OLD = "Vd8t5YxWqk2hZrJ0uM7nTgB4cLpX1sAeO9fQyK3iRw6", "Ng4mQ0zXb7KvRtY2eHsC9wUjL5pAfD1oI8kTqMxE6yZ"
DIGEST = "sha256:" + hashlib.sha256(SECRET.encode()).hexdigest()
CLIENTS = {
    "orders": DIGEST,
    "support": {"secrets": [SECRET[::-1], OLD], "may_revoke": True},
    "janitor": {"secrets": [OLD[::-1]], "may_revoke": True, "may_introspect": False},
}
SECRETS = {"orders": SECRET, "support": OLD, "janitor": OLD[::-1]}


@pytest.fixture
def make(make_site: MakeSite) -> Callable[..., Site]:
    def make(*, limits: bool = False, views: Any = None, **config: Any) -> Site:
        given = {"ACCOUNTS_TOKEN_SERVICES_CLIENTS": CLIENTS} | config
        return make_site(features=[*default_features(), TokenServices()], config=given, limits=limits, views=views)

    return make


@pytest.fixture
def site(make: Callable[..., Site]) -> Site:
    site = make()
    site.user("ann@example.com", roles=["editor"])
    return site


def basic(name: str, secret: str) -> dict[str, str]:
    pair = f"{quote_plus(name)}:{quote_plus(secret)}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def ask(site: Site, token: str, *, path: str = INTROSPECT, client: str = "orders", **form: str) -> TestResponse:
    return site.client.post(path, data={"token": token, **form}, headers=basic(client, SECRETS[client]))


def active(site: Site, token: str) -> bool:
    answer = ask(site, token)
    assert answer.status_code == 200, answer.text
    found: bool = answer.get_json()["active"]
    if not found:
        assert answer.get_json() == {"active": False}
    return found


def revoke(site: Site, token: str, client: str = "support", **form: str) -> TestResponse:
    return ask(site, token, path=REVOKE, client=client, **form)


# Introspection


def test_a_good_token_is_active_and_tells_whose_it_is(site: Site) -> None:
    token = site.tokens("ann@example.com")["access_token"]

    answer = ask(site, token, token_type_hint="access_token", resource="unknown-members-are-ignored")

    claims = claims_of(token)
    told = {name: claims[name] for name in ("sub", "exp", "iat", "nbf", "jti", "sid", "auth_time", "amr")}
    assert answer.status_code == 200
    assert answer.get_json() == {"active": True, "token_type": "Bearer", "roles": ["editor"], "permissions": [], **told}
    assert answer.headers["Cache-Control"] == "no-store"


def test_issuer_audience_and_the_client_of_the_profile_are_told(make: Callable[..., Site]) -> None:
    site = make(
        JWT_ENCODE_ISSUER="https://accounts.example", JWT_ENCODE_AUDIENCE=["orders", "mail"],
        ACCOUNTS_TOKENS_PROFILE="at+jwt", ACCOUNTS_TOKENS_CLIENT_ID="shop",
    )  # fmt: skip
    site.user("ann@example.com")

    told = ask(site, site.tokens("ann@example.com")["access_token"]).get_json()

    assert (told["iss"], told["aud"], told["client_id"]) == ("https://accounts.example", ["orders", "mail"], "shop")


def end_session(site: Site) -> None:
    site.accounts.sessions.revoke_all(1)


def switch_off(site: Site) -> None:
    site.accounts.users.disable(1)


def delete(site: Site) -> None:
    site.accounts.users.delete(1)


def change_password(site: Site) -> None:
    site.accounts.passwords.set(1, "a rather different horse")


@pytest.mark.requirement("RFC7662 2.2", "ASVS 7.4.2")
@pytest.mark.parametrize("act", [end_session, switch_off, delete, change_password])
def test_what_ends_a_session_or_an_account_is_told_at_once(site: Site, act: Callable[[Site], None]) -> None:
    token = site.tokens("ann@example.com")["access_token"]
    assert active(site, token)

    with site.app.app_context():
        act(site)
        site.db.session.commit()

    assert not active(site, token)


@pytest.mark.requirement("ASVS 8.3.2")
def test_changed_roles_are_told_at_once(site: Site) -> None:
    token = site.tokens("ann@example.com")["access_token"]
    with site.app.app_context():
        site.accounts.roles.revoke(1, "editor")
        site.db.session.commit()

    assert ask(site, token).get_json()["roles"] == []


@pytest.mark.requirement("RFC7662 2.2", "ASVS 9.1.1")
def test_of_a_token_that_is_not_good_nothing_is_told(site: Site) -> None:
    token = site.tokens("ann@example.com")["access_token"]
    head, body, mac = token.split(".")

    for bad in (
        "x", "..", f"{head}.{body}.", f"{head}.{body}.{mac[::-1]}", bent(token, key="another-key-0123456789-0123456789-01234"),
        bent(token, sub="999"), bent(token, sid="x"), bent(token, type="other"), bent(token, type=["access"]), "x" * 16_000, "ä",
        bent(token, exp=1), SECRET, DIGEST,
    ):  # fmt: skip
        assert not active(site, bad)
    site.testing.clock.move(minutes=15)
    assert not active(site, token)


@pytest.mark.requirement("ASVS 9.2.2", "RFC8725 3.12")
def test_a_refresh_token_shown_as_a_bearer_token_is_not_active(site: Site) -> None:
    """Else whoever holds one could use it as an access token wherever that is checked by introspection, for two weeks."""
    tokens = site.tokens("ann@example.com")

    for hint in ("refresh_token", "access_token", ""):
        assert ask(site, tokens["refresh_token"], token_type_hint=hint).get_json() == {"active": False}
    assert active(site, tokens["access_token"])


def test_tokens_that_host_code_minted(site: Site) -> None:
    ann = site.accounts.User
    with site.app.test_request_context():
        user = site.db.session.get(ann, 1)
        minted, refresh = create_access_token(user), create_refresh_token(user)
    site.testing.clock.move(minutes=1)  # Flask-JWT-Extended minted them by the real clock

    assert ask(site, minted).get_json()["sub"] == "1"
    assert not active(site, refresh)
    assert revoke(site, minted).status_code == 200
    assert not active(site, minted)


# Revocation


@pytest.mark.requirement("RFC7009 2.2", "ASVS 7.4.1")
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_the_session(site: Site, kind: str) -> None:
    tokens, other = site.tokens("ann@example.com"), site.tokens("ann@example.com")

    answer = revoke(site, tokens[kind], token_type_hint=kind)

    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    assert site.client.get("/api/auth/me", headers=bearer(tokens["access_token"])).get_json()["code"] == "TOKEN_REVOKED"
    assert site.client.post("/api/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 401
    assert site.client.get("/api/auth/me", headers=bearer(other["access_token"])).status_code == 200


@pytest.mark.requirement("RFC7009 2.2")
def test_revoking_twice_or_nothing_is_no_error(site: Site) -> None:
    token = site.tokens("ann@example.com")["access_token"]
    revoke(site, token)

    with site.testing.recorded() as events:
        for sent in (
            token,
            "x",
            "..",
            bent(token, key="another-key-0123456789-0123456789-01234"),
            bent(token, sub="2"),
            bent(token, sid="x"),
        ):
            answer = revoke(site, sent, token_type_hint="unknown")
            assert (answer.status_code, answer.data) == (200, b"")

    assert events == []


@pytest.mark.requirement("RFC7009 2.1", "ASVS 8.2.2")
@pytest.mark.parametrize("subject", ["2", "nobody"])
def test_a_token_that_names_another_account_ends_nobodys_session(site: Site, subject: str) -> None:
    tokens = site.tokens("ann@example.com")

    with site.testing.recorded() as events:
        for token in (tokens["access_token"], tokens["refresh_token"]):
            assert revoke(site, bent(token, sub=subject)).status_code == 200

    assert events == []
    assert active(site, tokens["access_token"])


def test_the_revocation_of_a_token_without_a_session_is_told_too(site: Site) -> None:
    with site.app.test_request_context():
        minted = create_access_token(site.db.session.get(site.accounts.User, 1))
    site.testing.clock.move(minutes=1)  # Flask-JWT-Extended minted it by the real clock

    with site.testing.recorded() as events:
        revoke(site, minted)

    assert [(event.name, event.user_id, event.client_id) for event in events] == [  # type: ignore[attr-defined]
        ("client.revoked_token", 1, "support")
    ]


def test_revocation_is_told_with_who_did_it(site: Site) -> None:
    tokens = site.tokens("ann@example.com")
    with site.testing.recorded() as events:
        revoke(site, tokens["refresh_token"])

    sid = claims_of(tokens["access_token"])["sid"]
    told = [(event.name, event.user_id, str(event.session_id)) for event in events]  # type: ignore[attr-defined]
    assert told == [("session.ended", 1, sid), ("client.revoked_token", 1, sid)]
    assert events[1].client_id == "support"  # type: ignore[attr-defined]
    ended = events[0]
    assert (ended.client and ended.client.address, ended.at) == ("127.0.0.1", site.testing.clock.now())
    assert ended.reason == "revoked"  # type: ignore[attr-defined]
    with site.app.app_context():
        assert [row["end_reason"] for row in site.testing.runtime.sessions.export(1)] == ["revoked"]


@pytest.mark.parametrize(
    ("client", "path"), [("orders", REVOKE), ("janitor", INTROSPECT)], ids=["who may not revoke", "who may not introspect"]
)
def test_a_service_does_what_it_may_and_nothing_else(site: Site, client: str, path: str) -> None:
    token = site.tokens("ann@example.com")["access_token"]

    with site.testing.recorded() as events:
        answer = ask(site, token, path=path, client=client)

    assert answer.status_code == 403
    assert answer.get_json()["error"] == "unauthorized_client"
    assert [(event.name, event.client_id) for event in events] == [("client.refused", client)]  # type: ignore[attr-defined]
    assert active(site, token)


# Who asks


@pytest.mark.requirement("RFC7662 2.1", "RFC7009 2.1", "ASVS 10.4.10")
@pytest.mark.parametrize("path", [INTROSPECT, REVOKE])
def test_who_does_not_prove_himself_is_refused_whatever_he_sends(site: Site, path: str) -> None:
    token = site.tokens("ann@example.com")["access_token"]
    encoded = base64.b64encode(f"orders:{SECRET}".encode()).decode()
    headers = {
        "nothing": {}, "a bearer token": bearer(token), "a wrong secret": basic("orders", SECRET[::-1]), "no secret": basic("orders", ""),
        "the digest": basic("orders", DIGEST), "the digest alone": basic("orders", DIGEST.partition(":")[2]),
        "another client's secret": basic("orders", OLD), "another spelling": basic("Orders", SECRET), "nobody": basic("nobody", SECRET),
        "no name": basic("", SECRET), "no colon": {"Authorization": "Basic " + base64.b64encode(b"orders").decode()},
        "no base64": {"Authorization": f"Basic orders:{SECRET}"}, "nothing encoded": {"Authorization": "Basic "},
        "odd bytes": {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode()},
        "odd escapes": {"Authorization": "Basic " + base64.b64encode(b"%ff%fe:%ff").decode()},
        "two headers": {"Authorization": f"Basic {encoded}, Basic {encoded}"},
        "a prefix": basic("orders", SECRET[:-1]), "more": basic("orders", SECRET + "x"), "a long one": basic("orders", "x" * 4000),
    }  # fmt: skip

    for said, header in headers.items():
        answer = site.client.post(path, data={"token": token}, headers=header)
        assert answer.status_code == 401, said
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="accounts"'
        assert answer.get_json()["code"] == "INVALID_CLIENT"
        assert answer.get_json()["error"] == "invalid_client"
        assert set(answer.get_json()) & {"active", "sub"} == set()
    by_body = {"token": token, "client_id": "orders", "client_secret": SECRET}
    assert site.client.post(path, data=by_body).status_code == 401
    assert site.client.get("/api/auth/me", headers=bearer(token)).status_code == 200


def test_secrets_overlap_while_they_are_changed(site: Site) -> None:
    for secret in (SECRET[::-1], OLD):
        assert site.client.post(INTROSPECT, data={"token": "x"}, headers=basic("support", secret)).status_code == 200


def test_a_plain_header_of_a_client_that_encodes_nothing(site: Site) -> None:
    header = {"Authorization": "basic " + base64.b64encode(f"orders:{SECRET}".encode()).decode()}

    assert site.client.post(INTROSPECT, data={"token": "x"}, headers=header).status_code == 200


@pytest.mark.requirement("ASVS 6.3.1")
def test_wrong_secrets_are_limited_and_right_ones_are_not(make: Callable[..., Site]) -> None:
    site = make(limits=True)
    wrong = basic("orders", SECRET[::-1])

    answers = [site.client.post(INTROSPECT, data={"token": "x"}, headers=wrong).status_code for _ in range(32)]

    assert answers == [401] * 30 + [429] * 2
    assert ask(site, "x").status_code == 200
    for _ in range(40):
        assert ask(site, "x").status_code == 200


def test_wrong_secrets_are_noted_without_what_was_sent(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with site.testing.recorded() as events:
        site.client.post(INTROSPECT, data={"token": "x"}, headers=basic("orders", "a-wrong-secret"))
        site.client.post(INTROSPECT, data={"token": "x"}, headers=basic("hunter2", "a-wrong-secret"))

    assert [event.client_id for event in events] == ["orders", None]  # type: ignore[attr-defined]
    assert "a-wrong-secret" not in caplog.text + repr(events)


def test_right_clients_write_nothing_and_cost_one_statement(site: Site) -> None:
    token = site.tokens("ann@example.com")["access_token"]
    site.statements.clear()
    ask(site, token)
    assert len(site.statements) == 1, "\n".join(site.statements)
    site.statements.clear()
    revoke(site, token)
    own = [text for text in site.statements if not text.startswith("INSERT INTO accounts_events ")]
    assert len(own) == 1, "\n".join(own)


# What is sent


@pytest.mark.requirement("ASVS 15.3.7")
@pytest.mark.parametrize("path", [INTROSPECT, REVOKE])
@pytest.mark.parametrize(
    ("kwargs", "status", "code"),
    [
        ({"data": {}}, 400, "VALIDATION_ERROR"),
        ({"data": {"token": ""}}, 400, "VALIDATION_ERROR"),
        ({"data": "token=a&token=b", "content_type": "application/x-www-form-urlencoded"}, 400, "VALIDATION_ERROR"),
        ({"data": "token=%00", "content_type": "application/x-www-form-urlencoded"}, 400, "VALIDATION_ERROR"),
        ({"data": "token=%ff%fe", "content_type": "application/x-www-form-urlencoded"}, 400, "MALFORMED_REQUEST"),
        ({"data": b"token=\xff", "content_type": "application/x-www-form-urlencoded"}, 400, "MALFORMED_REQUEST"),
        ({"data": "token=" + "&" * 2000 + "x=" + "1" * 20_000, "content_type": "application/x-www-form-urlencoded"}, 400, "VALIDATION_ERROR"),
        ({"data": {"token": "x" * 20_000}}, 400, "VALIDATION_ERROR"),
        ({"data": {"token": "x" * 70_000}}, 413, "CONTENT_TOO_LARGE"),
        ({"json": {"token": "x"}}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"data": b""}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"query_string": {"token": "x"}, "data": {}}, 400, "VALIDATION_ERROR"),
    ],
)  # fmt: skip
def test_a_request_that_is_no_form_with_one_token(site: Site, path: str, kwargs: dict[str, Any], status: int, code: str) -> None:
    if kwargs.get("data") == {}:
        kwargs = {**kwargs, "content_type": "application/x-www-form-urlencoded"}

    answer = site.client.post(path, headers=basic("support", OLD), **kwargs)

    assert (answer.status_code, answer.get_json()["code"]) == (status, code)
    assert answer.get_json()["error"] == "invalid_request"
    assert answer.get_json()["error_description"] == answer.get_json()["detail"]


def test_only_by_post(site: Site) -> None:
    """A token in a URL lands in logs."""
    for path in (INTROSPECT, REVOKE):
        assert site.client.get(f"{path}?token=x", headers=basic("support", OLD)).status_code == 405


# Settings and commands


@pytest.mark.parametrize(
    "clients",
    [
        {"orders": "short"}, {"orders": "a" * 40}, {"orders": "sha256:abc"}, {"orders": []}, {"orders": {"secrets": []}}, {"": SECRET},
        {"or:ders": SECRET}, {"orders": {"secrets": [SECRET], "may_everything": True}}, {"orders": {"secrets": ["with blanks " + SECRET]}},
        "orders", {1: SECRET},
    ],
    ids=str,
)  # fmt: skip
def test_clients_that_prove_nothing_are_refused_at_start_and_not_quoted(make: Callable[..., Site], clients: Any) -> None:
    with pytest.raises(ConfigurationError, match="ACCOUNTS_TOKEN_SERVICES_CLIENTS") as refused:
        make(ACCOUNTS_TOKEN_SERVICES_CLIENTS=clients)

    assert SECRET not in str(refused.value)


@pytest.mark.requirement("ASVS 13.3.1")
def test_a_command_makes_a_secret_and_settings_show_none(site: Site, make_site: MakeSite) -> None:
    runner = site.app.test_cli_runner()

    made = json.loads(runner.invoke(args=["accounts", "client-secret", "--json"]).output)
    other = make_site(
        features=[*default_features(), TokenServices()], config={"ACCOUNTS_TOKEN_SERVICES_CLIENTS": {"new": made["digest"]}}
    )

    assert other.client.post(INTROSPECT, data={"token": "x"}, headers=basic("new", made["secret"])).status_code == 200
    shown = runner.invoke(args=["accounts", "settings"]).output
    assert "TOKEN_SERVICES_CLIENTS" in shown
    assert not any(text in shown for text in (SECRET, OLD, DIGEST))


def test_plain_flask_jwt_extended_honours_a_revocation(make: Callable[..., Site]) -> None:
    def views(app: Flask, db: SQLAlchemy) -> None:
        @app.get("/plain")
        @jwt_required()  # type: ignore[untyped-decorator]  # Flask-JWT-Extended is not typed
        def plain() -> str:
            return "in"

    site = make(views=views)
    site.user("ann@example.com")
    token = site.tokens("ann@example.com")["access_token"]
    assert site.client.get("/plain", headers=bearer(token)).status_code == 200
    revoke(site, token)
    assert site.client.get("/plain", headers=bearer(token)).status_code == 401
