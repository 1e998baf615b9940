"""Sites whose keys are kept in a folder or in the database, and what is done with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from flask_accounts import default_features
from flask_accounts.features.signing_keys import SigningKeys
from flask_accounts.features.signing_keys.service import SigningKeyService
from tests.conftest import MakeSite, Site, bearer
from tests.security.forging import header_of

Keep = Callable[..., Site]


@pytest.fixture
def keep(make_site: MakeSite, tmp_path: Path) -> Keep:
    """Makes a site that keeps its keys in `folder` or `database`; `config` without `ACCOUNTS_`."""

    def make(source: str, *, features: Any = (), views: Any = None, jwt: dict[str, Any] | None = None, **config: Any) -> Site:
        given = {f"ACCOUNTS_{name}": value for name, value in config.items()} | {"ACCOUNTS_SIGNING_SOURCE": source} | (jwt or {})
        if source == "folder":
            given.setdefault("ACCOUNTS_SIGNING_FOLDER", str(tmp_path / "keys"))
        return make_site(features=[*default_features(), SigningKeys(), *features], config=given, views=views)

    return make


def service(site: Site) -> SigningKeyService:
    return site.testing.runtime.get(SigningKeyService)


def run(site: Site, *args: str) -> Result:
    return site.app.test_cli_runner().invoke(args=["accounts", "keys", *args])


def keys(site: Site, *args: str) -> Any:
    result = run(site, *(args or ("list",)), "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def states(site: Site) -> list[str]:
    return [row["state"] for row in keys(site)]


def jwks(site: Site) -> list[str]:
    """Names of the published keys."""
    return [key["kid"] for key in site.client.get("/api/auth/jwks.json").get_json()["keys"]]


def sign_in(site: Site) -> str:
    token: str = site.tokens("ann@example.com")["access_token"]
    return token


def signer(token: str) -> str:
    kid: str = header_of(token)["kid"]
    return kid


def status(site: Site, token: str) -> int:
    return site.client.get("/api/auth/me", headers=bearer(token)).status_code
