"""The client of one provider: its metadata and keys, kept for a while, the exchange of a code, and who it says has signed in."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NoReturn, cast
from urllib.parse import quote, urlencode, urlsplit

from ...core.asking import NoAnswer
from ...core.errors import IdentityInvalid, IdentityRefused, ProviderUnavailable
from ...core.runtime import Runtime
from .fetching import Fetcher, Refused, is_safe
from .id_token import MAX_SUBJECT, Expected, TokenRefused, UnknownKey, moment, verified
from .providers import GitHub, Provider
from .settings import OidcSettings, ProviderSettings

logger: logging.Logger = logging.getLogger("flask_accounts.oidc")

SIGNED_ONLY = frozenset({"auth_time", "amr", "acr"})
"""Claims about the sign-in itself: what is said of them beside the signed token is not taken."""
OVER = frozenset({"invalid_grant", "bad_refresh_token"})
"""Errors that say that a refresh token is good no more (RFC 6749 section 5.2; GitHub has a word of its own)."""
MAX_REFRESH = 8192
MAX_SCOPE = 2048
MAX_SECONDS = 10 * 365 * 86400
"""Longest life of an access token that is believed."""
MAX_KEYS = 100
"""Most keys of a provider that are looked at."""


@dataclass(frozen=True)
class Metadata:
    """What is used of a provider's metadata (RFC 8414)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str | None
    userinfo_endpoint: str | None
    names_itself: bool
    """Its answers hold `iss` (RFC 9207)."""
    takes_basic: bool
    """Clients show their secret by HTTP Basic."""


@dataclass(frozen=True)
class Request:
    """One sign-in at the provider: what binds its answer to it."""

    redirect_uri: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    challenge: str
    since: datetime
    stepping_up: bool = False
    """Somebody who is signed in is to prove presence anew."""


@dataclass(frozen=True)
class Person:
    """Who has signed in at a provider. `email_verified`: the address counts as proved."""

    issuer: str
    subject: str
    email: str | None
    email_verified: bool
    auth_time: datetime | None = None
    """When this person last proved presence there, if it says so."""
    amr: tuple[str, ...] = ()
    """By which methods, as far as the provider is trusted with that."""


@dataclass(frozen=True)
class Granted:
    """The tokens that a provider has given out."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    expires_at: datetime | None
    """None where it does not say."""
    scope: str

    def keeping(self, before: Granted | None) -> Granted:
        """These, with the refresh token from before if there is no new one."""
        return replace(self, refresh=before.refresh) if self.refresh is None and before else self


class GrantOver(Exception):
    """The provider takes the refresh token no more: used up, revoked, or expired."""


class ProviderClient:
    """Speaks with one provider, as the app's client."""

    def __init__(self, settings: ProviderSettings, runtime: Runtime) -> None:
        self.provider: Provider = settings.provider
        self._settings, self._common, self._runtime = settings, runtime.setting(OidcSettings), runtime
        hosts = (urlsplit(self.provider.issuer).hostname or "", *self.provider.private_hosts)
        self._fetcher = Fetcher(hosts, timeout=self._common.timeout)
        self._kept: dict[
            str, tuple[datetime, Any]
        ] = {}  # by name: when it was read, and what; replaced whole, so threads may share it

    def authorization_url(self, request: Request) -> str:
        """Where to send the browser; `ProviderUnavailable`."""
        asked = {
            "response_type": "code", "client_id": self._settings.client_id, "redirect_uri": request.redirect_uri,
            "scope": " ".join(("openid",) if request.stepping_up else self.provider.scopes), "state": request.state,
            "code_challenge": request.challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        asked |= self.provider.step_up if request.stepping_up else self.provider.asks
        if self.provider.openid:
            asked["nonce"] = request.nonce
        if self.provider.form_post:
            asked["response_mode"] = "form_post"
        endpoint = self.metadata().authorization_endpoint
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked, quote_via=quote)}"

    def check_issuer(self, issuer: str | None) -> None:
        """Raise `IdentityInvalid` if an answer is of another provider, or does not say whose it is where it ought to (RFC 9207)."""
        if issuer is None:
            if self.metadata().names_itself:
                self._refuse("its answer does not say whose it is")
        elif issuer != self.provider.issuer and not self.provider.issuer_fits(issuer, {}):
            self._refuse("the answer is another provider's")

    def person(self, code: str, request: Request) -> tuple[Person, Granted]:
        """Exchange `code` and find out who has signed in; also the tokens. `ProviderUnavailable`, `IdentityRefused`, `IdentityInvalid`."""
        tokens = self._exchange(code, request)
        granted = self._granted(tokens, self._refuse)
        access = granted.access
        if isinstance(self.provider, GitHub):
            claims, issuer = self._from_github(self.provider, access), self.provider.issuer
        else:
            claims = self._from_id_token(tokens.get("id_token"), access, request)
            issuer = claims["iss"]
        email, proved = self.provider.address(claims)
        told = Person(issuer, claims["sub"], email, proved, moment(claims.get("auth_time")), self.provider.methods(claims))
        return told, granted

    def refresh(self, granted: Granted) -> Granted:
        """Exchange a refresh token (RFC 6749 section 6); `GrantOver`, `ProviderUnavailable`."""
        form = {"grant_type": "refresh_token", "refresh_token": granted.refresh or ""}
        try:
            found = self._post(form)
        except Refused as error:
            if error.code in OVER:
                raise GrantOver from None
            self._fail(f"it does not refresh tokens: {error}")
        except NoAnswer as error:
            self._fail(str(error))
        return self._granted({"scope": granted.scope, **found}, self._fail).keeping(granted)

    # The parts

    def metadata(self) -> Metadata:
        """The provider's metadata; `ProviderUnavailable`."""
        return cast(Metadata, self._keep("metadata", self._read_metadata))

    def _read_metadata(self) -> Metadata:
        provider = self.provider
        found = self._ask(lambda: self._fetcher.get(provider.metadata_url)) if provider.discovered else provider.endpoints
        if not isinstance(found, Mapping) or found.get("issuer") != provider.metadata_issuer:
            # Whoever could answer in its place would have us send codes elsewhere (ASVS 10.5.3).
            self._fail("its metadata is of another issuer")
        named = {name: found.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")}
        needed = ("authorization_endpoint", "token_endpoint", *(("jwks_uri",) if provider.openid else ()))
        for name, url in named.items():
            if not (isinstance(url, str) and is_safe(url)) and (name in needed or url is not None):
                self._fail(f"its metadata has no safe {name}")
        methods = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return Metadata(
            **cast("dict[str, Any]", named),
            names_itself=found.get("authorization_response_iss_parameter_supported") is True,
            takes_basic=isinstance(methods, list) and "client_secret_basic" in methods and not provider.form_post,
        )

    def _claims(self, token: str, expected: Expected) -> dict[str, Any]:
        """The claims of an ID token. If no key fits they are read anew, but not more often than `keys_pause`; `TokenRefused`."""
        keys = self._keep("keys", self._read_keys)
        try:
            return verified(token, keys, expected)
        except UnknownKey:
            if self._runtime.clock.now() - self._kept["keys"][0] < self._common.keys_pause:
                raise
        return verified(token, self._keep("keys", self._read_keys, anew=True), expected)

    def _read_keys(self) -> list[Mapping[str, Any]]:
        url = self.metadata().jwks_uri or ""
        found = self._ask(lambda: self._fetcher.get(url))
        keys = found.get("keys") if isinstance(found, dict) else None
        if not isinstance(keys, list):
            self._fail("it has no keys")
        return [key for key in keys[:MAX_KEYS] if isinstance(key, dict)]

    def _keep(self, name: str, read: Callable[[], Any], *, anew: bool = False) -> Any:
        now = self._runtime.clock.now()
        kept = self._kept.get(name)
        if kept is None or anew or now - kept[0] >= self._common.metadata_lifetime:
            kept = (now, read())
            self._kept[name] = kept
        return kept[1]

    def _exchange(self, code: str, request: Request) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": request.redirect_uri, "code_verifier": request.verifier,
        }  # fmt: skip
        return cast("dict[str, Any]", self._ask(lambda: self._post(form)))

    def _granted(self, told: Mapping[str, Any], wrong: Callable[[str], NoReturn]) -> Granted:
        access, refresh, scope = told.get("access_token"), told.get("refresh_token"), told.get("scope")
        if not isinstance(access, str) or not _fits_header(access):
            wrong("there is no access token")
        if str(told.get("token_type", "")).lower() != "bearer":
            wrong("the access token is none that we can use")
        refresh = refresh if isinstance(refresh, str) and 0 < len(refresh) <= MAX_REFRESH and refresh.isascii() else None
        scope = scope if isinstance(scope, str) and scope.isprintable() else " ".join(self.provider.scopes)
        return Granted(access, refresh, self._end(told.get("expires_in")), scope[:MAX_SCOPE])

    def _end(self, seconds: Any) -> datetime | None:  # a JSON value
        if isinstance(seconds, str) and seconds.isdecimal():
            seconds = int(seconds[:12])
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < MAX_SECONDS:
            return None
        return self._runtime.clock.now() + timedelta(seconds=seconds)

    def _post(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        """Ask for tokens, as the app's client. `NoAnswer`, `Refused`, `ProviderUnavailable`."""
        metadata, client_id = self.metadata(), self._settings.client_id
        secret = self.provider.secret(self._settings, self._runtime.clock.now().timestamp())
        headers: dict[str, str] = {}
        if metadata.takes_basic:
            pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"  # RFC 6749 section 2.3.1
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form = {**form, "client_id": client_id, "client_secret": secret}
        found = self._fetcher.post(metadata.token_endpoint, form, headers)
        if not isinstance(found, dict):
            self._fail("its answer holds no tokens")
        return cast("dict[str, Any]", found)

    def _from_id_token(self, token: Any, access: str, request: Request) -> dict[str, Any]:  # a JSON value
        provider = self.provider
        if not isinstance(token, str):
            self._refuse("there is no ID token")
        expected = Expected(
            self._settings.client_id, provider.issuer_fits, request.nonce, self._runtime.clock.now(), request.since, access
        )  # fmt: skip
        try:
            claims = self._claims(token, expected)
        except TokenRefused as error:
            self._refuse(f"the ID token: {error}")
        url = self.metadata().userinfo_endpoint
        if "email" in claims or url is None or "email" not in provider.scopes or request.stepping_up:
            return claims
        told = self._ask(lambda: self._fetcher.get(url, token=access))
        if not isinstance(told, dict) or told.get("sub") != claims["sub"]:
            self._refuse("what it tells is of somebody else")  # OpenID Connect Core section 5.3.2
        return {**{name: value for name, value in told.items() if name not in SIGNED_ONLY}, **claims}

    def _from_github(self, provider: GitHub, access: str) -> dict[str, Any]:
        person = self._ask(lambda: self._fetcher.get(f"{provider.api}/user", token=access))
        emails = self._ask(lambda: self._fetcher.get(f"{provider.api}/user/emails", token=access))
        claims = provider.claims(person, emails)
        if not 0 < len(claims.get("sub", "")) <= MAX_SUBJECT:
            self._refuse("it does not say who has signed in")
        return claims

    # What goes wrong

    def _ask(self, work: Callable[[], Any]) -> Any:  # a JSON value
        try:
            return work()
        except NoAnswer as error:
            self._fail(str(error))
        except Refused as error:
            logger.warning("The identity provider %s has refused: %s.", self.provider.name, error)
            if error.status == 429 or error.code in ("invalid_client", "unauthorized_client"):
                raise ProviderUnavailable from None  # nothing that the person could do about
            raise IdentityRefused from None

    def _fail(self, reason: str) -> NoReturn:
        logger.error("The identity provider %s cannot be used: %s.", self.provider.name, reason)
        raise ProviderUnavailable

    def _refuse(self, reason: str) -> NoReturn:
        logger.warning("A sign-in by the identity provider %s is refused: %s.", self.provider.name, reason)
        raise IdentityInvalid


def _fits_header(token: str) -> bool:
    return bool(token) and len(token) <= 16_384 and token.isascii() and token.isprintable() and " " not in token
