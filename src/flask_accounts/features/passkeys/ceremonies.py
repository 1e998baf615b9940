"""Ceremonies: what a browser is asked, and the challenge by which its answer belongs to what was asked (WebAuthn level 3, section 13.4.3).

A challenge is a one-time token of 256 bits. Its digest is kept here with what it is for, whose it is, and where it was asked for: in a session,
in a sign-in that waits, or in a browser that nobody is signed in with yet. It is used up by the first answer, be that right or wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from ...core.errors import ValidationError
from ...core.events import Key
from ...core.feature import Service
from ...core.mail import MailSettings
from ...core.one_time import OneTime
from ...core.passwords import same_secret
from ...core.runtime import Runtime
from .relying_party import RelyingParty, relying_party
from .settings import PasskeySettings
from .verification import ALGORITHMS, encoded

SIGN_IN, PROOF, ADDITION, SIGN_UP = "passkey_sign_in", "passkey_proof", "passkey_addition", "passkey_sign_up"
"""The purposes of challenges."""

Options = dict[str, Any]
"""Options of a ceremony, as JSON."""


class Ceremonies(Service):
    """Begins ceremonies and ends them."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._settings = runtime.setting(PasskeySettings)
        self.party: RelyingParty = relying_party(
            self._settings, product=runtime.letters.product, base_url=runtime.setting(MailSettings).base_url, debug=runtime.debug
        )

    @property
    def lifetime(self) -> timedelta:
        """How long a challenge is good."""
        return self._settings.challenge_for

    @property
    def seconds(self) -> int:
        """The same in seconds."""
        return int(self._settings.challenge_for.total_seconds())

    def begin(
        self,
        purpose: str,
        *,
        where: str,
        user_id: Key | None = None,
        address: str | None = None,
        data: Mapping[str, Any] | None = None,
        void_older: bool = False,
    ) -> str:
        """A new challenge, in base64url, to be answered in the same place (`where`)."""
        issued = self.runtime.one_time.issue(
            purpose, user_id=user_id, address=address, lifetime=self._settings.challenge_for, now=self.runtime.clock.now(),
            data={**(data or {}), "where": where}, void_older=void_older,
        )  # fmt: skip
        return issued.token

    def end(self, purpose: str, challenge: str, *, where: str, user_id: Key | None = None) -> OneTime:
        """Use a challenge up. `ValidationError` if it is none that waits here, for this account: who gets that begins again."""
        one_time = self.runtime.one_time
        kept = one_time.peek(purpose, challenge, self.runtime.clock.now())
        if kept is None or kept.user_id != user_id or not same_secret(kept.data["where"], where) or not one_time.take(kept):
            raise unknown_challenge()
        return kept

    def creation(
        self, challenge: str, *, handle: bytes, name: str, known: Iterable[tuple[bytes, str]] = (), alone: bool = False
    ) -> Options:
        """Options for `navigator.credentials.create()`. `known`: credential ids with their transports; no second one is made beside them.

        `alone`: it is to be the only credential of an account.
        """
        strict = alone or not self._settings.security_keys
        return {
            "rp": {"id": self.party.id, "name": self.party.name},
            "user": {"id": encoded(handle), "name": name, "displayName": name},
            "challenge": challenge,
            "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in ALGORITHMS],
            "timeout": self.seconds * 1000,
            "excludeCredentials": _descriptors(known),
            "authenticatorSelection": {
                "residentKey": "required" if strict else "preferred", "requireResidentKey": strict,
                "userVerification": "required" if strict else "preferred",
            },
            "attestation": "none",
            "extensions": {"credProps": True},
        }  # fmt: skip

    def request(self, challenge: str, *, allowed: Iterable[tuple[bytes, str]] = (), alone: bool = False) -> Options:
        """Options for `navigator.credentials.get()`. Without `allowed` ones the person chooses among all that there are for this site."""
        strict = alone or not self._settings.security_keys
        return {
            "challenge": challenge,
            "timeout": self.seconds * 1000,
            "rpId": self.party.id,
            "allowCredentials": _descriptors(allowed),
            "userVerification": "required" if strict else "preferred",
        }


def unknown_challenge() -> ValidationError:
    """The refusal of an answer to what was not asked here, or not lately."""
    return ValidationError.one(
        "credential", "challenge_unknown", "This answers nothing that was asked here, or too late. Begin again."
    )


def _descriptors(credentials: Iterable[tuple[bytes, str]]) -> list[dict[str, Any]]:
    return [
        {"type": "public-key", "id": encoded(name), **({"transports": transports.split()} if transports else {})}
        for name, transports in credentials
    ]
