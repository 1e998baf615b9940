"""Accounts that programs use and nobody signs in to: no password, no address that mail could reach, and a bar before every way in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_jsonable_python

from ...core.errors import EmailTaken, UsernameTaken, ValidationError
from ...core.events import Client, Key, ServiceAccountCreated, UserRegistered
from ...core.feature import Service
from ...core.gates import Fact, LoginAttempt
from ...core.identity import Principal
from ...core.policies import check_username, folded
from ...core.runtime import Runtime
from ...core.users import ACCOUNT, UserView
from ..roles.service import RoleService
from .models import ServiceAccountMixin

FACT = "service_account"
DOMAIN = "service-account.invalid"
"""Nobody reads mail there, and nobody registers such an address (RFC 2606, RFC 6761 section 6.4)."""
MAX_LISTED = 1000


@dataclass(frozen=True)
class ServiceAccount:
    """A program's account."""

    id: Key
    name: str
    description: str
    is_active: bool
    created_at: datetime


class ServiceAccountService(Service):
    """Makes, knows and lists accounts of programs. Their roles are granted, and they are switched off and deleted, as all others."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._table: sa.Table = runtime.model(ServiceAccountMixin).__table__

    def create(
        self, name: str, *, description: str = "", roles: Sequence[str] = (), actor: Principal | None = None,
        client: Client | None = None, **fields: Any,
    ) -> UserView:  # fmt: skip
        """A new account for a program; `name` is its username, `fields` are columns of the host's own.

        Raises `ValidationError`, `UsernameTaken`, `PermissionDenied` for roles that the actor may not grant.
        """
        runtime, now = self.runtime, self.runtime.clock.now()
        try:
            name = check_username(name)
        except ValueError as error:
            raise ValidationError.one("name", "name_invalid", str(error)) from None
        email = f"{folded(name)}@{DOMAIN}"
        try:
            user = runtime.users.add(
                runtime.users.model(email=email, username=name, is_active=True, created_at=now, updated_at=now, **fields)
            )
        except EmailTaken:  # it comes from the name
            raise UsernameTaken from None
        key, actor_id = runtime.users.key_of(user), actor.user_id if actor else None
        runtime.users.execute(sa.insert(self._table).values(user_id=key, description=description, created_at=now))
        runtime.events.emit(UserRegistered(user_id=key, actor_id=actor_id, client=client, at=now, email=email))
        runtime.events.emit(ServiceAccountCreated(user_id=key, actor_id=actor_id, client=client, at=now))
        if roles:
            runtime.get(RoleService).set(key, list(roles), actor=actor, client=client)
        view = runtime.users.view(key)
        assert view is not None  # noqa: S101  # made just now, in this transaction
        return view

    def is_one(self, user: Any) -> bool:
        """Whether the account is a program's. `user` is an object of the user class, a view or a key."""
        here = self._table.c.user_id == self.runtime.users.key_of(user)
        return self.runtime.users.execute(sa.select(self._table.c.user_id).where(here)).first() is not None

    def all(self) -> list[ServiceAccount]:
        """Every account of a program, oldest first; the first thousand."""
        users, table = self.runtime.users, self._table
        columns = (users.key_column, users.c["username"], table.c.description, users.c["is_active"], table.c.created_at)
        statement = (
            sa.select(*columns).join(table, table.c.user_id == users.key_column).order_by(users.key_column).limit(MAX_LISTED)
        )
        return [ServiceAccount(*row) for row in users.execute(statement)]

    # The ways in

    def fact(self) -> Fact:
        """Whether the account is a program's, read with the account."""
        return Fact(sa.exists(sa.select(self._table.c.user_id).where(self._table.c.user_id == sa.bindparam(ACCOUNT))))

    def bar(self, attempt: LoginAttempt) -> bool:
        """Nobody signs in to a program's account."""
        return bool(attempt.facts[FACT])

    # The life of rows

    def erase(self, key: Key) -> None:
        """Forget an account that is being deleted."""
        self.runtime.users.execute(sa.delete(self._table).where(self._table.c.user_id == key))

    def export(self, key: Key) -> dict[str, Any] | None:  # JSON values
        """What makes the account a program's; None if it is none."""
        c = self._table.c
        row = self.runtime.users.execute(sa.select(c.description, c.created_at).where(c.user_id == key)).mappings().first()
        exported: dict[str, Any] | None = to_jsonable_python(dict(row)) if row is not None else None
        return exported
