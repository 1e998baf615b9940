-- Written by tools/make_snapshots.py from the code. Do not edit: change the code and run it again.
-- Foreign keys to users take the key of the host's own user class; here it is the default one.


-- table accounts_api_keys (schema 6c1b1caf)

-- SQLite
CREATE TABLE accounts_api_keys (
  id CHAR(32) NOT NULL,
  name VARCHAR(100) NOT NULL,
  key_hash VARCHAR(64) NOT NULL,
  hint VARCHAR(40) NOT NULL,
  scopes TEXT NOT NULL,
  networks TEXT NOT NULL,
  rate_limit VARCHAR(100),
  created_at DATETIME NOT NULL,
  expires_at DATETIME,
  last_used_at DATETIME,
  last_used_ip VARCHAR(45),
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (key_hash),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_api_keys_expires_at ON accounts_api_keys (expires_at);
-- PostgreSQL
CREATE TABLE accounts_api_keys (
  id UUID NOT NULL,
  name VARCHAR(100) NOT NULL,
  key_hash VARCHAR(64) COLLATE "C" NOT NULL,
  hint VARCHAR(40) NOT NULL,
  scopes TEXT NOT NULL,
  networks TEXT NOT NULL,
  rate_limit VARCHAR(100),
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE,
  last_used_at TIMESTAMP WITH TIME ZONE,
  last_used_ip VARCHAR(45),
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (key_hash),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_api_keys_expires_at ON accounts_api_keys (expires_at);
-- MariaDB
CREATE TABLE accounts_api_keys (
  id CHAR(32) NOT NULL,
  name VARCHAR(100) NOT NULL,
  key_hash VARCHAR(64) COLLATE utf8mb4_bin NOT NULL,
  hint VARCHAR(40) NOT NULL,
  scopes TEXT NOT NULL,
  networks TEXT NOT NULL,
  rate_limit VARCHAR(100),
  created_at DATETIME(6) NOT NULL,
  expires_at DATETIME(6),
  last_used_at DATETIME(6),
  last_used_ip VARCHAR(45),
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (key_hash),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_api_keys_expires_at ON accounts_api_keys (expires_at);


-- table accounts_deletions (schema 674077be)

-- SQLite
CREATE TABLE accounts_deletions (
  requested_at DATETIME NOT NULL,
  erase_at DATETIME NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_deletions_erase_at ON accounts_deletions (erase_at);
-- PostgreSQL
CREATE TABLE accounts_deletions (
  requested_at TIMESTAMP WITH TIME ZONE NOT NULL,
  erase_at TIMESTAMP WITH TIME ZONE NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_deletions_erase_at ON accounts_deletions (erase_at);
-- MariaDB
CREATE TABLE accounts_deletions (
  requested_at DATETIME(6) NOT NULL,
  erase_at DATETIME(6) NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_deletions_erase_at ON accounts_deletions (erase_at);


-- table accounts_devices (schema 8b4be78b)

-- SQLite
CREATE TABLE accounts_devices (
  user_id INTEGER NOT NULL,
  device VARCHAR(64) NOT NULL,
  network VARCHAR(45) NOT NULL,
  first_seen_at DATETIME NOT NULL,
  last_seen_at DATETIME NOT NULL,
  PRIMARY KEY (user_id, device, network),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_devices_last_seen_at ON accounts_devices (last_seen_at);
-- PostgreSQL
CREATE TABLE accounts_devices (
  user_id INTEGER NOT NULL,
  device VARCHAR(64) NOT NULL,
  network VARCHAR(45) NOT NULL,
  first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
  last_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (user_id, device, network),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_devices_last_seen_at ON accounts_devices (last_seen_at);
-- MariaDB
CREATE TABLE accounts_devices (
  user_id INTEGER NOT NULL,
  device VARCHAR(64) NOT NULL,
  network VARCHAR(45) NOT NULL,
  first_seen_at DATETIME(6) NOT NULL,
  last_seen_at DATETIME(6) NOT NULL,
  PRIMARY KEY (user_id, device, network),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_devices_last_seen_at ON accounts_devices (last_seen_at);


-- table accounts_event_seals (schema aa55a449)

-- SQLite
CREATE TABLE accounts_event_seals (
  number INTEGER NOT NULL,
  at DATETIME NOT NULL,
  body TEXT NOT NULL,
  mac BLOB NOT NULL,
  PRIMARY KEY (number)
);
CREATE INDEX ix_accounts_event_seals_at ON accounts_event_seals (at);
-- PostgreSQL
CREATE TABLE accounts_event_seals (
  number INTEGER NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  body TEXT NOT NULL,
  mac BYTEA NOT NULL,
  PRIMARY KEY (number)
);
CREATE INDEX ix_accounts_event_seals_at ON accounts_event_seals (at);
-- MariaDB
CREATE TABLE accounts_event_seals (
  number INTEGER NOT NULL,
  at DATETIME(6) NOT NULL,
  `body` MEDIUMTEXT NOT NULL,
  mac BLOB NOT NULL,
  PRIMARY KEY (number)
);
CREATE INDEX ix_accounts_event_seals_at ON accounts_event_seals (at);


-- table accounts_events (schema e1a03483)

-- SQLite
CREATE TABLE accounts_events (
  id CHAR(32) NOT NULL,
  at DATETIME NOT NULL,
  name VARCHAR(64) NOT NULL,
  outcome VARCHAR(8) NOT NULL,
  subject VARCHAR(255),
  actor VARCHAR(255),
  session_id CHAR(32),
  details TEXT NOT NULL,
  address VARCHAR(45),
  user_agent VARCHAR(255),
  client_salt BLOB,
  client_digest BLOB,
  personal TEXT,
  personal_salt BLOB,
  personal_digest BLOB,
  chain CHAR(32) NOT NULL,
  number INTEGER NOT NULL,
  mac BLOB NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX ix_accounts_events_actor ON accounts_events (actor, id);
CREATE INDEX ix_accounts_events_name ON accounts_events (name, id);
CREATE INDEX ix_accounts_events_subject ON accounts_events (subject, id);
-- PostgreSQL
CREATE TABLE accounts_events (
  id UUID NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  name VARCHAR(64) NOT NULL,
  outcome VARCHAR(8) NOT NULL,
  subject VARCHAR(255),
  actor VARCHAR(255),
  session_id UUID,
  details TEXT NOT NULL,
  address VARCHAR(45),
  user_agent VARCHAR(255),
  client_salt BYTEA,
  client_digest BYTEA,
  personal TEXT,
  personal_salt BYTEA,
  personal_digest BYTEA,
  chain UUID NOT NULL,
  number INTEGER NOT NULL,
  mac BYTEA NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX ix_accounts_events_actor ON accounts_events (actor, id);
CREATE INDEX ix_accounts_events_name ON accounts_events (name, id);
CREATE INDEX ix_accounts_events_subject ON accounts_events (subject, id);
-- MariaDB
CREATE TABLE accounts_events (
  id CHAR(32) NOT NULL,
  at DATETIME(6) NOT NULL,
  name VARCHAR(64) NOT NULL,
  outcome VARCHAR(8) NOT NULL,
  subject VARCHAR(255),
  actor VARCHAR(255),
  session_id CHAR(32),
  details TEXT NOT NULL,
  address VARCHAR(45),
  user_agent VARCHAR(255),
  client_salt BLOB,
  client_digest BLOB,
  personal TEXT,
  personal_salt BLOB,
  personal_digest BLOB,
  chain CHAR(32) NOT NULL,
  number INTEGER NOT NULL,
  mac BLOB NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX ix_accounts_events_actor ON accounts_events (actor, id);
CREATE INDEX ix_accounts_events_name ON accounts_events (name, id);
CREATE INDEX ix_accounts_events_subject ON accounts_events (subject, id);


-- table accounts_identities (schema ca4631f1)

-- SQLite
CREATE TABLE accounts_identities (
  id CHAR(32) NOT NULL,
  provider VARCHAR(32) NOT NULL,
  issuer VARCHAR(255) NOT NULL,
  subject VARCHAR(255) NOT NULL,
  email VARCHAR(254),
  created_at DATETIME NOT NULL,
  last_used_at DATETIME NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (issuer, subject),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
-- PostgreSQL
CREATE TABLE accounts_identities (
  id UUID NOT NULL,
  provider VARCHAR(32) NOT NULL,
  issuer VARCHAR(255) COLLATE "C" NOT NULL,
  subject VARCHAR(255) COLLATE "C" NOT NULL,
  email VARCHAR(254),
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  last_used_at TIMESTAMP WITH TIME ZONE NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (issuer, subject),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
-- MariaDB
CREATE TABLE accounts_identities (
  id CHAR(32) NOT NULL,
  provider VARCHAR(32) NOT NULL,
  issuer VARCHAR(255) COLLATE utf8mb4_bin NOT NULL,
  subject VARCHAR(255) COLLATE utf8mb4_bin NOT NULL,
  email VARCHAR(254),
  created_at DATETIME(6) NOT NULL,
  last_used_at DATETIME(6) NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (issuer, subject),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);


-- table accounts_impersonations (schema 1dde9cd8)

-- SQLite
CREATE TABLE accounts_impersonations (
  id CHAR(32) NOT NULL,
  actor_session_id CHAR(32) NOT NULL,
  reason VARCHAR(255) NOT NULL,
  started_at DATETIME NOT NULL,
  expires_at DATETIME NOT NULL,
  actor_id INTEGER NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (actor_id, id),
  UNIQUE (actor_session_id),
  FOREIGN KEY(actor_id) REFERENCES users (id) ON DELETE CASCADE,
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_impersonations_expires_at ON accounts_impersonations (expires_at);
-- PostgreSQL
CREATE TABLE accounts_impersonations (
  id UUID NOT NULL,
  actor_session_id UUID NOT NULL,
  reason VARCHAR(255) NOT NULL,
  started_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  actor_id INTEGER NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (actor_id, id),
  UNIQUE (actor_session_id),
  FOREIGN KEY(actor_id) REFERENCES users (id) ON DELETE CASCADE,
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_impersonations_expires_at ON accounts_impersonations (expires_at);
-- MariaDB
CREATE TABLE accounts_impersonations (
  id CHAR(32) NOT NULL,
  actor_session_id CHAR(32) NOT NULL,
  reason VARCHAR(255) NOT NULL,
  started_at DATETIME(6) NOT NULL,
  expires_at DATETIME(6) NOT NULL,
  actor_id INTEGER NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (actor_id, id),
  UNIQUE (actor_session_id),
  FOREIGN KEY(actor_id) REFERENCES users (id) ON DELETE CASCADE,
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_impersonations_expires_at ON accounts_impersonations (expires_at);


-- table accounts_imports (schema 5289b386)

-- SQLite
CREATE TABLE accounts_imports (
  id VARCHAR(64) NOT NULL,
  rows INTEGER NOT NULL,
  report TEXT NOT NULL,
  started_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL,
  finished_at DATETIME,
  PRIMARY KEY (id)
);
CREATE INDEX ix_accounts_imports_updated_at ON accounts_imports (updated_at);
-- PostgreSQL
CREATE TABLE accounts_imports (
  id VARCHAR(64) NOT NULL,
  rows INTEGER NOT NULL,
  report TEXT NOT NULL,
  started_at TIMESTAMP WITH TIME ZONE NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
  finished_at TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY (id)
);
CREATE INDEX ix_accounts_imports_updated_at ON accounts_imports (updated_at);
-- MariaDB
CREATE TABLE accounts_imports (
  id VARCHAR(64) NOT NULL,
  `rows` INTEGER NOT NULL,
  report TEXT NOT NULL,
  started_at DATETIME(6) NOT NULL,
  updated_at DATETIME(6) NOT NULL,
  finished_at DATETIME(6),
  PRIMARY KEY (id)
);
CREATE INDEX ix_accounts_imports_updated_at ON accounts_imports (updated_at);


-- table accounts_invitations (schema e06b97eb)

-- SQLite
CREATE TABLE accounts_invitations (
  id CHAR(32) NOT NULL,
  address VARCHAR(254) NOT NULL,
  open BOOLEAN,
  roles TEXT NOT NULL,
  language VARCHAR(35),
  trusted BOOLEAN NOT NULL,
  created_at DATETIME NOT NULL,
  sent_at DATETIME NOT NULL,
  expires_at DATETIME NOT NULL,
  accepted_at DATETIME,
  withdrawn_at DATETIME,
  invited_by INTEGER,
  accepted_user INTEGER,
  PRIMARY KEY (id),
  UNIQUE (address, open),
  UNIQUE (invited_by, id),
  UNIQUE (accepted_user, id),
  FOREIGN KEY(invited_by) REFERENCES users (id) ON DELETE SET NULL,
  FOREIGN KEY(accepted_user) REFERENCES users (id) ON DELETE CASCADE
);
-- PostgreSQL
CREATE TABLE accounts_invitations (
  id UUID NOT NULL,
  address VARCHAR(254) COLLATE "C" NOT NULL,
  open BOOLEAN,
  roles TEXT NOT NULL,
  language VARCHAR(35),
  trusted BOOLEAN NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  sent_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  accepted_at TIMESTAMP WITH TIME ZONE,
  withdrawn_at TIMESTAMP WITH TIME ZONE,
  invited_by INTEGER,
  accepted_user INTEGER,
  PRIMARY KEY (id),
  UNIQUE (address, open),
  UNIQUE (invited_by, id),
  UNIQUE (accepted_user, id),
  FOREIGN KEY(invited_by) REFERENCES users (id) ON DELETE SET NULL,
  FOREIGN KEY(accepted_user) REFERENCES users (id) ON DELETE CASCADE
);
-- MariaDB
CREATE TABLE accounts_invitations (
  id CHAR(32) NOT NULL,
  address VARCHAR(254) COLLATE utf8mb4_bin NOT NULL,
  open BOOL,
  roles TEXT NOT NULL,
  language VARCHAR(35),
  trusted BOOL NOT NULL,
  created_at DATETIME(6) NOT NULL,
  sent_at DATETIME(6) NOT NULL,
  expires_at DATETIME(6) NOT NULL,
  accepted_at DATETIME(6),
  withdrawn_at DATETIME(6),
  invited_by INTEGER,
  accepted_user INTEGER,
  PRIMARY KEY (id),
  UNIQUE (address, open),
  UNIQUE (invited_by, id),
  UNIQUE (accepted_user, id),
  FOREIGN KEY(invited_by) REFERENCES users (id) ON DELETE SET NULL,
  FOREIGN KEY(accepted_user) REFERENCES users (id) ON DELETE CASCADE
);


-- table accounts_limits (schema d4057bd9)

-- SQLite
CREATE TABLE accounts_limits (
  "key" VARCHAR(64) NOT NULL,
  hits INTEGER NOT NULL,
  resets_at BIGINT NOT NULL,
  PRIMARY KEY ("key")
);
CREATE INDEX ix_accounts_limits_resets_at ON accounts_limits (resets_at);
-- PostgreSQL
CREATE TABLE accounts_limits (
  key VARCHAR(64) NOT NULL,
  hits INTEGER NOT NULL,
  resets_at BIGINT NOT NULL,
  PRIMARY KEY (key)
);
CREATE INDEX ix_accounts_limits_resets_at ON accounts_limits (resets_at);
-- MariaDB
CREATE TABLE accounts_limits (
  `key` VARCHAR(64) NOT NULL,
  hits INTEGER NOT NULL,
  resets_at BIGINT NOT NULL,
  PRIMARY KEY (`key`)
);
CREATE INDEX ix_accounts_limits_resets_at ON accounts_limits (resets_at);


-- table accounts_lockouts (schema 1abdb6f9)

-- SQLite
CREATE TABLE accounts_lockouts (
  subject VARCHAR(64) NOT NULL,
  network VARCHAR(45) NOT NULL,
  failures INTEGER NOT NULL,
  free_at BIGINT NOT NULL,
  told_at BIGINT NOT NULL,
  known_until BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (subject, network)
);
CREATE INDEX ix_accounts_lockouts_expires_at ON accounts_lockouts (expires_at);
-- PostgreSQL
CREATE TABLE accounts_lockouts (
  subject VARCHAR(64) NOT NULL,
  network VARCHAR(45) NOT NULL,
  failures INTEGER NOT NULL,
  free_at BIGINT NOT NULL,
  told_at BIGINT NOT NULL,
  known_until BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (subject, network)
);
CREATE INDEX ix_accounts_lockouts_expires_at ON accounts_lockouts (expires_at);
-- MariaDB
CREATE TABLE accounts_lockouts (
  subject VARCHAR(64) NOT NULL,
  network VARCHAR(45) NOT NULL,
  failures INTEGER NOT NULL,
  free_at BIGINT NOT NULL,
  told_at BIGINT NOT NULL,
  known_until BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (subject, network)
);
CREATE INDEX ix_accounts_lockouts_expires_at ON accounts_lockouts (expires_at);


-- table accounts_mfa (schema b8c8ff41)

-- SQLite
CREATE TABLE accounts_mfa (
  enrol_by DATETIME,
  failures INTEGER NOT NULL,
  free_at BIGINT NOT NULL,
  told_at BIGINT NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
-- PostgreSQL
CREATE TABLE accounts_mfa (
  enrol_by TIMESTAMP WITH TIME ZONE,
  failures INTEGER NOT NULL,
  free_at BIGINT NOT NULL,
  told_at BIGINT NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
-- MariaDB
CREATE TABLE accounts_mfa (
  enrol_by DATETIME(6),
  failures INTEGER NOT NULL,
  free_at BIGINT NOT NULL,
  told_at BIGINT NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);


-- table accounts_one_time_tokens (schema 1d89db27)

-- SQLite
CREATE TABLE accounts_one_time_tokens (
  id INTEGER NOT NULL,
  purpose VARCHAR(32) NOT NULL,
  address VARCHAR(254),
  token_hash VARCHAR(64) NOT NULL,
  code_hash VARCHAR(64),
  attempts INTEGER NOT NULL,
  data TEXT NOT NULL,
  created_at DATETIME NOT NULL,
  expires_at DATETIME NOT NULL,
  user_id INTEGER,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (token_hash),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_one_time_tokens_address ON accounts_one_time_tokens (address);
CREATE INDEX ix_accounts_one_time_tokens_expires_at ON accounts_one_time_tokens (expires_at);
-- PostgreSQL
CREATE TABLE accounts_one_time_tokens (
  id SERIAL NOT NULL,
  purpose VARCHAR(32) NOT NULL,
  address VARCHAR(254) COLLATE "C",
  token_hash VARCHAR(64) NOT NULL,
  code_hash VARCHAR(64),
  attempts INTEGER NOT NULL,
  data TEXT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  user_id INTEGER,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (token_hash),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_one_time_tokens_address ON accounts_one_time_tokens (address);
CREATE INDEX ix_accounts_one_time_tokens_expires_at ON accounts_one_time_tokens (expires_at);
-- MariaDB
CREATE TABLE accounts_one_time_tokens (
  id INTEGER NOT NULL AUTO_INCREMENT,
  purpose VARCHAR(32) NOT NULL,
  address VARCHAR(254) COLLATE utf8mb4_bin,
  token_hash VARCHAR(64) NOT NULL,
  code_hash VARCHAR(64),
  attempts INTEGER NOT NULL,
  data TEXT NOT NULL,
  created_at DATETIME(6) NOT NULL,
  expires_at DATETIME(6) NOT NULL,
  user_id INTEGER,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (token_hash),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_one_time_tokens_address ON accounts_one_time_tokens (address);
CREATE INDEX ix_accounts_one_time_tokens_expires_at ON accounts_one_time_tokens (expires_at);


-- table accounts_passkey_handles (schema 5ff39e46)

-- SQLite
CREATE TABLE accounts_passkey_handles (
  handle BLOB NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (user_id),
  UNIQUE (handle),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
-- PostgreSQL
CREATE TABLE accounts_passkey_handles (
  handle BYTEA NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (user_id),
  UNIQUE (handle),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
-- MariaDB
CREATE TABLE accounts_passkey_handles (
  handle VARBINARY(64) NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (user_id),
  UNIQUE (handle),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);


-- table accounts_passkeys (schema 8b1728a9)

-- SQLite
CREATE TABLE accounts_passkeys (
  id CHAR(32) NOT NULL,
  credential_id BLOB NOT NULL,
  public_key BLOB NOT NULL,
  sign_count BIGINT NOT NULL,
  transports VARCHAR(100) NOT NULL,
  aaguid CHAR(32) NOT NULL,
  name VARCHAR(64) NOT NULL,
  backup_eligible BOOLEAN NOT NULL,
  backed_up BOOLEAN NOT NULL,
  user_verified BOOLEAN NOT NULL,
  created_at DATETIME NOT NULL,
  last_used_at DATETIME,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (credential_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
-- PostgreSQL
CREATE TABLE accounts_passkeys (
  id UUID NOT NULL,
  credential_id BYTEA NOT NULL,
  public_key BYTEA NOT NULL,
  sign_count BIGINT NOT NULL,
  transports VARCHAR(100) NOT NULL,
  aaguid UUID NOT NULL,
  name VARCHAR(64) NOT NULL,
  backup_eligible BOOLEAN NOT NULL,
  backed_up BOOLEAN NOT NULL,
  user_verified BOOLEAN NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  last_used_at TIMESTAMP WITH TIME ZONE,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (credential_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
-- MariaDB
CREATE TABLE accounts_passkeys (
  id CHAR(32) NOT NULL,
  credential_id VARBINARY(1023) NOT NULL,
  public_key BLOB NOT NULL,
  sign_count BIGINT NOT NULL,
  transports VARCHAR(100) NOT NULL,
  aaguid CHAR(32) NOT NULL,
  name VARCHAR(64) NOT NULL,
  backup_eligible BOOL NOT NULL,
  backed_up BOOL NOT NULL,
  user_verified BOOL NOT NULL,
  created_at DATETIME(6) NOT NULL,
  last_used_at DATETIME(6),
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (credential_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);


-- table accounts_provider_tokens (schema f7bfd06d)

-- SQLite
CREATE TABLE accounts_provider_tokens (
  sealed TEXT NOT NULL,
  updated_at DATETIME NOT NULL,
  busy_until DATETIME,
  identity_id CHAR(32) NOT NULL,
  PRIMARY KEY (identity_id),
  FOREIGN KEY(identity_id) REFERENCES accounts_identities (id) ON DELETE CASCADE
);
-- PostgreSQL
CREATE TABLE accounts_provider_tokens (
  sealed TEXT NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
  busy_until TIMESTAMP WITH TIME ZONE,
  identity_id UUID NOT NULL,
  PRIMARY KEY (identity_id),
  FOREIGN KEY(identity_id) REFERENCES accounts_identities (id) ON DELETE CASCADE
);
-- MariaDB
CREATE TABLE accounts_provider_tokens (
  sealed TEXT NOT NULL,
  updated_at DATETIME(6) NOT NULL,
  busy_until DATETIME(6),
  identity_id CHAR(32) NOT NULL,
  PRIMARY KEY (identity_id),
  FOREIGN KEY(identity_id) REFERENCES accounts_identities (id) ON DELETE CASCADE
);


-- table accounts_recovery_codes (schema a455444a)

-- SQLite
CREATE TABLE accounts_recovery_codes (
  id INTEGER NOT NULL,
  code_hash VARCHAR(64) NOT NULL,
  created_at DATETIME NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
-- PostgreSQL
CREATE TABLE accounts_recovery_codes (
  id SERIAL NOT NULL,
  code_hash VARCHAR(64) NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
-- MariaDB
CREATE TABLE accounts_recovery_codes (
  id INTEGER NOT NULL AUTO_INCREMENT,
  code_hash VARCHAR(64) NOT NULL,
  created_at DATETIME(6) NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);


-- table accounts_remembered_devices (schema 39f14573)

-- SQLite
CREATE TABLE accounts_remembered_devices (
  id CHAR(32) NOT NULL,
  secret_hash VARCHAR(64) NOT NULL,
  device VARCHAR(64) NOT NULL,
  created_at DATETIME NOT NULL,
  last_used_at DATETIME NOT NULL,
  expires_at DATETIME NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (secret_hash),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_remembered_devices_expires_at ON accounts_remembered_devices (expires_at);
-- PostgreSQL
CREATE TABLE accounts_remembered_devices (
  id UUID NOT NULL,
  secret_hash VARCHAR(64) NOT NULL,
  device VARCHAR(64) NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  last_used_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (secret_hash),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_remembered_devices_expires_at ON accounts_remembered_devices (expires_at);
-- MariaDB
CREATE TABLE accounts_remembered_devices (
  id CHAR(32) NOT NULL,
  secret_hash VARCHAR(64) NOT NULL,
  device VARCHAR(64) NOT NULL,
  created_at DATETIME(6) NOT NULL,
  last_used_at DATETIME(6) NOT NULL,
  expires_at DATETIME(6) NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  UNIQUE (secret_hash),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_remembered_devices_expires_at ON accounts_remembered_devices (expires_at);


-- table accounts_revoked_tokens (schema 5e201341)

-- SQLite
CREATE TABLE accounts_revoked_tokens (
  jti VARCHAR(64) NOT NULL,
  expires_at DATETIME NOT NULL,
  PRIMARY KEY (jti)
);
CREATE INDEX ix_accounts_revoked_tokens_expires_at ON accounts_revoked_tokens (expires_at);
-- PostgreSQL
CREATE TABLE accounts_revoked_tokens (
  jti VARCHAR(64) NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (jti)
);
CREATE INDEX ix_accounts_revoked_tokens_expires_at ON accounts_revoked_tokens (expires_at);
-- MariaDB
CREATE TABLE accounts_revoked_tokens (
  jti VARCHAR(64) NOT NULL,
  expires_at DATETIME(6) NOT NULL,
  PRIMARY KEY (jti)
);
CREATE INDEX ix_accounts_revoked_tokens_expires_at ON accounts_revoked_tokens (expires_at);


-- table accounts_roles (schema 25a32c58)

-- SQLite
CREATE TABLE accounts_roles (
  id INTEGER NOT NULL,
  name VARCHAR(64) NOT NULL,
  description VARCHAR(255) NOT NULL,
  permissions TEXT NOT NULL,
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (name)
);
-- PostgreSQL
CREATE TABLE accounts_roles (
  id SERIAL NOT NULL,
  name VARCHAR(64) COLLATE "C" NOT NULL,
  description VARCHAR(255) NOT NULL,
  permissions TEXT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (name)
);
-- MariaDB
CREATE TABLE accounts_roles (
  id INTEGER NOT NULL AUTO_INCREMENT,
  name VARCHAR(64) COLLATE utf8mb4_bin NOT NULL,
  description VARCHAR(255) NOT NULL,
  permissions TEXT NOT NULL,
  created_at DATETIME(6) NOT NULL,
  updated_at DATETIME(6) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (name)
);


-- table accounts_service_accounts (schema 39130ee9)

-- SQLite
CREATE TABLE accounts_service_accounts (
  user_id INTEGER NOT NULL,
  description VARCHAR(255) NOT NULL,
  created_at DATETIME NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
-- PostgreSQL
CREATE TABLE accounts_service_accounts (
  user_id INTEGER NOT NULL,
  description VARCHAR(255) NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
-- MariaDB
CREATE TABLE accounts_service_accounts (
  user_id INTEGER NOT NULL,
  description VARCHAR(255) NOT NULL,
  created_at DATETIME(6) NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);


-- table accounts_sessions (schema c6b666de)

-- SQLite
CREATE TABLE accounts_sessions (
  id CHAR(32) NOT NULL,
  generation INTEGER NOT NULL,
  rotated_at DATETIME,
  created_at DATETIME NOT NULL,
  authenticated_at DATETIME NOT NULL,
  last_used_at DATETIME NOT NULL,
  idle_expires_at DATETIME NOT NULL,
  expires_at DATETIME NOT NULL,
  ended_at DATETIME,
  end_reason VARCHAR(32),
  amr VARCHAR(64) NOT NULL,
  ip_address VARCHAR(45),
  user_agent VARCHAR(255),
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_sessions_expires_at ON accounts_sessions (expires_at);
-- PostgreSQL
CREATE TABLE accounts_sessions (
  id UUID NOT NULL,
  generation INTEGER NOT NULL,
  rotated_at TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  authenticated_at TIMESTAMP WITH TIME ZONE NOT NULL,
  last_used_at TIMESTAMP WITH TIME ZONE NOT NULL,
  idle_expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  ended_at TIMESTAMP WITH TIME ZONE,
  end_reason VARCHAR(32),
  amr VARCHAR(64) NOT NULL,
  ip_address VARCHAR(45),
  user_agent VARCHAR(255),
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_sessions_expires_at ON accounts_sessions (expires_at);
-- MariaDB
CREATE TABLE accounts_sessions (
  id CHAR(32) NOT NULL,
  generation INTEGER NOT NULL,
  rotated_at DATETIME(6),
  created_at DATETIME(6) NOT NULL,
  authenticated_at DATETIME(6) NOT NULL,
  last_used_at DATETIME(6) NOT NULL,
  idle_expires_at DATETIME(6) NOT NULL,
  expires_at DATETIME(6) NOT NULL,
  ended_at DATETIME(6),
  end_reason VARCHAR(32),
  amr VARCHAR(64) NOT NULL,
  ip_address VARCHAR(45),
  user_agent VARCHAR(255),
  user_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (user_id, id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_sessions_expires_at ON accounts_sessions (expires_at);


-- table accounts_signing_keys (schema 03162e2e)

-- SQLite
CREATE TABLE accounts_signing_keys (
  kid VARCHAR(43) NOT NULL,
  sealed TEXT NOT NULL,
  created_at DATETIME NOT NULL,
  signs_from DATETIME,
  verifies_until DATETIME,
  PRIMARY KEY (kid)
);
-- PostgreSQL
CREATE TABLE accounts_signing_keys (
  kid VARCHAR(43) COLLATE "C" NOT NULL,
  sealed TEXT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  signs_from TIMESTAMP WITH TIME ZONE,
  verifies_until TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY (kid)
);
-- MariaDB
CREATE TABLE accounts_signing_keys (
  kid VARCHAR(43) COLLATE utf8mb4_bin NOT NULL,
  sealed TEXT NOT NULL,
  created_at DATETIME(6) NOT NULL,
  signs_from DATETIME(6),
  verifies_until DATETIME(6),
  PRIMARY KEY (kid)
);


-- table accounts_suspensions (schema d00fc3b7)

-- SQLite
CREATE TABLE accounts_suspensions (
  reason VARCHAR(255),
  until DATETIME,
  disabled_at DATETIME NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_suspensions_until ON accounts_suspensions (until);
-- PostgreSQL
CREATE TABLE accounts_suspensions (
  reason VARCHAR(255),
  until TIMESTAMP WITH TIME ZONE,
  disabled_at TIMESTAMP WITH TIME ZONE NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_suspensions_until ON accounts_suspensions (until);
-- MariaDB
CREATE TABLE accounts_suspensions (
  reason VARCHAR(255),
  until DATETIME(6),
  disabled_at DATETIME(6) NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_accounts_suspensions_until ON accounts_suspensions (until);


-- table accounts_totp (schema 51b88418)

-- SQLite
CREATE TABLE accounts_totp (
  secret VARCHAR(255) NOT NULL,
  last_step BIGINT NOT NULL,
  created_at DATETIME NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
-- PostgreSQL
CREATE TABLE accounts_totp (
  secret VARCHAR(255) NOT NULL,
  last_step BIGINT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
-- MariaDB
CREATE TABLE accounts_totp (
  secret VARCHAR(255) NOT NULL,
  last_step BIGINT NOT NULL,
  created_at DATETIME(6) NOT NULL,
  user_id INTEGER NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);


-- table accounts_user_roles (schema 5ef46743)

-- SQLite
CREATE TABLE accounts_user_roles (
  granted_at DATETIME NOT NULL,
  user_id INTEGER NOT NULL,
  role_id INTEGER NOT NULL,
  PRIMARY KEY (user_id, role_id),
  UNIQUE (role_id, user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE,
  FOREIGN KEY(role_id) REFERENCES accounts_roles (id) ON DELETE CASCADE
);
-- PostgreSQL
CREATE TABLE accounts_user_roles (
  granted_at TIMESTAMP WITH TIME ZONE NOT NULL,
  user_id INTEGER NOT NULL,
  role_id INTEGER NOT NULL,
  PRIMARY KEY (user_id, role_id),
  UNIQUE (role_id, user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE,
  FOREIGN KEY(role_id) REFERENCES accounts_roles (id) ON DELETE CASCADE
);
-- MariaDB
CREATE TABLE accounts_user_roles (
  granted_at DATETIME(6) NOT NULL,
  user_id INTEGER NOT NULL,
  role_id INTEGER NOT NULL,
  PRIMARY KEY (user_id, role_id),
  UNIQUE (role_id, user_id),
  FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE,
  FOREIGN KEY(role_id) REFERENCES accounts_roles (id) ON DELETE CASCADE
);


-- table users (schema da8a266f)

-- SQLite
CREATE TABLE users (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  email VARCHAR(254) NOT NULL,
  username VARCHAR(64),
  username_normalized VARCHAR(64),
  password_hash VARCHAR(512),
  is_active BOOLEAN NOT NULL,
  email_verified_at DATETIME,
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL,
  UNIQUE (email),
  UNIQUE (username_normalized)
);
CREATE INDEX ix_users_created_at_id ON users (created_at, id);
CREATE INDEX ix_users_is_active_id ON users (is_active, id) WHERE is_active IS 0;
CREATE INDEX ix_users_updated_at_id ON users (updated_at, id);
CREATE INDEX ix_users_username_normalized_id ON users (username_normalized, id) WHERE username_normalized IS NULL;
-- PostgreSQL
CREATE TABLE users (
  id SERIAL NOT NULL,
  email VARCHAR(254) COLLATE "C" NOT NULL,
  username VARCHAR(64),
  username_normalized VARCHAR(64) COLLATE "C",
  password_hash VARCHAR(512) COLLATE "C",
  is_active BOOLEAN NOT NULL,
  email_verified_at TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (email),
  UNIQUE (username_normalized)
);
CREATE INDEX ix_users_created_at_id ON users (created_at, id);
CREATE INDEX ix_users_is_active_id ON users (is_active, id) WHERE is_active IS false;
CREATE INDEX ix_users_updated_at_id ON users (updated_at, id);
CREATE INDEX ix_users_username_normalized_id ON users (username_normalized, id) WHERE username_normalized IS NULL;
-- MariaDB
CREATE TABLE users (
  id INTEGER NOT NULL AUTO_INCREMENT,
  email VARCHAR(254) COLLATE utf8mb4_bin NOT NULL,
  username VARCHAR(64),
  username_normalized VARCHAR(64) COLLATE utf8mb4_bin,
  password_hash VARCHAR(512) COLLATE utf8mb4_bin,
  is_active BOOL NOT NULL,
  email_verified_at DATETIME(6),
  created_at DATETIME(6) NOT NULL,
  updated_at DATETIME(6) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (email),
  UNIQUE (username_normalized)
);
CREATE INDEX ix_users_created_at_id ON users (created_at, id);
CREATE INDEX ix_users_is_active_id ON users (is_active, id);
CREATE INDEX ix_users_updated_at_id ON users (updated_at, id);
CREATE INDEX ix_users_username_normalized_id ON users (username_normalized, id);
