"""GET /jwks.json: what others verify our tokens with."""

from __future__ import annotations

import hashlib
import json

from ...core.http import PUBLIC, Call, Reply, Route
from .schemas import JwkSetSchema
from .service import SigningKeyService


def jwks(call: Call[None]) -> Reply:
    """The public keys that tokens are verified with (RFC 7517): those that sign, are about to, or have signed what is still good.

    No keys where a shared secret signs (HS256): nobody else can verify such tokens.
    """
    service = call.runtime.get(SigningKeyService)
    text = json.dumps({"keys": service.published()}, separators=(",", ":"))
    tag = hashlib.sha256(text.encode()).hexdigest()[:32]
    age = int(service.settings.jwks_max_age.total_seconds())
    headers = {"Cache-Control": f"public, max-age={age}", "ETag": f'"{tag}"'}
    return Reply(status=304, headers=headers) if call.has_cached(tag) else Reply(text=text, headers=headers)


ROUTES = (Route(method="GET", path="/jwks.json", view=jwks, access=PUBLIC, answers={200: JwkSetSchema, 304: None}),)
