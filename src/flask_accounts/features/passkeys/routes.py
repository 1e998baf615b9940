"""The own passkeys under /passkeys; signing in and registering with one; options for sign-ins that wait and for proofs of presence."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from ...core.binding import Binding, digest, new_secret, takes_body
from ...core.errors import (
    AccountDisabled,
    ChallengeInvalid,
    ChallengeRequired,
    ConcurrentChange,
    EmailNotVerified,
    EmailTaken,
    FactorNeeded,
    InvalidCredentials,
    LastWayIn,
    MfaEnrolmentRequired,
    NotFound,
    PasskeyLimit,
    RegistrationClosed,
    TooManyRequests,
    UsernameTaken,
)
from ...core.gates import MULTI_FACTOR, Entry
from ...core.http import PUBLIC, RECENTLY, Call, Reply, Route
from ...core.login import token_reply
from ...core.schemas import MessageResponse, TokenResponse
from ..registration.service import RegisteredSchema, concealed_reply, registered_reply
from .ceremonies import Ceremonies, Options
from .registration import PasskeyRegistration
from .schemas import (
    AddedPasskeySchema,
    AnonymousCeremonySchema,
    CeremonySchema,
    ChallengeCeremonySchema,
    NewPasskeySchema,
    PasskeyListSchema,
    PasskeyNameSchema,
    PasskeySchema,
    PasskeySignInSchema,
    SignUpOptionsSchema,
    SignUpSchema,
    WaitingSignInSchema,
    sign_up,
    sign_up_options,
)
from .service import AMR, Passkey, PasskeyService

BINDING = Binding("passkey")
SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


# The own passkeys


def begin_passkey(call: Call[None]) -> Reply:
    """Begin to make a passkey: the options for the browser. They are to be answered in the same session; older ones are void."""
    principal = call.principal
    _count(call)
    return _asked(call, call.runtime.get(PasskeyService).begin(principal.user, where=str(principal.session_id)))


def add_passkey(call: Call[NewPasskeySchema]) -> Reply:
    """Add the passkey that the browser has made. With the first, other sessions end, and recovery codes are shown if there were none."""
    principal, body = call.principal, call.body
    passkey, codes = call.runtime.get(PasskeyService).add(
        principal.user, body.credential, call.client, where=str(principal.session_id), name=body.name or None, principal=principal
    )  # fmt: skip
    shown = call.runtime.schemas.get(AddedPasskeySchema).model_validate(_values(passkey) | {"recovery_codes": codes or None})
    return Reply(shown.model_dump(mode="json", exclude=None if codes else {"recovery_codes"}), 201)


def list_passkeys(call: Call[None]) -> Reply:
    """The own passkeys."""
    found = call.runtime.get(PasskeyService).of(call.principal.user_id)
    return Reply(PasskeyListSchema(passkeys=[_shown(call, passkey) for passkey in found]))


def rename_passkey(call: Call[PasskeyNameSchema]) -> Reply:
    """Call an own passkey something else."""
    return Reply(_shown(call, call.runtime.get(PasskeyService).rename(call.principal.user_id, _id(call), call.body.name)))


def remove_passkey(call: Call[None]) -> Reply:
    """Remove an own passkey, unless it is the only way in; all other sessions end."""
    principal = call.principal
    call.runtime.get(PasskeyService).remove(principal.user_id, _id(call), call.client, session_id=principal.session_id)
    return Reply(status=204)


# Proving one


def begin_passkey_login(call: Call[None]) -> Reply:
    """The options to sign in with a passkey, the same for everybody: the browser offers the accounts that it has passkeys of.

    They are to be answered in the same browser: by the cookie that comes with this answer, or by its `request_token`.
    """
    secret = _secret(call)
    return _bound(call, call.runtime.get(PasskeyService).begin_sign_in(call.client, where=digest(secret)), secret)


def passkey_login(call: Call[PasskeySignInSchema]) -> Reply:
    """Sign in with a passkey: both factors at once, since it has verified its owner."""
    sign_in = call.runtime.get(PasskeyService).sign_in(
        call.body.credential, call.client, where=_where(call, call.body.request_token)
    )
    return token_reply(call, sign_in)


def begin_passkey_challenge(call: Call[WaitingSignInSchema]) -> Reply:
    """The options by which a sign-in that waits goes on: to prove a passkey, or to make one where the account must have a second factor."""
    method, options = call.runtime.get(PasskeyService).begin_in_sign_in(call.body.challenge_token, call.client)
    seconds = call.runtime.get(Ceremonies).seconds
    return Reply(ChallengeCeremonySchema(method=method, options=options, expires_in=seconds))


def begin_passkey_proof(call: Call[None]) -> Reply:
    """The options to prove presence by a passkey, at `POST /reauthenticate` of the same session."""
    principal = call.principal
    _count(call)
    return _asked(call, call.runtime.get(PasskeyService).begin_proof(principal.user_id, where=str(principal.session_id)))


# Registration


def begin_passkey_registration(call: Call[SignUpOptionsSchema]) -> Reply:
    """Begin to make an account with a passkey in place of a password; the rest is `POST /passkeys/register`, in the same browser."""
    secret = _secret(call)
    options = call.runtime.get(PasskeyRegistration).begin(call.body.model_dump(), call.client, where=digest(secret))
    return _bound(call, options, secret)


def register_with_passkey(call: Call[SignUpSchema]) -> Reply:
    """Make the account, with the passkey that the browser has made. The answer is that of registration."""
    given = call.body.model_dump(exclude={"credential", "request_token"})
    user = call.runtime.get(PasskeyRegistration).register(
        given, call.body.credential, call.client, where=_where(call, call.body.request_token)
    )
    if user is None or call.runtime.conceals_accounts:
        return concealed_reply()
    return registered_reply(call, user, amr=(*AMR, MULTI_FACTOR))


def related_origins(call: Call[None]) -> Reply:
    """Which origins of other domains use the passkeys of this one (WebAuthn level 3, section 5.11)."""
    related = call.runtime.get(Ceremonies).party.related
    if not related:
        raise NotFound
    return Reply({"origins": list(related)}, headers={"Cache-Control": "public, max-age=3600"})


def _count(call: Call[Any]) -> None:
    key = call.principal.user_id
    call.runtime.enter(Entry("passkey_options", call.client, account=str(key), user_id=key))


def _secret(call: Call[Any]) -> str:
    """The secret of the browser that asks: the one that it has, so that two tabs do not disturb each other, or a new one."""
    there = call.request.cookies.get(BINDING.cookie, "")
    return there if SECRET.fullmatch(there) else new_secret()


def _where(call: Call[Any], token: str | None) -> str:
    return digest(BINDING.presented(call, token) or "")


def _bound(call: Call[Any], options: Options, secret: str) -> Reply:
    ceremonies = call.runtime.get(Ceremonies)
    body = AnonymousCeremonySchema(options=options, expires_in=ceremonies.seconds)
    if takes_body(call):
        body.request_token = secret
    return Reply(body.model_dump(exclude_unset=True), decorate=BINDING.keep(secret, ceremonies.lifetime))


def _asked(call: Call[Any], options: Options) -> Reply:
    return Reply(CeremonySchema(options=options, expires_in=call.runtime.get(Ceremonies).seconds))


def _shown(call: Call[Any], passkey: Passkey) -> PasskeySchema:
    return call.runtime.schemas.get(PasskeySchema).model_validate(_values(passkey))


def _values(passkey: Passkey) -> dict[str, Any]:
    return {
        "id": passkey.id, "name": passkey.name, "authenticator": passkey.authenticator, "aaguid": passkey.aaguid,
        "transports": passkey.transports.split(), "synced": passkey.backup_eligible, "backed_up": passkey.backed_up,
        "signs_in": passkey.user_verified, "created_at": passkey.created_at, "last_used_at": passkey.last_used_at,
    }  # fmt: skip


def _id(call: Call[Any]) -> UUID:
    try:
        return UUID(call.params["passkey_id"])
    except ValueError:
        raise NotFound from None


PATH = {"passkey_id": UUID}

ROUTES = (
    Route(
        method="POST", path="/passkeys/options", view=begin_passkey, access=RECENTLY, answers={200: CeremonySchema},
        errors=(EmailNotVerified, PasskeyLimit, TooManyRequests),
    ),
    Route(
        method="POST", path="/passkeys", view=add_passkey, access=RECENTLY, body=NewPasskeySchema, answers={201: AddedPasskeySchema},
        errors=(EmailNotVerified, PasskeyLimit, ConcurrentChange),
    ),
    Route(method="GET", path="/passkeys", view=list_passkeys, answers={200: PasskeyListSchema}),
    Route(
        method="PATCH", path="/passkeys/<passkey_id>", view=rename_passkey, body=PasskeyNameSchema, params=PATH,
        answers={200: PasskeySchema}, errors=(NotFound,),
    ),
    Route(
        method="DELETE", path="/passkeys/<passkey_id>", view=remove_passkey, access=RECENTLY, params=PATH, answers={204: None},
        errors=(NotFound, LastWayIn, FactorNeeded),
    ),
    Route(
        method="POST", path="/passkeys/login/options", view=begin_passkey_login, access=PUBLIC, answers={200: AnonymousCeremonySchema},
        errors=(TooManyRequests,),
    ),
    Route(
        method="POST", path="/passkeys/login", view=passkey_login, access=PUBLIC, body=PasskeySignInSchema, answers={200: TokenResponse},
        errors=(InvalidCredentials, AccountDisabled, ChallengeRequired, TooManyRequests),
    ),
    Route(
        method="POST", path="/challenge/passkey", view=begin_passkey_challenge, access=PUBLIC, body=WaitingSignInSchema,
        answers={200: ChallengeCeremonySchema}, errors=(ChallengeInvalid, EmailNotVerified, PasskeyLimit, TooManyRequests),
    ),
    Route(
        method="POST", path="/reauthenticate/passkey", view=begin_passkey_proof, answers={200: CeremonySchema}, errors=(TooManyRequests,),
    ),
    Route(
        method="POST", path="/passkeys/register/options", view=begin_passkey_registration, access=PUBLIC, body=sign_up_options,
        answers={200: AnonymousCeremonySchema}, errors=(EmailTaken, UsernameTaken, RegistrationClosed, TooManyRequests),
    ),
    Route(
        method="POST", path="/passkeys/register", view=register_with_passkey, access=PUBLIC, body=sign_up,
        answers={201: RegisteredSchema, 202: MessageResponse},
        errors=(EmailTaken, UsernameTaken, RegistrationClosed, MfaEnrolmentRequired, ConcurrentChange, TooManyRequests),
    ),
)  # fmt: skip

WELL_KNOWN_ROUTES = (
    Route(method="GET", path="/webauthn", view=related_origins, access=PUBLIC, errors=(NotFound,), documented=False),
)
