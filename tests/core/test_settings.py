"""Settings: each stated once, typos and bad values refused at start, secrets never printed."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import pytest
from pydantic import Field, SecretStr

from flask_accounts import ConfigurationError
from flask_accounts.core.settings import Settings, load, rows
from flask_accounts.extension import CORE_SETTINGS, default_features


class Kitchen(Settings):
    """Settings of a kitchen."""

    prefix: ClassVar[str] = "kitchen"

    cooks: int = Field(default=2, ge=1)
    """How many cook."""
    span: timedelta = timedelta(minutes=5)
    """How long it takes."""
    recipe: SecretStr | None = None
    """Known to nobody."""


EVERY_KIND = [*CORE_SETTINGS, *(kind for feature in default_features() for kind in feature.settings)]


def test_values_come_from_the_config_under_the_features_prefix() -> None:
    read = load([Kitchen], {"ACCOUNTS_KITCHEN_COOKS": "3", "ACCOUNTS_KITCHEN_SPAN": 90, "OTHER": 1})[Kitchen]

    assert read == Kitchen(cooks=3, span=timedelta(seconds=90))


def test_an_unknown_key_is_refused_with_the_nearest_real_name() -> None:
    with pytest.raises(ConfigurationError, match=r"ACCOUNTS_KITCHEN_COKS .* Did you mean ACCOUNTS_KITCHEN_COOKS"):
        load([Kitchen], {"ACCOUNTS_KITCHEN_COKS": 3})


def test_a_key_like_no_other_is_refused_with_where_to_look() -> None:
    with pytest.raises(ConfigurationError, match="settings reference"):
        load([Kitchen], {"ACCOUNTS_ZZZ": 3})


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as raised:
        load([Kitchen], {"ACCOUNTS_KITCHEN_COOKS": 0, "ACCOUNTS_KITCHEN_SPAN": "soon", "ACCOUNTS_KITCHEN_PAN": 1})

    assert all(name in str(raised.value) for name in ("COOKS", "SPAN", "PAN"))


def test_a_bad_value_is_never_printed() -> None:
    with pytest.raises(ConfigurationError) as raised:
        load([Kitchen], {"ACCOUNTS_KITCHEN_RECIPE": 4711})

    assert "4711" not in str(raised.value)


def test_settings_cannot_be_changed_once_read() -> None:
    read = load([Kitchen], {})[Kitchen]

    with pytest.raises(ValueError, match="frozen"):
        read.cooks = 5  # type: ignore[attr-defined]  # the point of the test


def test_every_setting_is_documented_and_every_key_is_its_own() -> None:
    found = list(rows(EVERY_KIND))

    assert [row.key for row in found if not row.description] == []
    assert len({row.key for row in found}) == len(found)


def test_a_secret_is_known_as_one() -> None:
    assert [row.key for row in rows([Kitchen]) if row.secret] == ["ACCOUNTS_KITCHEN_RECIPE"]
