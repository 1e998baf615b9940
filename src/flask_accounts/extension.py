"""Accounts: the assembly point. Models at construction, everything of an app in `init_app`.

db = SQLAlchemy()
accounts = Accounts(db)
accounts.init_app(app)
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import sqlalchemy as sa
from flask import Blueprint, Flask, current_app, has_request_context, request
from flask_sqlalchemy import SQLAlchemy
from pydantic import BaseModel
from sqlalchemy.orm import MappedAsDataclass

from .checks import check_exporters, check_schemas, check_services
from .core import events as core_events
from .core import jwt_extended
from .core.at_rest import AtRest, AtRestSettings
from .core.challenges import PendingSignIns
from .core.checkups import Checkup, DoctorSettings, check_checkups
from .core.cli import group
from .core.clock import Clock, SystemClock
from .core.doctor import doctor_command
from .core.errors import ConfigurationError
from .core.events import EventBus, Key
from .core.feature import Feature, Service, check_features
from .core.forks import begin_empty, in_child
from .core.gates import Gate, Limiter, limiter_check
from .core.http import ROUTE, Route, build_blueprint
from .core.identity import Resolver, attribute, current_user, guard, token_check
from .core.legacy_hashes import LegacyHashSettings
from .core.letters import Letters
from .core.login import LoginPipeline
from .core.mail import CallableMailer, Mailer, MailRoom, MailSettings, Message
from .core.models import UserMixin, UuidKeyMixin, build_model, check_user_model, index_for_lists
from .core.one_time import OneTimeStore, OneTimeTokenMixin
from .core.openapi import Mounted, access_text, document
from .core.passwords import Argon2Hasher, BoundedHasher, Hasher, PasswordSettings
from .core.policies import PasswordCheck, common_check, length_check, likeness_check
from .core.production import CORE_CHECKUPS
from .core.runtime import EXTENSION, Exporter, Runtime, current_accounts
from .core.schemas import SchemaBook
from .core.session_cache import keep_true, open_cache
from .core.sessions import RevokedTokenMixin, SessionMixin, SessionSettings, SessionStore
from .core.settings import Settings, load
from .core.tokens import Tokens, TokenSettings, transport
from .core.users import UserStore
from .features.api_keys import ApiKeys
from .features.audit import Audit
from .features.breached_passwords import BreachedPasswords
from .features.challenges import Challenges
from .features.devices import Devices
from .features.email_change import EmailChange
from .features.email_verification import EmailVerification
from .features.export import Export
from .features.export.service import ExportService
from .features.impersonation import Impersonation
from .features.impersonation.service import ImpersonationService
from .features.invitations import Invitations
from .features.invitations.service import InvitationService
from .features.limits import Limits
from .features.lockout import Lockout
from .features.magic_link import MagicLink
from .features.mfa import Mfa
from .features.mfa.service import MfaService
from .features.notices import Notices
from .features.oidc import Oidc
from .features.oidc.service import IdentityService
from .features.openapi import OpenApi
from .features.passkeys import Passkeys
from .features.passkeys.service import PasskeyService
from .features.password import Password
from .features.password.service import PasswordService
from .features.password_reset import PasswordReset
from .features.registration import Registration
from .features.roles import Roles
from .features.roles.service import RoleService
from .features.sessions import Sessions
from .features.sessions.service import SessionService
from .features.signing_keys import SigningKeys
from .features.strong_passwords import StrongPasswords
from .features.token_services import TokenServices
from .features.totp import Totp
from .features.user_import import UserImport
from .features.users import Users
from .features.users.service import UserService
from .left_out import left_out

CORE_TABLES: dict[type, str] = {
    SessionMixin: "accounts_sessions",
    RevokedTokenMixin: "accounts_revoked_tokens",
}
AUTH, USERS, WELL_KNOWN = "accounts_auth", "accounts_users", "accounts_well_known"


class CoreSettings(Settings):
    """Where the blueprints are registered."""

    auth_url_prefix: str = "/api/auth"
    """Prefix of the auth blueprint, where `init_app` registers it."""
    users_url_prefix: str = "/api/users"
    """Prefix of the users blueprint, where `init_app` registers it."""


CORE_SETTINGS: tuple[type[Settings], ...] = (
    CoreSettings,
    TokenSettings,
    AtRestSettings,
    SessionSettings,
    PasswordSettings,
    LegacyHashSettings,
    MailSettings,
    DoctorSettings,
)


def default_features() -> list[Feature]:
    """Everything that needs no extra package and no outside service."""
    return [
        Limits(), Lockout(), Password(), Challenges(), Sessions(), Devices(), Roles(), Users(), Registration(), EmailVerification(),
        PasswordReset(), EmailChange(), Invitations(), Mfa(), Totp(), Notices(), Export(), UserImport(), Audit(), OpenApi(),
    ]  # fmt: skip


def opt_in_features() -> list[Feature]:
    """What widens the ways in, asks somebody outside, or needs an extra package: `Accounts(db, features=[*default_features(), ...])`."""
    return [
        StrongPasswords(), BreachedPasswords(), MagicLink(), ApiKeys(), Oidc(), Passkeys(), SigningKeys(), TokenServices(),
        Impersonation(),
    ]  # fmt: skip


class Accounts:
    """A complete accounts system for the apps it is initialised on.

    `db`: the app's Flask-SQLAlchemy object; the tables are declared on it at once, so that migrations see them.
    `app`: initialise this app right away.
    `user_model`: an own user class (with `UserMixin`); without one, `User` is built on the table `users`.
    `user_key`: the built class's key, `"int"` or `"uuid7"`.
    `features`: what is included; `default_features()` if left out.
    `models`: own subclasses of table mixins, such as `{SessionMixin: Session}`.
    `schemas`: own subclasses of pydantic schemas, such as `{UserSchema: MyUserSchema}`.
    `services`: own subclasses of services, such as `{UserService: MyUserService}`.
    `hasher`, `mailer`, `limiter`, `clock`: objects that meet the protocols of these names.
    `password_checks`, `gates`: callables added to the password policy and to every sign-in.
    `resolvers`: callables that find the caller of a request by another credential than those of the features.
    `exporters`: the host's own parts of an account's export, by name: `{"posts": lambda user: [post.title for post in user.posts]}`.
    `checkups`: the host's own checks of `flask accounts doctor`.

    Holds nothing of any app. Raises `ConfigurationError` for a set-up that cannot work.
    """

    def __init__(
        self,
        db: SQLAlchemy,
        app: Flask | None = None,
        *,
        user_model: type[Any] | None = None,
        user_key: str = "int",
        features: Iterable[Feature] | None = None,
        models: Mapping[type, type] | None = None,
        schemas: Mapping[type[BaseModel], type[BaseModel]] | None = None,
        services: Mapping[type[Service], type[Service]] | None = None,
        hasher: Hasher | None = None,
        mailer: Mailer | Callable[[Message], object] | None = None,
        limiter: Limiter | None = None,
        clock: Clock | None = None,
        password_checks: Sequence[PasswordCheck] = (),
        gates: Sequence[Gate] = (),
        resolvers: Sequence[Resolver] = (),
        exporters: Mapping[str, Exporter] | None = None,
        checkups: Sequence[Checkup] = (),
    ) -> None:
        if not isinstance(db, SQLAlchemy):
            raise ConfigurationError(f"Accounts(db) takes a Flask-SQLAlchemy object, not {db!r}.")
        if issubclass(db.Model, MappedAsDataclass):
            raise ConfigurationError(
                "SQLAlchemy(model_class=...) with MappedAsDataclass would make dataclass fields of the accounts' columns, which have "
                "defaults in no order. Give it a DeclarativeBase without MappedAsDataclass."
            )
        if EXTENSION in db.metadata.info:
            raise ConfigurationError(
                "There is an Accounts on this db already. Make one per db at module level and call init_app for each app."
            )
        self.db = db
        given = tuple(default_features() if features is None else features)
        check_features(given)
        # Copies, since each is told its tables: the same list may go to two Accounts.
        self.features: tuple[Feature, ...] = tuple(copy.copy(feature) for feature in given)
        self.User: type[Any] = self._user_model(user_model, user_key)
        self._user_table: sa.Table = sa.inspect(self.User).local_table
        self._models = self._build_models(dict(models or {}))
        self._schemas = dict(schemas or {})
        self._services = dict(services or {})
        self._hasher, self._limiter = hasher, limiter
        self._mailer = _as_mailer(mailer)
        self._clock = clock or SystemClock()
        self._password_checks, self._gates, self._resolvers = tuple(password_checks), tuple(gates), tuple(resolvers)
        self._exporters = dict(exporters or {})
        featured = [each for feature in self.features for each in feature.checkups]
        self.checkups: tuple[Checkup, ...] = (*CORE_CHECKUPS, left_out(self.features), *featured, *checkups)
        """Every check of `flask accounts doctor`."""
        self._book = SchemaBook(self._schemas, sa.inspect(self.User).primary_key[0].type.python_type)
        check_schemas(self.User, self._schemas)
        check_services(self.features, self._services)
        check_exporters(self.features, self._exporters)
        check_checkups(self.checkups)
        db.metadata.info[EXTENSION] = True
        core_events.install(db)
        if app is not None:
            self.init_app(app)

    # Services, for host code inside an app context

    @property
    def users(self) -> UserService:
        """Create, change, disable and delete accounts."""
        return self.runtime.get(UserService)

    @property
    def passwords(self) -> PasswordService:
        """Set and check passwords by policy."""
        return self.runtime.get(PasswordService)

    @property
    def sessions(self) -> SessionService:
        """Open, list and end sessions."""
        return self.runtime.get(SessionService)

    @property
    def roles(self) -> RoleService:
        """Create, change and grant roles."""
        return self.runtime.get(RoleService)

    @property
    def mfa(self) -> MfaService:
        """Second factors of accounts: which there are, and taking them away."""
        return self.runtime.get(MfaService)

    @property
    def invitations(self) -> InvitationService:
        """Invite people, with roles."""
        return self.runtime.get(InvitationService)

    @property
    def identities(self) -> IdentityService:
        """Identities at providers: which an account has, and unlinking them."""
        return self.runtime.get(IdentityService)

    @property
    def passkeys(self) -> PasskeyService:
        """Passkeys of accounts: which an account has, renaming and removing them."""
        return self.runtime.get(PasskeyService)

    @property
    def impersonations(self) -> ImpersonationService:
        """Who acts in whose place right now, beginning and ending it."""
        return self.runtime.get(ImpersonationService)

    @property
    def exports(self) -> ExportService:
        """Everything stored about an account, for its owner."""
        return self.runtime.get(ExportService)

    @property
    def mail(self) -> MailRoom:
        """Send mail that leaves after the commit."""
        return self.runtime.mail

    @property
    def runtime(self) -> Runtime:
        """Everything of the current app; `ConfigurationError` outside one that was initialised."""
        return current_accounts()

    # Blueprints

    def auth_blueprint(self, name: str = AUTH) -> Blueprint:
        """A new blueprint with the routes of signing up, in and out, to register under any prefix."""
        return build_blueprint(name, self._routes()[AUTH], guard)

    def users_blueprint(self, name: str = USERS) -> Blueprint:
        """A new blueprint with user and role administration, to register under any prefix."""
        return build_blueprint(name, self._routes()[USERS], guard)

    def well_known_blueprint(self, name: str = WELL_KNOWN) -> Blueprint:
        """A new blueprint with what features have below `/.well-known` (RFC 8615): register it there, at the root of the site."""
        return build_blueprint(name, self._well_known_routes(), guard)

    # Set-up

    def init_app(
        self, app: Flask, *, register_blueprints: bool = True, mailer: Mailer | Callable[[Message], object] | None = None
    ) -> None:
        """Set `app` up: read its settings, make its Runtime, register blueprints and commands.

        `mailer` is this app's own, before that of `Accounts`: a factory may keep mails in development and send them in production.
        Raises `ConfigurationError` for a bad setting, an unsafe signing key, or a second call for one app.
        """
        if EXTENSION in app.extensions:
            raise ConfigurationError("This app has accounts already: call init_app once per app.")
        extension = app.extensions.get("sqlalchemy")
        if extension is None:
            self.db.init_app(app)
        elif extension is not self.db:
            raise ConfigurationError("The app uses another SQLAlchemy object than this Accounts: pass Accounts the app's own db.")
        jwt_extended.check_key(app)
        jwt_extended.defaults(app)
        jwt_extended.check_config(app)
        settings = load([*CORE_SETTINGS, *(kind for feature in self.features for kind in feature.settings)], app.config)
        runtime = self._runtime(app, settings, _as_mailer(mailer) or self._mailer)
        app.extensions[EXTENSION] = runtime
        with app.app_context():
            for engine in self.db.engines.values():
                in_child(engine, begin_empty)
        jwt_extended.install(app, token_check, current_user)
        if register_blueprints:
            core = cast(CoreSettings, settings[CoreSettings])
            app.register_blueprint(self.auth_blueprint(), url_prefix=core.auth_url_prefix)
            app.register_blueprint(self.users_blueprint(), url_prefix=core.users_url_prefix)
            if self._well_known_routes():
                app.register_blueprint(self.well_known_blueprint(), url_prefix="/.well-known")
        texts = {feature.name: (type(feature).__doc__ or "").strip().partition("\n")[0] for feature in self.features}
        commands = [doctor_command(self.checkups), *(c for feature in self.features for c in feature.commands)]
        app.cli.add_command(group(commands, texts, self._route_table))

    def _runtime(self, app: Flask, settings: Mapping[type[Settings], Settings], mailer: Mailer | None) -> Runtime:
        passwords = cast(PasswordSettings, settings[PasswordSettings])
        hasher = self._hasher or Argon2Hasher(
            memory_cost=passwords.memory_cost,
            time_cost=passwords.time_cost,
            parallelism=passwords.parallelism,
            legacy=cast(LegacyHashSettings, settings[LegacyHashSettings]),
        )
        grants = [source for feature in self.features if (source := feature.grants())]
        users = UserStore(self.db, self.User, grants[0] if grants else None)
        session_settings = cast(SessionSettings, settings[SessionSettings])
        idle = jwt_extended.idle_lifetime(app) or session_settings.absolute_lifetime
        mail = cast(MailSettings, settings[MailSettings])
        packages = [__package__ or "flask_accounts", *(type(feature).__module__ for feature in self.features if feature.templates)]
        events = EventBus(self.db)
        events.attribute = attribute
        runtime = Runtime(
            db=self.db,
            settings=settings,
            schemas=self._book,
            users=users,
            sessions=SessionStore(users, self._models[SessionMixin], self._models[RevokedTokenMixin], session_settings, idle),
            events=events,
            hasher=BoundedHasher(hasher, concurrency=passwords.max_concurrent_hashes, patience=passwords.hash_patience),
            mail=MailRoom(mailer, events, app, mail),
            letters=Letters(app, mail, packages, [feature.mail_samples for feature in self.features]),
            one_time=self._one_time(app, users),
            clock=self._clock,
            debug=app.debug or app.testing,
            models=self._models,
            permissions={name: text for feature in self.features for name, text in feature.permissions.items()},
            openapi=self._openapi,
        )
        runtime.session_cache = open_cache(session_settings.cache.get_secret_value(), session_settings.cache_for, runtime.sessions)
        if runtime.session_cache:
            keep_true(runtime.session_cache, events, self.User)
        older = cast(TokenSettings, settings[TokenSettings]).previous_keys
        runtime.provide(AtRest, AtRest(app, cast(AtRestSettings, settings[AtRestSettings]), older))
        tokens = Tokens(runtime)
        runtime.key_ring = tokens.ring
        runtime.provide(Tokens, tokens)
        runtime.provide(LoginPipeline, LoginPipeline(runtime))
        runtime.provide(PendingSignIns, PendingSignIns(runtime))
        runtime.attach(
            password_checks=[length_check(passwords.min_length), common_check, likeness_check],
            export={"account": users.export, "sessions": runtime.sessions.export} | self._one_time_export(runtime),
            exporters=self._exporters,
        )
        for feature in self.features:
            for kind in feature.services:
                runtime.provide(kind, self._services.get(kind, kind)(runtime))
            for listener in feature.listeners(runtime):
                events.listen(listener)
            if key_source := feature.key_source(runtime):
                tokens.keep_keys_in(key_source)
            if acting := feature.acting(runtime):
                runtime.acting = acting
                runtime.sessions.heed_actors(acting.actor_session)
            runtime.attach(
                entry_checks=feature.entry_checks(runtime),
                entry_counts=feature.entry_counts(runtime),
                entry_passes=feature.entry_passes(runtime),
                sign_in_facts=feature.sign_in_facts(runtime),
                bars=feature.bars(runtime),
                restores=feature.restores(runtime),
                factors=feature.factors(runtime),
                factor_counts=feature.factor_counts(runtime),
                factor_passes=feature.factor_passes(runtime),
                proofs=feature.proofs(runtime),
                early_gates=feature.early_gates(runtime),
                gates=feature.gates(runtime),
                refresh_gates=feature.refresh_gates(runtime),
                challenge_methods=feature.challenge_methods(runtime),
                completions=feature.completions(runtime),
                resolvers=feature.resolvers(runtime),
                password_checks=feature.password_checks(runtime),
                slow_password_checks=feature.slow_password_checks(runtime),
                export={feature.name: partial(feature.export, runtime)} if _overrides(feature, "export") else {},
                ways_in={feature.name: partial(feature.is_way_in, runtime)} if _overrides(feature, "is_way_in") else {},
                claimable=[partial(feature.is_claimable, runtime)] if _overrides(feature, "is_claimable") else [],
                erase=partial(feature.erase, runtime),
                purge=partial(feature.purge, runtime),
                sealed=partial(feature.sealed, runtime),
                conceals_accounts=feature.conceals_accounts(runtime),
                email_change_needs_proof=feature.email_change_needs_proof(runtime),
            )
        runtime.attach(
            entry_checks=[limiter_check(self._limiter)] if self._limiter else [],
            gates=self._gates,
            resolvers=self._resolvers,
            password_checks=self._password_checks,
        )
        runtime.sessions.heed_factors([factor.since.column for factor in runtime.factors.values() if not factor.backup])
        for feature in self.features:
            feature.check(runtime)
        return runtime

    def _one_time_export(self, runtime: Runtime) -> dict[str, Callable[[Key], Any]]:
        if OneTimeTokenMixin not in self._models:
            return {}
        return {"one_time_tokens": lambda key: runtime.one_time.export(key) or None}

    def _one_time(self, app: Flask, users: UserStore) -> OneTimeStore | None:
        model = self._models.get(OneTimeTokenMixin)
        return OneTimeStore(users, model, _derived_key(app, b"one-time codes")) if model else None

    def _user_model(self, user_model: type[Any] | None, user_key: str) -> type[Any]:
        if user_model is None:
            if user_key not in ("int", "uuid7"):
                raise ConfigurationError(f"user_key={user_key!r}: the key is 'int' or 'uuid7'.")
            bases: tuple[type, ...] = (UserMixin, self.db.Model)
            if user_key == "uuid7":
                bases = (UuidKeyMixin, *bases)
            user_model = type("User", bases, {"__tablename__": "users", "__module__": __name__})
        check_user_model(user_model)
        if not any(sa.inspect(user_model).local_table.metadata is metadata for metadata in self.db.metadatas.values()):
            raise ConfigurationError(
                f"The user class {user_model.__name__} is not on this db. Write `class {user_model.__name__}(UserMixin, db.Model)` "
                "with the db that Accounts is given."
            )
        index_for_lists(user_model)
        return user_model

    def _build_models(self, own: dict[type, type]) -> dict[type, type]:
        tables = dict(CORE_TABLES)
        for feature in self.features:
            tables.update(feature.tables)
        models: dict[type, Any] = {}
        for mixin, name in tables.items():
            model = own.pop(mixin, None)
            if model is not None and not (isinstance(model, type) and issubclass(model, mixin)):
                raise ConfigurationError(
                    f"models={{{mixin.__name__}: {model!r}}}: the model must be a subclass of {mixin.__name__}."
                )
            mapped = model is not None and sa.inspect(model, raiseerr=False) is not None
            made = {known: built.__table__ for known, built in models.items()}
            models[mixin] = model if model and mapped else build_model(self.db, model or mixin, name, self._user_table, made)
        if own:
            names = ", ".join(sorted(mixin.__name__ for mixin in tables))
            raise ConfigurationError(f"models: there is no table of {next(iter(own)).__name__}. There are: {names}.")
        for feature in self.features:
            feature.models = {mixin: models[mixin] for mixin in feature.tables}
        return models

    # What the app serves

    def _routes(self) -> dict[str, list[Route]]:
        return {
            AUTH: [route for feature in self.features for route in feature.auth_routes],
            USERS: [route for feature in self.features for route in feature.users_routes],
        }

    def _well_known_routes(self) -> list[Route]:
        return [route for feature in self.features for route in feature.well_known_routes]

    def _mounted(self) -> list[Mounted]:
        """Every route where the current app serves it, wherever the host has registered the blueprints."""
        found = []
        for tag, routes in (("auth", self._routes()[AUTH]), ("users", self._routes()[USERS])):
            for rule in current_app.url_map.iter_rules():
                route = getattr(current_app.view_functions[rule.endpoint], ROUTE, None)
                if route is not None and any(route is own for own in routes):
                    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
                    blueprint = rule.endpoint.rpartition(".")[0].replace(".", "_").replace("accounts_", "")
                    found.append(Mounted(route, path.rstrip("/") or "/", tag, blueprint))
        return found

    def _openapi(self, *, title: str) -> dict[str, Any]:
        from . import __version__

        return document(
            self._mounted(),
            self._book,
            title=title,
            version=__version__,
            transport=transport(),
            server=request.root_path if has_request_context() else "",
            schemes=self._schemes(),
            acting=self.runtime.acting is not None,
            min_password=self.runtime.setting(PasswordSettings).min_length,
        )

    def _schemes(self) -> dict[str, Mapping[str, Any]] | None:
        """Security schemes of what acts for an account without its owner in person; None where nothing does."""
        if not self._resolvers and not any(feature.delegates for feature in self.features):
            return None
        return {name: scheme for feature in self.features for name, scheme in feature.security_schemes(self.runtime).items()}

    def _route_table(self) -> list[dict[str, str]]:
        return [
            {
                "method": item.route.method,
                "path": item.path,
                "access": access_text(item.route),
                "summary": (item.route.view.__doc__ or "").strip().partition("\n")[0],
            }
            for item in self._mounted()
        ]


def _overrides(feature: Feature, method: str) -> bool:
    return getattr(type(feature), method) is not getattr(Feature, method)


def _as_mailer(given: Mailer | Callable[[Message], object] | None) -> Mailer | None:
    return given if given is None or hasattr(given, "send") else CallableMailer(given)


def _derived_key(app: Flask, purpose: bytes) -> bytes:
    """A key for one purpose out of the app's secret, so that no two uses share one."""
    secret = app.config.get("JWT_SECRET_KEY") or app.secret_key or app.config.get("JWT_PRIVATE_KEY") or ""
    if not isinstance(secret, str | bytes):  # a private key may be an object
        raise ConfigurationError("Set SECRET_KEY: keys for codes and the like are derived from it.")
    material = secret.encode() if isinstance(secret, str) else secret
    return hmac.new(material, b"flask_accounts: " + purpose, hashlib.sha256).digest()
