"""Runtime: everything kept for ONE app, in `app.extensions["accounts"]`. Read-only once the app has started."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

import sqlalchemy as sa
from flask import current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.exc import DBAPIError

from .aside import Aside, Overtaken
from .clock import Clock
from .direct import Row
from .errors import AccountsError, ConfigurationError, ServiceUnavailable, TooManyRequests
from .events import Client, EventBus, Key
from .factors import Factor, Proof, challenge_method
from .faults import is_lost
from .gates import (
    Acting,
    Bar,
    ChallengeMethod,
    Completion,
    Counted,
    Entry,
    EntryCheck,
    EntryCount,
    EntryPass,
    Fact,
    Gate,
    LoginAttempt,
    RefreshGate,
    Restore,
)
from .keys import KeyRing
from .letters import Letters
from .mail import MailRoom
from .one_time import CODE_DIGITS, OneTimeStore
from .passwords import BoundedHasher, PasswordSettings
from .policies import PasswordCheck, PasswordContext, check_password, normalise_email
from .schemas import SchemaBook, UserSchema
from .sealed_columns import SealedColumn
from .session_cache import SessionCache
from .sessions import SessionStore
from .settings import Settings
from .tracing import traced
from .users import ACCOUNT, UserStore, UserView

if TYPE_CHECKING:
    from .identity import Resolver

ServiceT = TypeVar("ServiceT")
SettingsT = TypeVar("SettingsT", bound=Settings)
Exporter = Callable[[Any], Any]
"""A host's part of an account's export: given the object of the user class, returns what is stored, ready for JSON."""

EXTENSION = "accounts"

logger: logging.Logger = logging.getLogger("flask_accounts.database")


class Runtime:
    """What one app's requests, commands and services work with."""

    def __init__(
        self,
        *,
        db: SQLAlchemy,
        settings: Mapping[type[Settings], Settings],
        schemas: SchemaBook,
        users: UserStore,
        sessions: SessionStore,
        events: EventBus,
        hasher: BoundedHasher,
        mail: MailRoom,
        letters: Letters,
        one_time: OneTimeStore | None,
        clock: Clock,
        debug: bool,
        models: Mapping[type, Any],
        permissions: Mapping[str, str],
        openapi: Callable[..., dict[str, Any]],
    ) -> None:
        self.db = db
        self.settings = settings
        self.schemas = schemas
        self.users = users
        self.sessions = sessions
        self.events = events
        self.hasher = hasher
        self.password_checks: tuple[PasswordCheck, ...] = ()
        self.slow_password_checks: tuple[PasswordCheck, ...] = ()
        """Those that cost much or ask somebody else, and only about passwords that nothing else is wrong with."""
        self.aside: Aside = Aside(users)
        """Transactions beside the request's, for counters."""
        self.entry_checks: tuple[EntryCheck, ...] = ()
        self.entry_counts: tuple[EntryCount, ...] = ()
        self.entry_passes: tuple[EntryPass, ...] = ()
        self.sign_in_facts: dict[str, Fact] = {}
        self.bars: tuple[Bar, ...] = ()
        self.restores: tuple[Restore, ...] = ()
        self.factors: dict[str, Factor] = {}
        """What accounts may have beside their first credential, by name."""
        self.proofs: dict[str, Proof] = {}
        """How presence is proved again, by name; by factors too."""
        self.factor_counts: tuple[EntryCount, ...] = ()
        self.factor_passes: tuple[EntryPass, ...] = ()
        self.two_factors_for_all: bool = False
        """Nobody signs in by one factor alone."""
        self.early_gates: tuple[Gate, ...] = ()
        self.gates: tuple[Gate, ...] = ()
        self.refresh_gates: tuple[RefreshGate, ...] = ()
        self.challenge_methods: dict[str, ChallengeMethod] = {}
        self.completions: tuple[Completion, ...] = ()
        self.acting: Acting | None = None
        """Knows in which sessions somebody acts in the owner's place; None where nobody can."""
        self.resolvers: tuple[Resolver, ...] = ()
        """Asked, in order, who is calling, before the access token of a session is looked for."""
        self.mail = mail
        self.letters = letters
        self._one_time = one_time
        self.conceals_accounts: bool = False
        """Registration answers known and new addresses alike."""
        self._email_change_needs_proof = False
        self.session_cache: SessionCache | None = None
        """Where the app asks for one."""
        self.key_ring: Callable[[], KeyRing | None] = lambda: None
        """Gives the key pairs of this moment; None where a shared secret signs."""
        self.clock = clock
        self.debug = debug
        """The app is in debug or testing mode."""
        self.permissions: dict[str, str] = dict(permissions)
        """Every permission the features ask for, and what it allows."""
        self.openapi = openapi
        """Makes the OpenAPI document of this app; takes `title`."""
        self._models = models
        self._purgers: list[Callable[[], int]] = []
        self._sealed: list[Callable[[], Sequence[SealedColumn]]] = []
        self._erasers: list[Callable[[Key], None]] = []
        self._exporters: dict[str, Callable[[Key], Any]] = {}
        self._ways_in: dict[str, Callable[[Key], bool]] = {}
        self._claimable: tuple[Callable[[Key | None], bool], ...] = ()
        self.exporters: Mapping[str, Exporter] = {}
        """The host's own parts of an export, by name."""
        self._services: dict[type[Any], object] = {}

    def provide(self, kind: type[ServiceT], service: ServiceT) -> None:
        """Make `service` the answer to `get(kind)`. At start only."""
        self._services[kind] = service

    def get(self, kind: type[ServiceT]) -> ServiceT:
        """The service of this kind, or of the subclass a host put in its place."""
        try:
            return cast(ServiceT, self._services[kind])
        except KeyError:
            raise ConfigurationError(f"{kind.__name__} is not there: add its feature to Accounts(features=[...]).") from None

    def setting(self, kind: type[SettingsT]) -> SettingsT:
        """The settings of this class, as read from the app's config."""
        return cast(SettingsT, self.settings[kind])

    def model(self, mixin: type) -> Any:  # a mapped class, built or the host's own
        """The model of a feature's mixin."""
        return self._models[mixin]

    def has_model(self, mixin: type) -> bool:
        """Whether a feature in use has this mixin's table."""
        return mixin in self._models

    @property
    def tables(self) -> tuple[sa.Table, ...]:
        """Every table of accounts: that of the users, and those of the core and the features."""
        return (self.users.table, *(model.__table__ for model in self._models.values()))

    def attach(
        self,
        *,
        entry_checks: Sequence[EntryCheck] = (),
        entry_counts: Sequence[EntryCount] = (),
        entry_passes: Sequence[EntryPass] = (),
        sign_in_facts: Mapping[str, Fact] | None = None,
        bars: Sequence[Bar] = (),
        restores: Sequence[Restore] = (),
        factors: Sequence[Factor] = (),
        factor_counts: Sequence[EntryCount] = (),
        factor_passes: Sequence[EntryPass] = (),
        proofs: Mapping[str, Proof] | None = None,
        early_gates: Sequence[Gate] = (),
        gates: Sequence[Gate] = (),
        refresh_gates: Sequence[RefreshGate] = (),
        challenge_methods: Mapping[str, ChallengeMethod] | None = None,
        completions: Sequence[Completion] = (),
        resolvers: Sequence[Resolver] = (),
        password_checks: Sequence[PasswordCheck] = (),
        slow_password_checks: Sequence[PasswordCheck] = (),
        export: Mapping[str, Callable[[Key], Any]] | None = None,
        exporters: Mapping[str, Exporter] | None = None,
        ways_in: Mapping[str, Callable[[Key], bool]] | None = None,
        claimable: Sequence[Callable[[Key | None], bool]] = (),
        erase: Callable[[Key], None] | None = None,
        purge: Callable[[], int] | None = None,
        sealed: Callable[[], Sequence[SealedColumn]] | None = None,
        conceals_accounts: bool = False,
        email_change_needs_proof: bool = False,
    ) -> None:
        """Plug a feature into the pipelines: its checks, its gates, its part of exporting, deleting, purging and resealing. At start only."""
        self.entry_checks += tuple(entry_checks)
        self.entry_counts += tuple(entry_counts)
        self.entry_passes += tuple(entry_passes)
        self.sign_in_facts |= sign_in_facts or {}
        self.bars += tuple(bars)
        self.restores += tuple(restores)
        for factor in factors:
            self.factors[factor.name] = factor
            self.sign_in_facts[factor.fact] = factor.since
            self.challenge_methods[factor.name] = challenge_method(factor)
            self.proofs[factor.name] = factor.verify
        self.factor_counts += tuple(factor_counts)
        self.factor_passes += tuple(factor_passes)
        self.proofs |= proofs or {}
        self.early_gates += tuple(early_gates)
        self.gates += tuple(gates)
        self.refresh_gates += tuple(refresh_gates)
        self.challenge_methods |= challenge_methods or {}
        self.completions += tuple(completions)
        self.resolvers += tuple(resolvers)
        self.password_checks += tuple(password_checks)
        self.slow_password_checks += tuple(slow_password_checks)
        self._exporters |= export or {}
        self._ways_in |= ways_in or {}
        self._claimable += tuple(claimable)
        self.exporters = {**self.exporters, **(exporters or {})}
        self.conceals_accounts = self.conceals_accounts or conceals_accounts
        self._email_change_needs_proof = self._email_change_needs_proof or email_change_needs_proof
        if erase:
            self._erasers.append(erase)
        if purge:
            self._purgers.append(purge)
        if sealed:
            self._sealed.append(sealed)

    def purge(self) -> int:
        """Delete the rows whose time is over; returns how many."""
        now = self.clock.now()
        return (
            self.sessions.purge(now)
            + (self._one_time.purge(now) if self._one_time else 0)
            + sum(purger() for purger in self._purgers)
        )

    def sealed_columns(self) -> list[SealedColumn]:
        """What is kept sealed in the database, of all features."""
        return [column for sealed in self._sealed for column in sealed()]

    def erase(self, key: Key) -> None:
        """Remove everything stored about an account but its own row."""
        self.sessions.delete_all(key)
        if self._one_time:
            self._one_time.delete_all(key)
        for eraser in self._erasers:
            eraser(key)

    def export(self, key: Key) -> dict[str, Any]:  # JSON values
        """What accounts stores about an account, without secrets: one part from each that stores something."""
        found = {name: exporter(key) for name, exporter in self._exporters.items()}
        return {name: part for name, part in found.items() if part is not None}

    def ways_in(self, key: Key, *, beside: str = "") -> list[str]:
        """The features by which the account's owner can sign in, but for the one named `beside`."""
        return [name for name, there_is in self._ways_in.items() if name != beside and there_is(key)]

    def is_claimable(self, key: Key | None) -> bool:
        """Whether anybody could have made the account without a password (`Feature.is_claimable`); of nobody (None) at the same cost."""
        found = [claimable(key) for claimable in self._claimable]  # all of them, so that no answer is quicker
        return any(found)

    def returns(self, attempt: LoginAttempt, user: UserView) -> list[Callable[[], None]]:
        """What brings back an account that is switched off, if its owner signs in; nothing for one that is not, or that stays off.

        `attempt` has its facts. Raises what refuses the sign-in.
        """
        if user.is_active:
            return []
        return [bring_back for restore in self.restores if (bring_back := restore(attempt, user)) is not None]

    def is_barred(self, attempt: LoginAttempt) -> bool:
        """Whether nobody signs in to the attempt's account. `attempt` has its facts."""
        return any(bar(attempt) for bar in self.bars)

    def can_sign_in(self, user: UserView | None) -> bool:
        """Whether the account is active, or comes back by signing in. One that neither is nor does is sent nothing to get in by.

        An active account and none cost as much as one that is off, so that time does not tell.
        """
        attempt = LoginAttempt(user.key if user is not None else cast(Key, None), (), Client())
        facts: Mapping[str, Any] = {}
        if self.sign_in_facts:
            parameters = {ACCOUNT: attempt.user_id, **self.fact_values(attempt)}
            facts = self.facts_in(self.users.execute(sa.select(*self.fact_columns), parameters).mappings().one())
        if user is not None and self.is_barred(replace(attempt, facts=facts)):
            return False
        if user is None or user.is_active or not self.restores:
            return user is not None and bool(user.is_active)
        try:
            return bool(self.returns(replace(attempt, facts=facts), user))
        except AccountsError:
            return False

    @traced("accounts.entry_checks", of=lambda runtime, entry: {"action": entry.action})
    def enter(self, entry: Entry) -> None:
        """Ask every entry check, and count; the first to refuse raises."""
        for check in self.entry_checks:
            check(entry)
        counts = self.entry_counts if entry.factor is None else (*self.entry_counts, *self.factor_counts)
        works = [work for count in counts if (work := count(entry)) is not None]
        if not works:
            return

        def count_all(connection: sa.Connection) -> list[Counted]:
            counted: list[Counted] = []
            for work in works:
                counted.append(work(connection))
                if counted[-1].full:
                    break
            return counted

        try:
            found = self.aside.run(count_all)
        except Overtaken:
            raise TooManyRequests(1) from None
        for counted in found:
            counted.then()

    def write(self, name: str, user: UserView, *, client: Client | None = None, to: str | None = None, **context: Any) -> None:
        """Mail `name` to the account's stored address (or `to`), in its owner's language, after the commit."""
        stored = getattr(user, "locale", None)
        language = self.letters.language_for(stored=stored, asked=client.languages if client else None)
        self.mail.send(self.letters.write(name, to or user.email, language=language, **context))

    def mail_token(
        self, name: str, purpose: str, user: UserView | None, address: str, *, lifetime: timedelta, link_path: str | None,
        client: Client | None, code: bool = False, digits: int = CODE_DIGITS, data: Mapping[str, Any] | None = None,
        void_older: bool = True, **context: Any,
    ) -> None:  # fmt: skip
        """Mail `name` with a new one-time token to an account's stored address; without a `link_path` its code alone is shown.

        Where `user` is None, because no account has the typed `address` or it must not get one, the same work is done: a token
        and a mail that nobody gets. So neither time nor the number of statements tells (OWASP-FP 2).
        """
        issued = self.one_time.issue(
            purpose, user_id=None if user is None else user.key, address=address if user is None else user.email,
            lifetime=lifetime, now=self.clock.now(), code=code, digits=digits, data=data, void_older=void_older,
        )  # fmt: skip
        letter: dict[str, Any] = {
            "token": issued.token if link_path else None, "code": issued.code,
            "link": self.letters.link(link_path, issued.token) if link_path else None,
            "minutes": max(1, int(lifetime.total_seconds() // 60)), **context,
        }  # fmt: skip
        if user is not None:
            self.write(name, user, client=client, **letter)
        else:
            language = self.letters.language_for(stored=None, asked=client.languages if client else None)
            self.letters.write(name, "", language=language, **letter)

    def write_to_stranger(self, name: str, email: str, *, client: Client, **context: Any) -> None:
        """Mail `name` to an address, as typed, that no account has. To what is no address nothing is sent."""
        try:
            address = normalise_email(email)
        except ValueError:
            return
        language = self.letters.language_for(stored=None, asked=client.languages)
        self.mail.send(self.letters.write(name, address, language=language, **context))

    @property
    def fact_columns(self) -> list[sa.ColumnElement[Any]]:
        """The columns of all facts, for a select that knows the parameter `ACCOUNT` and `fact_values`."""
        return [fact.column.label(f"f_{name}") for name, fact in self.sign_in_facts.items()]

    def fact_values(self, attempt: LoginAttempt) -> dict[str, Any]:
        """The parameters of their own that facts have, for an attempt."""
        return {name: value for fact in self.sign_in_facts.values() for name, value in fact.values(attempt).items()}

    def facts_in(self, row: Row) -> dict[str, Any]:
        """The facts that a select of `fact_columns` found."""
        return {name: row[f"f_{name}"] for name in self.sign_in_facts}

    def factors_held(self, facts: Mapping[str, Any]) -> list[Factor]:
        """The factors that an account has, by its facts, backups last; none if there are but backups of one that is gone."""
        held = sorted((factor for factor in self.factors.values() if facts[factor.fact]), key=lambda factor: factor.backup)
        return held if held and not held[0].backup else []

    def factors_since(self, key: Key) -> dict[str, Any]:
        """The facts of an account's factors, in one statement."""
        if not self.factors:
            return {}
        columns = [factor.since.column.label(factor.fact) for factor in self.factors.values()]
        return dict(self.users.execute(sa.select(*columns), {ACCOUNT: key}).mappings().one())

    def passed(self, entry: Entry) -> None:
        """Tell that the credential of `entry` was right."""
        for tell in self.entry_passes if entry.factor is None else (*self.entry_passes, *self.factor_passes):
            tell(entry)

    def commit(self) -> None:
        """Make what was done so far last. Routes commit once at their end; only a refusal that must be remembered commits earlier.

        Raises `ServiceUnavailable` where the connection breaks meanwhile: then nobody knows whether it lasts.
        """
        try:
            self.db.session.commit()
        except DBAPIError as error:
            if not is_lost(error):
                raise
            logger.error("The database was lost while it was told to commit: whether it did is not known.")
            raise ServiceUnavailable("The connection was lost: it is not known whether this was carried out.") from error

    @property
    def one_time(self) -> OneTimeStore:
        """One-time tokens; there where a feature in use has their table."""
        if self._one_time is None:
            raise ConfigurationError("There is no table of one-time tokens: no feature in use asks for one.")
        return self._one_time

    @property
    def email_change_needs_proof(self) -> bool:
        """Whether owners change their address by `POST /email/change` only. Never without a mailer: nobody could prove anything."""
        return self._email_change_needs_proof and self.mail.available

    @property
    def context_words(self) -> tuple[str, ...]:
        """Words that make a password guessable here."""
        return self.setting(PasswordSettings).context_words

    def check_password(self, password: str, *, email: str | None, username: str | None, field: str = "password") -> None:
        """Raise `ValidationError` on `field` if the policy refuses a password that is to be set."""
        context = PasswordContext(email, username, self.context_words)
        check_password(password, context, self.password_checks, field=field)
        check_password(password, context, self.slow_password_checks, field=field)

    def new_password_hash(self, password: str, *, email: str | None, username: str | None, field: str = "password") -> str:
        """The hash of a password that is to be set; `ValidationError` on `field` if the policy refuses it."""
        self.check_password(password, email=email, username=username, field=field)
        return self.hasher.hash(password)

    def show(self, user: Any) -> dict[str, Any]:  # an object of the host's class, a view or a key; JSON values
        """The account as the API shows it, JSON-ready."""
        view = user if isinstance(user, UserView) else self.users.view(self.users.key_of(user))
        return self.schemas.get(UserSchema).model_validate(view, from_attributes=True).model_dump(mode="json")


def current_accounts() -> Runtime:
    """The Runtime of the current app; `ConfigurationError` where none was set up."""
    try:
        return cast(Runtime, current_app.extensions[EXTENSION])
    except KeyError:
        raise ConfigurationError("This app has no accounts. Call accounts.init_app(app) when you create it.") from None
