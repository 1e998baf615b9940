"""Inviting and accepting as clients do."""

from __future__ import annotations

import re
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_accounts import Message
from tests.conftest import Site

INVITATIONS = "/api/users/invitations"
NEW = "seven brown foxes"


def token_in(message: Message) -> str:
    found = re.search(r"[A-Za-z0-9_-]{43}", message.text)
    assert found
    return found[0]


def invite(client: FlaskClient, email: str = "ann@example.com", **body: Any) -> dict[str, Any]:
    """The invitation, which must succeed."""
    answer = client.post(INVITATIONS, json={"email": email, **body})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def invited(site: Site, client: FlaskClient, email: str = "ann@example.com", **body: Any) -> str:
    """The token that the mail to `email` carries."""
    invite(client, email, **body)
    return token_in(site.testing.outbox[-1])


def look(site: Site, token: str) -> TestResponse:
    return site.client.post("/api/auth/invitations/look", json={"token": token})


def accept(site: Site, token: str, password: str = NEW, **body: Any) -> TestResponse:
    return site.client.post("/api/auth/invitations/accept", json={"token": token, "password": password, **body})


def code(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["code"]


VOID = (400, "ONE_TIME_TOKEN_INVALID")
EDITOR = ["users:read"]


def make_role(site: Site, name: str = "editor", *, permissions: list[str] = EDITOR) -> None:
    with site.app.app_context():
        site.accounts.roles.create(name, permissions=permissions)
        site.db.session.commit()


def statuses(client: FlaskClient, query: str = "") -> list[tuple[str, str]]:
    """Address and status of each invitation that is listed."""
    page = client.get(INVITATIONS + query).get_json()
    return [(found["email"], found["status"]) for found in page["invitations"]]
