"""Which identity providers there are, and how each differs from OpenID Connect as it is written.

A provider is declared in code: its name, where it is, what is asked of it. What it has given to the app (the client's id, its secret)
comes from the app's config, so that it differs by deployment and stands in no repository.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, TypedDict, Unpack

from ...core.errors import ConfigurationError
from ...core.gates import MULTI_FACTOR
from .fetching import is_safe

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
METHODS = frozenset({
    "face", "fpt", "geo", "hwk", "iris", "kba", "mca", "mfa", "otp", "pin", "pop", "pwd", "rba", "retina", "sc", "sms", "swk", "tel", "user",
    "vbm", "wia",
})  # fmt: skip
"""The values of `amr` that are registered (RFC 8176 section 2)."""
MAX_METHODS = 6
"""Most of them that are taken over from one sign-in."""
RESERVED = frozenset({
    "response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
    "request", "request_uri", "max_age",
})  # fmt: skip
"""Members of an authorization request that are never an app's to choose: a sign-in rests on them."""
SECRET = {"client_secret": ("The app's secret at the provider.", True)}


class ProviderOptions(TypedDict, total=False):
    """What may be said of every provider: see `Provider`."""

    scopes: tuple[str, ...]
    trust_amr: bool
    mfa_acr: tuple[str, ...]
    fresh_without_auth_time: bool
    store_tokens: bool
    asks: Mapping[str, str]


class Provider:
    """Any issuer of OpenID Connect, by its metadata (OpenID Connect Discovery).

    `name`: in URLs and in the names of its settings. `issuer`: exactly as its metadata says it. `label`: what people are shown.
    `scopes`: what is asked for. `trust_email`: whether an address that it calls verified counts as proved here; say False for a provider
    that lets people write what they like. `private_hosts`: hosts beside the issuer's own that may lie in private networks.

    How somebody has signed in there counts as one factor, whatever the provider says, unless you trust it with that: `trust_amr` takes over
    the methods that its ID tokens name (`amr`, RFC 8176), and `mfa` among them for more than one factor; `mfa_acr` are the values of `acr`
    that mean so. When it was, where the provider says it (`auth_time`), is when it was here too. `fresh_without_auth_time`: whether a
    sign-in counts as presence at this moment where it does not say (ASVS 6.8.4).

    `store_tokens`: keep its own tokens, sealed, for `accounts.identities.access_token`; name what they are for in `scopes`. `asks`: further
    members of the authorization request, such as `{"prompt": "consent"}`.
    """

    credentials: ClassVar[Mapping[str, tuple[str, bool]]] = SECRET
    """The settings it needs beside `client_id`: what each is, and whether it is a secret."""
    openid: ClassVar[bool] = True
    """It issues ID tokens."""
    discovered: ClassVar[bool] = True
    """Its endpoints are read from its metadata."""
    form_post: ClassVar[bool] = False
    """It answers by a form that the browser posts."""
    step_up: ClassVar[Mapping[str, str]] = {"prompt": "login", "max_age": "0"}
    """What is asked for beside the rest where the person has to prove presence anew (OpenID Connect Core section 3.1.2.1)."""

    def __init__(
        self,
        name: str,
        issuer: str,
        *,
        label: str | None = None,
        scopes: tuple[str, ...] = ("openid", "email"),
        trust_email: bool = True,
        private_hosts: tuple[str, ...] = (),
        trust_amr: bool = False,
        mfa_acr: tuple[str, ...] = (),
        fresh_without_auth_time: bool = True,
        store_tokens: bool = False,
        asks: Mapping[str, str] | None = None,
    ) -> None:
        if not NAME.fullmatch(name):
            raise ConfigurationError(f"The name of a provider is like 'google' or 'our_idp', not {name!r}.")
        if not is_safe(issuer) or "?" in issuer:
            raise ConfigurationError(
                f"The issuer of {name!r} must be an https:// URL (http:// only for localhost), not {issuer!r}."
            )
        if self.openid and "openid" not in scopes:
            raise ConfigurationError(f"The scopes of {name!r} lack 'openid'.")
        if ours := RESERVED & (asks or {}).keys():
            raise ConfigurationError(f"What {name!r} is asked for cannot change {', '.join(sorted(ours))}: leave it out of `asks`.")
        self.name = name
        self.issuer = issuer
        self.label: str = label or name.replace("_", " ").title()
        self.scopes: tuple[str, ...] = tuple(scopes)
        self.trust_email = trust_email
        self.private_hosts: tuple[str, ...] = tuple(private_hosts)
        self.trust_amr = trust_amr
        self.mfa_acr: tuple[str, ...] = tuple(mfa_acr)
        self.fresh_without_auth_time = fresh_without_auth_time
        self.store_tokens = store_tokens
        self.asks: Mapping[str, str] = dict(asks or {})

    @property
    def metadata_url(self) -> str:
        """Where its metadata is."""
        return f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"

    @property
    def metadata_issuer(self) -> str:
        """What its metadata calls it."""
        return self.issuer

    @property
    def endpoints(self) -> Mapping[str, Any]:  # JSON values
        """Its metadata, where that is not read from it."""
        return {}

    def issuer_fits(self, issuer: str, claims: Mapping[str, Any]) -> bool:
        """Whether `issuer` of a token, or of an answer without claims, is this provider."""
        return issuer == self.issuer

    def may_be(self, issuer: str) -> bool:
        """Whether identities of `issuer` are of this provider."""
        return issuer == self.issuer

    def address(self, claims: Mapping[str, Any]) -> tuple[str | None, bool]:
        """The address that claims tell, and whether it counts as proved. Only `true` is true."""
        email = claims.get("email")
        if not isinstance(email, str):
            return None, False
        return email, self.trust_email and claims.get("email_verified") is True

    def methods(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        """By which methods (`amr`) somebody has signed in there, as far as it is trusted with saying so. `mfa` comes first."""
        told = claims.get("amr") if self.trust_amr else None
        named = [each for each in told if isinstance(each, str) and each in METHODS] if isinstance(told, list) else []
        level = claims.get("acr")
        several = MULTI_FACTOR in named or (isinstance(level, str) and level in self.mfa_acr)
        others = [each for each in dict.fromkeys(named) if each != MULTI_FACTOR]
        return ((MULTI_FACTOR,) if several else ()) + tuple(others[:MAX_METHODS])

    def secret(self, settings: Any, now: float) -> str:  # its settings class
        """What the app shows to be the client; `now` in seconds since 1970."""
        found: str = settings.client_secret.get_secret_value()
        return found


class Google(Provider):
    """Google. It is sure of an address only where it runs the mailbox: at gmail.com, or of a Workspace (the claim `hd`)."""

    step_up: ClassVar[Mapping[str, str]] = {
        "prompt": "select_account", "max_age": "0", "claims": '{"id_token":{"auth_time":{"essential":true}}}',
    }  # fmt: skip
    """It knows no `prompt=login`, and says `auth_time` to apps that have "session age claims" switched on."""

    def __init__(self, name: str = "google", *, trust_email: bool = True, **options: Unpack[ProviderOptions]) -> None:
        super().__init__(name, "https://accounts.google.com", label="Google", trust_email=trust_email, **options)
        if self.store_tokens:
            self.asks: Mapping[str, str] = {"access_type": "offline", **self.asks}  # else there is no refresh token

    def address(self, claims: Mapping[str, Any]) -> tuple[str | None, bool]:
        """As ever; without `hd`, another domain's address may have been taken over by somebody else since Google looked."""
        email, proved = super().address(claims)
        own = (email or "").lower().endswith("@gmail.com") or isinstance(claims.get("hd"), str)
        return email, proved and own


class Microsoft(Provider):
    """Microsoft Entra ID. `tenant`: the GUID of the one whose people come, or `common`, `organizations`, `consumers`.

    The claim `email` is whatever a tenant's administrator writes, so it counts as proved only where Microsoft says that the domain's owner
    was verified (the optional claim `xms_edov`), or with `trust_email`, for a tenant that you trust with every address.
    """

    HOST: ClassVar[str] = "https://login.microsoftonline.com"
    SEVERAL: ClassVar[tuple[str, ...]] = ("common", "organizations")
    CONSUMERS: ClassVar[str] = "9188040d-6c67-4c5b-b112-36a304b66dad"

    def __init__(
        self, tenant: str, name: str = "microsoft", *, trust_email: bool = False, **options: Unpack[ProviderOptions]
    ) -> None:
        tenant = self.CONSUMERS if tenant == "consumers" else tenant.lower()
        if tenant not in self.SEVERAL and not GUID.fullmatch(tenant):
            raise ConfigurationError(
                f"Microsoft(tenant={tenant!r}): give the tenant's GUID, or 'common', 'organizations' or 'consumers'."
            )
        if tenant in self.SEVERAL and trust_email:
            raise ConfigurationError("Microsoft(trust_email=True) would trust every tenant with every address: name one tenant.")
        self._tenant = tenant
        super().__init__(name, f"{self.HOST}/{tenant}/v2.0", label="Microsoft", trust_email=trust_email, **options)

    @property
    def metadata_issuer(self) -> str:
        """For several tenants a pattern."""
        return f"{self.HOST}/{{tenantid}}/v2.0" if self._tenant in self.SEVERAL else self.issuer

    def issuer_fits(self, issuer: str, claims: Mapping[str, Any]) -> bool:
        """The tenant's own issuer; for several tenants, that of the tenant which the token names."""
        if self._tenant not in self.SEVERAL:
            return issuer == self.issuer
        tenant = claims.get("tid")
        if not isinstance(tenant, str) or not GUID.fullmatch(tenant):
            return False
        return issuer == f"{self.HOST}/{tenant}/v2.0" and not (self._tenant == "organizations" and tenant == self.CONSUMERS)

    def may_be(self, issuer: str) -> bool:
        """Of several tenants, any."""
        tenant = issuer.removeprefix(f"{self.HOST}/").removesuffix("/v2.0")
        return self.issuer_fits(issuer, {"tid": tenant})

    def address(self, claims: Mapping[str, Any]) -> tuple[str | None, bool]:
        """The claim `email`."""
        email = claims.get("email")
        if not isinstance(email, str):
            return None, False
        return email, self.trust_email or claims.get("xms_edov") in (True, 1, "1", "true")


class GitLab(Provider):
    """GitLab; `url` is that of an installation of one's own."""

    def __init__(
        self,
        name: str = "gitlab",
        *,
        url: str = "https://gitlab.com",
        trust_email: bool = True,
        **options: Unpack[ProviderOptions],
    ) -> None:
        super().__init__(name, url.rstrip("/"), label="GitLab", trust_email=trust_email, **options)


class Apple(Provider):
    """Sign in with Apple. The client's secret is a token that the app signs with the key that Apple has given to it."""

    credentials: ClassVar[Mapping[str, tuple[str, bool]]] = {
        "team_id": ("The team's id.", False),
        "key_id": ("The key's id.", False),
        "private_key": ("The key, as PEM.", True),
    }
    form_post: ClassVar[bool] = True

    def __init__(self, name: str = "apple", *, trust_email: bool = True, **options: Unpack[ProviderOptions]) -> None:
        super().__init__(name, "https://appleid.apple.com", label="Apple", trust_email=trust_email, **options)

    def address(self, claims: Mapping[str, Any]) -> tuple[str | None, bool]:
        """Apple writes `true` as a text too."""
        return super().address({**claims, "email_verified": claims.get("email_verified") in (True, "true")})

    def secret(self, settings: Any, now: float) -> str:  # its settings class
        """A token of five minutes."""
        import jwt

        claims = {
            "iss": settings.team_id, "sub": settings.client_id, "aud": self.issuer, "iat": int(now), "exp": int(now) + 300,
        }  # fmt: skip
        try:
            return jwt.encode(claims, settings.private_key.get_secret_value(), "ES256", {"kid": settings.key_id})
        except (ValueError, TypeError, jwt.PyJWTError):
            raise ConfigurationError(f"ACCOUNTS_OIDC_{self.name.upper()}_PRIVATE_KEY is not an EC key in PEM.") from None


class GitHub(Provider):
    """GitHub, by plain OAuth 2.0: it issues no ID tokens to apps, and so never says when or how somebody has signed in there.

    `url` is that of a GitHub Enterprise Server of one's own.
    """

    openid: ClassVar[bool] = False
    discovered: ClassVar[bool] = False

    def __init__(
        self,
        name: str = "github",
        *,
        url: str = "https://github.com",
        api: str | None = None,
        trust_email: bool = True,
        **options: Unpack[ProviderOptions],
    ) -> None:
        url = url.rstrip("/")
        options.setdefault("scopes", ("user:email",))
        super().__init__(name, url, label="GitHub", trust_email=trust_email, **options)
        self.api: str = (api or ("https://api.github.com" if url == "https://github.com" else f"{url}/api/v3")).rstrip("/")

    @property
    def endpoints(self) -> Mapping[str, Any]:  # JSON values
        """As GitHub documents them."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/login/oauth/authorize",
            "token_endpoint": f"{self.issuer}/login/oauth/access_token",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }

    def issuer_fits(self, issuer: str, claims: Mapping[str, Any]) -> bool:
        """Its own URL."""
        return issuer in (self.issuer, f"{self.issuer}/login/oauth")

    def claims(self, person: Any, emails: Any) -> dict[str, Any]:  # JSON values
        """What the API tells, as OpenID Connect would say it. Its number names a person; the login can change hands."""
        number = person.get("id") if isinstance(person, dict) else None
        if isinstance(number, bool) or not isinstance(number, int) or number <= 0:
            return {}
        listed = [each for each in emails if isinstance(each, dict)] if isinstance(emails, list) else []
        first = next((each for each in listed if each.get("primary") is True), {})
        return {"sub": str(number), "email": first.get("email"), "email_verified": first.get("verified")}


def check_providers(providers: tuple[Provider, ...]) -> None:
    """Refuse what is no provider, two of one name, and two of one issuer, which could not be told apart."""
    for provider in providers:
        if not isinstance(provider, Provider):
            raise ConfigurationError(f"Oidc(providers=[...]) takes providers such as Google(), not {provider!r}.")
    for what, values in (("name", [each.name for each in providers]), ("issuer", [each.issuer for each in providers])):
        for value in values:
            if values.count(value) > 1:
                raise ConfigurationError(f"Two providers have the {what} {value!r}; leave one out.")
