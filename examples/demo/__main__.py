"""`python -m examples.demo`: prepares the database, makes people and posts, says how to sign in, and serves."""

from __future__ import annotations

import os

import click
import flask_migrate
from dotenv import find_dotenv, load_dotenv

from . import create_app
from .seed import print_logins, seed


@click.command(help="Try the demo. Its database and its keys are kept in the folder `instance`.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen. 0.0.0.0 lets others on the network in.")
@click.option("--port", default=5000, show_default=True)
def main(host: str, port: int) -> None:
    """Prepare and serve."""
    load_dotenv(find_dotenv(usecwd=True))
    # Whoever has said "production" gets that, and the seed then refuses to run.
    # By name: passkeys are bound to one, and an address of numbers is none.
    where = {} if os.environ.get("ACCOUNTS_MAIL_BASE_URL") else {"ACCOUNTS_MAIL_BASE_URL": f"http://localhost:{port}"}
    app = create_app(os.environ.get("DEMO_ENVIRONMENT") or "development", **where)
    with app.app_context():
        flask_migrate.upgrade()
        logins = seed()
    click.echo("\nSign in with (unless you have changed it):")
    print_logins(logins)
    shown = "localhost" if host in ("127.0.0.1", "0.0.0.0") else host  # noqa: S104  # a comparison; nothing is bound here
    click.echo(f"\n  the blog     http://{shown}:{port}/\n  its API      http://{shown}:{port}/api/auth/docs")
    click.echo(f"  its mails    http://localhost:{port}/outbox\n")
    # Without the debugger: it would hand a shell to whoever reaches the port.
    app.run(host, port, debug=False, threaded=True)


if __name__ == "__main__":
    main()
