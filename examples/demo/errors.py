"""The blog's own errors as JSON: `{"error": sentence}`, with `errors` for each field of a form.

They are for the blog's routes. The accounts' blueprints render their problem details themselves and
never come here; an `AccountsError` that a decorator raises on a route of the blog is passed on as it is.
"""

from __future__ import annotations

from typing import Any

import pydantic
from flask import Flask, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from flask_accounts import AccountsError


def register_error_handlers(app: Flask) -> None:
    """Make `app` answer errors under /api/ in JSON."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(pydantic.ValidationError, _invalid)


def _http(error: HTTPException) -> ResponseReturnValue:
    if isinstance(error, AccountsError) or not request.path.startswith("/api/"):
        return error.get_response()  # type: ignore[return-value]  # a plain Werkzeug response
    headers = [(name, value) for name, value in error.get_headers() if name.lower() != "content-type"]
    return {"error": error.description or error.name}, error.code or 500, headers


def _invalid(error: pydantic.ValidationError) -> tuple[dict[str, Any], int]:
    problems = [
        {"field": ".".join(str(part) for part in problem["loc"]), "message": problem["msg"]}
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return {"error": "The post is not complete.", "errors": problems}, 400
