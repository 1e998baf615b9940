"""Settings of where the keys are kept that sign tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, model_validator

from ...core.settings import Settings

Algorithm = Literal["EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]


class SigningKeySettings(Settings):
    """Where the keys are kept that sign tokens, and how they follow one another. `ACCOUNTS_TOKENS_PREVIOUS_KEYS` verify besides."""

    prefix: ClassVar[str] = "signing"

    source: Literal["config", "folder", "database"] = "config"
    """Where keys are kept: `config` (`ACCOUNTS_SIGNING_KEYS`; without any, Flask-JWT-Extended's `JWT_*`), `folder` (files that you or
    `flask accounts keys` put there), or `database` (sealed under `ACCOUNTS_AT_REST_KEYS`, one for all workers)."""
    keys: tuple[SecretStr, ...] = ()
    """With the source `config`: key pairs, each in PEM or as a JSON Web Key. The first private one signs; all of them are published and
    verify. To rotate, put the next key second, later first, and take the old one out once its tokens have run out."""
    folder: str = ""
    """With the source `folder`: the path of a folder of keys, or of one file. Of keys in PEM the last by name signs."""
    algorithm: Algorithm = "EdDSA"
    """What `flask accounts keys` makes new keys for. RS256 is what every service understands that heeds RFC 9068."""
    publish_for: timedelta = Field(default=timedelta(hours=1), ge=timedelta(0))
    """How long a new key is published before it signs, so that every worker and every other service has learned of it."""
    keep_for: timedelta | None = None
    """How long a key verifies once another one signs. Left out: as long as the tokens live that it may have signed
    (`JWT_REFRESH_TOKEN_EXPIRES`). Set it if you mint tokens that live longer."""
    refresh_after: timedelta = Field(default=timedelta(minutes=1), gt=timedelta(0), le=timedelta(hours=1))
    """How often each process looks whether keys have changed, in the folder or the database: one statement each time. Sooner only where a
    token names a key that is not known, and then at most every five seconds."""
    jwks_max_age: timedelta = Field(default=timedelta(minutes=5), ge=timedelta(0), le=timedelta(days=1))
    """How long others may keep what `GET /jwks.json` answers without asking again."""

    @model_validator(mode="after")
    def _long_enough(self) -> SigningKeySettings:
        if self.source != "config" and self.publish_for < self.jwks_max_age + self.refresh_after:
            raise ValueError(
                "ACCOUNTS_SIGNING_PUBLISH_FOR must be at least ACCOUNTS_SIGNING_JWKS_MAX_AGE and ACCOUNTS_SIGNING_REFRESH_AFTER together, "
                "or some would meet a key that they have not heard of"
            )
        return self
