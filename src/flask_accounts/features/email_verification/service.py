"""Asking an address to prove itself, and taking the proof."""

from __future__ import annotations

from typing import Any

from ...core.errors import OneTimeTokenInvalid
from ...core.events import (
    Client,
    EmailChanged,
    EmailVerificationRequested,
    EmailVerified,
    Event,
    Key,
    RegistrationRepeated,
    UserRegistered,
)
from ...core.feature import Service
from ...core.gates import Entry
from ...core.one_time import OneTime
from ...core.policies import email_form
from ...core.users import UserView
from .settings import EmailVerificationSettings

PURPOSE = "verify_email"


class EmailVerificationService(Service):
    """Verification of addresses; `user` is an object of the user class, a view or a key."""

    @property
    def settings(self) -> EmailVerificationSettings:
        """The feature's settings."""
        return self.runtime.setting(EmailVerificationSettings)

    def hear(self, event: Event) -> None:
        """Send what an event calls for."""
        if self.settings.mode == "off" or event.user_id is None:
            return
        if isinstance(event, UserRegistered | EmailChanged):
            self.send(event.user_id, client=event.client, void_older=isinstance(event, EmailChanged))
        elif isinstance(event, RegistrationRepeated):
            self._tell_existing(event)

    def send(self, user: Any, *, client: Client | None = None, void_older: bool = True) -> None:
        """Mail a link and a code to the account's address, unless it is verified already. Older ones, if there can be any, are void."""
        users = self.runtime.users
        view = user if isinstance(user, UserView) else users.view(users.key_of(user))
        if view is not None and not view.email_verified:
            self._issue(view, view.email, client=client, void_older=void_older)

    def resend(self, email: str, client: Client) -> None:
        """Send again to a known, unverified address; unknown and verified ones make no difference to be seen."""
        self.runtime.enter(Entry("resend", client, account=email_form(email)))
        view = self.runtime.users.by_email(email)
        self._issue(view if view is not None and not view.email_verified else None, email, client=client)

    def ask_again(self, user: Any, *, actor_id: Key | None = None, client: Client | None = None) -> None:
        """Send again for an administrator, or for host code; older mails are void. Nothing happens where the address is proved."""
        view = user if isinstance(user, UserView) else self.runtime.users.view(self.runtime.users.key_of(user))
        if view is None or view.email_verified:
            return
        self.send(view, client=client)
        now = self.runtime.clock.now()
        self.runtime.events.emit(EmailVerificationRequested(user_id=view.key, actor_id=actor_id, client=client, at=now))

    def verify(self, token: str, client: Client | None = None) -> None:
        """Take the proof of a link's token; `OneTimeTokenInvalid`."""
        self._accept(self.runtime.one_time.consume(PURPOSE, token, self.runtime.clock.now()), client)

    def verify_code(self, email: str, code: str, client: Client) -> None:
        """Take the proof of a code; `OneTimeTokenInvalid`. Wrong guesses are counted."""
        self.runtime.enter(Entry("verify", client, account=email_form(email)))
        # As people type codes: with a blank or a hyphen in the middle.
        digits = "".join(char for char in code if char not in " -")
        self._accept(self.runtime.one_time.consume_code(PURPOSE, email, digits, self.runtime.clock.now()), client)

    def _issue(self, view: UserView | None, address: str, *, client: Client | None, void_older: bool = True) -> None:
        """Mail a link and a code, or, for nobody, do the same work."""
        runtime, settings = self.runtime, self.settings
        if not (runtime.mail.available or settings.mode == "required"):
            return
        runtime.mail_token(
            "verify_email", PURPOSE, view, address, lifetime=settings.lifetime, link_path=settings.link_path, client=client,
            code=True, void_older=void_older,
        )  # fmt: skip

    def _accept(self, proof: OneTime | None, client: Client | None) -> None:
        runtime = self.runtime
        view = runtime.users.view(proof.user_id) if proof is not None and proof.user_id is not None else None
        if proof is None or view is None or view.email != proof.address:
            runtime.commit()  # the counted guess must last
            raise OneTimeTokenInvalid
        now = runtime.clock.now()
        if not runtime.users.set_verified(view.key, now, address=view.email):
            raise OneTimeTokenInvalid  # the account got another address this very moment
        runtime.events.emit(EmailVerified(user_id=view.key, actor_id=view.key, client=client, at=now))

    def _tell_existing(self, event: RegistrationRepeated) -> None:
        view = self.runtime.users.view(event.user_id) if event.user_id is not None else None
        if view is not None:
            self.runtime.write("account_exists", view, client=event.client)
