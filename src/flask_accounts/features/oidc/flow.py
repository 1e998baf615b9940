"""The way to a provider and back: what is begun in one browser ends in that browser, once (RFC 9700, RFC 9207).

What is begun is a one-time token (`state`) that names the provider and holds the digest of a secret of the browser's. The nonce and the PKCE
verifier are made of that secret and the state, so that the database alone tells neither. What comes back uses the state up before anything
else is done, and ends in another one-time token, the code that the front end exchanges: bound to a new secret of the same browser. So no
token is ever in a URL, and nobody is signed in by following a link.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlencode

from ...core.binding import binds, digest, new_secret
from ...core.errors import (
    AccountsError,
    ConfigurationError,
    IdentityInvalid,
    IdentityNotRecent,
    IdentityRefused,
    NotFound,
    OneTimeTokenInvalid,
    OtherBrowser,
    ProviderConsentRequired,
    ProviderUnavailable,
)
from ...core.events import Client, Key
from ...core.feature import Service
from ...core.gates import Entry
from ...core.login import LoginPipeline
from ...core.one_time import OneTime
from ...core.runtime import Runtime
from .client import Granted, Person, ProviderClient, Request
from .id_token import LEEWAY
from .provider_tokens import ProviderTokens
from .providers import Provider
from .settings import OidcSettings, ProviderSettings

STATE, CODE = "oidc_state", "oidc_code"
"""The purposes of the two tokens."""
MAX_CODE = 4096
"""Longest code of a provider."""
Intent = Literal["sign_in", "link", "reauthenticate"]
PASSING = frozenset({"temporarily_unavailable", "server_error"})
"""Errors of a provider (RFC 6749 section 4.1.2.1) that are its own."""


@dataclass(frozen=True)
class Begun:
    """A sign-in on its way: `url` is for the browser to go to, `secret` for it to keep so long."""

    url: str = field(repr=False)
    state: str = field(repr=False)
    secret: str = field(repr=False)
    lifetime: timedelta


@dataclass(frozen=True)
class Answered:
    """What came back: the front end exchanges `code`, and the browser keeps `secret` so long."""

    code: str = field(repr=False)
    secret: str = field(repr=False)
    lifetime: timedelta


@dataclass(frozen=True)
class Arrived:
    """What a code stands for."""

    proof: OneTime
    provider: Provider
    person: Person


class OidcService(Service):
    """Begins sign-ins at providers and takes their answers."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._settings = runtime.setting(OidcSettings)
        self._clients: dict[str, ProviderClient] = {
            given.provider.name: ProviderClient(given, runtime)
            for given in runtime.settings.values()
            if isinstance(given, ProviderSettings)
        }
        if self._clients:
            self._check()

    @property
    def providers(self) -> list[Provider]:
        """Those there are, in the order of the app."""
        return [client.provider for client in self._clients.values()]

    def knows(self, issuer: str) -> bool:
        """Whether an identity of `issuer` can sign in: its provider is there."""
        return any(provider.may_be(issuer) for provider in self.providers)

    def keeps_tokens(self, issuer: str) -> bool:
        """Whether the provider of `issuer` keeps its own tokens."""
        return any(provider.store_tokens and provider.may_be(issuer) for provider in self.providers)

    def keeping_client(self, issuer: str) -> ProviderClient:
        """Who speaks with the provider of `issuer`, if that keeps its tokens; `ProviderConsentRequired`."""
        for client in self._clients.values():
            if client.provider.store_tokens and client.provider.may_be(issuer):
                return client
        raise ProviderConsentRequired

    def check(self, name: str) -> None:
        """Read a provider's metadata; `ProviderUnavailable`."""
        self._client(name).metadata()

    def begin(
        self, name: str, client: Client, *, intent: Intent = "sign_in", user_id: Key | None = None, session: str | None = None
    ) -> Begun:
        """Begin a sign-in at a provider, or with `user_id` and `session` the linking of an identity, or a proof of presence by one.

        `NotFound` for an unknown provider, `IdentityNotRecent` for one that never says when somebody has signed in, `ProviderUnavailable`.
        """
        runtime, at = self.runtime, self._client(name)
        if intent == "reauthenticate" and not at.provider.openid:
            raise IdentityNotRecent
        runtime.enter(Entry("oidc_login", client, user_id=user_id))
        at.metadata()  # asked before anything is written
        secret, now = new_secret(), runtime.clock.now()
        issued = runtime.one_time.issue(
            STATE, user_id=user_id, address=None, lifetime=self._settings.flow_lifetime, now=now, void_older=False,
            data={"provider": name, "binding": digest(secret), "intent": intent, "session": session},
        )  # fmt: skip
        request = self._request(name, issued.token, secret, now, intent)
        return Begun(at.authorization_url(request), issued.token, secret, self._settings.flow_lifetime)

    def receive(self, name: str, answer: Mapping[str, str | None], client: Client, *, secret: str | None) -> Answered:
        """Take what a provider has sent the browser back with: `state`, `code` or `error`, `iss`.

        `secret` is what the browser keeps for that state. Commits once the state is used up, so that nothing waits in the database while
        the provider is asked. Raises `OneTimeTokenInvalid`, `OtherBrowser`, `IdentityRefused`, `IdentityInvalid`, `IdentityNotRecent`,
        `ProviderUnavailable`.
        """
        runtime, at = self.runtime, self._client(name)
        runtime.enter(Entry("oidc_callback", client))
        state = answer.get("state") or ""
        proof = runtime.one_time.peek(STATE, state, runtime.clock.now())
        try:
            if proof is None:
                raise OneTimeTokenInvalid
            if secret is None or not binds(proof.data["binding"], secret):
                raise OtherBrowser  # not used up by whoever is not the one who began
            if not runtime.one_time.take(proof):
                raise OneTimeTokenInvalid
            runtime.commit()
            if proof.data["provider"] != name:
                raise IdentityInvalid
            person, granted = self._person(at, answer, self._request(name, state, secret, proof.created_at, proof.data["intent"]))
        except AccountsError as error:
            runtime.get(LoginPipeline).refuse(error, client, user_id=proof.user_id if proof else None)
        return self._hand_over(at.provider, proof, person, granted)

    def arrived(self, code: str, client: Client, *, intent: Intent, secret: str | None) -> Arrived:
        """What the front end's `code` stands for, without using it up; `OneTimeTokenInvalid`, `OtherBrowser`."""
        runtime = self.runtime
        proof = runtime.one_time.peek(CODE, code, runtime.clock.now())
        refuse = runtime.get(LoginPipeline).refuse
        if proof is None or proof.data["intent"] != intent or proof.data["provider"] not in self._clients:
            refuse(OneTimeTokenInvalid(), client, user_id=proof.user_id if proof else None)
        if secret is None or not binds(proof.data["binding"], secret):
            refuse(OtherBrowser(), client, user_id=proof.user_id)
        told = proof.data["person"]
        auth_time = datetime.fromisoformat(told["auth_time"]) if told["auth_time"] else None
        person = Person(**{**told, "auth_time": auth_time, "amr": tuple(told["amr"])})
        return Arrived(proof, self._client(proof.data["provider"]).provider, person)

    def front_end(self, **query: str) -> str:
        """The front end's page with `query` added to its own."""
        url = self._settings.front_end_url or ""
        return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"

    def callback_url(self, name: str, **query: str) -> str:
        """The redirect URI of a provider; with a `query`, what it leads to."""
        url = f"{(self._settings.base_url or '').rstrip('/')}/oidc/{name}/callback"
        return f"{url}?{urlencode(query)}" if query else url

    # How it is done

    def _client(self, name: str) -> ProviderClient:
        try:
            return self._clients[name]
        except KeyError:
            raise NotFound from None

    def _request(self, name: str, state: str, secret: str, since: datetime, intent: Intent) -> Request:
        verifier = _derived(secret, f"verifier:{state}")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        nonce, stepping_up = _derived(secret, f"nonce:{state}"), intent == "reauthenticate"
        return Request(self.callback_url(name), state, nonce, verifier, challenge, since, stepping_up)

    def _person(self, at: ProviderClient, answer: Mapping[str, str | None], request: Request) -> tuple[Person, Granted]:
        at.check_issuer(answer.get("iss"))
        if (error := answer.get("error")) is not None:
            raise ProviderUnavailable if error in PASSING else IdentityRefused
        code = answer.get("code")
        if not code or len(code) > MAX_CODE:
            raise IdentityInvalid
        (person, granted), now = at.person(code, request), self.runtime.clock.now()
        if request.stepping_up and (person.auth_time is None or not request.since - LEEWAY <= person.auth_time <= now + LEEWAY):
            # Its session may be as old as ours, or nobody may have asked the person anything (ASVS 6.8.4).
            raise IdentityNotRecent
        return person, granted

    def _hand_over(self, provider: Provider, proof: OneTime, person: Person, granted: Granted) -> Answered:
        runtime, lifetime, secret = self.runtime, self._settings.code_lifetime, new_secret()
        intent, binding = proof.data["intent"], digest(secret)
        kept = provider.store_tokens and intent != "reauthenticate"
        told = {**asdict(person), "auth_time": person.auth_time.isoformat() if person.auth_time else None}
        issued = runtime.one_time.issue(
            CODE, user_id=proof.user_id, address=None, lifetime=lifetime, now=runtime.clock.now(), void_older=False,
            data={
                "provider": provider.name, "binding": binding, "intent": intent, "session": proof.data["session"], "person": told,
                **({"tokens": runtime.get(ProviderTokens).seal_for(granted, binding)} if kept else {}),
            },
        )  # fmt: skip
        runtime.commit()
        return Answered(issued.token, secret, lifetime)

    def _check(self) -> None:
        for name, said in (("base_url", "the auth blueprint's own URL"), ("front_end_url", "the page that takes over")):
            if getattr(self._settings, name) is None:
                raise ConfigurationError(f"{OidcSettings.key(name)} is missing: the feature Oidc needs {said}.")
        now = self.runtime.clock.now().timestamp()
        for given in self.runtime.settings.values():
            if isinstance(given, ProviderSettings):
                given.provider.secret(given, now)  # raises for a key that signs nothing


def _derived(secret: str, about: str) -> str:
    """256 bits that nobody without `secret` can tell (RFC 7636 section 4.1: 43 characters)."""
    made = hmac.new(secret.encode(), f"flask_accounts oidc {about}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()
