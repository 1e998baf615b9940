"""The sign-in pipeline: the ONLY way to tokens.

Every way of signing in proves a credential, builds a `LoginAttempt` and ends in `finish()`. There the
account is read again under a lock, the gates are asked in order, and only then a session opens. So no
way in can skip a gate, and a password change or a disabling that happens meanwhile wins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NoReturn

from .challenges import PendingSignIns
from .errors import (
    AccountDisabled,
    AccountsError,
    ChallengeRequired,
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
    SessionEnded,
    SessionRefreshed,
    SignedIn,
    SignInChallenged,
    SignInFailed,
)
from .gates import Answer, Entry, LoginAttempt
from .http import Call, Reply
from .identity import Principal
from .runtime import Runtime
from .schemas import TokenResponse, UserSchema
from .sessions import Rotation, SessionSettings, SessionState
from .tokens import TokenPair, Tokens
from .tracing import traced
from .users import UserView

IN_FLIGHT = 16
"""Sign-ins of one account that may run at once: so many may be missing from a count made before its row was locked."""


@dataclass(frozen=True)
class SignIn:
    """A finished sign-in."""

    user: UserView
    session: SessionState
    tokens: TokenPair


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

        Raises `InvalidCredentials`, what a gate raises, or `ChallengeRequired` with the token by which the sign-in goes on.
        """
        runtime = self._runtime
        now = runtime.clock.now()
        attempt, user, live = self._read(attempt)
        try:
            returns = runtime.returns(attempt, user)
            seen = user.switched_on() if returns else user
            for gate in (active_gate, *runtime.gates):
                gate(attempt, seen)
        except ChallengeRequired as error:
            self._wait(attempt, error)
        except AccountsError as error:
            self.refuse(error, attempt.client, user_id=attempt.user_id)
        if returns:
            for bring_back in returns:
                bring_back()
            attempt, user, live = self._read(attempt)
        session = runtime.sessions.open(
            user.key, client=attempt.client, amr=attempt.amr, now=now, verified_hash=attempt.verified_hash
        )
        if session is None:
            self.refuse(InvalidCredentials(), attempt.client, user_id=user.key)
        if live + IN_FLIGHT >= runtime.setting(SessionSettings).max_per_user:
            self._end_oldest(user.key, session)
        for completion in runtime.completions:
            completion(attempt, user, session)
        runtime.events.emit(
            SignedIn(user_id=user.key, actor_id=user.key, client=attempt.client, at=now, session_id=session.id, amr=session.amr)
        )
        return SignIn(user, session, runtime.get(Tokens).issue(session))

    def _read(self, attempt: LoginAttempt) -> tuple[LoginAttempt, UserView, int]:
        """The attempt with its facts, the account under a lock, and about how many sessions it has; refuses a proof that is outdated."""
        runtime = self._runtime
        facts = {name: fact(attempt).label(f"f_{name}") for name, fact in runtime.sign_in_facts.items()}
        live = runtime.sessions.live_count(attempt.user_id, runtime.clock.now())
        found = runtime.users.locked(attempt.user_id, live, *facts.values())
        if found is None or attempt.verified_hash not in (None, found[1]["stored_hash"]):
            self.refuse(InvalidCredentials(), attempt.client, user_id=attempt.user_id)
        user, row = found
        return replace(attempt, facts={name: row[f"f_{name}"] for name in facts}), user, row["live_sessions"]

    def _wait(self, attempt: LoginAttempt, error: ChallengeRequired) -> NoReturn:
        """Keep the attempt, for good, and raise `error` with the token by which it goes on."""
        runtime = self._runtime
        token, seconds = runtime.get(PendingSignIns).keep(attempt, error.challenges)
        runtime.events.emit(
            SignInChallenged(user_id=attempt.user_id, client=attempt.client, at=runtime.clock.now(), challenges=error.challenges)
        )
        runtime.commit()
        error.extensions |= {"challenge_token": token, "expires_in": seconds}
        raise error

    @traced("accounts.challenge")
    def resume(self, token: str, method: str, answer: Answer, client: Client) -> SignIn:
        """Go on with a sign-in that waits. `ChallengeInvalid`, `ValidationError` for a method it was not asked for, what the method
        or a gate raises. A wrong answer does not use the token up; guesses are counted per account by the entry checks.
        """
        runtime, pending = self._runtime, self._runtime.get(PendingSignIns)
        waiting = pending.look(token, client)
        if method not in waiting.challenges or method not in runtime.challenge_methods:
            raise ValidationError.one("method", "method_unknown", f"This sign-in asks for: {', '.join(waiting.challenges)}.")
        attempt = waiting.attempt
        entry = Entry("challenge", client, account=str(attempt.user_id), user_id=attempt.user_id)
        runtime.enter(entry)
        user = runtime.users.view(attempt.user_id)
        if user is None:
            self.refuse(InvalidCredentials(), client, user_id=attempt.user_id)
        answered = runtime.challenge_methods[method](attempt, user, answer)
        runtime.passed(entry)
        pending.take(token)
        return self.finish(replace(answered, answered=(*answered.answered, method)))

    def _end_oldest(self, key: Key, newest: SessionState) -> None:
        now, keep = self._runtime.clock.now(), self._runtime.setting(SessionSettings).max_per_user
        for ended in self._runtime.sessions.end_oldest(key, newest=newest.id, keep=keep, now=now):
            self._runtime.events.emit(SessionEnded(user_id=key, at=now, session_id=ended, reason="limit"))

    def refuse(self, error: AccountsError, client: Client, *, user_id: Key | None = None, login: str | None = None) -> NoReturn:
        """Remember a refused sign-in, for good, and raise `error`."""
        runtime = self._runtime
        runtime.events.emit(
            SignInFailed(user_id=user_id, client=client, at=runtime.clock.now(), reason=error.error_code, login=login)
        )
        runtime.commit()
        raise error

    @traced("accounts.refresh")
    def refresh(self, call: Call[Any], body_token: str | None) -> tuple[SignIn, str]:
        """Exchange the request's refresh token for the next pair; also where the token was found. Two statements.

        Raises `TokenRevoked` for an ended session and for reuse, which ends the session.
        """
        runtime = self._runtime
        presented = runtime.get(Tokens).present(call.request, "refresh", body_token)
        generation = presented.claims.get("gen")
        if not isinstance(generation, int) or isinstance(generation, bool) or not 0 <= generation < 2**31:
            raise TokenRevoked
        now = runtime.clock.now()
        runtime.enter(Entry("refresh", call.client, account=presented.claims["sub"]))
        outcome, session, user = runtime.sessions.rotate(presented.session_id, generation, now)
        if session is None or user is None or outcome is Rotation.DEAD or str(user.key) != presented.claims["sub"]:
            raise TokenRevoked
        if outcome is Rotation.REUSED:
            runtime.events.emit(RefreshTokenReused(user_id=user.key, client=call.client, at=now, session_id=session.id))
            runtime.events.emit(SessionEnded(user_id=user.key, client=call.client, at=now, session_id=session.id, reason="reuse"))
            runtime.commit()
            raise TokenRevoked
        if outcome is Rotation.ROTATED:
            runtime.events.emit(
                SessionRefreshed(user_id=user.key, actor_id=user.key, client=call.client, at=now, session_id=session.id)
            )
        return SignIn(user, session, runtime.get(Tokens).issue(session)), presented.location

    def sign_out(self, call: Call[Any], body_token: str | None) -> None:
        """End the session of the request's access or refresh token: both die at once. Ending it twice is no error.

        Raises what is wrong with the token, if neither is good.
        """
        runtime = self._runtime
        tokens = runtime.get(Tokens)
        try:
            presented = tokens.present(call.request, "access")
        except (TokenMissing, TokenExpired, WrongTokenType):
            presented = tokens.present(call.request, "refresh", body_token)
        key = runtime.users.parse_key(presented.claims["sub"])
        now = runtime.clock.now()
        if key is not None and runtime.sessions.end(presented.session_id, reason="logout", now=now, key=key):
            runtime.events.emit(
                SessionEnded(
                    user_id=key, actor_id=key, client=call.client, at=now, session_id=presented.session_id, reason="logout"
                )
            )

    def reauthenticate(self, principal: Principal, client: Client) -> SignIn:
        """A new pair with the present moment as `auth_time`, after the caller proved presence again."""
        runtime = self._runtime
        if principal.session_id is None:
            raise ReauthenticationRequired
        now = runtime.clock.now()
        runtime.sessions.confirm(principal.session_id, now)
        found = runtime.sessions.find(principal.session_id)
        if found is None or not found[0].is_live(now):
            raise TokenRevoked
        session, user = found
        runtime.events.emit(Reauthenticated(user_id=user.key, actor_id=user.key, client=client, at=now, session_id=session.id))
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
    return runtime.schemas.get(TokenResponse).model_construct(None, **values)


def token_reply(call: Call[Any], sign_in: SignIn, *, location: str | None = None, status: int = 200) -> Reply:
    """Answer with tokens: by the way the client's own came, or the one it asks for."""
    tokens = call.runtime.get(Tokens)
    by_cookie = (location or tokens.transport(call.request)) == "cookies"
    body = token_body(call.runtime, sign_in, in_body=not by_cookie)
    return Reply(
        body.model_dump(mode="json", exclude_unset=True),
        status,
        decorate=(lambda response: tokens.respond(response, sign_in.tokens)) if by_cookie else None,
    )


def signed_out_reply(call: Call[Any], reply: Reply) -> Reply:
    """`reply`, also expiring the token cookies (ASVS 14.3.1)."""
    reply.decorate = call.runtime.get(Tokens).clear
    return reply
