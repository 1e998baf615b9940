"""POST /introspect and POST /revoke, for services with credentials of their own."""

from __future__ import annotations

from ...core.errors import InvalidClient, TooManyRequests, UnauthorizedClient
from ...core.http import CLIENTS, Call, Reply, Route
from .schemas import IntrospectionSchema, TokenForm
from .service import TokenServicesService


def introspect(call: Call[TokenForm]) -> Reply:
    """Ask whether an access token is good at this moment, and whose it is (RFC 7662).

    Ended sessions, disabled and deleted accounts, and changed roles count at once. A refresh token is never active here.
    """
    service = call.runtime.get(TokenServicesService)
    name = service.authenticate(call.client_credentials, call.client)
    return Reply(service.introspect(name, call.body.token, call.client))


def revoke(call: Call[TokenForm]) -> Reply:
    """Revoke an access or refresh token, and with it its session (RFC 7009). Of a token that is not good there is nothing to do: 200 too."""
    service = call.runtime.get(TokenServicesService)
    name = service.authenticate(call.client_credentials, call.client)
    service.revoke(name, call.body.token, call.client)
    return Reply()


ERRORS = (InvalidClient, UnauthorizedClient, TooManyRequests)
ROUTES = (
    Route(
        method="POST", path="/introspect", view=introspect, access=CLIENTS, body=TokenForm, form=True,
        answers={200: IntrospectionSchema}, errors=ERRORS,
    ),
    Route(method="POST", path="/revoke", view=revoke, access=CLIENTS, body=TokenForm, form=True, answers={200: None}, errors=ERRORS),
)  # fmt: skip
