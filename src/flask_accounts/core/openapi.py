"""Declared routes -> OpenAPI 3.1. The same schemas validate the requests, so the document cannot drift."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from .errors import (
    PROBLEM_JSON,
    AccountsError,
    ContentTooLarge,
    CsrfFailed,
    InvalidToken,
    MalformedRequest,
    PermissionDenied,
    ReauthenticationRequired,
    ServiceUnavailable,
    TokenExpired,
    TokenMissing,
    TokenRevoked,
    UnsupportedMediaType,
    ValidationError,
)
from .http import Route
from .schemas import ProblemSchema, SchemaBook

REF = "#/components/schemas/{model}"


@dataclass(frozen=True)
class Mounted:
    """A route where an app serves it: the URL with `{variables}`, and its group."""

    route: Route
    path: str
    tag: str


def document(
    mounted: Iterable[Mounted], book: SchemaBook, *, title: str, version: str, cookies: Mapping[str, str] | None, bearer: bool
) -> dict[str, Any]:
    """The OpenAPI 3.1 document of `mounted`. `cookies` names the token cookies (`access`, `refresh`), where they are in use."""
    mounted = [item for item in mounted if item.route.documented]
    schemas = _Schemas(book)
    for item in mounted:
        schemas.collect(item.route)
    definitions = schemas.definitions()
    security: list[dict[str, list[str]]] = []
    schemes: dict[str, Any] = {}
    if bearer:
        schemes["bearer"] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        security.append({"bearer": []})
    if cookies:
        schemes["cookie"] = {
            "type": "apiKey", "in": "cookie", "name": cookies["access"],
            "description": "Set at sign-in. Requests that change something also need the header X-CSRF-TOKEN.",
        }  # fmt: skip
        security.append({"cookie": []})
    paths: dict[str, Any] = {}
    for item in mounted:
        paths.setdefault(item.path, {})[item.route.method.lower()] = _operation(item, schemas, security)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"schemas": definitions, "securitySchemes": schemes},
    }


class _Schemas:
    """Every schema of the document, each under one name."""

    def __init__(self, book: SchemaBook) -> None:
        self._book = book
        self._inputs: list[type[BaseModel]] = []
        self._outputs: list[type[BaseModel]] = [ProblemSchema]

    def body(self, route: Route) -> type[BaseModel] | None:
        return self._book.of(route.body) if route.body else None

    def collect(self, route: Route) -> None:
        if body := self.body(route):
            self._inputs.append(body)
        for answer in route.answers.values():
            self._outputs += [self._book.get(schema) for schema in _members(answer)]

    def definitions(self) -> dict[str, Any]:
        named: list[tuple[type[BaseModel], Any]] = [(model, "validation") for model in dict.fromkeys(self._inputs)]
        named += [(model, "serialization") for model in dict.fromkeys(self._outputs)]
        self._refs, found = models_json_schema(named, ref_template=REF, schema_generator=GenerateJsonSchema)
        definitions: dict[str, Any] = found.get("$defs", {})
        return definitions

    def ref(self, model: type[BaseModel], mode: Any) -> dict[str, Any]:
        return self._refs[(model, mode)]

    def answer(self, answer: Any) -> dict[str, Any]:
        refs = [self.ref(self._book.get(schema), "serialization") for schema in _members(answer)]
        return refs[0] if len(refs) == 1 else {"anyOf": refs}

    def query(self, route: Route) -> list[dict[str, Any]]:
        if route.query is None:
            return []
        schema = TypeAdapter(self._book.get(route.query)).json_schema()
        parameters = []
        for name, field in schema["properties"].items():
            description = field.pop("description", None)
            field.pop("title", None)
            field = _without_null(field)
            parameters.append(
                {"name": name, "in": "query", "schema": field} | ({"description": description} if description else {})
            )
        return parameters


def _members(answer: Any) -> list[type[BaseModel]]:
    """The schemas of a declared answer: one, several in a union, or none."""
    if answer is None:
        return []
    return list(getattr(answer, "__args__", None) or [answer]) if not isinstance(answer, type) else [answer]


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """A query parameter is left out, never null."""
    kinds = [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]
    if field.get("default", ...) is None:
        field = {key: value for key, value in field.items() if key != "default"}
    if len(kinds) == 1:
        field = {key: value for key, value in field.items() if key != "anyOf"} | kinds[0]
    return field


def _operation(item: Mounted, schemas: _Schemas, security: list[dict[str, list[str]]]) -> dict[str, Any]:
    route = item.route
    summary, _, rest = (route.view.__doc__ or route.name).strip().partition("\n")
    operation: dict[str, Any] = {"tags": [item.tag], "operationId": f"{item.tag}_{route.name}", "summary": summary}
    said = " ".join([rest.strip(), access_text(route)]).strip()
    if said:
        operation["description"] = said
    names = re.findall(r"\{(\w+)\}", item.path)
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    parameters += schemas.query(route)
    if parameters:
        operation["parameters"] = parameters
    if body := schemas.body(route):
        content = {"application/json": {"schema": schemas.ref(body, "validation")}}
        operation["requestBody"] = {"required": route.body_required, "content": content}
    if route.access.signed_in:
        operation["security"] = security
    elif route.access.optional:
        operation["security"] = [{}, *security]
    else:
        operation["security"] = []
    responses: dict[str, Any] = {}
    for status, answer in route.answers.items():
        responses[str(status)] = {"description": "Done."}
        if answer is not None:
            responses[str(status)]["content"] = {"application/json": {"schema": schemas.answer(answer)}}
    for status, errors in sorted(_errors(route).items()):
        responses[str(status)] = {
            "description": " ".join(f"`{error.error_code}`: {error.title}" for error in errors),
            "content": {PROBLEM_JSON: {"schema": schemas.ref(ProblemSchema, "serialization")}},
        }
    operation["responses"] = responses
    return operation


def access_text(route: Route) -> str:
    """Who may call a route, in words."""
    access = route.access
    words = []
    if access.permissions:
        words.append("Needs " + ", ".join(f"`{name}`" for name in access.permissions) + ".")
    if access.fresh:
        words.append("Needs recent authentication.")
    if access.note:
        words.append(f"Who may: {access.note}.")
    if not words:
        words.append("For anybody signed in." if access.signed_in else "For anybody.")
    return " ".join(words)


def _errors(route: Route) -> dict[int, list[type[AccountsError]]]:
    """Every error the route may answer with, by status."""
    kinds = list(route.errors)
    if route.body:
        kinds += [ValidationError, MalformedRequest, ContentTooLarge, UnsupportedMediaType]
    elif route.query:
        kinds.append(ValidationError)
    if route.access.signed_in or route.access.optional or TokenMissing in kinds:
        kinds += [TokenExpired, InvalidToken, TokenRevoked, CsrfFailed]
        if route.access.signed_in:
            kinds.append(TokenMissing)
    if route.access.permissions:
        kinds.append(PermissionDenied)
    if route.access.fresh:
        kinds.append(ReauthenticationRequired)
    kinds.append(ServiceUnavailable)
    found: dict[int, list[type[AccountsError]]] = {}
    for kind in dict.fromkeys(kinds):
        found.setdefault(kind.code, []).append(kind)
    return found
