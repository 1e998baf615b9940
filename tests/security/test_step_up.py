"""Step-up: what a stolen, old session must not do without the person proving presence again (ASVS 7.5.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer

Pair = dict[str, Any]


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(config={"ACCOUNTS_EMAIL_CHANGE_DIRECT": True})


@pytest.fixture
def pair(site: Site) -> Pair:
    site.user("ann@example.com")
    return site.tokens("ann@example.com")


Step = Callable[[Site, str], TestResponse]
STEP_UP: dict[str, Step] = {
    "new address": lambda site, token: site.client.patch("/api/auth/me", json={"email": "evil@example.com"}, headers=bearer(token)),
    "new address by id": lambda site, token: site.client.patch("/api/users/1", json={"email": "evil@example.com"}, headers=bearer(token)),
    "new address by PUT": lambda site, token: site.client.put(
        "/api/users/1", json={"email": "evil@example.com", "username": None}, headers=bearer(token)
    ),
    "new address that proves itself": lambda site, token: site.client.post(
        "/api/auth/email/change", json={"email": "evil@example.com"}, headers=bearer(token)
    ),
    "export": lambda site, token: site.client.get("/api/auth/me/export", headers=bearer(token)),
    "deletion": lambda site, token: site.client.delete("/api/auth/me", headers=bearer(token)),
    "deletion by id": lambda site, token: site.client.delete("/api/users/1", headers=bearer(token)),
}  # fmt: skip


@pytest.mark.requirement("ASVS 7.5.1")
@pytest.mark.parametrize("act", STEP_UP)
def test_a_stolen_old_session_can_neither_take_the_account_over_nor_destroy_it(site: Site, pair: Pair, act: str) -> None:
    site.testing.clock.move(minutes=16)
    renewed = site.client.post("/api/auth/refresh", json={"refresh_token": pair["refresh_token"]}).get_json()

    answer = STEP_UP[act](site, renewed["access_token"])

    assert (answer.status_code, answer.get_json()["code"]) == (401, "REAUTHENTICATION_REQUIRED")
    assert "insufficient_user_authentication" in answer.headers["WWW-Authenticate"]
    assert site.login("ann@example.com").status_code == 200


@pytest.mark.requirement("ASVS 7.5.1")
@pytest.mark.parametrize("act", STEP_UP)
def test_after_proving_presence_it_works(site: Site, pair: Pair, act: str) -> None:
    site.testing.clock.move(minutes=14)
    proof = {"password": PASSWORD}
    fresh = site.client.post("/api/auth/reauthenticate", json=proof, headers=bearer(pair["access_token"])).get_json()
    site.testing.clock.move(minutes=14)

    assert STEP_UP[act](site, fresh["access_token"]).status_code in (200, 202, 204)


@pytest.mark.requirement("ASVS 7.5.1")
def test_presence_is_proved_by_ones_own_right_password_only(site: Site, pair: Pair) -> None:
    site.user("eve@example.com", password="eves own passphrase")
    site.testing.clock.move(minutes=14)
    tried: list[dict[str, Any]] = [
        {}, {"password": ""}, {"password": "wrong"}, {"password": "eves own passphrase"}, {"password": None}, {"password": [PASSWORD]},
        {"password": PASSWORD, "email": "eve@example.com"}, {"email": "eve@example.com", "password": "eves own passphrase"},
        {"password": PASSWORD, "user_id": 1},
    ]  # fmt: skip

    for proof in tried:
        answer = site.client.post("/api/auth/reauthenticate", json=proof, headers=bearer(pair["access_token"]))
        assert answer.status_code in (400, 401), proof

    site.testing.clock.move(minutes=2)
    renewed = site.client.post("/api/auth/refresh", json={"refresh_token": pair["refresh_token"]}).get_json()
    assert STEP_UP["deletion"](site, renewed["access_token"]).status_code == 401
