"""The HTTP API page: the OpenAPI document as a page to read, every operation with what it takes and gives, then every shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

Json = dict[str, Any]

JSON, PROBLEM = "application/json", "application/problem+json"
SHAPES = "#/components/schemas/"
TITLES = {"auth": "Signing up, in and out; the own account", "users": "Administration of accounts and roles"}
ALWAYS = {"MALFORMED_REQUEST", "CONTENT_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE", "SERVICE_UNAVAILABLE"}
"""Codes that say nothing about the operation: told once, at the top of the page."""
TOKEN_ERRORS = ("TOKEN_EXPIRED", "TOKEN_REVOKED", "INVALID_TOKEN", "WRONG_TOKEN_TYPE")
"""Codes that come together, wherever a token is read."""


def http_page(document: Json) -> str:
    """The page of an app's OpenAPI document."""
    text = [
        "# HTTP API",
        "",
        "What every route takes and gives, at the default prefixes and settings, with all features, the opt-in ones too. It is the OpenAPI 3.1",
        "document of such an app, written out. Your own app serves its own document, with your fields and prefixes, at",
        "`/api/auth/openapi.json`, and with the extra `docs` a page to try it at `/api/auth/docs`. Who may call what is in one table at",
        "[routes](routes.md).",
        "",
        document["info"]["description"],
        "",
        f"Left out below, since they may come from nearly any operation: {_codes(sorted(ALWAYS))}. Wherever a token is read, *token errors* are",
        f"{_codes(TOKEN_ERRORS)}.",
    ]
    for tag in document["tags"]:
        text += ["", f"## {TITLES[tag['name']]}"]
        for method, path, operation in sorted(_operations(document, tag["name"]), key=lambda found: found[1:2] + found[:1]):
            text += ["", *_operation(method, path, operation)]
    text += ["", "## Shapes"]
    bodies = {
        content["schema"]["$ref"]
        for *_, operation in _operations(document)
        for content in operation.get("requestBody", {"content": {}})["content"].values()
    }
    for name, schema in sorted(document["components"]["schemas"].items()):
        text += ["", *_shape(name, schema, taken=f"{SHAPES}{name}" in bodies)]
    return "\n".join(text)


def _operations(document: Json, tag: str | None = None) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag is None or tag in operation["tags"]:
                yield method.upper(), path, operation


def _operation(method: str, path: str, operation: Json) -> list[str]:
    text = [f"### {method} {path}", "", operation["summary"]]
    if said := operation.get("description"):
        text += ["", said]
    if parameters := operation.get("parameters"):
        text += ["", "| parameter | in | type | |", "|---|---|---|---|"]
        for given in parameters:
            needed = " needed" if given.get("required") and given["in"] != "path" else ""
            kind = _type(given["schema"])
            text.append(f"| `{given['name']}` | {given['in']}{needed} | {_cell(kind)} | {_cell(_said(given, given['schema']))} |")
    body = operation.get("requestBody")
    if body:
        ((media_type, content),) = body["content"].items()
        kind = ("" if media_type == JSON else " (a form)") + ("" if body.get("required") else ", if any")
        text += ["", f"Body{kind}: {_type(content['schema'])}"]
    text += ["", "| answer | |", "|---|---|"]
    for status, answer in operation["responses"].items():
        if row := _answer(answer):
            text.append(f"| {status} | {row} |")
    return text


def _answer(answer: Json) -> str:
    """What an answer holds: a shape, nothing, or the codes of a problem; empty where only what may come from anywhere is left."""
    content = answer.get("content", {})
    if PROBLEM in content:
        codes = [code for code in re.findall(r"`([A-Z_]+)`", answer["description"]) if code not in ALWAYS]
        if set(TOKEN_ERRORS) <= set(codes):
            others = [code for code in codes if code not in TOKEN_ERRORS]
            return f"{_codes(others)}, token errors" if others else "token errors"
        return _codes(codes)
    if not content:
        return "no body"
    return _cell(" or ".join(_type(found["schema"]) for found in content.values()))


def _codes(codes: Iterable[str]) -> str:
    return ", ".join(f"[`{code}`](errors.md#{code.lower()})" for code in codes)


def _shape(name: str, schema: Json, *, taken: bool) -> list[str]:
    """A shape's members; of what routes take (`taken`) those that must be given are marked, since answers hold all of theirs."""
    text = [f"### {name}", ""]
    if said := schema.get("description"):
        text += [said, ""]
    needed = set(schema.get("required", ()))
    text += ["| member | type | |", "|---|---|---|"]
    for member, given in schema.get("properties", {}).items():
        first = "Needed. " if taken and member in needed else ""
        text.append(f"| `{member}` | {_cell(_type(given))} | {_cell(first + _said(given, given))} |")
    if schema.get("additionalProperties") is True:
        text += ["", "And further members."]
    for example in schema.get("examples", ())[:1]:
        text += ["", "```json", json.dumps(example, indent=2), "```"]
    return text


def _said(given: Json, schema: Json) -> str:
    default = f"Default: `{json.dumps(schema['default'])}`." if schema.get("default") is not None else ""
    return f"{given.get('description', '')} {default}"


def _type(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(SHAPES)
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in schema and "properties" not in schema:
            return " or ".join(_type(one) for one in schema[several])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        text = f"list of {_type(schema.get('items', {}))}"
    elif kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        text = f"object of {_type(schema['additionalProperties'])}"
    else:
        text = f"{kind} ({schema['format']})" if "format" in schema else kind
    bounds = [bound for words in (_between(schema, "imum", ""), _between(schema, "Length", " characters")) for bound in words]
    return f"{text}, {bounds[0]}" if bounds else text


def _between(schema: Json, end: str, unit: str) -> Iterator[str]:
    least, most = schema.get(f"min{end}"), schema.get(f"max{end}")
    if least is not None and most is not None:
        yield f"{least} to {most}{unit}"
    elif least is not None:
        yield f"at least {least}{unit}"
    elif most is not None:
        yield f"at most {most}{unit}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
