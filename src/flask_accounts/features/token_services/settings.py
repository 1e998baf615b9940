"""Settings of the services that may ask about tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import pydantic
from pydantic import Field, SecretStr, field_validator

from ...core.settings import Settings

NAME = re.compile(r"[A-Za-z0-9._~-]{1,64}")
SECRET = re.compile(r"[A-Za-z0-9._~-]{32,256}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class TokenClient(pydantic.BaseModel):
    """Another service: what it proves itself by, and what it may do."""

    model_config: ClassVar[pydantic.ConfigDict] = pydantic.ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    secrets: tuple[SecretStr, ...] = Field(min_length=1)
    """Secrets of 32 characters or more, or their digests (`sha256:` and 64 hexadecimal digits); several while they are changed."""
    may_introspect: bool = True
    """It may ask whether tokens are good."""
    may_revoke: bool = False
    """It may end the session of a token that it holds."""

    @field_validator("secrets")
    @classmethod
    def _strong(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for secret in secrets:
            text = secret.get_secret_value()
            if not (DIGEST.fullmatch(text) or SECRET.fullmatch(text)) or (":" not in text and len(set(text)) < 10):
                raise ValueError("each secret is `flask accounts client-secret`'s, or a digest such as sha256:0a1b...")
        return secrets


class TokenServiceSettings(Settings):
    """Which other services may ask about tokens (RFC 7662), and have them revoked (RFC 7009)."""

    prefix: ClassVar[str] = "token_services"

    clients: dict[str, TokenClient] = Field(default_factory=dict)
    """Services by name: `{"orders": {"secrets": ["sha256:..."], "may_revoke": True}}`, or just `{"orders": "sha256:..."}` for one that may
    introspect. `flask accounts client-secret` makes a secret, for the service, and its digest, for here."""

    @field_validator("clients", mode="before")
    @classmethod
    def _short_forms(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        for name in given:
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise ValueError("a name is of letters, digits, '.', '_', '~' and '-'")
        return {name: {"secrets": (value,)} if isinstance(value, str) else value for name, value in given.items()}
