"""Publish, sign, retire: in a folder and in the database, over the workers' heads and under way."""

from __future__ import annotations

import threading
from datetime import timedelta

import jwt
import pytest
from flask_jwt_extended import create_access_token, create_refresh_token, decode_token

from flask_accounts.core.tokens import Tokens
from flask_accounts.testing import AccountsTesting
from tests.conftest import Site, bearer
from tests.pairs import pair
from tests.security.forging import claims_of, header_of

from .tools import Keep, jwks, keys, run, service, sign_in, signer, states, status

SOURCES = ("folder", "database")


@pytest.fixture(params=SOURCES)
def site(request: pytest.FixtureRequest, keep: Keep) -> Site:
    """A site with one key, and Ann."""
    site = keep(request.param)
    keys(site, "generate")
    site.user("ann@example.com")
    return site


def other_worker(site: Site, keep: Keep) -> Site:
    """Another process of the same app, as far as keys and rows are concerned; one clock for both."""
    source = service(site).settings.source
    other = keep(source)
    other.testing = AccountsTesting(other.app, clock=site.testing.clock)
    return other


def test_the_first_key_signs_at_once(site: Site) -> None:
    (row,) = keys(site)

    assert (row["state"], row["algorithm"]) == ("signing", "EdDSA")
    assert signer(sign_in(site)) == row["kid"]
    assert jwks(site) == [row["kid"]]


@pytest.mark.requirement("ASVS 11.2.2")
def test_a_rotation_publishes_then_signs_then_retires(site: Site) -> None:
    first = keys(site)[0]["kid"]
    old = sign_in(site)

    keys(site, "rotate")

    assert states(site) == ["signing", "scheduled"]
    second = keys(site)[1]["kid"]
    assert set(jwks(site)) == {first, second}
    assert signer(sign_in(site)) == first

    site.testing.clock.move(hours=1)
    assert states(site) == ["retiring", "signing"]
    new = sign_in(site)
    assert signer(new) == second
    assert set(jwks(site)) == {first, second}
    assert status(site, new) == 200
    fresh = site.client.post("/api/auth/refresh", headers=bearer(site.tokens("ann@example.com")["refresh_token"]))
    assert signer(fresh.get_json()["access_token"]) == second

    # Until the last refresh token of the first key has run out.
    site.testing.clock.move(days=14, minutes=2)
    assert states(site) == ["retired", "signing"]
    assert jwks(site) == [second]
    assert site.client.get("/api/auth/me", headers=bearer(old)).get_json()["code"] == "INVALID_TOKEN"


@pytest.mark.requirement("ASVS 11.2.2")
def test_a_refresh_token_lives_to_its_end_whatever_rotates_meanwhile(site: Site) -> None:
    pair_ = site.tokens("ann@example.com")
    keys(site, "rotate")
    site.testing.clock.move(days=14, minutes=-1)

    answer = site.client.post("/api/auth/refresh", json={"refresh_token": pair_["refresh_token"]})

    assert answer.status_code == 200


def test_a_key_that_was_made_before_is_the_next(site: Site) -> None:
    waiting = keys(site, "generate", "--algorithm", "ES256")[0]
    assert waiting["state"] == "next"
    assert states(site) == ["signing", "next"]
    assert waiting["kid"] in jwks(site)
    assert signer(sign_in(site)) != waiting["kid"]

    site.testing.clock.move(hours=1)
    rotated = keys(site, "rotate")

    assert [row["state"] for row in rotated] == ["retiring", "signing"]
    assert rotated[1]["kid"] == waiting["kid"]
    assert header_of(sign_in(site))["alg"] == "ES256"


def test_one_rotation_at_a_time(site: Site) -> None:
    keys(site, "rotate")

    again = run(site, "rotate")

    assert again.exit_code == 1
    assert "A rotation is under way" in again.output
    assert states(site) == ["signing", "scheduled"]


def test_in_a_hurry_the_next_key_signs_at_once_also_one_that_is_scheduled(site: Site) -> None:
    keys(site, "rotate")
    scheduled = keys(site)[1]["kid"]

    keys(site, "rotate", "--now")

    assert states(site) == ["retiring", "signing"]
    assert signer(sign_in(site)) == scheduled
    keys(site, "rotate", "--now")
    assert states(site) == ["retiring", "retiring", "signing"]


@pytest.mark.requirement("ASVS 11.2.2")
def test_a_stolen_key_is_rotated_out_and_retired_and_its_tokens_are_refused_at_once(site: Site) -> None:
    stolen = keys(site)[0]["kid"]
    token = sign_in(site)
    assert status(site, token) == 200
    refused = run(site, "retire", stolen)
    assert (refused.exit_code, "This key signs" in refused.output) == (1, True)

    keys(site, "rotate", "--now")
    assert status(site, token) == 200
    assert run(site, "retire", stolen).exit_code == 0

    assert status(site, token) == 401
    assert stolen not in jwks(site)
    assert run(site, "retire", stolen).exit_code == 1
    assert run(site, "retire", "../x").exit_code == 1
    assert run(site, "retire", "-begins-with-a-dash-as-one-of-64-does").exit_code == 1


@pytest.mark.requirement("ASVS 11.2.2")
def test_another_worker_learns_of_a_key_before_it_signs(site: Site, keep: Keep) -> None:
    other = other_worker(site, keep)
    first = jwks(other)
    keys(site, "rotate")
    assert jwks(other) == first

    site.testing.clock.move(minutes=1)

    assert jwks(other) == jwks(site)
    site.testing.clock.move(minutes=59)
    assert signer(sign_in(other)) == signer(sign_in(site))
    assert status(other, sign_in(site)) == 200


def test_another_worker_takes_a_token_of_a_key_that_it_has_not_heard_of(site: Site, keep: Keep) -> None:
    other = other_worker(site, keep)
    jwks(other)
    site.testing.clock.move(seconds=6)
    keys(site, "rotate", "--now")

    assert status(other, sign_in(site)) == 200


@pytest.mark.requirement("ASVS 15.2.2")
def test_made_up_key_ids_do_not_have_the_keys_read_each_time(keep: Keep) -> None:
    site = keep("database")
    keys(site, "generate")
    site.user("ann@example.com")
    token = sign_in(site)

    def junk(number: int) -> str:
        headers = {"kid": pair("EdDSA", number).kid}
        return jwt.encode(claims_of(token), pair("EdDSA", number).private, algorithm="EdDSA", headers=headers)

    site.testing.clock.move(seconds=6)
    site.statements.clear()
    for number in range(1, 20):
        assert status(site, junk(number)) == 401
    assert len(site.statements) == 1, "\n".join(site.statements)

    site.testing.clock.move(seconds=4)
    status(site, junk(20))
    assert len(site.statements) == 1
    site.testing.clock.move(seconds=1)
    status(site, junk(21))
    assert len(site.statements) == 2


def test_an_authenticated_request_costs_one_statement_and_one_more_when_the_keys_are_looked_at(keep: Keep) -> None:
    site = keep("database")
    keys(site, "generate")
    client = site.client_for(site.user("ann@example.com"))
    client.get("/api/auth/me")
    for cost in (1, 1):
        site.statements.clear()
        assert client.get("/api/auth/me").status_code == 200
        assert len(site.statements) == cost, "\n".join(site.statements)

    site.testing.clock.move(minutes=1)
    costs = []
    for _ in range(3):
        site.statements.clear()
        client.get("/api/auth/me")
        costs.append(len(site.statements))
    assert costs == [2, 1, 1]


def test_a_sign_in_and_a_refresh_cost_what_they_cost_without(keep: Keep) -> None:
    site = keep("database")
    keys(site, "generate")
    site.user("ann@example.com")
    tokens = site.tokens("ann@example.com")

    def own() -> list[str]:
        return [text for text in site.statements if not text.startswith("INSERT INTO accounts_events ")]

    site.statements.clear()
    site.tokens("ann@example.com")
    assert len(own()) == 3, "\n".join(own())
    site.statements.clear()
    site.client.post("/api/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert len(own()) == 2, "\n".join(own())


def test_without_a_key_nobody_signs_in_and_the_log_says_what_to_do(keep: Keep, caplog: pytest.LogCaptureFixture) -> None:
    for source in SOURCES:
        site = keep(source)
        site.user(f"{source}@example.com")

        answer = site.login(f"{source}@example.com")

        assert (answer.status_code, answer.get_json()["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert "flask accounts keys generate" in caplog.text
        caplog.clear()
        keys(site, "generate")
        assert site.login(f"{source}@example.com").status_code == 200
        site.close()


def test_tokens_that_outlive_sessions_have_their_keys_kept_longer(keep: Keep) -> None:
    site = keep("database", SIGNING_KEEP_FOR=timedelta(days=90))
    keys(site, "generate")
    keys(site, "rotate", "--now")

    site.testing.clock.move(days=89)
    assert states(site) == ["retiring", "signing"]
    site.testing.clock.move(days=2)
    assert states(site) == ["retired", "signing"]


def test_what_becomes_of_keys_is_told(site: Site) -> None:
    with site.testing.recorded() as events:
        keys(site, "rotate")
        keys(site, "rotate", "--now")
        run(site, "retire", keys(site)[0]["kid"])

    told = [(event.change, event.kid) for event in events if event.name == "signing_key.changed"]  # type: ignore[attr-defined]
    first, second = (row["kid"] for row in keys(site))
    assert told == [("signs", second), ("replaced", first), ("signs", second), ("replaced", first), ("retired", first)]


def test_threads_at_the_same_moment_have_the_keys_read_once(keep: Keep) -> None:
    site = keep("database")
    keys(site, "generate")
    site.user("ann@example.com")
    tokens = [sign_in(site) for _ in range(4)]
    site.testing.clock.move(minutes=2)
    found: list[int] = []
    threads = [threading.Thread(target=lambda token=token: found.append(status(site, token))) for token in tokens]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [200] * 4


def test_host_code_mints_tokens_with_the_key_that_signs(keep: Keep) -> None:
    site = keep("folder")
    keys(site, "generate")
    ann = site.user("ann@example.com")

    with site.app.test_request_context():
        minted = create_access_token(ann, additional_claims={"tenant": "north"}, additional_headers={"x": "y", "kid": "mine"})
        other = create_refresh_token(ann)
        assert decode_token(minted)["tenant"] == "north"
        assert decode_token(other)["type"] == "refresh"
    assert header_of(minted) == {"alg": "EdDSA", "typ": "JWT", "x": "y", "kid": keys(site)[0]["kid"]}
    assert site.testing.runtime.get(Tokens).has_source
