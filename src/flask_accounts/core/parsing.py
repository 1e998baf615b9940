"""What a request holds, as a schema: a JSON object, a form, a query string. Problems are said by name, all of them at once, without values."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pydantic
from flask import Request
from pydantic import BaseModel

from .errors import ContentTooLarge, FieldProblem, MalformedRequest, UnsupportedMediaType, ValidationError
from .runtime import Runtime
from .schemas import SchemaT, Shape

FORM = "application/x-www-form-urlencoded"
MAX_BODY = 65_536
"""Largest request body that is read, in bytes (ASVS 15.2.2)."""


def _raw_body(incoming: Request, media_type: str) -> bytes:
    if incoming.mimetype != media_type:
        raise UnsupportedMediaType(media_type)
    raw = incoming.get_data()
    if incoming.content_length is None and len(raw) >= MAX_BODY:
        raise ContentTooLarge  # of a chunked body Werkzeug hands on the beginning
    return raw


def parse_form(runtime: Runtime, incoming: Request, shape: Shape) -> BaseModel:
    """The request's form as `schema`. A name given twice is refused, an empty value counts as none (RFC 6749 section 3.2)."""
    try:
        pairs = parse_qsl(_raw_body(incoming, FORM).decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        raise MalformedRequest("The body is not a form in UTF-8.") from None
    values = dict(pairs)
    problems = [
        FieldProblem(name, "duplicate", "Given more than once.")
        for name, count in Counter(n for n, _ in pairs).items()
        if count > 1
    ]
    problems += [
        FieldProblem(name, "invalid_character", "Holds a character that is not allowed.")
        for name, value in pairs
        if _unstorable(name + value)
    ]
    if problems:
        raise ValidationError(problems)
    try:
        return runtime.schemas.of(shape).model_validate({name: value for name, value in values.items() if value})
    except pydantic.ValidationError as error:
        raise ValidationError(problems_of(error)) from None


def parse_body(runtime: Runtime, incoming: Request, shape: Shape) -> BaseModel:
    """The request's JSON object as `schema` (or the host's own in its place), strictly typed (ASVS 15.3.5)."""
    raw = _raw_body(incoming, "application/json")
    _check_json(raw)
    try:
        return runtime.schemas.of(shape).model_validate_json(raw, strict=True, context={"accounts": runtime})
    except pydantic.ValidationError as error:
        raise ValidationError(problems_of(error)) from None


def parse_query(runtime: Runtime, incoming: Request, schema: type[SchemaT]) -> SchemaT:
    """The query string as `schema`; a name given twice is refused (ASVS 15.3.7)."""
    given = dict(incoming.args.lists())
    twice = [FieldProblem(name, "duplicate", "Given more than once.") for name, values in given.items() if len(values) > 1]
    values = {name: values[0] for name, values in given.items()}
    problems = twice + [
        FieldProblem(name, "invalid_character", "Holds a character that is not allowed.")
        for name, value in values.items()
        if _unstorable(value)
    ]
    if problems:
        raise ValidationError(problems)
    try:
        return runtime.schemas.get(schema).model_validate(values)
    except pydantic.ValidationError as error:
        raise ValidationError(problems_of(error)) from None


def problems_of(error: pydantic.ValidationError) -> list[FieldProblem]:
    """Every problem pydantic found, without the input it found it in."""
    return [
        FieldProblem(
            field=".".join(str(part) for part in problem["loc"]),
            code=problem["type"],
            message=problem["msg"].removeprefix("Value error, "),
        )
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _check_json(raw: bytes) -> None:
    """Refuse what parsers disagree on (duplicate names, NaN; ASVS 1.5.3) and what cannot be stored (NUL, lone surrogates)."""
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_short_int)
    except (ValueError, RecursionError):
        raise MalformedRequest("The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise MalformedRequest("The body must be a JSON object.")
    problems = [
        FieldProblem(path, "invalid_character", "Holds a character that is not allowed.")
        for path, text in _texts(value)
        if _unstorable(text)
    ]
    if problems:
        raise ValidationError(problems)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate name")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _short_int(digits: str) -> int:
    if len(digits) > 40:
        raise ValueError("number out of range")
    return int(digits)


def _texts(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text in a JSON object, names too, with the dotted path to it. Walks without recursion: depth is the client's choice."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, str):
            yield path, item
        elif isinstance(item, dict):
            yield from ((path, name) for name in item)
            waiting += [(f"{path}.{name}" if path else name, member) for name, member in item.items()]
        elif isinstance(item, list):
            waiting += [(f"{path}.{index}", member) for index, member in enumerate(item)]


def _unstorable(text: str) -> bool:
    return "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text)
