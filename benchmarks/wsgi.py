"""One request to an app without a server and without a test client, so that little but the app is measured."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask


def post(app: Flask, path: str, body: Mapping[str, Any], *, address: str = "192.0.2.7", expect: int = 200) -> Any:
    """POST `body` as JSON, from the WSGI environment to the last byte, and return the answer's; AssertionError if the status is not
    what is expected.
    """
    text = json.dumps(body).encode()
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_NAME": "bench",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": address, "HTTP_USER_AGENT": "bench/1.0",
        "HTTP_HOST": "bench", "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(text)), "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(text), "wsgi.errors": io.StringIO(), "wsgi.multithread": True,
        "wsgi.multiprocess": False, "wsgi.run_once": False,
    }  # fmt: skip
    said: list[str] = []

    def start(status: str, headers: Any, error: Any = None) -> Callable[[bytes], object]:
        said.append(status)
        return lambda data: None

    answer = app.wsgi_app(environ, start)
    told = b"".join(answer)
    answer.close()  # type: ignore[attr-defined]  # Werkzeug's has it
    assert said[0].startswith(f"{expect} "), (said, told)
    return json.loads(told) if told else None
