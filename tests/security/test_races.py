"""Races: what is checked must still hold when it is acted upon, in threads, on every database.

Each call has a thread and a test client of its own and waits at a barrier, so that all start at once.
Where the moment matters, `Rendezvous` holds every thread between reading an account and judging its
password, the widest window there is. The engine has Flask-SQLAlchemy's default pool.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
import werkzeug.security
from werkzeug.test import TestResponse

from flask_accounts.core.sessions import SessionMixin
from flask_accounts.features.users.leaving import LeavingService
from flask_accounts.testing import PASSWORD, FastHasher
from tests.conftest import MakeSite, Site, bearer

Act = Callable[[], TestResponse]
NEW_PASSWORD = "a new and different passphrase"

pytestmark = pytest.mark.requirement("ASVS 15.4.2")


@pytest.fixture
def site(make_site: MakeSite, every_database_url: str) -> Site:
    return make_site(
        url=every_database_url, config={"ACCOUNTS_PASSWORD_MAX_CONCURRENT_HASHES": 64, "ACCOUNTS_EMAIL_CHANGE_DIRECT": True}
    )


def at_once(*acts: Act) -> list[TestResponse]:
    """Every act in a thread of its own, all let go at the same moment; their answers in order."""
    barrier = threading.Barrier(len(acts), timeout=20)

    def run(act: Act) -> TestResponse:
        barrier.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(run, act) for act in acts]]


def statuses(answers: Sequence[TestResponse]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


class Rendezvous(FastHasher):
    """A hasher in which `parties` verifications meet: none goes on before all have read their account."""

    def __init__(self, parties: int) -> None:
        self._barrier = threading.Barrier(parties, timeout=20)
        self._met = threading.local()

    def verify(self, password: str, encoded: str) -> bool:
        if not getattr(self._met, "done", False):
            self._met.done = True
            self._barrier.wait()
        if encoded.startswith("pbkdf2:"):
            return werkzeug.security.check_password_hash(encoded, password)
        return super().verify(password, encoded)


def call(site: Site, method: str, path: str, token: str | None = None, json: Any = None) -> Act:
    """The act of sending this from a new client."""
    client = site.app.test_client()
    return lambda: client.open(path, method=method, json=json, headers=bearer(token) if token else {})


def login(site: Site, email: str, password: str = PASSWORD) -> Act:
    return call(site, "POST", "/api/auth/login", json={"email": email, "password": password})


def works(site: Site, token: str) -> bool:
    return site.client.get("/api/auth/me", headers=bearer(token)).status_code == 200


def sessions_of(site: Site, key: Any) -> list[sa.RowMapping]:
    with site.app.app_context():
        table = site.testing.runtime.model(SessionMixin).__table__
        return list(site.db.session.execute(sa.select(table).where(table.c.user_id == key)).mappings())


def active_administrators(site: Site) -> int:
    with site.app.app_context():
        keys = site.testing.runtime.users.keys()
        views = [site.testing.runtime.users.view(key) for key in list(keys)]
        return sum(1 for view in views if view and view.is_active and "admin" in view.roles)


# Refresh


@pytest.mark.requirement("RFC9700 4.14.2")
def test_20_threads_with_one_refresh_token_make_one_generation_and_all_get_working_tokens(site: Site) -> None:
    ann = site.user("ann@example.com")
    token = site.tokens("ann@example.com")["refresh_token"]

    for generation in (1, 2):
        answers = at_once(*[call(site, "POST", "/api/auth/refresh", token) for _ in range(20)])

        assert statuses(answers) == {200: 20}
        assert [row["generation"] for row in sessions_of(site, ann.id)] == [generation]
        assert all(works(site, answer.get_json()["access_token"]) for answer in answers)
        token = answers[generation].get_json()["refresh_token"]


@pytest.mark.requirement("ASVS 10.4.5")
def test_a_stolen_old_token_replayed_in_parallel_with_the_owners_ends_the_session(site: Site) -> None:
    ann = site.user("ann@example.com")
    stolen = site.tokens("ann@example.com")["refresh_token"]
    newest = call(site, "POST", "/api/auth/refresh", stolen)().get_json()
    site.testing.clock.move(seconds=11)

    replayed = [call(site, "POST", "/api/auth/refresh", stolen) for _ in range(6)]
    answers = at_once(*replayed, *[call(site, "POST", "/api/auth/refresh", newest["refresh_token"]) for _ in range(6)])

    assert statuses(answers[:6]) == {401: 6}
    assert statuses(answers).keys() <= {200, 401}
    assert [row["end_reason"] for row in sessions_of(site, ann.id)] == ["reuse"]
    assert not works(site, newest["access_token"])


@pytest.mark.requirement("ASVS 7.4.1")
def test_no_refresh_outlives_a_logout_at_the_same_moment(site: Site) -> None:
    site.user("ann@example.com")

    for _ in range(4):
        pair = site.tokens("ann@example.com")
        logout = call(site, "POST", "/api/auth/logout", pair["access_token"])
        answers = at_once(logout, *[call(site, "POST", "/api/auth/refresh", pair["refresh_token"]) for _ in range(5)])

        assert answers[0].status_code == 200
        assert statuses(answers[1:]).keys() <= {200, 401}
        assert not any(works(site, answer.get_json()["access_token"]) for answer in answers[1:] if answer.status_code == 200)


# Registration


@pytest.mark.requirement("ASVS 16.5.1")
@pytest.mark.parametrize("taken", ["email", "username"])
def test_20_registrations_of_one_name_at_once_make_one_account(site: Site, taken: str) -> None:
    for round_ in range(2):

        def body(number: int, round_: int = round_) -> dict[str, str]:
            spelled = ["Ann", "ANN", "ann"][number % 3]
            name = spelled if taken == "username" else f"person{number}"
            address = f"{spelled}{round_}@example.com" if taken == "email" else f"p{round_}x{number}@example.com"
            return {"email": address, "username": f"{name}.{round_}", "password": PASSWORD}

        answers = at_once(*[call(site, "POST", "/api/auth/register", json=body(number)) for number in range(20)])

        assert statuses(answers) == {201: 1, 409: 19}
        assert {answer.get_json()["code"] for answer in answers if answer.status_code == 409} == {f"{taken.upper()}_TAKEN"}


def test_two_people_who_take_one_free_address_at_once_do_not_both_get_it(site: Site) -> None:
    tokens = [site.testing.sign_in(site.user()).tokens.access_token for _ in range(6)]

    acts = [call(site, "PATCH", "/api/auth/me", token, {"email": "wanted@example.com"}) for token in tokens]
    answers = at_once(*acts)

    assert statuses(answers) == {200: 1, 409: 5}


def test_one_role_made_and_granted_by_many_at_once_is_there_once(site: Site) -> None:
    token = site.testing.sign_in(site.admin()).tokens.access_token
    ann = site.user()

    made = at_once(*[call(site, "POST", "/api/users/roles", token, {"name": "editor"}) for _ in range(8)])
    given = at_once(*[call(site, "PUT", f"/api/users/{ann.id}/roles", token, {"roles": ["editor"]}) for _ in range(8)])

    assert statuses(made) == {201: 1, 409: 7}
    assert 200 in statuses(given)
    assert statuses(given).keys() <= {200, 409}
    assert site.client_for(ann).get("/api/auth/me").get_json()["roles"] == ["editor"]


# The last administrator


def _disable(site: Site, token: str, key: Any) -> Act:
    return call(site, "POST", f"/api/users/{key}/disable", token)


def _deactivate(site: Site, token: str, key: Any) -> Act:
    return call(site, "PATCH", f"/api/users/{key}", token, {"is_active": False})


def _demote(site: Site, token: str, key: Any) -> Act:
    return call(site, "PUT", f"/api/users/{key}/roles", token, {"roles": []})


def _delete(site: Site, token: str, key: Any) -> Act:
    return call(site, "DELETE", f"/api/users/{key}", token)


@pytest.mark.requirement("ASVS 2.3.2")
@pytest.mark.parametrize(
    ("one", "other"),
    [(_disable, _disable), (_demote, _demote), (_delete, _delete), (_deactivate, _demote), (_disable, _delete)],
    ids=["disable", "demote", "delete", "deactivate-demote", "disable-delete"],
)
def test_two_administrators_who_remove_each_other_at_once_leave_one(
    site: Site, one: Callable[..., Act], other: Callable[..., Act]
) -> None:
    boss = site.admin("admin0@example.com")

    for round_ in range(1, 3):
        rival = site.admin(f"admin{round_}@example.com")
        by_boss, by_rival = (site.testing.sign_in(user).tokens.access_token for user in (boss, rival))
        answers = at_once(one(site, by_boss, rival.id), other(site, by_rival, boss.id))

        done = [answer.status_code in (200, 204) for answer in answers]
        assert sum(done) == 1, statuses(answers)
        assert statuses(answers).keys() <= {200, 204, 401, 403, 404, 409}
        assert active_administrators(site) == 1
        boss = boss if done[0] else rival


@pytest.mark.requirement("ASVS 2.3.2")
def test_administrators_who_all_delete_themselves_at_once_leave_one(site: Site) -> None:
    tokens = [site.testing.sign_in(site.admin(f"admin{number}@example.com")).tokens.access_token for number in range(6)]

    answers = at_once(*[call(site, "DELETE", "/api/auth/me", token) for token in tokens])

    assert statuses(answers) == {204: 5, 409: 1}
    assert active_administrators(site) == 1


def test_demoting_and_disabling_while_administrators_sign_in_and_refresh_ends_in_no_deadlock(site: Site) -> None:
    boss = site.testing.sign_in(site.admin("boss@example.com")).tokens.access_token

    for round_ in range(3):
        rivals = [site.admin(f"rival{round_}x{number}@example.com") for number in range(4)]
        pairs = [site.testing.sign_in(rival).tokens for rival in rivals]
        acts = [(_disable, _demote, _delete, _deactivate)[number](site, boss, rival.id) for number, rival in enumerate(rivals)]
        acts += [login(site, rival.email) for rival in rivals]
        acts += [call(site, "POST", "/api/auth/refresh", pair.refresh_token) for pair in pairs]
        answers = at_once(*acts)

        assert max(statuses(answers)) < 500, [answer.get_json() for answer in answers if answer.status_code >= 500]
        assert all(answer.status_code in (200, 204) for answer in answers[:4])


# Passwords and disabling against sign-in and refresh


def _change(site: Site, token: str, current: str, new: str) -> Act:
    return call(site, "POST", "/api/auth/password/change", token, {"current_password": current, "new_password": new})


@pytest.mark.requirement("ASVS 7.4.3")
def test_no_session_opened_with_the_old_password_survives_a_change_at_the_same_moment(site: Site) -> None:
    site.user("ann@example.com")
    old, new = PASSWORD, NEW_PASSWORD

    for round_ in range(4):
        owner = site.tokens("ann@example.com", old)
        if round_ % 2:  # every thread has read the account before any goes on
            site.testing.runtime.hasher.inner = Rendezvous(7)
        answers = at_once(_change(site, owner["access_token"], old, new), *[login(site, "ann@example.com", old) for _ in range(6)])
        site.testing.runtime.hasher.inner = FastHasher()

        assert answers[0].status_code == 204
        assert statuses(answers[1:]).keys() <= {200, 401}
        opened = [answer.get_json() for answer in answers[1:] if answer.status_code == 200]
        assert not any(works(site, pair["access_token"]) for pair in opened)
        assert works(site, owner["access_token"])
        old, new = new, old


@pytest.mark.requirement("ASVS 7.4.3")
def test_no_refresh_carries_another_session_over_a_password_change(site: Site) -> None:
    site.user("ann@example.com")
    old, new = PASSWORD, NEW_PASSWORD

    for _ in range(3):
        owner, thieves = site.tokens("ann@example.com", old), [site.tokens("ann@example.com", old) for _ in range(6)]
        answers = at_once(
            _change(site, owner["access_token"], old, new),
            *[call(site, "POST", "/api/auth/refresh", thief["refresh_token"]) for thief in thieves],
        )

        assert answers[0].status_code == 204
        assert statuses(answers[1:]).keys() <= {200, 401}
        carried = [answer.get_json()["access_token"] for answer in answers[1:] if answer.status_code == 200]
        assert not any(works(site, token) for token in [*carried, *(thief["access_token"] for thief in thieves)])
        old, new = new, old


def test_one_password_changed_twice_at_once_is_changed_once(site: Site) -> None:
    site.user("ann@example.com")
    tokens = [site.tokens("ann@example.com")["access_token"] for _ in range(4)]
    site.testing.runtime.hasher.inner = Rendezvous(4)

    words = [f"the passphrase of thread {number}" for number in range(4)]
    answers = at_once(*[_change(site, token, PASSWORD, word) for token, word in zip(tokens, words, strict=True)])
    site.testing.runtime.hasher.inner = FastHasher()

    assert statuses(answers) == {204: 1, 401: 3}
    winner = next(number for number, answer in enumerate(answers) if answer.status_code == 204)
    assert [site.login("ann@example.com", word).status_code for word in words] == [200 if n == winner else 401 for n in range(4)]


@pytest.mark.requirement("ASVS 7.4.2")
@pytest.mark.parametrize("remove", [_disable, _deactivate, _delete], ids=["disable", "deactivate", "delete"])
def test_no_sign_in_at_the_moment_of_disabling_or_deleting_leaves_a_session(site: Site, remove: Callable[..., Act]) -> None:
    boss = site.testing.sign_in(site.admin()).tokens.access_token

    for round_ in range(2):
        ann = site.user(f"ann{round_}@example.com")
        site.testing.runtime.hasher.inner = Rendezvous(6)
        answers = at_once(remove(site, boss, ann.id), *[login(site, ann.email) for _ in range(6)])
        site.testing.runtime.hasher.inner = FastHasher()
        if remove is not _delete:
            assert call(site, "POST", f"/api/users/{ann.id}/enable", boss)().status_code == 200

        assert answers[0].status_code in (200, 204)
        assert statuses(answers[1:]).keys() <= {200, 401, 403}
        opened = [answer.get_json()["access_token"] for answer in answers[1:] if answer.status_code == 200]
        assert not any(works(site, token) for token in opened)
        assert not [row for row in sessions_of(site, ann.id) if row["ended_at"] is None]


# Sign-ins among themselves


@pytest.mark.requirement("ASVS 7.1.2")
def test_parallel_sign_ins_do_not_pass_the_limit_of_sessions(make_site: MakeSite, every_database_url: str) -> None:
    config = {
        "ACCOUNTS_SESSIONS_MAX_PER_USER": 3,
        "ACCOUNTS_PASSWORD_MAX_CONCURRENT_HASHES": 64,
        "ACCOUNTS_EMAIL_CHANGE_DIRECT": True,
    }
    site = make_site(url=every_database_url, config=config)
    ann = site.user("ann@example.com")

    for _ in range(2):
        site.testing.runtime.hasher.inner = Rendezvous(12)
        answers = at_once(*[login(site, "ann@example.com") for _ in range(12)])

        assert statuses(answers) == {200: 12}
        assert sum(works(site, answer.get_json()["access_token"]) for answer in answers) == 3
        assert sum(row["ended_at"] is None for row in sessions_of(site, ann.id)) == 3
        site.testing.clock.move(seconds=1)


@pytest.mark.requirement("ASVS 11.2.2")
def test_parallel_sign_ins_with_a_hash_of_an_older_scheme_all_succeed(site: Site) -> None:
    ann = site.user("ann@example.com")
    table = site.testing.runtime.users.table

    for _ in range(2):
        older = werkzeug.security.generate_password_hash(PASSWORD, method="pbkdf2:sha256:10")
        with site.app.app_context():
            site.db.session.execute(sa.update(table).where(table.c.id == ann.id).values(password_hash=older))
            site.db.session.commit()
        site.testing.runtime.hasher.inner = Rendezvous(10)
        answers = at_once(*[login(site, "ann@example.com") for _ in range(10)])

        assert statuses(answers) == {200: 10}
        with site.app.app_context():
            stored = site.db.session.execute(sa.select(table.c.password_hash)).scalar_one()
        assert stored.startswith("test$")


# Deletion


@pytest.mark.requirement("ASVS 7.4.2")
def test_of_a_purge_and_a_sign_in_at_the_same_moment_one_wins(make_site: MakeSite, every_database_url: str) -> None:
    site = make_site(url=every_database_url, config={"ACCOUNTS_DELETION_GRACE": 60, "ACCOUNTS_PASSWORD_MAX_CONCURRENT_HASHES": 64})

    def purge() -> Any:
        with site.app.app_context():
            site.testing.runtime.get(LeavingService).purge()
        return site.app.response_class(status=204)

    outcomes = set()
    for number in range(6):
        email = f"ann{number}@example.com"
        ann = site.user(email)
        call(site, "DELETE", "/api/auth/me", site.tokens(email)["access_token"])()
        site.testing.clock.move(seconds=60)

        _, *answers = at_once(purge, *[login(site, email) for _ in range(3)])

        with site.app.app_context():
            left = site.testing.runtime.users.view(ann.id)
        if left is None:
            good = [answer for answer in answers if answer.status_code == 200]
            assert not [answer for answer in good if works(site, answer.get_json()["access_token"])]
        else:
            assert left.is_active
            assert all(works(site, answer.get_json()["access_token"]) for answer in answers if answer.status_code == 200)
        outcomes.add(left is None)
        assert statuses(answers).keys() <= {200, 401, 403, 409, 503}
    assert outcomes  # which of the two it was each time is left to chance


@pytest.mark.requirement("ASVS 7.4.2")
def test_a_deleted_account_that_is_suspended_while_its_owner_comes_back_stays_off(
    make_site: MakeSite, every_database_url: str
) -> None:
    site = make_site(url=every_database_url, config={"ACCOUNTS_DELETION_GRACE": 60, "ACCOUNTS_PASSWORD_MAX_CONCURRENT_HASHES": 64})
    boss = site.tokens(site.admin().email)["access_token"]
    for number in range(4):
        email = f"ann{number}@example.com"
        ann = site.user(email)
        call(site, "DELETE", "/api/auth/me", site.tokens(email)["access_token"])()
        site.testing.runtime.hasher.inner = Rendezvous(3)

        disable = call(site, "POST", f"/api/users/{ann.id}/disable", boss, json={"reason": "spam"})
        disabled, *answers = at_once(disable, *[login(site, email) for _ in range(3)])

        site.testing.runtime.hasher.inner = FastHasher()
        assert disabled.status_code == 200
        assert statuses(answers).keys() <= {200, 401, 403}
        assert not [answer for answer in answers if answer.status_code == 200 and works(site, answer.get_json()["access_token"])]
        assert login(site, email)().get_json()["code"] == "ACCOUNT_DISABLED"
