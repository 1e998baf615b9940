"""Hashes that other systems made verify and are upgraded; what is no hash, or would cost too much, is never computed.

The hashes are made by the systems' own code, see `tools/make_legacy_hashes.py`; Firebase's is the example of
https://github.com/firebase/scrypt.
"""

from __future__ import annotations

import hashlib
import json
import logging
import unicodedata
from pathlib import Path
from typing import Any

import argon2
import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from flask_accounts import ConfigurationError
from flask_accounts.core import legacy_hashes
from flask_accounts.core.derivations import HashRefused
from flask_accounts.core.legacy_hashes import LegacyHashSettings, schemes_of
from flask_accounts.core.passwords import Argon2Hasher, scheme
from tests.conftest import MakeSite, Site

MADE: dict[str, Any] = json.loads((Path(__file__).parent / "legacy_hashes.json").read_text(encoding="utf-8"))
PASSWORDS: dict[str, str] = MADE["passwords"]
FIREBASE = {
    "signer_key": "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==",
    "salt": "42xEC+ixf3L2lw==",
    "hash": "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==",
    "password": "user1password",
}
FIREBASE_HASH = f"firebase-scrypt:8:14${FIREBASE['salt']}${FIREBASE['hash']}"
SECRETS = {
    "ACCOUNTS_PASSWORD_HASHES_FLASK_SECURITY_SALT": MADE["flask_security_salt"],
    "ACCOUNTS_PASSWORD_HASHES_FIREBASE_SIGNER_KEY": FIREBASE["signer_key"],
}
SETTINGS = LegacyHashSettings(
    flask_security_salt=SecretStr(MADE["flask_security_salt"]), firebase_signer_key=SecretStr(FIREBASE["signer_key"])
)
CHEAP = Argon2Hasher(memory_cost=128, time_cost=1, legacy=SETTINGS)


def as_stored(package: str, vector: dict[str, str]) -> str:
    """The hash with what an import puts before it where it does not say itself what it is of."""
    if package == "Flask-Security-Too" and not vector["scheme"].endswith("single"):
        return "flask-security:" + vector["hash"]
    return ("flask-bcrypt-long:" if vector["scheme"] == "long" else "") + vector["hash"]


VECTORS = [
    (f"{package} {vector['scheme']} {vector['password']}", as_stored(package, vector), PASSWORDS[vector["password"]])
    for package, made in MADE["hashes"].items()
    for vector in made["vectors"]
] + [("Firebase", FIREBASE_HASH, FIREBASE["password"])]


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    site = make_site(config=SECRETS)
    site.testing.runtime.hasher.inner = CHEAP
    return site


def cuts(encoded: str) -> bool:
    """Whether the scheme is bcrypt of the password itself, which ends at the 72nd byte."""
    return encoded.startswith(("$2", "bcrypt$"))


@pytest.mark.requirement("ASVS 11.2.2", "ASVS 6.2.8")
@pytest.mark.parametrize(("encoded", "password"), [pytest.param(*rest, id=name) for name, *rest in VECTORS])
def test_a_hash_of_another_system_verifies_its_password_and_no_other(encoded: str, password: str) -> None:
    assert CHEAP.verify(password, encoded)
    assert CHEAP.needs_rehash(encoded)
    assert not CHEAP.verify(password.swapcase(), encoded)
    assert not CHEAP.verify(password + " ", encoded) or (cuts(encoded) and len(password.encode()) >= 72)
    assert not CHEAP.verify("", encoded)


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_what_flask_security_normalised_verifies_however_it_is_typed(form: Any) -> None:
    typed = unicodedata.normalize(form, PASSWORDS["accented"])
    for vector in MADE["hashes"]["Flask-Security-Too"]["vectors"]:
        if vector["password"] == "accented":
            assert CHEAP.verify(typed, as_stored("Flask-Security-Too", vector)), vector


@pytest.mark.requirement("ASVS 11.2.2", "ASVS 11.4.2")
def test_a_hash_of_another_system_is_replaced_at_the_first_right_sign_in(site: Site) -> None:
    chosen = {name.rpartition(" ")[0] or name: (encoded, password) for name, encoded, password in VECTORS}
    with site.app.app_context():
        for number, (encoded, _) in enumerate(chosen.values()):
            site.accounts.users.create(f"person{number}@example.com").password_hash = encoded
        site.db.session.commit()

    for number, (name, (_, password)) in enumerate(chosen.items()):
        assert site.login(f"person{number}@example.com", "?" + password).status_code == 401, name
        assert site.login(f"person{number}@example.com", password).status_code == 200, name
    with site.app.app_context():
        stored = site.db.session.execute(site.db.select(site.accounts.User.password_hash)).scalars().all()
    assert len(stored) == len(chosen) > 20
    assert all(encoded.startswith("$argon2id$v=19$m=128,t=1,p=1$") for encoded in stored)


HOSTILE = {
    "hash_too_costly": [
        "pbkdf2:sha256:999999999$salt$" + "00" * 32,
        "pbkdf2_sha256$999999999999$salt$" + "A" * 43,
        "$pbkdf2-sha512$999999999$c2FsdHNhbHQ$" + "A" * 86,
        "scrypt:1073741824:8:1$salt$" + "00" * 64,
        "scrypt:1024:8:99999999$salt$" + "00" * 64,
        "scrypt$16384$salt$8$99999$" + "A" * 86,
        "$scrypt$ln=31,r=8,p=1$c2FsdHNhbHQ$" + "A" * 43,
        "$scrypt$ln=10,r=999999999,p=1$c2FsdHNhbHQ$" + "A" * 43,
        "$2b$31$" + "a" * 53,
        "bcrypt_sha256$$2b$31$" + "a" * 53,
        "$bcrypt-sha256$v=2,t=2b,r=31$" + "a" * 22 + "$" + "a" * 31,
        "$argon2id$v=19$m=99999999,t=1,p=1$c2FsdHNhbHQ$" + "A" * 43,
        "$argon2id$v=19$m=1048576,t=99,p=1$c2FsdHNhbHQ$" + "A" * 43,
        "argon2$argon2id$v=19$m=19456,t=99999999,p=1$c2FsdHNhbHQ$" + "A" * 43,
        "$argon2id$v=19$m=999999,t=1,p=9999$c2FsdHNhbHQ$" + "A" * 43,
        "flask-security:$2b$31$" + "a" * 53,
        "firebase-scrypt:8:40$c2FsdA==$" + "A" * 86 + "==",
        "firebase-scrypt:9999999:14$c2FsdA==$" + "A" * 86 + "==",
    ],
    "hash_invalid": [
        "pbkdf2:sha256:0$salt$" + "00" * 32,
        "pbkdf2:sha256:-1$salt$" + "00" * 32,
        "pbkdf2:sha256:1_000$salt$" + "00" * 32,
        "pbkdf2:sha256:１０００$salt$" + "00" * 32,
        "pbkdf2:sha256:1000$salt$",
        "pbkdf2:sha256:1000$salt$00",  # one byte: every 256th password would fit
        "pbkdf2_sha256$1000$salt$AA",
        "scrypt:1000:8:1$salt$" + "00" * 64,  # N is no power of two
        "scrypt:1024:8$salt$" + "00" * 64,
        "$2b$03$" + "a" * 53,
        "$2b$12$" + "a" * 52,
        "bcrypt$plain",
        "$bcrypt-sha256$v=3,t=2b,r=4$" + "a" * 22 + "$" + "a" * 31,
        "$argon2id$v=19$m=1,t=1,p=1$c2FsdHNhbHQ$" + "A" * 43,
        "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAA",
        "$argon2id$v=19$m=x$a$b",
        "firebase-scrypt:8:14$c2FsdA==$AAAA",
        "scrypt$",
        "$2b$",
    ],
    "hash_unknown": ["", "*", "!", "plain text", "md5$salt$0123", "$6$salt$abc", "sha1$a$b", "pbkdf2:md5:1000$salt$" + "00" * 32],
    "hash_too_long": ["$2b$12$" + "a" * 600],
}  # fmt: skip


@pytest.mark.requirement("ASVS 15.2.2", "ASVS 16.5.3")
@pytest.mark.parametrize(("code", "encoded"), [(code, encoded) for code, found in HOSTILE.items() for encoded in found])
def test_a_hash_that_would_cost_too_much_or_is_none_is_refused_before_it_is_computed(
    code: str, encoded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def computed(*args: object, **kwargs: object) -> bytes:
        raise AssertionError("computed")

    monkeypatch.setattr(hashlib, "scrypt", computed)
    monkeypatch.setattr(hashlib, "pbkdf2_hmac", computed)
    monkeypatch.setattr(bcrypt, "checkpw", computed)
    monkeypatch.setattr(argon2, "PasswordHasher", computed)

    with pytest.raises(HashRefused) as refused:
        CHEAP.schemes.read(encoded)
    assert refused.value.code == code
    assert not encoded or encoded not in refused.value.message
    assert CHEAP.verify("a password", encoded) is False


@pytest.mark.requirement("ASVS 16.5.3")
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([beginning for found in legacy_hashes.STANDALONE for beginning in found.beginnings] + ["flask-security:$2b$", "firebase-scrypt:"]),
    st.text(alphabet=st.characters(codec=None), max_size=80) | st.from_regex(r"[0-9a-z$:,=]{0,60}", fullmatch=True),
)  # fmt: skip
def test_garbage_is_no_hash_and_breaks_nothing(beginning: str, rest: str) -> None:
    assert CHEAP.verify("a password", beginning + rest) is False


def test_every_known_beginning_has_one_scheme_and_a_name_for_traces() -> None:
    beginnings = [beginning for found in legacy_hashes.STANDALONE for beginning in found.beginnings]

    assert len(beginnings) == len(set(beginnings))
    assert {scheme(encoded) for _, encoded, _ in VECTORS} == {
        "argon2id", "argon2", "scrypt", "pbkdf2", "bcrypt", "flask_security", "firebase",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("encoded", "key"),
    [("flask-security:$2b$04$" + "a" * 53, "FLASK_SECURITY_SALT"), (FIREBASE_HASH, "FIREBASE_SIGNER_KEY")],
)
def test_a_hash_whose_secret_is_not_set_fits_nothing_and_the_log_says_which_to_set(
    encoded: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "flask_accounts.passwords"):
        assert Argon2Hasher().verify("a password", encoded) is False

    assert [f"ACCOUNTS_PASSWORD_HASHES_{key}" in record.message for record in caplog.records] == [True]
    assert encoded not in caplog.text


def test_a_wrong_secret_fits_nothing() -> None:
    other = schemes_of(
        LegacyHashSettings(
            flask_security_salt=SecretStr("another"), firebase_signer_key=SecretStr(FIREBASE["signer_key"][::-1].lstrip("=") + "==")
        )
    )
    [double] = [rest for name, *rest in VECTORS if name == "Flask-Security-Too bcrypt plain"]

    assert not other.verify(double[1], double[0])
    assert not other.verify(FIREBASE["password"], FIREBASE_HASH)


def test_secrets_are_read_from_the_config_refused_at_start_when_malformed_and_never_shown(make_site: MakeSite) -> None:
    with pytest.raises(ConfigurationError, match=r"ACCOUNTS_PASSWORD_HASHES_FIREBASE_SIGNER_KEY.*base64") as error:
        make_site(config={"ACCOUNTS_PASSWORD_HASHES_FIREBASE_SIGNER_KEY": "not base64!"})
    assert "not base64!" not in str(error.value)

    site = make_site(config=SECRETS)
    shown = site.app.test_cli_runner().invoke(args=["accounts", "settings", "--json"]).output
    assert MADE["flask_security_salt"] not in shown
    assert FIREBASE["signer_key"] not in shown
