"""Packages of the examples that run on Node.js, installed once as their lock files say."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNREACHABLE = re.compile(r"ENOTFOUND|ENOTCACHED|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|network")


def run(*command: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=os.environ | environ, capture_output=True, text=True, check=False, timeout=300)


def packages(example: Path) -> Path:
    """The example's packages; skips without Node.js 20 and npm's registry, or its cache."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("Node.js and npm are not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < 20:
        pytest.skip(f"Node.js {version} is older than 20")
    lock = example / "package-lock.json"
    wanted, stamp = hashlib.sha256(lock.read_bytes()).hexdigest(), example / "node_modules" / ".installed-by-tests"
    if not stamp.exists() or stamp.read_text() != wanted:
        installed = run("npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", folder=example)
        if installed.returncode and UNREACHABLE.search(installed.stderr):
            pytest.skip(f"npm's registry cannot be reached: {installed.stderr.strip().splitlines()[0]}")
        assert installed.returncode == 0, installed.stdout + installed.stderr
        stamp.write_text(wanted)
    return example / "node_modules"


def packages_once(example: Path) -> Path:
    """The same, where several workers may want them at one time."""
    with (example / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return packages(example)
