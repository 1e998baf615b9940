"""GET /openapi.json, GET /docs and the files of the page."""

from __future__ import annotations

import importlib.util
import mimetypes
from pathlib import Path

from ...core.errors import NotFound
from ...core.http import PUBLIC, Call, Reply, Route
from .page import PAGE, POLICY, START
from .settings import OpenApiSettings

FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
CACHE = {"Cache-Control": "public, max-age=3600"}


def openapi_document(call: Call[None]) -> Reply:
    """This contract."""
    _insist(call)
    return Reply(call.runtime.openapi(title=call.runtime.setting(OpenApiSettings).title), headers={"Cache-Control": "no-cache"})


def docs(call: Call[None]) -> Reply:
    """A page to read and try the contract; works offline."""
    _insist(call)
    if _dist() is None:
        raise NotFound("The docs page needs Swagger UI: pip install 'flask-accounts-api[docs]'.")
    if call.request.path.endswith("/"):
        # The page's links are relative, so that it works under any prefix; they fit this one spelling.
        return Reply(status=308, headers={"Location": "../docs"})
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    return Reply(text=PAGE, content_type="text/html; charset=utf-8", headers=headers)


def docs_file(call: Call[None]) -> Reply:
    """A file of the page."""
    _insist(call)
    name, dist = call.params["name"], _dist()
    if name == "start.js":
        return Reply(text=START, content_type="text/javascript; charset=utf-8", headers=CACHE)
    if name not in FILES or dist is None:
        raise NotFound
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Reply(raw=(dist / name).read_bytes(), content_type=kind, headers=CACHE)


def _insist(call: Call[None]) -> None:
    if not call.runtime.setting(OpenApiSettings).enabled:
        raise NotFound


def _dist() -> Path | None:
    """Swagger UI's files, as the package flask-swagger-ui carries them; the package itself is not imported."""
    spec = importlib.util.find_spec("flask_swagger_ui")
    return Path(spec.origin).parent / "dist" if spec and spec.origin else None


ROUTES = (
    Route(method="GET", path="/openapi.json", view=openapi_document, access=PUBLIC, documented=False),
    Route(method="GET", path="/docs", view=docs, access=PUBLIC, documented=False),
    Route(method="GET", path="/docs/<name>", view=docs_file, access=PUBLIC, documented=False),
)
