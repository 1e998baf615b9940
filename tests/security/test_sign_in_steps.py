"""Attacks between the steps of a sign-in, a refresh and a proof of presence: what came meanwhile, and what is claimed too much."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask_jwt_extended import create_access_token
from werkzeug.test import TestResponse

from flask_accounts import Client, Feature, LoginAttempt, default_features
from flask_accounts.core.errors import ChallengeRequired, InvalidCredentials
from flask_accounts.core.gates import Answer, ChallengeMethod, Entry, Gate
from flask_accounts.core.runtime import Runtime
from flask_accounts.core.sessions import Rotation
from flask_accounts.core.users import UserView
from flask_accounts.testing import PASSWORD
from tests.conftest import MakeSite, Site, bearer
from tests.features.mfa.tools import ANN, AUTH, answered, asked, code_of, enrolled

from .forging import DROP, bent, claims_of

Pair = dict[str, Any]


@pytest.fixture
def pair(site: Site) -> Pair:
    site.user(ANN)
    return site.tokens(ANN)


def me(site: Site, pair: Pair) -> int:
    return site.client.get(f"{AUTH}/me", headers=bearer(pair["access_token"])).status_code


def refresh(site: Site, token: str) -> TestResponse:
    return site.client.post(f"{AUTH}/refresh", json={"refresh_token": token})


def reauthenticate(site: Site, pair: Pair, **proof: Any) -> TestResponse:
    return site.client.post(f"{AUTH}/reauthenticate", json=proof, headers=bearer(pair["access_token"]))


# What is claimed too much


@pytest.mark.requirement("ASVS 6.3.3")
def test_the_same_password_twice_is_no_second_factor(site: Site, pair: Pair) -> None:
    """Else the first step-up makes a session of one factor pass wherever two are asked for."""
    for _ in range(2):
        pair = reauthenticate(site, pair, password=PASSWORD).get_json()
        assert claims_of(pair["access_token"])["amr"] == ["pwd"]

    renewed = refresh(site, pair["refresh_token"]).get_json()
    assert claims_of(renewed["access_token"])["amr"] == ["pwd"]


@pytest.mark.requirement("ASVS 6.3.3")
def test_a_factor_proved_at_step_up_counts_beside_what_was_proved_before(site: Site) -> None:
    ann = enrolled(site)
    pair = answered(site, asked(site), "recovery_code", code=ann.codes[0]).get_json()
    before = claims_of(pair["access_token"])["amr"]

    with site.testing.recorded() as events:
        after = claims_of(reauthenticate(site, pair, method="totp", code=ann.phone.next()).get_json()["access_token"])["amr"]

    assert [(event.name, event.method) for event in events] == [("session.reauthenticated", "totp")]  # type: ignore[attr-defined]
    assert set(after) == {*before, "otp"}
    assert (before.count("mfa"), after.count("mfa")) == (1, 1)


@pytest.mark.requirement("ASVS 6.3.3")
def test_what_host_code_had_proved_is_kept_at_step_up(site: Site) -> None:
    ann = site.user(ANN)
    with site.app.app_context():
        opened = site.accounts.sessions.open(ann.id)
        site.db.session.commit()

    proved = reauthenticate(site, {"access_token": opened.tokens.access_token}, password=PASSWORD).get_json()

    assert claims_of(proved["access_token"])["amr"] == ["host", "pwd"]


# Forged claims, with the key in hand


def _named(claim: Any) -> str:
    return "none at all" if claim is DROP else repr(claim)


@pytest.mark.requirement("ASVS 10.4.5", "ASVS 16.5.3")
@pytest.mark.parametrize(
    "generation", [DROP, None, False, True, "0", 0.0, [0], {}, -1, 2**31 - 1, 2**31, 2**63, 2**200], ids=_named
)
def test_a_generation_that_is_no_counter_refreshes_nothing_and_ends_nothing(site: Site, pair: Pair, generation: Any) -> None:
    answer = refresh(site, bent(pair["refresh_token"], gen=generation))

    assert code_of(answer) == (401, "TOKEN_REVOKED")
    assert refresh(site, pair["refresh_token"]).status_code == 200


@pytest.mark.requirement("RFC9700 4.14.2")
def test_a_session_that_was_refreshed_for_years_goes_on(site: Site, pair: Pair) -> None:
    late = 2**31 - 100
    with site.app.app_context():
        site.db.session.execute(sa.update(site.testing.runtime.sessions.model).values(generation=late))
        site.db.session.commit()

    assert refresh(site, bent(pair["refresh_token"], gen=late)).status_code == 200


@pytest.mark.requirement("ASVS 7.4.1", "ASVS 8.2.2")
@pytest.mark.parametrize("subject", ["2", "nobody", "1 ", "01"])
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_logging_out_under_another_name_ends_nobodys_session(site: Site, pair: Pair, subject: str, kind: str) -> None:
    with site.testing.recorded() as events:
        site.client.post(f"{AUTH}/logout", headers=bearer(bent(pair[kind], sub=subject)))

    assert events == []
    assert me(site, pair) == 200


# What came meanwhile


@pytest.mark.requirement("ASVS 15.4.2", "ASVS 7.4.1")
@pytest.mark.parametrize("act", ["logout", "idle"])
def test_a_session_that_ends_while_presence_is_proved_is_not_revived(make_site: MakeSite, act: str) -> None:
    """The password is looked at for as long as hashing takes; the session may be over by then."""
    site = make_site(config={"JWT_REFRESH_TOKEN_EXPIRES": timedelta(minutes=14)})
    site.user(ANN)
    pair = site.tokens(ANN)
    inner = site.testing.runtime.hasher.inner
    verify = inner.verify

    def slow(password: str, encoded: str) -> bool:
        if act == "logout":
            assert site.client.post(f"{AUTH}/logout", headers=bearer(pair["refresh_token"])).status_code == 200
        else:
            site.testing.clock.move(minutes=14)
        return verify(password, encoded)

    inner.verify = slow  # type: ignore[method-assign]  # a double
    with site.testing.recorded() as events:
        answer = reauthenticate(site, pair, password=PASSWORD)

    assert code_of(answer) == (401, "TOKEN_REVOKED")
    assert "session.reauthenticated" not in [event.name for event in events]
    assert me(site, pair) == 401


@pytest.mark.requirement("ASVS 7.4.2", "ASVS 15.4.2")
def test_an_account_that_is_deleted_while_its_password_is_looked_at_gets_no_session(site: Site) -> None:
    ann = site.user(ANN)
    inner = site.testing.runtime.hasher.inner
    verify = inner.verify

    def slow(password: str, encoded: str) -> bool:
        with site.app.app_context():
            site.accounts.users.delete(ann.id)
            site.db.session.commit()
        return verify(password, encoded)

    inner.verify = slow  # type: ignore[method-assign]  # a double

    with site.testing.recorded() as events:
        assert code_of(site.login(ANN)) == (401, "INVALID_CREDENTIALS")

    assert [(event.name, event.user_id) for event in events] == [("user.deleted", ann.id), ("session.refused", ann.id)]
    assert events[-1].client is not None
    with site.app.app_context():
        assert site.db.session.execute(sa.select(site.testing.runtime.sessions.model)).all() == []


@pytest.mark.requirement("ASVS 7.4.3", "ASVS 15.4.2")
def test_a_password_that_changes_while_the_gates_are_asked_opens_no_session(site: Site) -> None:
    """The lock on the account forbids it; where there is none (SQLite), the INSERT looks again."""
    site.user(ANN)
    runtime = site.testing.runtime
    facts_in, table = runtime.facts_in, runtime.users.table

    def change(row: Any) -> Any:
        site.db.session.execute(sa.update(table).values(password_hash="test$another"))
        return facts_in(row)

    runtime.facts_in = change  # type: ignore[method-assign]  # a double

    assert code_of(site.login(ANN)) == (401, "INVALID_CREDENTIALS")
    with site.app.app_context():
        assert site.db.session.execute(sa.select(runtime.sessions.model)).all() == []


@pytest.mark.requirement("ASVS 7.5.1")
def test_a_token_without_a_session_proves_no_presence(site: Site) -> None:
    """There is no row that could remember it, so it would be as if proved for ever."""
    ann = site.user(ANN)
    with site.app.test_request_context():
        minted = create_access_token(site.db.session.get(site.accounts.User, ann.id))
    site.testing.clock.move(minutes=1)  # Flask-JWT-Extended minted it by the real clock

    answer = reauthenticate(site, {"access_token": minted}, password=PASSWORD)

    assert answer.status_code == 401, answer.text
    assert "access_token" not in answer.get_json()


# Steps of a host's own


class Steps(Feature):
    """Two further steps, asked one after the other, and what their answers brought along."""

    name = "steps"

    def __init__(self, *further: str) -> None:
        self.further = further
        self.occasions: list[str] = []

    def gates(self, runtime: Runtime) -> tuple[Gate, ...]:
        def asks(name: str) -> Gate:
            def ask(attempt: LoginAttempt, user: UserView) -> None:
                if name not in attempt.answered:
                    raise ChallengeRequired([name])

            return ask

        return asks("first"), asks("second"), *(asks(name) for name in self.further)

    def challenge_methods(self, runtime: Runtime) -> dict[str, ChallengeMethod]:
        def check(attempt: LoginAttempt, user: UserView, answer: Answer) -> LoginAttempt:
            self.occasions.append(answer.occasion)
            if answer.code != "1234":
                raise InvalidCredentials
            return replace(attempt, amr=(*attempt.amr, "pin"))

        return {"first": check, "second": check}


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def stepped(make_site: MakeSite, steps: Steps) -> Site:
    site = make_site(features=[*default_features(), steps])
    site.user(ANN)
    return site


def waiting(answer: TestResponse) -> str:
    assert code_of(answer) == (401, "CHALLENGE_REQUIRED"), answer.text
    token: str = answer.get_json()["challenge_token"]
    return token


@pytest.mark.requirement("ASVS 2.3.1")
def test_two_steps_come_in_order_and_each_is_asked_once(stepped: Site) -> None:
    first = waiting(stepped.login(ANN))
    early = answered(stepped, first, "second", code="1234")
    second = waiting(answered(stepped, first, "first", code="1234"))
    again = answered(stepped, second, "first", code="1234")
    done = answered(stepped, second, "second", code="1234")

    assert [early.get_json()["errors"][0]["code"], again.get_json()["errors"][0]["code"]] == ["method_unknown"] * 2
    assert done.status_code == 200, done.text
    renewed = refresh(stepped, done.get_json()["refresh_token"])
    for answer in (done, renewed):
        assert claims_of(answer.get_json()["access_token"])["amr"] == ["pwd", "pin", "pin"]
    for used in (first, second):
        assert code_of(answered(stepped, used, "second", code="1234")) == (401, "CHALLENGE_INVALID")


@pytest.mark.requirement("ASVS 6.6.2")
def test_an_answer_is_bound_to_its_sign_in_by_what_does_not_tell_the_token(stepped: Site, steps: Steps) -> None:
    tokens = [waiting(stepped.login(ANN)) for _ in range(2)]
    for token in (*tokens, tokens[0]):
        answered(stepped, token, "first", code="0000")

    one, other, again = steps.occasions
    assert one == again
    assert one != other
    assert not {one, other, ""} & set(tokens)


@pytest.mark.requirement("ASVS 7.4.2", "ASVS 15.4.2")
def test_an_account_that_is_deleted_while_its_sign_in_is_answered_gets_no_session(stepped: Site, steps: Steps) -> None:
    token = waiting(stepped.login(ANN))

    def delete(entry: Entry) -> None:
        stepped.accounts.users.delete(1)
        stepped.db.session.commit()

    stepped.testing.runtime.entry_checks = (delete,)
    with stepped.testing.recorded() as events:
        assert code_of(answered(stepped, token, "first", code="1234")) == (401, "INVALID_CREDENTIALS")

    assert steps.occasions == []
    assert [(event.name, event.user_id) for event in events] == [("user.deleted", 1), ("session.refused", 1)]
    assert events[-1].client is not None


def test_a_step_that_nothing_answers_opens_nothing_and_breaks_nothing(make_site: MakeSite) -> None:
    site = make_site(features=[*default_features(), Steps("third")])
    site.user(ANN)
    token = waiting(site.login(ANN))
    for method in ("first", "second"):
        token = waiting(answered(site, token, method, code="1234"))

    answer = answered(site, token, "third", code="1234")

    assert code_of(answer) == (400, "VALIDATION_ERROR")
    assert answer.get_json()["errors"][0]["code"] == "method_unknown"


# The very moment


@pytest.mark.requirement("ASVS 7.3.1", "ASVS 7.3.2")
@pytest.mark.parametrize("lifetime", ["idle", "absolute"])
def test_at_the_very_moment_of_its_end_a_session_is_over_everywhere(
    make_site: MakeSite, every_database_url: str, lifetime: str
) -> None:
    idle, absolute = (timedelta(hours=1), timedelta(hours=2)) if lifetime == "idle" else (timedelta(hours=2), timedelta(hours=1))
    site = make_site(
        url=every_database_url,
        config={"JWT_REFRESH_TOKEN_EXPIRES": idle, "ACCOUNTS_SESSIONS_ABSOLUTE_LIFETIME": absolute},
    )
    ann = site.user(ANN)
    with site.app.app_context():
        sessions, now = site.testing.runtime.sessions, site.testing.clock.now()
        opened = sessions.open(ann.id, client=Client(), amr=("pwd",), now=now)
        site.db.session.commit()
        assert opened is not None
        end = now + timedelta(hours=1)
        before = end - timedelta(microseconds=1)

        assert (opened.is_live(before), opened.is_live(end)) == (True, False)
        assert ([each.id for each in sessions.live(ann.id, before)], sessions.live(ann.id, end)) == ([opened.id], [])
        assert sessions.end_all(ann.id, reason="revoked", now=end) == []
        site.db.session.rollback()
        assert sessions.rotate(opened.id, 0, end)[0] is Rotation.DEAD
        assert sessions.purge(before) == 0
        assert sessions.purge(end) == 1


@pytest.mark.requirement("ASVS 7.3.1")
def test_every_use_gives_the_whole_idle_time_anew_and_never_more_than_the_absolute(make_site: MakeSite) -> None:
    config = {"JWT_REFRESH_TOKEN_EXPIRES": timedelta(hours=2), "ACCOUNTS_SESSIONS_ABSOLUTE_LIFETIME": timedelta(hours=3)}
    site = make_site(config=config)
    ann = site.user(ANN)
    with site.app.app_context():
        sessions, now = site.testing.runtime.sessions, site.testing.clock.now()
        opened = sessions.open(ann.id, client=Client(), amr=("pwd",), now=now)
        assert opened is not None
        assert (opened.idle_expires_at, opened.expires_at) == (now + timedelta(hours=2), now + timedelta(hours=3))

        for generation, minutes, idle in ((0, 30, 150), (1, 90, 180)):
            later = now + timedelta(minutes=minutes)
            outcome, state, _ = sessions.rotate(opened.id, generation, later)
            assert outcome is Rotation.ROTATED
            assert state is not None
            assert (state.generation, state.rotated_at, state.last_used_at) == (generation + 1, later, later)
            assert (state.idle_expires_at, state.expires_at) == (now + timedelta(minutes=idle), opened.expires_at)
            assert (state.created_at, state.authenticated_at, state.amr) == (now, now, ("pwd",))
