"""Write `docs/reference/*.md` from the code, so that the pages cannot say anything else than it does.

python tools/make_reference.py            writes the pages
python tools/make_reference.py --check    exits with 1 if a page is not what would be written
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import secrets
import sys
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from pydantic.fields import FieldInfo
from reference_http import http_page
from reference_python import python_page
from security_coverage import asvs_page

from flask_accounts import Accounts
from flask_accounts.core import jwt_extended
from flask_accounts.core.checkups import FAILED
from flask_accounts.core.errors import error_types
from flask_accounts.core.events import Event, event_types
from flask_accounts.core.settings import Settings, rows
from flask_accounts.core.users import NEVER_SHOWN
from flask_accounts.extension import CORE_SETTINGS, default_features, opt_in_features
from flask_accounts.features.roles.service import RoleService

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
NOTE = "<!-- Written by tools/make_reference.py from the code. Do not edit: change the code and run it again. -->\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the reference pages.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is stale")
    check = parser.parse_args().check
    pages = {name: NOTE + "\n" + text.rstrip() + "\n" for name, text in make_pages()}
    stale = [name for name, text in pages.items() if _read(REFERENCE / name) != text]
    unknown = sorted({path.name for path in REFERENCE.glob("*.md")} - set(pages))
    if check:
        for name in stale + unknown:
            print(f"docs/reference/{name} is stale: run python tools/make_reference.py")
        return 1 if stale or unknown else 0
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (REFERENCE / name).write_text(pages[name], encoding="utf-8")
        print(f"wrote docs/reference/{name}")
    for name in unknown:
        (REFERENCE / name).unlink()
        print(f"removed docs/reference/{name}")
    return 0


def make_pages() -> Iterator[tuple[str, str]]:
    """Each page's file name and text."""
    app = make_app()
    with app.app_context():
        yield "settings.md", settings_page()
        yield "errors.md", errors_page()
        yield "events.md", events_page()
        yield "routes.md", routes_page(app)
        yield "cli.md", cli_page(app)
        yield "doctor.md", doctor_page()
        yield "http-api.md", http_page(app.extensions["accounts"].openapi(title="Accounts"))
    yield "python.md", python_page()
    yield "asvs.md", asvs_page()


def make_app() -> Flask:
    """An app with every feature, the opt-in ones too, at its default settings."""
    app = Flask("reference")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY=secrets.token_urlsafe(48))
    app.config["ACCOUNTS_PASSKEYS_ORIGINS"] = ["https://app.example.com"]  # which has no default
    Accounts(SQLAlchemy(), app, features=[*default_features(), *opt_in_features()])
    return app


# Settings


def settings_page() -> str:
    features = [*default_features(), *opt_in_features()]
    kinds: list[type[Settings]] = [*CORE_SETTINGS, *(kind for feature in features for kind in feature.settings)]
    chosen = {kind for feature in opt_in_features() for kind in feature.settings}
    text = [
        "# Settings",
        "",
        "Every setting is a key of `app.config`. An unknown key that begins with `ACCOUNTS_` is refused at start, with the nearest",
        "real name. Times are a `timedelta`, seconds, or an ISO 8601 duration such as `P30D`. `flask accounts settings` prints what",
        "is in force.",
    ]
    for kind in kinds:
        text += [
            "",
            f"## {_title(kind)}{' (opt-in)' if kind in chosen else ''}",
            "",
            _prose(kind.__doc__),
            "",
            "| key | type | default | what it does |",
            "|---|---|---|---|",
        ]
        for row, field in zip(rows([kind]), kind.model_fields.values(), strict=True):
            kind_text = _code(row.type) + _bounds(field)
            text.append(f"| `{row.key}` | {kind_text} | {_code(_default(field, row.default))} | {_cell(row.description)} |")
    text += [
        "",
        "## Flask-JWT-Extended",
        "",
        "Where tokens travel, how long access tokens live, which algorithm signs them: all of that is read from",
        "[Flask-JWT-Extended's own configuration](https://flask-jwt-extended.readthedocs.io/en/stable/options.html).",
        "Where the host has set none, these defaults differ from that package's:",
        "",
        "| key | default here |",
        "|---|---|",
    ]
    bare = Flask("bare")
    known = set(bare.config)
    jwt_extended.defaults(bare)
    text += [f"| `{key}` | {_code(_shown(bare.config[key]))} |" for key in sorted(set(bare.config) - known)]
    text += [
        "",
        "With `JWT_COOKIE_SECURE = False` or a `JWT_COOKIE_DOMAIN`, the cookie names keep Flask-JWT-Extended's defaults, because",
        "browsers refuse `__Host-` cookies then.",
    ]
    return "\n".join(text)


def _title(kind: type[Settings]) -> str:
    return {"": "General", "openapi": "OpenAPI"}.get(kind.prefix, kind.prefix.replace("_", " ").capitalize())


def _bounds(field: FieldInfo) -> str:
    words = []
    for rule in field.metadata:
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            if hasattr(rule, name):
                words.append(f"{sign} {getattr(rule, name)}")
    return f", {' and '.join(words)}" if words else ""


def _default(field: FieldInfo, shown: str) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    return _shown(value) if isinstance(value, timedelta) else shown


def _shown(value: Any) -> str:  # any config value
    if isinstance(value, timedelta):
        for unit, seconds in (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1)):
            amount, rest = divmod(value.total_seconds(), seconds)
            if amount and not rest:
                return f"{int(amount)} {unit}"
    return str(value)


# Errors


def errors_page() -> str:
    kinds = sorted({kind.error_code: kind for kind in error_types()}.values(), key=lambda kind: (kind.code, kind.error_code))
    text = [
        "# Errors",
        "",
        "Every error is an RFC 9457 problem document (`application/problem+json`) with `type`, `title`, `status`, `detail`, `code` and",
        "`error` (the title once more). `code` is stable; sentences may change. `VALIDATION_ERROR` lists every problem at once in",
        "`errors`, each with `field`, `code` and `message`. A 401 carries `WWW-Authenticate: Bearer`, a 429 and a 503 `Retry-After`.",
        "",
        "| code | status | title |",
        "|---|---|---|",
    ]
    text += [f"| [`{kind.error_code}`](#{kind.error_code.lower()}) | {kind.code} | {kind.title} |" for kind in kinds]
    for kind in kinds:
        text += ["", f"## {kind.error_code}", "", f"{kind.code}: “{kind.title}” {_prose(kind.__doc__)}"]
    return "\n".join(text)


# Events


def events_page() -> str:
    common = {field.name for field in dataclasses.fields(Event)}
    text = [
        "# Events",
        "",
        "Each event is a frozen dataclass of `flask_accounts.events` with a blinker signal, sent after the transaction has committed:",
        "the Flask app is the sender, the event comes as `event=`. See [the guide](../how-to/events.md).",
        "",
        "Every event has:",
        "",
        *_fields(Event, common),
    ]
    for kind in sorted(event_types(), key=lambda kind: kind.name):
        text += ["", f"## {kind.__name__}", "", f"`{kind.name}`. {_prose(kind.__doc__)}"]
        own = [field.name for field in dataclasses.fields(kind) if field.name not in common]
        if own:
            text += ["", *_fields(kind, own)]
    return "\n".join(text)


def _fields(kind: type[Event], names: Iterable[str]) -> list[str]:
    wanted = set(names)
    fields = [field for field in dataclasses.fields(kind) if field.name in wanted]
    return ["| field | type |", "|---|---|", *(f"| `{field.name}` | {_code(str(field.type))} |" for field in fields)]


# Routes


def routes_page(app: Flask) -> str:
    permissions = app.extensions["accounts"].get(RoleService).known_permissions()
    table = app.extensions["accounts"].openapi(title="")["paths"]
    documented = {(method.upper(), path) for path, methods in table.items() for method in methods}
    listed = _route_rows(app)
    text = [
        "# Routes",
        "",
        "Every route and who may call it (ASVS 8.1.1), at the default prefixes. The shapes of bodies and answers are in",
        "[the HTTP API](http-api.md). `flask accounts routes` prints this table for an app.",
        "",
        "| method | path | who may | what it does |",
        "|---|---|---|---|",
    ]
    for row in sorted(listed, key=lambda row: (row["path"], row["method"])):
        mark = "" if (row["method"], row["path"]) in documented else " (not in the OpenAPI document)"
        text.append(f"| {row['method']} | `{row['path']}` | {_cell(row['access'])} | {_cell(row['summary'])}{mark} |")
    text += ["", "## Permissions", "", "| permission | allows |", "|---|---|"]
    text += [f"| `{name}` | {_cell(allows)} |" for name, allows in sorted(permissions.items())]
    text += [
        "",
        "A permission comes with a role. A change of roles counts from the next request on; tokens carry no roles.",
        "",
        f"Never shown, filtered or sorted by, to anybody: {', '.join(f'`{name}`' for name in sorted(NEVER_SHOWN))}.",
    ]
    return "\n".join(text)


def _route_rows(app: Flask) -> list[dict[str, str]]:
    result = app.test_cli_runner().invoke(args=["accounts", "routes", "--json"])
    listed: list[dict[str, str]] = json.loads(result.output)
    return listed


# Commands


def cli_page(app: Flask) -> str:
    group = app.cli.commands["accounts"]
    text = [
        "# Commands",
        "",
        "The group `flask accounts`. USER is an e-mail address, a username or an id. A command that fails says why in a sentence and",
        "exits with 1. Where there is `--json`, scripts should read that. Passwords are asked for unseen unless given.",
    ]
    for words, command in _walk(group, ["flask", "accounts"]):
        context = click.Context(command, info_name=" ".join(words))
        usage = " ".join([*words, *command.collect_usage_pieces(context)])
        text += ["", f"## {' '.join(words[2:])}", "", f"`{usage}`", "", command.help or ""]
        parameters = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        options = [record for parameter in parameters if (record := parameter.get_help_record(context))]
        if options:
            text += ["", "| option | what it does |", "|---|---|"]
            text += [f"| `{names}` | {_cell(said)} |" for names, said in options]
    return "\n".join(text)


def _walk(command: click.Command, words: list[str]) -> Iterator[tuple[list[str], click.Command]]:
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _walk(command.commands[name], [*words, name])
    else:
        yield words, command


# Check-ups


def doctor_page() -> str:
    accounts = Accounts(SQLAlchemy(), features=[*default_features(), *opt_in_features()])
    opted = {each.code for feature in opt_in_features() for each in feature.checkups}
    checks = [*accounts.checkups, FAILED]
    text = [
        "# Check-ups",
        "",
        "What `flask accounts doctor` looks for: see [how to use it](../how-to/check-before-production.md). Codes are stable. An `error` is",
        "unsafe or broken, a `warning` unfit for most apps in production, `info` worth a thought. Some findings are graver or lighter than",
        "their check, which they say themselves. `flask accounts doctor --list` prints this table for an app, its own checks included.",
    ]
    for area in dict.fromkeys(each.area for each in checks):
        text += [
            "",
            f"## {area.capitalize()}",
            "",
            "| code | severity | looks for | because | source | more |",
            "|---|---|---|---|---|---|",
        ]
        for each in (each for each in checks if each.area == area):
            mark = " (opt-in)" if each.code in opted else ""
            page, _, anchor = each.docs.removeprefix("docs/").partition("#")
            name = Path(page).stem.replace("-", " ")
            link = f"[{name}](../{page}{'#' + anchor if anchor else ''})" if page != "reference/doctor.md" else ""
            text.append(
                f"| `{each.code}`{mark} | {each.severity} | {_cell(each.looks_for)} | {_cell(each.why)} | {_cell(each.source)} | {link} |"
            )
    return "\n".join(text)


# Text


def _prose(text: str | None) -> str:
    return " ".join((text or "").split())


def _cell(text: str) -> str:
    return _prose(text).replace("|", "\\|")


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`" if text else ""


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
