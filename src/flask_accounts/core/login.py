"""The sign-in pipeline: the ONLY way to tokens.

Every way of signing in proves a credential, builds a `LoginAttempt` and ends in `finish()`. There the
account is read again under a lock, the gates are asked in order, and only then a session opens. So no
way in can skip a gate, and a password change or a disabling that happens meanwhile wins.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel

from .challenges import PendingSignIns, occasion
from .errors import (
    AccountDisabled,
    AccountsError,
    AuthenticationError,
    ChallengeRequired,
    ConfigurationError,
    ImpersonationRefused,
    InvalidCredentials,
    ReauthenticationRequired,
    TokenExpired,
    TokenMissing,
    TokenRevoked,
    ValidationError,
    WrongTokenType,
)
from .events import (
    Client,
    Key,
    Reauthenticated,
    RefreshTokenReused,
    SecondFactorFailed,
    SessionEnded,
    SessionRefreshed,
    SignedIn,
    SignInChallenged,
    SignInFailed,
)
from .gates import MULTI_FACTOR, Actor, Answer, Entry, LoginAttempt, multi_factor
from .http import Call, Reply
from .identity import Principal, require_owner
from .runtime import Runtime
from .schemas import TokenResponse, UserSchema
from .sessions import Rotation, SessionSettings, SessionState
from .tokens import Presented, TokenPair, Tokens
from .tracing import traced
from .users import UserView

IN_FLIGHT = 16
"""Sign-ins of one account that may run at once: so many may be missing from a count made before its row was locked."""
LAST_GENERATION = 2**31 - 1
"""What the column holds at most: a token that claims as much has no next generation, and was never handed out."""


@dataclass(frozen=True)
class SignIn:
    """A finished sign-in."""

    user: UserView
    session: SessionState
    tokens: TokenPair
    recovery_codes: tuple[str, ...] = field(default=(), repr=False)
    """To be shown this once, where the sign-in has set up the account's first factor."""


def active_gate(attempt: LoginAttempt, user: UserView) -> None:
    """The first gate: a disabled account gets no session. Said only after a right credential."""
    if not user.is_active:
        raise AccountDisabled


class LoginPipeline:
    """Finishes sign-ins, refreshes them, and confirms presence."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @traced("accounts.sign_in", of=lambda pipeline, attempt: {"amr": attempt.amr})
    def finish(self, attempt: LoginAttempt) -> SignIn:
        """Walk the gates and open a session: two statements, or three where the limit of sessions is near.

        Raises `InvalidCredentials`, what a gate raises, or `ChallengeRequired` with the token by which the sign-in goes on. With an actor
        who is to act in the owner's place: `ImpersonationRefused` instead of both.
        """
        runtime = self._runtime
        now = runtime.clock.now()
        attempt, user, live = self._read(attempt)
        if runtime.is_barred(attempt):
            self._refuse(attempt, "Nobody signs in to this account.")
        actor, latest = attempt.actor, attempt.session_until
        try:
            # Only its owner brings an account back.
            returns = runtime.returns(attempt, user) if actor is None else []
            seen = user.switched_on() if returns else user
            for gate in (active_gate, *runtime.early_gates, *runtime.gates):
                attempt = gate(attempt, seen) or attempt
        except ChallengeRequired as error:
            if actor is not None:
                self._refuse(attempt, f"This account asks for more than you have shown ({error.error_code}).")
            self._wait(attempt, error)
        except AccountsError as error:
            self.refuse(error, attempt.client, user_id=attempt.user_id, actor=actor)
        if returns:
            for bring_back in returns:
                bring_back()
            attempt, user, live = self._read(attempt)
        session = runtime.sessions.open(
            # What an owner's session shows of its device is not for the owner to see of somebody else's.
            user.key, client=attempt.client if actor is None else Client(), amr=attempt.amr, now=now,
            verified_hash=attempt.verified_hash, authenticated_at=attempt.authenticated_at,
            until=min((time for time in (attempt.session_until, latest) if time is not None), default=None),
            bare=not attempt.multi_factor and (actor is not None or not attempt.excused),
        )  # fmt: skip
        if session is None:
            self._refuse(attempt)
        if actor is not None:
            return self._act(attempt, actor, user, session)
        if live + IN_FLIGHT >= runtime.setting(SessionSettings).max_per_user:
            self._end_oldest(user.key, session)
        for completion in runtime.completions:
            completion(attempt, user, session)
        runtime.events.emit(
            SignedIn(user_id=user.key, actor_id=user.key, client=attempt.client, at=now, session_id=session.id, amr=session.amr)
        )
        return SignIn(user, session, runtime.get(Tokens).issue(session), attempt.recovery_codes)

    def _act(self, attempt: LoginAttempt, actor: Actor, user: UserView, session: SessionState) -> SignIn:
        """The session in which `actor` acts in the owner's place. It is no sign-in of the owner's: neither completions nor receivers of
        `SignedIn` are told, and it ends none of the owner's sessions.
        """
        acting = self._runtime.acting
        if acting is None:
            raise ConfigurationError(
                "Nobody acts in an owner's place without a feature that keeps account of it (`Feature.acting`): see features=[...]."
            )
        acting.opened(actor, user, session, attempt.client)
        session = replace(session, actor_session_id=actor.session_id)
        return SignIn(user, session, self._runtime.get(Tokens).issue_acting(session, actor.user_id))

    def _refuse(self, attempt: LoginAttempt, detail: str | None = None) -> NoReturn:
        """Refuse an attempt: by one and the same error whatever is wrong, but for an actor, who has a right to hear it."""
        error = InvalidCredentials() if attempt.actor is None else ImpersonationRefused(detail)
        self.refuse(error, attempt.client, user_id=attempt.user_id, actor=attempt.actor)

    def _read(self, attempt: LoginAttempt) -> tuple[LoginAttempt, UserView, int]:
        """The attempt with its facts, the account under a lock, and about how many sessions it has; refuses a proof that is outdated."""
        runtime = self._runtime
        parameters = {"moment": runtime.clock.now(), **runtime.fact_values(attempt)}
        found = runtime.users.locked(attempt.user_id, self._locking, parameters)
        if found is None or attempt.verified_hash not in (None, found[1]["stored_hash"]):
            self._refuse(attempt)
        user, row = found
        return replace(attempt, facts=runtime.facts_in(row)), user, row["live_sessions"]

    @functools.cached_property
    def _locking(self) -> sa.Select[Any]:
        """What a sign-in reads of the account that it locks; built at the first."""
        return self._runtime.users.locking(self._runtime.sessions.live_count(), *self._runtime.fact_columns)

    def _wait(self, attempt: LoginAttempt, error: ChallengeRequired) -> NoReturn:
        """Keep the attempt, for good, and raise `error` with the token by which it goes on."""
        runtime = self._runtime
        token, seconds = runtime.get(PendingSignIns).keep(attempt, error.challenges)
        runtime.events.emit(
            SignInChallenged(user_id=attempt.user_id, client=attempt.client, at=runtime.clock.now(), challenges=error.challenges)
        )
        runtime.commit()
        error.extensions |= {"challenge_token": token, "expires_in": seconds}
        if attempt.recovery_codes:
            error.extensions["recovery_codes"] = list(attempt.recovery_codes)
        raise error

    @traced("accounts.challenge")
    def resume(self, token: str, method: str, answer: Answer, client: Client) -> SignIn:
        """Go on with a sign-in that waits. `ChallengeInvalid`, `ValidationError` for a method it was not asked for, what the method
        or a gate raises. A wrong answer does not use the token up. Guesses are counted per account by the entry checks; the answers
        of a factor per sign-in too, over all factors.
        """
        runtime, pending = self._runtime, self._runtime.get(PendingSignIns)
        waiting = pending.look(token, client)
        if method not in waiting.challenges or method not in runtime.challenge_methods:
            raise ValidationError.one("method", "method_unknown", f"This sign-in asks for: {', '.join(waiting.challenges)}.")
        attempt, factor = waiting.attempt, method if method in runtime.factors else None
        entry = Entry("challenge", client, account=str(attempt.user_id), user_id=attempt.user_id, factor=factor)
        runtime.enter(entry)
        last = factor is not None and pending.count_guess(waiting)
        user = runtime.users.view(attempt.user_id)
        if user is None:
            self.refuse(InvalidCredentials(), client, user_id=attempt.user_id)
        try:
            answered = runtime.challenge_methods[method](attempt, user, replace(answer, occasion=occasion(token)))
        except InvalidCredentials as error:
            if last:
                runtime.events.emit(SecondFactorFailed(user_id=user.key, client=client, at=runtime.clock.now(), factor=method))
            self.refuse(error, client, user_id=user.key)
        runtime.passed(entry)
        pending.take(waiting)
        return self.finish(replace(answered, answered=(*answered.answered, method)))

    def _end_oldest(self, key: Key, newest: SessionState) -> None:
        now, keep = self._runtime.clock.now(), self._runtime.setting(SessionSettings).max_per_user
        for ended in self._runtime.sessions.end_oldest(key, newest=newest.id, keep=keep, now=now):
            self._runtime.events.emit(SessionEnded(user_id=key, at=now, session_id=ended, reason="limit"))

    def refuse(
        self,
        error: AccountsError,
        client: Client,
        *,
        user_id: Key | None = None,
        login: str | None = None,
        actor: Actor | None = None,
    ) -> NoReturn:
        """Remember a refused sign-in, for good, and raise `error`."""
        runtime = self._runtime
        runtime.events.emit(
            SignInFailed(
                user_id=user_id, actor_id=actor.user_id if actor else None, client=client, at=runtime.clock.now(),
                reason=error.error_code, login=login,
            )
        )  # fmt: skip
        runtime.commit()
        raise error

    @traced("accounts.refresh")
    def refresh(self, call: Call[Any], body_token: str | None) -> tuple[SignIn, str]:
        """Exchange the request's refresh token for the next pair; also where the token was found. Two statements.

        Raises `TokenRevoked` for an ended session and for reuse, which ends the session, and what a gate for refreshes raises, which ends it too.
        """
        runtime = self._runtime
        presented = runtime.get(Tokens).present(call.request, "refresh", body_token)
        generation = presented.claims.get("gen")
        if not isinstance(generation, int) or isinstance(generation, bool) or not 0 <= generation < LAST_GENERATION:
            raise TokenRevoked
        now = runtime.clock.now()
        runtime.enter(Entry("refresh", call.client, account=presented.claims["sub"]))
        outcome, session, user = runtime.sessions.rotate(presented.session_id, generation, now)
        if session is None or user is None or outcome is Rotation.DEAD or str(user.key) != presented.claims["sub"]:
            raise TokenRevoked
        if session.actor_session_id is not None:
            raise TokenRevoked  # such a session has no refresh token
        if outcome is Rotation.REUSED:
            runtime.events.emit(RefreshTokenReused(user_id=user.key, client=call.client, at=now, session_id=session.id))
            runtime.events.emit(SessionEnded(user_id=user.key, client=call.client, at=now, session_id=session.id, reason="reuse"))
            runtime.commit()
            raise TokenRevoked
        session = self._hold(session, user, call.client)
        if outcome is Rotation.ROTATED:
            runtime.events.emit(
                SessionRefreshed(user_id=user.key, actor_id=user.key, client=call.client, at=now, session_id=session.id)
            )
        return SignIn(user, session, runtime.get(Tokens).issue(session)), presented.location

    def _hold(self, session: SessionState, user: UserView, client: Client) -> SessionState:
        """The session, held to what is asked of it by now: it ends at the time that a gate says, or now."""
        runtime = self._runtime
        try:
            times = [time for gate in runtime.refresh_gates if (time := gate(session, user)) is not None]
        except AccountsError:
            now = runtime.clock.now()
            if runtime.sessions.end(session.id, reason="refused", now=now):
                runtime.events.emit(SessionEnded(user_id=user.key, client=client, at=now, session_id=session.id, reason="refused"))
            runtime.commit()
            raise
        return runtime.sessions.shorten(session, min(times)) if times and min(times) < session.expires_at else session

    def sign_out(self, call: Call[Any], body_token: str | None) -> bool:
        """End the session of the request's access or refresh token: both die at once. Ending it twice is no error.

        Whether it was the caller's own, and not one in which he acted in somebody else's place. Raises what is wrong with the token, if
        neither is good.
        """
        runtime = self._runtime
        tokens = runtime.get(Tokens)
        try:
            presented = tokens.present(call.request, "access")
        except (TokenMissing, TokenExpired, WrongTokenType):
            presented = tokens.present(call.request, "refresh", body_token)
        key = runtime.users.parse_key(presented.claims["sub"])
        now = runtime.clock.now()
        actor = key if presented.actor is None else runtime.users.parse_key(presented.actor)
        if key is not None and runtime.sessions.end(presented.session_id, reason="logout", now=now, key=key):
            runtime.events.emit(
                SessionEnded(
                    user_id=key, actor_id=actor, client=call.client, at=now, session_id=presented.session_id, reason="logout"
                )
            )
        return presented.actor is None

    def revoke(self, token: str, client: Client) -> tuple[Key, UUID | None] | None:
        """End what a token stands for that another service brings, access or refresh: its session, or where it has none the token alone.

        Whose it was, and its session; None for a token that is not good, or ends nothing any more: no error (RFC 7009 section 2.2).
        """
        runtime, now = self._runtime, self._runtime.clock.now()
        try:
            claims = runtime.get(Tokens).decode(token, None)
            session_id = Presented(claims, "form").session_id if "sid" in claims else None
        except AuthenticationError:
            return None
        key = runtime.users.parse_key(claims["sub"])
        if key is None:
            return None
        if session_id is None:
            runtime.sessions.revoke_token(claims["jti"], datetime.fromtimestamp(claims["exp"], UTC))
            return key, None
        if not runtime.sessions.end(session_id, reason="revoked", now=now, key=key):
            return None
        runtime.events.emit(SessionEnded(user_id=key, client=client, at=now, session_id=session_id, reason="revoked"))
        return key, session_id

    def reauthenticate(self, principal: Principal, method: str, answer: Answer, client: Client) -> SignIn:
        """A new pair with the present moment as `auth_time`, once `answer` proves presence by `method`.

        An account that has a second factor proves it by a factor that it has: a password alone is less than what it signs in with, and what
        a thief of the session is likeliest to know (ASVS 7.5.1). Raises `ReauthenticationRequired` with the `methods` that would do,
        `ValidationError` for a method that there is not, `InvalidCredentials`, or what else the method raises.
        """
        runtime, given = self._runtime, replace(answer, occasion=str(principal.session_id))
        if principal.session_id is None:
            raise ReauthenticationRequired
        if method not in runtime.proofs:
            raise ValidationError.one("method", "method_unknown", f"There are: {', '.join(sorted(runtime.proofs))}.")
        return self.step_up(
            principal, method, lambda: (runtime.proofs[method](principal.user, given, client), runtime.clock.now()), client
        )

    def step_up(
        self, principal: Principal, method: str, prove: Callable[[], tuple[tuple[str, ...], datetime]], client: Client
    ) -> SignIn:
        """The same by a proof that needs more than an `Answer`: `prove` returns by which methods it was, and when."""
        runtime = self._runtime
        require_owner(principal, runtime)
        if principal.session_id is None:
            raise ReauthenticationRequired
        key, factor = principal.user_id, method if method in runtime.factors else None
        held = [each.name for each in runtime.factors_held(runtime.factors_since(key))]
        if held and method not in held:
            raise ReauthenticationRequired("Please use a second factor.", methods=held)
        entry = Entry("reauthenticate", client, account=str(key), user_id=key, factor=factor)
        runtime.enter(entry)
        try:
            proved, at = prove()
        except InvalidCredentials as error:
            self.refuse(error, client, user_id=key)
        runtime.passed(entry)
        added = tuple(dict.fromkeys([*principal.amr, *proved]))
        amr = multi_factor(principal.amr, proved) if factor or MULTI_FACTOR in proved else added
        return self._confirm(principal.session_id, client, method, amr, at)

    def _confirm(self, session_id: UUID, client: Client, method: str, amr: tuple[str, ...], at: datetime) -> SignIn:
        runtime, now = self._runtime, self._runtime.clock.now()
        runtime.sessions.confirm(session_id, at, amr=amr)
        found = runtime.sessions.find(session_id)
        if found is None or not found[0].is_live(now):
            raise TokenRevoked
        session, user = found
        runtime.events.emit(
            Reauthenticated(user_id=user.key, actor_id=user.key, client=client, at=now, session_id=session.id, method=method)
        )
        return SignIn(user, session, runtime.get(Tokens).issue(session))


def token_body(runtime: Runtime, sign_in: SignIn, *, in_body: bool) -> TokenResponse:
    """The token response; the tokens themselves only `in_body`."""
    pair = sign_in.tokens
    values: dict[str, Any] = {
        "token_type": "Bearer",
        "expires_in": pair.expires_in,
        "refresh_expires_in": pair.refresh_expires_in,
        "user": runtime.schemas.get(UserSchema).model_validate(sign_in.user, from_attributes=True),
    }
    if in_body:
        values = {"access_token": pair.access_token, "refresh_token": pair.refresh_token, **values}
    if sign_in.recovery_codes:
        values["recovery_codes"] = list(sign_in.recovery_codes)
    return runtime.schemas.get(TokenResponse).model_construct(None, **values)


def token_reply(call: Call[Any], sign_in: SignIn, *, location: str | None = None, status: int = 200) -> Reply:
    """Answer with tokens: by the way the client's own came, or the one it asks for."""
    tokens = call.runtime.get(Tokens)
    by_cookie = (location or tokens.transport(call.request)) == "cookies"
    body = token_body(call.runtime, sign_in, in_body=not by_cookie)
    absent = ({"access_token", "refresh_token"} if by_cookie else set()) | (set() if sign_in.recovery_codes else {"recovery_codes"})
    return Reply(
        body.model_dump(mode="json", exclude=absent),
        status,
        decorate=(lambda response: tokens.respond(response, sign_in.tokens)) if by_cookie else None,
    )


def acting_reply(call: Call[Any], sign_in: SignIn, body: BaseModel) -> Reply:
    """Answer with a session in which the caller acts in somebody's place, by the way his own token came. A cookie of his refresh token stays:
    by it he comes back to his own session.
    """
    by_cookie = call.principal.location == "cookies"
    tokens = call.runtime.get(Tokens)
    return Reply(
        body.model_dump(mode="json", exclude={"access_token"} if by_cookie else None),
        decorate=(lambda response: tokens.respond(response, sign_in.tokens)) if by_cookie else None,
    )


def signed_out_reply(call: Call[Any], reply: Reply, *, own: bool = True) -> Reply:
    """`reply`, also expiring the token cookies (ASVS 14.3.1); after a session that was not the caller's `own`, that of the access token."""
    tokens = call.runtime.get(Tokens)
    reply.decorate = tokens.clear if own else tokens.clear_access
    return reply
