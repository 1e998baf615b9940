"""GET /me/export."""

from __future__ import annotations

from ...core.errors import ExportFailed, TooManyRequests
from ...core.gates import Entry
from ...core.http import RECENTLY, Call, Reply, Route
from .schemas import ExportSchema
from .service import ExportService


def export_me(call: Call[None]) -> Reply:
    """Everything stored about the own account. No passwords, tokens, codes or hashes are in it."""
    runtime, key = call.runtime, call.principal.user_id
    runtime.enter(Entry("export", call.client, account=str(key), user_id=key))
    document = runtime.get(ExportService).make(key, actor_id=key, client=call.client)
    runtime.commit()  # a GET does not commit by itself, and that it was handed out must be remembered
    return Reply(document, headers={"Content-Disposition": 'attachment; filename="account.json"'})


ROUTES = (
    Route(
        method="GET", path="/me/export", view=export_me, access=RECENTLY,
        answers={200: ExportSchema}, errors=(ExportFailed, TooManyRequests),
    ),
)  # fmt: skip
