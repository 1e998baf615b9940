"""Registration by a passkey: an account without a password, whose first way in is the passkey that was just made.

Who may register, what is asked for, and what is told of addresses that have an account is as at `POST /register`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from ...core.errors import EmailTaken, RegistrationClosed, UsernameTaken, ValidationError
from ...core.events import Client, RegistrationRepeated
from ...core.feature import Service
from ...core.gates import Entry
from ...core.policies import folded
from ..registration.service import RegistrationService
from ..users.service import UserService
from .ceremonies import SIGN_UP, Ceremonies, Options, unknown_challenge
from .models import HANDLE
from .service import PasskeyService
from .verification import decoded, encoded, read_attestation


class PasskeyRegistration(Service):
    """Makes accounts by passkeys. `where` names the browser."""

    def begin(self, given: Mapping[str, Any], client: Client, *, where: str) -> Options:
        """Options to make the passkey of a new account; `given` is what registration asks for, without a password.

        Raises `RegistrationClosed`, `ValidationError`, `UsernameTaken`, and `EmailTaken` where registration tells that.
        """
        runtime, ceremonies = self.runtime, self.runtime.get(Ceremonies)
        email, fields = self._read(given, client)
        username = fields["username"]
        taken = runtime.users.taken(emails=[email], usernames=[folded(username)] if username else [], keys=[])
        if taken.emails and not runtime.conceals_accounts:
            raise EmailTaken
        if taken.usernames:
            raise UsernameTaken
        handle = secrets.token_bytes(HANDLE)
        challenge = ceremonies.begin(SIGN_UP, where=where, address=email, data={"handle": encoded(handle)})
        return ceremonies.creation(challenge, handle=handle, name=username or email, alone=True)

    def register(self, given: Mapping[str, Any], credential: Mapping[str, Any], client: Client, *, where: str) -> Any:
        """The new account (an object of the host's class), of the address that the options were for, with its passkey. None if the address
        has an account, where registration does not tell: its owner is told by mail.
        """
        runtime, passkeys = self.runtime, self.runtime.get(PasskeyService)
        email, fields = self._read(given, client)
        read = read_attestation(credential)
        kept = runtime.get(Ceremonies).end(SIGN_UP, read.challenge, where=where)
        runtime.commit()  # the challenge is used up, whatever comes of it
        if kept.address != email:
            raise unknown_challenge()
        made = passkeys.verified(read, must_verify=True)
        try:
            user = runtime.get(UserService).create(email, None, client=client, **fields)
        except EmailTaken:
            if not runtime.conceals_accounts:
                raise
            found = runtime.users.find(email=email)
            runtime.events.emit(
                RegistrationRepeated(user_id=found.user_id if found else None, client=client, at=runtime.clock.now())
            )
            return None
        key = runtime.users.key_of(user)
        passkeys.keep_handle(key, decoded(kept.data["handle"]))
        passkeys.store(key, made, client, name=None, way="registration")
        return user

    def _read(self, given: Mapping[str, Any], client: Client) -> tuple[str, dict[str, Any]]:
        """The address, and the rest of what the host's registration asks for; counts the attempt."""
        registration = self.runtime.get(RegistrationService)
        if not registration.is_open:
            raise RegistrationClosed
        if "password" in given:
            raise ValidationError.one("password", "extra_forbidden", "There is none: the passkey signs you in.")
        # The host's schema wants one; nobody gets to know this one, and it is not kept.
        rest = {name: value for name, value in given.items() if name != "email"} | {"password": secrets.token_urlsafe(24)}
        asked = registration.read(rest, email=given["email"])
        self.runtime.enter(Entry("register", client, account=asked.email))
        return asked.email, asked.model_dump(exclude={"email", "password"})
