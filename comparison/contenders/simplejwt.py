"""djangorestframework-simplejwt, by its "Getting started"; and with rotation, the blacklist app and the revoke check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests
import rest_framework_simplejwt  # noqa: F401  # so that it is known at once whether it is there

from ..contender import KEY, Contender, Http, Tokens


class SimpleJwt(Contender):
    """TokenObtainPairView and TokenRefreshView, as documented first."""

    name = "djangorestframework-simplejwt"
    distribution = "djangorestframework-simplejwt"
    setup = "Its first set-up: obtain and refresh. Accounts are Django's; the view of the own account is ours."
    source = "https://django-rest-framework-simplejwt.readthedocs.io/en/latest/getting_started.html"
    verifies = "django.contrib.auth.hashers:PBKDF2PasswordHasher.verify"
    simple_jwt: dict[str, Any] = {}
    blacklist = False

    def app(self, folder: Path, *, limits: bool) -> Any:
        import django
        from django.conf import settings

        more = ["rest_framework_simplejwt.token_blacklist"] if self.blacklist else []
        settings.configure(
            SECRET_KEY=KEY, ALLOWED_HOSTS=["*"], USE_TZ=True, ROOT_URLCONF=__name__ + "_urls",
            INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", *more],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "app.db")}},
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
            REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"]},
            SIMPLE_JWT=self.simple_jwt,
        )  # fmt: skip
        django.setup()
        from django.core.management import call_command
        from django.core.wsgi import get_wsgi_application

        _make_urls(__name__ + "_urls", self.blacklist)
        call_command("migrate", verbosity=0)
        return get_wsgi_application()

    def register(self, http: Http, email: str, password: str, **more: Any) -> None:
        return None

    def create(self, http: Http, email: str, password: str) -> None:
        from django.contrib.auth.models import User

        User.objects.create_user(username=email, email=email, password=password)

    def login(self, http: Http, email: str, password: str) -> requests.Response:
        return http("POST", "/api/token/", json={"username": email, "password": password})

    def tokens(self, answer: requests.Response, before: Tokens | None = None) -> Tokens:
        given = answer.json()
        return Tokens(given["access"], given.get("refresh") or (before.refresh if before else None))

    def me(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("GET", "/api/me/", token=tokens.access)

    def refresh(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("POST", "/api/token/refresh/", json={"refresh": tokens.refresh})

    def logout(self, http: Http, tokens: Tokens) -> requests.Response | None:
        return http("POST", "/api/token/blacklist/", json={"refresh": tokens.refresh}) if self.blacklist else None

    def change_password(self, http: Http, tokens: Tokens, old: str, new: str) -> requests.Response:
        return http("POST", "/api/password/", token=tokens.access, json={"new": new})

    def disable(self, email: str) -> bool:
        from django.contrib.auth.models import User

        User.objects.filter(username=email).update(is_active=False)
        return True

    def flags(self, email: str) -> dict[str, Any] | None:
        from django.contrib.auth.models import User

        user = User.objects.filter(username=email).first()
        return user and {"is_active": user.is_active, "is_staff": user.is_staff, "is_superuser": user.is_superuser}


class SimpleJwtTuned(SimpleJwt):
    """With what its documentation offers."""

    variant = True
    name = "djangorestframework-simplejwt, with rotation"
    setup = "`ROTATE_REFRESH_TOKENS`, `BLACKLIST_AFTER_ROTATION`, `CHECK_REVOKE_TOKEN` and the blacklist app with its view."
    source = "https://django-rest-framework-simplejwt.readthedocs.io/en/latest/settings.html"
    simple_jwt = {"ROTATE_REFRESH_TOKENS": True, "BLACKLIST_AFTER_ROTATION": True, "CHECK_REVOKE_TOKEN": True}
    blacklist = True


def _make_urls(name: str, blacklist: bool) -> None:
    import sys
    import types

    from django.urls import path
    from rest_framework.decorators import api_view, permission_classes
    from rest_framework.permissions import IsAuthenticated
    from rest_framework.response import Response
    from rest_framework_simplejwt.views import TokenBlacklistView, TokenObtainPairView, TokenRefreshView

    @api_view(["GET"])
    @permission_classes([IsAuthenticated])
    def me(request: Any) -> Any:
        return Response({"username": request.user.username})

    @api_view(["POST"])
    @permission_classes([IsAuthenticated])
    def password(request: Any) -> Any:
        request.user.set_password(request.data["new"])
        request.user.save()
        return Response({})

    urls: Any = types.ModuleType(name)
    urls.urlpatterns = [
        path("api/token/", TokenObtainPairView.as_view()),
        path("api/token/refresh/", TokenRefreshView.as_view()),
        path("api/me/", me),
        path("api/password/", password),
    ]
    if blacklist:
        urls.urlpatterns.append(path("api/token/blacklist/", TokenBlacklistView.as_view()))
    sys.modules[name] = urls
