"""A site that can import hashes of every kind, and a way to call the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result

from flask_accounts.core.passwords import Argon2Hasher
from tests.conftest import MakeSite, Site
from tests.security.test_legacy_hashes import CHEAP, SECRETS

Import = Callable[..., Result]


def hashing(site: Site, hasher: Argon2Hasher = CHEAP) -> Site:
    site.testing.runtime.hasher.inner = hasher
    return site


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return hashing(make_site(config=SECRETS))


@pytest.fixture
def load(site: Site, tmp_path: Path) -> Import:
    """`load(text_or_rows, *options)`: the command, on a file of that content."""

    def run(content: str | bytes | list[dict[str, Any]], *options: str, on: Site | None = None, name: str = "users") -> Result:
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
            path = tmp_path / f"{name}.jsonl"
        else:
            path = tmp_path / f"{name}.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return (on or site).app.test_cli_runner().invoke(args=["accounts", "import-users", str(path), *options])

    return run


def told(result: Result) -> dict[str, Any]:
    """The report of `--json`."""
    assert "Traceback" not in result.output, result.output
    assert isinstance(result.exception, SystemExit | None), result.exception
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def reasons(report: dict[str, Any]) -> dict[int, list[str]]:
    """The codes by which the first rows were refused, by line."""
    return {refusal["line"]: [problem["code"] for problem in refusal["problems"]] for refusal in report["first"]}


def accounts(site: Site, *names: str) -> list[tuple[Any, ...]]:
    """These columns of every account, by address."""
    with site.app.app_context():
        user = site.accounts.User
        rows = site.db.session.execute(sa.select(*(getattr(user, name) for name in names)).order_by(user.email))
        return [tuple(row) for row in rows]
