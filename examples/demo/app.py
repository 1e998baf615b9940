"""The factory: configuration, database, accounts, the blog's own routes, and the page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dotenv import find_dotenv, load_dotenv
from flask import Flask, Response, current_app, render_template
from flask_cors import CORS
from flask_migrate import Migrate

from . import posts
from .accounts import accounts
from .config import choose
from .errors import register_error_handlers
from .models import db
from .outbox import Outbox, outbox_pages
from .seed import seed_command

migrate = Migrate(directory=str(Path(__file__).parent / "migrations"), render_as_batch=True)

PAGES_OF_MAILS = (
    "verify-email", "reset-password", "confirm-email-change", "undo-email-change", "accept-invitation", "unlock", "sign-in", "forgot-password",
    "security",
)  # fmt: skip
"""Where links in mails lead. It is one page all the same; its script knows them by name."""
SIGNED_IN = "signed-in"
"""The same for identity providers."""

SECURITY_HEADERS = {
    # Scripts and styles from this host only, none inline; text never becomes markup (trusted types). Images also from the script's own
    # memory (blob:), where QR codes come from: an SVG that is shown as an image runs nothing and loads nothing.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def create_app(environment: str | None = None, **overrides: Any) -> Flask:
    """The blog in `environment` (`development`, `testing`, `production`; see `config.choose`).

    `overrides` are configuration values that win over all others.
    """
    if environment != "testing":
        load_dotenv(find_dotenv(usecwd=True))
    app = Flask(__name__, static_folder="static", instance_path=os.environ.get("DEMO_INSTANCE") or None)
    app.config.from_object(choose(environment)(Path(app.instance_path)))
    app.config.update(overrides)
    _tell_where(app)
    outbox = Outbox() if app.config["OUTBOX"] else None
    accounts.init_app(app, mailer=outbox)
    _enforce_foreign_keys(app)
    migrate.init_app(app, db)
    # Other origins get no cookies: their pages use header tokens (`X-Token-Transport: headers`).
    CORS(
        app,
        resources={r"/api/*": {"origins": app.config["CORS_ORIGINS"]}},
        allow_headers=["Authorization", "Content-Type", "X-Token-Transport"],
        supports_credentials=False,
        max_age=600,
    )
    register_error_handlers(app)
    app.register_blueprint(posts.blueprint)
    for path in ("", SIGNED_IN, *PAGES_OF_MAILS):
        app.add_url_rule(f"/{path}", view_func=index)
    if outbox is not None:
        app.register_blueprint(outbox_pages(outbox))
    app.after_request(_harden)
    if app.config["HSTS"]:
        app.after_request(_only_https)
    app.cli.add_command(seed_command)
    return app


def index() -> str:
    """The one page; everything in it is made by its script."""
    config = current_app.config
    return render_template("index.html", outbox=config["OUTBOX"], remembered=config["ACCOUNTS_MFA_REMEMBER_FOR"].days)


def _tell_where(app: Flask) -> None:
    """Where browsers reach the blog is said once, for links in mails; identity providers send them back there."""
    base = str(app.config.get("ACCOUNTS_MAIL_BASE_URL") or "").rstrip("/")
    if base:
        app.config.setdefault("ACCOUNTS_OIDC_BASE_URL", f"{base}/api/auth")
        app.config.setdefault("ACCOUNTS_OIDC_FRONT_END_URL", f"{base}/{SIGNED_IN}")


def _enforce_foreign_keys(app: Flask) -> None:
    """SQLite forgets `ON DELETE CASCADE` unless each connection asks for it."""
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            sa.event.listen(db.engine, "connect", lambda connection, record: connection.execute("PRAGMA foreign_keys=ON"))


def _harden(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        # `setdefault`: the accounts' docs page and the outbox bring policies of their own.
        response.headers.setdefault(name, value)
    return response


def _only_https(response: Response) -> Response:
    response.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    return response
