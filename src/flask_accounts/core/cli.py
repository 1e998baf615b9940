"""The `flask accounts` command group. Features hang their commands on it; this file has those of the core."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import click
import jinja2
import sqlalchemy.exc
from flask.cli import with_appcontext

from .errors import AccountsError, NotFound
from .letters import Letters, languages
from .mail import Message
from .runtime import Runtime, current_accounts
from .settings import rows

as_json: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, for scripts."
)


def command(name: str, **kwargs: Any) -> Callable[[Callable[..., None]], click.Command]:  # click's own arguments
    """A command that gets the `Runtime` first, commits at its end, and says an error in a sentence with exit status 1."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def run(*args: Any, **given: Any) -> None:
            runtime = current_accounts()
            try:
                function(runtime, *args, **given)
                runtime.commit()
            except AccountsError as error:
                runtime.db.session.rollback()
                raise click.ClickException(_said(error)) from None
            except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.ProgrammingError) as error:
                runtime.db.session.rollback()
                said = "The database cannot be reached, or its tables are not there yet (flask db upgrade makes them):"
                # PostgreSQL goes on to draw the statement; the first line says what is wrong.
                raise click.ClickException(f"{said} {str(error.orig).partition(chr(10))[0]}") from None

        return cast(click.Command, click.command(name, **kwargs)(with_appcontext(run)))  # type: ignore[no-untyped-call]  # Flask leaves it untyped

    return decorate


def _said(error: AccountsError) -> str:
    problems = error.extensions.get("errors", ())
    return " ".join([error.detail, *(f"{problem['field']}: {problem['message']}" for problem in problems)])


def find_user(runtime: Runtime, login: str) -> Any:  # an object of the host's class
    """The account that an address, a username or a key names; `NotFound` with a sentence."""
    found = runtime.users.find(email=login) if "@" in login else runtime.users.find(username=login)
    key = found.user_id if found else runtime.users.parse_key(login)
    user = runtime.users.get(key) if key is not None else None
    if user is None:
        raise NotFound(f"There is no account {login!r}.")
    return user


def time(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """An option's time, in UTC."""
    try:
        return datetime.fromisoformat(value).astimezone(UTC) if value is not None else None
    except (ValueError, OverflowError):
        raise click.BadParameter("Give a time such as 2026-01-31T12:00:00Z.") from None


def ask_password(password: str | None) -> str:
    """The password given, or asked for twice without showing it."""
    if password is not None:
        return password
    asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return asked


def counted(number: int, word: str) -> str:
    """`number` and `word`, in the plural where it belongs."""
    return f"{number} {word}" + ("" if number == 1 else "s")


def show(data: Any, *, as_json: bool, columns: Sequence[str] = ()) -> None:  # JSON values
    """Print `data` as JSON, or a list of mappings as a table of `columns`."""
    if as_json:
        click.echo(json.dumps(data, indent=2, default=str))
        return
    table = [[_cell(row[name]) for name in columns] for row in data]
    widths = [max(len(cell) for cell in column) for column in zip(columns, *table, strict=True)]
    for cells in ([name.upper() for name in columns], *table):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(str(item) for item in value)
    return "" if value is None else str(value)


@command("settings", help="Every setting, its default and its present value; secrets are not shown.")
@as_json
def settings_command(runtime: Runtime, as_json: bool) -> None:
    """Print every setting."""
    present = {kind.key(name): getattr(values, name) for kind, values in runtime.settings.items() for name in kind.model_fields}
    data = [
        {
            "setting": row.key,
            "value": "(secret)" if row.secret else str(present[row.key]),
            "default": row.default,
            "description": row.description,
        }
        for row in rows(runtime.settings)
    ]
    show(data, as_json=as_json, columns=("setting", "value", "default", "description"))


@command(
    "mail-preview", help="Write every mail with sample data into FOLDER, as text and HTML, in every language; index.html shows all."
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def mail_preview_command(runtime: Runtime, folder: Path) -> None:
    """Write every mail to look at."""
    letters = runtime.letters
    mails = {language: [_sample(letters, name, language) for name in letters.names()] for language in languages()}
    folder.mkdir(parents=True, exist_ok=True)
    for language, written in mails.items():
        for mail in written:
            (folder / f"{mail.kind}.{language}.txt").write_text(f"{mail.subject}\n\n{mail.text}", encoding="utf-8")
            if mail.html is not None:
                (folder / f"{mail.kind}.{language}.html").write_text(mail.html, encoding="utf-8")
    page = jinja2.Environment(loader=jinja2.PackageLoader("flask_accounts"), autoescape=True).get_template(
        "accounts/mail_preview.html"
    )
    index = page.render(product=letters.product, mails=mails, linked=letters.link("", "") is not None)
    (folder / "index.html").write_text(index, encoding="utf-8")
    click.echo(f"Wrote {len(letters.names())} mails in {len(mails)} languages to {folder}; {folder / 'index.html'} shows all.")


def _sample(letters: Letters, name: str, language: str) -> Message:
    try:
        return letters.sample(name, language=language)
    except jinja2.UndefinedError as error:
        raise click.ClickException(
            f"The mail {name}: {error.message}. Its feature must name a value for previews in mail_samples."
        ) from None


@command("purge", help="Delete the rows of sessions, tokens and the like whose time is over.")
@as_json
def purge_command(runtime: Runtime, as_json: bool) -> None:
    """Delete what has expired."""
    gone = runtime.purge()
    if as_json:
        show({"deleted": gone}, as_json=True)
    else:
        click.echo(f"Deleted {counted(gone, 'row')}.")


@command("reseal", help="Seal what is kept sealed in the database under the newest secret, so that older ones may go.")
@as_json
def reseal_command(runtime: Runtime, as_json: bool) -> None:
    """Seal anew."""
    done = [(each.name, each.reseal(), each.seals()[2]) for each in runtime.sealed_columns()]
    if as_json:
        show([{"table": table, "sealed": sealed, "unreadable": unreadable} for table, sealed, unreadable in done], as_json=True)
        return
    for table, sealed, unreadable in done:
        said = f" {counted(unreadable, 'row')} did not open." if unreadable else ""
        click.echo(f"{table}: sealed {counted(sealed, 'row')} anew.{said}")
    if not done:
        click.echo("Nothing is kept sealed in the database.")


def group(
    commands: Iterable[click.Command], features: Mapping[str, str], routes: Callable[[], list[dict[str, str]]]
) -> click.Group:
    """The `accounts` group with the commands of the core and of `features` (name to description)."""

    @command("features", help="The features in use.")
    @as_json
    def features_command(runtime: Runtime, as_json: bool) -> None:
        data = [{"feature": name, "description": text} for name, text in features.items()]
        show(data, as_json=as_json, columns=("feature", "description"))

    @command("routes", help="Every route, and who may call it.")
    @as_json
    def routes_command(runtime: Runtime, as_json: bool) -> None:
        show(routes(), as_json=as_json, columns=("method", "path", "access", "summary"))

    members = [settings_command, purge_command, reseal_command, mail_preview_command, features_command, routes_command, *commands]
    return click.Group("accounts", commands=members, help="Accounts, sessions, roles.")
