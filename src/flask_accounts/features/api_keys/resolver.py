"""Finding a key in a request: `Authorization: Bearer <key>`, or the header that the settings name. Never in the URL, never in a cookie.

Costs a look at two headers where there is none. A key in `Authorization` is known by how it begins, so that tokens pass by; whatever
stands in the other header is meant to be a key. Two credentials at once are refused: nobody should have to know which one counts.
"""

from __future__ import annotations

import logging
import re
from functools import partial
from uuid import UUID

from flask import Flask, Request, Response, after_this_request, current_app

from ...core.errors import InvalidToken
from ...core.events import Client
from ...core.identity import Principal, Resolver
from ...core.runtime import Runtime
from ...core.tracing import traced
from .service import EXACT, ApiKeyService
from .settings import ApiKeySettings

logger: logging.Logger = logging.getLogger("flask_accounts.api_keys")


def resolver(runtime: Runtime) -> Resolver:
    """The resolver of keys for an app."""
    settings = runtime.setting(ApiKeySettings)
    begins = re.compile(rf"bearer +(?=(?:{'|'.join(map(re.escape, settings.prefixes))})_)(.*)", re.IGNORECASE | re.DOTALL)
    header = settings.header

    def resolve(request: Request) -> Principal | None:
        authorization = request.headers.get("Authorization")
        found = begins.match(authorization) if authorization else None
        shown = request.headers.get(header) if header else None
        if found is None and shown is None:
            return None
        if shown is not None and authorization is not None and authorization[:6].lower() == "bearer":
            raise InvalidToken(f"Send one credential: Authorization or {header}.")
        return _authenticate(runtime, request, found[1] if found is not None else shown or "")

    return resolve


@traced("accounts.authenticate", to=lambda principal: {"credential": "api_key"})
def _authenticate(runtime: Runtime, request: Request, secret: str) -> Principal:
    client = Client(request.remote_addr, request.headers.get("User-Agent"))
    use = runtime.get(ApiKeyService).authenticate(secret, client)
    now, key_id = runtime.clock.now(), use.principal.credential_id
    if key_id is not None and (use.last_used_at is None or now - use.last_used_at >= EXACT):
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # the proxy's own method
        note = partial(_note_use, app, runtime, key_id, client)

        def afterwards(response: Response) -> Response:
            response.call_on_close(note)
            return response

        after_this_request(afterwards)
    return use.principal


def _note_use(app: Flask, runtime: Runtime, key_id: UUID, client: Client) -> None:
    """Called once the answer has been sent, so that nobody waits for it; what goes wrong is nobody's loss."""
    try:
        with app.app_context():
            runtime.get(ApiKeyService).note_use(key_id, client, runtime.clock.now())
    except Exception:
        logger.exception("The last use of the API key %s could not be written.", key_id)
