"""Whether what a host gives to `Accounts` fits: asked at construction, answered by a `ConfigurationError` that says the remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel

from .core.errors import ConfigurationError
from .core.feature import Feature, Service
from .core.runtime import Exporter
from .core.schemas import PublicUserSchema, UserSchema
from .core.users import NEVER_SHOWN
from .features.export import Export
from .features.registration.schemas import RegisterSchema
from .features.user_import.schemas import ImportUserSchema
from .features.users.schemas import UpdateUserSchema

NEVER_INPUT: frozenset[str] = frozenset(
    {
        "id",
        "password_hash",
        "username_normalized",
        "is_active",
        "email_verified_at",
        "roles",
        "permissions",
        "created_at",
        "updated_at",
    }
)
"""What no schema of a host's may let anybody set."""


def check_exporters(features: Sequence[Feature], exporters: Mapping[str, Exporter]) -> None:
    """The host's parts of an export must be callables, and somebody must ask for them."""
    if exporters and not any(isinstance(feature, Export) for feature in features):
        raise ConfigurationError("exporters: nothing is exported without the feature Export. Add it to Accounts(features=[...]).")
    for name, exporter in exporters.items():
        if not callable(exporter):
            raise ConfigurationError(f"exporters={{{name!r}: {exporter!r}}}: an exporter is a callable that takes the user object.")


def check_schemas(user_model: type[Any], schemas: Mapping[type[BaseModel], type[BaseModel]]) -> None:
    """Own members of the schemas that write must be columns of the user class, and none that only the system sets."""
    attributes = sa.inspect(user_model).attrs.keys()
    for base in (RegisterSchema, UpdateUserSchema, ImportUserSchema):
        schema = schemas.get(base)
        if schema is None:
            continue
        own = set(schema.model_fields) - set(base.model_fields)
        if barred := sorted(own & NEVER_INPUT):
            raise ConfigurationError(f"{schema.__name__} lets anybody set {', '.join(barred)}. Take it out of the schema.")
        if missing := sorted(own - set(attributes)):
            raise ConfigurationError(
                f"{schema.__name__} has {', '.join(missing)}, which {user_model.__name__} has not. Add the column."
            )
    for shape in (UserSchema, PublicUserSchema):
        shown = schemas.get(shape)
        if shown is None:
            continue
        if secret := sorted(NEVER_SHOWN & shown.model_fields.keys()):
            raise ConfigurationError(f"{shown.__name__} shows {', '.join(secret)}. Take it out of the schema.")
        fields = shown.model_fields.items()
        needed = {name for name, field in fields if field.is_required() and not field.validation_alias}
        there = {*shape.model_fields, *UserSchema.model_fields, "permissions"}
        if missing := sorted(name for name in needed - there if not hasattr(user_model, name)):
            raise ConfigurationError(
                f"{shown.__name__} has {', '.join(missing)}, which {user_model.__name__} has not. Add the column or a property."
            )


def check_services(features: Sequence[Feature], services: Mapping[type[Service], type[Service]]) -> None:
    """Each service must stand for one that a feature has, and be a subclass of it."""
    known = [kind for feature in features for kind in feature.services]
    for kind, service in services.items():
        if kind not in known:
            names = ", ".join(sorted(kind.__name__ for kind in known))
            raise ConfigurationError(f"services: there is no service {kind.__name__}. There are: {names}.")
        if not (isinstance(service, type) and issubclass(service, kind)):
            raise ConfigurationError(
                f"services={{{kind.__name__}: {service!r}}}: the service must be a subclass of {kind.__name__}."
            )
