"""Write `tests/snapshots/`: the public face and the tables, as text that a review can read.

    python tools/make_snapshots.py            writes them, and says what the changelog must say of changed tables
    python tools/make_snapshots.py --check    writes nothing

Exits with 1 where a snapshot is stale (with `--check`) or the changelog does not tell of a changed table.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import importlib
import inspect
import json
import re
import sys
import tomllib
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, get_type_hints

import click
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from make_reference import make_app
from pydantic import BaseModel
from schema_changes import digest, problems, tables
from werkzeug.local import LocalProxy

import flask_accounts
from flask_accounts import Accounts, default_features, opt_in_features
from flask_accounts.core import jwt_extended
from flask_accounts.core.errors import AccountsError, error_types
from flask_accounts.core.events import Event, event_types
from flask_accounts.core.feature import Service
from flask_accounts.core.settings import Settings, rows
from flask_accounts.extension import CORE_SETTINGS
from flask_accounts.features.roles.service import RoleService

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOTS = ROOT / "tests" / "snapshots"
NOTE = "Written by tools/make_snapshots.py from the code. Do not edit: change the code and run it again."
DATABASES = {"SQLite": "sqlite://", "PostgreSQL": "postgresql+psycopg://", "MariaDB": "mariadb+pymysql://"}
ADVICE = {
    "public_api.txt": "The public face has changed. If that is meant, run `python tools/make_snapshots.py`, look at the difference, and write "
    "a line in CHANGELOG.md: under Changed or Removed where something that hosts use is no longer as it was (then Semantic Versioning "
    "has a say in the version), else under Added.",
    "schema.sql": "Tables have changed. If that is meant, run `python tools/make_snapshots.py`, and write what hosts must run under Migration in "
    "CHANGELOG.md.",
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the snapshots of the public face and of the tables.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a snapshot is stale")
    check = parser.parse_args().check
    schema = schema_text()
    made = {"public_api.txt": public_api_text(), "schema.sql": schema}
    stale = {name: text for name, text in made.items() if _read(SNAPSHOTS / name) != text}
    for name, text in stale.items():
        if check:
            old = (_read(SNAPSHOTS / name) or "").splitlines()
            print(
                "\n".join(
                    difflib.unified_diff(old, text.splitlines(), f"{name} (checked in)", f"{name} (the code)", lineterm="", n=1)
                )
            )
            print(f"\n{ADVICE[name]}")
        else:
            SNAPSHOTS.mkdir(exist_ok=True)
            (SNAPSHOTS / name).write_text(text, encoding="utf-8")
            print(f"wrote tests/snapshots/{name}")
    untold = problems(tables(schema), (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    for problem in untold:
        print(problem)
    return 1 if untold or (check and stale) else 0


# The tables


def schema_text() -> str:
    """Every table of every feature on every database, as `create_all` sends it."""
    db = SQLAlchemy()
    Accounts(db, features=[*default_features(), *opt_in_features()])
    definitions: dict[str, list[str]] = {name: [] for name in sorted(db.metadata.tables)}
    for database, url in DATABASES.items():
        for table, statements in _ddl(db.metadata, url).items():
            definitions[table] += [f"-- {database}", *statements]
    text = [f"-- {NOTE}", "-- Foreign keys to users take the key of the host's own user class; here it is the default one."]
    for table, lines in definitions.items():
        definition = "\n".join(lines)
        text += ["", "", f"-- table {table} (schema {digest(definition)})", "", definition]
    return "\n".join(text) + "\n"


def _ddl(metadata: sa.MetaData, url: str) -> dict[str, list[str]]:
    sent: dict[str, list[str]] = {}

    def note(element: Any, *args: Any, **kwargs: Any) -> None:
        subject = element.target if isinstance(element, sa.DDL) else element.element
        table = subject if isinstance(subject, sa.Table) else subject.table
        statement = str(element.compile(dialect=engine.dialect)).strip().expandtabs(2)
        sent.setdefault(table.name, []).append(re.sub(r" +$", "", statement, flags=re.MULTILINE) + ";")

    engine = sa.create_mock_engine(url, note)
    metadata.create_all(engine, checkfirst=False)
    # Which index comes first is not said by the definition.
    return {table: [first, *sorted(rest)] for table, (first, *rest) in sent.items()}


# The public face


def public_api_text() -> str:
    app = make_app()
    sections: dict[str, Callable[[], Iterable[str]]] = {
        "The distribution": distribution_lines,
        "flask_accounts": lambda: _module_lines(flask_accounts, flask_accounts.__all__),
        "flask_accounts.testing": lambda: _module_lines(importlib.import_module("flask_accounts.testing")),
        "pytest fixtures": fixture_lines,
        "Services (what a property of Accounts gives)": service_lines,
        "Events": event_lines,
        "Settings": settings_lines,
        "Defaults of Flask-JWT-Extended where the host has none": jwt_lines,
        "Error codes": error_lines,
        "Permissions": lambda: sorted(app.extensions["accounts"].get(RoleService).known_permissions()),
        "Commands": lambda: command_lines(app),
        "Routes": lambda: route_lines(app),
        "Bodies": lambda: body_lines(app),
    }
    text = [f"# {NOTE}"]
    with app.app_context():
        for title, lines in sections.items():
            text += ["", "", f"## {title}", "", *lines()]
    made = "\n".join(text) + "\n"
    assert not re.search(r" at 0x[0-9a-f]+", made), "an address in memory is no part of a public face"
    return made


def distribution_lines() -> Iterator[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    yield f"name: {project['name']}"
    yield f"requires-python: {project['requires-python']}"
    yield from (f"extra: {name}" for name in sorted(project["optional-dependencies"]))
    for group, points in sorted(project["entry-points"].items()):
        yield from (f"entry point {group}: {name} = {target}" for name, target in sorted(points.items()))


def _module_lines(module: types.ModuleType, names: Iterable[str] | None = None) -> Iterator[str]:
    own = [
        name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__ or name == "PASSWORD"
    ]
    for name in sorted(own if names is None else names):
        value = getattr(module, name)
        if type(value) is LocalProxy:  # to ask it for its class is to ask who is signed in
            yield f"{name}: a proxy"
        elif isinstance(value, type):
            yield from _class_lines(value, name)
        elif inspect.isfunction(value):
            yield f"{name}{_signature(value)}"
        else:
            yield f"{name}: {type(value).__name__}"


def _class_lines(kind: type, name: str) -> Iterator[str]:
    bases = [base.__name__ for base in kind.__bases__ if base is not object]
    yield f"class {name}({', '.join(bases)})" if bases else f"class {name}"
    if dataclasses.is_dataclass(kind):
        yield from (f"  {line}" for line in _field_lines(dataclasses.fields(kind)))
    elif issubclass(kind, BaseModel):
        for field_name, field in kind.model_fields.items():
            default = "" if field.is_required() else f" = {field.get_default(call_default_factory=True, validated_data={})!r}"
            yield f"  {field_name}{default}"
    elif "__init__" in _members(kind) and Protocol not in kind.__bases__:
        yield f"  __init__{_signature(_members(kind)['__init__'])}"
    for member, value in sorted(_members(kind).items()):
        if not member.startswith("_") and (line := _member_line(member, value)):
            yield f"  {line}"


def _members(kind: type) -> dict[str, Any]:
    """What this package defines for a class, the nearest definition of each name."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("flask_accounts"):
            found |= vars(base)
    return found


def _member_line(name: str, value: Any) -> str | None:
    if isinstance(value, classmethod | staticmethod):
        return f"{type(value).__name__} {name}{_signature(value.__func__)}"
    if isinstance(value, property):
        return f"{name} -> {inspect.signature(value.fget).return_annotation}" if value.fget else None
    return f"{name}{_signature(value)}" if inspect.isfunction(value) else None


class _Written:
    """An annotation as it stands in the source."""

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation

    def __repr__(self) -> str:
        return self.annotation if isinstance(self.annotation, str) else inspect.formatannotation(self.annotation)


def _signature(function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    empty = inspect.Signature.empty

    def written(annotation: Any) -> Any:
        return annotation if annotation is empty else _Written(annotation)

    parameters = [parameter.replace(annotation=written(parameter.annotation)) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=written(signature.return_annotation)))


def _field_lines(fields: Iterable[dataclasses.Field[Any]]) -> Iterator[str]:
    for field in fields:
        default = "" if field.default is dataclasses.MISSING else f" = {field.default!r}"
        if field.default_factory is not dataclasses.MISSING:
            default = " = ..."
        yield f"{field.name}: {field.type}{default}"


def fixture_lines() -> Iterator[str]:
    from flask_accounts import pytest_plugin

    for name, value in sorted(vars(pytest_plugin).items()):
        # Which of the two depends on the version of pytest.
        if hasattr(value, "_pytestfixturefunction") or type(value).__name__ == "FixtureFunctionDefinition":
            yield name


def service_lines() -> Iterator[str]:
    for name, value in sorted(vars(Accounts).items()):
        if isinstance(value, property) and not name.startswith("_"):
            kind = get_type_hints(value.fget)["return"]
            if issubclass(kind, Service):
                yield f"accounts.{name}"
                yield from (f"  {line}" for line in _class_lines(kind, kind.__name__))


def event_lines() -> Iterator[str]:
    common = {field.name for field in dataclasses.fields(Event)}
    yield from ("every event", *(f"  {line}" for line in _field_lines(dataclasses.fields(Event))))
    for kind in sorted(event_types(), key=lambda kind: kind.name):
        yield f"{kind.name}: {kind.__name__}"
        yield from (f"  {line}" for line in _field_lines(f for f in dataclasses.fields(kind) if f.name not in common))


def settings_lines() -> Iterator[str]:
    features = [*default_features(), *opt_in_features()]
    kinds: list[type[Settings]] = [*CORE_SETTINGS, *(kind for feature in features for kind in feature.settings)]
    yield from (f"{row.key}: {row.type} = {row.default}".rstrip() for row in sorted(rows(kinds), key=lambda row: row.key))


def jwt_lines() -> Iterator[str]:
    bare = Flask("bare")
    known = set(bare.config)
    jwt_extended.defaults(bare)
    yield from (f"{key} = {bare.config[key]!r}" for key in sorted(set(bare.config) - known))


def error_lines() -> Iterator[str]:
    kinds: dict[str, type[AccountsError]] = {kind.error_code: kind for kind in error_types()}
    yield from (f"{code}: {kind.code} {kind.__name__}" for code, kind in sorted(kinds.items()))


def command_lines(app: Flask) -> Iterator[str]:
    def walk(command: click.Command, words: list[str]) -> Iterator[tuple[list[str], click.Command]]:
        if isinstance(command, click.Group):
            for name in sorted(command.commands):
                yield from walk(command.commands[name], [*words, name])
        else:
            yield words, command

    for words, command in walk(app.cli.commands["accounts"], ["flask", "accounts"]):
        context = click.Context(command, info_name=" ".join(words))
        arguments = [piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
        yield " ".join([*words, *arguments])
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield f"  {' / '.join(['|'.join(parameter.opts), *parameter.secondary_opts])}: {_option_kind(parameter)}"


def _option_kind(option: click.Option) -> str:
    if option.is_flag:
        return "flag"
    words = [option.type.name, *(["required"] if option.required else []), *(["repeatable"] if option.multiple else [])]
    return ", ".join(words)


# HTTP


def route_lines(app: Flask) -> Iterator[str]:
    listed = json.loads(app.test_cli_runner().invoke(args=["accounts", "routes", "--json"]).output)
    operations = app.extensions["accounts"].openapi(title="")["paths"]
    for row in sorted(listed, key=lambda row: (row["path"], row["method"])):
        yield f"{row['method']} {row['path']} ({row['access']})"
        operation = operations.get(row["path"], {}).get(row["method"].lower())
        if operation is None:
            continue
        for parameter in operation.get("parameters", ()):
            yield f"  {parameter['in']} {parameter['name']}{'' if parameter.get('required') else '?'}: {_shape(parameter['schema'])}"
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"  body {kind}: {_shape(content['schema'])}"
        problems_told = [status for status in sorted(operation["responses"]) if status >= "400"]
        for status, answer in sorted(operation["responses"].items()):
            if status in problems_told:
                continue
            shapes = {_shape(content["schema"]) for content in answer.get("content", {}).values() if "schema" in content}
            yield f"  {status}: {' or '.join(sorted(shapes)) or '-'}"
        yield f"  problems: {' '.join(problems_told)}"


def body_lines(app: Flask) -> Iterator[str]:
    schemas = app.extensions["accounts"].openapi(title="")["components"]["schemas"]
    for name, schema in sorted(schemas.items()):
        if "properties" not in schema:
            yield f"{name}: {_shape(schema)}"
            continue
        yield name
        required = schema.get("required", ())
        for field, value in schema["properties"].items():
            yield f"  {field}{'' if field in required else '?'}: {_shape(value)}"


def _shape(schema: dict[str, Any]) -> str:
    """A JSON schema in a word or two."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for joined in ("anyOf", "oneOf", "allOf"):
        if joined in schema:
            return " | ".join(_shape(each) for each in schema[joined])
    if "enum" in schema or "const" in schema:
        return " | ".join(json.dumps(value) for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"array of {_shape(schema.get('items', {}))}"
    if kind == "object" and "properties" in schema:
        return "{" + ", ".join(f"{name}: {_shape(value)}" for name, value in schema["properties"].items()) + "}"
    kind = " | ".join(kind) if isinstance(kind, list) else kind
    return f"{kind} ({schema['format']})" if "format" in schema else str(kind)


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
