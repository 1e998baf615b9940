"""Identities: signing in by one, linking and unlinking them.

An identity is a person at a provider, and belongs to one account. One that is new here goes to an account in one of three ways: its owner,
signed in, links it; or the provider has verified the address of an account; or an account is made. An address that the provider has not
verified decides nothing, and whether an account has it does not show (ASVS 6.8.1).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

import sqlalchemy as sa
from pydantic_core import to_jsonable_python
from sqlalchemy.exc import IntegrityError

from ...core.errors import (
    AccountDisabled,
    AccountsError,
    ConcurrentChange,
    IdentityMismatch,
    IdentityTaken,
    IdentityUnknown,
    LastWayIn,
    NotFound,
    OneTimeTokenInvalid,
    ReauthenticationRequired,
    ValidationError,
)
from ...core.events import Client, EmailVerified, FactorChanged, IdentityLinked, IdentityUnlinked, Key
from ...core.feature import Service
from ...core.gates import MULTI_FACTOR, Entry, LoginAttempt, multi_factor
from ...core.identity import Principal
from ...core.login import LoginPipeline, SignIn
from ...core.models import uuid7
from ...core.policies import normalise_email
from ...core.runtime import Runtime
from ..invitations.service import InvitationService
from ..password.service import PasswordService
from ..registration.service import RegistrationService
from ..users.service import UserService
from .client import Person
from .flow import Arrived, Begun, OidcService
from .models import IdentityMixin
from .provider_tokens import ProviderToken, ProviderTokens
from .settings import OidcSettings

METHOD = "oidc"
AMR = (METHOD,)
"""RFC 8176 registers no value for what somebody else has proved; how it did is the provider's to say, and counts only where it is trusted."""
LONG_AGO = datetime.fromtimestamp(0, UTC)
"""When somebody has proved presence of whom nobody says when it was: `auth_time` is 0."""


@dataclass(frozen=True)
class Identity:
    """An identity's values."""

    id: UUID
    user_id: Key
    provider: str
    issuer: str
    subject: str
    email: str | None
    created_at: datetime
    last_used_at: datetime


class IdentityService(Service):
    """The identities of accounts; `user` is an object of the user class, a view or a key. Nothing here commits, but what is refused."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._settings = runtime.setting(OidcSettings)
        self._table: sa.Table = runtime.model(IdentityMixin).__table__

    # Signing in

    def sign_in(self, code: str, given: Mapping[str, Any], client: Client, *, secret: str | None) -> SignIn:
        """Open a session by what a provider has told, through the gates. `given`: what registration asks for, if an account is made.

        Raises `OneTimeTokenInvalid`, `OtherBrowser`, `IdentityUnknown`, `AccountDisabled`, what a gate raises, and `ValidationError`
        for what registration misses; that does not use the code up.
        """
        runtime, pipeline = self.runtime, self.runtime.get(LoginPipeline)
        entry = Entry("oidc_token", client)
        runtime.enter(entry)
        arrived = runtime.get(OidcService).arrived(code, client, intent="sign_in", secret=secret)
        identity = self.find(arrived.person.issuer, arrived.person.subject)
        key = identity.user_id if identity else self._admit(arrived, given, client)
        if not runtime.one_time.take(arrived.proof):
            runtime.db.session.rollback()  # of what somebody else was faster with
            pipeline.refuse(OneTimeTokenInvalid(), client, user_id=key if identity else None)
        if identity:
            self._use(identity, arrived)
        runtime.passed(entry)
        return pipeline.finish(LoginAttempt(key, _methods(arrived), client, authenticated_at=self._since(arrived)))

    def _admit(self, arrived: Arrived, given: Mapping[str, Any], client: Client) -> Key:
        """The account that an identity which is new here belongs to from now on."""
        runtime, person = self.runtime, arrived.person
        address = _address(person)
        if address is None:
            self._refuse(arrived, IdentityUnknown(), client)
        view = runtime.users.by_email(address)
        if view is None:
            return self._register(arrived, address, given, client)
        if not self._settings.link_verified:
            self._refuse(arrived, IdentityUnknown(), client)
        if not runtime.can_sign_in(view):
            self._refuse(arrived, AccountDisabled(), client, view.key)
        # The account is locked before anything is done to it, as whoever changes its address does.
        locked = runtime.users.locked(view.key)
        if locked is None or locked[0].email != address:
            raise ConcurrentChange
        view, row = locked
        if not view.email_verified:
            # Who has set it up need not be who reads the address's mail: what came before is void (ASVS 6.8.1).
            runtime.get(PasswordService).claim(view, client=client, has_password=row["stored_hash"] is not None)
        self._add(view.key, arrived, client, way="address")
        return view.key

    def _register(self, arrived: Arrived, address: str, given: Mapping[str, Any], client: Client) -> Key:
        runtime, invitations = self.runtime, self.runtime.get(InvitationService)
        invited = invitations.is_invited(address)
        if not invited and not self._may_register(address):
            self._refuse(arrived, IdentityUnknown(), client)
        runtime.enter(Entry("register", client, account=address))
        fields = self._fields(given, address)
        if invited:
            user = invitations.accept_proved(address, client=client, **fields)
        else:
            user = runtime.get(UserService).create(address, email_verified=True, client=client, **fields)
            now = runtime.clock.now()
            key = runtime.users.key_of(user)
            runtime.events.emit(EmailVerified(user_id=key, actor_id=key, client=client, at=now))
        key = runtime.users.key_of(user)
        self._add(key, arrived, client, way="registration")
        return key

    def _may_register(self, address: str) -> bool:
        settings = self._settings
        if settings.registration == "closed":
            return False
        if settings.registration == "as_registration" and not self.runtime.get(RegistrationService).is_open:
            return False
        return not settings.allowed_domains or address.rpartition("@")[2] in settings.allowed_domains

    def _fields(self, given: Mapping[str, Any], address: str) -> dict[str, Any]:
        """What the host's registration asks for, beside an address and a password."""
        if "password" in given:
            raise ValidationError.one("password", "extra_forbidden", "There is none: the provider signs you in.")
        # The host's schema wants one; nobody gets to know this one, and it is not kept.
        asked = self.runtime.get(RegistrationService).read({**given, "password": secrets.token_urlsafe(24)}, email=address)
        found: dict[str, Any] = asked.model_dump(exclude={"email", "password"})
        return found

    def _since(self, arrived: Arrived) -> datetime | None:
        """When the person has proved presence at the provider; None for now."""
        told = arrived.person.auth_time
        if told is None:
            return None if arrived.provider.fresh_without_auth_time else LONG_AGO
        return told if told < self.runtime.clock.now() else None

    # Presence

    def begin_step_up(self, name: str, principal: Principal, client: Client) -> Begun:
        """Send somebody who is signed in to a provider, to prove presence there by an identity of the account.

        Raises `NotFound`, `IdentityNotRecent` for a provider that never says when that was, `IdentityMismatch` where the account has no
        identity there, `ReauthenticationRequired` where it has a second factor, which is what proves presence then.
        """
        runtime, key = self.runtime, principal.user_id
        held = [each.name for each in runtime.factors_held(runtime.factors_since(key))]
        if principal.session_id is None or held:
            raise ReauthenticationRequired("Please use a second factor." if held else None, **({"methods": held} if held else {}))
        service = runtime.get(OidcService)
        provider = next((each for each in service.providers if each.name == name), None)
        if provider and not any(provider.may_be(identity.issuer) for identity in self._of(key)):
            raise IdentityMismatch
        return service.begin(name, client, intent="reauthenticate", user_id=key, session=str(principal.session_id))

    def reauthenticate(self, code: str, principal: Principal, client: Client, *, secret: str | None) -> SignIn:
        """New tokens for the session that is signed in, whose `auth_time` is when the provider says that presence was proved.

        Only by an identity of this very account: whoever has got hold of the session has an account at the provider too. Raises
        `OneTimeTokenInvalid`, `OtherBrowser`, `IdentityMismatch`, `ReauthenticationRequired` where the account has a second factor.
        """
        runtime, pipeline = self.runtime, self.runtime.get(LoginPipeline)

        def prove() -> tuple[tuple[str, ...], datetime]:
            arrived = runtime.get(OidcService).arrived(code, client, intent="reauthenticate", secret=secret)
            proof, person, now = arrived.proof, arrived.person, runtime.clock.now()
            if proof.user_id != principal.user_id or proof.data["session"] != str(principal.session_id):
                raise OneTimeTokenInvalid
            if not runtime.one_time.take(proof):
                raise OneTimeTokenInvalid
            identity = self.find(person.issuer, person.subject)
            if identity is None or identity.user_id != principal.user_id:
                pipeline.refuse(IdentityMismatch(), client, user_id=principal.user_id)  # for good: the code is used up
            self._execute(sa.update(self._table).where(self._table.c.id == identity.id).values(last_used_at=now))
            # Of what it tells, only whether it was more than one factor: what a session has shown must not grow with each proof.
            amr = tuple(each for each in _methods(arrived) if each in (METHOD, MULTI_FACTOR))
            return amr, min(person.auth_time or LONG_AGO, now)

        return pipeline.step_up(principal, METHOD, prove, client)

    # Linking

    def link(self, code: str, principal: Principal, client: Client, *, secret: str | None) -> Identity:
        """Link what a provider has told to the account that is signed in, in the session that has begun it.

        Raises `OneTimeTokenInvalid`, `OtherBrowser`, `IdentityTaken`. What is linked already stays as it is.
        """
        runtime = self.runtime
        runtime.enter(Entry("oidc_link", client, account=str(principal.user_id), user_id=principal.user_id))
        arrived = runtime.get(OidcService).arrived(code, client, intent="link", secret=secret)
        proof, person = arrived.proof, arrived.person
        if proof.user_id != principal.user_id or proof.data["session"] != str(principal.session_id):
            raise OneTimeTokenInvalid
        if runtime.users.locked(principal.user_id) is None or not runtime.one_time.take(proof):
            raise OneTimeTokenInvalid
        identity = self.find(person.issuer, person.subject)
        if identity is None:
            return self._add(principal.user_id, arrived, client, way="explicit")
        if identity.user_id != principal.user_id:
            runtime.commit()  # that the code is used up
            raise IdentityTaken
        self._keep_tokens(identity.id, arrived)
        return identity

    def unlink(self, user: Any, identity_id: UUID, *, actor_id: Key | None = None, client: Client | None = None) -> None:
        """Take an identity from an account; `NotFound`, `LastWayIn`."""
        runtime, key = self.runtime, self.runtime.users.key_of(user)
        # The account is locked, so that of two that go at once one sees that the other has gone.
        if runtime.users.locked(key) is None:
            raise NotFound
        identities = self._of(key, newest=True)
        gone = next((identity for identity in identities if identity.id == identity_id), None)
        if gone is None:
            raise NotFound
        others = any(self._is_usable(identity) for identity in identities if identity is not gone)
        if not others and not runtime.ways_in(key, beside="oidc"):
            raise LastWayIn
        self._remove(gone, actor_id=actor_id, client=client)

    # Reading

    def of(self, user: Any) -> list[Identity]:
        """The identities of an account, oldest first."""
        return self._of(self.runtime.users.key_of(user))

    def find(self, issuer: str, subject: str) -> Identity | None:
        """The identity of a person at a provider, or None."""
        c = self._table.c
        row = self._execute(sa.select(self._table).where(c.issuer == issuer, c.subject == subject)).mappings().first()
        return Identity(**row) if row else None

    def is_way_in(self, key: Key) -> bool:
        """Whether the account has an identity at a provider that the app still has."""
        return any(self._is_usable(identity) for identity in self._of(key))

    # The provider's own tokens

    def access_token(self, identity: Identity | UUID, *, refused: str | None = None) -> ProviderToken:
        """An access token of the provider to ask its API with, good for 30 seconds at least where it says how long; refreshed there if not.

        For providers with `store_tokens=True`. `refused`: a token that the API has just refused, so that another is wanted. One caller
        refreshes, others wait. What it brings is committed at once, in a transaction beside yours; on SQLite within yours, once that has
        written: ask before you write. Raises `NotFound`, `ProviderConsentRequired` where only signing in there again helps, and
        `ServiceUnavailable` (`ProviderUnavailable`) where later may do.
        """
        service = self.runtime.get(OidcService)
        key = identity.id if isinstance(identity, Identity) else identity
        return self.runtime.get(ProviderTokens).access_token(key, service.keeping_client, refused=refused)

    def _keep_tokens(self, identity_id: UUID, arrived: Arrived) -> None:
        data = arrived.proof.data
        if "tokens" in data and arrived.provider.store_tokens:
            self.runtime.get(ProviderTokens).keep(identity_id, data["tokens"], data["binding"])

    # The life of accounts

    def forget(self, user: Any) -> None:
        """Remove an account's identities and what is kept with them, without a word."""
        own = self._table.c.user_id == self.runtime.users.key_of(user)
        self.runtime.get(ProviderTokens).forget(own)
        self._execute(sa.delete(self._table).where(own))

    def purge(self) -> int:
        """Delete tokens of providers that keep none any more; returns how many."""
        return self.runtime.get(ProviderTokens).purge(self.runtime.get(OidcService).keeps_tokens)

    def forget_since(self, user: Any, since: datetime, *, client: Client | None = None) -> None:
        """Remove the identities that were linked to an account since a moment, by whomever; it may be left without any."""
        key = self.runtime.users.key_of(user)
        for identity in self._of(key, newest=True):
            if identity.created_at < since:
                continue
            self._remove(identity, actor_id=key, client=client)

    def export(self, user: Any) -> list[dict[str, Any]] | None:  # JSON values
        """What is stored of an account's identities, of tokens only that there are some; None for nothing."""
        names = ("provider", "issuer", "subject", "email", "created_at", "last_used_at")
        identities = self.of(user)
        tokens = self.runtime.get(ProviderTokens).export(identity.id for identity in identities)
        found = [{name: getattr(identity, name) for name in names} | {"tokens": tokens.get(identity.id)} for identity in identities]
        exported: list[dict[str, Any]] = to_jsonable_python(found)
        return exported or None

    # How it is done

    def _add(self, key: Key, arrived: Arrived, client: Client, *, way: str) -> Identity:
        runtime, person, now = self.runtime, arrived.person, self.runtime.clock.now()
        identity = Identity(
            uuid7(now), key, arrived.provider.name, person.issuer, person.subject, _shown(person), now, now
        )  # fmt: skip
        try:
            self._execute(sa.insert(self._table).values(vars(identity)))
        except IntegrityError as error:
            runtime.db.session.rollback()
            raise ConcurrentChange from error
        self._keep_tokens(identity.id, arrived)
        who: dict[str, Any] = {"user_id": key, "actor_id": key, "client": client, "at": now}
        runtime.events.emit(IdentityLinked(**who, provider=arrived.provider.name, way=way))
        if way != "registration":
            runtime.events.emit(FactorChanged(**who, factor=arrived.provider.label, change="added"))
        return identity

    def _remove(self, gone: Identity, *, actor_id: Key | None, client: Client | None) -> None:
        """Delete an identity with what is kept with it, and tell of it."""
        self.runtime.get(ProviderTokens).forget(self._table.c.id == gone.id)
        self._execute(sa.delete(self._table).where(self._table.c.id == gone.id))
        who: dict[str, Any] = {"user_id": gone.user_id, "actor_id": actor_id, "client": client, "at": self.runtime.clock.now()}
        self.runtime.events.emit(IdentityUnlinked(**who, provider=gone.provider))
        self.runtime.events.emit(FactorChanged(**who, factor=self._label(gone.provider), change="removed"))

    def _use(self, identity: Identity, arrived: Arrived) -> None:
        values = {"last_used_at": self.runtime.clock.now(), "email": _shown(arrived.person)}
        self._execute(sa.update(self._table).where(self._table.c.id == identity.id).values(values))
        self._keep_tokens(identity.id, arrived)

    def _of(self, key: Key, *, newest: bool = False) -> list[Identity]:
        statement = sa.select(self._table).where(self._table.c.user_id == key).order_by(self._table.c.id)
        if newest:  # also where the transaction reads an older snapshot (MariaDB)
            statement = statement.with_for_update()
        return [Identity(**row) for row in self._execute(statement).mappings()]

    def _is_usable(self, identity: Identity) -> bool:
        return self.runtime.get(OidcService).knows(identity.issuer)

    def _label(self, name: str) -> str:
        labels = {provider.name: provider.label for provider in self.runtime.get(OidcService).providers}
        return labels.get(name, name)

    def _refuse(self, arrived: Arrived, error: AccountsError, client: Client, user_id: Key | None = None) -> NoReturn:
        """Refuse for good: the code is used up."""
        self.runtime.one_time.take(arrived.proof)
        self.runtime.get(LoginPipeline).refuse(error, client, user_id=user_id)

    def _execute(self, statement: sa.Executable) -> sa.CursorResult[Any]:
        return self.runtime.users.execute(statement)


def _methods(arrived: Arrived) -> tuple[str, ...]:
    told = arrived.person.amr
    return multi_factor(AMR, told) if MULTI_FACTOR in told else (*AMR, *told)


def _address(person: Person) -> str | None:
    """The address that counts as proved, in its canonical form."""
    if person.email is None or not person.email_verified:
        return None
    try:
        return normalise_email(person.email)
    except ValueError:
        return None


def _shown(person: Person) -> str | None:
    try:
        return normalise_email(person.email or "")
    except ValueError:
        return None
