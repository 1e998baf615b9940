"""GET /oidc; the way to a provider and back under /oidc/{provider}; POST /oidc/token and /oidc/reauthenticate; the own /identities.

The callback changes things by GET, since a provider sends browsers back so (RFC 6749): it takes what nobody can make but the provider, in the
one browser that has begun, and opens no session. The front end's POST does.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response

from ...core.binding import Binding
from ...core.errors import (
    AccountDisabled,
    ChallengeRequired,
    CrossSite,
    EmailTaken,
    IdentityInvalid,
    IdentityMismatch,
    IdentityNotRecent,
    IdentityRefused,
    IdentityTaken,
    IdentityUnknown,
    LastWayIn,
    NotFound,
    OneTimeTokenInvalid,
    OtherBrowser,
    ProviderUnavailable,
    ReauthenticationRequired,
    TooManyRequests,
    UsernameTaken,
)
from ...core.http import PUBLIC, RECENTLY, Call, Reply, Route, needs
from ...core.login import token_reply
from ...core.schemas import TokenResponse
from .flow import Begun, OidcService
from .schemas import (
    BegunSchema,
    CallbackQuery,
    ExchangeSchema,
    IdentityListSchema,
    IdentitySchema,
    LinkSchema,
    ProviderListSchema,
    ProviderSchema,
    ReauthenticateByProviderSchema,
    exchange,
)
from .service import Identity, IdentityService

REFERRER = {"Referrer-Policy": "no-referrer"}
"""What a URL of ours holds is nobody else's business."""
TOLD = (
    OneTimeTokenInvalid, OtherBrowser, IdentityRefused, IdentityInvalid, IdentityNotRecent, ProviderUnavailable, TooManyRequests,
)  # fmt: skip
"""Errors of the callback that the front end shows."""


def _binding(token: str, *, cross_site: bool = False) -> Binding:
    """A cookie for each token, so that two sign-ins in two tabs do not disturb each other."""
    return Binding(f"oidc_{token[:16]}", cross_site=cross_site)


def list_providers(call: Call[None]) -> Reply:
    """The identity providers that people can sign in with."""
    found = call.runtime.get(OidcService).providers
    shown = [ProviderSchema(name=each.name, label=each.label, reauthenticates=each.openid) for each in found]
    return Reply(ProviderListSchema(providers=shown))


def begin_sign_in(call: Call[None]) -> Reply:
    """Begin to sign in with a provider: send the browser to the URL in the answer."""
    return _begun(call.runtime.get(OidcService).begin(call.params["provider"], call.client))


def go_to_provider(call: Call[None]) -> Reply:
    """The same for a link on the app's own page: leads on to the provider. It opens no session, and is refused when another website led here."""
    if call.request.headers.get("Sec-Fetch-Site", "") == "cross-site":
        raise CrossSite
    begun = call.runtime.get(OidcService).begin(call.params["provider"], call.client)
    call.runtime.commit()
    reply = _begun(begun)
    return Reply(status=303, decorate=reply.decorate, headers={"Location": begun.url, **REFERRER})


def begin_link(call: Call[None]) -> Reply:
    """Begin to link an identity to the own account; the rest is `POST /identities`."""
    principal = call.principal
    return _begun(
        call.runtime.get(OidcService).begin(
            call.params["provider"], call.client, intent="link", user_id=principal.user_id, session=str(principal.session_id)
        )
    )


def begin_step_up(call: Call[None]) -> Reply:
    """Begin to prove presence by an identity of the own account: the provider is asked to have the person sign in anew. For an account that
    has no second factor; the rest is `POST /oidc/reauthenticate`.
    """
    return _begun(call.runtime.get(IdentityService).begin_step_up(call.params["provider"], call.principal, call.client))


def callback(call: Call[None]) -> Reply:
    """Where a provider sends the browser back to. Leads on to the front end with a code to exchange, or an error."""
    service, answer = call.runtime.get(OidcService), call.query.model_dump()
    binding = _binding(answer["state"] or "", cross_site=True)
    secret = binding.presented(call, None)
    try:
        answered = service.receive(call.params["provider"], answer, call.client, secret=secret)
    except TOLD as error:
        url = service.front_end(error=error.error_code, provider=call.params["provider"])
        return Reply(status=303, headers={"Location": url, **REFERRER})

    def decorate(response: Response) -> None:
        binding.drop(response)
        _binding(answered.code).keep(answered.secret, answered.lifetime)(response)

    return Reply(status=303, decorate=decorate, headers={"Location": service.front_end(code=answered.code), **REFERRER})


def callback_by_form(call: Call[None]) -> Reply:
    """The same for providers that have the browser post a form (Apple): leads on to the GET, which gets the browser's cookie."""
    service = call.runtime.get(OidcService)
    if call.params["provider"] not in {each.name for each in service.providers if each.form_post}:
        raise NotFound
    form = call.request.form
    query = {name: form[name] for name in CallbackQuery.model_fields if name in form}
    return Reply(status=303, headers={"Location": service.callback_url(call.params["provider"], **query), **REFERRER})


def exchange_code(call: Call[ExchangeSchema]) -> Reply:
    """Sign in by the code that the callback gave to the front end, in the same browser; makes an account where there is none."""
    code = call.body.code
    binding = _binding(code)
    sign_in = call.runtime.get(IdentityService).sign_in(
        code, call.body.model_extra or {}, call.client, secret=binding.presented(call, None)
    )
    return _dropping(binding, token_reply(call, sign_in))


def step_up(call: Call[ReauthenticateByProviderSchema]) -> Reply:
    """Prove presence by the code that the callback gave to the front end: the new tokens pass where recent authentication is asked for. Only
    by an identity of this account, and in the session that has begun it.
    """
    binding = _binding(call.body.code)
    sign_in = call.runtime.get(IdentityService).reauthenticate(
        call.body.code, call.principal, call.client, secret=binding.presented(call, None)
    )
    return _dropping(binding, token_reply(call, sign_in, location=call.principal.location))


def link_identity(call: Call[LinkSchema]) -> Reply:
    """Link the identity that a code stands for to the own account, in the session that has begun it."""
    binding = _binding(call.body.code)
    identity = call.runtime.get(IdentityService).link(
        call.body.code, call.principal, call.client, secret=binding.presented(call, None)
    )
    return _dropping(binding, Reply(_shown(call, identity), 201))


def list_identities(call: Call[None]) -> Reply:
    """The own identities at providers."""
    return _listed(call, call.principal.user_id)


def unlink_identity(call: Call[None]) -> Reply:
    """Take an identity from the own account, unless it is the only way in."""
    try:
        identity_id = UUID(call.params["identity_id"])
    except ValueError:
        raise NotFound from None
    call.runtime.get(IdentityService).unlink(
        call.principal.user_id, identity_id, actor_id=call.principal.user_id, client=call.client
    )
    return Reply(status=204)


def list_user_identities(call: Call[None]) -> Reply:
    """An account's identities at providers."""
    return _listed(call, call.runtime.users.named(call.params["user_id"]).key)


def _begun(begun: Begun) -> Reply:
    seconds = int(begun.lifetime.total_seconds())
    keep = _binding(begun.state, cross_site=True).keep(begun.secret, begun.lifetime)
    return Reply(BegunSchema(authorization_url=begun.url, expires_in=seconds), decorate=keep)


def _dropping(binding: Binding, reply: Reply) -> Reply:
    """`reply`, also expiring the cookie."""
    before = reply.decorate

    def decorate(response: Response) -> None:
        if before:
            before(response)
        binding.drop(response)

    reply.decorate = decorate
    return reply


def _listed(call: Call[None], user: Any) -> Reply:
    found = call.runtime.get(IdentityService).of(user)
    return Reply(IdentityListSchema(identities=[_shown(call, identity) for identity in found]))


def _shown(call: Call[Any], identity: Identity) -> IdentitySchema:
    return call.runtime.schemas.get(IdentitySchema).model_validate(identity)


AUTH_ROUTES = (
    Route(method="GET", path="/oidc", view=list_providers, access=PUBLIC, answers={200: ProviderListSchema}),
    Route(
        method="POST", path="/oidc/<provider>/login", view=begin_sign_in, access=PUBLIC, answers={200: BegunSchema},
        errors=(NotFound, ProviderUnavailable, TooManyRequests),
    ),
    Route(
        method="GET", path="/oidc/<provider>/login", view=go_to_provider, access=PUBLIC, answers={303: None},
        errors=(CrossSite, NotFound, ProviderUnavailable, TooManyRequests),
    ),
    Route(
        method="POST", path="/oidc/<provider>/link", view=begin_link, access=RECENTLY, answers={200: BegunSchema},
        errors=(NotFound, ProviderUnavailable, TooManyRequests),
    ),
    Route(
        method="POST", path="/oidc/<provider>/reauthenticate", view=begin_step_up, answers={200: BegunSchema},
        errors=(NotFound, IdentityMismatch, IdentityNotRecent, ReauthenticationRequired, ProviderUnavailable, TooManyRequests),
    ),
    Route(
        method="GET", path="/oidc/<provider>/callback", view=callback, access=PUBLIC, query=CallbackQuery, answers={303: None},
        errors=(NotFound,),
    ),
    Route(
        method="POST", path="/oidc/<provider>/callback", view=callback_by_form, access=PUBLIC, answers={303: None}, errors=(NotFound,),
    ),
    Route(
        method="POST", path="/oidc/token", view=exchange_code, access=PUBLIC, body=exchange, answers={200: TokenResponse},
        errors=(
            OneTimeTokenInvalid, OtherBrowser, IdentityUnknown, AccountDisabled, ChallengeRequired, EmailTaken, UsernameTaken,
            TooManyRequests,
        ),
    ),
    Route(
        method="POST", path="/oidc/reauthenticate", view=step_up, body=ReauthenticateByProviderSchema, answers={200: TokenResponse},
        errors=(OneTimeTokenInvalid, OtherBrowser, IdentityMismatch, ReauthenticationRequired, TooManyRequests),
    ),
    Route(method="GET", path="/identities", view=list_identities, answers={200: IdentityListSchema}),
    Route(
        method="POST", path="/identities", view=link_identity, body=LinkSchema, answers={201: IdentitySchema},
        errors=(OneTimeTokenInvalid, OtherBrowser, IdentityTaken, TooManyRequests),
    ),
    Route(
        method="DELETE", path="/identities/<identity_id>", view=unlink_identity, access=RECENTLY, params={"identity_id": UUID},
        answers={204: None}, errors=(NotFound, LastWayIn, ReauthenticationRequired),
    ),
)  # fmt: skip

USERS_ROUTES = (
    Route(
        method="GET", path="/<user_id>/identities", view=list_user_identities, access=needs("users:read"),
        answers={200: IdentityListSchema}, errors=(NotFound,),
    ),
)  # fmt: skip
