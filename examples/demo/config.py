"""Configuration from the environment, read when an app is made and not when this file is imported."""

from __future__ import annotations

import os
import secrets
from datetime import timedelta
from pathlib import Path

from dotenv import dotenv_values, find_dotenv
from flask.helpers import get_debug_flag

from flask_accounts.features.oidc import Provider

MAIL = ("HOST", "PORT", "SECURITY", "USERNAME", "PASSWORD", "SENDER", "BASE_URL")
"""What the environment may say of mail, as ACCOUNTS_MAIL_HOST and so on."""


# Which identity providers there are is part of the accounts system, which is made when the blog is imported; so this alone is read then, and
# a `.env` file is looked into here as well. The tables are the same with and without one.
_SAID = dotenv_values(find_dotenv(usecwd=True)) | dict(os.environ)
PROVIDERS = (
    [Provider("sso", issuer, label=_SAID.get("DEMO_OIDC_LABEL") or "single sign-on")]
    if (issuer := _SAID.get("DEMO_OIDC_ISSUER"))
    else []
)
"""The identity provider that the environment names, if it names one."""


class Config:
    """What all environments share."""

    SEEDING = False
    """Whether `flask seed` may make accounts with printed passwords."""
    HSTS = False
    """Tell browsers to come by HTTPS only."""
    OUTBOX = False
    """Keep mails on this machine, to be read at /outbox, in place of sending them."""

    MAX_CONTENT_LENGTH = 256 * 1024
    # The page's tokens travel in httpOnly cookies, where no script reaches them; other clients use headers.
    JWT_TOKEN_LOCATION = ("cookies", "headers")
    ACCOUNTS_REGISTRATION_SIGN_IN = True
    ACCOUNTS_REGISTRATION_USERNAME_REQUIRED = True
    ACCOUNTS_ROLES_PERMISSIONS = ("posts:moderate",)
    # The first sign-in by mail makes the password useless that was set before anybody had proved the address.
    ACCOUNTS_PASSWORD_RESET_WITHOUT_PASSWORD = True
    # Whoever deletes the account can come back for a while; `flask accounts purge`, run every night, then erases it.
    ACCOUNTS_DELETION_GRACE = timedelta(days=30)
    # Who has a second factor may have a device remembered, and is then asked there but now and then.
    ACCOUNTS_MFA_REMEMBER_FOR = timedelta(days=30)
    ACCOUNTS_API_KEYS_KEY_PREFIX = "commonplace"
    ACCOUNTS_API_KEYS_LINK_PATH = "security"
    ACCOUNTS_MAIL_PRODUCT = "Commonplace"
    ACCOUNTS_PASSWORD_CONTEXT_WORDS = ("commonplace",)
    ACCOUNTS_OPENAPI_TITLE = "Commonplace: accounts"

    def __init__(self, instance: Path) -> None:
        self.CORS_ORIGINS = [origin.strip() for origin in os.environ.get("CORS_ORIGINS", "").split(",") if origin.strip()]
        self.SQLALCHEMY_DATABASE_URI = os.environ.get("DATABASE_URL") or f"sqlite:///{instance / 'commonplace.db'}"
        for name in MAIL:
            if value := os.environ.get(f"ACCOUNTS_MAIL_{name}"):
                setattr(self, f"ACCOUNTS_MAIL_{name}", value)
        if required := os.environ.get("ACCOUNTS_MFA_REQUIRED"):
            self.ACCOUNTS_MFA_REQUIRED = required if required in ("nobody", "all") else required.split(",")
        if PROVIDERS:
            self.ACCOUNTS_OIDC_SSO_CLIENT_ID = _SAID.get("DEMO_OIDC_CLIENT_ID") or ""
            self.ACCOUNTS_OIDC_SSO_CLIENT_SECRET = _SAID.get("DEMO_OIDC_CLIENT_SECRET") or ""


class Development(Config):
    """On one's own machine: works without any set-up, over plain HTTP."""

    DEBUG = True
    SEEDING = True
    OUTBOX = True
    ACCOUNTS_MAIL_BACKGROUND = False
    ACCOUNTS_MAIL_BASE_URL = "http://localhost:5000"
    # Not every browser takes Secure cookies from http://localhost (Safari does not). Everywhere else they are Secure.
    JWT_COOKIE_SECURE = False

    def __init__(self, instance: Path) -> None:
        super().__init__(instance)
        self.SECRET_KEY = os.environ.get("SECRET_KEY") or _kept_key(instance / "development_key")


class Testing(Config):
    """For the test suite: a new key each time, cookies as in production."""

    TESTING = True
    SEEDING = True
    OUTBOX = True
    ACCOUNTS_MAIL_BACKGROUND = False
    ACCOUNTS_MAIL_BASE_URL = "http://localhost"

    def __init__(self, instance: Path) -> None:
        super().__init__(instance)
        self.SECRET_KEY = secrets.token_urlsafe(48)


class Production(Config):
    """Where people rely on it: key, database and a way for mail must be given."""

    HSTS = True

    def __init__(self, instance: Path) -> None:
        super().__init__(instance)
        for name in ("SECRET_KEY", "DATABASE_URL", "ACCOUNTS_MAIL_HOST", "ACCOUNTS_MAIL_BASE_URL"):
            if not os.environ.get(name):
                raise RuntimeError(f"Set {name} for production, or DEMO_ENVIRONMENT=development to try the demo out.")
        self.SECRET_KEY = os.environ["SECRET_KEY"]


ENVIRONMENTS: dict[str, type[Config]] = {"development": Development, "testing": Testing, "production": Production}


def choose(name: str | None = None) -> type[Config]:
    """The configuration called `name`, or by DEMO_ENVIRONMENT; what is not said is production, unless Flask debugs."""
    name = name or os.environ.get("DEMO_ENVIRONMENT") or ("development" if get_debug_flag() else "production")
    try:
        return ENVIRONMENTS[name]
    except KeyError:
        raise RuntimeError(f"There is no environment {name!r}. There are: {', '.join(ENVIRONMENTS)}.") from None


def _kept_key(file: Path) -> str:
    """A random key that is made once and readable by its owner only, so that sign-ins survive a restart."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
            made.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return file.read_text()
