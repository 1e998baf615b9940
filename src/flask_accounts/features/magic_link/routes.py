"""POST /magic-link and /magic-link/login. No GET consumes anything: mail scanners follow links."""

from __future__ import annotations

from flask import Response

from ...core.binding import Binding, new_secret, takes_body
from ...core.errors import (
    AccountDisabled,
    ChallengeRequired,
    InvalidCredentials,
    MfaEnrolmentRequired,
    MfaRequired,
    OneTimeTokenInvalid,
    OtherBrowser,
    TooManyRequests,
)
from ...core.http import PUBLIC, Call, Reply, Route
from ...core.login import token_reply
from ...core.schemas import TokenResponse
from .schemas import MagicLinkAskedSchema, MagicLinkLoginSchema, MagicLinkSchema
from .service import MagicLinkService

BINDING = Binding("magic_link")


def ask_magic_link(call: Call[MagicLinkSchema]) -> Reply:
    """Ask for a mail to sign in with. The answer is the same for every address.

    What the mail holds works only together with the cookie that comes with this answer, or with its `request_token`.
    """
    service = call.runtime.get(MagicLinkService)
    secret = new_secret() if service.settings.bind_browser else None
    service.ask(call.body.email, call.client, binding=secret)
    body = MagicLinkAskedSchema(
        message="If there is an account for the address, a mail is on its way.",
        expires_in=int(service.settings.lifetime.total_seconds()),
    )
    if secret is None:
        return Reply(body.model_dump(exclude_unset=True), 202)
    if takes_body(call):
        body.request_token = secret
    return Reply(body.model_dump(exclude_unset=True), 202, decorate=BINDING.keep(secret, service.settings.lifetime))


def magic_link_login(call: Call[MagicLinkLoginSchema]) -> Reply:
    """Sign in by the token of the mailed link or by the mailed code, where it was asked for."""
    service, body = call.runtime.get(MagicLinkService), call.body
    binding = BINDING.presented(call, body.request_token)
    if body.token is not None:
        sign_in = service.sign_in(body.token, call.client, binding=binding)
    else:
        sign_in = service.sign_in_by_code(body.email or "", body.code or "", call.client, binding=binding)
    reply = token_reply(call, sign_in)
    with_tokens = reply.decorate

    def decorate(response: Response) -> None:
        if with_tokens:
            with_tokens(response)
        if BINDING.cookie in call.request.cookies:
            BINDING.drop(response)

    reply.decorate = decorate
    return reply


ROUTES = (
    Route(
        method="POST", path="/magic-link", view=ask_magic_link, access=PUBLIC, body=MagicLinkSchema,
        answers={202: MagicLinkAskedSchema}, errors=(TooManyRequests,),
    ),
    Route(
        method="POST", path="/magic-link/login", view=magic_link_login, access=PUBLIC, body=MagicLinkLoginSchema,
        answers={200: TokenResponse},
        errors=(
            OneTimeTokenInvalid, OtherBrowser, InvalidCredentials, AccountDisabled, ChallengeRequired, MfaRequired, MfaEnrolmentRequired,
            TooManyRequests,
        ),
    ),
)  # fmt: skip
