"""A provider's own tokens, kept for an app that asks for them: sealed at rest, refreshed one at a time, and gone with their identity.

Off by default: what is not kept cannot be stolen. Where a `Provider` says `store_tokens=True`, the tokens of a sign-in or of a link wait,
sealed, beside the code that the front end exchanges, and are kept with the identity that this leads to. Whoever asks for an access token
gets one that is good for a while. One that has expired is exchanged at the provider by one caller at a time: many providers have a refresh token
used once only, and take a second use for theft (RFC 9700 section 4.14.2). What came of it is committed at once, beside the caller's
transaction, because the provider does not take it back.
"""

from __future__ import annotations

import functools
import json
import logging
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic_core import to_jsonable_python

from ...core.aside import Overtaken
from ...core.at_rest import AtRest, Unreadable, Vault
from ...core.errors import NotFound, ProviderConsentRequired, ServiceUnavailable
from ...core.feature import Service
from ...core.runtime import Runtime
from ...core.sealed_columns import SealedColumn
from ...core.upserts import insert_into, on_conflict
from .client import Granted, GrantOver, ProviderClient
from .models import IdentityMixin, ProviderTokensMixin
from .settings import OidcSettings

logger: logging.Logger = logging.getLogger("flask_accounts.oidc")

NAME = "provider_tokens"
"""The vault's purpose."""
MARGIN = timedelta(seconds=30)
"""How long an access token that is given out is good at least, where its provider says how long."""
PAUSE = 0.05
"""Seconds between two looks at whether somebody else is done with refreshing."""


@dataclass(frozen=True)
class ProviderToken:
    """An access token of a provider, to ask its API with."""

    access_token: str = field(repr=False)
    scopes: tuple[str, ...]
    """What it is good for, as the provider says."""
    expires_at: datetime | None
    """None where the provider does not say."""


@dataclass(frozen=True)
class _Turn:
    """Whoever holds it refreshes."""

    client: ProviderClient
    sealed: str = field(repr=False)
    granted: Granted


class ProviderTokens(Service):
    """Keeps and gives out tokens of providers."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._timeout = runtime.setting(OidcSettings).timeout
        self._table: sa.Table = runtime.model(ProviderTokensMixin).__table__
        self._identities: sa.Table = runtime.model(IdentityMixin).__table__

    @functools.cached_property
    def _vault(self) -> Vault:
        return self.runtime.get(AtRest).vault(NAME)

    def check(self) -> None:
        """There must be a secret to seal with; `ConfigurationError`."""
        self.runtime.get(AtRest).vault(NAME)

    # Keeping

    def seal_for(self, granted: Granted, binding: str) -> str:
        """What waits beside a code; `binding` is the digest of what its browser keeps."""
        return self._vault.seal(_packed(granted), f"waiting {binding}")

    def keep(self, identity_id: UUID, sealed: str, binding: str) -> None:
        """Keep what has waited with the identity that it led to. A refresh token that was there stays if there is no new one."""
        try:
            granted = _unpacked(self._vault.open(sealed, f"waiting {binding}"))
        except Unreadable:
            logger.error("Tokens of a provider that waited do not open: the secret has changed meanwhile. They are not kept.")
            return
        if granted.refresh is None:
            row = self._row(self.runtime.users.execute, identity_id)
            before = self._try(identity_id, row["sealed"]) if row else None
            granted = granted.keeping(before)
        values = {"sealed": self._seal(identity_id, granted), "updated_at": self.runtime.clock.now(), "busy_until": None}
        users = self.runtime.users
        insert = insert_into(users.dialect, self._table)
        users.execute(on_conflict(insert, self._table, list(values.items())).values({"identity_id": identity_id, **values}))

    # Giving out

    def access_token(self, identity_id: UUID, client_of: Callable[[str], ProviderClient], *, refused: str | None) -> ProviderToken:
        """See `IdentityService.access_token`. `client_of` says who speaks with the provider of an issuer; `NotFound` without one."""
        deadline = time.monotonic() + 2 * self._timeout
        while True:
            found = self.runtime.aside.run(partial(self._look, identity_id, client_of, refused))
            if isinstance(found, ProviderToken):
                return found
            if found is not None:
                return self._refresh(identity_id, found)
            if time.monotonic() > deadline:
                raise ServiceUnavailable("The provider's token is being refreshed.", retry_after=1)
            time.sleep(PAUSE)

    def _issuer(self, identity_id: UUID, connection: sa.Connection) -> str:
        c = self._identities.c
        issuer: str | None = connection.execute(sa.select(c.issuer).where(c.id == identity_id)).scalar()
        if issuer is None:
            raise NotFound
        return issuer

    def _look(
        self, identity_id: UUID, client_of: Callable[[str], ProviderClient], refused: str | None, connection: sa.Connection
    ) -> ProviderToken | _Turn | None:
        """The token, if it is good; else the turn to refresh it; None while somebody else has that."""
        row, c, now = self._row(connection.execute, identity_id), self._table.c, self.runtime.clock.now()
        if row is None:
            self._issuer(identity_id, connection)
            raise ProviderConsentRequired
        granted = self._open(identity_id, row["sealed"])
        if self._is_good(granted) and granted.access != refused:
            return _shown(granted)
        if granted.refresh is None:
            raise ProviderConsentRequired
        if row["busy_until"] is not None and row["busy_until"] > now:
            return None
        client = client_of(self._issuer(identity_id, connection))
        free = c.busy_until.is_(None) if row["busy_until"] is None else c.busy_until == row["busy_until"]
        taking = sa.update(self._table).where(c.identity_id == identity_id, c.sealed == row["sealed"], free)
        # Longer than the provider may take, so that the turn of whoever has died ends some time.
        until = now + timedelta(seconds=2 * self._timeout + 5)
        if not connection.execute(taking.values(busy_until=until)).rowcount:
            raise Overtaken
        return _Turn(client, row["sealed"], granted)

    def _refresh(self, identity_id: UUID, turn: _Turn) -> ProviderToken:
        run, same = self.runtime.aside.run, (self._table.c.identity_id == identity_id, self._table.c.sealed == turn.sealed)
        try:
            granted = turn.client.refresh(turn.granted)
        except GrantOver:
            run(lambda connection: connection.execute(sa.delete(self._table).where(*same)))
            raise ProviderConsentRequired from None
        except BaseException:
            run(lambda connection: connection.execute(sa.update(self._table).where(*same).values(busy_until=None)))
            raise
        return _shown(run(partial(self._put, identity_id, turn, granted)))

    def _put(self, identity_id: UUID, turn: _Turn, granted: Granted, connection: sa.Connection) -> Granted:
        """Store what a refresh has brought, unless something newer came meanwhile; what is kept then."""
        row = self._row(connection.execute, identity_id)
        if row is None:
            raise ProviderConsentRequired  # unlinked meanwhile
        if row["sealed"] != turn.sealed:
            newer = self._open(identity_id, row["sealed"])
            if newer.refresh != turn.granted.refresh:
                return newer
            # A sign-in meanwhile brought no refresh token and has kept the one that is used up now.
        values = {"sealed": self._seal(identity_id, granted), "updated_at": self.runtime.clock.now(), "busy_until": None}
        c = self._table.c
        putting = sa.update(self._table).where(c.identity_id == identity_id, c.sealed == row["sealed"])
        if not connection.execute(putting.values(values)).rowcount:
            raise Overtaken
        return granted

    # The life of identities

    def forget(self, *which: sa.ColumnElement[bool]) -> int:
        """Delete the tokens of some identities; returns how many."""
        ids = sa.select(self._identities.c.id).where(*which)
        return self.runtime.users.execute(sa.delete(self._table).where(self._table.c.identity_id.in_(ids))).rowcount

    def purge(self, is_kept: Callable[[str], bool]) -> int:
        """Delete the tokens of issuers whose provider keeps none any more; returns how many."""
        c = self._identities.c
        issuers = sa.select(c.issuer).distinct().join(self._table, self._table.c.identity_id == c.id)
        gone = [issuer for issuer in self.runtime.users.execute(issuers).scalars() if not is_kept(issuer)]
        return self.forget(c.issuer.in_(gone)) if gone else 0

    def export(self, identity_ids: Iterable[UUID]) -> dict[UUID, Any]:  # JSON values
        """What is kept with identities, without the tokens."""
        c = self._table.c
        rows = self.runtime.users.execute(sa.select(self._table).where(c.identity_id.in_(list(identity_ids)))).mappings()
        found = {row["identity_id"]: (row["updated_at"], self._try(row["identity_id"], row["sealed"])) for row in rows}
        return {
            key: to_jsonable_python(
                {"kept_at": at, "scopes": _scopes(granted) if granted else None, "expires_at": granted and granted.expires_at}
            )
            for key, (at, granted) in found.items()
        }

    # Sealing

    @functools.cached_property
    def sealed(self) -> SealedColumn:
        """The tokens, as they lie in their table."""
        c = self._table.c
        return SealedColumn(self.runtime.users, c.identity_id, c.sealed, self._vault, _about)

    # How it is done

    def _row(self, execute: Callable[[sa.Executable], sa.CursorResult[Any]], identity_id: UUID) -> sa.RowMapping | None:
        return execute(sa.select(self._table).where(self._table.c.identity_id == identity_id)).mappings().first()

    def _is_good(self, granted: Granted) -> bool:
        return granted.expires_at is None or granted.expires_at - MARGIN > self.runtime.clock.now()

    def _seal(self, identity_id: UUID, granted: Granted) -> str:
        return self._vault.seal(_packed(granted), _about(identity_id))

    def _open(self, identity_id: UUID, sealed: str) -> Granted:
        found = self._try(identity_id, sealed)
        if found is None:
            logger.error(
                "The tokens of the identity %s do not open: the secret that has sealed them is not configured.", identity_id
            )
            raise ServiceUnavailable("The provider's tokens cannot be read at the moment.")
        return found

    def _try(self, identity_id: UUID, sealed: str) -> Granted | None:
        try:
            return _unpacked(self._vault.open(sealed, _about(identity_id)))
        except Unreadable:
            return None


def _about(identity_id: UUID) -> str:
    return f"tokens of {identity_id}"


def _packed(granted: Granted) -> bytes:
    until = granted.expires_at.isoformat() if granted.expires_at else None
    return json.dumps([granted.access, granted.refresh, until, granted.scope]).encode()


def _unpacked(plain: bytes) -> Granted:
    access, refresh, until, scope = json.loads(plain)
    return Granted(access, refresh, datetime.fromisoformat(until) if until else None, scope)


def _scopes(granted: Granted) -> tuple[str, ...]:
    return tuple(re.split(r"[ ,]+", granted.scope)) if granted.scope else ()  # GitHub puts commas between them


def _shown(granted: Granted) -> ProviderToken:
    return ProviderToken(granted.access, _scopes(granted), granted.expires_at)
