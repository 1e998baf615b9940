"""What lies in the folder and in the database, and what becomes of it when somebody meddles with it or it is away."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_jwt_extended import JWTManager
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts, ConfigurationError, default_features
from flask_accounts.core.at_rest import AtRest, Unreadable, Vault
from flask_accounts.core.errors import ConcurrentChange
from flask_accounts.core.keys import private_jwk, private_pem
from flask_accounts.features.signing_keys import SigningKeys
from flask_accounts.features.signing_keys.models import SigningKeyMixin
from flask_accounts.features.signing_keys.stores import PURPOSE
from tests.conftest import KEY, Site
from tests.pairs import pair, public_pem

from .tools import Keep, jwks, keys, run, service, sign_in, signer, states, status

NEW = "the-secret-of-next-year-which-is-long-enough-0123456789"


def table(site: Site) -> sa.Table:
    found: sa.Table = site.testing.runtime.model(SigningKeyMixin).__table__
    return found


def rows(site: Site) -> list[dict[str, Any]]:
    with site.app.app_context():
        return [dict(row) for row in site.db.session.execute(sa.select(table(site))).mappings()]


def change(site: Site, **values: Any) -> None:
    with site.app.app_context():
        site.db.session.execute(sa.update(table(site)).values(**values))
        site.db.session.commit()


# The database


@pytest.mark.requirement("ASVS 13.3.1")
@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
def test_a_stolen_database_tells_nothing_of_a_private_key(keep: Keep, algorithm: str) -> None:
    site = keep("database", SIGNING_ALGORITHM=algorithm)
    keys(site, "generate")
    site.user("ann@example.com")
    sign_in(site)

    (row,) = rows(site)

    key = site.testing.runtime.key_ring
    with site.app.app_context():
        ring = key()
    assert ring is not None
    assert ring.signing is not None
    dump = json.dumps(row, default=str)
    for secret in (private_jwk(ring.signing)["d"], private_pem(ring.signing).splitlines()[1]):
        assert secret not in dump
    assert ring.signing.kid == row["kid"]


@pytest.mark.requirement("ASVS 13.3.1", "ASVS 9.1.3")
def test_a_key_that_somebody_writes_into_the_database_is_not_taken(keep: Keep, caplog: pytest.LogCaptureFixture) -> None:
    """Who can write rows, and does not know the secret, signs nothing: neither with a row of his own nor with an old one renamed."""
    site = keep("database")
    keys(site, "generate")
    site.user("ann@example.com")
    token = sign_in(site)
    (row,) = rows(site)
    attacker = pair("EdDSA", 1)
    planted = [json.dumps(private_jwk(attacker)), private_pem(attacker), json.dumps(attacker.jwk), row["sealed"], ""]

    for sealed in planted:
        with site.app.app_context():
            site.db.session.execute(sa.insert(table(site)).values({**row, "kid": attacker.kid, "sealed": sealed}))
            site.db.session.commit()
        site.testing.clock.move(minutes=1)
        assert jwks(site) == [row["kid"]]
        assert "does not open" in caplog.text
        caplog.clear()
        with site.app.app_context():
            site.db.session.execute(sa.delete(table(site)).where(table(site).c.kid == attacker.kid))
            site.db.session.commit()
    assert status(site, token) == 200


@pytest.mark.requirement("ASVS 13.3.1", "RFC8725 2.1")
def test_a_public_key_of_the_past_is_no_secret_to_seal_with(keep: Keep) -> None:
    """Signing keys of the past open what they sealed. A public one never sealed anything, and whoever writes rows knows it."""
    public = public_pem(pair("RS256"))
    site = keep("database", TOKENS_PREVIOUS_KEYS=[public])
    keys(site, "generate")
    (row,) = rows(site)
    attacker = pair("EdDSA", 1)
    sealed = Vault([public.encode()], PURPOSE).seal(json.dumps(private_jwk(attacker)).encode(), attacker.kid)

    with site.app.app_context():
        site.db.session.execute(sa.insert(table(site)).values({**row, "kid": attacker.kid, "sealed": sealed}))
        site.db.session.commit()
    site.testing.clock.move(minutes=1)

    assert attacker.kid not in jwks(site)


@pytest.mark.requirement("ASVS 11.2.2", "ASVS 13.3.1")
def test_the_secret_that_seals_is_changed_without_losing_a_key(keep: Keep) -> None:
    site = keep("database")
    keys(site, "generate")
    site.user("ann@example.com")
    token, kid = sign_in(site), keys(site)[0]["kid"]

    both = keep("database", AT_REST_KEYS=[NEW, KEY])
    assert status(both, token) == 200
    assert resealed(both) == [{"table": "accounts_signing_keys", "sealed": 1, "unreadable": 0}]
    assert resealed(both) == [{"table": "accounts_signing_keys", "sealed": 0, "unreadable": 0}]

    new = keep("database", AT_REST_KEYS=[NEW])
    assert status(new, token) == 200
    assert signer(sign_in(new)) == kid
    old = keep("database")
    assert status(old, token) == 401
    assert resealed(old) == [{"table": "accounts_signing_keys", "sealed": 0, "unreadable": 1}]


def resealed(site: Site) -> Any:
    """What `flask accounts reseal` says of the keys."""
    said = json.loads(site.app.test_cli_runner().invoke(args=["accounts", "reseal", "--json"]).output)
    return [row for row in said if row["table"] == "accounts_signing_keys"]


def test_flasks_own_fallbacks_open_what_was_sealed_before(keep: Keep) -> None:
    site = keep("database")
    keys(site, "generate")
    site.user("ann@example.com")
    token = sign_in(site)

    rotated = keep("database", jwt={"SECRET_KEY": NEW, "SECRET_KEY_FALLBACKS": [KEY]})

    assert status(rotated, token) == 200
    assert resealed(rotated) == [{"table": "accounts_signing_keys", "sealed": 1, "unreadable": 0}]


def test_a_secret_that_is_too_short_seals_nothing(keep: Keep) -> None:
    with pytest.raises(ConfigurationError, match="ACCOUNTS_AT_REST_KEYS: what is kept secret"):
        keep("database", AT_REST_KEYS=["short"])


def test_keys_that_are_over_are_purged(keep: Keep) -> None:
    site = keep("database")
    keys(site, "generate")
    keys(site, "rotate", "--now")
    site.testing.clock.move(days=15)
    assert states(site) == ["retired", "signing"]

    assert "Deleted 1 row" in site.app.test_cli_runner().invoke(args=["accounts", "purge"]).output

    assert states(site) == ["signing"]


def test_two_who_rotate_at_once_do_not_both_decide(keep: Keep) -> None:
    """The second one's look is older than the first one's change: it is told so, and changes nothing."""
    site = keep("database")
    keys(site, "generate")
    store = service(site).store
    assert store is not None
    with site.app.app_context():
        (stale,) = store.load(store.look())
        service(site).rotate(hurry=True)
        with pytest.raises(ConcurrentChange):
            store.change(stale, stale.key)


def test_while_the_table_is_away_the_keys_that_are_known_count_on(keep: Keep, caplog: pytest.LogCaptureFixture) -> None:
    site = keep("database")
    keys(site, "generate")
    site.user("ann@example.com")
    token = sign_in(site)
    assert status(site, token) == 200
    with site.app.app_context():
        table(site).drop(site.db.engine)

    site.testing.clock.move(minutes=1)

    assert status(site, token) == 200
    assert "those that are known count on" in caplog.text


def test_what_is_sealed_for_one_purpose_does_not_open_for_another(keep: Keep) -> None:
    site = keep("database")
    keys(site, "generate")
    (row,) = rows(site)
    at_rest = site.testing.runtime.get(AtRest)

    assert b'"d":' in at_rest.vault(PURPOSE).open(row["sealed"], row["kid"])
    with pytest.raises(Unreadable):
        at_rest.vault("something else").open(row["sealed"], row["kid"])


@pytest.mark.parametrize("database", ["postgresql", "mariadb"])
def test_keys_on_servers(database: str, keep: Keep, server_urls: Any) -> None:
    site = keep("database", jwt={"SQLALCHEMY_DATABASE_URI": server_urls(database)})
    keys(site, "generate")
    site.user("ann@example.com")
    token = sign_in(site)
    keys(site, "rotate")
    site.testing.clock.move(hours=1)

    assert states(site) == ["retiring", "signing"]
    assert signer(sign_in(site)) == keys(site)[1]["kid"] != signer(token)
    assert len(jwks(site)) == 2
    site.testing.clock.move(days=15)
    assert site.app.test_cli_runner().invoke(args=["accounts", "purge"]).exit_code == 0
    assert states(site) == ["signing"]


# The folder


def test_files_of_new_keys_are_their_owners_alone(keep: Keep, tmp_path: Path) -> None:
    site = keep("folder")
    keys(site, "generate")

    (file,) = (tmp_path / "keys").iterdir()

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert json.loads(file.read_text())["key_ops"] == ["sign"]


def test_a_folder_of_pem_files_as_secrets_are_mounted(keep: Keep, tmp_path: Path) -> None:
    """The last by name signs; public keys verify; scaffolding is left alone."""
    folder = tmp_path / "keys"
    folder.mkdir()
    for name, text in (
        ("2024.pem", public_pem(pair("RS256"))), ("2025.pem", private_pem(pair("ES256"))), ("2026.pem", private_pem(pair("EdDSA"))),
        (".hidden", "no key"),
    ):  # fmt: skip
        (folder / name).write_text(text)
    (folder / "..data").mkdir()

    site = keep("folder")
    site.user("ann@example.com")

    assert signer(sign_in(site)) == pair("EdDSA").kid
    assert jwks(site) == [pair(name).kid for name in ("RS256", "ES256", "EdDSA")]
    assert sorted(states(site)) == ["retiring", "retiring", "signing"]


def test_a_pem_file_that_is_rotated_out_gets_an_end(keep: Keep, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "old.pem").write_text(private_pem(pair("ES256")))
    site = keep("folder")

    keys(site, "rotate", "--now")

    assert sorted(states(site)) == ["retiring", "signing"]
    assert not (folder / "old.pem").exists()
    assert json.loads((folder / "old.pem.json").read_text())["exp"] > 0


def test_one_file_is_enough_and_a_new_one_is_seen(keep: Keep, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(private_pem(pair("ES256")))
    site = keep("folder", SIGNING_FOLDER=str(file))
    site.user("ann@example.com")
    assert signer(sign_in(site)) == pair("ES256").kid
    assert run(site, "generate").exit_code == 1

    swapped = tmp_path / "new.pem"
    swapped.write_text(private_pem(pair("EdDSA")))
    os.replace(swapped, file)
    site.testing.clock.move(minutes=1)

    assert signer(sign_in(site)) == pair("EdDSA").kid


def test_a_file_that_is_broken_meanwhile_does_not_sign_anybody_out(
    keep: Keep, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = keep("folder")
    keys(site, "generate")
    site.user("ann@example.com")
    token = sign_in(site)
    (tmp_path / "keys" / "zz.pem").write_text("-----BEGIN PRIVATE KEY-----\nhalf of it")

    site.testing.clock.move(minutes=1)

    assert status(site, token) == 200
    assert "those that are known count on" in caplog.text
    with pytest.raises(ConfigurationError, match=r"zz\.pem: It is neither"):
        keep("folder")


def test_keys_of_the_configuration_are_made_printed_and_not_touched(keep: Keep, tmp_path: Path) -> None:
    site = keep("config", SIGNING_KEYS=[private_pem(pair("EdDSA")), private_pem(pair("ES256"))])

    assert states(site) == ["signing", "next"]
    printed = run(site, "generate", "--algorithm", "ES384")
    assert printed.stdout.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert "put it into ACCOUNTS_SIGNING_KEYS" in printed.stderr
    file = tmp_path / "new.pem"
    assert run(site, "generate", "--output", str(file)).exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run(site, "generate", "--output", str(file)).exit_code == 2
    for command in (("rotate",), ("retire", pair("ES256").kid)):
        refused = run(site, *command)
        assert (refused.exit_code, "The app's configuration holds the keys" in refused.output) == (1, True)


def test_a_hosts_own_jwt_manager_and_keys_elsewhere_do_not_go_together(keep: Keep) -> None:
    app = Flask("host")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY=KEY, ACCOUNTS_SIGNING_SOURCE="database")
    JWTManager(app)

    with pytest.raises(ConfigurationError, match="knows no keys but those of JWT_"):
        Accounts(SQLAlchemy(), app, features=[*default_features(), SigningKeys()])
