"""The blog and its accounts: written by `flask db migrate`, tidied by hand.

Revision: 0001, the first.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# MariaDB and MySQL keep fractions of a second only where told to.
moment = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
# Their TEXT ends at 64 KiB.
long_text = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def exact(length: int) -> sa.types.TypeEngine[str]:
    # Compared and sorted by bytes: MariaDB would otherwise take 'ines' for 'inès', and PostgreSQL find no beginnings in an index.
    text = sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")
    return text.with_variant(mysql.VARCHAR(length, collation="utf8mb4_bin"), "mysql", "mariadb")


def binary(length: int) -> sa.types.TypeEngine[bytes]:
    # They index no BLOB as a whole.
    return sa.LargeBinary(length).with_variant(mysql.VARBINARY(length), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "accounts_event_seals",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("body", long_text, nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(op.f("ix_accounts_event_seals_at"), "accounts_event_seals", ["at"])

    op.create_table(
        "accounts_events",
        sa.Column("id", sa.Uuid().with_variant(sa.Uuid(native_uuid=False), "mysql", "mariadb"), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.Column("actor", sa.String(length=255), nullable=True),
        sa.Column("session_id", sa.Uuid().with_variant(sa.Uuid(native_uuid=False), "mysql", "mariadb"), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=True),
        sa.Column("user_agent", sa.String(length=255), nullable=True),
        sa.Column("client_salt", sa.LargeBinary(), nullable=True),
        sa.Column("client_digest", sa.LargeBinary(), nullable=True),
        sa.Column("personal", sa.Text(), nullable=True),
        sa.Column("personal_salt", sa.LargeBinary(), nullable=True),
        sa.Column("personal_digest", sa.LargeBinary(), nullable=True),
        sa.Column("chain", sa.Uuid().with_variant(sa.Uuid(native_uuid=False), "mysql", "mariadb"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_accounts_events_actor", "accounts_events", ["actor", "id"])
    op.create_index("ix_accounts_events_name", "accounts_events", ["name", "id"])
    op.create_index("ix_accounts_events_subject", "accounts_events", ["subject", "id"])

    op.create_table(
        "accounts_imports",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("finished_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_accounts_imports_updated_at"), "accounts_imports", ["updated_at"])

    op.create_table(
        "accounts_limits",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("resets_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index(op.f("ix_accounts_limits_resets_at"), "accounts_limits", ["resets_at"])

    op.create_table(
        "accounts_lockouts",
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("network", sa.String(length=45), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("free_at", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.Column("known_until", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "network"),
    )
    op.create_index(op.f("ix_accounts_lockouts_expires_at"), "accounts_lockouts", ["expires_at"])

    op.create_table(
        "accounts_revoked_tokens",
        sa.Column("jti", sa.String(length=64), nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("jti"),
    )
    op.create_index(op.f("ix_accounts_revoked_tokens_expires_at"), "accounts_revoked_tokens", ["expires_at"])

    op.create_table(
        "accounts_roles",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", exact(64), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("permissions", sa.Text(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "people",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("display_name", sa.String(length=80), nullable=False),
        sa.Column("bio", sa.String(length=500), nullable=False),
        sa.Column("email", exact(254), nullable=False),
        sa.Column("username", sa.String(length=64), nullable=True),
        sa.Column("username_normalized", exact(64), nullable=True),
        sa.Column("password_hash", exact(512), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("email_verified_at", moment, nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email"),
        sa.UniqueConstraint("username_normalized"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_people_created_at_id", "people", ["created_at", "id"])
    op.create_index("ix_people_updated_at_id", "people", ["updated_at", "id"])
    op.create_index(
        "ix_people_username_normalized_id",
        "people",
        ["username_normalized", "id"],
        postgresql_where=sa.text("username_normalized IS NULL"),
        sqlite_where=sa.text("username_normalized IS NULL"),
    )
    op.create_index(
        "ix_people_is_active_id",
        "people",
        ["is_active", "id"],
        postgresql_where=sa.text("is_active IS false"),
        sqlite_where=sa.text("is_active IS 0"),
    )

    op.create_table(
        "accounts_api_keys",
        sa.Column("id", sa.Uuid().with_variant(sa.Uuid(native_uuid=False), "mysql", "mariadb"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("key_hash", exact(64), nullable=False),
        sa.Column("hint", sa.String(length=40), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("networks", sa.Text(), nullable=False),
        sa.Column("rate_limit", sa.String(length=100), nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=True),
        sa.Column("last_used_at", moment, nullable=True),
        sa.Column("last_used_ip", sa.String(length=45), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["people.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key_hash"),
        sa.UniqueConstraint("user_id", "id"),
    )
    op.create_index(op.f("ix_accounts_api_keys_expires_at"), "accounts_api_keys", ["expires_at"])

    op.create_table(
        "accounts_deletions",
        sa.Column("requested_at", moment, nullable=False),
        sa.Column("erase_at", moment, nullable=False),
        sa.Column("user_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["people.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id"),
    )
    op.create_index(op.f("ix_accounts_deletions_erase_at"), "accounts_deletions", ["erase_at"])

    op.create_table(
        "accounts_devices",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("network", sa.String(length=45), nullable=False),
        sa.Column("first_seen_at", moment, nullable=False),
        sa.Column("last_seen_at", moment, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["people.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "device", "network"),
    )
    op.create_index(op.f("ix_accounts_devices_last_seen_at"), "accounts_devices", ["last_seen_at"])

    op.create_table(
        "accounts_identities",
        sa.Column("id", sa.Uuid().with_variant(sa.Uuid(native_uuid=False), "mysql", "mariadb"), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("issuer", exact(255), nullable=False),
        sa.Column("subject", exact(255), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("last_used_at", moment, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["people.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("issuer", "subject"),
        sa.UniqueConstraint("user_id", "id"),
    )
    op.create_table(
        "accounts_invitations",
        sa.Column("id", sa.Uuid().with_variant(sa.Uuid(native_uuid=False), "mysql", "mariadb"), nullable=False),
        sa.Column("address", exact(254), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=True),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=True),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("sent_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("accepted_at", moment, nullable=True),
        sa.Column("withdrawn_at", moment, nullable=True),
        sa.Column("invited_by", sa.Integer(), nullable=True),
        sa.Column("accepted_user", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["accepted_user"], ["people.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["invited_by"], ["people.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("accepted_user", "id"),
        sa.UniqueConstraint("address", "open"),
        sa.UniqueConstraint("invited_by", "id"),
    )
    op.create_table(
        "accounts_mfa",
        sa.Column("enrol_by", moment, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("free_at", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["people.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id"),
    )
    op.create_table(
        "accounts_one_time_tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("address", exact(254), nullable=True),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["people.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
        sa.UniqueConstraint("user_id", "id"),
    )
    op.create_index(op.f("ix_accounts_one_time_tokens_address"), "accounts_one_time_tokens", ["address"])
    op.create_index(op.f("ix_accounts_one_time_tokens_expires_at"), "accounts_one_time_tokens", ["expires_at"])

    op.create_table(
        "accounts_passkey_handles",
        sa.Column("handle", binary(64), nullable=False),
        sa.Column("user_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["people.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id"),
        sa.UniqueConstraint("handle"),
    )
    op.create_table(
        "accounts_passkeys",
        sa.Column("id", sa.Uuid().with_variant(sa.Uuid(native_uuid=False), "mysql", "mariadb"), nullable=False),
        sa.Column("credential_id", binary(1023), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", sa.String(length=100), nullable=False),
        sa.Column("aaguid", sa.Uuid().with_variant(sa.Uuid(native_uuid=False), "mysql", "mariadb"), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("backup_eligible", sa.Boolean(), nullable=False),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        sa.Column("user_verified", sa.Boolean(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("last_used_at", moment, nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["people.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("credential_id"),
        sa.UniqueConstraint("user_id", "id"),
    )
    op.create_table(
        "accounts_provider_tokens",
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("busy_until", moment, nullable=True),
        sa.Column("identity_id", sa.Uuid().with_variant(sa.Uuid(native_uuid=False), "mysql", "mariadb"), nullable=False),
        sa.ForeignKeyConstraint(["identity_id"], ["accounts_identities.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("identity_id"),
    )
    op.create_table(
        "accounts_recovery_codes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["people.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("user_id", "id"),
    )
    op.create_table(
        "accounts_remembered_devices",
        sa.Column("id", sa.Uuid().with_variant(sa.Uuid(native_uuid=False), "mysql", "mariadb"), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("last_used_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["people.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("secret_hash"),
        sa.UniqueConstraint("user_id", "id"),
    )
    op.create_index(op.f("ix_accounts_remembered_devices_expires_at"), "accounts_remembered_devices", ["expires_at"])

    op.create_table(
        "accounts_service_accounts",
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("user_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["people.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id"),
    )
    op.create_table(
        "accounts_sessions",
        sa.Column("id", sa.Uuid().with_variant(sa.Uuid(native_uuid=False), "mysql", "mariadb"), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("rotated_at", moment, nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("authenticated_at", moment, nullable=False),
        sa.Column("last_used_at", moment, nullable=False),
        sa.Column("idle_expires_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("ended_at", moment, nullable=True),
        sa.Column("end_reason", sa.String(length=32), nullable=True),
        sa.Column("amr", sa.String(length=64), nullable=False),
        sa.Column("ip_address", sa.String(length=45), nullable=True),
        sa.Column("user_agent", sa.String(length=255), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["people.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("user_id", "id"),
    )
    op.create_index(op.f("ix_accounts_sessions_expires_at"), "accounts_sessions", ["expires_at"])

    op.create_table(
        "accounts_suspensions",
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.Column("until", moment, nullable=True),
        sa.Column("disabled_at", moment, nullable=False),
        sa.Column("user_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["people.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id"),
    )
    op.create_index(op.f("ix_accounts_suspensions_until"), "accounts_suspensions", ["until"])

    op.create_table(
        "accounts_totp",
        sa.Column("secret", sa.String(length=255), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("user_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["people.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id"),
    )
    op.create_table(
        "accounts_user_roles",
        sa.Column("granted_at", moment, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("role_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["accounts_roles.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["people.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "role_id"),
        sa.UniqueConstraint("role_id", "user_id"),
    )
    op.create_table(
        "posts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("published_at", sa.DateTime(), nullable=False),
        sa.Column("edited_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["author_id"], ["people.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_posts_author_id"), "posts", ["author_id"])


def downgrade() -> None:
    # Indexes go with their tables; MariaDB would not let go of those that a foreign key needs.
    for table in (
        "posts",
        "accounts_user_roles",
        "accounts_totp",
        "accounts_suspensions",
        "accounts_sessions",
        "accounts_service_accounts",
        "accounts_remembered_devices",
        "accounts_recovery_codes",
        "accounts_provider_tokens",
        "accounts_passkeys",
        "accounts_passkey_handles",
        "accounts_one_time_tokens",
        "accounts_mfa",
        "accounts_invitations",
        "accounts_identities",
        "accounts_devices",
        "accounts_deletions",
        "accounts_api_keys",
        "people",
        "accounts_roles",
        "accounts_revoked_tokens",
        "accounts_lockouts",
        "accounts_limits",
        "accounts_imports",
        "accounts_events",
        "accounts_event_seals",
    ):
        op.drop_table(table)
