"""Handing out reset tokens by mail only, and taking them once."""

from __future__ import annotations

from typing import Any

from ...core.errors import OneTimeTokenInvalid
from ...core.events import AccountClaimed, Client, EmailVerified, Key, PasswordResetRequested
from ...core.feature import Service
from ...core.gates import Entry
from ...core.policies import email_form
from ...core.users import UserView
from ..password.service import PasswordService
from .settings import PasswordResetSettings

PURPOSE = "reset_password"


class PasswordResetService(Service):
    """Recovery by mail; `user` is an object of the user class, a view or a key."""

    @property
    def settings(self) -> PasswordResetSettings:
        """The feature's settings."""
        return self.runtime.setting(PasswordResetSettings)

    def forgot(self, email: str, client: Client) -> None:
        """Mail a token to the account's stored address (ASVS OWASP-EV 4). For an unknown address nothing differs to be seen.

        The request alone changes nothing about the account.
        """
        runtime = self.runtime
        runtime.enter(Entry("forgot", client, account=email_form(email)))
        found, view = runtime.users.find(email=email), runtime.users.by_email(email)
        has_password = found is not None and bool(found.password_hash)
        # Asked for every address, so that it costs the same. Who proves an address that nobody had proved is the account's owner.
        claimable = runtime.is_claimable(view.key if view is not None else None) and view is not None and not view.email_verified
        fits = runtime.can_sign_in(view) and (has_password or claimable or self.settings.without_password)
        self._issue(view if fits else None, email, client=client)
        if view is None and self.settings.tell_unknown:
            runtime.write_to_stranger("no_account", email, client=client)

    def send(self, user: Any, *, actor_id: Key | None = None, client: Client | None = None) -> None:
        """Mail a token to the account's address. Older ones are void."""
        users = self.runtime.users
        view = user if isinstance(user, UserView) else users.view(users.key_of(user))
        if view is not None:
            self._issue(view, view.email, actor_id=actor_id, client=client)

    def reset(self, token: str, password: str, client: Client) -> None:
        """Set a new password and end all sessions; nobody is signed in by it. `OneTimeTokenInvalid`, `ValidationError`.

        The policy is asked first: a password it refuses does not use the token up.
        """
        runtime = self.runtime
        now = runtime.clock.now()
        found = runtime.one_time.peek(PURPOSE, token, now)
        view = runtime.users.view(found.user_id) if found is not None and found.user_id is not None else None
        if found is None or view is None or not runtime.can_sign_in(view) or view.email != found.address:
            raise OneTimeTokenInvalid
        passwords = runtime.get(PasswordService)
        passwords.check(password, view, field="new_password")
        if runtime.one_time.consume(PURPOSE, token, now) is None:
            raise OneTimeTokenInvalid  # somebody used it this very moment
        passwords.set(view, password, actor_id=view.key, client=client, way="reset")
        # Whoever holds the token reads the mail of the address, if it still is the account's.
        if not view.email_verified and runtime.users.set_verified(view.key, now, address=view.email):
            who: dict[str, Any] = {"user_id": view.key, "actor_id": view.key, "client": client, "at": now}
            runtime.events.emit(EmailVerified(**who))
            # Who has set the account up need not be who reads the address's mail: what came before is void (ASVS 6.8.1).
            runtime.events.emit(AccountClaimed(**who))

    def force(self, user: UserView, *, actor_id: Key | None = None, client: Client | None = None) -> None:
        """End the account's sessions, make its password useless, and mail its owner a token: by an administrator, or where the
        password may be in wrong hands.
        """
        runtime = self.runtime
        runtime.get(PasswordService).remove(user, actor_id=actor_id, client=client)
        self.send(user, actor_id=actor_id, client=client)

    def _issue(self, view: UserView | None, address: str, *, client: Client | None, actor_id: Key | None = None) -> None:
        """Mail a token, or, for nobody, do the same work."""
        runtime, settings = self.runtime, self.settings
        runtime.mail_token(
            "reset_password", PURPOSE, view, address, lifetime=settings.lifetime, link_path=settings.link_path, client=client
        )
        key, now = view.key if view is not None else None, runtime.clock.now()
        runtime.events.emit(PasswordResetRequested(user_id=key, actor_id=actor_id, client=client, at=now))
