"""The shapes the core itself reads and answers with, and how a host's own take their place.

A host subclasses one and names it: `Accounts(db, schemas={UserSchema: MyUser})`. From then on every
route, answer and the OpenAPI document use the host's, also where it stands inside another shape.
"""

from __future__ import annotations

import contextlib
import re
import types
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, LiteralString, TypeVar, Union, cast, get_args, get_origin
from uuid import UUID

import pydantic
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationInfo
from pydantic_core import PydanticCustomError

from .errors import ConfigurationError
from .passwords import MAX_LENGTH
from .policies import MAX_EMAIL, MAX_USERNAME, MIN_USERNAME, PasswordContext, check_username, normalise_email

SchemaT = TypeVar("SchemaT", bound=BaseModel)

POLICY_LENGTH = "x-policy-length"
"""Marks a member of a JSON schema whose least length is a setting of the app; the OpenAPI document puts it in."""
ABSENT = "x-absent"
"""Marks a member of an answer that is left out where there is nothing to say, so that it is never null."""
TOKEN = "x-token"  # noqa: S105  # a mark, not a secret
"""Marks a member of an answer that is there where tokens travel in bodies, and left out where they travel as cookies."""


class Input(BaseModel):
    """Base of request bodies and queries: unknown members are refused by name (ASVS 15.3.3)."""

    model_config: ClassVar[pydantic.ConfigDict] = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Output(BaseModel):
    """Base of answers; read from attributes, so views of rows and ORM objects both serve."""

    model_config: ClassVar[pydantic.ConfigDict] = ConfigDict(
        from_attributes=True, use_attribute_docstrings=True, json_schema_serialization_defaults_required=True
    )


def derived(
    name: str, base: type[SchemaT] | tuple[type[SchemaT], ...], *, doc: str | None = None, module: str = __name__, **fields: Any
) -> type[SchemaT]:
    """A schema made while the app starts: `base` (or several) with more or other `fields`, as `pydantic.create_model` takes them.

    Pydantic would look for its docstrings in the source, and it has none: that search is most of what it costs to make one.
    """
    made: type[SchemaT] = pydantic.create_model(
        name, __base__=base, __doc__=doc, __module__=module, __cls_kwargs__={"use_attribute_docstrings": False}, **fields
    )
    return made


def _new_password(value: SecretStr, info: ValidationInfo) -> SecretStr:
    runtime = (info.context or {}).get("accounts")
    if runtime is not None:
        context = PasswordContext(email=info.data.get("email"), username=info.data.get("username"), words=runtime.context_words)
        for check in runtime.password_checks:
            if problem := check(value.get_secret_value(), context):
                raise PydanticCustomError(problem.code, "{reason}", {"reason": problem.message})
    return value


def _email(value: str) -> str:
    try:
        return normalise_email(value)
    except ValueError as error:
        raise PydanticCustomError("email_invalid", "{reason}", {"reason": str(error)}) from None


def _username(value: str) -> str:
    try:
        return check_username(value)
    except ValueError as error:
        raise PydanticCustomError("username_invalid", "{reason}", {"reason": str(error)}) from None


def _like(pattern: str, code: LiteralString, said: LiteralString) -> BeforeValidator:
    """In a query string everything is text; only the one form that the document names is taken, so that no two readers differ."""

    def check(value: Any) -> Any:  # text from a URL, or a default
        if isinstance(value, str) and not re.fullmatch(pattern, value, re.ASCII):
            raise PydanticCustomError(code, said)
        return value

    return BeforeValidator(check)


WholeNumber: BeforeValidator = _like(r"0|-?[1-9][0-9]{0,18}", "int_parsing", "Give a whole number.")
"""For an int of a query string, after its bounds: decimal digits, nothing else."""
QueryBool = Annotated[bool, _like("true|false", "bool_parsing", "Give true or false.")]
"""`true` or `false`."""
MAX_TIME = 40
"""Most characters of a time in a body."""
_RFC_3339 = (
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)",
    "datetime_parsing",
    "Give a time with its zone, such as 2026-01-31T12:00:00Z.",
)
QueryTime = Annotated[AwareDatetime, _like(*_RFC_3339)]
"""A time as RFC 3339 writes it."""


def _time(value: Any) -> Any:  # a JSON value, or a default
    pattern, code, said = _RFC_3339
    if isinstance(value, str) and len(value) <= MAX_TIME and re.fullmatch(pattern, value, re.ASCII):
        with contextlib.suppress(ValueError, OverflowError):
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    raise PydanticCustomError(code, said)


Time = Annotated[AwareDatetime, Field(json_schema_extra={"maxLength": MAX_TIME}), BeforeValidator(_time)]
"""The same in a body."""
EmailAddress = Annotated[str, Field(max_length=MAX_EMAIL, json_schema_extra={"format": "email"}), AfterValidator(_email)]
"""An e-mail address in its canonical form."""
Username = Annotated[
    str,
    Field(max_length=MAX_USERNAME, json_schema_extra={"format": "username", "minLength": MIN_USERNAME}),
    AfterValidator(_username),
]
"""A username that is fit, as typed (in NFKC)."""
Password = Annotated[SecretStr, Field(max_length=MAX_LENGTH)]
"""A password to be checked: any, up to the length that is ever hashed."""
NewPassword = Annotated[
    SecretStr, Field(max_length=MAX_LENGTH, json_schema_extra={POLICY_LENGTH: True}), AfterValidator(_new_password)
]
"""A password to be set: fit by the policy. Declare it after `email` and `username`, which it is compared with."""


class UserSchema(Output):
    """An account as its owner and administrators see it. Subclass it to show own columns."""

    id: int | UUID | str
    username: str | None
    email: str
    email_verified: bool
    is_active: bool
    roles: list[str]
    created_at: datetime
    updated_at: datetime


class PublicUserSchema(Output):
    """An account as any signed-in person sees it where the directory is open."""

    id: int | UUID | str
    username: str | None
    created_at: datetime


class TokenResponse(Output):
    """A finished sign-in. With cookie transport the two tokens are not in the body."""

    access_token: str | None = Field(default=None, json_schema_extra={TOKEN: True})
    """For `Authorization: Bearer`; absent with cookie transport."""
    refresh_token: str | None = Field(default=None, json_schema_extra={TOKEN: True})
    """Good for one use at `POST /refresh`; absent with cookie transport."""
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # a scheme's name, not a secret
    expires_in: int
    """Seconds until the access token expires."""
    refresh_expires_in: int
    """Seconds until the refresh token expires if it is not used."""
    recovery_codes: list[str] | None = Field(default=None, json_schema_extra={ABSENT: True})
    """Shown this once, where a sign-in has set up the account's first second factor; absent otherwise."""
    user: UserSchema


class MessageResponse(Output):
    """A short confirmation."""

    message: str


class FieldProblemSchema(Output):
    """One problem with one member of the input."""

    field: str
    code: str
    message: str


class ProblemSchema(Output):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    """Stable, UPPER_SNAKE."""
    error: str
    """The same sentence as `title`."""


class ValidationProblemSchema(ProblemSchema):
    """Input that is not valid."""

    errors: list[FieldProblemSchema] = Field(examples=[[{"field": "email", "code": "missing", "message": "Field required"}]])
    """Every problem with the input, at once."""


class ChallengeProblemSchema(ProblemSchema):
    """A right credential that is not enough: the sign-in goes on at `POST /challenge`."""

    challenge_token: str = Field(examples=["wD8cZ1Zb0Uj4Q0n3kq2yYg9m6sT5hVtA7oXeRrLpKdE"])
    """Stands for this sign-in."""
    challenges: list[str] = Field(examples=[["password_change"]])
    """The methods, one of which is to be answered."""
    expires_in: int = Field(examples=[600])
    """Seconds that leaves."""
    errors: list[FieldProblemSchema] | None = Field(default=None, json_schema_extra={ABSENT: True})
    """Why the password is not accepted any more."""
    recovery_codes: list[str] | None = Field(default=None, json_schema_extra={ABSENT: True})
    """Shown this once, where the step before has set up the account's first second factor."""


class DisabledProblemSchema(ProblemSchema):
    """The account is switched off."""

    reason: str | None = Field(default=None, json_schema_extra={ABSENT: True})
    """Where the app tells it."""
    until: datetime | None = Field(default=None, json_schema_extra={ABSENT: True})
    """From then on its owner may sign in again."""


class SchemaBook:
    """Which schema serves where: the host's own for a base, and the precise type of the user's key."""

    def __init__(self, own: Mapping[type[BaseModel], type[BaseModel]], key_type: type) -> None:
        for base, schema in own.items():
            if not (isinstance(schema, type) and issubclass(schema, base)):
                raise ConfigurationError(
                    f"schemas={{{base.__name__}: {schema!r}}}: the schema must be a subclass of {base.__name__}."
                )
        self.key_type = key_type
        """The type of the user's key."""
        self._resolved: dict[type[BaseModel], type[BaseModel]] = {}
        self._derived: dict[Callable[[SchemaBook], type[BaseModel]], type[BaseModel]] = {}
        self._own = dict(own)

    def get(self, schema: type[SchemaT]) -> type[SchemaT]:
        """The schema that serves where the code names `schema`."""
        if schema not in self._resolved:
            self._resolved[schema] = self._resolve(schema)
        return cast(type[SchemaT], self._resolved[schema])

    def of(self, shape: Shape) -> type[BaseModel]:
        """The schema of a route's declared shape: as `get`, or derived by the function it is (once)."""
        if isinstance(shape, type):
            return self.get(shape)
        if shape not in self._derived:
            self._derived[shape] = shape(self)
        return self._derived[shape]

    def _resolve(self, schema: type[BaseModel]) -> type[BaseModel]:
        schema = self._own.get(schema, schema)
        changed: dict[str, Any] = {}
        for name, field in schema.model_fields.items():
            annotation = self.replace(field.annotation)
            if annotation is not field.annotation:
                changed[name] = (annotation, field)
        if not changed:
            return schema
        return derived(schema.__name__, schema, doc=schema.__doc__, module=schema.__module__, **changed)

    def replace(self, annotation: Any) -> Any:  # any type expression
        """The type expression with every schema in it replaced by the one that serves in its place."""
        if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, Output):
            return self.get(annotation)
        if annotation == int | UUID | str:  # the key of a user
            return self.key_type
        if annotation == int | UUID | str | None:
            return self.key_type | None
        arguments = get_args(annotation)
        if not arguments:
            return annotation
        replaced = tuple(self.replace(argument) for argument in arguments)
        if replaced == arguments:
            return annotation
        origin = get_origin(annotation)
        return Union[replaced] if origin in (Union, types.UnionType) else origin[replaced]  # noqa: UP007  # built from values


Shape = type[BaseModel] | Callable[[SchemaBook], type[BaseModel]]
"""A schema, or a function that derives one from the host's schemas."""
