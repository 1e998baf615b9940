"""Checkers of files that are no Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig

import pytest


def tool(name: str) -> str:
    """A checker from the test dependencies; skips, saying so, where it is not to be had for this machine, or does not run with what is
    installed beside it (as with the lowest versions of the package's own dependencies).
    """
    found = shutil.which(name, path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")]))
    if found is None:
        pytest.skip(f"{name} is not installed")
    if subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
        pytest.skip(f"{name} does not run beside what is installed here")
    return found
