"""Recovery codes: they stand in for a second factor that is lost, each once (ASVS 6.4.4, 6.5.1)."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

import sqlalchemy as sa

from ...core.errors import InvalidCredentials, ValidationError
from ...core.events import Client, Key, RecoveryCodeUsed
from ...core.factors import Factor
from ...core.feature import Service
from ...core.gates import Answer, Fact
from ...core.runtime import Runtime
from ...core.users import ACCOUNT, UserView
from .models import RecoveryCodeMixin
from .settings import MfaSettings

NAME = "recovery_code"
AMR = ("recovery_code",)
"""No value that RFC 8176 registers fits: `otp` is said of codes by RFC 4226 and 6238, and who asks for it asks for the authenticator app."""
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that is taken for a digit."""
GROUPS, LENGTH = 4, 6
"""A code is so many groups of so many characters: 120 bits."""
AS_READ = str.maketrans("OIL", "011", " -")


class RecoveryCodes(Service):
    """Makes, counts and takes recovery codes."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._table: sa.Table = runtime.model(RecoveryCodeMixin).__table__

    @property
    def factor(self) -> Factor:
        """The factor that they are: a backup, so that an account with nothing else has none."""
        c = self._table.c
        since = sa.select(sa.func.min(c.created_at)).where(c.user_id == sa.bindparam(ACCOUNT)).scalar_subquery()
        return Factor(NAME, Fact(since), self.prove, self.remove, backup=True, said="recovery_codes")

    def make(self, key: Key) -> list[str]:
        """New codes for an account, in the form to be shown; the older ones are void."""
        now = self.runtime.clock.now()
        self.remove(key)
        codes = [_new() for _ in range(self.runtime.setting(MfaSettings).recovery_codes)]
        rows = [{"user_id": key, "code_hash": _hash(code), "created_at": now} for code in codes]
        self.runtime.users.execute(sa.insert(self._table), rows)
        return codes

    def left(self, key: Key) -> int:
        """How many an account has."""
        counted = sa.select(sa.func.count()).select_from(self._table).where(self._table.c.user_id == key)
        number: int = self.runtime.users.execute(counted).scalar_one()
        return number

    def made_at(self, key: Key) -> datetime | None:
        """When an account's codes were made; None if it has none."""
        found: datetime | None = self.runtime.users.execute(
            sa.select(sa.func.min(self._table.c.created_at)).where(self._table.c.user_id == key)
        ).scalar_one()
        return found

    def prove(self, user: UserView, answer: Answer, client: Client) -> tuple[str, ...]:
        """Use up a code. `InvalidCredentials` if the account has no such code (any more)."""
        if answer.code is None:
            raise ValidationError.one("code", "missing", "Field required")
        here = sa.and_(self._table.c.user_id == user.key, self._table.c.code_hash == _hash(answer.code))
        if not self.runtime.users.execute(sa.delete(self._table).where(here)).rowcount:
            raise InvalidCredentials
        now, left = self.runtime.clock.now(), self.left(user.key)
        self.runtime.events.emit(RecoveryCodeUsed(user_id=user.key, actor_id=user.key, client=client, at=now, left=left))
        return AMR

    def remove(self, key: Key) -> bool:
        """Void an account's codes; whether there were any."""
        return bool(self.runtime.users.execute(sa.delete(self._table).where(self._table.c.user_id == key)).rowcount)


def _new() -> str:
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(LENGTH)) for _ in range(GROUPS))
    return "-".join(groups)


def _hash(code: str) -> str:
    """The digest of a code however it is typed: in small letters, without hyphens, with O for 0."""
    return hashlib.sha256(code.upper().translate(AS_READ).encode()).hexdigest()
