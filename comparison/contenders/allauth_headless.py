"""django-allauth headless for apps: session tokens, its default; and its JWT strategy with stateful validation."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any, ClassVar

import allauth  # noqa: F401  # so that it is known at once whether it is there
import requests

from ..contender import KEY, Contender, Http, Tokens

BASE = "/_allauth/app/v1"


class Allauth(Contender):
    """Session tokens of the app client, e-mail addresses to sign in with."""

    name = "django-allauth, headless"
    distribution = "django-allauth"
    setup = "Its headless installation for apps: session tokens, sign-in by address; verification left at `optional`. Mail goes nowhere."
    source = "https://docs.allauth.org/en/latest/headless/installation.html"
    verifies = "django.contrib.auth.hashers:PBKDF2PasswordHasher.verify"
    config: ClassVar[dict[str, Any]] = {}

    def app(self, folder: Path, *, limits: bool) -> Any:
        import django
        from django.conf import settings

        name = __name__ + "_urls"
        settings.configure(
            SECRET_KEY=KEY, ALLOWED_HOSTS=["*"], USE_TZ=True, ROOT_URLCONF=name,
            INSTALLED_APPS=[
                "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.messages",
                "allauth", "allauth.account", "allauth.headless",
            ],
            MIDDLEWARE=[
                "django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware",
                "django.middleware.csrf.CsrfViewMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware", "allauth.account.middleware.AccountMiddleware",
            ],
            TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": ["django.template.context_processors.request"]}}],
            AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.ModelBackend", "allauth.account.auth_backends.AuthenticationBackend"],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "app.db")}},
            CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", EMAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend",
            ACCOUNT_LOGIN_METHODS={"email"}, ACCOUNT_SIGNUP_FIELDS=["email*", "password1*"], HEADLESS_ONLY=True,
            HEADLESS_FRONTEND_URLS={
                "account_confirm_email": "https://app.example.com/verify/{key}", "account_signup": "https://app.example.com/signup",
                "account_reset_password_from_key": "https://app.example.com/reset/{key}", "account_reset_password": "https://app.example.com/reset",
            },
            **({} if limits else {"ACCOUNT_RATE_LIMITS": False}), **self._config(),
        )  # fmt: skip
        django.setup()
        from django.core.management import call_command
        from django.core.wsgi import get_wsgi_application
        from django.urls import include, path

        urls: Any = types.ModuleType(name)
        urls.urlpatterns = [path("accounts/", include("allauth.urls")), path("_allauth/", include("allauth.headless.urls"))]
        sys.modules[name] = urls
        call_command("migrate", verbosity=0)
        return get_wsgi_application()

    def _config(self) -> dict[str, Any]:
        return dict(self.config)

    def _show(self, tokens: Tokens) -> dict[str, str]:
        return {"X-Session-Token": tokens.access}

    def register(self, http: Http, email: str, password: str, **more: Any) -> requests.Response:
        return http("POST", f"{BASE}/auth/signup", json={"email": email, "password": password, **more})

    def create(self, http: Http, email: str, password: str) -> None:
        from allauth.account.models import EmailAddress
        from django.contrib.auth.models import User

        user = User.objects.create_user(username=email.partition("@")[0], email=email, password=password)
        EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)

    def login(self, http: Http, email: str, password: str) -> requests.Response:
        return http("POST", f"{BASE}/auth/login", json={"email": email, "password": password})

    def tokens(self, answer: requests.Response, before: Tokens | None = None) -> Tokens:
        return Tokens(answer.json()["meta"]["session_token"])

    def me(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("GET", f"{BASE}/auth/session", headers=self._show(tokens))

    def logout(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("DELETE", f"{BASE}/auth/session", headers=self._show(tokens))

    def forgot(self, http: Http, email: str) -> requests.Response:
        return http("POST", f"{BASE}/auth/password/request", json={"email": email})

    def change_password(self, http: Http, tokens: Tokens, old: str, new: str) -> requests.Response:
        body = {"current_password": old, "new_password": new}
        return http("POST", f"{BASE}/account/password/change", headers=self._show(tokens), json=body)

    def disable(self, email: str) -> bool:
        from django.contrib.auth.models import User

        User.objects.filter(email=email).update(is_active=False)
        return True

    def flags(self, email: str) -> dict[str, Any] | None:
        from allauth.account.models import EmailAddress
        from django.contrib.auth.models import User

        user = User.objects.filter(email=email).first()
        verified = EmailAddress.objects.filter(email=email, verified=True).exists()
        return user and {
            "is_active": user.is_active,
            "is_staff": user.is_staff,
            "is_superuser": user.is_superuser,
            "verified": verified,
        }


class AllauthStateful(Allauth):
    """JWTs that are looked up in the session as well."""

    variant = True
    name = "django-allauth, headless with JWT"
    setup = "Its JWT strategy with `HEADLESS_JWT_STATEFUL_VALIDATION_ENABLED`; refresh tokens are rotated by default."
    source = "https://docs.allauth.org/en/latest/headless/token-strategies/jwt-tokens.html"

    def _config(self) -> dict[str, Any]:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return {
            "HEADLESS_TOKEN_STRATEGY": "allauth.headless.tokens.strategies.jwt.JWTTokenStrategy",
            "HEADLESS_JWT_PRIVATE_KEY": pem.decode(), "HEADLESS_JWT_STATEFUL_VALIDATION_ENABLED": True,
        }  # fmt: skip

    def tokens(self, answer: requests.Response, before: Tokens | None = None) -> Tokens:
        given = answer.json()
        found = given.get("meta") if "access_token" in given.get("meta", {}) else given["data"]
        return Tokens(found["access_token"], found.get("refresh_token") or (before.refresh if before else None))

    def _show(self, tokens: Tokens) -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens.access}"}

    def refresh(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("POST", f"{BASE}/tokens/refresh", json={"refresh_token": tokens.refresh})
