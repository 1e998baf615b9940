"""POST and DELETE /mfa/totp, POST /mfa/totp/confirm, and POST /challenge/totp."""

from __future__ import annotations

from dataclasses import asdict

from ...core.errors import ChallengeInvalid, ConcurrentChange, EmailNotVerified, FactorNeeded, NotFound, TooManyRequests
from ...core.http import PUBLIC, RECENTLY, Call, Reply, Route
from ..mfa.service import MfaService
from .schemas import ConfirmedSchema, EnrolmentSchema, SignInEnrolmentSchema, TotpCodeSchema
from .service import NAME, Enrolment, TotpService


def begin_totp(call: Call[None]) -> Reply:
    """Begin to set up an authenticator app. It counts once it is confirmed; one that the account has stays until then."""
    return _shown(call.runtime.get(TotpService).begin(call.principal.user, where=str(call.principal.session_id)))


def begin_totp_in_sign_in(call: Call[SignInEnrolmentSchema]) -> Reply:
    """The same for a sign-in that was answered `MFA_ENROLMENT_REQUIRED`: the first code answers the challenge `totp_enrolment`."""
    return _shown(call.runtime.get(TotpService).begin_in_sign_in(call.body.challenge_token, call.client))


def confirm_totp(call: Call[TotpCodeSchema]) -> Reply:
    """Confirm an authenticator app by its first code. All other sessions end; recovery codes are shown, if the account had none."""
    codes = call.runtime.get(TotpService).confirm(
        call.principal.user, call.body.code, call.client, where=str(call.principal.session_id), principal=call.principal
    )
    return Reply({"recovery_codes": codes} if codes else {})


def remove_totp(call: Call[None]) -> Reply:
    """Remove the authenticator app; all other sessions end. With the last factor, recovery codes and remembered devices go too."""
    call.runtime.get(MfaService).remove(call.principal.user_id, NAME, call.client, session_id=call.principal.session_id)
    return Reply(status=204)


def _shown(enrolment: Enrolment) -> Reply:
    return Reply(EnrolmentSchema(**asdict(enrolment)))


ROUTES = (
    Route(
        method="POST", path="/mfa/totp", view=begin_totp, access=RECENTLY,
        answers={200: EnrolmentSchema}, errors=(EmailNotVerified,),
    ),
    Route(
        method="POST", path="/mfa/totp/confirm", view=confirm_totp, access=RECENTLY, body=TotpCodeSchema,
        answers={200: ConfirmedSchema}, errors=(EmailNotVerified, ConcurrentChange),
    ),
    Route(
        method="DELETE", path="/mfa/totp", view=remove_totp, access=RECENTLY, answers={204: None}, errors=(NotFound, FactorNeeded),
    ),
    Route(
        method="POST", path="/challenge/totp", view=begin_totp_in_sign_in, access=PUBLIC, body=SignInEnrolmentSchema,
        answers={200: EnrolmentSchema}, errors=(ChallengeInvalid, EmailNotVerified, TooManyRequests),
    ),
)  # fmt: skip
