"""Install with pip, the lowest versions that pyproject.toml declares for the package and its extras; what only tests need is the newest.

    python tools/install_lowest.py pytest flask-cors    as `pip install` would, with every lower bound as the version

`tox -e lowest` installs with it, so a bound that is too low fails there.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
BOUND = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^\]]*\])?>=(?P<version>[0-9][0-9A-Za-z.]*)")


def lowest(requirements: Iterable[str]) -> Iterator[str]:
    """The constraint of each requirement; `ValueError` for one that is more than a lower bound."""
    for requirement in requirements:
        bound = BOUND.fullmatch(requirement)
        if bound is None:
            raise ValueError(f"{requirement!r} is no plain lower bound: name>=version")
        yield f"{bound['name']}=={bound['version']}"


def declared(pyproject: Path = PYPROJECT) -> list[str]:
    """What the package needs, and what its extras need."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "lowest.txt"
        constraints.write_text("\n".join(sorted(set(lowest(declared())))) + "\n", encoding="utf-8")
        print(constraints.read_text(encoding="utf-8"), end="")
        command = [sys.executable, "-m", "pip", "install", "--constraint", str(constraints), *sys.argv[1:]]
        return subprocess.run(command, check=False).returncode  # noqa: S603  # the caller's own arguments


if __name__ == "__main__":
    sys.exit(main())
