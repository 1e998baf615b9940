"""Write `tests/security/legacy_hashes.json`: hashes as other systems make them, by those systems' own code.

    python -m venv peers && peers/bin/pip install werkzeug flask-security-too libpass django argon2-cffi flask-bcrypt
    peers/bin/python tools/make_legacy_hashes.py
    python -m venv older && older/bin/pip install flask-praetorian 'bcrypt<4.1'
    older/bin/python tools/make_legacy_hashes.py

In environments of their own, because these packages do not go together: passlib and libpass are one module. What cannot be
imported is left as it stands in the file. Costs are low, so that the tests are quick; everything else is as the systems do it.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent.parent / "tests" / "security" / "legacy_hashes.json"
SALT = "146585145368132386173505678016728509634"
"""`SECURITY_PASSWORD_SALT`, as the quickstart of Flask-Security shows it."""
PASSWORDS = {
    "plain": "correct horse battery staple",
    "accented": "Zu\u0308rich \ufb01fth na\u00efve \u2460",  # decomposed, a ligature, composed, a circled digit
    "long": "a passphrase of more than seventy-two bytes, of which the last ones must count too",
}


def main() -> None:
    made: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8")) if VECTORS.exists() else {"passwords": {}, "hashes": {}}
    made["passwords"] = PASSWORDS
    made["flask_security_salt"] = SALT
    for package, make in MAKERS.items():
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            print(f"{package} is not installed: its hashes stay as they are.")
            continue
        found = [{"scheme": scheme, "password": which, "hash": encoded} for scheme, which, encoded in make()]
        made["hashes"][package] = {"version": version, "vectors": found}
        print(f"{package} {version}: {len(found)} hashes")
    VECTORS.write_text(json.dumps(made, indent=1, ensure_ascii=True, sort_keys=True) + "\n", encoding="utf-8")


Vectors = Iterator[tuple[str, str, str]]
"""Scheme, name of the password, hash."""


def werkzeug_hashes() -> Vectors:
    from werkzeug.security import generate_password_hash

    for method in ("scrypt:1024:8:1", "pbkdf2:sha256:1000", "pbkdf2:sha512:1000"):
        for which, password in PASSWORDS.items():
            yield method.rpartition(":")[0], which, generate_password_hash(password, method)


def flask_bcrypt_hashes() -> Vectors:
    from flask import Flask
    from flask_bcrypt import Bcrypt

    for long in (False, True):
        app = Flask("app")
        app.config.update(BCRYPT_HANDLE_LONG_PASSWORDS=long, BCRYPT_LOG_ROUNDS=4)
        hasher = Bcrypt(app)
        for which, password in PASSWORDS.items():
            if long or len(password.encode()) <= 72:  # bcrypt itself refuses longer ones by now
                yield ("long" if long else "bcrypt"), which, hasher.generate_password_hash(password).decode()


def flask_security_hashes() -> Vectors:
    from flask import Flask
    from flask_security import Security
    from flask_security.datastore import UserDatastore
    from flask_security.utils import hash_password

    class User:
        fs_uniquifier = email = None

    costs = {
        "bcrypt": {"bcrypt__rounds": 4},
        "argon2": {"argon2__time_cost": 1, "argon2__memory_cost": 64, "argon2__parallelism": 1},
        "pbkdf2_sha512": {"pbkdf2_sha512__rounds": 1000},
        "pbkdf2_sha256": {"pbkdf2_sha256__rounds": 1000},
    }
    for single in (False, True):
        for scheme, options in costs.items():
            app = Flask("app")
            app.config.update(
                SECRET_KEY="k" * 40, SECURITY_PASSWORD_SALT=SALT, SECURITY_PASSWORD_HASH=scheme,
                SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS=options,
                SECURITY_PASSWORD_SCHEMES=[*costs, "plaintext"],
            )  # fmt: skip
            if single:
                app.config["SECURITY_PASSWORD_SINGLE_HASH"] = True
            Security(app, UserDatastore(User, None), register_blueprint=False)  # hashing needs no store
            with app.app_context():
                for which, password in PASSWORDS.items():
                    normal = app.extensions["security"].password_util.normalize(password)
                    yield f"{scheme}{' single' if single else ''}", which, hash_password(normal)


def passlib_hashes() -> Vectors:
    from passlib.hash import argon2, bcrypt_sha256, pbkdf2_sha1, pbkdf2_sha256, pbkdf2_sha512, scrypt

    cheap: dict[str, Any] = {
        "pbkdf2_sha1": pbkdf2_sha1.using(rounds=1000),
        "pbkdf2_sha256": pbkdf2_sha256.using(rounds=1000),
        "pbkdf2_sha512": pbkdf2_sha512.using(rounds=1000),
        "scrypt": scrypt.using(rounds=10),
        "bcrypt_sha256": bcrypt_sha256.using(rounds=4),
        "bcrypt_sha256 v1": bcrypt_sha256.using(rounds=4, version=1),
        "argon2": argon2.using(time_cost=1, memory_cost=64, parallelism=1),
    }
    for scheme, handler in cheap.items():
        for which, password in PASSWORDS.items():
            yield scheme, which, handler.hash(password)


def praetorian_hashes() -> Vectors:
    from flask import Flask
    from flask_praetorian import Praetorian

    class Nobody:
        @classmethod
        def lookup(cls, username: str) -> None: ...

        @classmethod
        def identify(cls, id: int) -> None: ...

        identity = rolenames = password = None

    for scheme in ("pbkdf2_sha512", "bcrypt", "argon2"):
        app = Flask("app")
        app.config.update(SECRET_KEY="k" * 40, PRAETORIAN_HASH_SCHEME=scheme)
        guard = Praetorian(app, Nobody)
        guard.pwd_ctx.update(
            pbkdf2_sha512__rounds=1000, bcrypt__rounds=4, argon2__time_cost=1, argon2__memory_cost=64, argon2__parallelism=1
        )
        for which, password in PASSWORDS.items():
            if scheme != "bcrypt" or len(password.encode()) <= 72:
                yield scheme, which, guard.hash_password(password)


def django_hashes() -> Vectors:
    from django.conf import settings

    settings.configure(
        PASSWORD_HASHERS=[
            f"django.contrib.auth.hashers.{name}PasswordHasher"
            for name in ("PBKDF2", "PBKDF2SHA1", "Argon2", "BCryptSHA256", "BCrypt", "Scrypt")
        ]
    )
    from django.contrib.auth.hashers import get_hasher, make_password

    for algorithm in ("pbkdf2_sha256", "pbkdf2_sha1", "argon2", "bcrypt_sha256", "bcrypt", "scrypt"):
        hasher: Any = get_hasher(algorithm)
        for name, value in {"iterations": 1000, "rounds": 4, "memory_cost": 256, "time_cost": 1, "work_factor": 1024}.items():
            if hasattr(hasher, name):
                setattr(hasher, name, value)
        for which, password in PASSWORDS.items():
            if algorithm != "bcrypt" or len(password.encode()) <= 72:
                yield algorithm, which, make_password(password, hasher=hasher)


MAKERS: dict[str, Callable[[], Vectors]] = {
    "Werkzeug": werkzeug_hashes,
    "Flask-Bcrypt": flask_bcrypt_hashes,
    "Flask-Security-Too": flask_security_hashes,
    "libpass": passlib_hashes,
    "flask-praetorian": praetorian_hashes,
    "Django": django_hashes,
}


if __name__ == "__main__":
    main()
