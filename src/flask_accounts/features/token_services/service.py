"""What other services may know of tokens, and do to them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any, NoReturn

from ...core.errors import AuthenticationError, InvalidClient, UnauthorizedClient
from ...core.events import Client, ClientRefused, ClientRevokedToken
from ...core.feature import Service
from ...core.gates import Entry
from ...core.identity import whose
from ...core.login import LoginPipeline
from ...core.runtime import Runtime
from .settings import TokenServiceSettings

SHOWN = ("iss", "aud", "sub", "client_id", "scope", "exp", "iat", "nbf", "jti", "sid", "auth_time", "amr", "act")
"""Claims that are told; the others are between the client and us (such as the CSRF value)."""


class TokenServicesService(Service):
    """Knows the services, answers them and revokes for them."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.settings: TokenServiceSettings = runtime.setting(TokenServiceSettings)
        self._digests = {
            name: tuple(_kept(secret.get_secret_value()) for secret in client.secrets)
            for name, client in self.settings.clients.items()
        }
        self._nobodys = (secrets.token_hex(32),)

    def authenticate(self, given: tuple[str, str] | None, client: Client) -> str:
        """The name of the service that sent this name and secret. Raises `InvalidClient`, or `TooManyRequests` where somebody has sent wrong
        ones too often; both are noted.
        """
        if given is None:
            raise InvalidClient  # nothing was tried
        name, secret = given
        sent = digest_of(secret)
        # All are compared, and for an unknown name as many: neither time nor answer tells which names there are.
        right = [hmac.compare_digest(sent, known) for known in self._digests.get(name, self._nobodys)]
        if not any(right):
            self.runtime.enter(Entry("client", client))
            self._refuse(InvalidClient(), name, client)
        return name

    def introspect(self, name: str, token: str, client: Client) -> dict[str, Any]:  # JSON values
        """What an access token says and whose it is right now; `{"active": False}` for whatever is none that is good.

        A refresh token is nobody's business but ours: whoever took it for a bearer token must not hear that it is active.
        """
        if not self.settings.clients[name].may_introspect:
            self._refuse(UnauthorizedClient(), name, client)
        try:
            principal = whose(self.runtime, token)
        except AuthenticationError:
            return {"active": False}
        claims = {claim: principal.claims[claim] for claim in SHOWN if claim in principal.claims}
        return {
            "active": True, "token_type": "Bearer", **claims,
            "roles": sorted(principal.roles), "permissions": sorted(principal.permissions),
        }  # fmt: skip

    def revoke(self, name: str, token: str, client: Client) -> None:
        """End the session of a token, access or refresh. Of one that is not good there is nothing to end, and that is no error."""
        if not self.settings.clients[name].may_revoke:
            self._refuse(UnauthorizedClient(), name, client)
        found = self.runtime.get(LoginPipeline).revoke(token, client)
        if found is not None:
            key, session_id = found
            now = self.runtime.clock.now()
            self.runtime.events.emit(ClientRevokedToken(user_id=key, client=client, at=now, client_id=name, session_id=session_id))

    def _refuse(self, error: InvalidClient | UnauthorizedClient, name: str, client: Client) -> NoReturn:
        known = name if name in self.settings.clients else None
        self.runtime.events.emit(ClientRefused(client=client, at=self.runtime.clock.now(), client_id=known))
        self.runtime.commit()
        raise error


def digest_of(secret: str) -> str:
    """The digest of a secret. Secrets have 192 bits or more: they need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _kept(secret: str) -> str:
    """What is compared with: the digest in the configuration, or that of the secret there."""
    return secret.removeprefix("sha256:") if secret.startswith("sha256:") else digest_of(secret)


def new_secret() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)
