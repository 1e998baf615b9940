"""Check-ups: each finds its fault in an app that has it, and none in an app that is fit for production."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import flask_migrate
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask
from flask_cors import CORS
from flask_jwt_extended import JWTManager
from flask_sqlalchemy import SQLAlchemy
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_accounts import Accounts, current_accounts, default_features
from flask_accounts.core.checkups import Finding
from flask_accounts.core.mail import MemoryMailer
from flask_accounts.core.production.keys import why_guessable
from flask_accounts.features.oidc import Oidc, Provider
from flask_accounts.testing import FastHasher, MovableClock
from tests.core.clinic import KEYS, Clinic, every_feature
from tests.core.clinic import clinic as clinic
from tests.core.clinic import stored as stored

CONFIGS: dict[str, list[dict[str, Any]]] = {
    "guessable-signing-key": [
        {"JWT_SECRET_KEY": "change-this-key-before-you-go-to-production"},
        {"ACCOUNTS_TOKENS_PREVIOUS_KEYS": ["the-secret-key-that-was-on-everybodys-disk"]},
    ],
    "local-passkeys": [{"ACCOUNTS_PASSKEYS_ORIGINS": ["http://localhost:5000"]}],
    "too-many-related-origins": [{"ACCOUNTS_PASSKEYS_RELATED_ORIGINS": [f"https://{name}.example" for name in "abcdef"]}],
    "guessable-secret-key": [{"SECRET_KEY": "dev"}],
    "one-key-for-all": [{"JWT_SECRET_KEY": None}, {"SECRET_KEY": KEYS[0]}],
    "plain-client-secrets": [{"ACCOUNTS_TOKEN_SERVICES_CLIENTS": {"orders": KEYS[0]}}],
    "shared-client-secrets": [
        {"ACCOUNTS_TOKEN_SERVICES_CLIENTS": {"orders": "sha256:" + "0a" * 32, "mail": {"secrets": ["sha256:" + "0a" * 32]}}}
    ],
    "previous-keys": [{"ACCOUNTS_TOKENS_PREVIOUS_KEYS": [KEYS[1]]}],
    "several-algorithms": [{"JWT_DECODE_ALGORITHMS": ["HS256", "HS512"]}],
    "long-access-tokens": [{"JWT_ACCESS_TOKEN_EXPIRES": timedelta(hours=2)}, {"JWT_ACCESS_TOKEN_EXPIRES": 7200}],
    "long-sessions": [{"ACCOUNTS_SESSIONS_ABSOLUTE_LIFETIME": timedelta(days=90)}],
    "no-idle-timeout": [{"JWT_REFRESH_TOKEN_EXPIRES": False}, {"JWT_REFRESH_TOKEN_EXPIRES": timedelta(days=30)}],
    "cached-sessions": [{"ACCOUNTS_SESSIONS_CACHE": "memory"}],
    "wide-grace-window": [{"ACCOUNTS_SESSIONS_GRACE_WINDOW": 120}],
    "long-freshness": [{"ACCOUNTS_SESSIONS_FRESH_FOR": timedelta(days=1)}],
    "wide-leeway": [{"JWT_DECODE_LEEWAY": 3600}, {"JWT_DECODE_LEEWAY": timedelta(hours=1)}],
    "tokens-for-anybody": [{"JWT_ENCODE_AUDIENCE": None}, {"JWT_ENCODE_ISSUER": None}],
    "cookies-without-secure": [{"JWT_COOKIE_SECURE": False}],
    "cookies-without-csrf": [{"JWT_COOKIE_CSRF_PROTECT": False}, {"JWT_CSRF_METHODS": ["POST"]}],
    "cookies-across-sites": [{"JWT_COOKIE_SAMESITE": "None"}, {"JWT_COOKIE_SAMESITE": None}],
    "cookies-for-subdomains": [{"JWT_COOKIE_DOMAIN": ".commonplace.social"}],
    "cookies-without-host-prefix": [{"JWT_ACCESS_COOKIE_NAME": "access"}],
    "tokens-by-two-ways": [{"JWT_TOKEN_LOCATION": ["cookies", "headers"]}],
    "tokens-in-urls": [{"JWT_TOKEN_LOCATION": ["headers", "query_string"]}],
    "flask-session-cookie": [
        {"SESSION_COOKIE_SECURE": False},
        {"SESSION_COOKIE_HTTPONLY": False},
        {"SESSION_COOKIE_SAMESITE": None},
    ],
    "url-scheme": [{"PREFERRED_URL_SCHEME": "http"}],
    "no-mailer": [{"ACCOUNTS_MAIL_BACKEND": "none"}],
    "mail-not-sent": [{"ACCOUNTS_MAIL_BACKEND": "console"}],
    "mail-sender": [{"ACCOUNTS_MAIL_SENDER": "accounts@localhost"}, {"ACCOUNTS_MAIL_SENDER": "Blog <blog@mail.example.com>"}],
    "mail-in-the-clear": [{"ACCOUNTS_MAIL_SECURITY": "none"}],
    "links-to-nowhere": [
        {"ACCOUNTS_MAIL_BASE_URL": "http://127.0.0.1:5000"},
        {"ACCOUNTS_MAIL_BASE_URL": "https://app.example.com/x"},
    ],
    "mails-without-links": [{"ACCOUNTS_MAIL_BASE_URL": None}],
    "weak-hashes": [{"ACCOUNTS_PASSWORD_TIME_COST": 1}, {"ACCOUNTS_PASSWORD_MEMORY_COST": 8192, "ACCOUNTS_PASSWORD_TIME_COST": 4}],
    "devices-remembered-long": [{"ACCOUNTS_MFA_REMEMBER_FOR": timedelta(days=60)}],
    "mfa-unproved-addresses": [{"ACCOUNTS_MFA_VERIFIED_EMAIL": False}],
    "limits-off": [{"ACCOUNTS_LIMITS_ENABLED": False}],
    "limits-per-process": [{"ACCOUNTS_LIMITS_STORAGE": "memory"}],
    "limit-store-open": [{"ACCOUNTS_LIMITS_STORAGE": "redis://127.0.0.1:1/0"}],
    "limits-removed": [{"ACCOUNTS_LIMITS_LOGIN_ADDRESS": ""}],
    "lockout-off": [{"ACCOUNTS_LOCKOUT_ENABLED": False}],
    "lockout-with-gaps": [{"ACCOUNTS_LOCKOUT_ACTIONS": ["login"]}],
    "short-passwords": [{"ACCOUNTS_PASSWORD_MIN_LENGTH": 8}, {"ACCOUNTS_PASSWORD_MIN_LENGTH": 6}],
    "no-context-words": [{"ACCOUNTS_PASSWORD_CONTEXT_WORDS": ()}],
    "open-directory": [{"ACCOUNTS_USERS_DIRECTORY": "authenticated"}],
    "audit-kept-for-good": [{"ACCOUNTS_AUDIT_RETENTION_DAYS": 0}],
    "audit-kept-briefly": [{"ACCOUNTS_AUDIT_RETENTION_DAYS": 7}],
    "audit-key-derived": [{"ACCOUNTS_AUDIT_CHAIN_KEY": None}],
    "audit-keeps-typed-logins": [{"ACCOUNTS_AUDIT_RECORD_UNKNOWN_LOGINS": True}],
    "public-contract": [{"ACCOUNTS_OPENAPI_ENABLED": True}],
    "unproved-registration": [{"ACCOUNTS_EMAIL_VERIFICATION_MODE": "optional"}],
    "verification-off": [{"ACCOUNTS_EMAIL_VERIFICATION_MODE": "off"}],
    "verification-without-mail": [{"ACCOUNTS_MAIL_BACKEND": "none"}],
    "long-resets": [{"ACCOUNTS_PASSWORD_RESET_LIFETIME": timedelta(days=1)}],
    "unproved-addresses": [{"ACCOUNTS_EMAIL_CHANGE_DIRECT": True}],
    "silent-address-change": [{"ACCOUNTS_EMAIL_CHANGE_NOTICE": False}],
    "notices-off": [{"ACCOUNTS_NOTICES_TOKEN_REUSED": False}],
    "long-magic-links": [{"ACCOUNTS_MAGIC_LINK_LIFETIME": timedelta(minutes=30)}],
    "unbound-magic-links": [{"ACCOUNTS_MAGIC_LINK_BIND_BROWSER": False}],
    "impersonation-untold": [{"ACCOUNTS_IMPERSONATION_NOTICE": False}],
    "api-keys-unnamed": [{"ACCOUNTS_API_KEYS_KEY_PREFIX": "fak"}],
    "api-keys-endless": [{"ACCOUNTS_API_KEYS_MAX_LIFETIME": None}],
    "api-keys-outlive-passwords": [
        {"ACCOUNTS_API_KEYS_PASSWORD_CHANGE": "keep"},
        {"ACCOUNTS_API_KEYS_PASSWORD_CHANGE": "reset"},
    ],
    "strength-not-asked": [{"ACCOUNTS_STRONG_PASSWORDS_MIN_SCORE": 1}],
}
"""What is found by configuration alone: the values that each check is there for."""

Diagnose = Callable[[Clinic], list[Finding]]
CASES: dict[str, list[Diagnose]] = {}
"""The others, each with its own way to be unfit."""


def finds(code: str) -> Callable[[Diagnose], Diagnose]:
    def remember(diagnose: Diagnose) -> Diagnose:
        CASES.setdefault(code, []).append(diagnose)
        return diagnose

    return remember


def statement(clinic: Clinic, text: str, code: str) -> list[Finding]:
    """What `code` finds in a database that `text` was done to."""
    app = clinic.app()
    with app.app_context():
        db = current_accounts().db
        for each in text.split(";"):
            db.session.execute(sa.text(each))
        db.session.commit()
        db.session.remove()
    return clinic.examine(app, code)


@finds("debug-mode")
def in_debug(clinic: Clinic) -> list[Finding]:
    return clinic.examine(clinic.app({"DEBUG": True}), "debug-mode")


@finds("testing-mode")
def in_testing(clinic: Clinic) -> list[Finding]:
    return clinic.examine(clinic.app({"TESTING": True}), "testing-mode")


@finds("development-server")
def under_flask_run(clinic: Clinic) -> list[Finding]:
    return clinic.examine(clinic.app(), "development-server", environ={"WERKZEUG_RUN_MAIN": "true"})


@finds("development-server")
def reloading(clinic: Clinic) -> list[Finding]:
    return clinic.examine(clinic.app(), "development-server", environ={"GUNICORN_CMD_ARGS": "-b :8000 --reload"})


@finds("no-proxy-fix")
def no_proxy_fix(clinic: Clinic) -> list[Finding]:
    return clinic.examine(clinic.app(proxied=False), "no-proxy-fix")


@finds("no-proxy-fix")
def proxy_fix_for_no_proxy(clinic: Clinic) -> list[Finding]:
    app = clinic.app(proxied=False)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=0)  # type: ignore[method-assign]  # as Flask's own documentation does
    return clinic.examine(app, "no-proxy-fix")


@finds("trusted-host-header")
def host_of_a_header(clinic: Clinic) -> list[Finding]:
    app = clinic.app(proxied=False)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_host=1)  # type: ignore[method-assign]  # as Flask's own documentation does
    return clinic.examine(app, "trusted-host-header")


@finds("no-hsts")
def no_hsts(clinic: Clinic) -> list[Finding]:
    return clinic.examine(clinic.app(hsts=False), "no-hsts")


@finds("cors-for-everybody")
def cors_by_argument(clinic: Clinic) -> list[Finding]:
    app = clinic.app(before=lambda app: CORS(app, supports_credentials=True))
    return clinic.examine(app, "cors-for-everybody")


@finds("cors-for-everybody")
def cors_by_resource(clinic: Clinic) -> list[Finding]:
    resources: Any = {r"/api/*": {"origins": ".*", "supports_credentials": True}, r"/open/*": {"origins": "*"}}
    return clinic.examine(clinic.app(before=lambda app: CORS(app, resources=resources)), "cors-for-everybody")


@finds("random-signing-key")
def random_key(clinic: Clinic) -> list[Finding]:
    with pytest.warns(UserWarning, match="There is no signing key"):
        app = clinic.app({"JWT_SECRET_KEY": None, "SECRET_KEY": None, "DEBUG": True})
    return clinic.examine(app, "random-signing-key")


@finds("short-signing-key")
def short_key(clinic: Clinic) -> list[Finding]:
    with pytest.warns(UserWarning, match="has 12 bytes"):
        app = clinic.app({"JWT_SECRET_KEY": "f8K2hQx7Zp4R", "DEBUG": True})
    return clinic.examine(app, "short-signing-key")


@finds("small-key-pair")
def small_key_pair(clinic: Clinic) -> list[Finding]:
    pair = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  # the point of the test
    private = pair.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )  # fmt: skip
    public = pair.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    config = {"JWT_ALGORITHM": "RS256", "JWT_PRIVATE_KEY": private.decode(), "JWT_PUBLIC_KEY": public.decode()}
    return clinic.examine(clinic.app(config), "small-key-pair")


def keys_of(clinic: Clinic, *commands: str, **config: Any) -> Flask:
    """An app with keys of its own, after `flask accounts keys ...`."""
    app = clinic.app({f"ACCOUNTS_SIGNING_{name}": value for name, value in config.items()})
    for each in commands:
        done = app.test_cli_runner().invoke(args=["accounts", "keys", *each.split()])
        assert done.exit_code == 0, done.output
    return app


@finds("no-signing-key")
def no_signing_key(clinic: Clinic) -> list[Finding]:
    return clinic.examine(keys_of(clinic, SOURCE="database"), "no-signing-key")


@finds("no-signing-key")
def no_folder_of_keys(clinic: Clinic) -> list[Finding]:
    return clinic.examine(keys_of(clinic, SOURCE="folder", FOLDER=str(clinic.folder / "not-there")), "no-signing-key")


@finds("sealed-rows")
def unreadable_signing_key(clinic: Clinic) -> list[Finding]:
    app = keys_of(clinic, "generate", SOURCE="database")
    app.secret_key = KEYS[0][::-1]
    return clinic.examine(app, "sealed-rows")


@finds("old-signing-key")
def old_signing_key(clinic: Clinic) -> list[Finding]:
    app = keys_of(clinic, "generate", SOURCE="database")
    clock = MovableClock()
    clock.move(days=400)
    app.extensions["accounts"].clock = clock
    return clinic.examine(app, "old-signing-key")


@finds("weak-signing-key")
def weak_signing_key(clinic: Clinic) -> list[Finding]:
    pair = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  # the point of the test
    pem = pair.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return clinic.examine(keys_of(clinic, KEYS=[pem.decode()]), "weak-signing-key")


@finds("readable-key-file")
def readable_key_file(clinic: Clinic) -> list[Finding]:
    folder = clinic.folder / "keys"
    app = keys_of(clinic, "generate", SOURCE="folder", FOLDER=str(folder))
    assert clinic.examine(app, "readable-key-file") == []
    next(folder.iterdir()).chmod(0o644)
    return clinic.examine(app, "readable-key-file")


@finds("unnamed-issuer")
def unnamed_issuer(clinic: Clinic) -> list[Finding]:
    app = keys_of(clinic, "generate", SOURCE="database")
    assert clinic.examine(app, "unnamed-issuer") == []
    app.config["JWT_ENCODE_ISSUER"] = None
    return clinic.examine(app, "unnamed-issuer")


@finds("jwt-manager-replaced")
def manager_replaced(clinic: Clinic) -> list[Finding]:
    app = clinic.app()
    JWTManager(app)
    return clinic.examine(app, "jwt-manager-replaced")


@finds("database-unreachable")
def file_not_there(clinic: Clinic) -> list[Finding]:
    file = clinic.folder / "not-there.db"
    found = clinic.examine(clinic.app(url=f"sqlite:///{file}"), "database-unreachable")
    assert not file.exists()
    return found


@finds("database-unreachable")
def server_not_there(clinic: Clinic) -> list[Finding]:
    return clinic.examine(clinic.app(url="postgresql+psycopg://x:a-secret-word@127.0.0.1:1/x"), "database-unreachable")


@finds("tables-missing")
def tables_missing(clinic: Clinic) -> list[Finding]:
    return statement(clinic, "DROP TABLE accounts_limits", "tables-missing")


@finds("tables-differ")
def column_missing(clinic: Clinic) -> list[Finding]:
    return statement(clinic, "ALTER TABLE accounts_roles DROP COLUMN description", "tables-differ")


@finds("tables-differ")
def column_that_nobody_fills(clinic: Clinic) -> list[Finding]:
    new = "CREATE TABLE accounts_limits (key VARCHAR, hits INTEGER, resets_at BIGINT, region TEXT NOT NULL)"
    return statement(clinic, f"DROP TABLE accounts_limits; {new}", "tables-differ")


@finds("migrations-pending")
def no_migrations(clinic: Clinic) -> list[Finding]:
    db = Accounts(SQLAlchemy()).db
    migrate = flask_migrate.Migrate(db=db, directory=str(clinic.folder / "migrations"))
    return clinic.examine(clinic.app(before=lambda app: migrate.init_app(app, db)), "migrations-pending")


@finds("database-in-memory")
def in_memory(clinic: Clinic) -> list[Finding]:
    return clinic.examine(clinic.app(url="sqlite://"), "database-in-memory")


@finds("sqlite")
def in_a_file(clinic: Clinic) -> list[Finding]:
    return clinic.examine(clinic.app(), "sqlite")


@finds("sqlite-journal")
def journal(clinic: Clinic) -> list[Finding]:
    return clinic.examine(clinic.app(tuned=False), "sqlite-journal")


@finds("sqlite-foreign-keys")
def foreign_keys(clinic: Clinic) -> list[Finding]:
    return clinic.examine(clinic.app(tuned=False), "sqlite-foreign-keys")


@finds("isolation-level")
def isolation(clinic: Clinic) -> list[Finding]:
    app = clinic.app({"SQLALCHEMY_ENGINE_OPTIONS": {"isolation_level": "READ UNCOMMITTED"}})
    return clinic.examine(app, "isolation-level")


@finds("small-pool")
def pool(clinic: Clinic) -> list[Finding]:
    app = clinic.app({"SQLALCHEMY_ENGINE_OPTIONS": {"pool_size": 2, "max_overflow": 1}})
    return clinic.examine(app, "small-pool", environ={"GUNICORN_CMD_ARGS": "--threads=4"})


@finds("stale-connections")
def stale(clinic: Clinic) -> list[Finding]:
    return clinic.examine(clinic.app(url="postgresql+psycopg://x:x@127.0.0.1:1/x"), "stale-connections")


@finds("mail-not-sent")
def kept_in_memory(clinic: Clinic) -> list[Finding]:
    return clinic.examine(clinic.app(accounts={"mailer": MemoryMailer()}), "mail-not-sent")


@finds("mail-server")
def mail_server(clinic: Clinic) -> list[Finding]:
    app = clinic.app({"ACCOUNTS_MAIL_HOST": "127.0.0.1", "ACCOUNTS_MAIL_PORT": 1})
    assert clinic.examine(app, "mail-server") == []  # not asked
    return clinic.examine(app, "mail-server", connect=True)


@finds("mail-templates")
def template(clinic: Clinic) -> list[Finding]:
    def before(app: Flask) -> None:
        folder = clinic.folder / "templates"
        (folder / "accounts" / "mail").mkdir(parents=True)
        (folder / "accounts" / "mail" / "reset_password.txt").write_text("Reset\n\nDear {{ nickname }},")
        app.template_folder = str(folder)

    return clinic.examine(clinic.app(before=before), "mail-templates")


@finds("fast-hashes")
def fast(clinic: Clinic) -> list[Finding]:
    return clinic.examine(clinic.app(accounts={"hasher": FastHasher()}), "fast-hashes")


@finds("attempts-unlimited")
def unlimited(clinic: Clinic) -> list[Finding]:
    features = [feature for feature in default_features() if feature.name not in ("limits", "lockout")]
    return clinic.examine(clinic.app(features=features), "attempts-unlimited")


@finds("wrong-passwords-uncounted")
def uncounted(clinic: Clinic) -> list[Finding]:
    features = [feature for feature in default_features() if feature.name != "lockout"]
    return clinic.examine(clinic.app(features=features), "wrong-passwords-uncounted")


@finds("features-left-out")
def left_out(clinic: Clinic) -> list[Finding]:
    features = [feature for feature in default_features() if feature.name != "notices"]
    return clinic.examine(clinic.app(features=features), "features-left-out")


@finds("limit-store")
def store(clinic: Clinic) -> list[Finding]:
    app = clinic.app({"ACCOUNTS_LIMITS_STORAGE": "redis://127.0.0.1:1/0"})
    assert clinic.examine(app, "limit-store") == []  # not asked
    return clinic.examine(app, "limit-store", connect=True)


@finds("breaches-not-asked")
def breaches(clinic: Clinic) -> list[Finding]:
    return clinic.examine(clinic.app(features=default_features()), "breaches-not-asked")


def with_provider(clinic: Clinic, issuer: str, **config: Any) -> Flask:
    """The fit app with an identity provider."""
    given = {
        "ACCOUNTS_OIDC_BASE_URL": "https://blog.commonplace.social/api/auth", "ACCOUNTS_OIDC_IDP_CLIENT_ID": "blog",
        "ACCOUNTS_OIDC_FRONT_END_URL": "https://blog.commonplace.social/in", "ACCOUNTS_OIDC_IDP_CLIENT_SECRET": KEYS[0],
    }  # fmt: skip
    return clinic.app(given | config, features=[*default_features(), Oidc([Provider("idp", issuer, store_tokens=True)])])


@finds("local-identity-urls")
def local_identity_urls(clinic: Clinic) -> list[Finding]:
    app = with_provider(clinic, "https://idp.commonplace.social", ACCOUNTS_OIDC_BASE_URL="http://localhost:5000/api/auth")
    return clinic.examine(app, "local-identity-urls")


@finds("local-identity-providers")
def local_identity_provider(clinic: Clinic) -> list[Finding]:
    return clinic.examine(with_provider(clinic, "http://127.0.0.1:1"), "local-identity-providers")


@finds("identity-provider-away")
def identity_provider_away(clinic: Clinic) -> list[Finding]:
    app = with_provider(clinic, "http://127.0.0.1:1")
    assert clinic.examine(app, "identity-provider-away") == []  # not asked
    return clinic.examine(app, "identity-provider-away", connect=True)


@finds("sealed-rows")
def tokens_sealed_with_another_secret(clinic: Clinic) -> list[Finding]:
    app = with_provider(clinic, "https://idp.commonplace.social")
    with app.app_context():
        db = current_accounts().db
        db.create_all()
        tables, now = db.metadata.tables, datetime(2026, 1, 1, tzinfo=UTC)
        key = db.session.execute(sa.text("SELECT min(id) FROM users")).scalar_one()
        identity = {"id": uuid4(), "provider": "idp", "issuer": "https://idp.commonplace.social", "subject": "1", "user_id": key}
        db.session.execute(sa.insert(tables["accounts_identities"]).values(**identity, created_at=now, last_used_at=now))
        tokens = {"identity_id": identity["id"], "sealed": "1.00000000.AAAA", "updated_at": now}
        db.session.execute(sa.insert(tables["accounts_provider_tokens"]).values(tokens))
        db.session.commit()
        db.session.remove()
    return clinic.examine(app, "sealed-rows")


@finds("old-hashes")
def old_hashes(clinic: Clinic) -> list[Finding]:
    return statement(clinic, "UPDATE users SET password_hash = 'pbkdf2:sha256:600000$salt$0123'", "old-hashes")


@finds("admins-without-mfa")
def bare_administrator(clinic: Clinic) -> list[Finding]:
    assert clinic.examine(clinic.app({"ACCOUNTS_MFA_REQUIRED": "all"}), "admins-without-mfa") == []
    return clinic.examine(clinic.app({"ACCOUNTS_MFA_REQUIRED": ["editor"]}), "admins-without-mfa")


@finds("sealed-rows")
def sealed_with_another_secret(clinic: Clinic) -> list[Finding]:
    text = (
        "INSERT INTO accounts_totp (user_id, secret, last_step, created_at) "
        "SELECT id, '1.00000000.AAAA', 0, '2026-01-01 00:00:00' FROM users"
    )
    return statement(clinic, text, "sealed-rows")


@finds("no-administrator")
def no_administrator(clinic: Clinic) -> list[Finding]:
    return statement(clinic, "DELETE FROM accounts_user_roles", "no-administrator")


@finds("no-administrator")
def administrator_off(clinic: Clinic) -> list[Finding]:
    return statement(clinic, "UPDATE users SET is_active = false", "no-administrator")


@finds("example-accounts")
def example_accounts(clinic: Clinic) -> list[Finding]:
    return statement(clinic, "UPDATE users SET email = 'admin@example.com'", "example-accounts")


@finds("example-accounts")
def accounts_of_tests(clinic: Clinic) -> list[Finding]:
    return statement(clinic, "UPDATE users SET email = 'admin@shop.test'", "example-accounts")


def later(clinic: Clinic, days: int, code: str, **config: Any) -> list[Finding]:
    """What is found `days` after somebody has signed in, and has deleted the account."""
    clock = MovableClock()
    config |= {"ACCOUNTS_EMAIL_VERIFICATION_MODE": "off", "ACCOUNTS_DELETION_GRACE": timedelta(days=30), "ACCOUNTS_MAIL_HOST": None}
    app = clinic.app(config, features=default_features(), accounts={"clock": clock, "hasher": FastHasher()}, routes=True)
    client, ann = app.test_client(), {"email": "ann@commonplace.social", "password": "seven brown foxes jump"}
    client.post("/api/auth/register", json=ann)
    csrf = {"X-CSRF-TOKEN": _csrf(client.post("/api/auth/login", json=ann, base_url="https://localhost"))}
    gone = client.delete("/api/auth/me", json={"password": ann["password"]}, headers=csrf, base_url="https://localhost")
    assert gone.status_code == 204, gone.text
    clock.move(days=days)
    return clinic.examine(app, code)


def _csrf(answer: Any) -> str:
    cookies = [value for name, value in answer.headers if name == "Set-Cookie"]
    return str(next(cookie.split("=")[1].split(";")[0] for cookie in cookies if cookie.startswith("csrf_access_token")))


@finds("purge-not-run")
def sessions_over(clinic: Clinic) -> list[Finding]:
    assert later(clinic, 2, "purge-not-run") == []
    return later(clinic, 12, "purge-not-run")


@finds("erasure-overdue")
def not_erased(clinic: Clinic) -> list[Finding]:
    assert later(clinic, 32, "erasure-overdue") == []
    return later(clinic, 34, "erasure-overdue")


@finds("audit-overdue")
def events_over(clinic: Clinic) -> list[Finding]:
    assert later(clinic, 32, "audit-overdue", ACCOUNTS_AUDIT_RETENTION_DAYS=30) == []
    return later(clinic, 34, "audit-overdue", ACCOUNTS_AUDIT_RETENTION_DAYS=30)


ON_A_SERVER = {"clocks-differ"}
CONFIGURED = [(code, config) for code, configs in CONFIGS.items() for config in configs]
OTHERS = [(code, diagnose) for code, cases in CASES.items() for diagnose in cases]


@pytest.mark.parametrize(("code", "config"), CONFIGURED, ids=lambda value: value if isinstance(value, str) else ",".join(value))
def test_it_is_found_in_the_configuration(clinic: Clinic, code: str, config: dict[str, Any]) -> None:
    found = clinic.examine(clinic.app(config), code)

    assert [finding.code for finding in found] == [code]


@pytest.mark.parametrize(("code", "diagnose"), OTHERS, ids=[f"{code}-{diagnose.__name__}" for code, diagnose in OTHERS])
def test_it_is_found(clinic: Clinic, code: str, diagnose: Diagnose) -> None:
    assert [finding.code for finding in diagnose(clinic)] == [code]


def test_every_check_has_an_app_above_that_it_finds_unfit() -> None:
    codes = {each.code for each in Accounts(SQLAlchemy(), features=every_feature()).checkups}

    assert codes - set(CONFIGS) - set(CASES) - ON_A_SERVER == set()


def test_an_app_that_is_fit_for_production_is_told_of_sqlite_and_nothing_else(clinic: Clinic) -> None:
    assert [finding.code for finding in clinic.examine(clinic.app(), connect=False)] == ["sqlite"]


def test_a_bearer_app_that_is_fit_is_told_nothing_of_cookies(clinic: Clinic) -> None:
    app = clinic.app({"JWT_TOKEN_LOCATION": ["headers"], "JWT_COOKIE_SECURE": False, "JWT_COOKIE_CSRF_PROTECT": False})

    assert [finding.code for finding in clinic.examine(app)] == ["sqlite"]


def test_no_finding_shows_a_secret(clinic: Clinic) -> None:
    secret = "secret-default-0123456789-0123456789"
    config = {
        "JWT_SECRET_KEY": secret, "SECRET_KEY": secret, "ACCOUNTS_TOKENS_PREVIOUS_KEYS": [secret], "ACCOUNTS_AUDIT_CHAIN_KEY": secret,
        "ACCOUNTS_MAIL_PASSWORD": secret, "ACCOUNTS_LIMITS_STORAGE": f"redis://:{secret}@127.0.0.1:1/0", "ACCOUNTS_MAIL_PORT": 1,
        "ACCOUNTS_MAIL_HOST": "127.0.0.1", "ACCOUNTS_MAIL_USERNAME": "blog",
    }  # fmt: skip
    app = clinic.app(config, url=f"postgresql+psycopg://x:{secret}@127.0.0.1:1/x")

    found = clinic.examine(app, connect=True)

    assert {"guessable-signing-key", "previous-keys", "limit-store", "mail-server", "database-unreachable"} <= {
        each.code for each in found
    }
    assert secret not in repr(found)


class TestKeys:
    @pytest.mark.parametrize(
        ("key", "why"),
        [
            ("192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf", "tutorial"),
            ("a-string-secret-at-least-256-bits-long", "tutorial"),
            ("abcdefghijklm" * 4, "repeats"),
            ("0" * 64, "repeats"),
            ("012301230123012301230123012301230123012301234", "fewer than ten"),
            ("my super secret key that nobody knows", "words"),
            ("django-insecure-8f2k9x7q1m5n3b6v4c0zlakjsh", "words"),
            ("dev-0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c", "words"),
            (b"\x9f\x01q8!zXy-please-\xf0\x11abcdefgh7", "words"),
            ("90210384756102938475610293847561", "128 bits"),
        ],
    )
    def test_a_key_that_can_be_guessed_is_told_why(self, key: str | bytes, why: str) -> None:
        assert why in (why_guessable(key) or "")

    @pytest.mark.parametrize(
        "make", [lambda: secrets.token_urlsafe(48), lambda: secrets.token_hex(32), lambda: secrets.token_bytes(32)]
    )
    def test_random_keys_pass(self, make: Callable[[], str | bytes]) -> None:
        assert [why for _ in range(300) if (why := why_guessable(make()))] == []


class TestPassingByWhatIsNotThere:
    def test_without_flask_migrate_nothing_is_said_of_migrations(self, clinic: Clinic) -> None:
        assert clinic.examine(clinic.app(), "migrations-pending") == []

    def test_flask_cors_that_names_its_origins_is_well(self, clinic: Clinic) -> None:
        app = clinic.app(before=lambda app: CORS(app, origins=["https://friend.social"], supports_credentials=True))

        assert clinic.examine(app, "cors-for-everybody") == []

    def test_middleware_around_proxy_fix_does_not_hide_it(self, clinic: Clinic) -> None:
        class Outer:
            def __init__(self, app: Any) -> None:
                self.app = app

            def __call__(self, *args: Any) -> Any:
                return self.app(*args)

        app = clinic.app()
        app.wsgi_app = Outer(app.wsgi_app)  # type: ignore[method-assign,assignment]  # as Flask's own documentation does

        assert clinic.examine(app, "no-proxy-fix") == []

    def test_without_tables_what_reads_them_is_not_asked(self, clinic: Clinic) -> None:
        app = clinic.app(url=f"sqlite:///{clinic.folder / 'empty.db'}")
        (clinic.folder / "empty.db").touch()

        codes = {finding.code for finding in clinic.examine(app)}

        assert "tables-missing" in codes
        assert not codes & {"no-administrator", "failed-check", "database-unreachable"}

    @pytest.mark.parametrize(
        ("environ", "workers"),
        [
            ({}, None), ({"WEB_CONCURRENCY": "4"}, 4), ({"GUNICORN_CMD_ARGS": "-w 3"}, 3), ({"GUNICORN_CMD_ARGS": "-w3"}, 3),
            ({"GUNICORN_CMD_ARGS": "--workers=2 --threads 8"}, 2), ({"GUNICORN_CMD_ARGS": "'"}, None), ({"WEB_CONCURRENCY": "many"}, None),
        ],
    )  # fmt: skip
    def test_workers_are_seen_in_the_environment(self, clinic: Clinic, environ: dict[str, str], workers: int | None) -> None:
        app = clinic.app({"ACCOUNTS_LIMITS_STORAGE": "memory"})

        (found,) = clinic.examine(app, "limits-per-process", environ=environ)

        assert found.severity == ("warning" if (workers or 1) > 1 else "info")
        assert (f"{workers} processes" in found.found) == ((workers or 1) > 1)


@pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning")
def test_migrations_that_are_not_run_are_found_until_they_are(clinic: Clinic, tmp_path: Path) -> None:
    migrate = flask_migrate.Migrate()
    file = tmp_path / "migrated.db"
    app = clinic.app(url=f"sqlite:///{file}", accounts={})
    db = clinic.made[-1][1].db
    migrate.init_app(app, db, directory=str(tmp_path / "migrations"))
    with app.app_context():
        flask_migrate.init()
        # It would switch off the loggers that other tests listen to.
        env = tmp_path / "migrations" / "env.py"
        env.write_text(env.read_text().replace("fileConfig(config.config_file_name)", ""))
        flask_migrate.migrate()
    pending = clinic.examine(app, "migrations-pending")
    with app.app_context():
        flask_migrate.upgrade()
    run = clinic.examine(app, "migrations-pending", "tables-missing", "tables-differ")
    for script in (tmp_path / "migrations" / "versions").glob("*.py"):
        script.unlink()
        sys.modules.pop(script.stem, None)
    older = clinic.examine(app, "migrations-pending")

    assert [finding.found.partition(":")[0] for finding in pending] == ["Not run"]
    assert run == []
    assert "which the code does not know" in older[0].found


@pytest.mark.parametrize("seconds", [0, 60])
def test_on_every_database_tables_are_as_the_code_says_and_clocks_agree(
    clinic: Clinic, every_database_url: str, seconds: int
) -> None:
    clock = MovableClock()
    clock.move(seconds=seconds)
    app = clinic.app(
        {"SQLALCHEMY_ENGINE_OPTIONS": {"pool_pre_ping": True}}, url=every_database_url, accounts={"clock": clock}
    )  # fmt: skip
    accounts = clinic.made[-1][1]
    with app.app_context():
        accounts.db.create_all()
        root = accounts.users.create("root@commonplace.social", None)
        accounts.roles.grant(root, "admin")
        accounts.db.session.commit()
    try:
        found = {finding.code for finding in clinic.examine(app)}
    finally:
        with app.app_context():
            accounts.db.session.remove()
            accounts.db.drop_all()

    is_sqlite = every_database_url.startswith("sqlite")
    assert found == ({"sqlite"} if is_sqlite else ({"clocks-differ"} if seconds else set()))
