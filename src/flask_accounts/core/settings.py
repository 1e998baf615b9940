"""Settings, each stated once: name, type, default, bounds, and the docstring under the field.

A feature subclasses `Settings` and names its `prefix`; `load()` reads `ACCOUNTS_<PREFIX>_<NAME>`
from the app's config. The reference page and `flask accounts settings` come from the same fields.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import pydantic
from pydantic.fields import FieldInfo

from .errors import ConfigurationError

CONFIG_PREFIX = "ACCOUNTS_"


class Settings(pydantic.BaseModel):
    """Base class of a feature's settings; frozen once read."""

    model_config: ClassVar[pydantic.ConfigDict] = pydantic.ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )
    prefix: ClassVar[str] = ""
    """What stands between `ACCOUNTS_` and the field's name; empty for the core's own settings."""

    @classmethod
    def key(cls, name: str) -> str:
        """The `app.config` key of the field `name`."""
        return CONFIG_PREFIX + "_".join(part for part in (cls.prefix, name) if part).upper()


SettingsT = TypeVar("SettingsT", bound=Settings)


@dataclass(frozen=True)
class SettingRow:
    """One setting as documentation shows it."""

    key: str
    type: str
    default: str
    description: str
    secret: bool


def load(kinds: Iterable[type[Settings]], config: Mapping[str, Any]) -> dict[type[Settings], Settings]:
    """Read every settings class from `config`.

    Raises `ConfigurationError` naming each bad value (never the value itself: it may be a secret)
    and each unknown `ACCOUNTS_*` key with the nearest real one.
    """
    kinds = list(kinds)
    known = {kind.key(name): (kind, name) for kind in kinds for name in kind.model_fields}
    problems = [_unknown(key, known) for key in config if key.startswith(CONFIG_PREFIX) and key not in known]
    loaded: dict[type[Settings], Settings] = {}
    for kind in kinds:
        given = {name: config[kind.key(name)] for name in kind.model_fields if kind.key(name) in config}
        try:
            loaded[kind] = kind.model_validate(given)
        except pydantic.ValidationError as error:
            problems += [
                f"{kind.key(str(problem['loc'][0]))}: {problem['msg']}." if problem["loc"] else f"{problem['msg']}."
                for problem in error.errors(include_url=False, include_context=False, include_input=False)
            ]
    if problems:
        raise ConfigurationError(" ".join(problems))
    return loaded


def _unknown(key: str, known: Iterable[str]) -> str:
    # Without what all have in common, which would make any two names look alike.
    names = {name.removeprefix(CONFIG_PREFIX): name for name in known}
    nearest = difflib.get_close_matches(key.removeprefix(CONFIG_PREFIX), names, n=1)
    hint = f" Did you mean {names[nearest[0]]}?" if nearest else " The settings reference lists those there are."
    return f"{key} is not a setting of flask_accounts.{hint}"


def rows(kinds: Iterable[type[Settings]]) -> Iterator[SettingRow]:
    """What the reference page says of each setting."""
    for kind in kinds:
        for name, field in kind.model_fields.items():
            yield SettingRow(
                key=kind.key(name),
                type=_type_name(field),
                default=_default(field),
                description=" ".join((field.description or "").split()),
                secret="Secret" in _type_name(field),
            )


def _type_name(field: FieldInfo) -> str:
    annotation = field.annotation
    text = annotation.__name__ if isinstance(annotation, type) and not hasattr(annotation, "__args__") else str(annotation)
    text = re.sub(r"Annotated\[([^,]+), [^\]]*\]", r"\1", text)  # what checks a value is no part of its type
    for noise in ("typing.", "datetime.", "pydantic.types."):
        text = text.replace(noise, "")
    return text


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    return "" if value is None else str(value)
