"""What the default features bring: stated once, so that a table or a feature that comes or goes is a change on purpose."""

from __future__ import annotations

FEATURES = [
    "limits",
    "lockout",
    "password",
    "challenges",
    "sessions",
    "devices",
    "roles",
    "users",
    "registration",
    "email_verification",
    "password_reset",
    "email_change",
    "invitations",
    "mfa",
    "totp",
    "notices",
    "export",
    "user_import",
    "audit",
    "openapi",
]
"""Names of the default features, in their order."""

TABLES = {
    "accounts_sessions",
    "accounts_revoked_tokens",
    "accounts_limits",
    "accounts_lockouts",
    "accounts_devices",
    "accounts_roles",
    "accounts_user_roles",
    "accounts_one_time_tokens",
    "accounts_invitations",
    "accounts_mfa",
    "accounts_recovery_codes",
    "accounts_remembered_devices",
    "accounts_totp",
    "accounts_suspensions",
    "accounts_deletions",
    "accounts_imports",
    "accounts_events",
    "accounts_event_seals",
}
"""Names of their tables; the table of users is the host's or `users`."""
