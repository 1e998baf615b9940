"""What is stored of a password, how older hashes come up to date, and what hashing may cost (ASVS 11.2.2, 11.4.2, 15.2.2)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import argon2
import bcrypt
import pytest
import sqlalchemy as sa
import werkzeug.security
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts
from flask_accounts.core.derivations import HashRefused
from flask_accounts.core.errors import ServiceUnavailable
from flask_accounts.core.legacy_hashes import MAX_STORED
from flask_accounts.core.passwords import MAX_LENGTH, Argon2Hasher, BoundedHasher, scheme
from flask_accounts.testing import PASSWORD, FastHasher
from tests.conftest import KEY, MakeSite, Site

CHEAP = Argon2Hasher(memory_cost=64, time_cost=1)
"""Argon2 as it is, at a cost for tests."""


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    site = make_site()
    site.testing.runtime.hasher.inner = CHEAP
    return site


def stored(site: Site, email: str) -> str:
    with site.app.app_context():
        user = site.accounts.User
        found: str = site.db.session.execute(sa.select(user.password_hash).where(user.email == email)).scalar_one()
        return found


def store(site: Site, email: str, encoded: str) -> None:
    with site.app.app_context():
        user = site.accounts.User
        site.db.session.execute(sa.update(user).where(user.email == email).values(password_hash=encoded))
        site.db.session.commit()


@pytest.mark.requirement("ASVS 11.4.2")
def test_production_stores_argon2id_of_19_mib_and_2_passes_salted_anew() -> None:
    db = SQLAlchemy()
    accounts = Accounts(db)
    app = Flask("production")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY=KEY)
    accounts.init_app(app)
    with app.app_context():
        db.create_all()
        engine = db.engine
        for name in ("ann", "bob"):
            assert (
                app.test_client()
                .post("/api/auth/register", json={"email": f"{name}@example.com", "password": PASSWORD})
                .status_code
                == 201
            )
        one, other = db.session.execute(sa.select(accounts.User.password_hash)).scalars()
    engine.dispose()

    parameters = argon2.extract_parameters(one)
    assert parameters.type is argon2.Type.ID
    assert (parameters.memory_cost >= 19_456, parameters.time_cost >= 2, parameters.salt_len >= 16) == (True, True, True)
    assert one != other


LEGACY = {
    "scrypt": werkzeug.security.generate_password_hash(PASSWORD, "scrypt:1024:8:1"),
    "pbkdf2": werkzeug.security.generate_password_hash(PASSWORD, "pbkdf2:sha256:1000"),
    "bcrypt": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode(),
    "bcrypt of PHP": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$"),
    "argon2i": argon2.PasswordHasher(memory_cost=64, time_cost=1, type=argon2.Type.I).hash(PASSWORD),
    "argon2id of less": argon2.PasswordHasher(memory_cost=32, time_cost=1, parallelism=1).hash(PASSWORD),
}


@pytest.mark.requirement("ASVS 11.2.2", "ASVS 11.4.2")
@pytest.mark.parametrize("scheme", LEGACY)
def test_an_older_hash_is_replaced_at_the_next_right_sign_in_and_only_then(site: Site, scheme: str) -> None:
    site.user("ann@example.com")
    store(site, "ann@example.com", LEGACY[scheme])

    assert site.login("ann@example.com", "a wrong one").status_code == 401
    assert stored(site, "ann@example.com") == LEGACY[scheme]
    assert site.login("ann@example.com").status_code == 200
    upgraded = stored(site, "ann@example.com")
    assert upgraded.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert site.login("ann@example.com").status_code == 200
    assert stored(site, "ann@example.com") == upgraded


@pytest.mark.requirement("ASVS 11.2.2")
def test_raising_the_cost_reaches_every_account_at_its_next_sign_in(site: Site) -> None:
    site.user("ann@example.com")
    site.testing.runtime.hasher.inner = Argon2Hasher(memory_cost=128, time_cost=2)

    assert site.login("ann@example.com").status_code == 200

    assert stored(site, "ann@example.com").startswith("$argon2id$v=19$m=128,t=2,")


@pytest.mark.requirement("ASVS 11.2.2")
def test_other_doors_upgrade_too(site: Site) -> None:
    ann = site.user("ann@example.com")
    client = site.client_for(ann)
    store(site, "ann@example.com", LEGACY["scrypt"])

    assert client.post("/api/auth/reauthenticate", json={"password": PASSWORD}).status_code == 200

    assert stored(site, "ann@example.com").startswith("$argon2id$")


@pytest.mark.requirement("ASVS 6.2.8")
def test_after_the_upgrade_from_bcrypt_every_byte_counts(site: Site) -> None:
    """bcrypt itself reads 72 bytes; the hash that takes its place reads all of what was typed."""
    long = "x" * 40 + "é" * 16 + "-the end"  # 72 bytes, and 8 more
    site.user("ann@example.com")
    store(site, "ann@example.com", bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode())

    assert site.login("ann@example.com", long[:-10]).status_code == 401
    assert site.login("ann@example.com", long).status_code == 200
    assert site.login("ann@example.com", long[:-1] + "!").status_code == 401
    assert site.login("ann@example.com", long).status_code == 200


@pytest.mark.requirement("ASVS 6.2.8")
@pytest.mark.parametrize("length", [71, 72, 73, 74, 200])
def test_new_passwords_do_not_end_at_the_72nd_byte(site: Site, length: int) -> None:
    site.user("ann@example.com", password=("vexing quartz lamp / " * 10)[:length])

    assert site.login("ann@example.com", ("vexing quartz lamp / " * 10)[: length - 1] + "#").status_code == 401


@pytest.mark.requirement("ASVS 16.5.3")
@pytest.mark.parametrize(
    "encoded",
    ["", " ", "x", "!", "*", "$", "$argon2id$", "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$", "$2b$", "$2b$99$abc", "scrypt:", "scrypt:0:0:0$$",
     "pbkdf2:sha256:x$a$b", "pbkdf2:nohash:1$a$b", "plain$$" + PASSWORD, PASSWORD, "$argon2id$v=19$m=99999999,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"],
)  # fmt: skip
def test_what_is_no_hash_matches_nothing_and_breaks_nothing(site: Site, encoded: str) -> None:
    site.user("ann@example.com")
    store(site, "ann@example.com", encoded)

    for password in (PASSWORD, encoded, ""):
        assert site.login("ann@example.com", password).status_code == 401


@pytest.mark.requirement("ASVS 16.5.3")
def test_an_account_without_a_password_matches_nothing(site: Site) -> None:
    site.user("ann@example.com", password=None)

    for password in (PASSWORD, "", "None", "null"):
        assert site.login("ann@example.com", password).status_code == 401


class Held(FastHasher):
    """A hasher whose verifications wait to be let go, and that counts how many are at it."""

    def __init__(self) -> None:
        self.running, self.most = 0, 0
        self.entered, self.go = threading.Semaphore(0), threading.Event()
        self._lock = threading.Lock()

    def verify(self, password: str, encoded: str) -> bool:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.entered.release()
        assert self.go.wait(20)
        with self._lock:
            self.running -= 1
        return True


@pytest.mark.requirement("ASVS 15.2.2")
def test_a_storm_of_sign_ins_never_hashes_more_than_allowed_at_once() -> None:
    held = Held()
    bounded = BoundedHasher(held, concurrency=3, patience=20)
    encoded = FastHasher().hash(PASSWORD)

    with ThreadPoolExecutor(12) as pool:
        storm = [pool.submit(bounded.verify, PASSWORD, encoded if number % 2 else None) for number in range(12)]
        for _ in range(3):
            assert held.entered.acquire(timeout=20)
        assert not held.entered.acquire(timeout=0.1)  # the fourth waits
        held.go.set()
        answers = [each.result() for each in storm]

    assert held.most == 3
    assert answers == [bool(number % 2) for number in range(12)]


@pytest.mark.requirement("ASVS 15.2.2")
def test_who_waits_too_long_is_turned_away_and_the_turn_is_free_again_afterwards(make_site: MakeSite) -> None:
    site = make_site(config={"ACCOUNTS_PASSWORD_MAX_CONCURRENT_HASHES": 1, "ACCOUNTS_PASSWORD_HASH_PATIENCE": 0.01})
    site.user("ann@example.com")

    with site.testing.runtime.hasher._slot():
        busy = site.login("ann@example.com")
        unknown = site.login("nobody@example.com")
    calm = site.login("ann@example.com")

    assert (busy.status_code, busy.get_json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert int(busy.headers["Retry-After"]) >= 1
    assert unknown.get_json() == busy.get_json()
    assert calm.status_code == 200


@pytest.mark.requirement("ASVS 15.2.2")
def test_a_hasher_that_fails_gives_its_turn_back() -> None:
    class Broken(FastHasher):
        def verify(self, password: str, encoded: str) -> bool:
            raise MemoryError

    bounded = BoundedHasher(Broken(), concurrency=1, patience=0.01)

    for _ in range(3):
        with pytest.raises(MemoryError):
            bounded.verify(PASSWORD, "x")
    with bounded._slot(), pytest.raises(ServiceUnavailable):
        bounded.hash(PASSWORD)


@pytest.mark.requirement("ASVS 11.4.2")
def test_a_hash_costs_what_was_asked_for_and_the_owasp_parameters_by_default() -> None:
    def cost(hasher: Argon2Hasher) -> tuple[int, int, int]:
        made = argon2.extract_parameters(hasher.hash(PASSWORD))
        return made.memory_cost, made.time_cost, made.parallelism

    assert cost(Argon2Hasher(memory_cost=72, time_cost=3, parallelism=4)) == (72, 3, 4)
    assert cost(Argon2Hasher()) == (19_456, 2, 1)


class Noting(FastHasher):
    """A hasher that says yes to everything, and notes what it was asked."""

    def __init__(self) -> None:
        self.hashed: list[str] = []
        self.verified: list[tuple[str, str]] = []

    def hash(self, password: str) -> str:
        self.hashed.append(password)
        return f"hash {len(self.hashed)}"

    def verify(self, password: str, encoded: str) -> bool:
        self.verified.append((password, encoded))
        return True


@pytest.mark.requirement("ASVS 15.2.2")
def test_what_is_longer_than_a_password_can_be_never_reaches_the_hasher_and_what_is_just_as_long_does() -> None:
    noting = Noting()
    bounded = BoundedHasher(noting, concurrency=1, patience=0.01)
    longest = "x" * MAX_LENGTH

    with pytest.raises(ValueError, match="at most 256 characters"):
        bounded.hash(longest + "x")
    assert bounded.verify(longest + "x", "hash") is False
    assert (noting.hashed, noting.verified) == ([], [])
    bounded.hash(longest)
    assert bounded.verify(longest, "hash") is True
    assert noting.hashed[0] == longest
    assert noting.verified == [(longest, "hash")]


@pytest.mark.requirement("ASVS 6.3.8")
def test_no_account_is_told_by_the_hasher_from_one_that_is_there() -> None:
    """One verification each, and the hash that an unknown account is held against is there before either asks."""
    noting = Noting()
    bounded = BoundedHasher(noting, concurrency=1, patience=0.01)

    assert bounded.verify("a", "of an account") is True
    assert len(noting.hashed) == 1
    for nothing in (None, ""):
        assert bounded.verify("b", nothing) is False, "though the hasher said yes"

    assert noting.verified == [("a", "of an account"), ("b", "hash 1"), ("b", "hash 1")]
    assert len(noting.hashed) == 1
    again = Noting()
    BoundedHasher(again, concurrency=1, patience=0.01).verify("a", None)
    assert len(again.hashed[0]) >= 22, "16 random bytes"
    assert again.hashed != noting.hashed


@pytest.mark.requirement("ASVS 15.2.2")
def test_who_is_turned_away_is_told_when_to_come_again() -> None:
    bounded = BoundedHasher(Noting(), concurrency=1, patience=0.01)

    with bounded._slot(), pytest.raises(ServiceUnavailable, match="Too many sign-ins") as turned_away:
        bounded.verify("a", "hash")

    assert dict(turned_away.value.get_headers())["Retry-After"] == "1"


@pytest.mark.requirement("ASVS 15.2.2")
def test_a_hash_from_elsewhere_that_is_too_long_to_store_is_refused_whatever_the_hasher_says() -> None:
    class Open(FastHasher):
        def check(self, encoded: str) -> None:
            asked.append(encoded)

    asked: list[str] = []
    longest = "x" * MAX_STORED
    for hasher in (Open(), FastHasher()):
        bounded = BoundedHasher(hasher, concurrency=1, patience=0.01)
        bounded.check(longest)
        with pytest.raises(HashRefused, match="at most 512 characters") as refused:
            bounded.check(longest + "x")
        assert refused.value.code == "hash_too_long"
    assert asked == [longest]


def test_a_hash_that_argon2_cannot_read_is_to_be_replaced_and_fits_nothing() -> None:
    for encoded in ("$argon2id$", "$argon2id$v=19$m=64,t=1,p=1$", "$argon2id$v=19$m=é,t=1,p=1$c2FsdHNhbHQ$aGFzaA"):
        assert CHEAP.needs_rehash(encoded) is True
        assert CHEAP.verify(PASSWORD, encoded) is False


def test_a_scheme_has_a_name_that_says_nothing_of_the_hash() -> None:
    assert (scheme(None), scheme(""), scheme("made by the host")) == ("none", "none", "other")
    assert scheme(CHEAP.hash(PASSWORD)) == "argon2id"
