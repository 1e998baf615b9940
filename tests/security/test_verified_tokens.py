"""A token whose signature was found good is remembered, and nothing that can change about it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from flask import Flask
from flask_jwt_extended import JWTManager, get_jwt, jwt_required
from flask_sqlalchemy import SQLAlchemy

from flask_accounts.core.tokens import Tokens
from flask_accounts.core.verified import VerifiedTokens
from tests.conftest import KEY, MakeSite, Site, bearer

from .forging import bent, claims_of

NEW = "the-key-of-next-year-which-is-long-enough-0123456789abcdefghijklmnopqrs"


def status(site: Site, token: str) -> tuple[int, str | None]:
    answer = site.client.get("/api/auth/me", headers=bearer(token))
    return answer.status_code, answer.get_json().get("code")


@pytest.fixture
def token(site: Site) -> str:
    """An access token that has been used."""
    site.user("ann@example.com")
    token: str = site.tokens("ann@example.com")["access_token"]
    assert status(site, token) == (200, None)
    return token


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every token whose signature was computed."""
    seen: list[str] = []
    decode = jwt.decode_complete

    def noted(raw: str, *args: Any, **kwargs: Any) -> Any:
        seen.append(raw)
        return decode(raw, *args, **kwargs)

    monkeypatch.setattr(jwt, "decode_complete", noted)
    return seen


def test_a_signature_is_computed_once(site: Site, token: str, verifications: list[str]) -> None:
    assert status(site, token) == (200, None)

    assert verifications == []


def test_a_token_that_is_known_still_expires(site: Site, token: str) -> None:
    site.testing.clock.move(minutes=15)

    assert status(site, token) == (401, "TOKEN_EXPIRED")


def test_a_token_that_is_known_is_refused_before_its_time(site: Site, token: str) -> None:
    site.testing.clock.move(minutes=-1)

    assert status(site, token)[0] == 401


def end_session(site: Site) -> None:
    site.accounts.sessions.revoke_all(1)


def switch_off(site: Site) -> None:
    site.accounts.users.disable(1)


def delete(site: Site) -> None:
    site.accounts.users.delete(1)


@pytest.mark.requirement("ASVS 7.4.1")
@pytest.mark.parametrize("act", [end_session, switch_off, delete])
def test_a_token_that_is_known_is_refused_as_soon_as_it_is_revoked(site: Site, token: str, act: Callable[[Site], None]) -> None:
    with site.app.app_context():
        act(site)
        site.db.session.commit()

    assert status(site, token) == (401, "TOKEN_REVOKED")


CHANGES: dict[str, dict[str, Any]] = {
    "another key": {"JWT_SECRET_KEY": NEW},
    "another algorithm": {"JWT_ALGORITHM": "HS384"},
    "an audience": {"JWT_DECODE_AUDIENCE": "app"},
    "an audience for new tokens": {"JWT_ENCODE_AUDIENCE": "app"},
    "an issuer": {"JWT_DECODE_ISSUER": "app"},
    "an issuer for new tokens": {"JWT_ENCODE_ISSUER": "app"},
}


@pytest.mark.requirement("ASVS 11.2.2")
@pytest.mark.parametrize("change", CHANGES)
def test_what_was_judged_by_other_rules_is_judged_anew(site: Site, token: str, change: str) -> None:
    site.app.config.update(CHANGES[change])

    assert status(site, token) == (401, "INVALID_TOKEN")


def test_a_flask_secret_that_is_changed_counts_where_it_signs(site: Site, token: str) -> None:
    site.app.secret_key = NEW

    assert status(site, token) == (401, "INVALID_TOKEN")


def test_a_list_in_the_configuration_that_is_changed_in_place_counts(make_site: MakeSite) -> None:
    audience = ["app"]
    site = make_site(config={"JWT_DECODE_AUDIENCE": audience, "JWT_ENCODE_AUDIENCE": "app"})
    site.user("ann@example.com")
    token = site.tokens("ann@example.com")["access_token"]
    assert status(site, token) == (200, None)

    audience[:] = ["another"]

    assert status(site, token) == (401, "INVALID_TOKEN")


def test_a_hosts_own_key_loader_is_asked_for_every_token(make_site: MakeSite) -> None:
    keys = [KEY]

    def setup(app: Flask, db: SQLAlchemy) -> None:
        manager: JWTManager = app.extensions["flask-jwt-extended"]
        manager.decode_key_loader(lambda header, claims: keys[0])

    site = make_site(views=setup)
    site.user("ann@example.com")
    token = site.tokens("ann@example.com")["access_token"]
    assert status(site, token) == (200, None)

    keys[0] = NEW

    assert status(site, token) == (401, "INVALID_TOKEN")


@pytest.mark.requirement("ASVS 9.1.3")
def test_a_hosts_own_key_loader_chooses_by_the_header_and_the_claims_and_never_sees_what_is_no_token(make_site: MakeSite) -> None:
    asked: list[tuple[Any, Any]] = []

    def setup(app: Flask, db: SQLAlchemy) -> None:
        manager: JWTManager = app.extensions["flask-jwt-extended"]

        @manager.decode_key_loader
        def key(header: dict[str, Any], claims: dict[str, Any]) -> str:
            asked.append((header, claims))
            return KEY if header.get("kid") == "ours" else NEW

    site = make_site(views=setup)
    site.user("ann@example.com")
    token = bent(site.tokens("ann@example.com")["access_token"], header={"kid": "ours"})

    assert status(site, token) == (200, None)
    assert asked == [({"alg": "HS256", "typ": "JWT", "kid": "ours"}, claims_of(token))]
    assert status(site, bent(token, header={"kid": "theirs"})) == (401, "INVALID_TOKEN")
    for odd in ("x", "x.y.z", "..", token.replace(".", "", 1)):
        assert status(site, odd) == (401, "INVALID_TOKEN")
    assert len(asked) == 2


def test_a_known_tokens_claims_under_another_signature_are_refused(site: Site, token: str) -> None:
    head, payload, signature = token.split(".")
    others = [
        bent(token, key=NEW),
        f"{head}.{payload}.",
        f"{head}.{payload}.{signature[:-2]}",
        f"{head}.{payload}.{signature[::-1]}",
    ]

    assert [status(site, other) for other in others] == [(401, "INVALID_TOKEN")] * len(others)


def test_what_a_view_does_to_the_claims_is_not_remembered(make_site: MakeSite) -> None:
    """A view that adds to a list in the claims would else make itself an administrator's token for good."""

    def views(app: Flask, db: SQLAlchemy) -> None:
        @app.get("/poison")
        @jwt_required()  # type: ignore[untyped-decorator]  # Flask-JWT-Extended's own
        def poison() -> dict[str, Any]:
            claims = get_jwt()
            seen = list(claims["amr"])
            claims["amr"].append("mfa")
            claims["sub"] = "2"
            return {"amr": seen, "is": get_jwt()["amr"]}

    site = make_site(views=views)
    ann = site.client_for(site.user("ann@example.com"))

    assert [ann.get("/poison").get_json()["amr"] for _ in range(3)] == [["pwd"]] * 3
    assert ann.get("/api/auth/me").get_json()["email"] == "ann@example.com"


def test_a_refresh_token_is_not_remembered_nor_is_what_was_refused(site: Site, token: str) -> None:
    known = site.testing.runtime.get(Tokens)._known
    before = len(known)
    pair = site.tokens("ann@example.com")

    site.client.post("/api/auth/refresh", json={"refresh_token": pair["refresh_token"]})
    status(site, bent(pair["access_token"], key=NEW))

    assert len(known) == before


def test_no_token_lies_in_memory(site: Site, token: str) -> None:
    known = site.testing.runtime.get(Tokens)._known
    text = repr([known._newer, known._older])

    assert claims_of(token)["sid"] in text
    assert token.rsplit(".", 1)[1] not in text


def test_apps_do_not_know_each_others_tokens(make_site: MakeSite) -> None:
    one, other = make_site(config={"JWT_SECRET_KEY": NEW}), make_site()
    one.user("ann@example.com")
    token = one.tokens("ann@example.com")["access_token"]
    assert status(one, token) == (200, None)

    assert status(other, token) == (401, "INVALID_TOKEN")


@pytest.mark.parametrize("size", [0, 1, 3])
def test_the_number_is_bounded_and_what_is_used_stays(size: int) -> None:
    known = VerifiedTokens("basis", size)
    for number in range(20):
        known.keep("used", {"n": "used"})
        known.keep(f"token {number}", {"n": number})

    assert len(known) <= 2 * size
    assert (known.get("token 19") is not None) == bool(size)


def test_none_are_remembered_where_the_host_wants_none(make_site: MakeSite, verifications: list[str]) -> None:
    site = make_site(config={"ACCOUNTS_TOKENS_VERIFIED_CACHE_SIZE": 0})
    ann = site.client_for(site.user("ann@example.com"))
    for _ in range(2):
        ann.get("/api/auth/me")

    assert len(verifications) == 2


def test_threads_that_crowd_it_get_their_own_claims() -> None:
    known = VerifiedTokens("basis", 4)
    wrong: list[object] = []

    def work(name: int) -> None:
        for turn in range(500):
            token = f"{name} {turn % 6}"
            found = known.get(token)
            if found is not None and found != {"of": token}:
                wrong.append(found)
            known.keep(token, {"of": token})

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert len(known) <= 8 + len(threads)
