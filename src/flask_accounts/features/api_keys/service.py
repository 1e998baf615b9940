"""Making keys, finding out whose they are, and ending them.

A key acts for its owner within its scopes, and never beyond what the owner may do at that moment: both are read with each request, in
one statement, as a session is. It is no session: what a person proves presence for is closed to it, by the kind of its principal.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

import sqlalchemy as sa
from pydantic_core import to_jsonable_python

from ...core.direct import DirectRead, Row
from ...core.errors import (
    ApiKeyLimit,
    FieldProblem,
    InvalidToken,
    NotFound,
    PermissionDenied,
    TokenExpired,
    TokenRevoked,
    ValidationError,
)
from ...core.events import ApiKeyCreated, ApiKeyRefused, ApiKeyRevoked, Client, Key
from ...core.feature import Service
from ...core.identity import Principal
from ...core.models import UtcDateTime, uuid7
from ...core.runtime import Runtime
from ...core.users import UserView
from ..limits.service import LimitService
from ..roles.service import RoleService
from .models import MAX_LIMIT, MAX_NAME, ApiKeyMixin
from .secret import digest, hint_of, is_formed, new_secret
from .settings import ApiKeySettings

KIND = "api_key"
"""The kind of a key's principal."""
ACTION = "api_key"
"""What its uses are counted as."""
ROLE = "role:"
"""How a scope begins that lets a key pass where a view asks for a role by its name."""
EXACT = timedelta(minutes=1)
"""How exact `last_used_at` is: so often it is written at most."""
KEPT = timedelta(days=30)
"""How long a key is still listed that has expired."""
MAX_SCOPES, MAX_NETWORKS = 100, 50

_READ = ("id", "scopes", "networks", "rate_limit", "expires_at", "last_used_at")
_SHOWN = ("id", "name", "hint", "scopes", "networks", "rate_limit", "created_at", "expires_at", "last_used_at", "last_used_ip")


@dataclass(frozen=True)
class ApiKey:
    """A key as its owner sees it."""

    id: UUID
    name: str
    hint: str
    """How it begins."""
    scopes: tuple[str, ...]
    networks: tuple[str, ...]
    """Where it may be used from; anywhere if there is none."""
    limit: str | None
    """How often it may be used, beside what the app says."""
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = None
    """To within a minute."""
    last_used_ip: str | None = None


@dataclass(frozen=True)
class NewApiKey:
    """A key that was just made. `secret` is the key itself: it is nowhere else, and never to be had again."""

    key: ApiKey
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Use:
    """Who calls by a key, and when it was used last."""

    principal: Principal
    last_used_at: datetime | None


class ApiKeyService(Service):
    """API keys of accounts; `user` is an object of the user class, a view or a key. Nothing here commits but a refusal that is remembered."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._table: sa.Table = runtime.model(ApiKeyMixin).__table__
        self._by_hash = DirectRead(self._select())

    @property
    def settings(self) -> ApiKeySettings:
        """The feature's settings."""
        return self.runtime.setting(ApiKeySettings)

    def _select(self) -> sa.Select[Any]:
        users, table = self.runtime.users, self._table
        own = [table.c[name].label(f"k_{name}") for name in _READ]
        source = table.join(users.table, users.key_column == table.c.user_id)
        joined = sa.select(*own, *users.columns()).select_from(users.joined(source, users.key_column))
        return joined.where(table.c.key_hash == sa.bindparam("key_hash", type_=sa.String()))

    # Using

    def authenticate(self, secret: str, client: Client) -> Use:
        """Who calls by the key `secret`: one statement, and one more where its uses are counted.

        Raises `InvalidToken` for what is no key (without asking the database if its checksum is wrong) or was revoked or is used from
        elsewhere than it may be, `TokenExpired`, `TokenRevoked` where its owner is switched off, `TooManyRequests`.
        """
        runtime = self.runtime
        rows = runtime.users.fetch_all(self._by_hash, {"key_hash": digest(secret)}) if self.could_be(secret) else ()
        if not rows:
            raise InvalidToken
        row, view, now = rows[0], runtime.users.read(rows), runtime.clock.now()
        if row["k_expires_at"] is not None and row["k_expires_at"] <= now:
            raise TokenExpired
        if not view.is_active:
            raise TokenRevoked
        key_id: UUID = row["k_id"]
        if row["k_networks"] and not _within(client.address, row["k_networks"].split()):
            self._refuse_network(view.key, key_id, client)
        limits = [text for text in (self.settings.limit, row["k_rate_limit"]) if text]
        if limits:
            runtime.get(LimitService).hit(ACTION, key_id.hex, limits, client, user_id=view.key)
        return Use(_principal(view, key_id, row), row["k_last_used_at"])

    def could_be(self, secret: str) -> bool:
        """Whether `secret` has the form of a key, its checksum included."""
        return is_formed(secret, self.settings.prefixes)

    def note_use(self, key_id: UUID, client: Client, now: datetime) -> None:
        """Write when and from where a key was used, unless somebody has within the last minute. In a transaction of its own."""
        c = self._table.c
        due = sa.or_(c.last_used_at.is_(None), c.last_used_at <= now - EXACT)
        values = {"last_used_at": now, "last_used_ip": (client.address or "")[:45] or None}
        write = sa.update(self._table).where(c.id == key_id, due).values(values)
        self.runtime.aside.run(lambda connection: connection.execute(write))

    def _refuse_network(self, key: Key, key_id: UUID, client: Client) -> NoReturn:
        runtime = self.runtime
        runtime.db.session.rollback()  # it may be found out in the middle of a view
        runtime.events.emit(ApiKeyRefused(user_id=key, client=client, at=runtime.clock.now(), key_id=key_id, reason="network"))
        runtime.commit()
        raise InvalidToken("This key may not be used from here.")

    # Making

    def create(
        self,
        user: Any,
        name: str,
        *,
        scopes: Sequence[str] = (),
        expires_at: datetime | None = None,
        endless: bool = False,
        networks: Sequence[str] = (),
        limit: str | None = None,
        actor: Principal | None = None,
        session_id: UUID | None = None,
        client: Client | None = None,
    ) -> NewApiKey:
        """A new key of an account, good until `expires_at`; if that is left out, for `ACCOUNTS_API_KEYS_LIFETIME`, or `endless`.

        `scopes` are permissions that the owner has, `role:<name>` for roles by which views ask, `*` for all where the owner has that.
        `networks`: addresses and networks it may be used from. `limit`: how often, such as `100/minute`. `actor`: who makes it, if he
        need not be trusted; for another account he must hold all that it may do. `session_id`: the session that has to be alive still.

        Raises `ValidationError`, `PermissionDenied`, `ApiKeyLimit`, `NotFound` (also where the account is switched off),
        `TokenRevoked` where the session has ended. The owner is told by mail.
        """
        runtime, now = self.runtime, self.runtime.clock.now()
        found = runtime.users.locked(runtime.users.key_of(user))
        if found is None or not found[0].is_active:
            raise NotFound
        view = found[0]
        self._may_make(view, scopes, actor)
        values = self._checked(view, name, scopes, networks, limit, self._end(now, expires_at, endless=endless), now)
        secret = new_secret(self.settings.key_prefix)
        key = ApiKey(id=uuid7(now), hint=hint_of(secret), created_at=now, **values)
        self._insert(view.key, key, digest(secret), session_id, now)
        runtime.events.emit(
            ApiKeyCreated(
                user_id=view.key, actor_id=actor.user_id if actor else None, client=client, at=now, key_id=key.id, label=key.name,
                scopes=key.scopes, networks=key.networks, expires_at=key.expires_at,
            )
        )  # fmt: skip
        self._tell(view, key, client)
        return NewApiKey(key, secret)

    def _may_make(self, view: UserView, scopes: Sequence[str], actor: Principal | None) -> None:
        """Nobody gets more power by a key than he has."""
        if actor is None or actor.user_id == view.key:
            return
        self.runtime.get(RoleService).may_act_on(actor, view)
        roles = {scope.removeprefix(ROLE) for scope in scopes if scope.startswith(ROLE)}
        if not all(actor.has_role(role) or actor.can("*") for role in roles):
            raise PermissionDenied("This takes a role that you do not have yourself.")

    def _end(self, now: datetime, expires_at: datetime | None, *, endless: bool) -> datetime | FieldProblem | None:
        most = self.settings.max_lifetime
        if endless:
            return (
                None
                if most is None
                else FieldProblem("expires_at", "expiry_missing", f"A key is good for {most.days} days at most.")
            )
        if expires_at is None:
            return now + self.settings.lifetime
        if expires_at.tzinfo is None or expires_at <= now:
            return FieldProblem("expires_at", "expiry_past", "Give a time to come, with its zone.")
        if most is not None and expires_at > now + most:
            return FieldProblem("expires_at", "expiry_late", f"A key is good for {most.days} days at most.")
        return expires_at

    def _checked(
        self,
        view: UserView,
        name: str,
        scopes: Sequence[str],
        networks: Sequence[str],
        limit: str | None,
        end: datetime | FieldProblem | None,
        now: datetime,
    ) -> dict[str, Any]:
        """The values of a key, or every problem with them at once."""
        problems: list[FieldProblem] = [end] if isinstance(end, FieldProblem) else []
        name = name.strip()
        if not name or len(name) > MAX_NAME or not name.isprintable():
            problems.append(FieldProblem("name", "name_invalid", f"Give a name of at most {MAX_NAME} characters that can be read."))
        words = tuple(sorted(set(scopes)))
        problems += self._scope_problems(view, words)
        places: list[str] = []
        for network in dict.fromkeys(networks):
            try:
                places.append(str(ipaddress.ip_network(network)))
            except ValueError:
                problems.append(FieldProblem("networks", "network_invalid", f"{network[:50]!r} is no address or network."))
        if len(places) > MAX_NETWORKS:
            problems.append(FieldProblem("networks", "network_many", f"Give {MAX_NETWORKS} networks at most."))
        if limit is not None and (len(limit) > MAX_LIMIT or not self.runtime.get(LimitService).fits(limit)):
            problems.append(FieldProblem("limit", "limit_invalid", "Give a limit such as 100/minute."))
        if problems:
            raise ValidationError(problems)
        return {"name": name, "scopes": words, "networks": tuple(dict.fromkeys(places)), "limit": limit, "expires_at": end}

    def _scope_problems(self, view: UserView, scopes: Sequence[str]) -> list[FieldProblem]:
        if len(scopes) > MAX_SCOPES:
            return [FieldProblem("scopes", "scope_many", f"Give {MAX_SCOPES} scopes at most.")]
        known = self.runtime.get(RoleService).known_permissions()
        problems = []
        for scope in scopes:
            if scope.startswith(ROLE) and scope not in known:
                if scope.removeprefix(ROLE) not in view.roles:
                    problems.append(
                        FieldProblem("scopes", "scope_not_held", f"The account does not have the role of {scope[:80]!r}.")
                    )
            elif scope not in known:
                problems.append(FieldProblem("scopes", "scope_unknown", f"There is no permission {scope[:80]!r}."))
            elif scope not in view.permissions and "*" not in view.permissions:
                problems.append(FieldProblem("scopes", "scope_not_held", f"The account does not have the permission {scope!r}."))
        return problems

    def _insert(self, owner: Key, key: ApiKey, key_hash: str, session_id: UUID | None, now: datetime) -> None:
        """One conditional INSERT decides: a key is made while its session lives, and no more than there may be."""
        users, table = self.runtime.users, self._table
        row = {
            "id": key.id, "user_id": owner, "name": key.name, "key_hash": key_hash, "hint": key.hint,
            "scopes": " ".join(key.scopes), "networks": " ".join(key.networks), "rate_limit": key.limit,
            "created_at": key.created_at, "expires_at": key.expires_at,
        }  # fmt: skip
        fits = [
            users.key_column == owner,
            users.c["is_active"].is_(True),
            self._live_count(owner, now) < self.settings.max_per_user,
        ]
        if session_id is not None:
            fits.append(self.runtime.sessions.is_open(session_id))
        values = sa.select(*(sa.literal(value, table.c[name].type) for name, value in row.items())).where(*fits)
        insert = sa.insert(table).from_select(list(row), values)
        if users.execute(insert.execution_options(preserve_rowcount=True)).rowcount:
            return
        if session_id is not None and not users.execute(sa.select(self.runtime.sessions.is_open(session_id))).scalar():
            raise TokenRevoked
        raise ApiKeyLimit

    def _live_count(self, owner: Key, now: datetime) -> sa.ScalarSelect[int]:
        c = self._table.c
        live = sa.or_(c.expires_at.is_(None), c.expires_at > sa.literal(now, UtcDateTime()))
        return sa.select(sa.func.count()).select_from(self._table).where(c.user_id == owner, live).scalar_subquery()

    def _tell(self, view: UserView, key: ApiKey, client: Client | None) -> None:
        # Not by its name: whoever has got in for a moment could write into a mail of ours with it.
        runtime, settings = self.runtime, self.settings
        if settings.notice and runtime.mail.available:
            link = runtime.letters.link(settings.link_path) if settings.link_path else None
            day = f"{key.expires_at:%Y-%m-%d}" if key.expires_at else None
            runtime.write("api_key_created", view, client=client, hint=key.hint, day=day, link=link)

    # Seeing and ending

    def of(self, user: Any) -> list[ApiKey]:
        """The account's keys, newest first, with those that have expired within the last month."""
        table = self._table
        statement = sa.select(*(table.c[name] for name in _SHOWN)).where(table.c.user_id == self.runtime.users.key_of(user))
        return [_api_key(row) for row in self.runtime.users.execute(statement.order_by(table.c.id.desc())).mappings()]

    def revoke(self, user: Any, key_id: UUID, *, actor_id: Key | None = None, client: Client | None = None) -> None:
        """End one key of the account, at once; `NotFound` if it has no such key."""
        owner, now = self.runtime.users.key_of(user), self.runtime.clock.now()
        gone = sa.delete(self._table).where(self._table.c.id == key_id, self._table.c.user_id == owner)
        if not self.runtime.users.execute(gone).rowcount:
            raise NotFound
        self.runtime.events.emit(
            ApiKeyRevoked(user_id=owner, actor_id=actor_id, client=client, at=now, key_id=key_id, reason="revoked")
        )

    def revoke_all(self, user: Any, *, reason: str = "revoked", actor_id: Key | None = None, client: Client | None = None) -> int:
        """End every key of the account, at once; returns how many there were."""
        owner, now, table = self.runtime.users.key_of(user), self.runtime.clock.now(), self._table
        gone, users = sa.delete(table).where(table.c.user_id == owner), self.runtime.users
        if users.dialect.delete_returning:
            ids = users.execute(gone.returning(table.c.id)).scalars().all()
        else:  # MySQL
            ids = users.execute(sa.select(table.c.id).where(table.c.user_id == owner).with_for_update()).scalars().all()
            users.execute(gone)
        for key_id in ids:
            self.runtime.events.emit(
                ApiKeyRevoked(user_id=owner, actor_id=actor_id, client=client, at=now, key_id=key_id, reason=reason)
            )
        return len(ids)

    def erase(self, key: Key) -> None:
        """Forget the keys of an account that is being deleted."""
        self.runtime.users.execute(sa.delete(self._table).where(self._table.c.user_id == key))

    def export(self, key: Key) -> list[dict[str, Any]] | None:  # JSON values
        """The account's keys as far as they are kept, and nothing by which they could be used; None for none."""
        exported: list[dict[str, Any]] = to_jsonable_python(self.of(key))
        return exported or None

    def purge(self) -> int:
        """Delete the keys that expired more than a month ago; returns how many."""
        over = self._table.c.expires_at <= self.runtime.clock.now() - KEPT
        return self.runtime.users.execute(sa.delete(self._table).where(over)).rowcount


def _principal(view: UserView, key_id: UUID, row: Row) -> Principal:
    """The owner's power, as far as the key's scopes go."""
    scopes = frozenset(row["k_scopes"].split())
    if "*" in scopes:
        roles, permissions = frozenset(view.roles), view.permissions
    else:
        roles = frozenset(role for role in view.roles if ROLE + role in scopes)
        permissions = scopes if "*" in view.permissions else scopes & view.permissions
    return Principal(view.key, view, roles, permissions, kind=KIND, credential_id=key_id)


def _within(address: str | None, networks: Sequence[str]) -> bool:
    """Whether a client's address is in one of `networks`; what is no address is in none."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in ipaddress.ip_network(network) for network in networks)


def _api_key(row: sa.RowMapping) -> ApiKey:
    values = {name: row[name] for name in _SHOWN if name not in ("scopes", "networks", "rate_limit")}
    return ApiKey(**values, scopes=tuple(row["scopes"].split()), networks=tuple(row["networks"].split()), limit=row["rate_limit"])
