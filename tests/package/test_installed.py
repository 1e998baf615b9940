"""Under tox the suite tests what was installed from the built wheel, and nothing of `src` stands before it."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import flask_accounts

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def installed() -> None:
    if "TEST_WHEEL" not in os.environ:
        pytest.skip("not run by tox (it sets TEST_WHEEL): the package may be the checkout's own")


def test_the_package_under_test_is_the_installed_wheel() -> None:
    site_packages = Path(sysconfig.get_path("purelib")).resolve()

    assert Path(flask_accounts.__file__).resolve().is_relative_to(site_packages)
    assert [path for path in sys.path if Path(path).resolve() == ROOT / "src"] == []
    files = importlib.metadata.files("flask-accounts-api") or []
    assert any(str(file) == "flask_accounts/__init__.py" for file in files)  # an editable install lists a .pth instead


def test_a_process_that_a_test_starts_gets_the_installed_wheel_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import flask_accounts; print(flask_accounts.__file__)"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert Path(done.stdout.strip()).resolve() == Path(flask_accounts.__file__).resolve()
