"""Session fixation: what an attacker plants in a browser before the victim signs in is worth nothing afterwards (ASVS 7.2.4)."""

from __future__ import annotations

from uuid import UUID, uuid4

import jwt
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from flask_accounts.core.sessions import SessionMixin
from flask_accounts.testing import PASSWORD
from tests.conftest import KEY, MakeSite, Site, bearer

ACCESS, REFRESH = "__Host-access_token", "__Host-refresh_token"
BOTH = {"JWT_TOKEN_LOCATION": ["cookies", "headers"]}
ANN = {"email": "ann@example.com", "password": PASSWORD}

pytestmark = pytest.mark.requirement("ASVS 7.2.4")


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    site = make_site(config=BOTH)
    site.user("ann@example.com")
    site.user("mallory@example.com")
    return site


def browser(site: Site) -> FlaskClient:
    client = site.app.test_client()
    client.environ_base["wsgi.url_scheme"] = "https"
    return client


def cookie(client: FlaskClient, name: str) -> str:
    found = client.get_cookie(name)
    assert found, name
    return found.value


def signed_in(site: Site, email: str) -> FlaskClient:
    client = browser(site)
    assert client.post("/api/auth/login", json=ANN | {"email": email}).status_code == 200
    return client


def plant(victim: FlaskClient, attacker: FlaskClient) -> None:
    """As a neighbour on a sibling domain, or who sat at the machine before, could."""
    for name in (ACCESS, REFRESH, "csrf_access_token", "csrf_refresh_token"):
        victim.set_cookie(name, cookie(attacker, name))


def session_of(token: str) -> str:
    sid: str = jwt.decode(token, KEY, algorithms=["HS256"])["sid"]
    return sid


def owners(site: Site) -> dict[UUID, int]:
    with site.app.app_context():
        table = site.testing.runtime.model(SessionMixin).__table__
        return {row.id: row.user_id for row in site.db.session.execute(sa.select(table))}


def test_a_session_planted_before_the_sign_in_does_not_become_the_victims(site: Site) -> None:
    attacker, victim = signed_in(site, "mallory@example.com"), browser(site)
    plant(victim, attacker)
    planted = cookie(attacker, ACCESS)

    assert victim.post("/api/auth/login", json=ANN).status_code == 200

    assert session_of(cookie(victim, ACCESS)) != session_of(planted)
    assert victim.get("/api/auth/me").get_json()["email"] == "ann@example.com"
    assert attacker.get("/api/auth/me").get_json()["email"] == "mallory@example.com"


def test_every_token_the_browser_had_before_is_replaced_by_the_sign_in(site: Site) -> None:
    attacker, victim = signed_in(site, "mallory@example.com"), browser(site)
    plant(victim, attacker)
    names = (ACCESS, REFRESH, "csrf_access_token", "csrf_refresh_token")
    before = {name: cookie(victim, name) for name in names}

    victim.post("/api/auth/login", json=ANN)

    assert all(cookie(victim, name) != before[name] for name in names)


def test_a_csrf_token_planted_before_the_sign_in_opens_nothing_afterwards(site: Site) -> None:
    attacker, victim = signed_in(site, "mallory@example.com"), browser(site)
    plant(victim, attacker)
    victim.post("/api/auth/login", json=ANN)
    victim.set_cookie("csrf_access_token", "planted")

    for known in (cookie(attacker, "csrf_access_token"), "planted"):
        answer = victim.delete("/api/auth/sessions", headers={"X-CSRF-TOKEN": known})
        assert (answer.status_code, answer.get_json()["code"]) == (403, "CSRF_FAILED")


def test_a_session_id_planted_as_claim_cookie_header_or_parameter_is_not_taken_over(site: Site) -> None:
    planted = str(uuid4())
    victim = browser(site)
    victim.set_cookie("session", planted)
    victim.set_cookie("sid", planted)
    forged = jwt.encode({"sub": "1", "sid": planted, "type": "access", "jti": planted}, "k" * 64, algorithm="HS256")

    answers = [
        victim.post("/api/auth/login", json=ANN, query_string={"sid": planted, "session": planted}),
        victim.post("/api/auth/login", json=ANN, headers={"X-Session-Id": planted, **bearer(forged)}),
        victim.post("/api/auth/login", json=ANN | {"sid": planted}),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 400]
    assert UUID(planted) not in owners(site)


def test_a_reauthentication_makes_tokens_that_who_copied_the_old_ones_does_not_have(site: Site) -> None:
    """The step-up stays with who proved presence: a copy of the older token is not made fresh by it."""
    victim = signed_in(site, "ann@example.com")
    copied = cookie(victim, ACCESS)
    site.testing.clock.move(minutes=12)

    answer = victim.post(
        "/api/auth/reauthenticate", json={"password": PASSWORD}, headers={"X-CSRF-TOKEN": cookie(victim, "csrf_access_token")}
    )

    assert answer.status_code == 200
    assert cookie(victim, ACCESS) != copied
    claims = [
        jwt.decode(token, KEY, algorithms=["HS256"], options={"verify_exp": False, "verify_iat": False, "verify_nbf": False})
        for token in (copied, cookie(victim, ACCESS))
    ]
    assert claims[0]["auth_time"] < claims[1]["auth_time"]


def test_a_sign_in_that_waits_for_a_second_step_is_not_what_opens_the_session(make_site: MakeSite) -> None:
    """The token of a waiting sign-in is known before it is finished; afterwards it is good for nothing."""
    site = make_site(config=BOTH | {"ACCOUNTS_PASSWORD_CHECK_AT_SIGN_IN": True, "ACCOUNTS_PASSWORD_CONTEXT_WORDS": ["battery"]})
    with site.app.app_context():
        ann = site.accounts.users.create("ann@example.com", "vexing-quartz-lamp 7")
        ann.password_hash = site.testing.runtime.hasher.hash("battery123")
        site.db.session.commit()
    asked = browser(site).post("/api/auth/login", json={"email": "ann@example.com", "password": "battery123"}).get_json()
    step = {"challenge_token": asked["challenge_token"], "method": "password_change", "new_password": "seven brown foxes"}

    finished = browser(site).post("/api/auth/challenge", json=step, headers={"X-Token-Transport": "headers"})

    assert finished.status_code == 200, finished.text
    assert asked["challenge_token"] not in finished.text
    assert site.client.get("/api/auth/me", headers=bearer(asked["challenge_token"])).status_code == 401
    assert site.client.post("/api/auth/challenge", json=step).status_code == 401
