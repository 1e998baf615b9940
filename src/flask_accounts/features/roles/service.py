"""Roles, their permissions, and who has them. Nobody gives what he does not hold; somebody always administers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_jsonable_python
from sqlalchemy.exc import IntegrityError

from ...core.errors import FieldProblem, LastAdministrator, NotFound, PermissionDenied, RoleExists, RoleProtected, ValidationError
from ...core.events import Client, Key, RoleDeleted, RoleSaved, RolesChanged
from ...core.feature import Service
from ...core.identity import Principal
from ...core.listing import Members
from ...core.runtime import Runtime
from ...core.users import UserView
from .models import RoleMixin, UserRoleMixin
from .settings import RoleSettings

ROLE_NAME: re.Pattern[str] = re.compile(r"^[a-z0-9][a-z0-9_.-]{0,63}$")
"""What the name of a new role is like."""


@dataclass(frozen=True)
class Role:
    """A role's values."""

    name: str
    description: str
    permissions: tuple[str, ...]


class RoleService(Service):
    """Create, change and grant roles. `user` is an object of the user class, or a key."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._roles: sa.Table = runtime.model(RoleMixin).__table__
        self._granted: sa.Table = runtime.model(UserRoleMixin).__table__
        self.admin_role: str = runtime.setting(RoleSettings).admin_role

    # Roles

    def all(self) -> list[Role]:
        """Every role, by name."""
        rows = self._execute(sa.select(self._roles).order_by(self._roles.c.name)).mappings()
        return [_role(row) for row in rows]

    def get(self, name: str) -> Role:
        """The role of this name, or `NotFound`."""
        row = self._execute(sa.select(self._roles).where(self._roles.c.name == name)).mappings().first()
        if row is None or row["name"] != name:  # MariaDB takes a blank at the end for none
            raise NotFound(f"There is no role {name!r}.")
        return _role(row)

    def create(self, name: str, *, permissions: Iterable[str] = (), description: str = "", actor: Principal | None = None) -> Role:
        """A new role. `RoleExists`; `ValidationError` for an unknown permission; `PermissionDenied` beyond the actor's own."""
        if actor is not None and name == self.admin_role:
            raise RoleProtected  # made by commands and host code alone: a weak one would pass for the real one
        words = self._checked(permissions, actor)
        now = self.runtime.clock.now()
        values = {"name": name, "description": description, "permissions": " ".join(words), "created_at": now, "updated_at": now}
        try:
            self._execute(sa.insert(self._roles).values(values))
        except IntegrityError:
            self.runtime.db.session.rollback()
            raise RoleExists from None
        self.runtime.events.emit(RoleSaved(actor_id=actor.user_id if actor else None, at=now, role=name, permissions=words))
        return Role(name, description, words)

    def update(
        self, name: str, *, permissions: Iterable[str] | None = None, description: str | None = None, actor: Principal | None = None
    ) -> Role:
        """Change a role. The actor must hold what it gives and what it gave. `RoleProtected` for the administrators' permissions."""
        role = self.get(name)
        if permissions is not None and role.name == self.admin_role:
            raise RoleProtected
        words = role.permissions if permissions is None else self._checked(permissions, actor)
        self._require_role(role, actor)
        text = role.description if description is None else description
        now = self.runtime.clock.now()
        changes = {"permissions": " ".join(words), "description": text, "updated_at": now}
        self._execute(sa.update(self._roles).where(self._roles.c.name == name).values(changes))
        self.runtime.events.emit(RoleSaved(actor_id=actor.user_id if actor else None, at=now, role=name, permissions=words))
        return Role(name, text, words)

    def delete(self, name: str, *, actor: Principal | None = None) -> None:
        """Delete a role and every grant of it. `RoleProtected` for the administrators' own."""
        role = self.get(name)
        if role.name == self.admin_role:
            raise RoleProtected
        self._require_role(role, actor)
        role_id = sa.select(self._roles.c.id).where(self._roles.c.name == name).scalar_subquery()
        self._execute(sa.delete(self._granted).where(self._granted.c.role_id == role_id))
        self._execute(sa.delete(self._roles).where(self._roles.c.name == name))
        self.runtime.events.emit(RoleDeleted(actor_id=actor.user_id if actor else None, at=self.runtime.clock.now(), role=name))

    def ensure_admin_role(self) -> Role:
        """The administrators' role, made if it is not there yet."""
        try:
            return self.get(self.admin_role)
        except NotFound:
            return self.create(self.admin_role, permissions=("*",), description="Administers accounts.")

    # Grants

    def of(self, user: Any) -> list[str]:
        """Names of the account's roles, or `NotFound`."""
        return self._view(user).roles

    def grant(self, user: Any, *names: str, actor: Principal | None = None, client: Client | None = None) -> None:
        """Add roles to an account. The administrators' role is made if need be when host code or a command grants it."""
        held = self._view(user).roles
        self.set(user, [*held, *names], actor=actor, client=client)

    def revoke(self, user: Any, *names: str, actor: Principal | None = None, client: Client | None = None) -> None:
        """Take roles from an account. `LastAdministrator` if nobody would be left to administer."""
        held = self._view(user).roles
        self.set(user, [name for name in held if name not in names], actor=actor, client=client)

    def set(self, user: Any, names: Sequence[str], *, actor: Principal | None = None, client: Client | None = None) -> list[str]:
        """Give an account exactly these roles. An actor changes only roles whose permissions he holds (`PermissionDenied`)."""
        view = self._view(user)
        wanted, held = set(names), set(view.roles)
        if actor is None and self.admin_role in wanted - held:
            self.ensure_admin_role()
        changed = self._by_name(wanted ^ held)
        for role in changed.values():
            self._require_role(role[1], actor)
        if self.admin_role in held - wanted:
            self.keep_an_administrator(view)
        now = self.runtime.clock.now()
        lost = [changed[name][0] for name in held - wanted]
        if lost:
            self._execute(sa.delete(self._granted).where(self._granted.c.user_id == view.key, self._granted.c.role_id.in_(lost)))
        new = [{"user_id": view.key, "role_id": changed[name][0], "granted_at": now} for name in sorted(wanted - held)]
        if new:
            self._execute(sa.insert(self._granted), new)
        if lost or new:
            self.runtime.events.emit(
                RolesChanged(
                    user_id=view.key, actor_id=actor.user_id if actor else None, client=client, at=now,
                    granted=tuple(sorted(wanted - held)), revoked=tuple(sorted(held - wanted)),
                )
            )  # fmt: skip
        return sorted(wanted)

    def names(self) -> frozenset[str]:
        """Names of every role there is."""
        return frozenset(self._execute(sa.select(self._roles.c.name)).scalars())

    def grant_many(self, grants: Iterable[tuple[Key, str]]) -> None:
        """Roles for many new accounts at once, by key and by the name of a role there is. No event: who makes the accounts tells of it."""
        roles = self._execute(sa.select(self._roles.c.id, self._roles.c.name)).mappings()
        ids = {row["name"]: row["id"] for row in roles}
        now = self.runtime.clock.now()
        rows = [{"user_id": key, "role_id": ids[name], "granted_at": now} for key, name in grants]
        if rows:
            self._execute(sa.insert(self._granted), rows)

    def may_grant(self, names: Iterable[str], actor: Principal | None) -> None:
        """Raise `ValidationError` for a role that is not there, `PermissionDenied` for one that the actor may not grant."""
        wanted = set(names)
        if actor is None:
            wanted.discard(self.admin_role)  # made when it is granted
        for _, role in self._by_name(wanted).values():
            self._require_role(role, actor)

    def grantable(self, names: Iterable[str], actor: Principal | None) -> list[str]:
        """Those of the roles that are there and that the actor may grant, sorted."""
        wanted = set(names)
        found = {name for name, (_, role) in self._found(wanted).items() if self._may_give(role, actor)}
        made = {self.admin_role} & wanted if actor is None else set()
        return sorted(found | made)

    def keep_an_administrator(self, user: UserView) -> None:
        """Raise `LastAdministrator` if nobody else who is active has the administrators' role.

        Call it before taking the role, the account's activity or the account away. The role's row is
        written first: that lock lets only one such change run at a time, so two administrators who
        remove each other at once cannot both succeed.
        """
        if self.admin_role not in user.roles or not user.is_active:
            return
        users, now = self.runtime.users, self.runtime.clock.now()
        self._execute(sa.update(self._roles).where(self._roles.c.name == self.admin_role).values(updated_at=now))
        # A locking read: it sees the newest rows also where the transaction has an older snapshot.
        other = (
            sa.select(self._granted.c.user_id)
            .join(self._roles, self._roles.c.id == self._granted.c.role_id)
            .join(users.table, users.key_column == self._granted.c.user_id)
            .where(self._roles.c.name == self.admin_role, users.c["is_active"].is_(True), users.key_column != user.key)
            .limit(1)
            .with_for_update(of=self._granted)
        )
        if self._execute(other).first() is None:
            raise LastAdministrator

    def may_act_on(self, actor: Principal, user: UserView) -> None:
        """Raise `PermissionDenied` if the account may do more than the actor: power is not gained by editing its holder."""
        self._require_held(user.permissions, actor)

    def members(self, name: str) -> sa.ColumnElement[bool]:
        """The condition that an account has the role."""
        members = self.membership(name)
        return self.runtime.users.key_column.in_(sa.select(members.user_id).where(members.where))

    def membership(self, name: str) -> Members:
        """The accounts that have the role, for lists."""
        role = sa.select(self._roles.c.id).where(self._roles.c.name == name).scalar_subquery()
        return Members(self._granted.c.user_id, self._granted.c.role_id == role)

    def erase(self, user: Any) -> None:
        """Take every role from an account that is being deleted."""
        self._execute(sa.delete(self._granted).where(self._granted.c.user_id == self.runtime.users.key_of(user)))

    def export(self, user: Any) -> list[dict[str, Any]]:  # JSON values
        """The account's roles, and since when it has them."""
        granted, roles = self._granted, self._roles
        statement = (
            sa.select(roles.c.name, roles.c.description, granted.c.granted_at)
            .join(roles, roles.c.id == granted.c.role_id)
            .where(granted.c.user_id == self.runtime.users.key_of(user))
            .order_by(roles.c.name)
        )
        exported: list[dict[str, Any]] = to_jsonable_python([dict(row) for row in self._execute(statement).mappings()])
        return exported

    def known_permissions(self) -> dict[str, str]:
        """Every permission there is, and what it allows."""
        own = dict.fromkeys(self.runtime.setting(RoleSettings).permissions, "Asked for by the application.")
        return {"*": "Everything.", **self.runtime.permissions, **own}

    def _checked(self, permissions: Iterable[str], actor: Principal | None) -> tuple[str, ...]:
        words, known = sorted(set(permissions)), self.known_permissions()
        unknown = [
            FieldProblem("permissions", "permission_unknown", f"There is no permission {word!r}.")
            for word in words
            if word not in known
        ]
        if unknown:
            raise ValidationError(unknown)
        self._require_held(words, actor)
        return tuple(words)

    def _require_role(self, role: Role, actor: Principal | None) -> None:
        """Insist that the actor holds what `role` gives; a role without permissions is asked for by its name, so it must be held itself."""
        if not self._may_give(role, actor):
            what = "permissions" if role.permissions else "a role"
            raise PermissionDenied(f"This takes {what} that you do not have yourself.")

    def _may_give(self, role: Role, actor: Principal | None) -> bool:
        if actor is None or role.permissions:
            return _holds(actor, role.permissions)
        return actor.has_role(role.name) or actor.can("*")

    def _require_held(self, permissions: Iterable[str], actor: Principal | None) -> None:
        if not _holds(actor, permissions):
            raise PermissionDenied("This takes permissions that you do not have yourself.")

    def _by_name(self, names: AbstractSet[str]) -> dict[str, tuple[int, Role]]:
        found = self._found(names)
        missing = sorted(names - set(found))
        if missing:
            raise ValidationError([FieldProblem("roles", "role_unknown", f"There is no role {name!r}.") for name in missing])
        return found

    def _found(self, names: AbstractSet[str]) -> dict[str, tuple[int, Role]]:
        rows = self._execute(sa.select(self._roles).where(self._roles.c.name.in_(names))).mappings().all() if names else []
        # MariaDB takes a blank at the end for none.
        return {row["name"]: (row["id"], _role(row)) for row in rows if row["name"] in names}

    def _view(self, user: Any) -> UserView:
        view = user if isinstance(user, UserView) else self.runtime.users.view(self.runtime.users.key_of(user))
        if view is None:
            raise NotFound
        return view

    def _execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        return self.runtime.users.execute(statement, parameters)


def _holds(actor: Principal | None, permissions: Iterable[str]) -> bool:
    return actor is None or all(actor.can(word) for word in permissions)


def _role(row: sa.RowMapping) -> Role:
    return Role(row["name"], row["description"], tuple(row["permissions"].split()))
