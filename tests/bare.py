"""`pytest --no-extras`: nothing is installed but the package and pytest, and a test that imports more is skipped and says what.

Only an import that stands in a test counts. Where the package itself asks for what is not there, the test fails.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

TESTS = Path(__file__).parent
ASYNC = "Install Flask with the 'async' extra"


class Bare:
    """The plugin; registered by `--no-extras`."""

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        """A module that imports what is not there is skipped whole."""
        report = yield
        error = report.call.excinfo.value if report.failed and report.call.excinfo else None
        if reason := _missing(error.__cause__ if error else None):
            report.outcome = "skipped"
            report.longrepr = (str(collector.path), 0, f"Skipped: {reason}")
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """So is a test that does, or that has an async view."""
        report = yield
        if report.failed and call.excinfo and (reason := _missing(call.excinfo.value)):
            report.outcome = "skipped"
            report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: {reason}")
        return report


def _missing(error: BaseException | None) -> str | None:
    if isinstance(error, ModuleNotFoundError) and _last_file(error.__traceback__).is_relative_to(TESTS):
        return f"{error.name} is not installed"
    if isinstance(error, RuntimeError) and ASYNC in str(error):
        return "asgiref is not installed"
    return None


def _last_file(traceback: TracebackType | None) -> Path:
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return Path(traceback.tb_frame.f_code.co_filename) if traceback else Path()
