"""The local outbox: where mails go in development and tests, and the pages that show them.

They hold links and codes that open accounts. So the pages are there for this machine only, and in production
there are none: mails leave by SMTP.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Blueprint, Response, abort, render_template, request

from flask_accounts import Message

KEPT = 50
NAMES_OF_THIS_MACHINE = {"127.0.0.1", "localhost", "[::1]"}
LINK = re.compile(r"(https?://\S+)")
# The mail in its frame: its own style, no script, and only a person's click leads out of it.
FRAME = "sandbox allow-top-navigation-by-user-activation"
POLICY_OF_A_PAGE = "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
POLICY_OF_A_MAIL = (
    f"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; {FRAME}"
)


@dataclass(frozen=True)
class Kept:
    """A mail that was sent."""

    number: int
    at: datetime
    message: Message

    @property
    def pieces(self) -> list[tuple[bool, str]]:
        """The text in pieces, and whether each is a link."""
        return [(bool(LINK.fullmatch(piece)), piece) for piece in LINK.split(self.message.text) if piece]


class Outbox:
    """A mailer that sends nothing: the last mails are kept in this process."""

    def __init__(self) -> None:
        self._mails: deque[Kept] = deque(maxlen=KEPT)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Keep `message`."""
        with self._lock:
            self._mails.appendleft(Kept(next(self._numbers), datetime.now(UTC), message))

    def mails(self) -> list[Kept]:
        """What is kept, newest first."""
        with self._lock:
            return list(self._mails)


def outbox_pages(outbox: Outbox) -> Blueprint:
    """GET /outbox, /outbox/<n> and, for the frame on that page, /outbox/<n>/html."""
    pages = Blueprint("outbox", __name__, url_prefix="/outbox")

    def found(number: int) -> Kept:
        return next((kept for kept in outbox.mails() if kept.number == number), None) or abort(404)

    @pages.before_request
    def only_on_this_machine() -> None:
        # Not for the network (`--host 0.0.0.0`), nor for a page of another name that is made to resolve to here.
        address, name = request.remote_addr or "", re.sub(r":\d+$", "", request.host)
        if name not in NAMES_OF_THIS_MACHINE or not ipaddress.ip_address(address).is_loopback:
            abort(404)

    @pages.get("")
    def index() -> str:
        return render_template("outbox/index.html", mails=outbox.mails())

    @pages.get("/<int:number>")
    def mail(number: int) -> str:
        return render_template("outbox/mail.html", mail=found(number))

    @pages.get("/<int:number>/html")
    def html(number: int) -> Response:
        # Links open in the window and not in the frame, where no page of ours lets itself be shown.
        text = (found(number).message.html or abort(404)).replace("<head>", '<head><base target="_top">', 1)
        return Response(text, mimetype="text/html", headers={"Content-Security-Policy": POLICY_OF_A_MAIL})

    @pages.after_request
    def restrict(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", POLICY_OF_A_PAGE)
        response.headers["Cache-Control"] = "no-store"
        return response

    return pages
