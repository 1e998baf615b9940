"""Asks one contender everything, in a process of its own (Django has one set of settings a process), and prints JSON."""

from __future__ import annotations

import importlib
import json
import logging
import sys
import tempfile
import warnings
from pathlib import Path

from .contender import Contender, start
from .probes import PROBES


def load(path: str) -> Contender | None:
    """The contender at `module:Class`; None if its packages are not installed."""
    module, _, name = path.partition(":")
    try:
        found: Contender = getattr(importlib.import_module(f"comparison.contenders.{module}"), name)()
    except ModuleNotFoundError as error:
        print(f"{path}: {error}", file=sys.stderr)
        return None
    return found


def main(path: str, limits: bool, only: list[str]) -> int:
    """Print what was found, with or without the contender's own limits; exit status 3 if the contender is not installed."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    contender = load(path)
    if contender is None or (version := contender.installed()) is None:
        return 3
    wanted = [probe for probe in PROBES if probe.limits is limits and (not only or probe.name in only)]
    if limits and contender.variant:
        wanted = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        site = start(contender, Path(folder), limits=limits)
        answers = {probe.name: probe.ask(site) for probe in wanted}
        site.stop()
    described = {"name": contender.name, "version": version, "setup": contender.setup, "source": contender.source}
    print(json.dumps(described | {"answers": answers}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2] == "limits", sys.argv[3:]))
