"""Every system's export goes in as it comes out of it, people sign in with the passwords they have, and get an Argon2id hash by that.

The hashes are made by the systems' own code, see `tools/make_legacy_hashes.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from tests.conftest import Site
from tests.features.user_import.conftest import Import, accounts, told
from tests.security.test_legacy_hashes import FIREBASE, MADE, PASSWORDS


def made(package: str, *schemes: str) -> dict[str, str]:
    """A hash of the plain password by each of these schemes of a package."""
    found = {vector["scheme"]: vector["hash"] for vector in MADE["hashes"][package]["vectors"] if vector["password"] == "plain"}
    return {scheme: found[scheme] for scheme in schemes or found}


def assert_signs_in_and_is_upgraded(site: Site, email: str, password: str = PASSWORDS["plain"]) -> None:
    assert site.login(email, "not " + password).status_code == 401
    assert site.login(email, password).status_code == 200, email
    with site.app.app_context():
        user = site.accounts.User
        stored = site.db.session.execute(sa.select(user.password_hash).where(user.email == email)).scalar_one()
    assert stored.startswith("$argon2id$v=19$m=128,t=1,p=1$")


def test_the_design_of_tutorials(site: Site, load: Import) -> None:
    for number, encoded in enumerate(made("Werkzeug").values()):
        content = (
            f"id,username,email,password,created\n{number},ann{number},ann{number}@example.com,{encoded},2020-01-02 03:04:05\n"
        )
        assert told(load(content, "--from", "flask-login", "--json"))["imported"] == 1
        assert_signs_in_and_is_upgraded(site, f"ann{number}@example.com")
    assert accounts(site, "created_at")[0] == (datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),)


def test_flask_login_with_flask_bcrypt(site: Site, load: Import) -> None:
    hashes = made("Flask-Bcrypt")
    rows = {
        scheme: [{"email": f"{scheme}@example.com", "password_hash": encoded, "confirmed": 1, "active": True}]
        for scheme, encoded in hashes.items()
    }

    assert told(load(rows["bcrypt"], "--from", "flask-login", "--json"))["imported"] == 1
    assert told(load(rows["long"], "--from", "flask-login", "--hashes", "flask-bcrypt-long", "--json"))["imported"] == 1

    for scheme in hashes:
        assert_signs_in_and_is_upgraded(site, f"{scheme}@example.com")


def test_flask_security(site: Site, load: Import) -> None:
    hashes = made("Flask-Security-Too")
    double = {scheme: encoded for scheme, encoded in hashes.items() if not scheme.endswith("single")}
    single = {scheme: encoded for scheme, encoded in hashes.items() if scheme.endswith("single")}
    columns = {
        "active": True, "fs_uniquifier": "0123", "confirmed_at": "2020-01-02T03:04:05", "current_login_ip": "192.0.2.1", "login_count": 3,
        "tf_totp_secret": None, "create_datetime": "2019-01-01T00:00:00", "update_datetime": "2021-01-01T00:00:00", "roles": ["editor"],
    }  # fmt: skip

    def rows(found: dict[str, str]) -> list[dict[str, Any]]:
        return [
            {"email": f"{scheme.replace(' ', '-')}@example.com", "password": encoded, **columns}
            for scheme, encoded in found.items()
        ]

    report = told(load(rows(double), "--from", "flask-security", "--create-roles", "--json"))
    assert (report["imported"], report["hashes"], report["roles"]) == (4, {"flask_security": 4}, {"editor": 4})
    assert told(load(rows(single), "--from", "flask-security", "--hashes", "plain", "--json"))["imported"] == 4

    for scheme in hashes:
        assert_signs_in_and_is_upgraded(site, f"{scheme.replace(' ', '-')}@example.com")
    assert accounts(site, "email_verified_at", "created_at")[0] == (
        datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def test_flask_praetorian(site: Site, load: Import) -> None:
    hashes = made("flask-praetorian")
    content = "id,username,email,hashed_password,roles,is_active\n"
    content += "".join(
        f'{number},{scheme},{scheme}@example.com,"{encoded}","operator,admin",true\n'
        for number, (scheme, encoded) in enumerate(hashes.items())
    )

    report = told(load(content, "--from", "flask-praetorian", "--create-roles", "--json"))

    assert (report["imported"], report["roles"]) == (3, {"operator": 3, "admin": 3})
    for scheme in hashes:
        assert_signs_in_and_is_upgraded(site, f"{scheme}@example.com")


def test_django_by_dumpdata_and_by_table(site: Site, load: Import) -> None:
    hashes = made("Django")
    rows = [
        {
            "model": "auth.user", "pk": number,
            "fields": {
                "password": encoded, "last_login": None, "is_superuser": False, "username": scheme.replace("_", ""), "is_staff": False,
                "email": f"{scheme}@example.com", "is_active": True, "date_joined": "2020-01-02T03:04:05.678Z", "groups": [],
                "user_permissions": [], "first_name": "Ann", "last_name": "Lee",
            },
        }
        for number, (scheme, encoded) in enumerate({**hashes, "none": "!unusable"}.items(), start=70)
    ]  # fmt: skip

    done = load(rows, "--from", "django", "--map", "=first_name,=last_name", "--keep-ids", "--json")
    table = f"id,email,password,username,date_joined\n90,csv@example.com,{hashes['pbkdf2_sha256']},csv@example.com,2020-01-02 03:04:05+00\n"

    assert (told(done)["imported"], told(done)["without_password"]) == (7, 1)
    assert told(load(table, "--from", "django", "--keep-ids", "--json"))["imported"] == 1
    for scheme in [*hashes, "csv"]:
        assert_signs_in_and_is_upgraded(site, f"{scheme}@example.com")
    assert (sorted(row[0] for row in accounts(site, "id"))) == [*range(70, 77), 90]
    assert [site.login("none@example.com", password).status_code for password in ("", "!unusable", "!")] == [401] * 3


def test_firebase(site: Site, load: Import) -> None:
    rows = [
        {
            "localId": "x1", "email": "ann@example.com", "emailVerified": True, "passwordHash": FIREBASE["hash"], "salt": FIREBASE["salt"],
            "lastSignedInAt": "1486324860001", "createdAt": "1486324860000", "providerUserInfo": [], "displayName": "Ann",
        },
        {"localId": "x2", "email": "off@example.com", "emailVerified": False, "disabled": True, "createdAt": "1486324860000"},
        {"localId": "x3", "phoneNumber": "+15555550100", "createdAt": "1486324860000", "providerUserInfo": []},
    ]  # fmt: skip

    report = told(load(rows, "--from", "firebase", "--json"))

    assert (report["imported"], report["without_password"], report["reasons"]) == (2, 1, {"missing": 1})
    assert accounts(site, "is_active", "created_at") == [(True, created), (False, created)]
    assert_signs_in_and_is_upgraded(site, "ann@example.com", FIREBASE["password"])


created = datetime(2017, 2, 5, 20, 1, tzinfo=UTC)
