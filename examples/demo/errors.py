"""The blog's own errors as JSON: `{"error": sentence}`, with `errors` for each field of a form.

They are for the blog's routes. The accounts' blueprints render their problem details themselves and
never come here; an `AccountsError` that a decorator raises on a route of the blog is passed on as it is.
"""

from __future__ import annotations

from typing import Any

import pydantic
from flask import Flask, request
from flask.typing import ResponseReturnValue
from pydantic_core import ErrorDetails
from werkzeug.exceptions import HTTPException

from flask_accounts import AccountsError


def register_error_handlers(app: Flask) -> None:
    """Make `app` answer errors under /api/ in JSON."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(pydantic.ValidationError, _invalid)


def _http(error: HTTPException) -> ResponseReturnValue:
    if isinstance(error, AccountsError) or not request.path.startswith("/api/"):
        return error.get_response()
    headers = [(name, value) for name, value in error.get_headers() if name.lower() != "content-type"]
    return {"error": error.description or error.name}, error.code or 500, headers


# What authors read in place of pydantic's own words.
SENTENCES = {
    "missing": "Please fill this in.",
    "string_too_short": "Please fill this in.",
    "string_too_long": "Use at most {max_length} characters.",
}


def _invalid(error: pydantic.ValidationError) -> tuple[dict[str, Any], int]:
    problems = [
        {"field": ".".join(str(part) for part in problem["loc"]), "message": _sentence(problem)}
        for problem in error.errors(include_url=False, include_input=False)
    ]
    return {"error": "The post is not complete.", "errors": problems}, 400


def _sentence(problem: ErrorDetails) -> str:
    sentence = SENTENCES.get(problem["type"])
    return sentence.format_map(problem.get("ctx", {})) if sentence else problem["msg"]
