"""People and posts to try the demo with: `flask --app examples.demo --debug seed`.

Running it again adds nothing that is there. Passwords are random; they are kept in the instance folder,
readable by its owner only, so that they can be shown again. In production it refuses.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

import click
import sqlalchemy as sa
from flask import current_app
from flask.cli import with_appcontext

from .accounts import accounts
from .models import Post, User, db, utc_now
from .seed_texts import MODERATOR_ROLE, PEOPLE, POSTS, SIGN_INS


@dataclass(frozen=True)
class SignInWith:
    """What to sign in with."""

    email: str
    password: str
    what: str


def seed() -> list[SignInWith]:
    """Make the demo's people and posts, as far as they are missing; returns what to sign in with."""
    if not current_app.config["SEEDING"]:
        raise click.ClickException(
            "Demo accounts with printed passwords are for development only. Use `flask accounts create-admin`."
        )
    if MODERATOR_ROLE not in {role.name for role in accounts.roles.all()}:
        accounts.roles.create(MODERATOR_ROLE, permissions=["posts:moderate"], description="Removes posts of anybody.")
    people = {user.username or "": user for user in db.session.scalars(sa.select(User))}
    passwords, new = _passwords()
    for username, display_name, bio in PEOPLE:
        if username not in people:
            email, password = f"{username}@example.com", passwords.get(username)
            made = accounts.users.create(
                email, password, username=username, display_name=display_name, bio=bio, email_verified=True
            )
            people[username] = cast(User, made)
        elif username in new or (username in passwords and people[username].password_hash is None):
            accounts.passwords.set(people[username], passwords[username])
    for username, (_, roles) in SIGN_INS.items():
        accounts.roles.grant(people[username], *roles)
    if db.session.scalar(sa.select(sa.func.count(Post.id))) == 0:
        for age, (username, title, body) in reversed(list(enumerate(reversed(POSTS)))):
            published = utc_now() - timedelta(days=age * 3, hours=age * 5)
            db.session.add(Post(title=title, body=body, author=people[username], published_at=published))
    db.session.commit()
    return [SignInWith(f"{username}@example.com", passwords[username], what) for username, (what, _) in SIGN_INS.items()]


def _passwords() -> tuple[dict[str, str], list[str]]:
    """Random passwords, kept per database: another database has other people. Also whose are new."""
    file = Path(current_app.instance_path) / "demo_logins.json"
    database = db.engine.url.render_as_string(hide_password=True)
    kept: dict[str, dict[str, str]] = json.loads(file.read_text()) if file.exists() else {}
    known = kept.setdefault(database, {})
    new = [username for username in SIGN_INS if username not in known]
    known.update((username, _passphrase()) for username in new)
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as open_file:
        json.dump(kept, open_file, indent=2)
    return known, new


def _passphrase() -> str:
    """Four words of no language: easy to type, about 50 bits."""
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    return "-".join("".join(secrets.choice(syllables) for _ in range(2)) for _ in range(4))


def print_logins(logins: list[SignInWith]) -> None:
    """Say what to sign in with."""
    width = max(len(login.email) for login in logins)
    for login in logins:
        click.echo(f"  {login.email.ljust(width)}  {login.password}  {login.what}")


@click.command("seed", help="Make demo people and posts, and print what to sign in with. Not in production.")
@with_appcontext
def seed_command() -> None:
    """Seed from the command line."""
    print_logins(seed())
