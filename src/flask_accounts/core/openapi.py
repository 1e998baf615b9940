"""Declared routes -> OpenAPI 3.1. The same schemas validate the requests, so the document cannot drift."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from .errors import (
    PROBLEM_JSON,
    AccountDisabled,
    AccountsError,
    AuthenticationError,
    ChallengeRequired,
    ContentTooLarge,
    CredentialNotAllowed,
    CsrfFailed,
    InvalidClient,
    InvalidToken,
    MalformedRequest,
    NotWhileImpersonating,
    PermissionDenied,
    ReauthenticationRequired,
    ServiceUnavailable,
    TokenExpired,
    TokenMissing,
    TokenRevoked,
    TooManyRequests,
    UnsupportedMediaType,
    ValidationError,
    WrongTokenType,
)
from .http import Access, Route
from .parsing import FORM
from .schemas import (
    ABSENT,
    POLICY_LENGTH,
    TOKEN,
    ChallengeProblemSchema,
    DisabledProblemSchema,
    ProblemSchema,
    SchemaBook,
    ValidationProblemSchema,
)
from .tokens import Transport

REF = "#/components/schemas/{model}"
TAGS = {"auth": "Signing up, in and out; the own account.", "users": "Administration of accounts and roles."}
JsonObject = dict[str, Any]  # JSON values


@dataclass(frozen=True)
class Mounted:
    """A route where an app serves it: the URL with `{variables}`, its tag, and its blueprint's unique name."""

    route: Route
    path: str
    tag: str
    blueprint: str


def _schemes(transport: Transport, further: Mapping[str, Any]) -> JsonObject:
    schemes: JsonObject = {name: dict(scheme) for name, scheme in further.items()}
    if transport.bearer:
        schemes["bearer"] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The access token."}
        schemes["refresh"] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The refresh token."}
    for kind, names in transport.cookies.items():
        said = f"The {kind} token, set at sign-in."
        schemes[f"{kind}_cookie"] = {"type": "apiKey", "in": "cookie", "name": names.cookie, "description": said}
        if transport.csrf_methods:
            said = f"For requests that change something: the CSRF value that belongs to the {kind} cookie."
            schemes[f"{kind}_csrf"] = {"type": "apiKey", "in": "header", "name": names.csrf, "description": said}
    return schemes


def _security(transport: Transport, access: Access, method: str, further: Iterable[str]) -> list[dict[str, list[str]]]:
    """The ways into a route; an empty one means that none is needed."""
    if access.client:
        return [{"client": []}]
    kinds = access.presents or (("access",) if access.signed_in or access.optional else ())
    ways: list[dict[str, list[str]]] = []
    for kind in kinds:
        if transport.bearer:
            ways.append({"bearer" if kind == "access" else kind: []})
        if kind in transport.cookies:
            ways.append({f"{kind}_cookie": []})
            if method in transport.csrf_methods:
                ways[-1][f"{kind}_csrf"] = []
    if kinds and access.delegates:
        ways += [{name: []} for name in further]
    return ways if access.signed_in or not ways else [{}, *ways]


def document(
    mounted: Iterable[Mounted],
    book: SchemaBook,
    *,
    title: str,
    version: str,
    transport: Transport,
    server: str,
    min_password: int,
    schemes: Mapping[str, Any] | None,
    acting: bool = False,
) -> JsonObject:
    """The OpenAPI 3.1 document of `mounted`, for an app whose root is at the URL path `server`.

    `min_password` is the fewest characters of a new password, which is a setting and so not in any schema. `schemes` are the
    security schemes of credentials that act for an account without its owner in person; None where there are no such credentials. `acting`:
    whether somebody may act in an owner's place here.
    """
    mounted = [item for item in mounted if item.route.documented]
    schemas = _Schemas(book, transport, min_password)
    for item in mounted:
        schemas.collect(item.route)
    definitions = schemas.definitions()
    paths: JsonObject = {}
    kinds: dict[str, type[AccountsError]] = {}
    for item in mounted:
        paths.setdefault(item.path, {})[item.route.method.lower()] = _operation(item, schemas, transport, schemes, acting=acting)
        found = _errors(item.route, transport, schemes, acting=acting)
        kinds |= {kind.error_code: kind for errors in found.values() for kind in errors}
    tags = [{"name": name, "description": text} for name, text in TAGS.items() if any(item.tag == name for item in mounted)]
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": DESCRIPTION},
        "servers": [{"url": server or "/"}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": definitions,
            "examples": {code: _example(kind, schemas.members(kind)) for code, kind in sorted(kinds.items())},
            "headers": {
                name: header for name, header in HEADERS.items() if name != "Client-Challenge" or InvalidClient.error_code in kinds
            },
            "securitySchemes": _schemes(transport, schemes or {})
            | (CLIENT_SCHEME if any(item.route.access.client for item in mounted) else {}),
        },
    }


DESCRIPTION = (
    "JSON in and out; times are RFC 3339 in UTC. Every error is problem details (RFC 9457): a program reads `code`, a person reads "
    "`detail`, and `errors` lists every problem with the input at once. Unknown members of a body are refused by name."
)
CLIENT_SCHEME: JsonObject = {
    "client": {"type": "http", "scheme": "basic", "description": "The credentials of another service."},
}
HEADERS: JsonObject = {
    "Client-Challenge": {
        "description": "The challenge to another service (RFC 7617).",
        "required": True,
        "schema": {"type": "string", "pattern": "^Basic "},
    },
    "WWW-Authenticate": {
        "description": "The challenge (RFC 6750).",
        "required": True,
        "schema": {"type": "string", "pattern": "^Bearer "},
    },
    "Retry-After": {
        "description": "Seconds to wait before trying again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
}


PROBLEMS: dict[type[AccountsError], type[ProblemSchema]] = {
    ValidationError: ValidationProblemSchema,
    ChallengeRequired: ChallengeProblemSchema,
    AccountDisabled: DisabledProblemSchema,
}
"""The errors that have members of their own, and derived ones."""


def _problem_schema(error: type[AccountsError]) -> type[ProblemSchema]:
    return next((schema for kind, schema in PROBLEMS.items() if issubclass(error, kind)), ProblemSchema)


class _JsonSchema(GenerateJsonSchema):
    """Without titles of members, which would only be their names again."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # the signature is pydantic's
        return False


class _Schemas:
    """Every schema of the document, each under one name."""

    def __init__(self, book: SchemaBook, transport: Transport, min_password: int) -> None:
        self._book, self._transport, self._min_password = book, transport, min_password
        self._inputs: list[type[BaseModel]] = []
        self._outputs: list[type[BaseModel]] = [ProblemSchema, *PROBLEMS.values()]

    def body(self, route: Route) -> type[BaseModel] | None:
        return self._book.of(route.body) if route.body else None

    def collect(self, route: Route) -> None:
        if body := self.body(route):
            self._inputs.append(body)
        for answer in route.answers.values():
            self._outputs += [self._book.get(schema) for schema in _members(answer)]

    def definitions(self) -> JsonObject:
        named: list[tuple[type[BaseModel], Any]] = [(model, "validation") for model in dict.fromkeys(self._inputs)]
        named += [(model, "serialization") for model in dict.fromkeys(self._outputs)]
        self._refs, found = models_json_schema(named, ref_template=REF, schema_generator=_JsonSchema)
        self._definitions = definitions = cast(JsonObject, found.get("$defs", {}))
        inputs = {self.ref(model, "validation")["$ref"] for model in self._inputs}
        for name, definition in definitions.items():
            for member, field in list(definition.get("properties", {}).items()):
                self._settle(definition, member, field)
                if REF.format(model=name) in inputs:
                    definition["properties"][member] = _without_default(field)
        return definitions

    def _settle(self, definition: JsonObject, member: str, field: JsonObject) -> None:
        """Put in what only the app's settings say: the least length of a password, and whether tokens are in bodies."""
        transport, required = self._transport, definition.get("required", [])
        if field.pop(POLICY_LENGTH, False):
            field["minLength"] = self._min_password
        is_token, may_be_absent = field.pop(TOKEN, False), field.pop(ABSENT, False)
        if not (is_token or may_be_absent):
            return
        field.pop("default", None)
        definition["properties"][member] = _without_null(field)
        if may_be_absent or transport.cookies:
            required.remove(member)
        if is_token and transport.cookies and not transport.bearer:
            del definition["properties"][member]

    def ref(self, model: type[BaseModel], mode: Any) -> JsonObject:
        return self._refs[(model, mode)]

    def members(self, error: type[AccountsError]) -> JsonObject:
        """The members of an error's problem document."""
        name = self.ref(_problem_schema(error), "serialization")["$ref"].rpartition("/")[2]
        found: JsonObject = self._definitions[name]["properties"]
        return found

    def answer(self, answer: Any) -> JsonObject:
        refs = [self.ref(self._book.get(schema), "serialization") for schema in _members(answer)]
        return refs[0] if len(refs) == 1 else {"anyOf": refs}

    def path(self, route: Route, names: Iterable[str]) -> list[JsonObject]:
        """The path's variables."""
        return [{"name": name, "in": "path", "required": True, "schema": self._path_type(route, name)} for name in names]

    def _path_type(self, route: Route, name: str) -> JsonObject:
        kind = route.params.get(name, self._book.key_type if name == "user_id" else str)
        if kind is int:
            return {"type": "integer", "minimum": 0}
        if kind in (str, UUID):
            return {"type": "string"} | ({"format": "uuid"} if kind is UUID else {"minLength": 1})
        return TypeAdapter(kind).json_schema()

    def query(self, route: Route) -> list[JsonObject]:
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


def _without_default(field: JsonObject) -> JsonObject:
    """A member of a body, its default in words: generators of types take one that has a default for one that is always there."""
    default = field.pop("default", None)
    if default is not None:
        field["description"] = f"{field.get('description', '')} Default: `{json.dumps(default)}`.".strip()
    return field


def _without_null(field: JsonObject) -> JsonObject:
    """What is left out and never null: a query parameter, some members of answers."""
    kinds = [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]
    if field.get("default", ...) is None:
        field = {key: value for key, value in field.items() if key != "default"}
    if len(kinds) == 1:
        field = {key: value for key, value in field.items() if key != "anyOf"} | kinds[0]
    return field


def _operation(
    item: Mounted, schemas: _Schemas, transport: Transport, schemes: Collection[str] | None, *, acting: bool
) -> JsonObject:
    route = item.route
    summary, _, rest = (route.view.__doc__ or route.name).strip().partition("\n")
    operation: JsonObject = {"tags": [item.tag], "operationId": f"{item.blueprint}_{route.name}", "summary": summary}
    operation["description"] = " ".join([rest.strip(), access_text(route)]).strip()
    parameters = schemas.path(route, re.findall(r"\{(\w+)\}", item.path)) + schemas.query(route)
    if parameters:
        operation["parameters"] = parameters
    if body := schemas.body(route):
        content = {FORM if route.form else "application/json": {"schema": schemas.ref(body, "validation")}}
        operation["requestBody"] = {"required": route.body_required, "content": content}
    operation["security"] = _security(transport, route.access, route.method, schemes or ())
    responses: JsonObject = {}
    for status, answer in route.answers.items():
        responses[str(status)] = {"description": "Done."}
        if answer is not None:
            responses[str(status)]["content"] = {"application/json": {"schema": schemas.answer(answer)}}
    for status, errors in sorted(_errors(route, transport, schemes, acting=acting).items()):
        responses[str(status)] = _problem(status, errors, schemas)
    operation["responses"] = responses
    return operation


def _problem(status: int, errors: list[type[AccountsError]], schemas: _Schemas) -> JsonObject:
    """An error answer: each schema that it may have, narrowed to the codes that come with it here."""
    codes: dict[type[ProblemSchema], list[str]] = {}
    for error in errors:
        codes.setdefault(_problem_schema(error), []).append(error.error_code)
    narrowed = [
        {
            "allOf": [
                schemas.ref(schema, "serialization"),
                {
                    "type": "object",
                    "properties": {
                        "status": {"type": "integer", "const": status},
                        "code": {"type": "string", "enum": names},
                    },
                    "required": ["status", "code"],
                },
            ]
        }
        for schema, names in codes.items()
    ]
    content = {
        "schema": narrowed[0] if len(narrowed) == 1 else {"anyOf": narrowed},
        "examples": {error.error_code: {"$ref": f"#/components/examples/{error.error_code}"} for error in errors},
    }
    response: JsonObject = {
        "description": " ".join(f"`{error.error_code}`: {error.title}" for error in errors),
        "content": {PROBLEM_JSON: content},
    }
    for kinds, header, said in (
        (AuthenticationError, "WWW-Authenticate", "WWW-Authenticate"),
        (InvalidClient, "WWW-Authenticate", "Client-Challenge"),
        (TooManyRequests | ServiceUnavailable, "Retry-After", "Retry-After"),
    ):
        if issubclass(errors[0], kinds):
            response["headers"] = {header: {"$ref": f"#/components/headers/{said}"}}
    return response


def _example(kind: type[AccountsError], members: JsonObject) -> JsonObject:
    error = kind(1) if issubclass(kind, TooManyRequests) else kind()
    own = {name: field["examples"][0] for name, field in members.items() if "examples" in field}
    return {"summary": kind.title, "value": error.data | own}


def access_text(route: Route) -> str:
    """Who may call a route, in words."""
    access = route.access
    words = []
    if access.permissions:
        words.append("Needs " + ", ".join(f"`{name}`" for name in access.permissions) + ".")
    if access.fresh:
        words.append("Needs recent authentication.")
    if access.presents:
        words.append("For whoever has " + " or ".join(f"the {kind} token" for kind in access.presents) + ".")
    if access.client:
        words.append("For other services, with client credentials (HTTP Basic).")
    if access.note:
        words.append(f"Who may: {access.note}.")
    if not words:
        words.append("For anybody signed in." if access.signed_in else "For anybody.")
    if access.delegates:
        words.append("By API key too, where the app has them.")
    if access.impersonated:
        words.append("While impersonating too, where the app has that.")
    return " ".join(words)


def _errors(
    route: Route, transport: Transport, schemes: Collection[str] | None, *, acting: bool
) -> dict[int, list[type[AccountsError]]]:
    """Every error the route may answer with, by status."""
    kinds = list(route.errors)
    if route.body:
        kinds += [ValidationError, MalformedRequest, ContentTooLarge, UnsupportedMediaType]
    elif route.query:
        kinds.append(ValidationError)
    access = route.access
    if access.signed_in or access.optional or access.presents:
        kinds += [TokenExpired, InvalidToken, TokenRevoked, WrongTokenType]
        if transport.cookies and route.method in transport.csrf_methods:
            kinds.append(CsrfFailed)
        if not access.optional:
            kinds.append(TokenMissing)
        if schemes is not None and not access.presents:
            kinds.append(CredentialNotAllowed)
            if access.delegates:
                kinds.append(TooManyRequests)
        if acting and not (access.presents or access.impersonated):
            kinds.append(NotWhileImpersonating)
    if access.permissions:
        kinds.append(PermissionDenied)
    if access.fresh:
        kinds.append(ReauthenticationRequired)
    kinds.append(ServiceUnavailable)
    found: dict[int, list[type[AccountsError]]] = {}
    for kind in dict.fromkeys(kinds):
        found.setdefault(kind.code, []).append(kind)
    return found
