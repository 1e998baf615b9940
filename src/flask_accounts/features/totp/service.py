"""Authenticator apps: set up by a secret that is shown once, confirmed by a first code, and asked for a code from then on."""

from __future__ import annotations

import functools
import io
import logging
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_jsonable_python

from ...core.at_rest import AtRest, Unreadable, Vault
from ...core.challenges import PendingSignIns, occasion
from ...core.errors import ChallengeInvalid, ConcurrentChange, InvalidCredentials, ServiceUnavailable, ValidationError
from ...core.events import Client, Key
from ...core.factors import Factor
from ...core.feature import Service
from ...core.gates import Answer, Entry, Fact, LoginAttempt, multi_factor
from ...core.identity import Principal
from ...core.runtime import Runtime
from ...core.sealed_columns import SealedColumn
from ...core.users import ACCOUNT, UserView
from ..mfa.service import MfaService
from .algorithm import SECRET, matching_step, shown, uri
from .models import TotpMixin
from .settings import TotpSettings

logger: logging.Logger = logging.getLogger("flask_accounts.totp")

NAME = "totp"
ENROLMENT = "totp_enrolment"
"""The challenge of a sign-in that must have a second factor first, and the purpose of a secret that waits for its first code."""
AMR = ("otp",)
"""RFC 8176."""


@dataclass(frozen=True)
class Enrolment:
    """A secret to be put into an authenticator app."""

    secret: str = field(repr=False)
    """In base 32."""
    uri: str = field(repr=False)
    qr_svg: str = field(repr=False)
    """The URI as a QR code."""
    expires_in: int
    """Seconds that it waits for its first code."""


class TotpService(Service):
    """Sets authenticator apps up and checks their codes."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._settings = runtime.setting(TotpSettings)
        self._table: sa.Table = runtime.model(TotpMixin).__table__

    @functools.cached_property
    def _vault(self) -> Vault:
        return self.runtime.get(AtRest).vault(NAME)

    def factor(self) -> Factor:
        """The factor that an authenticator app is."""
        c = self._table.c
        since = sa.select(c.created_at).where(c.user_id == sa.bindparam(ACCOUNT)).scalar_subquery()
        return Factor(NAME, Fact(since), self.prove, self.remove, enrolment=ENROLMENT)

    # Setting up

    def begin(self, user: UserView, *, where: str) -> Enrolment:
        """A new secret for an account, to be confirmed by the same session or sign-in (`where`). An older one that waits is void.

        An app that is set up already stays until the new one is confirmed. `EmailNotVerified`.
        """
        runtime = self.runtime
        runtime.get(MfaService).may_enrol(user)
        secret, lifetime = secrets.token_bytes(SECRET), self._settings.enrolment_for
        runtime.one_time.issue(
            ENROLMENT, user_id=user.key, address=None, lifetime=lifetime, now=runtime.clock.now(),
            data={"sealed": self._vault.seal(secret, _about(user.key)), "where": where},
        )  # fmt: skip
        read = uri(secret, issuer=self._settings.issuer or runtime.letters.product.replace(":", " "), account=user.email)
        return Enrolment(shown(secret), read, _qr(read), int(lifetime.total_seconds()))

    def begin_in_sign_in(self, token: str, client: Client) -> Enrolment:
        """The same for a sign-in that waits because the account must have a second factor; `ChallengeInvalid`."""
        waiting = self.runtime.get(PendingSignIns).look(token, client)
        key = waiting.attempt.user_id
        self.runtime.enter(Entry("challenge", client, account=str(key), user_id=key))
        user = self.runtime.users.view(key)
        if ENROLMENT not in waiting.challenges or user is None:
            raise ChallengeInvalid
        return self.begin(user, where=occasion(token))

    def confirm(self, user: UserView, code: str, client: Client, *, where: str, principal: Principal | None = None) -> list[str]:
        """The first code was typed: from now on the account has the app, in place of one it had. Returns recovery codes, if it had none.

        `ValidationError` for a wrong code, and where no secret waits.
        """
        runtime = self.runtime
        runtime.get(MfaService).may_enrol(user)
        now, mfa = runtime.clock.now(), runtime.get(MfaService)
        waiting = [kept for kept in runtime.one_time.outstanding(ENROLMENT, user.key, now) if kept.data["where"] == where]
        if not waiting:
            raise ValidationError.one("code", "enrolment_missing", "Begin again: there is no secret that waits for a code.")
        sealed = waiting[-1].data["sealed"]
        step = matching_step(self._open(user.key, sealed), code, now, drift=self._settings.drift)
        if step is None:
            raise ValidationError.one("code", "code_wrong", "This is not the code. Is the clock of your device right?")
        mfa.begin_change(user.key)
        if not runtime.one_time.take(waiting[-1]):
            raise ConcurrentChange
        self.remove(user.key)
        values = {"user_id": user.key, "secret": sealed, "last_step": step, "created_at": now}
        runtime.users.execute(sa.insert(self._table).values(values))
        return mfa.added(user, NAME, client, principal=principal, amr=AMR)

    def enrol(self, attempt: LoginAttempt, user: UserView, answer: Answer) -> LoginAttempt:
        """Answer `totp_enrolment`: the first code also finishes the sign-in, whose answer shows the recovery codes."""
        if answer.code is None:
            raise ValidationError.one("code", "missing", "Field required")
        codes = self.confirm(user, answer.code, attempt.client, where=answer.occasion)
        return replace(attempt, amr=multi_factor(attempt.amr, AMR), recovery_codes=tuple(codes))

    # Codes

    def prove(self, user: UserView, answer: Answer, client: Client) -> tuple[str, ...]:
        """Use up a code. `InvalidCredentials` for a wrong one, and for one that is used or older than one that is."""
        if answer.code is None:
            raise ValidationError.one("code", "missing", "Field required")
        c = self._table.c
        row = self.runtime.users.execute(sa.select(c.secret, c.last_step).where(c.user_id == user.key)).first()
        if row is None:
            raise InvalidCredentials
        secret = self._open(user.key, row.secret)
        step = matching_step(secret, answer.code, self.runtime.clock.now(), drift=self._settings.drift, after=row.last_step)
        if step is None:
            raise InvalidCredentials
        # Of two uses of one code at the same moment this lets one through.
        using = sa.update(self._table).where(c.user_id == user.key, c.last_step < step, c.secret == row.secret)
        sealed = row.secret if self._vault.is_current(row.secret) else self._vault.seal(secret, _about(user.key))
        if not self.runtime.users.execute(using.values(last_step=step, secret=sealed)).rowcount:
            raise InvalidCredentials
        return AMR

    def remove(self, key: Key) -> bool:
        """Forget an account's app; whether it had one."""
        return bool(self.runtime.users.execute(sa.delete(self._table).where(self._table.c.user_id == key)).rowcount)

    def export(self, key: Key) -> dict[str, Any] | None:  # JSON values
        """Since when an account has an app."""
        since = self.runtime.users.execute(sa.select(self._table.c.created_at).where(self._table.c.user_id == key)).scalar()
        return None if since is None else {"since": to_jsonable_python(since)}

    # Sealing

    @functools.cached_property
    def sealed(self) -> SealedColumn:
        """The secrets, as they lie in their table."""
        c = self._table.c
        return SealedColumn(self.runtime.users, c.user_id, c.secret, self._vault, _about)

    def _open(self, key: Key, sealed: str) -> bytes:
        try:
            return self._vault.open(sealed, _about(key))
        except Unreadable:
            logger.error("The TOTP secret of the account %s does not open: the secret that has sealed it is not configured.", key)
            raise ServiceUnavailable("Codes cannot be checked at the moment.") from None


def _about(key: Key) -> str:
    return f"totp of {key}"


def _qr(text: str) -> str:
    svg = io.BytesIO()
    import segno  # only who sets an app up needs it

    segno.make(text, error="m", micro=False).save(svg, kind="svg", scale=4, border=4, xmldecl=False, dark="#000", light="#fff")
    return svg.getvalue().decode().strip()
