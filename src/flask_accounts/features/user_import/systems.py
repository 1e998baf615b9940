"""The systems that accounts come from: what their columns are called, and how they write an account down.

`columns` leads from their names to ours; `without` are columns that have no counterpart here and are left out. Whatever else a
file has is told, and refused unless the caller lets it go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.legacy_hashes import LegacyHashSettings

Prepare = Callable[[dict[str, Any], LegacyHashSettings], dict[str, Any]]
"""Brings a row into the form that the names are of."""

HASHES = ("plain", "flask-security", "flask-bcrypt-long")
"""What password hashes may be of: the password; Flask-Security's HMAC of it; Flask-Bcrypt's SHA-256 of it."""


def _as_it_is(values: dict[str, Any], settings: LegacyHashSettings) -> dict[str, Any]:
    return values


@dataclass(frozen=True)
class System:
    """What is known of one system."""

    title: str
    columns: Mapping[str, str] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    hashes: str = "plain"
    prepare: Prepare = _as_it_is


def _of_django(values: dict[str, Any], settings: LegacyHashSettings) -> dict[str, Any]:
    """A row of a table, or an object of `dumpdata --format jsonl`; a password that begins with `!` is none."""
    fields = values.get("fields")
    if isinstance(fields, dict) and "model" in values:
        values = {"id": values.get("pk"), **fields}
    password = values.get("password")
    if isinstance(password, str) and password.startswith("!"):
        values = values | {"password": None}
    return values


def _of_firebase(values: dict[str, Any], settings: LegacyHashSettings) -> dict[str, Any]:
    """A member of `users` of `firebase auth:export`: the hash and its salt stand apart, and the times are milliseconds in text."""
    values = dict(values)
    salt, digest = values.pop("salt", None), values.pop("passwordHash", None)
    if digest:
        values["password_hash"] = f"firebase-scrypt:{settings.firebase_rounds}:{settings.firebase_mem_cost}${salt}${digest}"
    if "disabled" in values:
        values["is_active"] = values.pop("disabled") is not True
    return values


SYSTEMS: Mapping[str, System] = {
    "accounts": System("names of columns as here"),
    "flask-login": System(
        "an app with Flask-Login, or the design of tutorials",
        {
            "password": "password_hash", "pw_hash": "password_hash", "hashed_password": "password_hash",
            "active": "is_active", "confirmed": "email_verified", "verified": "email_verified", "confirmed_on": "email_verified_at",
            "confirmed_at": "email_verified_at", "created": "created_at", "created_on": "created_at", "registered_on": "created_at",
            "date_created": "created_at", "role": "roles",
        },
        without=frozenset({"last_login", "last_seen"}),
    ),
    "flask-security": System(
        "Flask-Security",
        {"password": "password_hash", "active": "is_active", "confirmed_at": "email_verified_at", "create_datetime": "created_at"},
        without=frozenset(
            {
                "fs_uniquifier", "fs_token_uniquifier", "fs_webauthn_user_handle", "last_login_at", "current_login_at",
                "last_login_ip", "current_login_ip", "login_count", "tf_primary_method", "tf_totp_secret", "tf_phone_number",
                "us_totp_secrets", "us_phone_number", "mf_recovery_codes", "update_datetime",
            }
        ),
        hashes="flask-security",
    ),
    "flask-praetorian": System("flask-praetorian", {"password": "password_hash", "hashed_password": "password_hash"}),
    "django": System(
        "Django",
        {"password": "password_hash", "date_joined": "created_at", "pk": "id"},
        without=frozenset({"last_login", "is_staff", "is_superuser", "groups", "user_permissions"}),
        prepare=_of_django,
    ),
    "firebase": System(
        "Firebase Authentication",
        {"localId": "id", "emailVerified": "email_verified", "createdAt": "created_at"},
        without=frozenset(
            {
                "lastSignedInAt", "lastLoginAt", "photoUrl", "phoneNumber", "displayName", "providerUserInfo", "customAttributes",
                "mfaInfo", "validSince", "lastRefreshAt", "passwordUpdatedAt", "version", "tenantId",
            }
        ),
        prepare=_of_firebase,
    ),
}  # fmt: skip


def marked(encoded: str, hashes: str) -> str:
    """The hash with what says what it is of, where it does not say itself."""
    if hashes == "flask-security" and encoded.startswith("$"):  # Django's forms, which do not, Flask-Security hashes once only
        return f"flask-security:{encoded}"
    if hashes == "flask-bcrypt-long" and encoded.startswith("$2"):
        return f"flask-bcrypt-long:{encoded}"
    return encoded
