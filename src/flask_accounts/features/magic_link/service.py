"""Handing out links and codes by mail only, and taking them once, from who asked for them.

Reading mail is one factor. It proves the address, so that a sign-in also verifies an address that was not; it does not prove who
set the account up. Whoever registers somebody else's address and waits for its owner to come (pre-hijacking, ASVS 6.8.1) must
not be left with a way in: at the first proof everything that came before is void.
"""

from __future__ import annotations

from typing import Any

from ...core.binding import binds, digest
from ...core.devices import device_name
from ...core.errors import OneTimeTokenInvalid, OtherBrowser
from ...core.events import Client, MagicLinkRequested
from ...core.feature import Service
from ...core.gates import Entry, LoginAttempt
from ...core.login import LoginPipeline, SignIn
from ...core.one_time import OneTime
from ...core.policies import email_form
from ..password.service import PasswordService
from .settings import MagicLinkSettings

PURPOSE = "magic_link"
AMR = ("email",)
"""No value that RFC 8176 registers fits: `otp` is said of codes by RFC 4226 and 6238, and would pass for a second factor."""


class MagicLinkService(Service):
    """Sign-in by mail. `binding` is the secret of the browser that asks, and of the one that signs in."""

    @property
    def settings(self) -> MagicLinkSettings:
        """The feature's settings."""
        return self.runtime.setting(MagicLinkSettings)

    def ask(self, email: str, client: Client, *, binding: str | None = None) -> None:
        """Mail a link and a code to the account's stored address (ASVS OWASP-EV 4). For an unknown address nothing differs to be seen.

        Older ones are void. With `binding` they are good only together with it. A disabled account gets them too: what is right
        about its sign-in is for the gates to say, as after a right password.
        """
        runtime, settings = self.runtime, self.settings
        typed = email_form(email)
        runtime.enter(Entry("magic_link", client, account=typed))
        view, now = runtime.users.by_email(typed), runtime.clock.now()
        asked = (device_name(client.user_agent), client.address, f"{now:%Y-%m-%d %H:%M} UTC")
        runtime.mail_token(
            "magic_link", PURPOSE, view, typed, lifetime=settings.lifetime,
            link_path=settings.link_path if settings.send != "code" else None, client=client, code=settings.send != "link",
            digits=settings.code_digits, data={"binding": digest(binding) if binding else None}, bound=settings.bind_browser,
            asked=", ".join(filter(None, asked)),
        )  # fmt: skip
        runtime.events.emit(MagicLinkRequested(user_id=view.key if view else None, client=client, at=now))
        if view is None and settings.tell_unknown:
            runtime.write_to_stranger("magic_link_no_account", email, client=client)

    def sign_in(self, token: str, client: Client, *, binding: str | None = None) -> SignIn:
        """Open a session by a link's token. `OneTimeTokenInvalid`, `OtherBrowser`, or what a gate raises.

        From another browser than the one that asked it is not used up: somebody passed it on, or looked at the mail.
        """
        runtime = self.runtime
        entry = Entry("magic_link_login", client)
        runtime.enter(entry)
        proof = runtime.one_time.peek(PURPOSE, token, runtime.clock.now())
        if proof is not None and not binds(proof.data["binding"], binding):
            runtime.get(LoginPipeline).refuse(OtherBrowser(), client, user_id=proof.user_id)
        return self._finish(proof, entry)

    def sign_in_by_code(self, email: str, code: str, client: Client, *, binding: str | None = None) -> SignIn:
        """The same by the code sent to `email`. Wrong guesses are counted, those of another browser not: it cannot be right."""
        runtime = self.runtime
        entry = Entry("magic_link_login", client, account=email_form(email))
        runtime.enter(entry)
        # As people type codes: with a blank or a hyphen in the middle.
        digits = "".join(char for char in code if char not in " -")
        proof = runtime.one_time.peek_code_sent(
            PURPOSE, email, digits, runtime.clock.now(), may=lambda sent: binds(sent.data["binding"], binding)
        )
        return self._finish(proof, entry)

    def void(self, user: Any) -> None:
        """Make what was mailed to an account worthless. `user` is an object of the user class, a view or a key."""
        self.runtime.one_time.void(PURPOSE, user_id=self.runtime.users.key_of(user))

    def _finish(self, proof: OneTime | None, entry: Entry) -> SignIn:
        runtime, pipeline = self.runtime, self.runtime.get(LoginPipeline)
        # The account is locked before the token is used up, as whoever changes the address does it.
        locked = runtime.users.locked(proof.user_id) if proof is not None and proof.user_id is not None else None
        if proof is None or locked is None or locked[0].email != proof.address or not runtime.one_time.take(proof):
            key = proof.user_id if proof is not None else None
            pipeline.refuse(OneTimeTokenInvalid(), entry.client, user_id=key, login=entry.account)  # commits: counted guesses last
        view, row = locked
        runtime.passed(entry)
        if not view.email_verified:
            runtime.get(PasswordService).claim(view, client=entry.client, has_password=row["stored_hash"] is not None)
        return pipeline.finish(LoginAttempt(view.key, AMR, entry.client))
