"""The scripts of `tools`, to be tested as modules."""

from __future__ import annotations

import importlib.util
import sys
import types

from tests.docs.pages import ROOT


def load(name: str) -> types.ModuleType:
    """The module of `tools/<name>.py`."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for their own
    spec.loader.exec_module(module)
    return module
